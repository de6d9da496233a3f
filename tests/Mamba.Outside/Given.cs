// What the lines of the pages take as given: tensors of the sizes that docs/glossary.md names, a model, a state. They are compiled, not run.
global using static Mamba.Outside.Given;

namespace Mamba.Outside;

/// <summary>The names that the code in the pages uses without making them.</summary>
public static class Given
{
    public static Device device => null!;
    public static MambaConfig config => null!;
    public static MambaLM model => null!;
    public static MambaState state => null!;
    public static Tensor u => null!;
    public static Tensor delta => null!;
    public static Tensor A => null!;
    public static Tensor B => null!;
    public static Tensor C => null!;
    public static Tensor D => null!;
    public static Tensor z => null!;
    public static Tensor deltaBias => null!;
    public static Tensor initialState => null!;
    public static Tensor x => null!;
    public static Tensor weight => null!;
    public static Tensor tokens => null!;
    public static Tensor targets => null!;
    public static Tensor token => null!;
    public static Tensor piece => null!;
    public static Tensor[] inputs => [];
    public static Func<Tensor[], Tensor[]> mine => x => x;
    public static Func<Tensor[], Tensor[]> theirs => x => x;
    public static long length => 0;
    public static int steps => 0;
}
