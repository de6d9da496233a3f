namespace Mamba.Checks;

/// <summary>
/// Every op with every flag and with odd shapes: length 1, batch 1, one channel, channels that fill no vector, a block, a model.
/// A test asks that every public op of <see cref="Ops"/> is called here, or listed in <see cref="NotDifferentiable"/> with a reason and called
/// without gradients.
/// </summary>
public static partial class OpCatalog
{
    /// <summary>Ops without a gradient, each with its reason.</summary>
    public static IReadOnlyDictionary<string, string> NotDifferentiable { get; } = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["ArgMax"] = "Its result is an index.",
        ["CausalConv1dStep"] = "For generation; it changes its state in place.",
        ["MambaStep"] = "For generation; it changes its states in place.",
        ["CountCorrect"] = "Its result is a count, made on the host.",
        ["Equal"] = "Its result is a mask.",
        ["Greater"] = "Its result is a mask.",
        ["Less"] = "Its result is a mask.",
        ["NotEqual"] = "Its result is a mask.",
        ["Normal"] = "A draw has no inputs.",
        ["Uniform"] = "A draw has no inputs.",
    };

    static readonly Lazy<OpCase[]> All = new(() =>
        [.. ((IEnumerable<IEnumerable<OpCase>>)[Elementwise(), Broadcast(), Reductions(), Shapes(), Layers(), Convolutions(), Mirrors(), Recurrences(),
            Scans(), Models(), Others()])
            .SelectMany(cases => cases).GroupBy(c => c.Op, StringComparer.Ordinal).SelectMany(op => op)]);

    /// <summary>All cases, an op's together.</summary>
    public static IReadOnlyList<OpCase> Cases => All.Value;

    /// <summary>Cases whose op has one of these names, or all; case and hyphens do not matter: <c>selective-scan</c>.</summary>
    /// <param name="command">Who asks, for the message.</param>
    /// <param name="names">Names; none selects everything.</param>
    /// <param name="more">Cases to look among beside those here.</param>
    /// <exception cref="MambaException">A name is no op's.</exception>
    public static IReadOnlyList<OpCase> Select(string command, IReadOnlyList<string> names, IEnumerable<OpCase>? more = null)
    {
        OpCase[] all = [.. more ?? [], .. Cases];
        static bool Same(string op, string name) => string.Equals(op, name.Replace("-", "", StringComparison.Ordinal), StringComparison.OrdinalIgnoreCase);
        if (names.FirstOrDefault(name => !all.Any(c => Same(c.Op, name))) is { } unknown)
            throw new MambaException($"{command}: no op is called '{unknown}'; there are "
                + $"{string.Join(", ", all.Select(c => c.Op).Distinct(StringComparer.Ordinal))}.");
        return [.. all.Where(c => names.Count == 0 || names.Any(name => Same(c.Op, name)))];
    }

    // ---- elementwise -------------------------------------------------------------------------------------------------

    static readonly Shape[] OddShapes = [1, 7, (3, 5), (1, 2, 17), new Shape()];

    static IEnumerable<OpCase> Unary(string op, Func<Tensor, Tensor> f, double low = -1, double high = 1, bool eitherSign = false, string variant = "") =>
        OddShapes.Select(shape => new OpCase(op, $"{variant}{shape}", [new("x", shape, low, high, eitherSign)], x => [f(x[0])]));

    static IEnumerable<OpCase> Elementwise() =>
    [
        .. Unary("Neg", Ops.Neg),
        .. Unary("Exp", Ops.Exp, -3, 3),
        .. Unary("Log", Ops.Log, 0.3, 3),
        .. Unary("Sqrt", Ops.Sqrt, 0.3, 3),
        .. Unary("Square", Ops.Square),
        .. Unary("Reciprocal", Ops.Reciprocal, 0.4, 2, eitherSign: true),
        .. Unary("Abs", Ops.Abs, 0.1, 1, eitherSign: true),
        .. Unary("Relu", Ops.Relu, 0.1, 1, eitherSign: true),
        .. Unary("Sigmoid", Ops.Sigmoid, -4, 4),
        .. Unary("Silu", Ops.Silu, -4, 4),
        .. Unary("Softplus", Ops.Softplus, -5, 25),
        .. Unary("Tanh", Ops.Tanh, -3, 3),
        .. Unary("Erf", Ops.Erf, -3, 3),
        .. Unary("Gelu", x => Ops.Gelu(x), -4, 4),
        .. Unary("Gelu", x => Ops.Gelu(x, tanh: true), -4, 4, variant: "tanh "),
        .. Unary("Dropout", x => Ops.Dropout(x, 0.4, seed: 1, stream: 2), variant: "0.4 "),
        .. Unary("Dropout", x => Ops.Dropout(x, 0, seed: 1), variant: "0 "),
        .. Unary("Apply", x => Ops.Apply<Gpu.Unary.Sigmoid>("Apply", x), -4, 4, variant: "of one "),
        .. Unary("Pow", x => Ops.Pow(x, 2.5), 0.4, 2, variant: "2.5 "),
        .. Unary("Pow", x => Ops.Pow(x, -1), 0.4, 2, variant: "-1 "),
        .. Unary("Pow", x => Ops.Pow(x, 0), 0.4, 2, variant: "0 "),
        .. Unary("Add", x => Ops.Add(x, 0.3), variant: "x + s "),
        .. Unary("Sub", x => Ops.Sub(x, 0.3), variant: "x - s "),
        .. Unary("Sub", x => Ops.Sub(0.3, x), variant: "s - x "),
        .. Unary("Mul", x => Ops.Mul(x, 0.3), variant: "x s "),
        .. Unary("Div", x => Ops.Div(x, 0.3), variant: "x / s "),
        .. Unary("Div", x => Ops.Div(0.3, x), 0.4, 2, eitherSign: true, variant: "s / x "),
        .. Unary("Maximum", x => Ops.Maximum(x, 0.05), 0.1, 1, eitherSign: true, variant: "x, s "),
        .. Unary("Minimum", x => Ops.Minimum(x, -0.05), 0.1, 1, eitherSign: true, variant: "x, s "),
        .. Unary("Clamp", x => Ops.Clamp(x, -0.5, 0.25)),
    ];

    static IEnumerable<OpCase> Broadcast()
    {
        (Shape A, Shape B)[] pairs = [((2, 17), (2, 17)), (1, 1), ((3, 1, 5), (4, 1)), (7, (2, 3, 7)), ((2, 3, 1), (2, 1, 1)), (new Shape(), (3, 5)),
            ((2, 5, 3), (2, 5, 1))];
        (Shape Condition, Shape A, Shape B)[] choices =
            [((2, 17), (2, 17), (2, 17)), (1, 1, 1), ((3, 1, 5), (4, 1), (3, 1, 1)), ((2, 3, 1), (2, 3, 70), new Shape()), ((5, 1), new Shape(), (2, 5, 17)),
                (new Shape(), (3, 5), 5), ((2, 5, 1, 1), (1, 1, 2, 3), (2, 5, 1, 3))];
        IEnumerable<OpCase> Binary(string op, Func<Tensor, Tensor, Tensor> f, double low = -1, double high = 1, bool eitherSign = false) =>
            pairs.Select(p => new OpCase(op, $"{p.A} {p.B}", [new("a", p.A), new("b", p.B, low, high, eitherSign)], x => [f(x[0], x[1])]));
        return
        [
            .. Binary("Add", Ops.Add),
            .. Binary("Sub", Ops.Sub),
            .. Binary("Mul", Ops.Mul),
            .. Binary("Div", Ops.Div, 0.4, 2, eitherSign: true),
            .. Binary("Maximum", Ops.Maximum),
            .. Binary("Minimum", Ops.Minimum),
            .. Binary("Apply", (a, b) => Ops.Apply<Gpu.Binary.LogisticLoss, Gpu.Binary.LogisticSlope, Gpu.Binary.MinusFirst>("Apply", a, b)),
            .. Binary("Where", (a, b) => Ops.Where(a > b, a * 2, b)),
            new("Apply", "recorded by hand", [new("a", (2, 5)), new("b", (2, 5))], x =>
                [Tape.Record("Apply", Ops.Apply<Gpu.Binary.Mul>("Apply", x[0], x[1]), [x[0], x[1]], dy => [dy * x[1], dy * x[0]])]),
            new("Where", "a float condition", [new("a", (3, 5)), new("b", (3, 5))], x =>
                [Ops.Where(Ints(x[0], (3, 1), i => i - 1).To(x[0].DType), x[0], x[1])]),
            new("Mul", "x x", [new("x", (2, 5))], x => [Ops.Mul(x[0], x[0])]),
            .. choices.Select(s => new OpCase("Where", $"{s.Condition} {s.A} {s.B}", [new("a", s.A), new("b", s.B)], x =>
                [Ops.Where(Ints(x[0], s.Condition, i => i * i % 3), x[0], x[1])]) { Float32Tolerance = Cancelling }),
        ];
    }

    static IEnumerable<OpCase> Reductions()
    {
        Shape[] shapes = [(3, 5, 7), (1, 1, 1), (2, 1, 17)];
        foreach (Shape shape in shapes)
        {
            CaseInput[] x = [new("x", shape)];
            yield return new("Sum", $"of all {shape}", x, x => [Ops.Sum(x[0])]) { Float32Tolerance = Cancelling };
            yield return new("Mean", $"of all {shape}", x, x => [Ops.Mean(x[0])]) { Float32Tolerance = Cancelling };
            foreach (int axis in new[] { 0, 1, -1 })
            {
                foreach (bool keep in new[] { false, true })
                {
                    string variant = $"axis {axis}{(keep ? " kept" : "")} {shape}";
                    yield return new("Sum", variant, x, x => [Ops.Sum(x[0], axis, keep)]);
                    yield return new("Mean", variant, x, x => [Ops.Mean(x[0], axis, keep)]);
                    yield return new("Max", variant, x, x => [Ops.Max(x[0], axis, keep)]);
                }
            }
        }
        foreach (Shape shape in (Shape[])[(2, 1030), (1030, 2), (1030, 1)])
        {
            yield return new("Sum", $"rows {shape}", [new("x", shape)], x => [Ops.Sum(x[0], -1)]) { Small = false };
            yield return new("Sum", $"columns {shape}", [new("x", shape)], x => [Ops.Sum(x[0], 0)]) { Small = false };
        }
        foreach (Shape to in (Shape[])[new Shape(), 7, (5, 1), (3, 1, 7), (1, 5, 1)])
            yield return new("SumTo", $"(3, 5, 7) to {to}", [new("x", (3, 5, 7))], x => [Ops.SumTo(x[0], to)]) { Float32Tolerance = Cancelling };
        foreach (Shape from in (Shape[])[new Shape(), 7, (5, 1), (3, 1, 7), (1, 1, 1)])
            yield return new("Expand", $"{from} to (3, 5, 7)", [new("x", from)], x => [Ops.Expand(x[0], (3, 5, 7))]);
    }

    static IEnumerable<OpCase> Shapes()
    {
        CaseInput[] x = [new("x", (3, 4, 5))];
        yield return new("Reshape", "", x, x => [Ops.Reshape(x[0], (5, 12))]);
        yield return new("Transpose", "last two", x, x => [Ops.Transpose(x[0])]);
        yield return new("Transpose", "0, 2", x, x => [Ops.Transpose(x[0], 0, 2)]);
        yield return new("Transpose", "(1, 1)", [new("x", (1, 1))], x => [Ops.Transpose(x[0])]);
        yield return new("Permute", "2, 0, 1", x, x => [Ops.Permute(x[0], 2, 0, 1)]);
        yield return new("Permute", "0, 1, 2", x, x => [Ops.Permute(x[0], 0, 1, 2)]);
        foreach (int axis in new[] { 0, 1, 2 })
        {
            long n = x[0].Shape[axis];
            yield return new("Slice", $"axis {axis}", x, x => [Ops.Slice(x[0], axis, 1, 2)]);
            yield return new("Slice", $"axis {axis} all", x, x => [Ops.Slice(x[0], axis, 0, n)]);
            yield return new("Split", $"axis {axis}", x, x => Ops.Split(x[0], axis, 1, 0, n - 1));
            yield return new("Split", $"axis {axis}, one piece unused", x, x => [Ops.Split(x[0], axis, 1, n - 1)[1]]);
            yield return new("Concat", $"axis {axis}", [x[0], new("y", axis == 0 ? (1, 4, 5) : axis == 1 ? (3, 1, 5) : (3, 4, 1))], x =>
                [Ops.Concat(axis, x[0], x[1], x[0])]);
        }
        yield return new("Index", "0", x, x => [Ops.Index(x[0], 0)]);
        yield return new("Index", ".., ^1", x, x => [Ops.Index(x[0], .., ^1)]);
        yield return new("Index", "1, .., 2..", x, x => [Ops.Index(x[0], 1, .., 2..)]);
        yield return new("Index", "1..1", x, x => [Ops.Index(x[0], 1..1)]);
        yield return new("Index", "0, 0 of (1, 1)", [new("x", (1, 1))], x => [Ops.Index(x[0], 0, 0)]);
        yield return new("Concat", "one part", x, x => [Ops.Concat(0, x[0])]);
    }

    // ---- layers ------------------------------------------------------------------------------------------------------

    static Tensor Ints(Tensor like, Shape shape, Func<int, int> value) =>
        Tensor.From([.. Enumerable.Range(0, (int)shape.Count).Select(value)], shape, like.Device);

    static string Flags(params (bool On, string Name)[] flags) => string.Concat(flags.Where(f => f.On).Select(f => f.Name + " "));

    static readonly bool[] OffOn = [false, true];

    // Float32 where what is left of large numbers is small: a sum of both signs, the gradient of a norm of one or two elements.
    const double Cancelling = 1e-4;

    static IEnumerable<OpCase> Layers()
    {
        Shape[] rows = [(2, 3, 17), (1, 1, 5), (3, 1), 6, (2, 70)];
        foreach (Shape shape in rows)
        {
            CaseInput x = new("x", shape), weight = new("weight", shape[^1], 0.5, 1.5), bias = new("bias", shape[^1]), residual = new("residual", shape);
            bool small = shape[^1] < 70;
            yield return new("RmsNorm", $"{shape}", [x, weight], x => [Ops.RmsNorm(x[0], x[1])]) { Small = small, Float32Tolerance = Cancelling };
            yield return new("RmsNorm", $"eps 0.1 {shape}", [x, weight], x => [Ops.RmsNorm(x[0], x[1], 0.1)]) { Small = small, Float32Tolerance = Cancelling };
            yield return new("AddRmsNorm", $"{shape}", [x, residual, weight], x => Pair(Ops.AddRmsNorm(x[0], x[1], x[2]))) { Small = small };
            yield return new("AddRmsNorm", $"y alone {shape}", [x, residual, weight], x =>
                [Ops.AddRmsNorm(x[0], x[1], x[2]).Y])
            { Small = small, Float32Tolerance = Cancelling };
            yield return new("AddRmsNorm", $"residual alone {shape}", [x, residual, weight], x =>
                [Ops.AddRmsNorm(x[0], x[1], x[2]).Residual])
            { Small = small };
            yield return new("AddRmsNorm", $"no residual {shape}", [x, weight], x => Pair(Ops.AddRmsNorm(x[0], null, x[1]))) { Small = small };
            foreach (bool w in OffOn)
                foreach (bool b in OffOn)
                    yield return new("LayerNorm", $"{Flags((w, "weight"), (b, "bias"))}{shape}",
                        [x, .. w ? [weight] : Array.Empty<CaseInput>(), .. b ? [bias] : Array.Empty<CaseInput>()],
                        x => [Ops.LayerNorm(x[0], w ? x[1] : null, b ? x[^1] : null)])
                    { Small = small, Float32Tolerance = Cancelling };
            yield return new("Softmax", $"{shape}", [new("x", shape, -3, 3)], x => [Ops.Softmax(x[0])]) { Small = small };
            yield return new("LogSoftmax", $"{shape}", [new("x", shape, -3, 3)], x => [Ops.LogSoftmax(x[0])]) { Small = small };
        }
        yield return new("Softmax", "large", [new("x", (2, 5), 900, 903)], x => [Ops.Softmax(x[0])]) { Float32Tolerance = Cancelling };
        yield return new("LogSoftmax", "large", [new("x", (2, 5), 900, 903)], x => [Ops.LogSoftmax(x[0])]) { Float32Tolerance = Cancelling };

        foreach (bool b in OffOn)
        {
            foreach ((Shape x, long o) in new (Shape, long)[] { ((2, 3, 5), 7), (5, 3), ((1, 1, 1), 1), ((4, 17), 9) })
                yield return new("Linear", $"{Flags((b, "bias"))}{x} to {o}",
                    [new("x", x), new("weight", (o, x[^1])), .. b ? [new("bias", o)] : Array.Empty<CaseInput>()],
                    x => [Ops.Linear(x[0], x[1], b ? x[2] : null)]);
            CaseInput[] inputs = [new("x", (2, 3, 5)), new("weight", (9, 5)), .. b ? [new("bias", 9)] : Array.Empty<CaseInput>()];
            yield return new("LinearSplit", $"{Flags((b, "bias"))}2, 3, 4", inputs, x => Ops.LinearSplit(x[0], x[1], b ? x[2] : null, 2, 3, 4));
            yield return new("LinearSplit", $"{Flags((b, "bias"))}first unused", inputs, x => Ops.LinearSplit(x[0], x[1], b ? x[2] : null, 2, 3, 4)[1..]);
        }
        foreach (bool ta in OffOn)
        {
            foreach (bool tb in OffOn)
            {
                foreach ((long m, long k, long n) in new[] { (3L, 5L, 2L), (1L, 1L, 1L), (5L, 1L, 17L) })
                {
                    Shape a = ta ? (k, m) : (m, k), b = tb ? (n, k) : (k, n);
                    Shape Batched(Shape s) => new(2, 3, s[0], s[1]);
                    string variant = $"{Flags((ta, "aᵀ"), (tb, "bᵀ"))}{m}×{k}×{n}";
                    yield return new("MatMul", variant, [new("a", a), new("b", b)], x => [Ops.MatMul(x[0], x[1], ta, tb)]);
                    yield return new("MatMul", $"{variant} batch", [new("a", Batched(a)), new("b", Batched(b))], x => [Ops.MatMul(x[0], x[1], ta, tb)]);
                    yield return new("MatMul", $"{variant} shared a", [new("a", a), new("b", Batched(b))], x => [Ops.MatMul(x[0], x[1], ta, tb)]);
                    yield return new("MatMul", $"{variant} shared b", [new("a", Batched(a)), new("b", b)], x => [Ops.MatMul(x[0], x[1], ta, tb)]);
                }
            }
        }
        yield return new("MatMul", "130×70×33", [new("a", (130, 70)), new("b", (70, 33))], x => [Ops.MatMul(x[0], x[1])]) { Small = false };

        foreach ((Shape tokens, long v, long d) in new (Shape, long, long)[] { ((2, 4), 5, 3), ((1, 1), 1, 1), (6, 3, 17) })
            yield return new("Embedding", $"{tokens} of {v}, d {d}", [new("weight", (v, d))], x =>
                [Ops.Embedding(Ints(x[0], tokens, i => i * 3 % (int)v), x[0])]);
        foreach (Shape shape in (Shape[])[(2, 3, 7), (1, 5), 4, (3, 1), (5, 70)])
        {
            CaseInput[] logits = [new("logits", shape, -2, 2)];
            int v = (int)shape[^1];
            yield return new("CrossEntropy", $"{shape}", logits, x => [Ops.CrossEntropy(x[0], Ints(x[0], shape[..^1], i => i * 2 % v))]);
            yield return new("CrossEntropy", $"some ignored {shape}", logits, x =>
                [Ops.CrossEntropy(x[0], Ints(x[0], shape[..^1], i => i % 2 == 0 ? 0 : -100))]);
            yield return new("CrossEntropy", $"all ignored {shape}", logits, x => [Ops.CrossEntropy(x[0], Ints(x[0], shape[..^1], _ => 3), ignoreIndex: 3)]);
            if (v > 1)
                yield return new("CrossEntropy", $"{v - 1} classes {shape}", logits, x =>
                    [Ops.CrossEntropy(x[0], Ints(x[0], shape[..^1], i => i % (v - 1)), classes: v - 1)]);
        }

        foreach (Shape shape in (Shape[])[(2, 3, 7), 1, new Shape(), (5, 70)])
        {
            yield return new("MeanSquaredError", $"{shape}", [new("x", shape), new("target", shape)], x => [Ops.MeanSquaredError(x[0], x[1])]);
            yield return new("BinaryCrossEntropy", $"{shape}", [new("logits", shape, -30, 30), new("target", shape, 0, 1)], x =>
                [Ops.BinaryCrossEntropy(x[0], x[1])]);
        }

        static Tensor[] Pair((Tensor, Tensor) p) => [p.Item1, p.Item2];
    }

    static IEnumerable<OpCase> Convolutions()
    {
        foreach (bool bias in OffOn)
            foreach (bool silu in OffOn)
                foreach (bool state in OffOn)
                    foreach ((int b, int l, int d, int k) in new[] { (2, 7, 5, 4), (1, 1, 1, 1), (1, 2, 3, 8), (2, 1, 17, 4), (1, 9, 3, 2), (1, 33, 2, 3) })
                        foreach (bool reset in OffOn)
                            yield return Conv(b, l, d, k, bias, silu, state, reset);
        foreach (int k in new[] { 1, 2, 3, 5, 6, 7, 8 })
            yield return Conv(2, 5, 3, k, true, true, true, k % 2 == 0);
        yield return Conv(2, 130, 33, 4, true, true, true, false) with { Small = false };
        foreach (bool previous in OffOn)
            foreach (bool reset in OffOn)
                foreach (int l in new[] { 1, 3, 9 })
                {
                    CaseInput[] inputs = [new("x", (2, l, 5)), .. previous ? [new("previous", (2, 4, 5))] : Array.Empty<CaseInput>()];
                    yield return new("ConvState", $"{Flags((previous, "previous"), (reset, "reset"))}l {l}", inputs, x =>
                        [Ops.ConvState(x[0], 4, previous ? x[1] : null, reset ? Starts(x[0]) : null)]);
                    if (previous)
                        yield return new("ConvState", $"{Flags((reset, "reset"))}width of previous l {l}", inputs, x =>
                            [Ops.ConvState(x[0], x[1], reset ? Starts(x[0]) : null)]);
                }

        static OpCase Conv(int b, int l, int d, int k, bool bias, bool silu, bool state, bool reset) => new("CausalConv1d",
            $"{Flags((bias, "bias"), (silu, "silu"), (state, "state"), (reset, "reset"))}b {b} l {l} d {d} k {k}",
            [new("x", (b, l, d)), new("weight", (d, k)), .. bias ? [new("bias", d)] : Array.Empty<CaseInput>(),
                .. state ? [new("state", (b, k, d))] : Array.Empty<CaseInput>()],
            x => [Ops.CausalConv1d(x[0], x[1], bias ? x[2] : null, silu, state ? x[^1] : null, reset ? Starts(x[0]) : null)]);
    }

    // of x (b, l, d): tokens 0 and 4 of the first row, 1 and 5 of the next, …
    static Tensor Starts(Tensor x)
    {
        int length = (int)x.Shape[1];
        return Ints(x, (x.Shape[0], length), i => (i % length - i / length) % 4 == 0 ? 1 : 0);
    }

    static IEnumerable<OpCase> Mirrors()
    {
        foreach (Shape shape in (Shape[])[(2, 7, 5), (1, 1, 1), (3, 2, 17), (1, 9, 3), (2, 1, 4)])
        {
            yield return new("Reverse", $"{shape}", [new("x", shape)], x => [Ops.Reverse(x[0])]);
            yield return new("Reverse", $"reset {shape}", [new("x", shape)], x => [Ops.Reverse(x[0], Starts(x[0]))]);
        }
        // sequences that cross blocks of tokens
        yield return new("Reverse", "reset (1, 2500, 1)", [new("x", (1, 2500, 1))], x =>
            [Ops.Reverse(x[0], Ints(x[0], (1, 2500), i => i is 700 or 2100 ? 1 : 0))])
        { Small = false };
    }

    static IEnumerable<OpCase> Recurrences()
    {
        foreach (LinearScan algorithm in Enum.GetValues<LinearScan>())
            foreach (bool initial in OffOn)
                foreach (bool reset in OffOn)
                    foreach ((int b, int l, int m) in new[] { (2, 5, 3), (1, 1, 1), (1, 2, 5), (1, 17, 2), (2, 65, 9) })
                        yield return new("LinearRecurrence", $"{algorithm} {Flags((initial, "initial"), (reset, "reset"))}b {b} l {l} m {m}",
                            [new("a", (b, l, m)), new("x", (b, l, m)), .. initial ? [new("initial", (b, m))] : Array.Empty<CaseInput>()],
                            x => [Ops.LinearRecurrence(x[0], x[1], initial ? x[2] : null, algorithm,
                                reset ? Ints(x[0], (b, l), i => i % 7 == 3 || l == 1 ? 1 : 0) : null)])
                        { Small = l < 65 };
    }

    // ---- models ------------------------------------------------------------------------------------------------------

    static IEnumerable<OpCase> Models()
    {
        var config = new MambaConfig { DModel = 6, NLayer = 2, VocabSize = 11, SsmCfg = new SsmConfig { DState = 3, DConv = 3, DtRank = 2 } };
        foreach (bool bias in OffOn)
            foreach (bool convBias in OffOn)
                yield return Block($"{Flags((bias, "bias"), (convBias, "conv_bias"))}b 2 l 5",
                    config with { SsmCfg = config.SsmCfg with { Bias = bias, ConvBias = convBias } }, (2, 5));
        yield return Block("b 1 l 1", config, (1, 1));
        foreach ((double epsilon, Shape shape) in new (double, Shape)[] { (1e-6, (2, 5)), (0.5, (1, 1)) })
            yield return Block($"dt, B, C normed, eps {epsilon} {Bl(shape)}", config with { SsmCfg = config.SsmCfg with { MixerRmsEps = epsilon } }, shape);
        yield return Block("l 70", config with { DModel = 9, SsmCfg = config.SsmCfg with { DState = 16 } }, (1, 70)) with { Small = false };
        foreach (bool tied in OffOn)
            foreach (bool packed in OffOn)
                foreach ((int b, int l) in new[] { (2, 5), (1, 1) })
                    yield return Block($"Bidirectional {Flags((tied, "tied"), (packed, "reset"))}b {b} l {l}",
                        config with { Mixer = new BidirectionalConfig { Inner = config.Mixer, Tied = tied } }, (b, l), packed);
        foreach (bool complex in OffOn)
            foreach (bool gate in OffOn)
                for (int i = 0; i < 8; i++)
                {
                    var selection = new SelectionConfig
                    {
                        DState = 3,
                        DConv = 3,
                        DtRank = 2,
                        SelectiveDelta = (i & 1) != 0,
                        SelectiveB = (i & 2) != 0,
                        SelectiveC = (i & 4) != 0,
                        Complex = complex,
                        Gate = gate,
                    };
                    yield return Block($"Selection {Flags((selection.SelectiveDelta, "delta"), (selection.SelectiveB, "B"), (selection.SelectiveC, "C"),
                        (complex, "complex"), (gate, "gate"))}b 2 l 5", config with { Mixer = selection }, (2, 5), packed: i % 3 == 1) with
                    { Small = i == 0 && !gate };
                }
        foreach (bool rotary in OffOn)
            foreach (bool positions in OffOn)
                foreach (bool packed in OffOn)
                    yield return Block($"Attention {Flags((rotary, "rotary"), (positions, "positions"), (packed, "reset"))}b 2 l 5", config with
                    {
                        DModel = 8,
                        Mixer = new AttentionConfig { Heads = 2, Rotary = rotary, MaxLength = positions ? 5 : null },
                    }, (2, 5), packed) with
                    { Small = rotary && positions };
        foreach (bool rms in OffOn)
            foreach (bool tied in OffOn)
                yield return Model($"{(rms ? "RMSNorm" : "LayerNorm")} {(tied ? "tied" : "own head")} b 2 l 4",
                    config with { RmsNorm = rms, TieEmbeddings = tied }, (2, 4));
        yield return Model("b 1 l 1", config, (1, 1));
        yield return Model("last position b 2 l 4", config, (2, 4), lastOnly: true);
        yield return Model("with a state b 2 l 4", config, (2, 4), withState: true);
        yield return Model("packed b 2 l 6", config, (2, 6), packed: true);
        yield return Model("MLP b 2 l 4", config with { DIntermediate = 5 }, (2, 4)) with { Small = false };
        foreach (Discretization scheme in (Discretization[])[Discretization.ZeroOrderHold, Discretization.ExponentialTrapezoidal])
            yield return Model($"{scheme.Name} with a state b 2 l 4", config with { Discretization = scheme }, (2, 4), withState: true);
        yield return Model("blelloch b 2 l 4", config with { ScanAlgorithm = ScanAlgorithm.Blelloch }, (2, 4));
        yield return Model("biases, l 40", config with { DModel = 8, SsmCfg = new SsmConfig { DState = 16, Bias = true } }, (2, 40)) with { Small = false };

        var numbers = new InputConfig { Channels = 2, Mean = [0.5, -1], Deviation = [2, 0.5] };
        HeadConfig classes = new() { Kind = HeadConfig.Classes, Outputs = 3 }, regression = new() { Kind = HeadConfig.Regression, Outputs = 2 };
        Segments shared = Segments.Packed([4, 2, 3], longest: 6), own = Segments.Padded([4, 2, 3]);
        yield return Sequence("next token, packed", config with { Head = new HeadConfig { Kind = HeadConfig.NextToken } }, shared);
        yield return Sequence("next value, padded", config with { Input = numbers, Head = new HeadConfig { Kind = HeadConfig.NextValue, Outputs = 2 } }, own);
        foreach (Pooling pool in Enum.GetValues<Pooling>())
        {
            yield return Sequence($"classes by {pool}, tokens packed", config with { Head = classes with { Pool = pool } }, shared);
            yield return Sequence($"regression by {pool}, numbers padded", config with { Input = numbers, Head = regression with { Pool = pool } }, own);
        }
        yield return Sequence("patches, packed", config with { Input = numbers with { Patch = 2 }, Head = classes with { Pool = Pooling.Gated } },
            Segments.Packed([7, 3], longest: 11, patch: 2));
        yield return Sequence("patches, one row", config with { Input = new InputConfig { Patch = 3 }, Head = classes }, Segments.Padded([5]));
        yield return Sequence("one of one position", config with { Head = classes with { Pool = Pooling.Last } }, Segments.Padded([1]));
    }

    static string Bl(Shape shape) => $"b {shape[0]} l {shape[1]}";

    static OpCase Block(string variant, MambaConfig config, Shape shape, bool packed = false) => new("Block", variant, [], _ => [])
    {
        Float32Tolerance = 1e-4,
        Float64Tolerance = 1e-11,
        Opener = (device, dtype) =>
        {
            Mixer block = config.Mixer.Build(config, 0);
            ParameterSet parameters = block.Initialize(device, dtype, seed: 1);
            Stir(parameters);
            Tensor hidden = Tape.Watch(Tensor.From(new CaseInput("hidden", shape.Append(config.DModel)).Values(1), shape.Append(config.DModel), dtype, device));
            return new OpenCase([("hidden", hidden), .. Named(parameters)], () => [block.Forward(hidden, reset: packed ? Starts(hidden) : null)], parameters);
        },
    };

    static OpCase Model(string variant, MambaConfig config, Shape shape, bool lastOnly = false, bool withState = false, bool packed = false) =>
        new("Model", variant, [], _ => [])
        {
            Float32Tolerance = 2e-4,
            Float64Tolerance = 1e-11,
            Opener = (device, dtype) =>
            {
                var model = new MambaLM(config, device, seed: 1, dtype);
                Stir(model.Parameters);
                return new OpenCase(Named(model.Parameters), () =>
                {
                    Tensor tokens = Ints(model.Parameters[0].Value, shape, i => i * 7 % config.VocabSize);
                    Tensor targets = Ints(tokens, shape, i => (i * 3 + 1) % config.VocabSize);
                    using MambaState? state = withState ? model.NewState(shape[0]) : null;
                    Tensor logits = model.Forward(tokens, state, lastOnly, reset: packed ? Packing.Resets(model.Parameters.Device, shape[1], [2], [1, 3])
                        : null);
                    return lastOnly ? [logits] : [logits, Ops.CrossEntropy(logits, targets, classes: config.VocabSize)];
                }, model);
            },
        };

    // a step of padding behind the rows, but where one row is one sequence
    static OpCase Sequence(string variant, MambaConfig config, Segments segments) => new("SequenceModel", variant, [], _ => [])
    {
        Float32Tolerance = 2e-4,
        Float64Tolerance = 1e-11,
        Opener = (device, dtype) =>
        {
            var model = new SequenceModel(config, device, seed: 1, dtype);
            Stir(model.Parameters);
            (Tensor first, Shape rows) = (model.Parameters[0].Value, (segments.Rows, segments.Length + (segments.Count > 1 ? 1 : 0)));
            if (config.Input is not { } input)
                return new OpenCase(Named(model.Parameters), () => [model.Forward(Ints(first, rows, i => i * 7 % config.VocabSize), segments)], model);
            Tensor x = Tape.Watch(Tensor.From(new CaseInput("x", rows.Append(input.Channels)).Values(1), rows.Append(input.Channels), dtype, device));
            return new OpenCase([("x", x), .. Named(model.Parameters)], () => [model.Forward(x, segments)], model);
        },
    };

    static (string, Tensor)[] Named(ParameterSet parameters) => [.. parameters.Select(p => (p.Name, p.Value))];

    // Initial weights are special (ones, zeros, a tiny embedding): at others a mistake cannot hide.
    static void Stir(ParameterSet parameters)
    {
        for (int i = 0; i < parameters.Count; i++)
        {
            double[] values = parameters[i].Value.ToDoubles(), noise = new CaseInput("", parameters[i].Shape, -0.3, 0.3).Values((ulong)i + 100);
            parameters[i].Value.WriteRounded([.. values.Zip(noise, (v, n) => v + n)]);
        }
    }

    // ---- what has no gradient: for parity ------------------------------------------------------------------------------

    static IEnumerable<OpCase> Others()
    {
        OpCase Forward(string op, string variant, CaseInput[] inputs, Func<Tensor[], Tensor[]> f) => new(op, variant, inputs, f) { Differentiable = false };
        foreach (Shape shape in (Shape[])[(3, 7), (1, 1), (2, 2, 17), 5, (2, 300)])
            yield return Forward("ArgMax", $"{shape}", [new("x", shape)], x => [Ops.ArgMax(x[0])]);
        yield return Forward("CountCorrect", "", [new("logits", (4, 5))], x => [x[0].Like(1).Filled(Ops.CountCorrect(x[0], Ints(x[0], 4, i => i)).Correct)]);
        foreach ((Shape a, Shape b) in (List<(Shape, Shape)>)[(7, 7), ((2, 3, 5), (3, 1)), (1, 1), (new Shape(), (2, 17)), ((70, 1), 70)])
        {
            CaseInput[] pair = [new("a", a), new("b", b)];
            // half of b is a, where the shapes allow it: some are equal
            static Tensor Near(Tensor[] x) => x[0].Shape == x[1].Shape ? Ops.Where(Ints(x[0], x[0].Shape, i => i % 2), x[0], x[1]) : x[1];
            yield return Forward("Greater", $"{a} {b}", pair, x => [Ops.Greater(x[0], Near(x)), Ops.Greater(x[0], 0.1)]);
            yield return Forward("Less", $"{a} {b}", pair, x => [Ops.Less(x[0], Near(x)), Ops.Less(x[0], 0.1)]);
            yield return Forward("Equal", $"{a} {b}", pair, x => [Ops.Equal(x[0], Near(x)), Ops.Equal(Ops.Relu(x[0]), 0)]);
            yield return Forward("NotEqual", $"{a} {b}", pair, x => [Ops.NotEqual(x[0], Near(x)), Ops.NotEqual(Ops.Relu(x[0]), 0)]);
        }
        foreach (Shape shape in (Shape[])[7, (3, 5), 1])
        {
            yield return Forward("Uniform", $"{shape}", [new("like", 1)], x =>
                [Ops.Uniform(shape, x[0].DType, x[0].Device, seed: 3, low: -1)]) with
            { OwnValues = true };
            yield return Forward("Normal", $"{shape}", [new("like", 1)], x => [Ops.Normal(shape, x[0].DType, x[0].Device, seed: 3)]) with { OwnValues = true };
        }
        foreach (bool bias in OffOn)
            foreach ((int b, int d, int n, int r, int k) in new[] { (1, 1, 1, 1, 1), (2, 5, 3, 1, 4), (3, 17, 16, 2, 8) })
                yield return Forward("MambaStep", $"{Flags((bias, "bias"))}b {b} d {d} n {n} r {r} k {k}",
                    [new("xz", (b, 2 * d)), new("conv_state", (b, k, d)), new("ssm_state", (b, n, d)), new("conv_weight", (d, k)), new("conv_bias", d),
                        new("x_proj", (r + 2 * n, d)), new("dt_proj", (d, r)), new("delta_bias", d), new("A_log", (d, n)), new("D", d)],
                    x =>
                    {
                        Tensor conv = x[1].Clone(), ssm = x[2].Clone();
                        return [Ops.MambaStep(x[0], conv, ssm, x[3], bias ? x[4] : null, x[5], x[6], x[7], x[8], x[9]), conv, ssm];
                    });
        foreach (bool bias in OffOn)
            foreach (bool silu in OffOn)
                foreach (int k in new[] { 1, 2, 3, 4, 5, 6, 7, 8 })
                    yield return Forward("CausalConv1dStep", $"{Flags((bias, "bias"), (silu, "silu"))}k {k}",
                        [new("x", (2, 5)), new("state", (2, k, 5)), new("weight", (5, k)), new("bias", 5)], x =>
                    {
                        Tensor state = x[1].Clone();
                        return [Ops.CausalConv1dStep(x[0], state, x[2], bias ? x[3] : null, silu), state];
                    });
        foreach (double clip in new[] { 0.5, 1e9 })
        {
            yield return Forward("AdamW", $"two steps, clipped to {clip}", [new("p", (5, 7)), new("q", 3), new("g", (5, 7)), new("h", 3)], x =>
            {
                Parameter p = new("p", (5, 7)), q = new("q", 3, decay: false);
                using var parameters = new ParameterSet([p, q], x[0].DType, x[0].Device);
                p.Value.CopyFrom(x[0]);
                q.Value.CopyFrom(x[1]);
                using var optimizer = new AdamW(parameters, 0.01);
                Tensor norm = x[0].Like(1);
                for (int step = 0; step < 2; step++)
                {
                    using var tape = new Tape();
                    Gradients gradients = tape.Backward([(p.Value * p.Value, x[2]), (q.Value * q.Value, x[3])]).ClipNorm(clip);
                    norm.Filled(gradients.Norm);
                    optimizer.Step(gradients);
                }
                return [p.Value.Clone(), q.Value.Clone(), norm];
            });
        }
    }

    static Tensor Filled(this Tensor x, double value) => Ops.Fill(x, value);
}
