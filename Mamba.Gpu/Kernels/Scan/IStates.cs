using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>
/// Some of the n states of a channel group, held in registers: a tree of structs, so that both compilers unroll it. A local
/// array indexed in a loop would lie in local memory on a GPU; this never does. (What is only read is passed by ref as well: for
/// `in` the C# compiler adds a method in between, one more for the JIT to inline.)
/// </summary>
internal interface IStates<S, V, M, T>
    where S : struct, IStates<S, V, M, T>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    /// <summary>Rows of (n, d) it covers; a complex state is two.</summary>
    static abstract int Count { get; }

    /// <summary>Values a step of the recomputation keeps, in all.</summary>
    static abstract int Kept { get; }

    /// <summary>See <see cref="IDiscretization.LooksBack"/>.</summary>
    static abstract bool LooksBack { get; }

    static abstract S Zero();

    /// <summary>1 for every state: a decay over no steps.</summary>
    static abstract S Identity();
    static abstract S Load(M p, Column at, int n, int lanes);

    /// <summary>Load and Store of every lane.</summary>
    static abstract S LoadWhole(M p, Column at, int n);
    static abstract void StoreWhole(ref S s, M p, Column at, int n);
    static abstract void Store(ref S s, M p, Column at, int n, int lanes);

    /// <summary>decay · s + next: one segment's end, given its start.</summary>
    static abstract S After(ref S decay, ref S s, ref S next);

    /// <summary>B u: what a step that looks back needs of the token before.</summary>
    static abstract S Input<PB>(V u, int n, M B, Column b) where PB : struct, IProjection<V, M>;

    /// <summary>h ← α h + Δ (γ p + β p₋); returns y + C·h. <paramref name="previousInput"/> is p₋ on entry and p on exit, if steps look back.</summary>
    static abstract V Step<PB, PC>(ref S h, ref S previousInput, ref S a, V y, V delta, V u, V deltaU, int n, M B, Column b, M C, Column c)
        where PB : struct, IProjection<V, M>
        where PC : struct, IProjection<V, M>;

    /// <summary>The same without y, and <paramref name="decay"/> ← α decay.</summary>
    static abstract void Advance<PB>(ref S h, ref S previousInput, ref S decay, ref S a, V delta, V u, V deltaU, int n, M B, Column b)
        where PB : struct, IProjection<V, M>;

    /// <summary>
    /// The same without y, keeping α, h₋ and p₋ in scratch for the reverse walk. Where a sequence <paramref name="starts"/>, h₋ and p₋ count as
    /// zero; h₋ is kept all the same, for the step before.
    /// </summary>
    static abstract void Recompute<PB>(ref S h, ref S previousInput, ref S a, bool starts, V delta, V u, V deltaU, int n, M B, Column b, M scratch, Column kept)
        where PB : struct, IProjection<V, M>;

    /// <summary>
    /// One step back. <paramref name="g"/> is ᾱ g of the step after on entry and of this one on exit, <paramref name="dPreviousInput"/> ∂L/∂p through
    /// the step after, then ∂L/∂p₋ through this one; <paramref name="h"/> goes from h to h₋. dA and the sums gain this step's part, and
    /// so do the gradients of B and C at <paramref name="dB"/> and <paramref name="dC"/>.
    /// </summary>
    static abstract void Reverse<PB, PC>(ref S g, ref S dPreviousInput, ref S dA, ref S h, ref S a, ref StepSums<V> sums, bool starts, V delta, V u, V deltaU,
        V dy, int n,
        M B, Column b, M C, Column c, M scratch, Column kept, Column dB, Column dC)
        where PB : struct, IProjection<V, M>
        where PC : struct, IProjection<V, M>;

    /// <summary>g ← ᾱ (g + C dy) and <paramref name="decay"/> ← ᾱ decay: the reverse walk without anything that is gathered.</summary>
    static abstract void Retreat<PC>(ref S g, ref S decay, ref S a, V delta, V dy, int n, M C, Column c)
        where PC : struct, IProjection<V, M>;
}
