using System.Globalization;

namespace Mamba;

/// <summary>
/// What a model remembers of the tokens so far: the state of each layer, and how many tokens there were. Its size does not depend on that. Made by
/// <see cref="MambaModel.NewState"/> or <see cref="MambaBackbone.NewState"/>.
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
    const string Format = "mamba-state", PositionKey = "position", PendingKey = "pending", ModelKey = "model";

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

    /// <summary>
    /// Tokens of the text that the model has yet to read: the last one that it generated. Who goes on from the state begins with them, as
    /// <see cref="MambaLM.Generate(IReadOnlyList{int}, Generation, CancellationToken)"/> does.
    /// </summary>
    public IReadOnlyList<int> Pending { get; set; } = [];

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

    /// <summary>Makes its values leaves of the open tape, in the order of <see cref="Named"/>, and carries gradients from there on.</summary>
    internal Tensor[] Begin()
    {
        CarryGradient = true;
        return [.. Named().Select(named => named.Tensor.Begin())];
    }

    /// <summary>Its values as the open tape made them, in the same order.</summary>
    internal Tensor[] Recorded() => [.. Named().Select(named => named.Tensor.Recorded)];

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
        Pending = [];
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
        Pending = other.Pending;
    }

    /// <summary>Another state with the same values, to be disposed by the caller: to try several continuations of one beginning.</summary>
    public MambaState Clone()
    {
        var clone = new MambaState(backbone, Batch);
        clone.CopyFrom(this);
        return clone;
    }

    /// <summary>Another state, of some of the sequences, in any order and as often as wanted. To be disposed by the caller.</summary>
    /// <param name="rows">Which, from 0.</param>
    /// <exception cref="MambaException">There is no such sequence.</exception>
    public MambaState Gather(params ReadOnlySpan<int> rows)
    {
        foreach (int row in rows)
            if (row < 0 || row >= Batch)
                throw new MambaException($"MambaState: sequence {row} was asked for; there are {Batch}.");
        var gathered = new MambaState(backbone, rows.Length) { Position = Position };
        foreach ((StateTensor from, StateTensor to) in Named().Zip(gathered.Named(), (a, b) => (a.Tensor, b.Tensor)))
            for (int i = 0; i < rows.Length; i++)
                to.Overwrite().Rows(i, 1).CopyFrom(from.Value.Rows(rows[i], 1));
        return gathered;
    }

    /// <summary>
    /// Writes it as safetensors: <c>layers.I.NAME</c>, (b, …) each; as metadata the position, what is pending, and which model it is of: its sizes and a
    /// sample of its weights.
    /// </summary>
    /// <param name="path">The file, replaced if it is there.</param>
    public void Save(string path)
    {
        var writer = new SafetensorsWriter
        {
            Metadata =
            {
                ["format"] = Format,
                [PositionKey] = Position.ToString(CultureInfo.InvariantCulture),
                [PendingKey] = string.Join(',', Pending.Select(id => id.ToString(CultureInfo.InvariantCulture))),
                [ModelKey] = backbone.Fingerprint(),
            },
        };
        foreach ((string name, StateTensor tensor) in Named())
            writer.Add(name, tensor.Value);
        writer.Save(path);
    }

    /// <summary>
    /// Takes over what <see cref="Save"/> wrote, of this model and a batch of this size. All of it changes or nothing. On the same device and in the same
    /// dtype, what follows has the bits of an unbroken run; a state of another device, or of the model in another dtype, is loaded too, rounded, and what
    /// follows is the same to rounding.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <exception cref="MambaException">The file is broken, or holds something else, or the state of another model.</exception>
    public void Load(string path)
    {
        using WeightFiles file = WeightFiles.Open(path);
        if (file.Metadata.GetValueOrDefault("format") != Format
            || Numbers.Long(file.Metadata.GetValueOrDefault(PositionKey)) is not { } position || position < 0)
            throw new MambaException($"{path}: this is not the state of a model.");
        int?[] pending = [.. (file.Metadata.GetValueOrDefault(PendingKey) ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries)
            .Select(id => Numbers.Index(id))];
        if (pending.Contains(null))
            throw new MambaException($"{path}: its pending tokens are no token ids.");
        (string Name, StateTensor Tensor)[] tensors = [.. Named()];
        file.Expect(tensors.Select(t => (t.Name, t.Tensor.Value.Shape)), "a state of this model and batch");
        file.ExpectFloats();
        string own = backbone.Fingerprint(), given = file.Metadata.GetValueOrDefault(ModelKey) ?? "";
        if (given != own)
            throw new MambaException($"{path}: this is the state of another model, {Safetensors.Quote(given)}; expected that of {Safetensors.Quote(own)}.");
        double[][] values = [.. tensors.Select(t => file.ReadDoubles(t.Name))];
        for (int i = 0; i < values.Length; i++)
            tensors[i].Tensor.Overwrite().WriteRounded(values[i]);
        (Position, Pending) = (position, [.. pending.Select(id => id!.Value)]);
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
