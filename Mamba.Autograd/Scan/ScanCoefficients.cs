using Mamba.Gpu;

namespace Mamba;

/// <summary>
/// A selective scan as the linear recurrence it is, every coefficient stored:
/// <code>h_t = Ā_t h_{t−1} + x_t,   x_t = Δ_t (γ_t B_t u_t + β_t B_{t−1} u_{t−1}),   y_t = (C_t·h_t + D u_t) · silu(z_t)</code>
/// with Ā, x, h (b, l, n, d). All of it primitive ops, so the tape knows its gradient. A <see cref="ScanAlgorithm"/> of one's own takes
/// <see cref="Alpha"/> and <see cref="Sources"/>, computes h in its own way and returns <see cref="Result(Tensor)"/>. For real A.
/// </summary>
public sealed class ScanCoefficients
{
    readonly ScanInputs x;
    readonly Tensor zero;       // ()
    Tensor? inputs;             // (b, l, n, d)

    /// <summary>The coefficients of <paramref name="inputs"/>.</summary>
    /// <exception cref="MambaException">A is complex.</exception>
    public ScanCoefficients(ScanInputs inputs)
    {
        x = inputs;
        if (x.IsComplex)
            throw new MambaException("SelectiveScan: complex A is computed by the chunked algorithm alone; expected A (d, n).");
        Tensor delta = x.DeltaBias is null ? x.Delta : x.Delta + x.DeltaBias;
        Delta = Ops.Reshape(x.Softplus ? Ops.Softplus(delta) : delta, (x.Batch, x.Length, 1, x.Channels));
        Tensor z = Delta * PerChannel(x.A);                                                                 // (b, l, n, d)
        zero = Tensor.Zeros(new Shape(), x.U.DType, x.U.Device);
        Starts = x.Reset is null ? null : Ops.Reshape(x.Reset, (x.Batch, x.Length, 1, 1));
        B = Projection(x.B);
        C = Projection(x.C);
        var functions = new Functions(z);
        x.Discretization.Choose(functions);
        Alpha = functions.Alpha!;
        Gamma = functions.Gamma;
        Beta = functions.Beta is null ? null : Within(functions.Beta, Starts);
    }

    /// <summary>Δ (b, l, 1, d), after bias and softplus.</summary>
    public Tensor Delta { get; }

    /// <summary>Ā = α(ΔA) (b, l, n, d): what remains of a state. Where a sequence starts it counts for nothing.</summary>
    public Tensor Alpha { get; }

    /// <summary>γ (b, l, n, d): the weight of a token's own input; null where it is 1.</summary>
    public Tensor? Gamma { get; }

    /// <summary>β (b, l, n, d): the weight of the input of the token before, 0 where a sequence starts; null where it is 0 throughout.</summary>
    public Tensor? Beta { get; }

    /// <summary>B (b or 1, l or 1, n, d or 1).</summary>
    public Tensor B { get; }

    /// <summary>C (b or 1, l or 1, n, d or 1).</summary>
    public Tensor C { get; }

    /// <summary>(b, l, 1, 1) int32: not 0 where a sequence starts; null if none does.</summary>
    public Tensor? Starts { get; }

    /// <summary>B u (b, l, n, d): the inputs of the states.</summary>
    public Tensor Inputs => inputs ??= Ops.Expand(B, (x.Batch, x.Length, x.States, x.Channels)) * Ops.Reshape(x.U, (x.Batch, x.Length, 1, x.Channels));

    /// <summary>x_t = Δ_t (γ_t B_t u_t + β_t B_{t−1} u_{t−1}) (b, l, n, d): what each token adds to the states. Computed anew at every call.</summary>
    public Tensor Sources()
    {
        Tensor sources = Gamma is null ? Inputs : Gamma * Inputs;
        if (Beta is not null)
        {
            Tensor first = Ops.Reshape(x.PreviousInput ?? Tensor.Zeros(x.StateShape, x.U.DType, x.U.Device), (x.Batch, 1, x.States, x.Channels));
            sources += Beta * Within(Ops.Slice(Ops.Concat(1, first, Inputs), 1, 0, x.Length), Starts);
        }
        return Delta * sources;
    }

    /// <summary>The state before the first token (b, 1, n, d), zeros if none was given.</summary>
    public Tensor InitialState() => x.InitialState is null
        ? Tensor.Zeros((x.Batch, 1, x.States, x.Channels), x.U.DType, x.U.Device)
        : Ops.Reshape(x.InitialState, (x.Batch, 1, x.States, x.Channels));

    /// <summary>What remains at token t of <paramref name="states"/> (b, …, n, d) after the token before: Ā_t times these, 0 where a sequence starts.</summary>
    public Tensor Decayed(Tensor states, long t)
    {
        Tensor? starts = t == 0 && x.InitialState is null ? Tensor.From([1], (1, 1, 1, 1), x.U.Device) : StartsAt(t);
        return Within(Ops.Slice(Alpha, 1, t, 1), starts) * Within(states, starts);
    }

    /// <summary>The outputs, from the states h (b, l, n, d) after each token.</summary>
    public ScanOutputs Result(Tensor h)
    {
        Tensor y = Ops.Sum(Ops.Expand(C, (x.Batch, x.Length, x.States, x.Channels)) * h, 2);               // y_t = C_t·h_t
        return Result(y, Last(h));
    }

    /// <summary>The outputs, from C·h (b, l, d) and the last state (b, n, d): D, the gate and the last input are added here.</summary>
    public ScanOutputs Result(Tensor y, Tensor lastState)
    {
        Tensor? lastInput = !x.Discretization.LooksBack ? null
            : x.Length > 0 ? Last(Inputs) : x.PreviousInput ?? Tensor.Zeros(lastState.Shape, lastState.DType, lastState.Device);
        if (x.D is not null)
            y += x.D * x.U;
        if (x.Z is not null)
            y *= Ops.Silu(x.Z);
        return new ScanOutputs(y, lastState, lastInput);
    }

    /// <summary>The last token's slice (b, n, d) of states (b, l, n, d), or the state before the first where there is none.</summary>
    internal Tensor Last(Tensor states) => x.Length > 0
        ? Ops.Reshape(Ops.Slice(states, 1, x.Length - 1, 1), x.StateShape)
        : x.InitialState ?? Tensor.Zeros(x.StateShape, x.U.DType, x.U.Device);

    /// <summary>Whether token t starts a sequence (b, 1, 1, 1); null if none does.</summary>
    internal Tensor? StartsAt(long t) => Starts is null ? null : Ops.Slice(Starts, 1, t, 1);

    /// <summary>
    /// The values, and 0 where a sequence <paramref name="starts"/>. Of a product that ends there both factors are chosen: so neither is a NaN or
    /// infinity which the other would multiply by 0, on the way forward or back.
    /// </summary>
    public Tensor Within(Tensor values, Tensor? starts) => starts is null ? values : Ops.Where(starts, zero, values);

    // (d, n) → (1, 1, n, d)
    Tensor PerChannel(Tensor values) => Ops.Reshape(Ops.Transpose(values), (1, 1, x.States, x.Channels));

    Tensor Projection(Tensor p)
    {
        if (p.Shape.Rank == 2)
            return PerChannel(p);
        if (p.Shape.Rank == 3)
            return Ops.Reshape(p, (x.Batch, x.Length, x.States, 1));
        long g = p.Shape[2];        // (b, l, g, n) → (b, l, n, g, 1) → (b, l, n, d)
        Tensor byState = Ops.Reshape(Ops.Transpose(p), new Shape(x.Batch, x.Length, x.States, g, 1));
        Tensor byChannel = Ops.Expand(byState, new Shape(x.Batch, x.Length, x.States, g, x.Channels / g));
        return Ops.Reshape(byChannel, (x.Batch, x.Length, x.States, x.Channels));
    }

    sealed class Functions(Tensor z) : IDiscretizationUser
    {
        public Tensor? Alpha { get; private set; }
        public Tensor? Gamma { get; private set; }
        public Tensor? Beta { get; private set; }

        public void With<D>() where D : struct, IDiscretization
        {
            Alpha = Ops.Apply<DiscretizationFunctions.Alpha<D>>("Alpha", z);
            Gamma = D.ScalesInput ? Ops.Apply<DiscretizationFunctions.Gamma<D>>("Gamma", z) : null;
            Beta = D.LooksBack ? Ops.Apply<DiscretizationFunctions.Beta<D>>("Beta", z) : null;
        }
    }
}
