using System.Diagnostics;
using System.Globalization;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>
/// Generation: samplers by hand, several prompts as each alone, stop strings, the reference's greedy tokens, states and prefixes, the command.
/// </summary>
public class GenerateTests
{
    static readonly string Fixture = Path.Combine(AppContext.BaseDirectory, "Fixtures", "lm");

    static readonly MambaConfig Config = new() { DModel = 16, NLayer = 2, VocabSize = 250 };        // padded to 256

    string folder = "";

    [SetUp]
    public void MakeFolder() => folder = Directory.CreateTempSubdirectory("mamba-generate-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(folder, recursive: true);

    string In(string name) => Path.Combine(folder, name);

    static MambaLM Model(Device device, DType dtype = DType.Float32, MambaConfig? config = null, int seed = 1)
    {
        var model = new MambaLM(config ?? Config, device, seed: 1, dtype);
        foreach (Parameter p in model.Parameters)
            p.Value.WriteRounded(TestData.Uniform(p.Shape.Count, seed++));
        return model;
    }

    // A folder with a model of bytes.
    string Folder(string name = "model", int seed = 1)
    {
        Directory.CreateDirectory(In(name));
        using MambaLM model = Model(TestDevices.Open("cpu"), config: Config with { VocabSize = 256 }, seed: seed);
        File.WriteAllText(Path.Combine(In(name), "config.json"), model.Config.ToJson());
        Weights.Save(Path.Combine(In(name), "model.safetensors"), model);
        return In(name);
    }

    static int[] Ids(IEnumerable<GeneratedToken> tokens) => [.. tokens.Select(token => token.Id)];

    // ---- samplers -----------------------------------------------------------------------------------

    static double[] Left(Sampler sampler, double[] logits, params int[] tokens)
    {
        double[] seen = [];
        sampler.Then((left, _) => seen = left.ToArray()).Choose([.. logits], tokens, 0);
        return seen;
    }

    const double Out = double.NegativeInfinity;

    [Test]
    public void Each_filter_leaves_what_it_should()
    {
        double[] logits = [1, 3, 2, 3, -1];
        Assert.That(Left(Sampler.Draw.TopK(2), logits), Is.EqualTo(new[] { Out, 3, Out, 3, Out }));
        Assert.That(Left(Sampler.Draw.TopK(1), logits), Is.EqualTo(new[] { Out, 3, Out, Out, Out }), "the first of equals");
        Assert.That(Left(Sampler.Draw.TopK(9), logits), Is.EqualTo(logits));
        Assert.That(Left(Sampler.Draw.Temperature(0.5), logits), Is.EqualTo(new double[] { 2, 6, 4, 6, -2 }));
        Assert.That(Left(Sampler.Draw.RepetitionPenalty(2), logits, 1, 4, 1), Is.EqualTo(new[] { 1, 1.5, 2, 3, -2 }), "once each");
        double[] halves = [Math.Log(0.5), Math.Log(0.25), Math.Log(0.125), Math.Log(0.125)];
        Assert.That(Left(Sampler.Draw.TopP(0.5), halves), Is.EqualTo(new[] { halves[0], Out, Out, Out }));
        Assert.That(Left(Sampler.Draw.TopP(0.5), [0, 0]), Is.EqualTo(new[] { 0, Out }), "met exactly");
        Assert.That(Left(Sampler.Draw.TopP(0.6), halves), Is.EqualTo(new[] { halves[0], halves[1], Out, Out }));
        Assert.That(Left(Sampler.Draw.TopP(1), halves), Is.EqualTo(halves));
        Assert.That(Left(Sampler.Draw.TopP(1e-9), halves), Is.EqualTo(new[] { halves[0], Out, Out, Out }), "never none");
        Assert.That(Left(Sampler.Draw.MinP(0.4), halves), Is.EqualTo(new[] { halves[0], halves[1], Out, Out }));
        Assert.That(Left(Sampler.Draw.MinP(0), halves), Is.EqualTo(halves));
    }

    [Test]
    public void A_draw_takes_each_token_as_often_as_it_is_likely()
    {
        double[] logits = [Math.Log(0.5), Out, Math.Log(0.25), Math.Log(0.25)];
        int Draw(double random) => Sampler.Draw.Choose([.. logits], [], random);
        Assert.That(new[] { Draw(0), Draw(0.499), Draw(0.501), Draw(0.749), Draw(0.751), Draw(0.9999999) }, Is.EqualTo(new[] { 0, 0, 2, 2, 3, 3 }));
        Assert.That(Sampler.Greedy.Choose([1, 5, 5], [], 0.99), Is.EqualTo(1));
        Assert.That(Sampler.Greedy.RepetitionPenalty(10).Choose([1, 5, 4], [1], 0.99), Is.EqualTo(2));
        Assert.That(() => Sampler.Greedy.Choose([1, double.NaN], [], 0), Throws.TypeOf<MambaException>());
        Assert.That(() => Sampler.Greedy.Then((l, _) => l.Fill(Out)).Choose([1, 2], [], 0), Throws.TypeOf<MambaException>());
    }

    [Test]
    public void The_official_order_is_penalty_top_k_min_p_temperature_top_p()
    {
        // Each other order of two neighbours leaves other tokens.
        double[] logits = [4, 3.9, 3, 1, 0];
        Assert.That(Left(Sampler.Official(1, topK: 2, repetitionPenalty: 2), logits, 0), Is.EqualTo(new[] { Out, 3.9, 3, Out, Out }));
        Assert.That(Left(Sampler.Official(100, minP: 0.5), logits), Is.EqualTo(new[] { 0.04, 0.039, Out, Out, Out }).Within(1e-15));
        Assert.That(Left(Sampler.Official(100, topP: 0.9), logits).Count(x => x == Out), Is.Zero, "nearly uniform after the temperature");
        Assert.That(Left(Sampler.Official(1, topK: 2, topP: 0.52), logits), Is.EqualTo(new[] { 4, Out, Out, Out, Out }), "0.525 of the two, 0.40 of all");
        Assert.That(Sampler.Official(0, repetitionPenalty: 10).Choose([.. logits], [0], 0.99), Is.EqualTo(1), "greedy after the penalty");
        Assert.That(Sampler.Official(5, topK: 1).Choose([.. logits], [], 0.99), Is.Zero);
        foreach (Func<Sampler> wrong in (Func<Sampler>[])[() => Sampler.Official(-1), () => Sampler.Official(double.NaN), () => Sampler.Official(1, topK: -1),
            () => Sampler.Official(1, topP: 1.1), () => Sampler.Official(1, minP: -0.1), () => Sampler.Official(1, repetitionPenalty: 0)])
            Assert.That(wrong, Throws.TypeOf<MambaException>());
    }

    // ---- tokens -------------------------------------------------------------------------------------

    [Test]
    public void Greedy_tokens_are_the_reference_s([Values("cpu", "opencl:0")] string device, [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        using MambaLM model = ModelFolder.Load(Path.Combine(Fixture, "hf"), TestDevices.Open(device), dtype);
        using Safetensors file = Safetensors.Open(Path.Combine(Fixture, "generate.safetensors"));
        int[] prompts = Array.ConvertAll(file.ReadLongs("prompt_ids"), id => (int)id), expected = Array.ConvertAll(file.ReadLongs("output_ids"), id => (int)id);
        GeneratedToken[] made = [.. model.Generate([prompts[..8], prompts[8..]], new Generation { MaxTokens = 32 })];
        for (int i = 0; i < 2; i++)
            Assert.That(Ids(made.Where(token => token.Sequence == i)), Is.EqualTo(expected[(40 * i + 8)..(40 * i + 40)]));
    }

    [Test]
    public void The_choice_is_over_the_padded_vocabulary()
    {
        using MambaLM model = Model(TestDevices.Open("cpu"));
        int[] drawn = model.Generate([1, 2], 300, temperature: 1000, seed: 3);
        Assert.That(drawn, Has.All.InRange(0, 255));
        Assert.That(drawn.Max(), Is.GreaterThan(249));
    }

    [Test]
    public void Prompts_together_get_the_tokens_of_each_alone([Values("cpu", "opencl:0")] string device, [Values] bool greedy)
    {
        using MambaLM model = Model(TestDevices.Open(device), DType.Float64);
        int[][] prompts = [[1], [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], [1], [5, 6, 7], [.. Enumerable.Range(0, 70)]];
        var options = new Generation { MaxTokens = 20, Sampler = Sampler.Official(greedy ? 0 : 1), Seed = 7, EndOfText = 255 };
        int[][] alone = [.. prompts.Select(prompt => Ids(model.Generate(prompt, options)))];
        GeneratedToken[] together = [.. model.Generate(prompts, options)];
        for (int i = 0; i < prompts.Length; i++)
            Assert.That(Ids(together.Where(token => token.Sequence == i)), Is.EqualTo(alone[i]), $"prompt {i}");
        // some end before others
        int end = alone[1][4];
        options = options with { EndOfText = end };
        together = [.. model.Generate(prompts, options)];
        for (int i = 0; i < prompts.Length; i++)
            Assert.That(Ids(together.Where(token => token.Sequence == i)), Is.EqualTo(Ids(model.Generate(prompts[i], options))), $"prompt {i}");
        Assert.That(together.Last(token => token.Sequence == 1), Has.Property("Finish").EqualTo(FinishReason.EndOfText).And.Property("Id").EqualTo(end));
        Assert.That(Ids(model.Generate(prompts[1], options with { IgnoreEndOfText = true })), Has.Length.EqualTo(20));
    }

    [Test]
    public void A_long_prompt_is_read_in_pieces()
    {
        using MambaLM model = Model(TestDevices.Open("cpu"), DType.Float64, Config with { NLayer = 1, DModel = 8 });
        int[] prompt = [.. TestData.Uniform(20_000, 1, 0, 250).Select(x => (int)x)];
        using MambaState state = model.NewState(1);
        using var scope = new TensorScope();
        double[] logits = model.Forward(Tensor.From(prompt, (1, prompt.Length), model.Parameters.Device), state, lastOnly: true).ToDoubles();
        Assert.That(model.Generate(prompt, 1)[0], Is.EqualTo(Array.IndexOf(logits, logits.Max())));
        Assert.That(Ids(model.Generate([prompt, prompt[..19_000]], new Generation { MaxTokens = 1 }))[0], Is.EqualTo(model.Generate(prompt, 1)[0]));
    }

    [Test]
    public void Log_probabilities_are_those_of_the_model_whatever_the_sampler([Values] bool greedy)
    {
        using MambaLM model = Model(TestDevices.Open("cpu"), DType.Float64);
        var tokens = new List<int> { 3, 4 };
        var options = new Generation { MaxTokens = 5, Sampler = Sampler.Official(greedy ? 0 : 2, topK: greedy ? 0 : 5) };
        foreach (GeneratedToken token in model.Generate([3, 4], options))
        {
            using var scope = new TensorScope();
            double[] logits = model.Forward(Tensor.From([.. tokens], (1, tokens.Count), model.Parameters.Device), lastOnly: true).ToDoubles();
            Assert.That(token.LogProb, Is.EqualTo(logits[token.Id] - Math.Log(logits.Sum(Math.Exp))).Within(1e-10));
            tokens.Add(token.Id);
        }
    }

    // ---- text ---------------------------------------------------------------------------------------

    [Test]
    public void A_stop_string_ends_the_text_before_it_also_across_pieces()
    {
        var stops = new StopStrings(["END", "DOT"]);
        Assert.That(stops.Add("abE", false), Is.EqualTo(("ab", false)));
        Assert.That(stops.Add("N", false), Is.EqualTo(("", false)));
        Assert.That(stops.Add("x", false), Is.EqualTo(("ENx", false)));
        Assert.That(stops.Add("EN", false), Is.EqualTo(("", false)));
        Assert.That(stops.Add("", true), Is.EqualTo(("EN", false)), "what is held comes at the end");
        stops = new StopStrings(["END", "N"]);
        Assert.That(stops.Add("xEND", false), Is.EqualTo(("x", true)), "the first one in the text");
    }

    [Test]
    public void Text_stops_at_a_stop_string_and_shows_no_half_characters()
    {
        using MambaLM model = Model(TestDevices.Open("cpu"), config: Config with { VocabSize = 256 });
        var options = new Generation { MaxTokens = 60, Tokenizer = new ByteTokenizer(), Sampler = Sampler.Draw.Temperature(3), Seed = 5 };
        GeneratedToken[] tokens = [.. model.Generate("ab", options)];
        string text = string.Concat(tokens.Select(token => token.Text));
        Assert.That(text, Is.EqualTo(new ByteTokenizer().Decode(Ids(tokens))));
        string stop = text[20..23];
        tokens = [.. model.Generate("ab", options with { Stop = [stop] })];
        Assert.That(string.Concat(tokens.Select(token => token.Text)), Is.EqualTo(text[..text.IndexOf(stop, StringComparison.Ordinal)]));
        Assert.That(tokens[^1].Finish, Is.EqualTo(FinishReason.Stop));
    }

    [Test]
    public async Task Awaited_tokens_are_the_same_and_both_can_be_stopped()
    {
        using MambaLM model = Model(TestDevices.Open("cpu"), config: Config with { VocabSize = 256 });
        var options = new Generation { MaxTokens = 10, Tokenizer = new ByteTokenizer() };
        var awaited = new List<GeneratedToken>();
        await foreach (GeneratedToken token in model.GenerateAsync("xy", options))
            awaited.Add(token);
        Assert.That(awaited, Is.EqualTo(model.Generate("xy", options)));
        using var stop = new CancellationTokenSource();
        int made = 0;
        Assert.That(() =>
        {
            foreach (GeneratedToken _ in model.Generate("xy", options, stop.Token))
                if (++made == 3)
                    stop.Cancel();
        }, Throws.InstanceOf<OperationCanceledException>());
        Assert.That(made, Is.EqualTo(3));
        Assert.That(async () => await model.GenerateAsync("xy", options, stop.Token).GetAsyncEnumerator().MoveNextAsync(),
            Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public void What_cannot_be_generated_from_is_one_line_at_once()
    {
        using MambaLM model = Model(TestDevices.Open("cpu"));
        void Refuse(Action run, string message) => Assert.That(run, Throws.TypeOf<MambaException>().With.Message.Contains(message));
        int[] nothing = [];
        Refuse(() => model.Generate(nothing, new Generation()), "prompt 0 has no tokens");
        Refuse(() => model.Generate([1, 256], new Generation()), "token 1 of prompt 0 is 256; the model knows 0 to 255");
        Refuse(() => model.Generate([1, -1], new Generation()), "is -1");
        Refuse(() => model.Generate([1], new Generation { MaxTokens = -1 }), "-1 tokens");
        Refuse(() => model.Generate("x", new Generation()), "tokenizer");
        Refuse(() => model.Generate([1], new Generation { Stop = ["x"] }), "tokenizer");
        Refuse(() => model.Generate("x", new Generation { Tokenizer = new ByteTokenizer(), Stop = [""] }), "stop strings");
        Refuse(() => model.Generate("", new Generation { Tokenizer = new ByteTokenizer() }), "prompt 0 has no tokens");
        using MambaState two = model.NewState(2);
        Refuse(() => model.Generate([1], new Generation { State = two }), "a state of 2");
        Assert.That(model.Generate([1], new Generation { MaxTokens = 0 }), Is.Empty);
    }

    // ---- the state as a value -----------------------------------------------------------------------

    static readonly int[] Lengths = [1, 7, 64, 500];

    [Test]
    public void Steps_equal_the_whole_and_so_do_steps_from_a_saved_state([Values("cpu", "opencl:0")] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        using MambaLM model = Model(TestDevices.Open(device), dtype);
        Device on = model.Parameters.Device;
        int[] tokens = [.. TestData.Uniform(500, 9, 0, 250).Select(x => (int)x)];
        using var scope = new TensorScope();
        using MambaState state = model.NewState(1), loaded = model.NewState(1);
        double[] Step(MambaState from, int i) => model.Step(Tensor.From([tokens[i]], on), from).ToDoubles();
        for (int i = 0; i < tokens.Length; i++)
        {
            double[] step = Step(state, i);
            int count = i + 1;
            if (!Lengths.Contains(count))
                continue;
            double[] whole = model.Forward(Tensor.From(tokens[..count], (1, count), on), lastOnly: true).ToDoubles();
            double tolerance = dtype == DType.Float64 ? 1e-12 : 1e-5;
            Assert.That(TestData.RelativeError(step, whole), Is.LessThan(tolerance), $"after {count}");
            state.Save(In("state"));
            loaded.Load(In("state"));
            Assert.That(loaded.Position, Is.EqualTo(count));
            if (count == tokens.Length)
                continue;
            using MambaState snapshot = state.Clone();
            double[] next = Step(state, count);
            Assert.That(Step(loaded, count), Is.EqualTo(next), "the bits of the unbroken run");
            state.CopyFrom(snapshot);
            Assert.That(Step(state, count), Is.EqualTo(next), "and so from a snapshot gone back to");
            state.CopyFrom(snapshot);
            double[] longer = model.Forward(Tensor.From(tokens[..(count + 1)], (1, count + 1), on), lastOnly: true).ToDoubles();
            Assert.That(TestData.RelativeError(next, longer), Is.LessThan(tolerance));
        }
    }

    [Test]
    public void Generation_goes_on_from_a_saved_state_with_the_tokens_of_the_unbroken_run([Values] bool greedy)
    {
        using MambaLM model = Model(TestDevices.Open("cpu"));
        var options = new Generation { Sampler = Sampler.Official(greedy ? 0 : 1), Seed = 11 };
        int[] unbroken = Ids(model.Generate([1, 2, 3], options with { MaxTokens = 20 }));
        using MambaState state = model.NewState(1), loaded = model.NewState(1);
        int[] first = Ids(model.Generate([1, 2, 3], options with { MaxTokens = 8, State = state }));
        Assert.That((state.Position, state.Pending), Is.EqualTo((10L, new[] { first[^1] })));
        state.Save(In("state"));
        loaded.Load(In("state"));
        Assert.That(loaded.Pending, Is.EqualTo(state.Pending));
        int[] nothing = [];
        int[] rest = Ids(model.Generate(nothing, options with { MaxTokens = 12, State = loaded }));
        Assert.That((int[])[.. first, .. rest], Is.EqualTo(unbroken));
    }

    [Test]
    public void A_state_knows_its_model()
    {
        Device device = TestDevices.Open("cpu");
        using MambaLM model = Model(device), same = Model(device), wide = Model(device, DType.Float64), other = Model(device, seed: 2);
        using MambaState state = model.NewState(1), copy = same.NewState(1), rounded = wide.NewState(1), wrong = other.NewState(1), two = model.NewState(2);
        using var scope = new TensorScope();
        model.Step(Tensor.From([5], device), state);
        state.Save(In("state"));
        copy.Load(In("state"));
        rounded.Load(In("state"));
        Assert.That(rounded.Layers[1].Tensors[1].Value.ToDoubles(), Is.EqualTo(state.Layers[1].Tensors[1].Value.ToDoubles()));
        Assert.That(() => wrong.Load(In("state")), Throws.TypeOf<MambaException>().With.Message.Contains("another model").And.Message.Contains("d_model 16"));
        Assert.That(() => two.Load(In("state")), Throws.TypeOf<MambaException>().With.Message.Contains("(1, "));
        Assert.That(wrong.Position, Is.Zero);
    }

    [Test]
    public void Sequences_of_a_state_are_gathered()
    {
        using MambaLM model = Model(TestDevices.Open("cpu"));
        using var scope = new TensorScope();
        using MambaState state = model.NewState(3);
        Tensor tokens = Tensor.From([1, 2, 3], model.Parameters.Device);
        model.Step(tokens, state);
        using MambaState gathered = state.Gather(2, 0, 2);
        double[] all = state.Layers[1].Tensors[1].Value.ToDoubles();
        int n = all.Length / 3;
        Assert.That(gathered.Layers[1].Tensors[1].Value.ToDoubles(), Is.EqualTo((double[])[.. all[(2 * n)..], .. all[..n], .. all[(2 * n)..]]));
        Assert.That(gathered.Position, Is.EqualTo(1));
        Assert.That(() => state.Gather(3), Throws.TypeOf<MambaException>());
    }

    [Test]
    public void A_cached_prefix_gives_the_bits_of_the_two_pieces([Values("cpu", "opencl:0")] string device)
    {
        using MambaLM model = Model(TestDevices.Open(device));
        Device on = model.Parameters.Device;
        int[] prefix = [.. Enumerable.Range(1, 40)], first = [.. prefix, 7, 8, 9], second = [.. prefix, 50, 51];
        double Pieces(int[] rest)
        {
            using var scope = new TensorScope();
            using MambaState pieces = model.NewState(1);
            model.Forward(Tensor.From(prefix, (1, prefix.Length), on), pieces);
            double[] logits = model.Forward(Tensor.From(rest, (1, rest.Length), on), pieces, lastOnly: true).ToDoubles();
            return logits.Max() - logits.Max() - Math.Log(logits.Sum(x => Math.Exp(x - logits.Max())));
        }
        using var cache = new PrefixCache(model, capacity: 2);
        var options = new Generation { MaxTokens = 1, Cache = cache };
        Assert.That(model.Generate(prefix, options).Count(), Is.EqualTo(1));
        Assert.That(model.Generate(first, options).Single().LogProb, Is.EqualTo(Pieces([7, 8, 9])));
        Assert.That(cache.Count, Is.EqualTo(2));
        Assert.That(model.Generate(second, options).Single().LogProb, Is.EqualTo(Pieces([50, 51])));
        Assert.That(cache.Count, Is.EqualTo(2), "the one not used for the longest time is gone");
        using MambaState state = model.NewState(1);
        Assert.That(cache.Find(prefix, state), Is.Zero, "a whole prompt has no token left to give logits");
        Assert.That((cache.Find([.. second, 1], state), state.Position), Is.EqualTo((42, 42L)));
        Assert.That(cache.Find([.. first, 1], state), Is.EqualTo(40));
        Assert.That(cache.Find([2, 3], state), Is.Zero);
        cache.Clear();
        Assert.That((cache.Count, cache.Find([.. second, 1], state)), Is.EqualTo((0, 0)));
    }

    // ---- the command --------------------------------------------------------------------------------

    (int Code, string Output, string Error) Run(params string[] args) => MambaProcess.Run(folder, ["generate", "--device", "cpu", .. args]);

    [Test]
    public void The_command_prints_text_or_ids()
    {
        string model = Folder();
        using MambaLM loaded = ModelFolder.Load(model, TestDevices.Open("cpu"));
        int[] greedy = loaded.Generate(new ByteTokenizer().Encode("ab"), 6);
        string ids = string.Join(',', greedy);
        (int code, string output, string error) = Run("--model", model, "--prompt", "ab", "--temperature", "0", "--max-tokens", "6", "--print-ids");
        Assert.That((code, output), Is.EqualTo((0, $"97,98,{ids}\n")), error);
        Assert.That(error, Does.Match("^2 tokens read, [0-9,]+ a second; 5 made after the first, [0-9,]+ a second, on cpu\n$"));
        Assert.That(Run("--model", model, "--ids", "97,98", "--ids", "99", "--temperature", "0", "--max-tokens", "6", "--print-ids").Output,
            Is.EqualTo($"97,98,{ids}\n99,{string.Join(',', loaded.Generate([99], 6))}\n"));
        Assert.That(Run("--model", model, "--prompt", "ab", "--temperature", "0", "--max-tokens", "6").Output,
            Is.EqualTo("ab" + new ByteTokenizer().Decode(greedy) + "\n"));
        File.WriteAllText(In("prompt"), "ab");
        string[] drawn = ["--model", model, "--prompt-file", "prompt", "--seed", "5", "--max-tokens", "9", "--print-ids"];
        string once = Run(drawn).Output;
        Assert.That(Run(drawn).Output, Is.EqualTo(once));
        Assert.That(Run([.. drawn, "--top-k", "1"]).Output, Does.StartWith($"97,98,{ids},"));
        Assert.That(Run([.. drawn, "--logprobs"]).Error.Split('\n'), Has.Length.EqualTo(11));
    }

    [Test]
    public void The_command_goes_on_from_a_state_that_it_saved()
    {
        string model = Folder(), other = Folder("other", seed: 3);
        string[] all = ["--model", model, "--seed", "4", "--print-ids"];
        string unbroken = Run([.. all, "--ids", "5,6,7", "--max-tokens", "10"]).Output;
        string first = Run([.. all, "--ids", "5,6,7", "--max-tokens", "4", "--state-out", "state"]).Output;
        string rest = Run([.. all, "--max-tokens", "6", "--state-in", "state"]).Output;
        Assert.That(first.TrimEnd() + "," + rest, Is.EqualTo(unbroken));
        MambaInProcess.Refuse(["generate", "--device", "cpu", "--model", other, "--state-in", In("state")], "another model");
        MambaInProcess.Refuse(["generate", "--device", "cpu", "--model", model, "--state-in", In("state"), "--prompt", "a", "--prompt", "b"],
            "2 prompts with --state-in");
    }

    [Test]
    public void What_is_wrong_is_one_line()
    {
        string model = Folder();
        void Refuse(string[] args, params string[] mentions) => MambaInProcess.Refuse(["generate", "--device", "cpu", "--model", model, .. args], mentions);
        Refuse([], "--prompt, --prompt-file or --ids");
        Refuse(["--prompt", "a", "--ids", "1"], "one of them");
        Refuse(["--prompt", ""], "the prompt is empty");
        Refuse(["--ids", "1,x"], "'1,x'");
        Refuse(["--ids", "1,256"], "256; the model knows 0 to 255");
        Refuse(["--prompt-file", In("nowhere")], "there is no such file");
        Refuse(["--prompt", "a", "--top-p", "2"], "top-p is 2");
        Refuse(["--prompt", "a", "--temperature", "-1"], "temperature is -1");
        Refuse(["--prompt", "a", "--max-tokens", "-1"], "--max-tokens is -1");
        Refuse(["--prompt", "a", "--state-in", In("nowhere")], "there is no such file");
        MambaInProcess.Refuse(["generate", "--model", In("none"), "--prompt", "a"], "none");
        File.WriteAllText(Path.Combine(model, "config.json"), (Config with { VocabSize = 255 }).ToJson());
        Refuse(["--prompt", "a"], "no tokenizer", "--ids");
        Assert.That(MambaInProcess.Run("generate", "--device", "cpu", "--model", model, "--ids", "1", "--max-tokens", "0").Code, Is.Zero);
    }

    [Test]
    [Platform(Exclude = "Win")]
    public void Ctrl_C_ends_it_with_what_was_made()
    {
        using Process process = MambaProcess.Start(folder, "generate", "--device", "cpu", "--model", Folder(), "--prompt", "hello",
            "--max-tokens", "100000000");
        char[] begin = new char[20];
        Assert.That(process.StandardOutput.ReadBlock(begin, 0, begin.Length), Is.EqualTo(begin.Length));
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Shell.Succeed(folder, $"kill -INT {process.Id.ToString(CultureInfo.InvariantCulture)}");
        Assert.That(process.WaitForExit(TimeSpan.FromMinutes(1)), Is.True);
        Assert.That((process.ExitCode, output.GetAwaiter().GetResult()[^1]), Is.EqualTo((130, '\n')));
        Assert.That(process.StandardError.ReadToEnd(), Does.Match("^generate: stopped after [0-9]+ tokens\n$"));
    }

    [Test]
    public void The_command_measures_perplexity()
    {
        string model = Folder();
        File.WriteAllText(In("text"), "a text to be foretold");
        File.WriteAllText(In("empty"), "");
        using MambaLM loaded = ModelFolder.Load(model, TestDevices.Open("cpu"));
        using TokenSource source = TokenSource.OfFile(In("text"));
        foreach ((string[] options, int? window) in new (string[], int?)[] { ([], 1024), (["--window", "5"], 5), (["--carry"], null) })
        {
            string[] args = ["perplexity", "--device", "cpu", "--model", model, "--data", "text", "--json", .. options];
            (int code, string output, string error) = MambaProcess.Run(folder, args);
            Assert.That(code, Is.Zero, error);
            using var json = System.Text.Json.JsonDocument.Parse(output);
            Assert.That(json.RootElement.GetProperty("nats_per_token").GetDouble(), Is.EqualTo(Perplexity.Measure(loaded, source, window).NatsPerToken));
            Assert.That(json.RootElement.GetProperty("bits_per_byte").GetDouble(),
                Is.EqualTo(json.RootElement.GetProperty("nats_per_token").GetDouble() / Math.Log(2)).Within(1e-12));
        }
        string[] all = ["perplexity", "--device", "cpu", "--model", model, "--data"];
        MambaInProcess.Refuse([.. all, In("empty")], "there is nothing in it");
        MambaInProcess.Refuse([.. all, In("text"), "--window", "0"], "--window is 0");
        MambaInProcess.Refuse([.. all, In("text"), "--window", "4", "--carry"], "--carry and --window");
        MambaInProcess.Refuse([.. all, In("nowhere")], "there is no such file");
    }
}
