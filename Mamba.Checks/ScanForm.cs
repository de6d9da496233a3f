namespace Mamba.Checks;

/// <summary>One form of the selective scan: sizes, and which of its arguments and choices there are. What checks and tests draw inputs for and run.</summary>
/// <param name="B">Rows of the batch.</param>
/// <param name="L">Tokens of a row.</param>
/// <param name="D">Channels.</param>
/// <param name="N">States of a channel.</param>
public record ScanForm(int B, int L, int D, int N)
{
    /// <summary>How steps are made.</summary>
    public Discretization Discretization { get; init; } = Discretization.ExponentialEuler;

    /// <summary>Groups of channels with a B and C of their own; 0 for B, C (b, l, n).</summary>
    public int Groups { get; init; }

    /// <summary>Whether A, B, C and the states are complex.</summary>
    public bool Complex { get; init; }

    /// <summary>Whether there is a D.</summary>
    public bool Skip { get; init; } = true;

    /// <summary>Whether there is a z.</summary>
    public bool Gate { get; init; } = true;

    /// <summary>Whether delta has a bias.</summary>
    public bool Bias { get; init; } = true;

    /// <summary>Whether delta goes through softplus.</summary>
    public bool Softplus { get; init; } = true;

    /// <summary>Whether an initial state, and to a discretization that looks back a previous input, is given.</summary>
    public bool Initial { get; init; } = true;

    /// <summary>Whether B is (d, n).</summary>
    public bool ConstantB { get; init; }

    /// <summary>Whether C is (d, n).</summary>
    public bool ConstantC { get; init; }

    /// <summary>Whether states are channels last, as those of <see cref="ScanInputs"/> are: (b, n, d) for (b, d, n).</summary>
    public bool ChannelsLast { get; init; }

    /// <summary>Tokens that start a sequence: the same in every row but the first, which starts one later.</summary>
    public IReadOnlyList<int> Resets { get; init; } = [];

    /// <summary>Delta is multiplied by it.</summary>
    public double Step { get; init; } = 1;

    Shape Pairs(Shape shape) => Complex ? shape.Append(2) : shape;

    Shape State => ChannelsLast ? (B, Complex ? 2 * N : N, D) : Pairs((B, D, N));

    Shape Projection(bool constant) => Pairs(constant ? (D, N) : Groups > 0 ? (B, L, Groups, N) : (B, L, N));

    /// <summary>All ten inputs, in the order of the op's arguments, and whether this form has them.</summary>
    internal IReadOnlyList<(CaseInput Input, bool Given)> Arguments =>
    [
        (new("u", (B, L, D)), true),
        (new("delta", (B, L, D), (Softplus ? -3 : 0.01) * Step, (Softplus ? 1 : 0.7) * Step), true),
        (new("A", Pairs((D, N)), -2, -0.1), true),
        (new("B", Projection(ConstantB)), true),
        (new("C", Projection(ConstantC)), true),
        (new("D", D), Skip),
        (new("z", (B, L, D)), Gate),
        (new("deltaBias", D, -0.5, 0.5), Bias),
        (new("initialState", State), Initial),
        (new("previousInput", State), Initial && Discretization.LooksBack),
    ];

    /// <summary>Whether a sequence starts at token t of row b.</summary>
    public bool StartsAt(long b, long t) => Resets.Contains((int)(b == 0 ? t - 1 : t));

    /// <summary>(b, l) int32: where sequences start; null if none does.</summary>
    public Tensor? ResetMask(Device device) => Resets.Count == 0 ? null
        : Tensor.From([.. Enumerable.Range(0, B * L).Select(i => StartsAt(i / L, i % L) ? 1 : 0)], (B, L), device);

    /// <summary>y, the last state, and the last input where the discretization looks back.</summary>
    /// <param name="x">The ten <see cref="Arguments"/>; those this form does not have are not looked at.</param>
    /// <param name="algorithm">The fused kernel when null.</param>
    public Tensor[] Apply(IReadOnlyList<Tensor?> x, ScanAlgorithm? algorithm = null)
    {
        IReadOnlyList<(CaseInput Input, bool Given)> arguments = Arguments;
        Tensor? Given(int i) => arguments[i].Given ? x[i] : null;
        Tensor u = x[0]!, delta = x[1]!, a = x[2]!, b = x[3]!, c = x[4]!;
        if (ChannelsLast)
        {
            ScanOutputs outputs = Ops.SelectiveScan(new ScanInputs
            {
                U = u,
                Delta = delta,
                A = a,
                B = b,
                C = c,
                D = Given(5),
                Z = Given(6),
                DeltaBias = Given(7),
                InitialState = Given(8),
                PreviousInput = Given(9),
                Softplus = Softplus,
                Reset = ResetMask(u.Device),
                Discretization = Discretization,
            }, algorithm);
            return outputs.LastInput is null ? [outputs.Y, outputs.LastState] : [outputs.Y, outputs.LastState, outputs.LastInput];
        }
        ScanResult r = Ops.SelectiveScan(u, delta, a, b, c, Given(5), Given(6), Given(7), Softplus, Given(8), ResetMask(u.Device), Discretization, algorithm,
            Given(9));
        return r.LastInput is null ? [r.Y, r.LastState] : [r.Y, r.LastState, r.LastInput];
    }

    /// <summary>Its name in lists of cases.</summary>
    public override string ToString() => $"{Discretization.Name} b {B} l {L} d {D} n {N}";
}
