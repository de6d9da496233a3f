using Mamba.Gpu;

namespace Mamba;

/// <summary>
/// A selective scan as the linear recurrence it is, every coefficient stored: h_t = Ā_t h_{t−1} + x_t with Ā, x (b, l, n, d). All of it
/// primitive ops, so the tape knows its gradient.
/// </summary>
internal sealed class Coefficients
{
    readonly ScanProblem p;
    readonly Tensor zero;       // ()

    public Coefficients(ScanProblem problem)
    {
        p = problem;
        if (p.IsComplex)
            throw new MambaException("SelectiveScan: complex A is computed by the chunked algorithm alone; expected A (d, n).");
        Tensor delta = p.DeltaBias is null ? p.Delta : p.Delta + p.DeltaBias;
        Delta = Ops.Reshape(p.Softplus ? Ops.Softplus(delta) : delta, (p.Batch, p.Length, 1, p.Channels));
        Tensor z = Delta * PerChannel(p.A);                                                                // (b, l, n, d)
        zero = Tensor.Zeros(new Shape(), p.U.DType, p.U.Device);
        Starts = p.Reset is null ? null : Ops.Reshape(p.Reset, (p.Batch, p.Length, 1, 1));
        B = Projection(p.B);
        C = Projection(p.C);
        var functions = new Functions(z);
        p.Discretization.Choose(functions);
        Alpha = functions.Alpha!;
        Gamma = functions.Gamma;
        Beta = functions.Beta is null ? null : Within(functions.Beta, Starts);
        Initial = p.InitialState is null ? null : Ops.Transpose(p.InitialState);                            // (b, n, d)
        Previous = p.PreviousInput is null ? null : Ops.Transpose(p.PreviousInput);
    }

    public Tensor Delta { get; }            // (b, l, 1, d)
    public Tensor Alpha { get; }            // (b, l, n, d); where a sequence starts it counts for nothing
    public Tensor? Gamma { get; }           // (b, l, n, d), absent where it is 1
    public Tensor? Beta { get; }            // (b, l, n, d), absent where it is 0; 0 where a sequence starts
    public Tensor B { get; }                // (b or 1, l or 1, n, d or 1)
    public Tensor C { get; }
    public Tensor? Starts { get; }          // (b, l, 1, 1): not 0 where a sequence starts
    public Tensor? Initial { get; }         // (b, n, d)
    public Tensor? Previous { get; }        // (b, n, d)

    /// <summary>The state before the first token (b, 1, n, d), zeros if none was given.</summary>
    public Tensor Before() => Initial is null
        ? Tensor.Zeros((p.Batch, 1, p.States, p.Channels), p.U.DType, p.U.Device)
        : Ops.Reshape(Initial, (p.Batch, 1, p.States, p.Channels));

    /// <summary>What remains at token t of <paramref name="states"/> (b, …, n, d) after the token before: α_t times these, 0 where a sequence starts.</summary>
    public Tensor Decayed(Tensor states, long t)
    {
        Tensor? starts = t == 0 && Initial is null ? Tensor.From([1], (1, 1, 1, 1), p.U.Device) : StartsAt(t);
        return Within(Ops.Slice(Alpha, 1, t, 1), starts) * Within(states, starts);
    }

    /// <summary>Whether token t starts a sequence (b, 1, 1, 1); null if none does.</summary>
    public Tensor? StartsAt(long t) => Starts is null ? null : Ops.Slice(Starts, 1, t, 1);

    /// <summary>p = B u (b, l, n, d).</summary>
    public Tensor Inputs() => Ops.Expand(B, (p.Batch, p.Length, p.States, p.Channels)) * Ops.Reshape(p.U, (p.Batch, p.Length, 1, p.Channels));

    /// <summary>x = Δ (γ p + β p₋) (b, l, n, d).</summary>
    public Tensor Sources(Tensor inputs)
    {
        Tensor x = Gamma is null ? inputs : Gamma * inputs;
        if (Beta is not null)
        {
            Tensor first = Ops.Reshape(Previous ?? Tensor.Zeros((p.Batch, p.States, p.Channels), p.U.DType, p.U.Device), (p.Batch, 1, p.States, p.Channels));
            x += Beta * Within(Ops.Slice(Ops.Concat(1, first, inputs), 1, 0, p.Length), Starts);
        }
        return Delta * x;
    }

    /// <summary>(y + D u) · silu(z), and the last states as the caller wants them.</summary>
    public ScanResult Result(Tensor y, Tensor last, Tensor inputs)
    {
        if (p.D is not null)
            y += p.D * p.U;
        if (p.Z is not null)
            y *= Ops.Silu(p.Z);
        Tensor? lastInput = !p.Discretization.LooksBack ? null
            : p.Length > 0 ? Last(inputs) : Previous ?? Tensor.Zeros(last.Shape, last.DType, last.Device);
        return new ScanResult(y, Ops.Transpose(last)) { LastInput = lastInput is null ? null : Ops.Transpose(lastInput) };
    }

    /// <summary>The last token's slice of (b, l, n, d), or the state before the first where there is none.</summary>
    public Tensor Last(Tensor h) => p.Length > 0
        ? Ops.Reshape(Ops.Slice(h, 1, p.Length - 1, 1), (p.Batch, p.States, p.Channels))
        : Initial ?? Tensor.Zeros((p.Batch, p.States, p.Channels), p.U.DType, p.U.Device);

    /// <summary>
    /// x, and 0 where a sequence <paramref name="starts"/>. Of a product that ends there both factors are chosen: so neither is a NaN or infinity which the
    /// other would multiply by 0, on the way forward or back.
    /// </summary>
    public Tensor Within(Tensor x, Tensor? starts) => starts is null ? x : Ops.Where(starts, zero, x);

    // (d, n) → (1, 1, n, d)
    Tensor PerChannel(Tensor x) => Ops.Reshape(Ops.Transpose(x), (1, 1, p.States, p.Channels));

    Tensor Projection(Tensor x)
    {
        if (x.Shape.Rank == 2)
            return PerChannel(x);
        if (x.Shape.Rank == 3)
            return Ops.Reshape(x, (p.Batch, p.Length, p.States, 1));
        long g = x.Shape[2];        // (b, l, g, n) → (b, l, n, g, 1) → (b, l, n, d)
        Tensor byState = Ops.Reshape(Ops.Transpose(x), new Shape(p.Batch, p.Length, p.States, g, 1));
        return Ops.Reshape(Ops.Expand(byState, new Shape(p.Batch, p.Length, p.States, g, p.Channels / g)), (p.Batch, p.Length, p.States, p.Channels));
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
