using System.Text.Json;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary><c>mamba train tokens</c> against twenty steps of PyTorch's AdamW on the official model (Fixtures/README.md).</summary>
public class TokenTrainingTests
{
    static readonly string Official = Path.Combine(AppContext.BaseDirectory, "Fixtures", "lm"), Batches = Path.Combine(Official, "train.safetensors");
    static readonly string[] AsThere =
    [
        "--lr", "1e-3", "--beta1", "0.9", "--beta2", "0.95", "--eps", "1e-8", "--weight-decay", "0.1", "--clip", "1",
        "--schedule", "constant", "--warmup", "0",
    ];

    string folder = "";

    [SetUp]
    public void MakeFolder() => folder = Directory.CreateTempSubdirectory("mamba-tokens-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(folder, recursive: true);

    string In(string name) => Path.Combine(folder, name);

    string[] Train(string data, string run, params string[] options) => ["train", "tokens", "--data", data, "--out", In(run), "--device", "cpu", .. options];

    double[] Log(string run, string field) => [.. File.ReadAllLines(Path.Combine(In(run), "log.jsonl"))
        .Select(line => JsonDocument.Parse(line).RootElement.GetProperty(field).GetDouble())];

    string Tokens(string name, Shape shape, params long[] ids)
    {
        var writer = new SafetensorsWriter();
        writer.Add("batches", shape, ids);
        writer.Save(In(name));
        return In(name);
    }

    // float32: ten times the reference's own float32 error at this step, and a few ulps; Adam divides by √v, so a weight whose
    // gradient is rounding noise still moves by up to the learning rate
    [Test]
    public void The_loss_curve_is_the_official_one([Values("all", "grouped")] string decay,
        [Values("float32", "float64")] string dtype, [Values] bool huggingFace)
    {
        bool wide = dtype == "float64";
        string start = huggingFace ? Path.Combine(Official, "hf") : Official;
        MambaInProcess.Succeed([.. Train(Batches, "run", AsThere), "--init", start, "--dtype", dtype, .. decay == "all" ? new[] { "--decay-all" } : []]);
        using Safetensors train = Safetensors.Open(Batches), final = Safetensors.Open(Path.Combine(Official, $"train_{decay}_final_params.safetensors"));
        double[] losses = train.ReadDoubles(decay + ".loss"), losses32 = train.ReadDoubles(decay + ".loss_f32");
        double[] norms = train.ReadDoubles(decay + ".grad_norm_before_clip");
        double[] logged = Log("run", "loss"), loggedNorms = Log("run", "grad_norm");
        Assert.That(logged, Has.Length.EqualTo(20));
        for (int step = 0; step < 20; step++)
        {
            double tolerance = wide ? 1e-11 : 10 * Math.Abs(losses32[step] - losses[step]) / losses[step] + 2e-6;
            Assert.That(logged[step], Is.EqualTo(losses[step]).Within(tolerance * losses[step]), $"loss {step}");
            Assert.That(loggedNorms[step], Is.EqualTo(norms[step]).Within((wide ? 1e-9 : 1e-4) * norms[step]), $"gradient norm {step}");
        }
        using Safetensors weights = Safetensors.Open(Path.Combine(In("run"), "model.safetensors"));
        foreach (SafetensorsEntry entry in final.Entries)
            Assert.That(TestData.RelativeError(weights.ReadDoubles(entry.Name), final.ReadDoubles(entry.Name)), Is.LessThan(wide ? 1e-9 : 1e-3), entry.Name);
        if (huggingFace)
            MambaInProcess.Succeed("logits", "--model", In("run"), "--ids", "1,2", "--output", In("logits.safetensors"), "--device", "cpu");
    }

    [Test]
    public void Options_reach_the_optimizer_and_the_schedule()
    {
        string[] schedule = ["--lr", "0.01", "--schedule", "cosine", "--warmup", "4", "--steps", "12"];
        MambaInProcess.Succeed([.. Train(Batches, "cosine", ["--init", Official, .. schedule]), "--dtype", "float64"]);
        double[] rates = Log("cosine", "lr");
        for (int step = 0; step < 12; step++)
            Assert.That(rates[step], Is.EqualTo(step < 4 ? 0.01 * (step + 1) / 4 : 0.01 * 0.5 * (1 + Math.Cos(Math.PI * (step - 4) / 8))).Within(1e-15));
        double[] plain = LossesWith();
        foreach (string[] changed in (string[][])[["--beta1", "0.5"], ["--beta2", "0.5"], ["--eps", "0.1"], ["--weight-decay", "5"],
            ["--clip", "0.001", "--eps", "1e-3"], ["--lr", "0.002"]])
        {
            double[] losses = LossesWith(changed);
            Assert.That(losses[0], Is.EqualTo(plain[0]), "before any update");
            Assert.That(losses[3], Is.Not.EqualTo(plain[3]).Within(1e-9), string.Join(' ', changed));
        }
        Assert.That(LossesWith("--weight-decay", "5", "--decay-all"), Is.Not.EqualTo(LossesWith("--weight-decay", "5")));

        double[] LossesWith(params string[] options)
        {
            MambaInProcess.Succeed([.. Train(Batches, "changed", "--force", "--init", Official, "--dtype", "float64", "--steps", "4"), .. options]);
            return Log("changed", "loss");
        }
    }

    [Test]
    public void Cut_and_resumed_it_gives_the_same_bits()
    {
        MambaInProcess.Succeed(Train(Batches, "whole", "--init", Official, "--steps", "9"));
        MambaInProcess.Succeed(Train(Batches, "cut", "--init", Official, "--steps", "4"));
        MambaInProcess.Succeed("train", "--resume", In("cut"), "--steps", "9", "--device", "cpu");
        Assert.That(Log("cut", "loss"), Is.EqualTo(Log("whole", "loss")));
        Assert.That(File.ReadAllBytes(Path.Combine(In("cut"), "model.safetensors")),
            Is.EqualTo(File.ReadAllBytes(Path.Combine(In("whole"), "model.safetensors"))));
        File.Delete(Path.Combine(In("cut"), "checkpoint.safetensors"));     // as if killed before the first one: from --init again
        MambaInProcess.Succeed("train", "--resume", In("cut"), "--steps", "9", "--device", "cpu");
        Assert.That(Log("cut", "loss"), Is.EqualTo(Log("whole", "loss")));
        MambaInProcess.Refuse(["eval", In("cut"), "--device", "cpu"], "given tokens");
        MambaInProcess.Refuse(["train", "--resume", In("cut"), "--steps", "21", "--device", "cpu"], "steps is 21", "20");
    }

    [Test]
    public void The_shortest_sequences_and_a_fresh_model()
    {
        // One prediction a step: the first token of a fresh model's sixteen.
        MambaInProcess.Succeed(Train(Tokens("short.safetensors", (3, 1, 2), 1, 2, 1, 2, 1, 2), "run", "--d-model", "8", "--n-layer", "1", "--lr", "0.05"));
        double[] losses = Log("run", "loss");
        Assert.That(losses[0], Is.EqualTo(Math.Log(16)).Within(0.3));       // logits are some 0.06 from 0
        Assert.That(losses[2], Is.LessThan(losses[0]));
        Assert.That(Log("run", "tokens"), Is.EqualTo(new[] { 1.0, 1, 1 }));
    }

    [Test]
    public void A_task_can_start_from_a_model_too()
    {
        MambaInProcess.Succeed("train", "--init", Path.Combine(Official, "hf"), "--steps", "0", "--out", In("run"),
            "--max-eval-length", "0", "--device", "cpu");
        using Safetensors there = Safetensors.Open(Path.Combine(Official, "model.safetensors"));
        using Safetensors here = Safetensors.Open(Path.Combine(In("run"), "model.safetensors"));
        foreach (SafetensorsEntry entry in there.Entries)
            Assert.That(here.ReadFloats(entry.Name), Is.EqualTo(there.ReadFloats(entry.Name)), entry.Name);
    }

    [Test]
    public void The_loss_is_over_the_padded_vocabulary_whose_last_tokens_may_occur()
    {
        MambaInProcess.Succeed(Train(Tokens("padding.safetensors", (1, 1, 3), 95, 0, 95), "run", "--init", Official, "--dtype", "float64"));
        MambaInProcess.Succeed("logits", "--model", Official, "--ids", "95,0,95", "--grad", "--dtype", "float64",
            "--output", In("logits.safetensors"), "--device", "cpu");
        using Safetensors logits = Safetensors.Open(In("logits.safetensors"));
        Assert.That(Log("run", "loss")[0], Is.EqualTo(logits.ReadDoubles("loss")[0]).Within(1e-13));
    }

    [Test]
    public void What_is_wrong_is_one_clear_line_and_leaves_no_run()
    {
        void Refuse(string[] args, params string[] mentions)
        {
            MambaInProcess.Refuse(args, mentions);
            Assert.That(Directory.Exists(In("run")), Is.False);
        }

        string good = Tokens("good.safetensors", (2, 1, 4), 1, 2, 3, 4, 5, 6, 7, 8);
        Refuse(["train", "tokens", "--out", In("run")], "--data is missing");
        Refuse(["train", "--data", good, "--out", In("run")], "--data was given");
        Refuse(Train(In("absent"), "run"), "no such file");
        Refuse(Train(good, "run", "--steps", "3"), "steps is 3", "batches for 2");
        Refuse(Train(good, "run", "--batch", "2"), "--batch");
        Refuse(Train(good, "run", "--length", "2"), "--length");
        Refuse(Train(good, "run", "--preset", "quick"), "--preset");
        Refuse(Train(good, "run", "--vocab-size", "8", "--d-model", "8"), "vocab-size is 8; tokens needs 9");
        Refuse(Train(good, "run", "--init", Official, "--d-model", "8"), "--init");
        Refuse(Train(good, "run", "--init", folder), "config.json");
        Refuse(Train(good, "run", "--eps", "0"), "eps");
        Refuse(Train(good, "run", "--beta2", "1"), "beta2");
        Refuse(Train(good, "run", "--schedule", "linear"), "linear");
        Refuse(Train(Tokens("large.safetensors", (1, 1, 2), 1, 96), "run", "--init", Official), "is 96; tokens needs 97");
        Refuse(Train(Tokens("huge.safetensors", (1, 1, 2), 1, 1L << 32), "run", "--init", Official), "4294967296 in step 1");
        Refuse(Train(Tokens("negative.safetensors", (2, 1, 2), 1, 1, -1, 1), "run", "--init", Official), "-1 in step 2");
        Refuse(Train(Tokens("flat.safetensors", (2, 2), 1, 1, 1, 1), "run", "--init", Official), "(2, 2); expected (steps, batch, length)");
        Refuse(Train(Tokens("one.safetensors", (2, 2, 1), 1, 1, 1, 1), "run", "--init", Official), "no next token");
        Refuse(Train(Tokens("none.safetensors", (0, 2, 4)), "run", "--init", Official), "none of them 0");
        Refuse(Train(Path.Combine(Official, "model.safetensors"), "run", "--init", Official), "no tensor 'batches'");
    }
}
