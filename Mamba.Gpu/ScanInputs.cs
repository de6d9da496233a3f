namespace Mamba;

/// <summary>
/// What a selective scan computes from: the arguments of <c>Ops.SelectiveScan</c>, of every <c>ScanAlgorithm</c> and of the kernels, declared once. States
/// are as blocks keep them, channels last: (b, n, d). Complex numbers are pairs of a real and an imaginary part at the end of A, B and C, and
/// two neighbouring rows of a state, so that states are (b, 2n, d). b, l, d, n as in the paper; g groups of d/g neighbouring channels.
/// </summary>
public sealed record ScanInputs
{
    const string Op = "SelectiveScan";

    /// <summary>(b, l, d): the input.</summary>
    public required Tensor U { get; init; }

    /// <summary>(b, l, d): step sizes, before bias and softplus.</summary>
    public required Tensor Delta { get; init; }

    /// <summary>(d, n): decay rates, negative where states shall fade; n from 1 to 256. Or (d, n, 2): complex.</summary>
    public required Tensor A { get; init; }

    /// <summary>(b, l, n); (b, l, g, n) for g groups of channels; or (d, n), constant over time. With complex A each ends in 2 as well.</summary>
    public required Tensor B { get; init; }

    /// <summary>As <see cref="B"/>.</summary>
    public required Tensor C { get; init; }

    /// <summary>(d): the skip; none when null.</summary>
    public Tensor? D { get; init; }

    /// <summary>(b, l, d): the gate; none when null.</summary>
    public Tensor? Z { get; init; }

    /// <summary>(d): added to delta before softplus; none when null.</summary>
    public Tensor? DeltaBias { get; init; }

    /// <summary>(b, n, d), or (b, 2n, d) for complex A: h before the first token; zero when null.</summary>
    public Tensor? InitialState { get; init; }

    /// <summary>(b, n, d), or (b, 2n, d) for complex A: B u of the token before the first, for a discretization that looks back; zero when null.</summary>
    public Tensor? PreviousInput { get; init; }

    /// <summary>(b, l) int32: not 0 where a token starts a new sequence, which sees nothing before it; none when null.</summary>
    public Tensor? Reset { get; init; }

    /// <summary>Whether delta goes through softplus.</summary>
    public bool Softplus { get; init; } = true;

    /// <summary>How steps are made of the continuous system.</summary>
    public Discretization Discretization { get; init; } = Discretization.ExponentialEuler;

    /// <summary>Segments of time the fused kernel cuts each row into; as many as seem best when null.</summary>
    internal int? Segments { get; init; }

    /// <summary>b: rows of the batch.</summary>
    public long Batch => U.Shape[0];

    /// <summary>l: tokens of a row.</summary>
    public long Length => U.Shape[1];

    /// <summary>d: channels.</summary>
    public long Channels => U.Shape[2];

    /// <summary>n: states of a channel.</summary>
    public long States => A.Shape[1];

    /// <summary>Rows of a state (b, rows, d): n, or 2n for complex A.</summary>
    public long Rows => IsComplex ? 2 * States : States;

    /// <summary>Whether A, B, C and the states are complex.</summary>
    public bool IsComplex => A.Shape.Rank == 3;

    /// <summary>(b, n, d), or (b, 2n, d) for complex A: the shape of states.</summary>
    public Shape StateShape => (Batch, Rows, Channels);

    /// <summary>g: groups of channels with a B and C of their own; 1 without groups.</summary>
    public long Groups => HasGroups(B) ? B.Shape[2] : HasGroups(C) ? C.Shape[2] : 1;

    /// <summary>Whether B is constant over time.</summary>
    public bool ConstantB => IsConstant(B);

    /// <summary>Whether C is constant over time.</summary>
    public bool ConstantC => IsConstant(C);

    /// <summary>Chunks whose first states are kept for the backward pass.</summary>
    internal long Chunks => (Length + Gpu.Scan.ChunkLength - 1) / Gpu.Scan.ChunkLength;

    /// <summary>Everything that has a gradient; null for what is absent.</summary>
    public Tensor?[] Differentiable => [U, Delta, A, B, C, D, Z, DeltaBias, InitialState, PreviousInput];

    /// <summary>Looks whether everything fits together.</summary>
    /// <exception cref="MambaException">A shape, dtype or device does not fit; the message says which.</exception>
    public void Check() => Check(states: true);

    /// <summary>The same, or without the states if these come in another layout, which their owner checks.</summary>
    internal void Check(bool states)
    {
        if (U.Shape.Rank != 3)
            throw new MambaException($"{Op}: u has shape {U.Shape}; expected (b, l, d).");
        if (A.Shape.Rank != 2 && (A.Shape.Rank != 3 || A.Shape[2] != 2))
            throw new MambaException($"{Op}: A has shape {A.Shape}; expected (d, n), or (d, n, 2) for complex A.");
        if (States is < 1 or > 256)
            throw new MambaException($"{Op}: A has shape {A.Shape}; n must be 1 to 256.");
        string ofU = $"from u {U.Shape}", ofA = $"n comes from A {A.Shape}";
        Expect("A", A, IsComplex ? (Channels, States, 2) : (Channels, States), $"d comes {ofU}");
        Expect("delta", Delta, U.Shape, $"as u {U.Shape}");
        ExpectProjection("B", B, ofA);
        ExpectProjection("C", C, ofA);
        if (!ConstantB && !ConstantC && GroupsOf(B) != GroupsOf(C))
            throw new MambaException(HasGroups(B) && HasGroups(C)
                ? $"{Op}: B has {GroupsOf(B)} groups and C has {GroupsOf(C)}; expected the same."
                : $"{Op}: B has shape {B.Shape} and C {C.Shape}; with groups, both are (b, l, g, n).");
        Expect("D", D, Channels, $"d comes {ofU}");
        Expect("z", Z, U.Shape, $"as u {U.Shape}");
        Expect("deltaBias", DeltaBias, Channels, $"d comes {ofU}");
        if (states)
            CheckStates(InitialState, PreviousInput, StateShape);
        if (Reset is null)
            return;
        if (Reset.DType != DType.Int32)
            throw new MambaException($"{Op}: reset is {Reset.DType.Name()}; expected int32.");
        if (Reset.Device != U.Device)
            throw new MambaException($"{Op}: reset is on {Reset.Device}; expected {U.Device}.");
        Shape.Expect(Op, Reset, (Batch, Length), $"b and l come {ofU}", "reset");
    }

    /// <summary>Looks at states of a caller's <paramref name="shape"/>.</summary>
    internal void CheckStates(Tensor? initialState, Tensor? previousInput, Shape shape)
    {
        string because = $"n comes from A {A.Shape}, the rest from u {U.Shape}";
        Expect("initialState", initialState, shape, because);
        if (previousInput is not null && !Discretization.LooksBack)
            throw new MambaException($"{Op}: previousInput was given; {Discretization.Name} does not look back, only {LookingBack} does.");
        Expect("previousInput", previousInput, shape, because);
    }

    static string LookingBack => string.Join(", ", Discretization.All.Where(d => d.LooksBack).Select(d => d.Name));

    bool IsConstant(Tensor projection) => projection.Shape.Rank == (IsComplex ? 3 : 2);

    bool HasGroups(Tensor projection) => projection.Shape.Rank == (IsComplex ? 5 : 4);

    long GroupsOf(Tensor projection) => HasGroups(projection) ? projection.Shape[2] : 1;

    // (b, l, g, n) and so on, of real or of complex A
    Shape Pairs(Shape shape) => IsComplex ? shape.Append(2) : shape;

    void ExpectProjection(string name, Tensor p, string ofA)
    {
        if (IsConstant(p))
            Expect(name, p, A.Shape, $"as A {A.Shape}: constant over time");
        else if (HasGroups(p) && p.Shape[2] > 0 && Channels % p.Shape[2] == 0)
            Expect(name, p, Pairs((Batch, Length, p.Shape[2], States)), ofA);
        else if (HasGroups(p))
            throw new MambaException($"{Op}: {name} has shape {p.Shape}; its {p.Shape[2]} groups must divide d={Channels}.");
        else if (p.Shape != Pairs((Batch, Length, States)))
            throw new MambaException($"{Op}: {name} has shape {p.Shape}; expected (b={Batch}, l={Length}, n={States}{(IsComplex ? ", 2" : "")}). {ofA}.");
        ExpectAlike(name, p);
    }

    void Expect(string name, Tensor? tensor, Shape shape, string because)
    {
        if (tensor is null)
            return;
        Shape.Expect(Op, tensor, shape, because, name);
        ExpectAlike(name, tensor);
    }

    void ExpectAlike(string name, Tensor tensor)
    {
        if (tensor.DType != U.DType || tensor.Device != U.Device)
            throw new MambaException($"{Op}: {name} is {tensor.DType.Name()} on {tensor.Device}; expected {U.DType.Name()} on {U.Device}, as u.");
    }
}
