namespace Mamba;

/// <summary>
/// What a <see cref="Mixer"/> remembers of the tokens so far: some tensors, (b, …) each. A mixer derives its own and adds what it needs:
/// <code>
/// sealed class MeanState : MixerState
/// {
///     public MeanState(long batch, int width, DType dtype, Device device) : base(batch, dtype, device) => Sum = Add("sum", width);
///
///     public StateTensor Sum { get; }         // (b, width)
/// }
/// </code>
/// In Forward it takes <c>state.Sum.Read()</c> and ends with <c>state.Sum.Write(next)</c>. Cloning, saving, resetting and gradients that cross pieces
/// follow from that.
/// </summary>
public abstract class MixerState : IDisposable
{
    readonly List<StateTensor> tensors = [];
    readonly DType dtype;
    readonly Device device;

    /// <param name="batch">Number of sequences.</param>
    /// <param name="dtype">Element type of its tensors.</param>
    /// <param name="device">Where they are.</param>
    protected MixerState(long batch, DType dtype, Device device) => (Batch, this.dtype, this.device) = (batch, dtype, device);

    /// <summary>Number of sequences, b.</summary>
    public long Batch { get; }

    /// <summary>Its tensors, in the order they were added in.</summary>
    public IReadOnlyList<StateTensor> Tensors => tensors;

    /// <summary>
    /// Whether it remembers how it came about: gradients then flow from a piece of a sequence into those before it, as far back as the open tape, or the
    /// last <see cref="Detach"/>, goes. Off, the state is a constant.
    /// </summary>
    public bool CarryGradient { get; set; }

    /// <summary>Makes a new state like this one.</summary>
    internal Func<MixerState>? Maker { get; set; }

    /// <summary>Adds a tensor of zeros.</summary>
    /// <param name="name">Its name within the state.</param>
    /// <param name="shape">Its shape for one sequence: (n, d) becomes (b, n, d).</param>
    protected StateTensor Add(string name, Shape shape)
    {
        var tensor = new StateTensor(this, name, Tensor.Zeros(new Shape([Batch, .. shape.ToArray()]), dtype, device).Unowned());
        tensors.Add(tensor);
        return tensor;
    }

    /// <summary>
    /// The tensors as the official code of the architecture names and lays them out, for comparing with it; as they are here unless a mixer says otherwise.
    /// </summary>
    public virtual IEnumerable<(string Name, Tensor Value)> Official() => tensors.Select(tensor => (tensor.Name, tensor.Value));

    /// <summary>Keeps the values and forgets how they came about: no gradient flows into what is before.</summary>
    public void Detach()
    {
        foreach (StateTensor tensor in tensors)
            tensor.Detach();
    }

    /// <summary>Forgets everything: the state before the first token.</summary>
    public void Reset()
    {
        foreach (StateTensor tensor in tensors)
            tensor.Overwrite().Clear();
    }

    /// <summary>Takes over the values of another state of the same mixer, as a constant.</summary>
    /// <param name="other">A state of as many sequences.</param>
    /// <exception cref="MambaException">It is of another kind or size.</exception>
    public void CopyFrom(MixerState other)
    {
        if (other.GetType() != GetType() || other.Batch != Batch || other.tensors.Count != tensors.Count)
            throw new MambaException($"{GetType().Name}: a {other.GetType().Name} of {other.Batch} sequences was given; "
                + $"expected a {GetType().Name} of {Batch}.");
        for (int i = 0; i < tensors.Count; i++)
            tensors[i].Overwrite().CopyFrom(other.tensors[i].Value);
    }

    /// <summary>Another state with the same values, to be disposed by the caller. It is a constant.</summary>
    public MixerState Clone()
    {
        MixerState clone = Maker?.Invoke() ?? throw new InvalidOperationException(
            $"{GetType().Name}: it was not made by NewState, so there is no telling how to make another.");
        clone.CopyFrom(this);
        return clone;
    }

    /// <summary>Gives its memory back.</summary>
    public void Dispose()
    {
        Detach();
        foreach (StateTensor tensor in tensors)
            tensor.Value.Dispose();
        GC.SuppressFinalize(this);
    }
}
