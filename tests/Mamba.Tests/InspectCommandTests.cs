using NUnit.Framework;

namespace Mamba.Tests;

public class InspectCommandTests
{
    static readonly string Model = Path.Combine(TestData.Root, "learn", "models", "induction-heads");

    string folder = "";

    [SetUp]
    public void MakeFolder() => folder = Directory.CreateTempSubdirectory("mamba-inspect-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(folder, recursive: true);

    string In(string name) => Path.Combine(folder, name);

    string[] Command(string output, params string[] more) =>
        ["inspect", "--model", Model, "--ids", "3,15,7,4,9,1,2,15", "--device", "cpu", "--out", In(output), .. more];

    /// <summary>The values that the file has of an array, and those that the library makes.</summary>
    static void Compare(TraceFile file, ModelTrace trace, string name) => Assert.That(file.Read(0, name),
        Is.EqualTo((trace[0][name].Shape.Rank == 4 ? Ops.Transpose(trace[0][name]) : trace[0][name]).ToDoubles()).Within(1e-6).Percent, name);

    [Test]
    public void It_writes_a_trace_pictures_and_a_page()
    {
        (int code, string output, string error) = MambaProcess.Run(folder, Command("seen", "--html", "--gradient", "logprob:7"));
        Assert.That((code, error), Is.EqualTo((0, "")));
        foreach (string word in (string[])["layer", "delta", "|dh|", "log probability of 7 after the last position: ", "trace.html", "mean-reach"])
            Assert.That(output, Does.Contain(word));
        string[] names = [.. Directory.GetFiles(In("seen")).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal)];
        Assert.That(names, Is.SupersetOf(new[] { "trace.html", "trace.safetensors", "delta.png", "delta.svg", "attention.layer-1.png", "states.layer-0.svg" }));
        using TraceFile file = TraceFile.Open(Path.Combine(In("seen"), "trace.safetensors"));
        using MambaLM model = MambaLM.Load(Model, TestDevices.Open("cpu"));
        using var scope = new TensorScope();
        using ModelTrace trace = model.Trace(Tensor.From([3, 15, 7, 4, 9, 1, 2, 15], (1, 8), TestDevices.Open("cpu")),
            new TraceSettings { Quantity = Quantity.LogProbability(7) });
        foreach (string name in trace[0].Names.Where(name => name is not ("top_ids" or "top_p" or "next_p")))
            Compare(file, trace, name);
    }

    [Test]
    public void Layers_and_values_are_chosen()
    {
        MambaInProcess.Succeed(Command("some", "--layers", "1", "--values", "delta,h,predictions", "--pictures", "none"));
        Assert.That(Directory.GetFiles(In("some")).Select(Path.GetFileName), Is.EqualTo(new[] { "trace.safetensors" }));
        using TraceFile file = TraceFile.Open(Path.Combine(In("some"), "trace.safetensors"));
        Assert.That(file.Layers, Is.EqualTo(new[] { 1 }));
        Assert.That(new[] { "delta", "h", "top_p", "A" }.All(name => file.Has(1, name)));
        Assert.That(new[] { "B", "y", "Abar", "dh" }.Any(name => file.Has(1, name)), Is.False);
        Assert.That(file.Has(0, "delta"), Is.False);
    }

    [Test]
    public void Hooks_are_read_and_work_in_their_order()
    {
        MambaInProcess.Succeed(Command("plain", "--pictures", "none"));
        string other = Path.Combine(In("plain"), "trace.safetensors");
        MambaInProcess.Succeed(Command("changed", "--pictures", "none", "--set", "delta@0:2=2", "--scale", "delta@0:2-3:*=3", "--clamp", "B=-1..1.5", "--wipe", "h@0:4",
            "--patch", $"h@1:5={other}", "--set", "C@1:*:*:0-3=0.5"));
        using TraceFile file = TraceFile.Open(Path.Combine(In("changed"), "trace.safetensors")), plain = TraceFile.Open(other);
        Assert.That(file.Hooks, Is.EqualTo(new[]
        {
            "set to 2: delta, layer 0, position 2", "scale by 3: delta, layer 0, position 2-3", "clamp to -1 … 1.5: B", "wipe h, layer 0, position 4",
            "patch h, layer 1, position 5", "set to 0.5: C, layer 1, state 0-3",
        }));
        int d = (int)file.ShapeOf(0, "delta")[2], n = 16;
        Assert.That(file.Read(0, "delta", 2 * d, d), Is.All.EqualTo(6));
        Assert.That(file.Read(0, "delta", 3 * d, d), Is.EqualTo(plain.Read(0, "delta", 3 * d, d).Select(value => 3 * value)).Within(1e-5).Percent);
        Assert.That(file.Read(0, "B"), Is.All.InRange(-1, 1.5));
        Assert.That(file.Read(0, "h", 4L * d * n, d * n), Is.All.Zero);
        Assert.That(file.Read(1, "h", 5L * d * n, d * n), Is.EqualTo(plain.Read(1, "h", 5L * d * n, d * n)));
        Assert.That(file.Read(1, "C", 0, 4), Is.All.EqualTo(0.5));
    }

    [Test]
    public void Causal_tracing_writes_a_table_and_a_heat_map()
    {
        MambaInProcess.Succeed(Command("cause", "--causal", "3,15,8,4,9,1,2,15", "--pictures", "png"));
        string[] lines = File.ReadAllLines(Path.Combine(In("cause"), "causal.csv"));
        Assert.That(lines, Has.Length.EqualTo(1 + 2 * 8));
        Assert.That(lines[0], Is.EqualTo("layer,position,token,restored,share"));
        Assert.That(File.Exists(Path.Combine(In("cause"), "causal.png")) && !File.Exists(Path.Combine(In("cause"), "causal.svg")));
        // the answer is in the states of layer 0 once the convolution has let it in
        Assert.That(double.Parse(lines[1 + 7].Split(',')[^1]), Is.GreaterThan(0.9));
        Assert.That(double.Parse(lines[1 + 1].Split(',')[^1]), Is.LessThan(0.01));
    }

    [Test]
    public void A_prompt_is_read_by_the_models_tokenizer()
    {
        var config = new MambaConfig { DModel = 8, NLayer = 1, VocabSize = 256 };
        Directory.CreateDirectory(In("bytes"));
        using (var model = new MambaLM(config, TestDevices.Open("cpu"), seed: 1))
        {
            File.WriteAllText(Path.Combine(In("bytes"), "config.json"), config.ToJson());
            Weights.Save(Path.Combine(In("bytes"), "model.safetensors"), model);
        }
        MambaInProcess.Succeed("inspect", "--model", In("bytes"), "--prompt", "a b\n", "--out", In("text"), "--gradient", "logit: @1", "--html", "--pictures", "svg");
        using TraceFile file = TraceFile.Open(Path.Combine(In("text"), "trace.safetensors"));
        Assert.That(file.Tokens, Is.EqualTo(new[] { "a", " ", "b", "\n" }));
        Assert.That(file.Quantity, Is.EqualTo("logit of 32 after position 1"));
        Assert.That(File.ReadAllText(Path.Combine(In("text"), "delta.svg")), Does.Contain("␣").And.Contain("⏎"));
    }

    [Test]
    public void What_is_wrong_gets_one_line()
    {
        File.WriteAllText(In("file"), "");
        MambaInProcess.Succeed(Command("plain", "--pictures", "none"));
        string other = Path.Combine(In("plain"), "trace.safetensors");
        (string[] Args, string Message)[] wrong =
        [
            (["inspect", "--model", Model, "--out", In("x")], "expected --prompt, --prompt-file or --ids, one of them."),
            (["inspect", "--model", Model, "--prompt", "a", "--out", In("x")], "tokenizer"),
            (["inspect", "--model", Model, "--ids", "", "--out", In("x")], "there are no tokens to read"),
            (["inspect", "--model", Model, "--ids", "1,16", "--out", In("x")], "--ids: token 1 is 16; the model knows 0 to 15."),
            (Command("file"), "the folder cannot be made"),
            (Command("x", "--layers", "2"), "Trace: layers 2 were asked for; the model has 0 to 1."),
            (Command("x", "--layers", "a"), "--layers is 'a'; expected numbers and ranges from 0, such as 0,2-5."),
            (Command("x", "--values", "delta,x"), "--values: 'x' is none of u, delta, B, C, h, y, z, Abar, Bbar, predictions."),
            (Command("x", "--gradient", "x"), "--gradient is 'x'; expected loss|logit:TOKEN|logprob:TOKEN, and perhaps @POSITION."),
            (Command("x", "--gradient", "logit:x"), "expected the id of a token, for the model has no tokenizer."),
            (Command("x", "--gradient", "logit:16"), "token 16; the model knows 0 to 15."),
            (Command("x", "--gradient", "logit:1@8"), "position 8; the sequence has 0 to 7."),
            (Command("x", "--wipe", "k@0"), "--wipe is 'k@0'; expected SITE@LAYERS:POSITIONS:CHANNELS:STATES. 'k' is no site."),
            (Command("x", "--wipe", "h@0:x"), "'x' is not numbers and ranges."),
            (Command("x", "--wipe", "h@0=1"), "--wipe is 'h@0=1'; expected SITE@LAYERS:POSITIONS:CHANNELS:STATES."),
            (Command("x", "--set", "h@0"), "--set is 'h@0'; expected SITE@LAYERS:POSITIONS:CHANNELS:STATES=X."),
            (Command("x", "--set", "h@0=x"), "'x' is no number."),
            (Command("x", "--clamp", "h@0=1"), "'1' is not two numbers with .. between."),
            (Command("x", "--clamp", "h@0=2..1"), "expected the lower number first."),
            (Command("x", "--wipe", "h@0:8"), "position 8 is chosen; the sequence has 0 to 7."),
            (Command("x", "--wipe", "h@0:0:128"), "channel 128 is chosen; the layer has 0 to 127."),
            (Command("x", "--wipe", "B@0:0:1"), "channels of B were chosen"),
            (Command("x", "--patch", $"h@0={In("file")}"), "file: it is 0 bytes long"),
            (Command("x", "--patch", $"h@0={Path.Combine(Model, "model.safetensors")}"), "this is not a trace"),
            (Command("x", "--against", In("none")), "none"),
            (Command("x", "--causal", "1,2"), "--causal: the corrupted prompt is 2 tokens, the right one 8; expected the same number."),
            (Command("x", "--causal", "1,2,3,4,5,6,7,99"), "99"),
            (Command("x", "--causal", "3,15,8,4,9,1,2,15", "--site", "k"), "--site is 'k'; expected"),
            (Command("x", "--pictures", "gif"), "--pictures is 'gif'; expected both, png, svg or none."),
            (["inspect", "--model", Model, "--ids", "1,2,3", "--out", In("x"), "--patch", $"h@0:2={other}", "--scale", "q=1"], "'q' is no site."),
        ];
        foreach ((string[] args, string message) in wrong)
            MambaInProcess.Refuse(args, message);
        Assert.That(Directory.Exists(In("x")) && Directory.GetFiles(In("x")).Length > 0, Is.False);
    }
}
