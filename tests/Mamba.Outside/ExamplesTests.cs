using Mamba.Examples;
using NUnit.Framework;

namespace Mamba.Outside;

/// <summary>Every example runs, and prints what it says.</summary>
[NonParallelizable]
public class ExamplesTests
{
    static string Output(Action<Device> example)
    {
        TextWriter console = Console.Out;
        using var written = new StringWriter();
        Console.SetOut(written);
        try
        {
            using Device device = Device.Open("cpu");
            example(device);
        }
        finally
        {
            Console.SetOut(console);
        }
        TestContext.Out.Write(written);
        return written.ToString();
    }

    [Test]
    public void Parameters_are_made_set_frozen_grouped_saved_and_loaded()
    {
        string output = Output(OwnParameters.Run);
        Assert.That(output, Does.Contain("weight has a gradient: True; bias: False"));
        Assert.That(output.Split('\n').Last(line => line.StartsWith("frozen", StringComparison.Ordinal)), Does.Contain("float64"));
        Assert.That(output, Does.Contain("0.5"));
    }

    [Test]
    public void Blocks_and_layers_are_used_alone() => Assert.That(Output(BlocksAlone.Run), Does.Contain("head:     (2, 3)"));

    [Test]
    public void A_model_of_ones_own_learns_from_data_of_ones_own()
    {
        using Device device = Device.Open("cpu");
        (double first, double last) = OwnTraining.Train(device, steps: 60);
        Assert.That(last, Is.LessThan(first / 4));
    }

    [Test]
    public void A_classifier_of_packed_sequences_learns()
    {
        using Device device = Device.Open("cpu");
        Assert.That(Classify.Train(device, steps: 100), Is.GreaterThan(0.9));
    }

    [Test]
    public void An_op_of_ones_own_has_the_right_gradient() => Assert.That(Output(OwnOp.Run), Does.Contain("agrees"));

    [Test]
    public void Kernels_of_ones_own_run_on_every_device([Values("cpu", "ilgpu-cpu")] string device)
    {
        Func<Tensor[], Tensor[]> mine = x => [OwnKernel.Gated(x[0], x[1])];
        using Device on = Device.Open(device);
        foreach (Shape shape in (Shape[])[1, 7, (3, 17), (2, 33)])
        {
            using var scope = new TensorScope();
            Tensor[] x = [Ops.Normal(shape, DType.Float64, on, 1), Ops.Normal(shape, DType.Float64, on, 2)];
            GradCheck.Run(mine, x, ["value", "gate"]).ThrowIfFailed();
            GradCheck.Compare(mine, x => [x[0] * x[1].Silu()], x, 1e-14, ["value", "gate"]).ThrowIfFailed();
            Tensor[] floats = [.. x.Select(t => t.To(DType.Float32))];
            GradCheck.Compare(mine, x => [x[0] * x[1].Silu()], floats, 1e-6, ["value", "gate"]).ThrowIfFailed();
        }
    }

    [Test]
    public void A_discretization_of_ones_own_is_in_a_model() => Assert.That(Output(OwnDiscretization.Run), Does.Contain("again: midpoint"));

    [Test]
    public void An_algorithm_of_ones_own_equals_the_reference() => Assert.That(Output(OwnAlgorithm.Run), Does.Not.Contain("differs"));

    [Test]
    public void A_mixer_of_ones_own_trains_and_generates() => Assert.That(Output(OwnMixer.Run), Does.Contain("generated: "));

    [Test]
    public void A_text_is_learned() => Assert.That(Output(TextModel.Run), Does.Contain("7 is followed by 8."));

    [Test]
    public void A_variant_of_the_block_runs() => Assert.That(Output(JambaMamba.Run), Does.Contain("a token at a time"));

    [Test]
    public void What_reads_both_ways_knows_what_comes_next()
    {
        int[] right = [.. Output(Bidirectional.Run).Split(" % right")[..^1].Select(line => int.Parse(line.Split(' ')[^1]))];
        Assert.That(right, Has.Length.EqualTo(3));
        Assert.That(right[0], Is.LessThan(40));
        Assert.That(right[1], Is.GreaterThan(95));
        Assert.That(right[2], Is.InRange(45, 90));          // one of two neighbours
    }

    [Test]
    public void A_task_of_ones_own_has_a_run_folder() =>
        Assert.That(Output(OwnTask.Run), Does.Contain("checkpoint.safetensors, config.json, log.jsonl, model.safetensors, train.json"));

    [Test]
    public void A_state_is_cloned_saved_and_loaded()
    {
        string output = Output(States.Run);
        Assert.That(output, Does.Contain("loaded at position 4; the next logits differ by 0"));
        Assert.That(output, Does.Not.Contain("continuations differ by 0.000"));
    }

    [Test]
    public void A_language_model_generates_in_a_few_lines()
    {
        string output = Output(Generate.Run);
        Assert.That(output.Split('\n')[0], Is.Not.Empty.And.Not.Contain("\0"));
        Assert.That(output, Does.Contain("prompt 1: 12 tokens"));
        Assert.That(output, Does.Contain("40 of 40 tokens need not be read again"));
        Assert.That(output, Does.Match("perplexity 2[0-9]{2} of 256"));
    }
}
