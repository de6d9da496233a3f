using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.Loader;

namespace Mamba;

// Indexing is an op, and ops live in Mamba.Autograd, above this assembly; C# has extension methods, but no extension indexers. So Mamba.Autograd
// leaves its op here when it is loaded, and the first index asks for it to be loaded.
public sealed partial class Tensor
{
    /// <summary>The op behind the indexer; set by Mamba.Autograd.</summary>
    internal static Func<Tensor, TensorIndex[], Tensor>? Indexer { get; set; }

    /// <summary>
    /// A part of this tensor: <c>x[0]</c>, <c>x[^1]</c>, <c>x[1..3]</c>, <c>x[.., ^1]</c>, <c>x[0, .., 2..]</c>. An index drops its axis, a range keeps it,
    /// axes that are not named are kept whole. Differentiable; no copy where the elements are contiguous. It is <c>Ops.Index</c>.
    /// </summary>
    /// <param name="indices">One for each axis from the outermost on, at most as many as there are axes.</param>
    /// <exception cref="MambaException">There are too many, or one is outside its axis.</exception>
    [IndexerName("Elements")]       // the usual name, Item, is that of the method
    public Tensor this[params ReadOnlySpan<TensorIndex> indices] => (Indexer ?? LoadIndexer())(this, indices.ToArray());

    static Func<Tensor, TensorIndex[], Tensor> LoadIndexer()
    {
        const string Home = "Mamba.Autograd";
        try
        {
            Assembly home = AssemblyLoadContext.GetLoadContext(typeof(Tensor).Assembly)!.LoadFromAssemblyName(new AssemblyName(Home));
            RuntimeHelpers.RunModuleConstructor(home.ManifestModule.ModuleHandle);
        }
        catch (FileNotFoundException e)
        {
            throw new MambaException($"Index: indexing is an op of {Home}, which is not there.", e);
        }
        return Indexer ?? throw new MambaException($"Index: {Home} was loaded, but left no op behind.");
    }
}
