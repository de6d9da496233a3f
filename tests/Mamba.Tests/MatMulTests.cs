using Mamba.Gpu;
using NUnit.Framework;
using static Mamba.Tests.Agreement;

namespace Mamba.Tests;

public class MatMulTests
{
    static readonly int[] Extents = [0, 1, 7, 13, 65, 129];

    // One tile, a part of one, and empty ones: a product is slow on the simulator.
    static readonly (int M, int N, int K)[] Tiny = [(1, 1, 1), (7, 13, 5), (17, 3, 19), (0, 3, 2), (3, 0, 2), (3, 2, 0)];

    static IEnumerable<(int M, int N, int K)> Sizes(string device) => device == "ilgpu-cpu"
        ? Tiny
        : from m in Extents from n in Extents from k in Extents select (m, n, k);

    static Shape Stored(long rows, long columns, bool transposed) => transposed ? (columns, rows) : (rows, columns);

    [Test]
    public void Two_by_two_by_hand()
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu-256");
        Tensor a = Tensor.From([1.0, 2, 3, 4], (2, 2), device), b = Tensor.From([5.0, 6, 7, 8], (2, 2), device);
        Assert.That(Ops.MatMul(a, b).ToDoubles(), Is.EqualTo(new double[] { 19, 22, 43, 50 }));
        Assert.That(Ops.MatMul(a, b, transposeA: true).ToDoubles(), Is.EqualTo(new double[] { 26, 30, 38, 44 }));
        Assert.That(Ops.MatMul(a, b, transposeB: true).ToDoubles(), Is.EqualTo(new double[] { 17, 23, 39, 53 }));
        Assert.That(Ops.MatMul(a, b, transposeA: true, transposeB: true).ToDoubles(), Is.EqualTo(new double[] { 23, 31, 34, 46 }));
    }

    [Test]
    public void Every_size_in_every_transpose_is_that_of_a_plain_loop([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [Values] bool transposeA, [Values] bool transposeB)
    {
        Device on = TestDevices.Open(device);
        foreach ((int m, int n, int k) in Sizes(device))
        {
            using var scope = new TensorScope();
            Input a = Input.Random(Stored(m, k, transposeA), 1), b = Input.Random(Stored(k, n, transposeB), 2);
            Tensor y = Ops.MatMul(a.On(on, dtype), b.On(on, dtype), transposeA, transposeB);
            Assert.That(y.Shape, Is.EqualTo(new Shape(m, n)));
            (double[] values, double[] magnitudes) = PlainMatMul.Multiply(a.Values, b.Values, m, n, k, transposeA, transposeB);
            PlainMatMul.Expect(y, values, magnitudes, k, $"m={m}, n={n}, k={k}");
        }
    }

    /// <summary>Leading axes of a and b.</summary>
    static readonly (long[] A, long[] B)[] Batches = [([3], [3]), ([2, 3], [2, 3]), ([3], []), ([], [2, 2]), ([0], [0]), ([0], []), ([1], [])];

    [Test]
    public void Batches_multiply_item_by_item_and_an_operand_without_one_is_shared([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [Values] bool transposeA, [Values] bool transposeB,
        [ValueSource(nameof(Batches))] (long[] A, long[] B) batch)
    {
        (int m, int n, int k) = device == "ilgpu-cpu" ? (3, 5, 2) : (13, 21, 34);
        using var scope = new TensorScope();
        Device on = TestDevices.Open(device);
        Input a = Input.Random(new Shape([.. batch.A, .. Stored(m, k, transposeA).ToArray()]), 3);
        Input b = Input.Random(new Shape([.. batch.B, .. Stored(k, n, transposeB).ToArray()]), 4);
        Tensor y = Ops.MatMul(a.On(on, dtype), b.On(on, dtype), transposeA, transposeB);
        long[] leading = batch.A.Length > 0 ? batch.A : batch.B;
        Assert.That(y.Shape, Is.EqualTo(new Shape([.. leading, m, n])));
        long items = new Shape(leading).Count;
        var parts = Enumerable.Range(0, (int)items).Select(i => PlainMatMul.Multiply(a.Values, b.Values, m, n, k, transposeA, transposeB,
            batch.A.Length > 0 ? i * m * k : 0, batch.B.Length > 0 ? i * k * n : 0)).ToArray();
        PlainMatMul.Expect(y, [.. parts.SelectMany(p => p.Values)], [.. parts.SelectMany(p => p.Magnitudes)], k);
    }

    [Test]
    public void Gradients_are_those_of_differences([Values] bool transposeA,
        [Values] bool transposeB, [ValueSource(nameof(Batches))] (long[] A, long[] B) batch, [Values(1, 3)] int m, [Values(1, 5)] int n) =>
        Assert.That(GradientError(x => [Ops.MatMul(x[0], x[1], transposeA, transposeB)], Inputs(m, n, 4, transposeA, transposeB, batch)), Is.LessThan(1e-8));

    [Test]
    public void Every_device_agrees_with_gradients([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [Values] bool transposeA, [Values] bool transposeB) =>
        Check(device, dtype, x => [Ops.MatMul(x[0], x[1], transposeA, transposeB)],
            device == "ilgpu-cpu" ? Inputs(3, 5, 2, transposeA, transposeB, ([2], [])) : Inputs(33, 17, 70, transposeA, transposeB, ([2], [])));

    static Input[] Inputs(int m, int n, int k, bool transposeA, bool transposeB, (long[] A, long[] B) batch) =>
    [
        Input.Random(new Shape([.. batch.A, .. Stored(m, k, transposeA).ToArray()]), 5),
        Input.Random(new Shape([.. batch.B, .. Stored(k, n, transposeB).ToArray()]), 6),
    ];

    [Test]
    public void The_number_of_cores_changes_no_bit([Values(DType.Float32, DType.Float64)] DType dtype,
        [Values] bool transposeA, [Values] bool transposeB, [Values(0, 3)] long batch)
    {
        const int M = 67, N = 129, K = 300;
        double[][] On(int threads)
        {
            using var device = new HostDevice(threads);
            using var tape = new Tape();
            long[] leading = batch > 0 ? [batch] : [];
            Tensor a = Tape.Watch(TestData.Random(new Shape([.. leading, .. Stored(M, K, transposeA).ToArray()]), dtype, device, 1));
            Tensor b = Tape.Watch(TestData.Random(Stored(K, N, transposeB), dtype, device, 2));
            Tensor y = Ops.MatMul(a, b, transposeA, transposeB);
            Gradients gradients = tape.Backward([(y, TestData.Random(y.Shape, dtype, device, 3))]);
            return [y.ToDoubles(), gradients[a].ToDoubles(), gradients[b].ToDoubles()];
        }
        double[][] one = On(1);
        foreach (int threads in (int[])[2, 3, 7])
            Assert.That(On(threads), Is.EqualTo(one), $"{threads} threads");
    }

    [Test]
    public void A_row_alone_has_the_bits_it_has_among_many([Values("cpu-128", "cpu-256", "cpu-512")] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [Values] bool transposeB, [Values(1, 16, 65, 200)] int n, [Values(5, 300, 700)] int k)
    {
        using var scope = new TensorScope();
        Device on = TestDevices.Open(device);
        const int M = 130;
        Tensor a = TestData.Random((M, k), dtype, on, 1), b = TestData.Random(Stored(k, n, transposeB), dtype, on, 2);
        double[] whole = Ops.MatMul(a, b, transposeB: transposeB).ToDoubles();
        (int, int)[] parts = [(0, 1), (7, 1), (129, 1), (64, 2), (100, 11), (3, 12), (50, 13), (1, 64), (20, 9)];
        foreach ((int start, int rows) in parts.Where(r => !transposeB || r.Item2 > 8))
            Assert.That(Ops.MatMul(a.Rows(start, rows), b, transposeB: transposeB).ToDoubles(),
                Is.EqualTo(whole[(start * n)..((start + rows) * n)]), $"rows {start} to {start + rows}");
    }

    // Up to eight rows times rows of B are dot products of their own, see HostFewRows.
    [Test]
    public void A_row_alone_has_the_bits_it_has_among_a_few([Values("cpu-128", "cpu-256", "cpu-512")] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [Values(1, 16, 65, 203)] int n, [Values(5, 48, 300, 701)] int k)
    {
        using var scope = new TensorScope();
        Tensor a = TestData.Random((8, k), dtype, TestDevices.Open(device), 1), b = TestData.Random((n, k), dtype, TestDevices.Open(device), 2);
        double[] whole = Ops.MatMul(a, b, transposeB: true).ToDoubles();
        for (int rows = 1; rows < 8; rows++)
            for (int start = 0; start + rows <= 8; start++)
                Assert.That(Ops.MatMul(a.Rows(start, rows), b, transposeB: true).ToDoubles(),
                    Is.EqualTo(whole[(start * n)..((start + rows) * n)]), $"rows {start} to {start + rows}");
    }

    [Test]
    public void A_few_rows_times_a_weight_are_those_of_a_plain_loop([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [Values] bool accumulate, [Values] bool bias, [Values] bool apart)
    {
        using var scope = new TensorScope();
        Device on = TestDevices.Open(device);
        foreach (int m in Enumerable.Range(1, 9))
            foreach ((int n, int k) in device == "ilgpu-cpu"
                ? [(5, 7)] : new[] { (1, 1), (33, 17), (3, 64), (65, 50), (131, 259), (7, 701), (1000, 37), (4, 0) })
            {
                int row = apart ? k + 3 : k;        // A is part of a wider matrix
                double[] wide = TestData.Uniform(m * row, 1), b = Input.Random((n, k), 2).Values;
                double[] c = TestData.Uniform(m * n, 3), added = TestData.Uniform(n, 4);
                Tensor y = Tensor.From(c, (m, n), dtype, on);
                MatMulKernels.Multiply(new MatMulProblem(Tensor.From(wide, (m, row), dtype, on), Tensor.From(b, (n, k), dtype, on), y, m, n, k)
                {
                    TransposeB = true,
                    RowA = row,
                    Accumulate = accumulate,
                    Bias = bias ? Tensor.From(added, n, dtype, on) : null,
                });
                double[] a = [.. Enumerable.Range(0, m * k).Select(i => wide[i / k * row + i % k])];
                (double[] values, double[] magnitudes) = PlainMatMul.Multiply(a, b, m, n, k, transposeA: false, transposeB: true);
                for (int i = 0; i < m * n; i++)
                {
                    double more = (accumulate ? c[i] : 0) + (bias ? added[i % n] : 0);
                    values[i] += more;
                    magnitudes[i] += (accumulate ? Math.Abs(c[i]) : 0) + (bias ? Math.Abs(added[i % n]) : 0);
                }
                PlainMatMul.Expect(y, values, magnitudes, k, $"m={m}, n={n}, k={k}");
            }
    }

    // A depth of 16 fills a worker's block with 3072 rows of floats or 1536 of doubles.
    [Test]
    public void A_transposed_matrix_gives_the_bits_of_its_transpose([Values(DType.Float32, DType.Float64)] DType dtype,
        [Values(37, 1550, 3110)] int m, [Values(1, 16, 17, 257)] int k, [Values(128, 256, 512)] int bits)
    {
        using var device = new HostDevice(threads: 1, bits);
        using var scope = new TensorScope();
        Tensor a = TestData.Random((k, m), dtype, device, 1), b = TestData.Random((k, 37), dtype, device, 2);
        Assert.That(Ops.MatMul(a, b, transposeA: true).ToDoubles(), Is.EqualTo(Ops.MatMul(Ops.Transpose(a), b).ToDoubles()));
    }

    [Test]
    public void The_number_of_cores_changes_no_bit_of_a_few_rows([Values(DType.Float32, DType.Float64)] DType dtype, [Values(1, 2, 5, 8)] int m)
    {
        const int N = 1001, K = 333;
        double[] On(int threads)
        {
            using var device = new HostDevice(threads);
            using var scope = new TensorScope();
            Tensor x = TestData.Random((m, K), dtype, device, 1), weight = TestData.Random((N, K), dtype, device, 2);
            return Ops.Linear(x, weight, TestData.Random(N, dtype, device, 3)).ToDoubles();
        }
        double[] one = On(1);
        foreach (int threads in (int[])[2, 3, 7])
            Assert.That(On(threads), Is.EqualTo(one), $"{threads} threads");
    }

    [Test]
    public void What_lies_behind_a_view_does_not_matter([Values("cpu-128", "cpu-256", "cpu-512")] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [Values] bool transposeB)
    {
        using var scope = new TensorScope();
        Device on = TestDevices.Open(device);
        double[] values = TestData.Uniform(20 * 9, 1), poisoned = [.. values];
        Array.Fill(poisoned, double.NaN, 0, 2 * 9);
        Array.Fill(poisoned, double.NaN, 15 * 9, 5 * 9);
        Tensor a = TestData.Random((5, transposeB ? 9 : 13), dtype, on, 2);
        double[] expected = Ops.MatMul(a, Tensor.From(values, (20, 9), dtype, on).Rows(2, 13), transposeB: transposeB).ToDoubles();
        Assert.That(Ops.MatMul(a, Tensor.From(poisoned, (20, 9), dtype, on).Rows(2, 13), transposeB: transposeB).ToDoubles(), Is.EqualTo(expected));
        Assert.That(expected, Has.None.NaN);
    }

    [Test]
    public void Operands_that_do_not_fit_are_one_clear_line()
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu-256");
        void Refused(Shape a, Shape b, string message, bool transposeA = false, bool transposeB = false) =>
            Assert.That(() => Ops.MatMul(Tensor.Zeros(a, DType.Float32, device), Tensor.Zeros(b, DType.Float32, device), transposeA, transposeB),
                Throws.TypeOf<MambaException>().With.Message.EqualTo(message));

        Refused((2, 3), (4, 5), "MatMul: b has shape (4, 5); its inner extent must be k=3, from a (2, 3).");
        Refused((2, 3), (3, 5), "MatMul: b has shape (3, 5); its inner extent must be k=2, from a (2, 3).", transposeA: true);
        Refused((2, 3), (3, 5), "MatMul: b has shape (3, 5); its inner extent must be k=3, from a (2, 3).", transposeB: true);
        Refused(3, (3, 5), "MatMul: a has shape (3) and b (3, 5); expected two axes or more.");
        Refused((2, 4, 3), (5, 3, 6), "MatMul: a has shape (2, 4, 3) and b (5, 3, 6); the axes before the last two must be the same, or missing in one.");
        Refused((2, 4, 3), (1, 3, 6), "MatMul: a has shape (2, 4, 3) and b (1, 3, 6); the axes before the last two must be the same, or missing in one.");
    }

    [Test]
    public void Operands_of_different_kinds_are_one_clear_line([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string name)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open(name);
        Tensor x = Tensor.Zeros((2, 2), DType.Float32, device);
        Assert.That(() => Ops.MatMul(x, Tensor.Zeros((2, 2), DType.Float64, device)),
            Throws.TypeOf<MambaException>().With.Message.EqualTo($"MatMul: b is float64 (2, 2) on {device}; expected float32 on {device}, as a."));
        Assert.That(() => Ops.MatMul(Tensor.From([1, 2, 3, 4], (2, 2), device), Tensor.From([1, 2, 3, 4], (2, 2), device)),
            Throws.TypeOf<MambaException>().With.Message.EqualTo("MatMul: a is int32 (2, 2); expected float32 or float64."));
    }
}
