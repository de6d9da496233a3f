using NUnit.Framework;
using static Mamba.Tests.Agreement;

namespace Mamba.Tests;

/// <summary>A NaN or an infinity among numbers: what ops make of it does not depend on its place, the device or the width, and none gets lost.</summary>
public class NonFiniteTests
{
    const double Infinity = double.PositiveInfinity, NaN = double.NaN;

    static readonly int[] Lengths = [1, 2, 3, 7, 8, 17, 40, 64, 130, 257];

    /// <summary>
    /// Rows of random numbers, each but the first with other things in it, and where the largest of each is: the first NaN, or else the
    /// first largest.
    /// </summary>
    static (double[] Values, double[] Largest, int[] At) Rows(int n)
    {
        int[] places = [.. new[] { 0, n / 3, n / 2, n - 2, n - 1 }.Where(i => i >= 0).Distinct()];
        var rows = new List<(double[] Values, double Largest, int At)>();
        void Add(params (int At, double Value)[] planted)
        {
            double[] row = TestData.Uniform(n, rows.Count + n);
            foreach ((int at, double value) in planted)
                row[at] = value;
            int nan = Array.FindIndex(row, double.IsNaN);
            rows.Add((row, nan >= 0 ? NaN : row.Max(), nan >= 0 ? nan : Array.IndexOf(row, row.Max())));
        }
        Add();
        Add([.. Enumerable.Range(0, n).Select(i => (i, NaN))]);
        Add([.. Enumerable.Range(0, n).Select(i => (i, -Infinity))]);
        foreach (int at in places)
        {
            Add((at, NaN));
            Add((at, -NaN));
            Add((at, Infinity));
            foreach (int other in places.Where(other => other != at))
            {
                Add((at, NaN), (other, Infinity));
                Add((at, NaN), (other, -Infinity));
                Add((at, NaN), (other, NaN));
            }
        }
        return ([.. rows.SelectMany(row => row.Values)], [.. rows.Select(row => row.Largest)], [.. rows.Select(row => row.At)]);
    }

    [Test]
    public void A_NaN_is_the_largest_wherever_it_is([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        foreach (int n in Lengths)
        {
            using var scope = new TensorScope();
            (double[] values, double[] largest, int[] at) = Rows(n);
            Tensor x = Tensor.From(values, (largest.Length, n), dtype, TestDevices.Open(device));
            double[] expected = [.. largest.Select(v => dtype == DType.Float32 ? (float)v : v)];
            Assert.That(x.Max(1).ToDoubles(), Is.EqualTo(expected), $"along rows of {n}");
            Assert.That(x.Transpose().Max(0).ToDoubles(), Is.EqualTo(expected), $"along columns of {n}");
            Assert.That(x.ArgMax().ToArray<int>(), Is.EqualTo(at), $"where, in rows of {n}");
        }
    }

    [Test]
    public void A_NaN_is_the_largest_of_a_row_reduced_in_blocks([Values("cpu-128", "cpu-256", "cpu-512", "opencl:0", "cuda:0")] string device,
        [Values(0, 4095, 4096, 9000)] int at)
    {
        using var scope = new TensorScope();
        double[] values = TestData.Uniform(2 * 9001, 1);
        values[9001 + at] = NaN;
        Tensor x = Tensor.From(values, (2, 9001), TestDevices.Open(device));
        Assert.That(x.Max(1).ToDoubles(), Is.EqualTo(new[] { values[..9001].Max(), NaN }));
        Assert.That(x.Transpose().Max(0).ToDoubles(), Is.EqualTo(new[] { values[..9001].Max(), NaN }));
        Assert.That(x.ArgMax().ToArray<int>(), Is.EqualTo(new[] { Array.IndexOf(values, values[..9001].Max()), at }));
    }

    static readonly double[] Some = [NaN, 1, -1, 0.5, Infinity, -Infinity, -NaN, 3, -2];

    [Test]
    public void Maximum_and_minimum_are_NaN_where_either_is([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        using var scope = new TensorScope();
        Device on = TestDevices.Open(device);
        (double A, double B)[] pairs = [.. Some.SelectMany(a => Some.Select(b => (a, b)))];
        double[] larger = [.. pairs.Select(p => Math.Max(p.A, p.B))], smaller = [.. pairs.Select(p => Math.Min(p.A, p.B))];        // Math's are NaN too
        Tensor a = Tensor.From([.. pairs.Select(p => p.A)], pairs.Length, dtype, on), b = Tensor.From([.. pairs.Select(p => p.B)], pairs.Length, dtype, on);
        Assert.That(Ops.Maximum(a, b).ToDoubles(), Is.EqualTo(larger));
        Assert.That(Ops.Minimum(a, b).ToDoubles(), Is.EqualTo(smaller));
        Tensor column = Tensor.From(Some, (Some.Length, 1), dtype, on), row = Tensor.From(Some, Some.Length, dtype, on);
        Assert.That(Ops.Maximum(column, row).ToDoubles(), Is.EqualTo(larger), "broadcast");
        Assert.That(Ops.Minimum(column, row).ToDoubles(), Is.EqualTo(smaller), "broadcast");
        foreach (double s in Some)
        {
            Assert.That(Ops.Maximum(row, s).ToDoubles(), Is.EqualTo(Some.Select(x => Math.Max(x, s))), $"at least {s}");
            Assert.That(Ops.Minimum(row, s).ToDoubles(), Is.EqualTo(Some.Select(x => Math.Min(x, s))), $"at most {s}");
        }
        Assert.That(row.Clamp(-1.5, 2).ToDoubles(), Is.EqualTo(Some.Select(x => Math.Clamp(x, -1.5, 2))));
    }

    [Test]
    public void What_is_largest_or_smallest_takes_the_gradient_a_NaN_before_all([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        Device on = TestDevices.Open(device);
        (double[] A, double[] B) Gradients(Func<Tensor, Tensor, Tensor> op)
        {
            using var two = new Tape();
            Tensor a = Tape.Watch(Tensor.From([NaN, 1, NaN, 2, 1, 2], 6, dtype, on)), b = Tape.Watch(Tensor.From([1, NaN, NaN, 1, 2, 2], 6, dtype, on));
            Gradients gradients = two.Backward([(op(a, b), Ops.Fill(a.Like(), 1))]);
            return (gradients[a].ToDoubles(), gradients[b].ToDoubles());
        }
        (double[] larger, double[] other) = Gradients(Ops.Maximum);
        Assert.That(larger, Is.EqualTo(new[] { 1, 0, 0.5, 1, 0, 0.5 }));
        Assert.That(other, Is.EqualTo(new[] { 0, 1, 0.5, 0, 1, 0.5 }));
        (double[] smaller, other) = Gradients(Ops.Minimum);
        Assert.That(smaller, Is.EqualTo(new[] { 1, 0, 0.5, 0, 1, 0.5 }));
        Assert.That(other, Is.EqualTo(new[] { 0, 1, 0.5, 1, 0, 0.5 }));

        using var tape = new Tape();
        Tensor x = Tape.Watch(Tensor.From([1, NaN, 3, NaN, 5, 4, 5, -Infinity], (2, 4), dtype, on));
        Assert.That(tape.Backward([(x.Max(1), Tensor.From([1.0, 1], 2, dtype, on))])[x].ToDoubles(), Is.EqualTo(new[] { 0, 0.5, 0, 0.5, 0.5, 0, 0.5, 0 }));
    }

    [Test]
    public void A_function_of_NaN_is_NaN_and_of_its_neighbours_what_it_was([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [ValueSource(typeof(ElementwiseTests), nameof(ElementwiseTests.Functions))] ElementwiseTests.Function function)
    {
        foreach (DType dtype in new[] { DType.Float64, DType.Float32 })
        {
            using var scope = new TensorScope();
            double[] values = TestData.Uniform(67, 1, function.Low, function.High);
            double[] Of(double[] at) => function.Op(Tensor.From(at, at.Length, dtype, TestDevices.Open(device))).ToDoubles();
            double[] plain = Of(values), planted = Of([.. values.Select((x, i) => i % 5 == 2 ? NaN : x)]);
            Assert.That(planted, Is.EqualTo(plain.Select((y, i) => i % 5 == 2 ? NaN : y)), $"{dtype}");
        }
    }

    // The slope of a function with a corner is a choice between constants: the same on every device.
    [Test]
    public void A_slope_at_NaN_is_that_of_the_host([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [ValueSource(typeof(ElementwiseTests), nameof(ElementwiseTests.Functions))] ElementwiseTests.Function function)
    {
        double Slope(string name)
        {
            using var tape = new Tape();
            Tensor x = Tape.Watch(Tensor.From([NaN], 1, DType.Float64, TestDevices.Open(name)));
            return tape.Backward(function.Op(x))[x].Item();
        }
        Assert.That(Slope(device), Is.EqualTo(Slope("cpu-256")));
    }

    [Test]
    public void A_row_with_a_NaN_or_without_a_finite_largest_is_NaN_and_no_other_row([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        Device on = TestDevices.Open(device);
        (string Name, Func<Tensor, Tensor> Op, bool OfInfinity)[] ops =
        [
            ("Softmax", Ops.Softmax, true), ("LogSoftmax", Ops.LogSoftmax, true), ("LayerNorm", x => Ops.LayerNorm(x), true),
            ("RmsNorm", x => Ops.RmsNorm(x, Ops.Fill(x.Like(x.Shape[^1]), 1)), false),        // x / ∞ is 0
        ];
        foreach (int n in Lengths)
        {
            using var scope = new TensorScope();
            foreach ((string name, Func<Tensor, Tensor> op, bool ofInfinity) in ops)
                foreach (double bad in ofInfinity ? new[] { NaN, Infinity } : [NaN])
                    foreach (int at in new[] { 0, n / 2, n - 1 })
                    {
                        double[] values = TestData.Uniform(3 * n, n);
                        double[] plain = op(Tensor.From(values, (3, n), dtype, on)).ToDoubles();
                        values[n + at] = bad;
                        double[] y = op(Tensor.From(values, (3, n), dtype, on)).ToDoubles();
                        string what = $"{name} of {n} with {bad} at {at}";
                        Assert.That(y[..n].Concat(y[(2 * n)..]), Is.EqualTo(plain[..n].Concat(plain[(2 * n)..])), what);
                        if (bad is NaN || name is "Softmax" or "LayerNorm")
                            Assert.That(bad is NaN ? y[n..(2 * n)] : [y[n + at]], Is.All.NaN, what);
                    }
        }
    }

    [Test]
    public void A_loss_over_a_NaN_is_NaN_and_its_row_alone_has_a_NaN_gradient([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(0, 4, 16)] int at, [Values(NaN, Infinity)] double bad)
    {
        Device on = TestDevices.Open(device);
        using var tape = new Tape();
        double[] values = TestData.Uniform(3 * 17, 1);
        values[17 + at] = bad;
        Tensor logits = Tape.Watch(Tensor.From(values, (3, 17), on)), loss = Ops.CrossEntropy(logits, Tensor.From([1, 2, 3], 3, on));
        Assert.That(loss.Item(), Is.NaN);
        double[] dLogits = tape.Backward(loss)[logits].ToDoubles();
        Assert.That(dLogits[..17].Concat(dLogits[34..]).All(double.IsFinite));
        Assert.That(dLogits[17..34].Any(double.IsNaN));
    }

    [Test]
    public void A_row_whose_largest_logit_is_no_number_has_no_answer()
    {
        using var scope = new TensorScope();
        Device on = TestDevices.Open("cpu-256");
        double[][] rows =
        [
            // no answer
            [NaN, 1, 2], [1, NaN, 2], [1, 2, NaN], [NaN, NaN, NaN], [Infinity, 1, 2], [Infinity, Infinity, 1], [-Infinity, -Infinity, -Infinity],
            // 1, 1, 0
            [-Infinity, 1, 0], [0, 1, 1], [3, 1, 2],
        ];
        Tensor logits = Tensor.From([.. rows.SelectMany(r => r)], (rows.Length, 3), on);
        foreach (int said in new[] { 0, 1, 2 })
            Assert.That(Ops.CountCorrect(logits, Tensor.From([.. rows.Select(_ => said)], rows.Length, on)),
                Is.EqualTo(new CorrectCount(said == 1 ? 2 : said == 0 ? 1 : 0, rows.Length, 7)), $"{said}");
        Assert.That(Ops.CountCorrect(logits, Tensor.From([.. rows.Select(_ => -1)], rows.Length, on)).Correct, Is.Zero, "no answer is no right one");
        foreach (int? classes in (int?[])[null, 3, 2])          // on the device; the same; on the host, among the first two
        {
            CorrectCount Count(long first, int count) =>
                Ops.CountCorrect(logits.Rows(first, count), Tensor.From([.. Enumerable.Repeat(1, count)], count, on), classes: classes);
            for (int i = 0; i < rows.Length; i++)
            {
                bool answers = classes == 2 ? i is 2 or > 6 : i > 6;
                Assert.That(Count(i, 1).Accuracy, Is.EqualTo(!answers ? NaN : i < 9 ? 1 : 0), $"row {i} of {classes}");
            }
            Assert.That(Count(6, 4).Accuracy, Is.NaN, "one without an answer among four");
            Assert.That(Count(7, 3).Correct, Is.EqualTo(2));
        }
    }

    [Test]
    public void A_model_without_answers_has_no_accuracy([Values("induction-heads", "selective-copying")] string name)
    {
        Device device = TestDevices.Open("cpu-256");
        using var model = new MambaLM(new MambaConfig { DModel = 8, NLayer = 1, VocabSize = 16, SsmCfg = new SsmConfig { DState = 4 } }, device, seed: 1);
        var evaluator = new Evaluator(model, SequenceTask.Named(name, dataTokens: 5));
        Assert.That(evaluator.Run(64).Accuracy, Is.InRange(0, 1));
        model.Parameters["backbone.norm_f.weight"].Value.WriteRounded([.. Enumerable.Repeat(NaN, 8)]);
        Assert.That(evaluator.Run(64).Accuracy, Is.NaN);
    }
}
