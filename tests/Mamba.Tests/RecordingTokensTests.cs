using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary><see cref="RecordingTokens"/>: sound foretold sample by sample.</summary>
public class RecordingTokensTests
{
    static readonly MambaConfig Sizes = new() { DModel = 6, NLayer = 1, VocabSize = 1, SsmCfg = new SsmConfig { DState = 2 } };

    static readonly string[] Names = [.. Enumerable.Range(0, 6).Select(i => $"{i}")];

    static Device Cpu => TestDevices.Open("cpu");

    static SequenceSet Set(bool muLaw = true) => SequenceSet.Of(
        [.. Enumerable.Range(0, 6).Select(i => new WavAudio(100, 1, [.. Enumerable.Range(0, 3 + i).Select(t => MathF.Sin(t + i))]))],
        Names, Names, muLaw);

    static RecordingTokens Data() => new(Set(), new SequenceOptions { Test = 0, Validation = 0 }, seed: 1);

    [Test]
    public void A_recording_is_foretold_from_its_label_to_its_end()
    {
        RecordingTokens data = Data();
        Assert.That((data.VocabSize, data.Begin(2), data.End), Is.EqualTo((256 + 6 + 1, 258, 262)));
        Assert.That(data.Classes(data.ModelOf(Sizes)), Is.EqualTo(264), "what the model draws from");
        using var model = new MambaLM(data.ModelOf(Sizes), Cpu, seed: 1, DType.Float64);
        Batch batch = data.BatchOf(1, 0, new Stage(100, 4, 1));
        using var scope = new TensorScope();
        double together = data.LossOf(model, batch).Loss.Item(), nats = 0;
        long tokens = 0;
        foreach (int i in ((SequenceBatch)batch).Examples)
        {
            int[] samples = [.. data.Set.Examples[i].Tokens!.Select(token => (int)token)], inputs = [data.Begin(data.Set.Examples[i].Label), .. samples];
            Tensor logits = model.Forward(Tensor.From(inputs, (1, inputs.Length), Cpu));
            nats += inputs.Length * Ops.CrossEntropy(logits, Tensor.From([.. samples, data.End], (1, inputs.Length), Cpu)).Item();
            tokens += inputs.Length;
        }
        Assert.That(together, Is.EqualTo(nats / tokens).Within(1e-12));
        Assert.That(batch.Positions, Is.EqualTo(tokens));
    }

    [Test]
    public void The_test_is_measured_sample_by_sample()
    {
        var data = new RecordingTokens(Set(), new SequenceOptions { TestPattern = "[24]", Validation = 0 }, seed: 1);
        using var model = new MambaLM(data.ModelOf(Sizes), Cpu, seed: 1, DType.Float64);
        SplitReport report = data.Evaluate(model, DataPart.Test);
        Assert.That(report.Tokens, Is.EqualTo(6 + 8));
        Assert.That(report.NatsPerToken, Is.EqualTo(Math.Log(264)).Within(0.3));        // of fresh weights: all of the padded vocabulary alike
    }

    [Test]
    public void A_new_recording_is_drawn_by_its_seed()
    {
        RecordingTokens data = Data();
        using var model = new MambaLM(data.ModelOf(Sizes), Cpu, seed: 1);
        WavAudio Made(ulong seed) => data.Generate(model, 1, most: 50, seed: seed);
        (WavAudio first, WavAudio again, WavAudio other) = (Made(1), Made(1), Made(2));
        Assert.That(first.Samples, Is.EqualTo(again.Samples).And.Not.EqualTo(other.Samples));
        Assert.That(first.SampleRate, Is.EqualTo(100));
        Assert.That(first.Samples, Has.Length.LessThanOrEqualTo(50).And.All.InRange(-1f, 1f));
    }

    [Test]
    public void Numbers_are_no_tokens() =>
        Assert.That(DataFolder.Refused(() => _ = new RecordingTokens(Set(muLaw: false), new SequenceOptions(), 1)), Does.Contain("mu-law"));

    [Test]
    public void A_model_with_a_head_is_refused()
    {
        RecordingTokens data = Data();
        using var model = new SequenceModel(Sizes with { Head = new HeadConfig { Kind = HeadConfig.Classes } }, Cpu);
        Assert.That(DataFolder.Refused(() => data.LossOf(model, data.BatchOf(1, 0, new Stage(9, 2, 1)))), Does.Contain("head for classification"));
    }
}
