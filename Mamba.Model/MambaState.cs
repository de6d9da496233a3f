namespace Mamba;

/// <summary>
/// What a model remembers of the tokens so far: for each layer the last k inputs of the convolution and the n states of each
/// channel. Its size does not depend on how many tokens there were. Made by <see cref="MambaLM.NewState"/>.
/// </summary>
/// <remarks>
/// It holds values of its own, which outlive every tape: closing one leaves the state as it is. Training on a sequence in
/// pieces, each with a tape, is truncated backpropagation through time: a piece starts from the values. For gradients that
/// cross pieces, turn <see cref="CarryGradient"/> on and keep those pieces on one tape:
/// <code>
/// using MambaState state = model.NewState(batch);
/// state.CarryGradient = true;
/// foreach (Tensor[] window in windows)            // as far as gradients reach
/// {
///     using var tape = new Tape();
///     foreach (Tensor piece in window)
///         losses.Add(Loss(model.Forward(piece, state)));
///     ...                                         // state.Detach() cuts within a window
/// }
/// </code>
/// </remarks>
public sealed class MambaState : IDisposable
{
    internal MambaState(MambaConfig config, long batch, DType dtype, Device device)
    {
        Batch = batch;
        Layers = [.. Enumerable.Range(0, config.NLayer).Select(_ => new Layer(
            Tensor.Zeros((batch, config.SsmCfg.DConv, config.DInner), dtype, device).Unowned(),
            Tensor.Zeros((batch, config.SsmCfg.DState, config.DInner), dtype, device).Unowned()))];
    }

    /// <summary>Number of sequences.</summary>
    public long Batch { get; }

    /// <summary>The layers, first to last.</summary>
    public IReadOnlyList<Layer> Layers { get; }

    /// <summary>Tokens seen so far.</summary>
    public long Position { get; internal set; }

    /// <summary>
    /// Whether <see cref="MambaLM.Forward"/> remembers how it came to this state: gradients then flow from a piece of a
    /// sequence into those before it, as far back as the open tape, or the last <see cref="Detach"/>, goes. Off, the state is
    /// a constant.
    /// </summary>
    public bool CarryGradient { get; set; }

    /// <summary>Keeps the values and forgets how they came about: no gradient flows into what is before.</summary>
    public void Detach()
    {
        recordedBy = null;
        foreach (Layer layer in Layers)
            layer.Recorded = null;
    }

    // What the layers have recorded is of use on the tape it is on, while nothing else has moved the state on.
    Tape? recordedBy;
    long recordedAt;

    /// <summary>Called before the layers read the state.</summary>
    internal void Begin()
    {
        if (!CarryGradient || recordedBy is null || recordedBy != Tape.Recording || recordedAt != Position)
            Detach();
    }

    /// <summary>Called when all layers have moved on by <paramref name="length"/> tokens.</summary>
    internal void End(long length)
    {
        Position += length;
        if (CarryGradient && Tape.Recording is not null)
            (recordedBy, recordedAt) = (Tape.Recording, Position);
        else
            Detach();
    }

    /// <summary>Forgets everything: the state before the first token.</summary>
    public void Reset()
    {
        Position = 0;
        Detach();
        foreach (Layer layer in Layers)
        {
            layer.Conv.Clear();
            layer.Ssm.Clear();
        }
    }

    public void Dispose()
    {
        Detach();
        foreach (Layer layer in Layers)
        {
            layer.Conv.Dispose();
            layer.Ssm.Dispose();
        }
    }

    /// <summary>The state of one layer.</summary>
    /// <param name="Conv">(b, k, d): the last k raw inputs of the convolution, oldest first.</param>
    /// <param name="Ssm">(b, n, d): h.</param>
    public sealed record Layer(Tensor Conv, Tensor Ssm)
    {
        /// <summary>The same values as the tape's tensors, which gradients flow through.</summary>
        internal (Tensor Conv, Tensor Ssm)? Recorded { get; set; }

        /// <summary>The state as a piece starts from it. The values are overwritten when it ends; what the backward pass will read must stay.</summary>
        internal (Tensor Conv, Tensor Ssm) Before() => Recorded ?? (Tape.Recording is null ? (Conv, Ssm) : (Conv.Clone(), Ssm.Clone()));

        internal void MoveOn(Tensor conv, Tensor ssm)
        {
            Conv.CopyFrom(conv);
            Ssm.CopyFrom(ssm);
            Recorded = (conv, ssm);
        }
    }
}
