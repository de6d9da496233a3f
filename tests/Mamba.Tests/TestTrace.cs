using System.Text.Json;

namespace Mamba.Tests;

/// <summary>
/// A trace as it would be of a model, made of scans over random input: small, quick, and every array there is. What a test wants otherwise it says
/// by the properties.
/// </summary>
internal sealed record TestTrace
{
    public int[] Layers { get; init; } = [0, 1];
    public int Batch { get; init; } = 1;
    public int Length { get; init; } = 12;
    public int D { get; init; } = 6;
    public int N { get; init; } = 4;
    public int K { get; init; } = 8;
    public Discretization Discretization { get; init; } = Discretization.ExponentialEuler;

    /// <summary>Texts of the tokens, b·l; null: no tokenizer.</summary>
    public string[]? Tokens { get; init; }

    /// <summary>Ids of the tokens; chosen at random where null.</summary>
    public int[]? Ids { get; init; }

    public bool Gradients { get; init; } = true;

    /// <summary>The numbers that are drawn; another seed is another run.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Arrays that are not in the file, by name, of every layer.</summary>
    public string[] Without { get; init; } = [];

    public string[] Hooks { get; init; } = [];

    public string Model { get; init; } = "mamba, 2 layers, d_model 3, 9f3c";

    /// <summary>Changes the values of an array before it is written: layer, name, values.</summary>
    public Action<int, string, float[]> Change { get; init; } = (_, _, _) => { };

    /// <summary>Texts of ids that are likely to come next.</summary>
    public Dictionary<int, string>? TopTexts { get; init; }

    const int Vocabulary = 50;

    /// <summary>Writes it and opens it.</summary>
    public TraceFile Open(string path)
    {
        Write(path);
        return TraceFile.Open(path);
    }

    /// <summary>Writes it.</summary>
    public void Write(string path)
    {
        var writer = new SafetensorsWriter();
        writer.Metadata["format"] = "mamba-trace";
        writer.Metadata["layers"] = string.Join(',', Layers);
        writer.Metadata["discretization"] = Discretization.Name;
        writer.Metadata["model"] = Model;
        if (Tokens is not null)
            writer.Metadata["tokens"] = JsonSerializer.Serialize(Tokens);
        if (Hooks.Length > 0)
            writer.Metadata["hooks"] = JsonSerializer.Serialize(Hooks);
        if (TopTexts is not null)
            writer.Metadata["top_texts"] = JsonSerializer.Serialize(TopTexts.ToDictionary(pair => $"{pair.Key}", pair => pair.Value, StringComparer.Ordinal));
        if (Gradients)
        {
            writer.Metadata["quantity"] = "the log probability of the last token";
            writer.Add("quantity", new Shape(), [-0.5f]);
        }
        var random = new Random(Seed);
        int[] ids = Ids ?? [.. Enumerable.Range(0, Batch * Length).Select(_ => random.Next(Vocabulary))];
        writer.Add("ids", (Batch, Length), Array.ConvertAll(ids, id => (long)id));
        for (int i = 0; i < Layers.Length; i++)
            Add(writer, Layers[i], (i + 1) / (double)Layers.Length);
        writer.Save(path);
    }

    void Add(SafetensorsWriter writer, int layer, double depth)
    {
        int b = Batch, l = Length, d = D, n = N;
        Shape perChannel = (b, l, d), perState = (b, l, n), perBoth = (b, l, d, n);
        double[] Uniform(Shape shape, int what, double low = -1, double high = 1) => TestData.Uniform(shape.Count, Seed * 1000 + layer * 20 + what, low, high);
        using var scope = new TensorScope();
        Device host = TestDevices.Open("cpu");
        Tensor Of(double[] values, Shape shape) => Tensor.From(values, shape, DType.Float64, host);
        // steps over two decades, as selection makes them; channels of unlike size
        double[] delta = Array.ConvertAll(Uniform(perChannel, 1, -5, 0), Math.Exp), u = Uniform(perChannel, 2);
        for (int i = 0; i < u.Length; i++)
            u[i] *= 1 + i % d * 7 % d;
        double[] A = [.. Enumerable.Range(0, d * n).Select(i => -(1.0 + i % n))], skip = Uniform(d, 5);
        double[] B = Uniform(perState, 3), C = Uniform(perState, 4);
        var inputs = new ScanInputs
        {
            U = Of(u, perChannel),
            Delta = Of(delta, perChannel),
            A = Of(A, (d, n)),
            B = Of(B, perState),
            C = Of(C, perState),
            Softplus = false,
            Discretization = Discretization,
        };
        var c = new ScanCoefficients(inputs);
        double[] alpha = Ordered(c.Alpha), sources = Ordered(c.Sources());
        Tensor deltaB = Ops.Expand(c.Delta, c.Alpha.Shape) * Ops.Expand(c.B, c.Alpha.Shape);
        double[] bBar = Ordered(c.Gamma is null ? deltaB : c.Gamma * deltaB);
        double[] h = new double[perBoth.Count], dh = new double[perBoth.Count], y = new double[perChannel.Count];
        int token = d * n;
        for (int at = 0; at < h.Length; at++)
        {
            h[at] = alpha[at] * (at / token % l == 0 ? 0 : h[at - token]) + sources[at];
            int bt = at / token, channel = at / n % d;
            y[bt * d + channel] += C[bt * n + at % n] * h[at];
        }
        for (int i = 0; i < y.Length; i++)
            y[i] += skip[i % d] * u[i];
        // the gradient of the sum of y
        for (int at = h.Length - 1; at >= 0; at--)
            dh[at] = C[at / token * n + at % n] + (at / token % l == l - 1 ? 0 : alpha[at + token] * dh[at + token]);
        double[] z = Uniform(perChannel, 6);
        Store("u", perChannel, u);
        Store("delta", perChannel, delta);
        Store("z", perChannel, z);
        Store("y", perChannel, y);
        Store("B", perState, B);
        Store("C", perState, C);
        Store("A", (d, n), A);
        Store("D", d, skip);
        Store("Abar", perBoth, alpha);
        Store("Bbar", perBoth, bBar);
        Store("h", perBoth, h);
        if (Gradients)
        {
            Store("dh", perBoth, dh);
            Store("ddelta", perChannel, Uniform(perChannel, 7));
        }
        // probabilities that grow surer with depth
        var random = new Random(Seed * 77 + layer);
        long[] ids = [.. Enumerable.Range(0, b * l).SelectMany(_ => Enumerable.Range(0, Vocabulary).OrderBy(_ => random.Next()).Take(K).Select(id => (long)id))];
        double[] p = [.. Enumerable.Range(0, b * l * K).Select(i => 0.6 * depth * Math.Pow(0.45, i % K) * (0.5 + random.NextDouble() / 2))];
        if (!Without.Contains("top_ids"))
            writer.Add(TraceFile.NameOf(layer, "top_ids"), (b, l, K), ids);
        Store("top_p", (b, l, K), p);
        Store("next_p", (b, l - 1), [.. Enumerable.Range(0, b * (l - 1)).Select(_ => depth * random.NextDouble())]);

        double[] Ordered(Tensor x) => Ops.Permute(x, 0, 1, 3, 2).ToDoubles();       // (b, l, n, d) → (b, l, d, n)

        void Store(string name, Shape shape, double[] values)
        {
            if (Without.Contains(name))
                return;
            float[] singles = Array.ConvertAll(values, value => (float)value);
            Change(layer, name, singles);
            writer.Add(TraceFile.NameOf(layer, name), shape, singles);
        }
    }
}
