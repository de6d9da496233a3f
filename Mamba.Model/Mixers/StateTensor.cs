namespace Mamba;

/// <summary>One tensor of a <see cref="MixerState"/>: values that outlive every tape and scope, and how they came about while that is of use.</summary>
public sealed class StateTensor
{
    readonly MixerState state;
    Tensor? recorded;       // the same values as a tape's tensor, which gradients flow through
    Tape? recordedBy;

    internal StateTensor(MixerState state, string name, Tensor value) => (this.state, Name, Value) = (state, name, value);

    /// <summary>Its name within the state: <c>ssm</c>.</summary>
    public string Name { get; }

    /// <summary>The values now.</summary>
    public Tensor Value { get; }

    /// <summary>
    /// The values for ops to start from. Where the state carries gradients and the open tape made them, gradients flow into what is before; otherwise they
    /// are a constant, copied if a tape is open: <see cref="Write"/> overwrites the values, and what the backward pass will read must stay.
    /// </summary>
    public Tensor Read() =>
        recorded is not null && state.CarryGradient && recordedBy == Tape.Recording ? recorded : Tape.Recording is null ? Value : Value.Clone();

    /// <summary>The state has moved on: copies the values, and remembers how they came about if gradients are to be carried.</summary>
    /// <param name="next">In the shape of <see cref="Value"/>.</param>
    public void Write(Tensor next)
    {
        Value.CopyFrom(next);
        Detach();
        if (state.CarryGradient && Tape.Recording is { } tape)
            (recorded, recordedBy) = (next, tape);
    }

    /// <summary>The values, to be changed in place by a kernel; how they came about is forgotten.</summary>
    public Tensor Overwrite()
    {
        Detach();
        return Value;
    }

    /// <summary>The values as a leaf of the open tape, for the gradient by them; ops start from it.</summary>
    internal Tensor Begin()
    {
        (recorded, recordedBy) = (Tape.Watch(Value.Clone()), Tape.Recording);
        return recorded;
    }

    /// <summary>The values as the open tape made them.</summary>
    internal Tensor Recorded => recorded ?? throw new InvalidOperationException($"The state '{Name}' was not written on this tape.");

    internal void Detach() => (recorded, recordedBy) = (null, null);
}
