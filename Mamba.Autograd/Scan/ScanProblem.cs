namespace Mamba;

/// <summary>The arguments of <see cref="Ops.SelectiveScan"/>, checked.</summary>
internal sealed record ScanProblem(Tensor U, Tensor Delta, Tensor A, Tensor B, Tensor C, Tensor? D, Tensor? Z, Tensor? DeltaBias, bool Softplus,
    Tensor? InitialState, Tensor? Reset, Discretization Discretization, Tensor? PreviousInput)
{
    const string Op = "SelectiveScan";

    public long Batch => U.Shape[0];
    public long Length => U.Shape[1];
    public long Channels => U.Shape[2];
    public long States => A.Shape[1];

    /// <summary>Whether A, B, C and the states are pairs of a real and an imaginary part.</summary>
    public bool IsComplex => A.Shape.Rank == 3;

    /// <summary>Elements of a channel's state: n, or 2 n.</summary>
    public long Rows => IsComplex ? 2 * States : States;

    /// <summary>(b, d, n), or (b, d, n, 2).</summary>
    public Shape StateShape => IsComplex ? (Batch, Channels, States, 2) : (Batch, Channels, States);

    /// <summary>B or C constant over time: it has no batch and length.</summary>
    public bool IsConstant(Tensor p) => p.Shape.Rank == (IsComplex ? 3 : 2);

    /// <summary>What has a gradient.</summary>
    public Tensor?[] Inputs => [U, Delta, A, B, C, D, Z, DeltaBias, InitialState, PreviousInput];

    /// <exception cref="MambaException">A shape, dtype or device does not fit; the message says which.</exception>
    public void Check()
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
        Projection("B", B, ofA);
        Projection("C", C, ofA);
        int groups = IsComplex ? 5 : 4;
        if (!IsConstant(B) && !IsConstant(C) && GroupsOf(B) != GroupsOf(C))
            throw new MambaException(B.Shape.Rank == groups && C.Shape.Rank == groups
                ? $"{Op}: B has {GroupsOf(B)} groups and C has {GroupsOf(C)}; expected the same."
                : $"{Op}: B has shape {B.Shape} and C {C.Shape}; with groups, both are (b, l, g, n).");
        Expect("D", D, Channels, $"d comes {ofU}");
        Expect("z", Z, U.Shape, $"as u {U.Shape}");
        Expect("deltaBias", DeltaBias, Channels, $"d comes {ofU}");
        Expect("initialState", InitialState, StateShape, $"{ofA}, the rest {ofU}");
        if (PreviousInput is not null && !Discretization.LooksBack)
            throw new MambaException($"{Op}: previousInput was given; {Discretization.Name} does not look back, only exponential-trapezoidal does.");
        Expect("previousInput", PreviousInput, StateShape, $"{ofA}, the rest {ofU}");
        if (Reset is not null)
        {
            Arguments.Ints(Op, Reset, U.Device, "reset");
            Shape.Expect(Op, Reset, (Batch, Length), $"b and l come {ofU}", "reset");
        }
    }

    long GroupsOf(Tensor p) => p.Shape.Rank == (IsComplex ? 5 : 4) ? p.Shape[2] : 1;

    void Projection(string name, Tensor p, string ofA)
    {
        int pair = IsComplex ? 1 : 0;
        string two = IsComplex ? ", 2" : "";
        if (IsConstant(p))
            Expect(name, p, A.Shape, $"as A {A.Shape}: constant over time");
        else if (p.Shape.Rank == 4 + pair && p.Shape[2] > 0 && Channels % p.Shape[2] == 0)
            Expect(name, p, IsComplex ? new Shape(Batch, Length, p.Shape[2], States, 2) : (Batch, Length, p.Shape[2], States), ofA);
        else if (p.Shape.Rank == 4 + pair)
            throw new MambaException($"{Op}: {name} has shape {p.Shape}; its {p.Shape[2]} groups must divide d={Channels}.");
        else if (p.Shape != (IsComplex ? (Batch, Length, States, 2) : (Batch, Length, States)))
            throw new MambaException($"{Op}: {name} has shape {p.Shape}; expected (b={Batch}, l={Length}, n={States}{two}). {ofA}.");
        Same(name, p);
    }

    void Expect(string name, Tensor? tensor, Shape shape, string because)
    {
        if (tensor is null)
            return;
        Shape.Expect(Op, tensor, shape, because, name);
        Same(name, tensor);
    }

    void Same(string name, Tensor tensor)
    {
        if (tensor.DType != U.DType || tensor.Device != U.Device)
            throw new MambaException($"{Op}: {name} is {tensor.DType.Name()} on {tensor.Device}; expected {U.DType.Name()} on {U.Device}, as u.");
    }
}
