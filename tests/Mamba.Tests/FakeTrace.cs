using System.Text.Json;

namespace Mamba.Tests;

/// <summary>Traces of scans of random inputs, as the files that inspection writes.</summary>
internal sealed record FakeTrace(int Layers, int Batch, int Length, int Channels, int States)
{
    /// <summary>How Ā is made.</summary>
    public string Discretization { get; init; } = "exponential-euler";

    /// <summary>The texts of the tokens; none when null.</summary>
    public string[]? Texts { get; init; }

    /// <summary>Arrays that are left out: <c>layer.0.h</c>, …</summary>
    public string[] Without { get; init; } = [];

    /// <summary>Changes an array before it is written.</summary>
    public Action<string, double[]> Change { get; init; } = (_, _) => { };

    /// <summary>Arrays that are written in another shape.</summary>
    public Dictionary<string, Shape> Shapes { get; init; } = [];

    /// <summary>The arrays of a layer as they are before they are changed: a scan of random inputs.</summary>
    public Dictionary<string, double[]> Arrays(int layer)
    {
        using var scope = new TensorScope();
        Device cpu = TestDevices.Open("cpu");
        long b = Batch, l = Length, d = Channels, n = States;
        int seed = 100 * layer;
        Tensor Random(int which, Shape shape, double low = -1, double high = 1) => TestData.Random(shape, DType.Float64, cpu, seed + which, low, high);
        Tensor u = Random(1, (b, l, d)), delta = Random(2, (b, l, d), 0.01, 0.5), A = Random(3, (d, n), -2, -0.1),
            B = Random(4, (b, l, n)), C = Random(5, (b, l, n)), D = Random(6, d);
        var discretization = Mamba.Discretization.Named(Discretization);
        double[] y = new double[b * l * d], h = new double[b * l * d * n];
        Tensor? state = null, input = null;
        for (long t = 0; t < l; t++)
        {
            Tensor At(Tensor x) => Ops.Slice(x, 1, t, 1);
            ScanResult result = Ops.SelectiveScan(At(u), At(delta), A, At(B), At(C), D, deltaSoftplus: false, initialState: state, previousInput: input,
                discretization: discretization);
            (state, input) = (result.LastState, result.LastInput);
            Put(result.Y.ToDoubles(), y, t, d);
            Put(state.ToDoubles(), h, t, d * n);
        }
        return new Dictionary<string, double[]>(StringComparer.Ordinal)
        {
            ["u"] = u.ToDoubles(),
            ["delta"] = delta.ToDoubles(),
            ["A"] = A.ToDoubles(),
            ["B"] = B.ToDoubles(),
            ["C"] = C.ToDoubles(),
            ["D"] = D.ToDoubles(),
            ["y"] = y,
            ["h"] = h,
        };

        // (b, 1, width) into (b, l, width) at token t
        void Put(double[] values, double[] into, long t, long width)
        {
            for (long row = 0; row < b; row++)
                Array.Copy(values, row * width, into, (row * l + t) * width, width);
        }
    }

    /// <summary>Writes it and opens it.</summary>
    public TraceFile Open(string path)
    {
        var writer = new SafetensorsWriter();
        writer.Metadata["format"] = "mamba-trace";
        writer.Metadata["layers"] = string.Join(',', Enumerable.Range(0, Layers));
        writer.Metadata["discretization"] = Discretization;
        if (Texts is not null)
            writer.Metadata["tokens"] = JsonSerializer.Serialize(Texts);
        writer.Add("ids", (Batch, Length), [.. Enumerable.Range(0, Batch * Length).Select(i => 100L + i)]);
        long b = Batch, l = Length, d = Channels, n = States;
        for (int layer = 0; layer < Layers; layer++)
            foreach ((string name, double[] values) in Arrays(layer))
            {
                string full = $"layer.{layer}.{name}";
                if (Without.Contains(full))
                    continue;
                Change(full, values);
                writer.Add(full, Shapes.GetValueOrDefault(full) is { Rank: > 0 } other ? other : name switch
                {
                    "A" => (d, n),
                    "D" => d,
                    "B" or "C" => (b, l, n),
                    "h" => (b, l, d, n),
                    _ => (b, l, d),
                }, values);
            }
        writer.Save(path);
        return TraceFile.Open(path);
    }
}
