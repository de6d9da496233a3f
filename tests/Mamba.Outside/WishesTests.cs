using NUnit.Framework;

namespace Mamba.Outside;

/// <summary>What somebody who knows PyTorch types first, from a project of their own.</summary>
public class WishesTests
{
    static readonly MambaConfig Config = new() { DModel = 16, NLayer = 2, VocabSize = 8 };

    Device device = null!;
    MambaLM model = null!;

    [SetUp]
    public void Open()
    {
        device = Device.Open("cpu");
        model = new MambaLM(Config, device, seed: 1);
    }

    [TearDown]
    public void Close()
    {
        model.Dispose();
        device.Dispose();
    }

    [Test]
    public void A_parameter_is_given_values()
    {
        var mine = new Parameter("head.weight", (2, 16));
        using var set = new ParameterSet([mine], DType.Float32, device);
        Tensor drawn = Ops.Normal((2, 16), DType.Float32, device, 1);
        mine.Value.Write<float>([.. Enumerable.Repeat(3f, 32)]);
        Assert.That(mine.Value.ToDoubles(), Is.All.EqualTo(3));
        mine.Value = drawn;
        Assert.That(mine.Value.ToDoubles(), Is.EqualTo(drawn.ToDoubles()));
        mine.Value.Fill(1);
        Assert.That(mine.Value.ToDoubles(), Is.All.EqualTo(1));
        mine.Value.CopyFrom(drawn);
        Assert.That(mine.Value.ToDoubles(), Is.EqualTo(drawn.ToDoubles()));
        Assert.That(() => mine.Value.CopyFrom(Ops.Normal((16, 2), DType.Float32, device, 1)), Throws.TypeOf<MambaException>());
        drawn.Dispose();
    }

    [Test]
    public void A_parameter_has_initial_values_that_the_seed_decides()
    {
        double[] Drawn(ulong seed, Initializer initial)
        {
            using var set = new ParameterSet([new Parameter("a", (40, 50), initial: initial)], DType.Float64, device, seed);
            return set["a"].Value.ToDoubles();
        }
        double[] normal = Drawn(1, Initial.Normal(2)), uniform = Drawn(1, Initial.Kaiming(16));
        Assert.That(Math.Sqrt(normal.Average(x => x * x)), Is.EqualTo(2).Within(0.1));
        Assert.That(uniform.Max(), Is.EqualTo(0.25).Within(0.01).And.AtMost(0.25));
        Assert.That(uniform.Min(), Is.EqualTo(-0.25).Within(0.01).And.AtLeast(-0.25));
        Assert.That(Drawn(1, Initial.Normal(2)), Is.EqualTo(normal));
        Assert.That(Drawn(2, Initial.Normal(2)), Is.Not.EqualTo(normal));
        Assert.That(Drawn(1, Initial.Zeros), Is.All.Zero);
        Assert.That(Drawn(1, Initial.Constant(0.3)), Is.All.EqualTo(0.3));
        Assert.That(Drawn(1, (values, _) => values[7] = 5)[7], Is.EqualTo(5));
    }

    [Test]
    public void Frozen_parameters_have_no_gradient_and_do_not_move([Values] bool throughTheTensor)
    {
        Parameter embedding = model.Parameters["backbone.embedding.weight"];
        foreach (Parameter p in model.Parameters)
            if (p != embedding || !throughTheTensor)
                p.RequiresGrad = p.Name.Contains("norm", StringComparison.Ordinal);
            else
                p.Value.RequiresGrad = false;
        double[][] before = [.. model.Parameters.Select(p => p.Value.ToDoubles())];
        using var optimizer = new AdamW(model.Parameters, 0.1, weightDecay: 0.5, decayAll: true);
        using (var tape = new Tape())
        {
            Tensor logits = model.Forward(Tensor.From([1, 2, 3], (1, 3), device));
            Gradients gradients = tape.Backward(Ops.CrossEntropy(logits, Tensor.From([2, 3, 4], (1, 3), device)));
            Assert.That(model.Parameters.Where(p => gradients.Contains(p)).Select(p => p.Name), Is.All.Contains("norm"));
            optimizer.Step(gradients);
        }
        for (int i = 0; i < before.Length; i++)
        {
            Parameter parameter = model.Parameters[i];
            Assert.That(parameter.Value.ToDoubles(), parameter.RequiresGrad ? Is.Not.EqualTo(before[i]) : Is.EqualTo(before[i]), parameter.Name);
        }
        embedding.RequiresGrad = true;
        using (var tape = new Tape())
            optimizer.Step(tape.Backward(embedding.Value.Square().Sum()));
        Assert.That(embedding.Value.ToDoubles(), Is.Not.EqualTo(before[0]), "thawed");
    }

    [Test]
    public void An_optimizer_takes_any_choice_of_parameters_and_leaves_the_model_alone()
    {
        double[] before = model.Parameters["backbone.layers.0.mixer.A_log"].Value.ToDoubles();
        using var some = new AdamW(model.Parameters.Where(p => p.Decay), 1e-3);
        Assert.That(some.Parameters.Select(p => p.Name), Is.EquivalentTo(model.Parameters.Where(p => p.Decay).Select(p => p.Name)));
        Assert.That(() => new ParameterSet(model.Parameters.Where(p => p.Decay), DType.Float32, device),
            Throws.TypeOf<MambaException>().With.Message.Contains("in a set already"));
        Assert.That(model.Parameters["backbone.layers.0.mixer.A_log"].Value.ToDoubles(), Is.EqualTo(before));
    }

    [Test]
    public void Groups_have_a_rate_and_a_decay_of_their_own()
    {
        var a = new Parameter("a", 3, initial: Initial.Ones);
        var b = new Parameter("b", 5, decay: false, Initial.Ones);
        var c = new Parameter("c", 17, initial: Initial.Ones);
        using var set = new ParameterSet([a, b, c], DType.Float64, device);
        ParameterGroup[] groups = [new([c]) { Rate = 0.5 }, new([b]) { WeightDecay = 0.25 }, new([a])];
        using var optimizer = new AdamW(groups, 0.1, weightDecay: 0.5);
        using (var tape = new Tape())
            optimizer.Step(tape.Backward(a.Value.Sum() + b.Value.Sum() + c.Value.Sum()));
        // p (1 − lr · decay) − lr: the first step of Adam is lr in the gradient's direction
        Assert.That(a.Value.ToDoubles(), Is.All.EqualTo(1 - 0.1 * 0.5 - 0.1).Within(1e-7));
        Assert.That(b.Value.ToDoubles(), Is.All.EqualTo(1 - 0.1 * 0.25 - 0.1).Within(1e-7));
        Assert.That(c.Value.ToDoubles(), Is.All.EqualTo(1 - 0.05 * 0.5 - 0.05).Within(1e-7));
        Assert.That(() => new AdamW([new ParameterGroup([a]), new ParameterGroup([a])], 0.1), Throws.TypeOf<MambaException>().With.Message.Contains("twice"));
        Assert.That(() => new AdamW([new ParameterGroup([a]) { Rate = -1 }], 0.1), Throws.TypeOf<MambaException>().With.Message.Contains("rate -1"));
        Assert.That(() => new AdamW([new Parameter("d", 1)], 0.1), Throws.TypeOf<MambaException>().With.Message.Contains("no value"));
        Assert.That(() => new AdamW(Array.Empty<Parameter>(), 0.1), Throws.TypeOf<MambaException>().With.Message.Contains("no parameters"));
    }

    [Test]
    public void Groups_of_several_sets_are_trained_as_one_would_be()
    {
        double[] Train(bool apart)
        {
            var p = new Parameter("p", 7, initial: Initial.Normal(1));
            var q = new Parameter("q", (2, 3), initial: Initial.Constant(0.5));
            using var first = new ParameterSet(apart ? [p] : [p, q], DType.Float64, device, seed: 1);
            using ParameterSet? second = apart ? new ParameterSet([q], DType.Float64, device, seed: 1) : null;
            using var optimizer = new AdamW([p, q], 0.01);
            for (int step = 0; step < 3; step++)
            {
                using var tape = new Tape();
                optimizer.Step(tape.Backward(p.Value.Square().Sum() * q.Value.Square().Sum()).ClipNorm(1));
            }
            return [.. p.Value.ToDoubles(), .. q.Value.ToDoubles()];
        }
        Assert.That(Train(apart: true), Is.EqualTo(Train(apart: false)).Within(1e-15));
    }

    [Test]
    public void An_optimizer_moves_its_own_and_nothing_between()
    {
        Parameter[] all = [.. "abcde".Select(name => new Parameter($"{name}", 5, initial: Initial.Ones))];
        using var set = new ParameterSet(all, DType.Float64, device);
        using var optimizer = new AdamW([all[0], all[2], all[3]], 0.1, weightDecay: 0);
        for (int step = 0; step < 2; step++)
        {
            using var tape = new Tape();
            optimizer.Step(tape.Backward((all[0].Value + all[1].Value + all[2].Value * 2.0 + all[3].Value + all[4].Value).Sum()));
        }
        Assert.That(all.Select(p => p.Value.ToDoubles()[4]), Is.EqualTo(new[] { 0.8, 1, 0.8, 0.8, 1 }).Within(1e-7));
    }

    [Test]
    public void The_optimizers_state_is_saved_and_loaded()
    {
        string path = Path.Combine(TestContext.CurrentContext.WorkDirectory, $"adam-{Guid.NewGuid():N}.safetensors");
        try
        {
            void Step(AdamW optimizer)
            {
                using var tape = new Tape();
                optimizer.Step(tape.Backward(Ops.CrossEntropy(model.Forward(Tensor.From([1, 2, 3], (1, 3), device)), Tensor.From([2, 3, 4], (1, 3), device))));
            }
            double[] Weights() => [.. model.Parameters.SelectMany(p => p.Value.ToDoubles())];
            using var optimizer = new AdamW(model.Parameters, 1e-2);
            Step(optimizer);
            Step(optimizer);
            optimizer.Save(path);
            double[] before = Weights();
            Step(optimizer);
            double[] after = Weights();

            using var other = new MambaLM(Config, device, seed: 1);
            using var resumed = new AdamW(model.Parameters, 1e-2);
            int at = 0;
            foreach (Parameter p in model.Parameters)
            {
                p.Value.WriteRounded(before.AsSpan(at, (int)p.Shape.Count));
                at += (int)p.Shape.Count;
            }
            resumed.Load(path);
            Assert.That(resumed.StepCount, Is.EqualTo(2));
            Step(resumed);
            Assert.That(Weights(), Is.EqualTo(after));
            using var few = new AdamW(other.Parameters.Take(2), 1e-2);
            Assert.That(() => few.Load(path), Throws.TypeOf<MambaException>().With.Message.Contains("not part of this optimizer"));
            Mamba.Weights.Save(path, other.Parameters);
            Assert.That(() => resumed.Load(path), Throws.TypeOf<MambaException>().With.Message.Contains("not the state of an optimizer"));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Test]
    public void A_block_is_used_alone()
    {
        using var scope = new TensorScope();
        Tensor x = Ops.Normal((1, 4, 16), DType.Float32, device, 1);
        var block = new MambaBlock(Config, 0);
        using ParameterSet parameters = block.Initialize(device, seed: 1);
        Assert.That(parameters[0].Name, Is.EqualTo("A_log"));
        Assert.That(block.Forward(x).Shape, Is.EqualTo(x.Shape));
        Assert.That(model.Blocks.First().Forward(x, null, null).Shape, Is.EqualTo(x.Shape));
    }

    [Test]
    public void Embeddings_stand_in_for_tokens()
    {
        using var scope = new TensorScope();
        Tensor tokens = Tensor.From([3, 1, 4, 1], (1, 4), device);
        Tensor logits = model.Forward(embeddings: Ops.Embedding(tokens, model.Embedding.Weight));
        Assert.That(logits.ToDoubles(), Is.EqualTo(model.Forward(tokens).ToDoubles()));
        Assert.That(() => model.Forward(), Throws.TypeOf<MambaException>().With.Message.Contains("both missing"));
        Assert.That(() => model.Forward(tokens, embeddings: logits), Throws.TypeOf<MambaException>().With.Message.Contains("both given"));
    }

    sealed class Constant : TrainingData
    {
        public override string Name => "mine";
        public override int VocabSize => 8;
        public override int Answers => 1;
        public override int MinLength => 2;
        public override Batch BatchOf(ulong seed, long step, Stage stage) =>
            new([.. Enumerable.Repeat(3, stage.Batch * stage.Length)], [.. Enumerable.Repeat(5, stage.Batch * stage.Length)], stage.Batch, stage.Length);
    }

    [Test]
    public void The_trainer_takes_data_of_ones_own()
    {
        var options = new TrainOptions { Task = "mine", Stages = [new Stage(4, 2, 20)], LearningRate = 0.02 };
        using var trainer = new Trainer(options, Config, device, new Constant());
        double first = trainer.Step().Loss, last = 0;
        while (!trainer.IsDone)
            last = trainer.Step().Loss;
        Assert.That(last, Is.LessThan(first / 10));
        Assert.That(trainer.TokensLeft, Is.Zero);
    }

    [Test]
    public void Tensors_are_detached_indexed_and_printed()
    {
        using var tape = new Tape();
        Tensor x = Tape.Watch(Tensor.From(new float[,] { { 1, 2 }, { 3, 4 } }, device)), y = x * 2;
        y.RetainGrad();
        Tensor first = y[0], loss = (first.Square() + y.Detach()[1]).Sum();
        Gradients gradients = tape.Backward(loss);
        Assert.That(first.Shape, Is.EqualTo(new Shape(2)));
        Assert.That(gradients[y].ToDoubles(), Is.EqualTo(new double[] { 4, 8, 0, 0 }), "an intermediate; nothing comes through what is detached");
        Assert.That(gradients[x].ToDoubles(), Is.EqualTo(new double[] { 8, 16, 0, 0 }));
        Assert.That(y.ToString(), Does.Contain("6").And.Contain("8"));
        using (Tape.NoGrad())
            Assert.That(y.Exp().RequiresGrad, Is.False);
    }

    [Test]
    public void The_usual_ops_are_there()
    {
        using var scope = new TensorScope();
        Tensor y = Tensor.From(new double[] { -1, 0, 2 }, device);
        Assert.That(Ops.Gelu(y).ToDoubles()[2], Is.EqualTo(1.9544997361036416).Within(1e-12));
        Assert.That(Ops.Dropout(y, 0, seed: 1).ToDoubles(), Is.EqualTo(y.ToDoubles()));
        Assert.That(Ops.MeanSquaredError(y, y * 2).Item(), Is.EqualTo(5.0 / 3).Within(1e-15));
        Assert.That(Ops.Where(y, y, y + 10).ToDoubles(), Is.EqualTo(new double[] { -1, 10, 2 }));
        Assert.That(Ops.Where(Ops.Greater(y, y * 0), y, y * 0).ToDoubles(), Is.EqualTo(new double[] { 0, 0, 2 }));
    }

    [Test]
    public void Weights_of_any_names_are_saved_and_loaded()
    {
        string path = Path.Combine(TestContext.CurrentContext.WorkDirectory, $"weights-{Guid.NewGuid():N}.safetensors");
        try
        {
            Parameter[] parameters = [new("first", (2, 3), initial: Initial.Normal(1)), new("second", 5, initial: Initial.Ones)];
            using var set = new ParameterSet(parameters, DType.Float64, device);
            double[] before = set["first"].Value.ToDoubles();
            Weights.Save(path, set);
            set["first"].Value.Fill(0);
            Weights.Load(path, set);
            Assert.That(set["first"].Value.ToDoubles(), Is.EqualTo(before));
            Weights.Save(path, set.Take(1));
            Assert.That(() => Weights.Load(path, set), Throws.TypeOf<MambaException>().With.Message.Contains("'second'"));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Test]
    public void A_model_generates()
    {
        int[] greedy = model.Generate([1, 2, 3], 20);
        Assert.That(greedy, Has.Length.EqualTo(20).And.All.InRange(0, 7));
        Assert.That(model.Generate([1, 2, 3], 20), Is.EqualTo(greedy));
        Assert.That(model.Generate([1, 2, 3, .. greedy[..10]], 10), Is.EqualTo(greedy[10..]), "it goes on from what it made");
        int[] drawn = model.Generate([1, 2, 3], 50, temperature: 5, seed: 1);
        Assert.That(drawn.Distinct().Count(), Is.GreaterThan(4));
        Assert.That(model.Generate([1, 2, 3], 50, temperature: 5, seed: 1), Is.EqualTo(drawn));
        Assert.That(model.Generate([1, 2, 3], 50, temperature: 5, seed: 2), Is.Not.EqualTo(drawn));
        Assert.That(model.Generate([1], 0), Is.Empty);
        Assert.That(() => model.Generate([], 1), Throws.TypeOf<MambaException>());
    }
}
