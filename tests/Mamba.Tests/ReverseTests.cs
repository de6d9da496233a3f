using NUnit.Framework;

namespace Mamba.Tests;

public class ReverseTests
{
    static readonly (int B, int L, int D)[] Sizes = [(1, 1, 1), (1, 2, 1), (2, 7, 5), (3, 8, 17), (2, 3, 300), (0, 4, 2), (2, 0, 3)];

    // the sequences of a row one behind another, each read from its end
    static double[] Mirrored(double[] x, int[] reset, int b, int l, int d)
    {
        double[] y = new double[x.Length];
        for (int row = 0; row < b; row++)
            for (int s = 0, e; s < l; s = e)
            {
                e = s + 1;
                while (e < l && reset[row * l + e] == 0)
                    e++;
                for (int t = s; t < e; t++)
                    for (int i = 0; i < d; i++)
                        y[(row * l + t) * d + i] = x[(row * l + s + e - 1 - t) * d + i];
            }
        return y;
    }

    static double[] Values(int count, int seed) => [.. Enumerable.Range(0, count).Select(i => (i * 7919L + seed) % 1009 - 500.0)];

    static void Check(Device device, DType dtype, int b, int l, int d, Func<int, int, int>? startsAt)
    {
        using var tape = new Tape();
        int[] reset = [.. Enumerable.Range(0, b * l).Select(i => startsAt?.Invoke(i / l, i % l) ?? 0)];
        double[] values = Values(b * l * d, 1), seeds = Values(b * l * d, 2);
        Tensor x = Tape.Watch(Tensor.From(values, (b, l, d), dtype, device));
        Tensor? mask = startsAt is null ? null : Tensor.From(reset, (b, l), device);
        Tensor y = Ops.Reverse(x, mask);
        Assert.That(y.ToDoubles(), Is.EqualTo(Mirrored(values, reset, b, l, d)));
        Assert.That(Ops.Reverse(y, mask).ToDoubles(), Is.EqualTo(values), "twice");
        Assert.That(tape.Backward([(y, Tensor.From(seeds, y.Shape, dtype, device))])[x].ToDoubles(), Is.EqualTo(Mirrored(seeds, reset, b, l, d)), "gradient");
    }

    [Test]
    public void Every_sequence_is_mirrored_in_its_own_place([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [ValueSource(nameof(Sizes))] (int B, int L, int D) size)
    {
        Device on = TestDevices.Open(device);
        (int b, int l, int d) = size;
        Check(on, dtype, b, l, d, null);
        Check(on, dtype, b, l, d, (_, _) => 0);
        Check(on, dtype, b, l, d, (_, _) => 1);                             // each token a sequence
        Check(on, dtype, b, l, d, (row, t) => (t + row) % 3 == 0 ? -5 : 0); // any number but 0 starts one
        Check(on, dtype, b, l, d, (_, t) => t == l - 1 ? 1 : 0);
    }

    // tokens are looked at in blocks of 1024
    [Test]
    public void Sequences_may_cross_any_number_of_blocks([ValueSource(typeof(TestDevices), nameof(TestDevices.Fast))] string device)
    {
        Device on = TestDevices.Open(device);
        int[][] starts = [[], [1023], [1024], [1025], [2047, 2048], [1, 1024, 4999], [700, 3000], [5000, 5119], [1023, 1024, 1025, 3071, 3072]];
        foreach (int l in (int[])[1023, 1024, 1025, 5120, 5121])
            foreach (int[] at in starts)
                Check(on, DType.Float32, 2, l, 1, (row, t) => at.Contains(t - row * 17) ? 1 : 0);
    }

    [Test]
    public void A_row_of_a_million_tokens_takes_as_long_as_it_is_long()
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu");
        const int L = 1 << 20;
        Tensor x = Tensor.From([.. Enumerable.Range(0, L).Select(i => (float)i)], (1, L, 1), device);
        foreach (int start in (int[])[0, L / 2, L - 1])
        {
            int[] reset = new int[L];
            reset[start] = 1;
            float[] y = Ops.Reverse(x, Tensor.From(reset, (1, L), device)).ToArray<float>();
            for (int t = 0; t < L; t++)
                if (y[t] != (t < start ? start - 1 - t : start + L - 1 - t))
                    Assert.Fail($"token {t} of one that starts at {start} is {y[t]}");
        }
    }

    [Test]
    public void What_does_not_fit_is_one_clear_line()
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu");
        Tensor x = Tensor.Zeros((2, 3, 4), DType.Float32, device);
        void Throws(Action act, string message) => Assert.That(act, NUnit.Framework.Throws.TypeOf<MambaException>().With.Message.EqualTo(message));
        Throws(() => Ops.Reverse(x[0]), "Reverse: x has shape (3, 4); expected (b, l, d).");
        Throws(() => Ops.Reverse(x, Tensor.Zeros((2, 3), DType.Float32, device)), "Reverse: reset is float32; expected int32.");
        Throws(() => Ops.Reverse(x, Tensor.Zeros((3, 2), DType.Int32, device)),
            "Reverse: reset has shape (3, 2); expected (2, 3). b and l come from x (2, 3, 4).");
        Throws(() => Ops.Reverse(Tensor.Zeros((2, 3, 4), DType.Int32, device)), "Reverse: x is int32 (2, 3, 4); expected float32 or float64.");
    }
}
