using System.Globalization;

namespace Mamba;

/// <summary>
/// What a model remembers of the tokens so far: the state of each layer, and how many tokens there were. Its size does not depend on that. Made by
/// <see cref="MambaLM.NewState"/> or <see cref="MambaBackbone.NewState"/>.
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
    const string Format = "mamba-state", PositionKey = "position";

    readonly MambaBackbone backbone;

    internal MambaState(MambaBackbone backbone, long batch)
    {
        this.backbone = backbone;
        Batch = batch;
        Layers = [.. backbone.Layers.Select(layer => layer.Mixer.NewState(batch, backbone.DType, backbone.Device))];
    }

    /// <summary>Number of sequences.</summary>
    public long Batch { get; }

    /// <summary>The states of the layers, first to last.</summary>
    public IReadOnlyList<MixerState> Layers { get; }

    /// <summary>Tokens seen so far.</summary>
    public long Position { get; internal set; }

    /// <inheritdoc cref="MixerState.CarryGradient"/>
    public bool CarryGradient
    {
        get;
        set
        {
            field = value;
            foreach (MixerState layer in Layers)
                layer.CarryGradient = value;
        }
    }

    /// <inheritdoc cref="MixerState.Detach"/>
    public void Detach()
    {
        foreach (MixerState layer in Layers)
            layer.Detach();
    }

    /// <inheritdoc cref="MixerState.Reset"/>
    public void Reset()
    {
        Position = 0;
        foreach (MixerState layer in Layers)
            layer.Reset();
    }

    /// <summary>Takes over the values of another state of this model, or of one like it, as a constant.</summary>
    /// <param name="other">A state of as many sequences and layers.</param>
    /// <exception cref="MambaException">It does not fit.</exception>
    public void CopyFrom(MambaState other)
    {
        if (other.Layers.Count != Layers.Count)
            throw new MambaException($"MambaState: a state of {other.Layers.Count} layers was given; expected {Layers.Count}.");
        for (int i = 0; i < Layers.Count; i++)
            Layers[i].CopyFrom(other.Layers[i]);
        Position = other.Position;
    }

    /// <summary>Another state with the same values, to be disposed by the caller: to try several continuations of one beginning.</summary>
    public MambaState Clone()
    {
        var clone = new MambaState(backbone, Batch);
        clone.CopyFrom(this);
        return clone;
    }

    /// <summary>Writes it as safetensors: <c>layers.I.NAME</c>, (b, …) each, and the position as metadata.</summary>
    /// <param name="path">The file, replaced if it is there.</param>
    public void Save(string path)
    {
        var writer = new SafetensorsWriter { Metadata = { ["format"] = Format, [PositionKey] = Position.ToString(CultureInfo.InvariantCulture) } };
        foreach ((string name, StateTensor tensor) in Named())
            writer.Add(name, tensor.Value);
        writer.Save(path);
    }

    /// <summary>Takes over what <see cref="Save"/> wrote, of a model and a batch of these sizes. All of it changes or nothing.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="MambaException">The file is broken, or holds something else.</exception>
    public void Load(string path)
    {
        using WeightFiles file = WeightFiles.Open(path);
        if (file.Metadata.GetValueOrDefault("format") != Format
            || Numbers.Long(file.Metadata.GetValueOrDefault(PositionKey)) is not { } position || position < 0)
            throw new MambaException($"{path}: this is not the state of a model.");
        (string Name, StateTensor Tensor)[] tensors = [.. Named()];
        file.Expect(tensors.Select(t => (t.Name, t.Tensor.Value.Shape)), "a state of this model and batch");
        file.ExpectFloats();
        double[][] values = [.. tensors.Select(t => file.ReadDoubles(t.Name))];
        for (int i = 0; i < values.Length; i++)
            tensors[i].Tensor.Overwrite().WriteRounded(values[i]);
        Position = position;
    }

    internal IEnumerable<(string Name, StateTensor Tensor)> Named() =>
        Layers.SelectMany((layer, i) => layer.Tensors.Select(tensor => ($"layers.{i}.{tensor.Name}", tensor)));

    /// <summary>Gives its memory back.</summary>
    public void Dispose()
    {
        foreach (MixerState layer in Layers)
            layer.Dispose();
    }
}
