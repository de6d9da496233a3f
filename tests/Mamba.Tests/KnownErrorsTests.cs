using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>
/// Wrong results that other implementations of Mamba give or gave, by their threads in state-spaces/mamba. Two more are elsewhere: steps that differ
/// from the forward pass (#500, #641, #683, #1024) in <see cref="MambaStepTests"/>, offsets past 2^31 (#883, #1015) in
/// <see cref="SelectiveScanFormsTests.A_million_tokens_and_more_than_2_to_the_31_elements_are_correct"/>.
/// </summary>
public class KnownErrorsTests
{
    // #885: the recomputing backward pass normalized twice what the forward pass had normalized once.
    [Test]
    public void A_norm_is_applied_once_also_where_backward_computes_it_again([Values] bool rms)
    {
        using Device device = Device.Open("cpu");
        var config = new MambaConfig { DModel = 6, NLayer = 2, VocabSize = 5, PadVocabSizeMultiple = 1, RmsNorm = rms, SsmCfg = new SsmConfig { DState = 2 } };
        using var model = new MambaLM(config, device, seed: 3, DType.Float64);
        foreach (Parameter weight in model.Parameters.Where(p => p.Name.Contains("norm", StringComparison.Ordinal)))
            weight.Value.CopyFrom(Ops.Uniform(weight.Shape, DType.Float64, device, seed: 1, low: 2, high: 3));       // far from 1, where twice is once
        using Tensor tokens = Tensor.From([1, 4, 0, 2, 2, 3, 1], (1, 7), device).Unowned();
        GradCheck.Run(() => Ops.CrossEntropy(model.Forward(tokens), tokens), model.Parameters).ThrowIfFailed();
    }

    // #368: gradients of delta and its bias took something from behind the end of a row that does not fill its last chunk.
    [Test]
    public void Gradients_through_softplus_and_bias_take_nothing_from_behind_a_row([Values(1, 31, 33, 63, 100)] int length,
        [Values("cpu-128", "cpu-512", "opencl:0", "ilgpu-cpu", "cuda:0")] string device)
    {
        // The rows behind are enormous: what leaks shows. Their own gradients are left out by a dy of zero.
        var c = new PlainScan(3, length, 5, 3);
        double[][] Gradients(int rows)
        {
            using var tape = new Tape();
            Tensor[] x = c.Inputs(DType.Float64, TestDevices.Open(device));
            x = [.. x.Select((t, i) => Tape.Watch(i is 0 or 1 or 3 or 4 or 6 ? Loud(t, rows) : t))];
            Tensor y = Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]).Y;
            Tensor dy = Tensor.From([.. TestData.Uniform(length * 5, 30), .. new double[(rows - 1) * length * 5]], y.Shape, DType.Float64, y.Device);
            Gradients gradients = tape.Backward([(y, dy)]);
            return [gradients[x[1]].ToDoubles()[..(length * 5)], gradients[x[7]].ToDoubles(), gradients[x[2]].ToDoubles()];
        }

        static Tensor Loud(Tensor t, int rows)
        {
            long row = t.Count / 3;
            double[] values = [.. t.ToDoubles().Take((int)row), .. Enumerable.Repeat(50.0, (int)(row * (rows - 1)))];
            return Tensor.From(values, new Shape([rows, .. t.Shape[1..].ToArray()]), t.DType, t.Device);
        }

        double[][] alone = Gradients(1), among = Gradients(3);
        for (int i = 0; i < alone.Length; i++)
            Assert.That(TestData.RelativeError(among[i], alone[i]), Is.LessThan(1e-13));
    }

    // #1024 and the atomics of the official kernel: gradients that differ from run to run.
    [Test]
    public void Gradients_have_the_same_bits_on_every_run([Values("cpu-512", "opencl:0", "ilgpu-cpu", "cuda:0")] string device, [Values] bool segments)
    {
        var c = new PlainScan(2, 70, 37, 3);
        double[][] Gradients()
        {
            using var tape = new Tape();
            Tensor[] x = [.. c.Inputs(DType.Float32, TestDevices.Open(device)).Select(Tape.Watch)];
            Tensor[] y = c.Apply(x, segments ? ScanAlgorithm.ChunkedInto(3) : null);
            Gradients gradients = tape.Backward([(y[0], TestData.Random(y[0].Shape, DType.Float32, y[0].Device, 30))]);
            return [.. x[..9].Select(t => gradients[t].ToDoubles())];
        }
        double[][] first = Gradients();
        for (int run = 0; run < 3; run++)
            Assert.That(Gradients(), Is.EqualTo(first));
    }
}
