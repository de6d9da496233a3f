// What the lines of the pages take as given: tensors of the sizes that docs/glossary.md names, a model, a state. They are compiled, not run.
global using static Mamba.Outside.Given;

namespace Mamba.Outside;

#pragma warning disable CA2211      // fields are what a page's lines read and assign

/// <summary>The names that the code in the pages uses without making them.</summary>
public static class Given
{
    public static Device device = null!;
    public static MambaConfig config = null!;
    public static MambaLM model = null!;
    public static MambaState state = null!;
    public static Tensor u = null!, delta = null!, A = null!, B = null!, C = null!, D = null!, z = null!, deltaBias = null!, initialState = null!;
    public static Tensor x = null!, weight = null!, tokens = null!, targets = null!, token = null!, piece = null!;
    public static Tensor[] inputs = [];
    public static Func<Tensor[], Tensor[]> mine = x => x, theirs = x => x;
    public static long length;
    public static int steps;
}
