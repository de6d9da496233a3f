namespace Mamba;

/// <summary>
/// ∂loss/∂x for every parameter and watched tensor. Those of one <see cref="ParameterSet"/> lie in one run of memory, laid
/// out like the set. Made by <see cref="Tape.Backward(Tensor, Gradients?)"/> they live as long as the scope they were made in.
/// </summary>
public sealed partial class Gradients
{
    readonly Dictionary<Tensor, Tensor> byTensor = new(ReferenceEqualityComparer.Instance);
    readonly Dictionary<ParameterSet, Tensor> bySet = [];

    /// <summary>No gradients yet; give them to Backward to be added to.</summary>
    public Gradients() { }

    /// <summary>Zero gradients for a set of parameters, made in the scope open now: open it outside the micro-batches' tapes.</summary>
    public Gradients(ParameterSet parameters) => FlatOf(parameters);

    /// <summary>∂loss/∂tensor, in the tensor's shape. The loss must depend on it.</summary>
    /// <exception cref="MambaException">There is none; the message says why.</exception>
    public Tensor this[Tensor tensor] => byTensor.TryGetValue(tensor, out Tensor? gradient)
        ? gradient
        : throw new MambaException($"There is no gradient of the tensor {tensor}: {WhyNot(tensor)}");

    static string WhyNot(Tensor tensor) =>
        !tensor.RequiresGrad ? tensor.Owner is null ? "it was not watched; Tape.Watch marks a tensor, before the ops on it." : "it is a parameter, and frozen."
        : tensor is { RecordedOn: not null, RetainsGrad: false } ? "an op made it, and it was not watched; Tape.Watch or RetainGrad keeps its gradient."
        : "the loss does not depend on it through ops run while it was watched and the tape recorded.";

    /// <summary>∂loss/∂parameter.</summary>
    public Tensor this[Parameter parameter] => this[parameter.Value];

    /// <summary>Whether the loss depended on <paramref name="tensor"/>.</summary>
    public bool Contains(Tensor tensor) => byTensor.ContainsKey(tensor);

    /// <summary>The gradient of a watched tensor, which is forgotten here; null if the loss did not depend on it.</summary>
    internal Tensor? Release(Tensor watched) => byTensor.Remove(watched, out Tensor? gradient) ? gradient : null;

    internal IEnumerable<Tensor> Flats => bySet.Values;

    /// <summary>The gradients of a whole set, zero where the loss does not depend on a parameter.</summary>
    internal Tensor FlatOf(ParameterSet set)
    {
        if (!bySet.TryGetValue(set, out Tensor? flat))
            bySet[set] = flat = Tensor.Zeros(set.Flat.Shape, set.DType, set.Device);
        return flat;
    }

    /// <summary>
    /// Adds <paramref name="gradient"/> to what there is for <paramref name="leaf"/>; true if it keeps the tensor itself. A
    /// shared one it copies: what is kept may be added to later.
    /// </summary>
    internal bool Take(Tensor leaf, Tensor gradient, bool shared)
    {
        if (byTensor.TryGetValue(leaf, out Tensor? sum))
        {
            Ops.AddInto(sum, gradient);
            return false;
        }
        if (leaf.Owner is ParameterSet set)
        {
            byTensor[leaf] = sum = FlatOf(set).Part(set.OffsetOf(leaf), leaf.Shape);
            sum.CopyFrom(gradient);
            return false;
        }
        byTensor[leaf] = shared ? gradient.Clone() : gradient;
        return !shared;
    }
}
