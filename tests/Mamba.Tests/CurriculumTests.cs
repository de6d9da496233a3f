using NUnit.Framework;

namespace Mamba.Tests;

public class CurriculumTests
{
    static readonly TrainOptions Options = new()
    {
        Task = "induction-heads",
        Stages = [new(8, 4, 100, UntilAccuracy: 0.9), new(16, 2, 30), new(32, 1, 50)],
    };

    static TrainState Run(TrainOptions options, double accuracy, long steps)
    {
        var state = new TrainState();
        for (long i = 0; i < steps && !options.IsDone(state); i++)
            state = state.After(options, accuracy, 32);
        return state;
    }

    [Test]
    public void A_stage_ends_after_its_steps()
    {
        Assert.That(Run(Options, accuracy: 0, 99), Is.EqualTo(new TrainState { Step = 99, Stage = 0, StageStep = 99, Tokens = 99 * 32 }));
        Assert.That(Run(Options, accuracy: 0, 100), Is.EqualTo(new TrainState { Step = 100, Stage = 1, Tokens = 100 * 32 }));
        Assert.That(Run(Options, accuracy: 0, 1000).Step, Is.EqualTo(180));
    }

    [Test]
    public void A_stage_ends_early_once_the_running_accuracy_is_there()
    {
        // 1 − 0.95^k ≥ 0.9 from k = 45 on
        Assert.That(Run(Options, accuracy: 1, 44).Stage, Is.Zero);
        Assert.That(Run(Options, accuracy: 1, 45), Is.EqualTo(new TrainState { Step = 45, Stage = 1, Tokens = 45 * 32 }));
        Assert.That(Run(Options, accuracy: 1, 1000).Step, Is.EqualTo(45 + 30 + 50));
    }

    [Test]
    public void The_accuracy_that_is_shown_is_the_mean_without_the_0_it_starts_from()
    {
        var state = new TrainState();
        Assert.That(state.AccuracyWith(0.5), Is.EqualTo(0.5).Within(1e-15));
        Assert.That(Run(Options, 0.5, 20).AccuracyWith(0.5), Is.EqualTo(0.5).Within(1e-15));
        Assert.That(Run(Options, 0.5, 1).AccuracyWith(1), Is.EqualTo((0.95 * 0.5 + 1) / 1.95).Within(1e-15), "weights 0.95 and 1");
    }

    [Test]
    public void Options_that_say_nothing_of_the_optimizer_are_its_own()
    {
        using Device device = Device.Open("cpu");
        using var parameters = new ParameterSet([new Parameter("p", 1)], DType.Float32, device);
        using var optimizer = new AdamW(parameters, Options.LearningRate);
        Assert.That((Options.Beta1, Options.Beta2, Options.Eps, Options.WeightDecay, Options.DecayAll),
            Is.EqualTo((optimizer.Beta1, optimizer.Beta2, optimizer.Epsilon, optimizer.WeightDecay, optimizer.DecayAll)));
    }

    [Test]
    public void Given_steps_cut_or_stretch_the_last_stage()
    {
        Assert.That(Run(Options with { Steps = 110 }, accuracy: 0, 1000),
            Is.EqualTo(new TrainState { Step = 110, Stage = 1, StageStep = 10, Tokens = 110 * 32 }));
        TrainState stretched = Run(Options with { Steps = 500 }, accuracy: 0, 1000);
        Assert.That((stretched.Step, stretched.Stage, stretched.StageStep), Is.EqualTo((500, 2, 370)));
    }

    [Test]
    public void A_finished_run_can_be_stretched()
    {
        TrainState done = Run(Options, accuracy: 0, 1000);
        TrainOptions longer = Options with { Steps = 200 };
        Assert.That(Options.IsDone(done), Is.True);
        Assert.That(longer.IsDone(done), Is.False);
        Assert.That(longer.StageOf(done).Length, Is.EqualTo(32));
        while (!longer.IsDone(done))
            done = done.After(longer, 0, 32);
        Assert.That(done.Step, Is.EqualTo(200));
    }

    [Test]
    public void Tokens_left_are_those_of_the_stages_to_come()
    {
        const long All = 100 * 4 * 8 + 30 * 2 * 16 + 50 * 1 * 32;
        Assert.That(Options.TokensLeft(new TrainState()), Is.EqualTo(All));
        Assert.That(Options.TokensLeft(Run(Options, 0, 110)), Is.EqualTo(20 * 2 * 16 + 50 * 32));
        Assert.That(Options.TokensLeft(Run(Options, 0, 1000)), Is.Zero);
        Assert.That((Options with { Steps = 110 }).TokensLeft(new TrainState()), Is.EqualTo(100 * 4 * 8 + 10 * 2 * 16));
        Assert.That((Options with { Steps = 230 }).TokensLeft(new TrainState()), Is.EqualTo(All + 50 * 32));
    }

    [Test]
    public void Options_survive_json()
    {
        TrainOptions options = Options with { Seed = ulong.MaxValue, LearningRate = 1.0 / 3, Steps = 7 };
        TrainOptions read = TrainOptions.FromJson(options.ToJson());
        Assert.That(read with { Stages = options.Stages }, Is.EqualTo(options));
        Assert.That(read.Stages, Is.EqualTo(options.Stages));
    }

    [TestCase("")]
    [TestCase("null")]
    [TestCase("{}")]
    [TestCase("[1]")]
    [TestCase("{\"task\":\"induction-heads\",\"stages\":null}")]
    [TestCase("{\"task\":null,\"stages\":[]}")]
    [TestCase("{\"task\":\"induction-heads\",\"stages\":[{}]}")]
    [TestCase("{\"task\":\"induction-heads\",\"stages\":[null]}")]
    [TestCase("{\"task\":\"induction-heads\",\"stages\":[],\"rate\":1}")]
    public void Foreign_options_are_one_clear_line(string json) =>
        Assert.That(() => TrainOptions.FromJson(json, "here").Validate(InductionHeads.Task.Model),
            Throws.TypeOf<MambaException>().With.Message.Not.Contains("\n"));

    [Test]
    public void Presets_are_valid()
    {
        using var folder = new DataFolder();
        string Data(TrainingTask task)
        {
            switch (task.Name)
            {
                case "classify":
                    return folder.Write("some.csv", $"seq,label\n{string.Concat(Enumerable.Range(0, 20).Select(i => $"ACGT,{i % 2}\n"))}");
                case "forecast":
                    return folder.Write("series.csv", $"x\n{string.Concat(Enumerable.Range(0, 2000).Select(t => $"{t % 24}\n"))}");
                case "audio":
                    for (int i = 0; i < 20; i++)
                        new WavAudio(8000, 1, [0.1f * (i % 2), 0]).Save(folder.In($"{i % 2}_x_{i}.wav"));
                    return folder.In("");
                default:
                    return typeof(CurriculumTests).Assembly.Location;       // any file
            }
        }

        foreach (TrainingTask task in TrainingTask.All)
            foreach (TrainOptions preset in task.Presets)
            {
                TrainOptions whole = task.NeedsData ? preset with { Data = Data(task) } : preset;
                whole.Validate(task.ModelOf?.Invoke(whole) ?? task.Model);
                Assert.That((preset.Task, task.Preset(preset.Preset)), Is.EqualTo((task.Name, preset)));
            }
        Assert.That(InductionHeads.Task.Preset().Preset, Is.EqualTo("quick"));
        Assert.That(() => InductionHeads.Task.Preset("slow"),
            Throws.TypeOf<MambaException>().With.Message.EqualTo("Preset 'slow' is unknown; there are quick and paper."));
        TrainOptions paper = TrainingTask.Named("induction-heads").Preset("paper");
        Assert.That(paper.Stages, Is.EqualTo(new[] { new Stage(256, 8, 25 * 8192) }));
        Assert.That((paper.LearningRate, paper.Clip, paper.WeightDecay), Is.EqualTo((1e-3, 0, 0)));
        TrainOptions copying = TrainingTask.Named("selective-copying").Preset("paper");
        Assert.That(copying.Stages, Is.EqualTo(new[] { new Stage(4096, 64, 400_000) }));
        Assert.That((copying.LearningRate, copying.DataTokens), Is.EqualTo((1e-4, 16)));
    }
}
