using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>How well a model foretells a text: against the plain sum, in windows and with the state carried.</summary>
public class PerplexityTests
{
    static readonly MambaConfig Config = new() { DModel = 8, NLayer = 2, VocabSize = 13, PadVocabSizeMultiple = 8 };

    static MambaLM Model(Device device, DType dtype = DType.Float64)
    {
        var model = new MambaLM(Config, device, seed: 1, dtype);
        int seed = 1;
        foreach (Parameter p in model.Parameters)
            p.Value.WriteRounded(TestData.Uniform(p.Shape.Count, seed++));
        return model;
    }

    static int[] Tokens(int count) => [.. TestData.Uniform(count, 5, 0, 13).Select(x => (int)x)];

    // −log softmax over all 16 columns, from whole forward passes
    static double Plain(MambaLM model, int[] tokens, int window)
    {
        double nats = 0;
        for (int start = 0; start < tokens.Length - 1; start += window)
        {
            using var scope = new TensorScope();
            int n = Math.Min(window, tokens.Length - 1 - start);
            double[] logits = model.Forward(Tensor.From(tokens[start..(start + n)], (1, n), model.Parameters.Device)).ToDoubles();
            for (int i = 0; i < n; i++)
            {
                double[] row = logits[(16 * i)..(16 * i + 16)];
                nats += Math.Log(row.Sum(Math.Exp)) - row[tokens[start + i + 1]];
            }
        }
        return nats;
    }

    [Test]
    public void It_is_the_plain_sum_for_any_window_and_batch([Values("cpu", "opencl:0")] string device, [Values(2, 3, 11, 60)] int count,
        [Values(1, 2, 7, 10, 1000, null)] int? window, [Values(1, 4, null)] int? batch)
    {
        using MambaLM model = Model(TestDevices.Open(device));
        int[] tokens = Tokens(count);
        long told = 0;
        Perplexity result = Perplexity.Measure(model, TokenSource.Of(tokens), window, batch, (done, _) => told = done);
        Assert.That(result.Nats, Is.EqualTo(Plain(model, tokens, window ?? count)).Within(1e-12).Percent);
        Assert.That((result.Tokens, told, result.Bytes), Is.EqualTo((count - 1L, count - 1L, (long?)null)));
        Assert.That(result.PerToken, Is.EqualTo(Math.Exp(result.Nats / (count - 1))));
    }

    [Test]
    public void The_state_is_carried_over_the_pieces_of_a_long_text()
    {
        using MambaLM model = Model(TestDevices.Open("cpu"), DType.Float32);
        int[] tokens = Tokens(20_000);      // pieces of 8,192
        Perplexity carried = Perplexity.Measure(model, TokenSource.Of(tokens)), windows = Perplexity.Measure(model, TokenSource.Of(tokens), 15_000);
        Assert.That(carried.Nats, Is.EqualTo(Plain(model, tokens, tokens.Length)).Within(1e-3).Percent);
        Assert.That(windows.Nats, Is.EqualTo(Plain(model, tokens, 15_000)).Within(1e-3).Percent);
        Assert.That(Perplexity.Measure(model, TokenSource.Of(tokens), 5_000, batch: 3).Nats, Is.EqualTo(Plain(model, tokens, 5_000)).Within(1e-3).Percent);
        Assert.That(Perplexity.Measure(model, TokenSource.Of(tokens)).Nats, Is.EqualTo(carried.Nats), "the same bits again");
    }

    [Test]
    public void Bytes_count_from_the_second_token()
    {
        var perplexity = new Perplexity(Tokens: 4, Nats: 8 * Math.Log(2), Bytes: 8);
        Assert.That((perplexity.NatsPerToken, perplexity.BitsPerByte), Is.EqualTo((2 * Math.Log(2), 1.0)));
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, [1, 2, 3, 12, 5]);
            using MambaLM model = Model(TestDevices.Open("cpu"));
            using TokenSource source = TokenSource.OfFile(path);
            Perplexity result = Perplexity.Measure(model, source, 2);
            Assert.That((result.Tokens, result.Bytes), Is.EqualTo((4L, (long?)4)));
            Assert.That(result.NatsPerByte, Is.EqualTo(result.NatsPerToken));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Test]
    public void What_cannot_be_measured_is_one_line()
    {
        using MambaLM model = Model(TestDevices.Open("cpu"));
        void Refuse(int[] tokens, string message, int? window = null) => Assert.That(() => Perplexity.Measure(model, TokenSource.Of(tokens), window),
            Throws.TypeOf<MambaException>().With.Message.Contains(message));
        Refuse([], "there are no tokens");
        Refuse([3], "there is 1 token");
        Refuse([3, 1, 16, 2], "token 2 is 16; the model knows 0 to 15");
        Refuse([3, -1], "token 1 is -1");
        Refuse([3, 1], "windows of 0", window: 0);
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        Assert.That(() => Perplexity.Measure(model, TokenSource.Of(Tokens(9)), stop: stop.Token), Throws.InstanceOf<OperationCanceledException>());
        model.Parameters["backbone.norm_f.weight"].Value.Fill(double.NaN);
        Refuse([3, 1], "NaN");
    }
}
