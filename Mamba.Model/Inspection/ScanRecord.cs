using Mamba.Gpu;

namespace Mamba;

/// <summary>
/// Takes down the scan of one layer: what went in, what came out, and in how many pieces. The states, which no fused kernel stores, are computed from that
/// when they are asked for, and so are their gradients: the adjoint recurrence, from ∂L/∂y and ∂L/∂(last state) of each piece, which the tape has.
/// </summary>
/// <param name="write">Takes each array's name, values (b, tokens, …), whether those are of tokens, and whether of states.</param>
/// <param name="wanted">What is taken down.</param>
internal sealed class ScanRecord(TraceValues wanted, Action<string, Tensor, bool, bool> write)
{
    /// <summary>A scan in one piece.</summary>
    /// <param name="X">Its inputs; delta as it is used, no gate.</param>
    /// <param name="Out">Its outputs.</param>
    /// <param name="Changed">What its last state was changed to (b, n, d); null: it was not.</param>
    sealed record Piece(ScanInputs X, ScanOutputs Out, Tensor? Changed);

    readonly List<Piece> pieces = [];
    ScanInputs? inputs;
    Tensor? z, y;

    public void Begin(ScanInputs x, Tensor? gate)
    {
        if (inputs is not null)
            throw new MambaException("Trace: the layer has more than one scan; expected one.");
        (inputs, z) = (x, gate);
        Watch(x.U, x.Delta, x.B, x.C, gate);
    }

    public void Add(ScanInputs x, ScanOutputs scan, Tensor? changed)
    {
        // without a tape a state's values are there until the block overwrites them
        if (Tape.Recording is null)
            x = x with { InitialState = x.InitialState?.Clone(), PreviousInput = x.PreviousInput?.Clone() };
        pieces.Add(new Piece(x, scan, changed));
        Watch(scan.Y, scan.LastState, changed);
    }

    public void End(Tensor output)
    {
        y = output;
        Watch(output);
    }

    static void Watch(params Tensor?[] tensors)
    {
        if (Tape.Recording is null)
            return;
        foreach (Tensor? tensor in tensors)
            if (tensor is not null)
                Tape.Watch(tensor);
    }

    /// <summary>Writes the values.</summary>
    /// <param name="constants">Whether A and D are written too.</param>
    public void WriteValues(bool constants)
    {
        using IDisposable pause = Tape.NoGrad();
        using var scope = new TensorScope();
        ScanInputs x = inputs!;
        if (constants)
        {
            write("A", x.A, false, false);
            if (x.D is not null)
                write("D", x.D, false, false);
        }
        foreach ((TraceValues which, string name, Tensor? values) in Given(x))
            if (wanted.HasFlag(which) && values is not null)
                write(name, values, true, false);
        Recurrence[] parts = NeedsStates ? [.. pieces.Select(piece => new Recurrence(piece.X))] : [];
        if (wanted.HasFlag(TraceValues.Abar))
            write("Abar", Joined(parts.Select(part => part.Abar)), true, true);
        if (wanted.HasFlag(TraceValues.Bbar))
            write("Bbar", Joined(parts.Select(part => part.Bbar)), true, true);
        if (wanted.HasFlag(TraceValues.H))
            write("h", Joined(parts.Zip(pieces, (part, piece) => WithLast(part.H, piece.Changed))), true, true);
    }

    /// <summary>Writes the gradients, of a tape that was open at the time.</summary>
    public void WriteGradients(Gradients gradients)
    {
        using IDisposable pause = Tape.NoGrad();
        using var scope = new TensorScope();
        ScanInputs x = inputs!;
        foreach ((TraceValues which, string name, Tensor? values) in Given(x))
            if (wanted.HasFlag(which) && values is not null)
                write("d" + name, Of(values), true, false);
        if (!NeedsStates)
            return;
        var dh = new List<Tensor>();
        var dAbar = new List<Tensor>();
        var dBbar = new List<Tensor>();
        foreach (Piece piece in pieces)
        {
            var part = new Recurrence(piece.X);
            (Tensor g, Tensor da) = part.Backward(Of(piece.Out.Y), Of(piece.Out.LastState));
            dh.Add(piece.Changed is null ? g : WithLast(g, Of(piece.Changed)));
            dAbar.Add(da);
            dBbar.Add(g * Ops.Reshape(piece.X.U, (x.Batch, piece.X.Length, 1, x.Channels)));
        }
        if (wanted.HasFlag(TraceValues.Abar))
            write("dAbar", Joined(dAbar), true, true);
        if (wanted.HasFlag(TraceValues.Bbar))
            write("dBbar", Joined(dBbar), true, true);
        if (wanted.HasFlag(TraceValues.H))
            write("dh", Joined(dh), true, true);

        Tensor Of(Tensor tensor) => gradients.Contains(tensor) ? gradients[tensor] : Tensor.Zeros(tensor.Shape, tensor.DType, tensor.Device);
    }

    bool NeedsStates => (wanted & (TraceValues.Abar | TraceValues.Bbar | TraceValues.H)) != 0;

    (TraceValues, string, Tensor?)[] Given(ScanInputs x) =>
    [
        (TraceValues.U, "u", x.U), (TraceValues.Delta, "delta", x.Delta), (TraceValues.B, "B", x.B), (TraceValues.C, "C", x.C),
        (TraceValues.Y, "y", y), (TraceValues.Z, "z", z),
    ];

    static Tensor Joined(IEnumerable<Tensor> parts) => parts.ToArray() is [var only] ? only : Ops.Concat(1, [.. parts]);

    // h (b, l, n, d) with another last state (b, n, d)
    static Tensor WithLast(Tensor h, Tensor? last) => last is null ? h
        : Ops.Concat(1, Ops.Slice(h, 1, 0, h.Shape[1] - 1), Ops.Reshape(last, (h.Shape[0], 1, h.Shape[2], h.Shape[3])));

    /// <summary>A piece as the recurrence h_t = Ā_t h_{t−1} + x_t, every coefficient and state there.</summary>
    sealed class Recurrence
    {
        readonly ScanInputs x;
        readonly ScanCoefficients c;
        readonly Tensor? initial;       // (b, n·d)

        public Recurrence(ScanInputs x)
        {
            this.x = x;
            c = new ScanCoefficients(x);
            initial = x.InitialState is null ? null : Ops.Reshape(x.InitialState, (x.Batch, x.States * x.Channels));
            Bbar = c.Gamma is null ? c.Delta * c.B : c.Delta * c.B * c.Gamma;
            Tensor sources = c.Beta is null ? Bbar * Ops.Reshape(x.U, (x.Batch, x.Length, 1, x.Channels)) : c.Sources();
            H = Ops.Reshape(Ops.LinearRecurrence(Flat(c.Alpha), Flat(sources), initial, LinearScan.Sequential, x.Reset), Whole);
        }

        Shape Whole => (x.Batch, x.Length, x.States, x.Channels);

        public Tensor H { get; }

        public Tensor Abar => c.Within(c.Alpha, c.Starts);

        public Tensor Bbar { get; }

        /// <summary>g_t = ∂L/∂h_t = C_t dy_t + Ā_{t+1} g_{t+1}, and g_t h_{t−1} = ∂L/∂Ā_t: both (b, l, n, d).</summary>
        /// <param name="dY">(b, l, d)</param>
        /// <param name="dLast">(b, n, d): what comes from after the piece.</param>
        public (Tensor G, Tensor DAbar) Backward(Tensor dY, Tensor dLast)
        {
            Tensor direct = c.C * Ops.Reshape(dY, (x.Batch, x.Length, 1, x.Channels));
            Tensor last = Ops.Slice(direct, 1, x.Length - 1, 1) + Ops.Reshape(dLast, (x.Batch, 1, x.States, x.Channels));
            direct = WithLast(direct, last);
            Tensor g = Flat(direct.Like()), da = g.Like();
            LinearRecurrenceKernels.Backward(LinearScan.Sequential, Flat(c.Alpha), initial, x.Reset, Flat(H), Flat(direct), g, da, initial?.Like());
            return (Ops.Reshape(g, Whole), Ops.Reshape(da, Whole));
        }

        Tensor Flat(Tensor values) => Ops.Reshape(values, (x.Batch, x.Length, x.States * x.Channels));
    }
}
