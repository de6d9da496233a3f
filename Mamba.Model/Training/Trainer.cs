using Mamba.Gpu;

namespace Mamba;

/// <summary>
/// A model, its optimizer and how far they are. A step depends on nothing else: the same options and seed give the same
/// weights, bit for bit, on the same device, wherever training was cut and resumed.
/// </summary>
public sealed class Trainer : IDisposable
{
    readonly TrainingData data;

    /// <summary>A model with fresh weights, or with those of <see cref="TrainOptions.Init"/>.</summary>
    /// <param name="options">What to train on, and how.</param>
    /// <param name="config">The model's dimensions.</param>
    /// <param name="device">Where.</param>
    /// <param name="checkpoint">A checkpoint that will replace the weights: the first ones are then not made.</param>
    public Trainer(TrainOptions options, MambaConfig config, Device device, string? checkpoint = null)
    {
        options.Validate(config);
        device.Require(options.DType);
        Options = options;
        data = options.OpenData();
        Model = checkpoint is not null ? new MambaLM(config, options.DType, device, parameters => Checkpoint.ExpectParameters(checkpoint, parameters))
            : options.Init is { } folder ? Weights.Load(ModelFolder.WeightsOf(folder), config, device, options.DType)
            : new MambaLM(config, device, options.Seed, options.DType);
        Optimizer = new AdamW(Model.Parameters, options.LearningRate, options.Beta1, options.Beta2, options.Eps, options.WeightDecay, options.DecayAll);
    }

    public TrainOptions Options { get; }
    public MambaLM Model { get; }
    public AdamW Optimizer { get; }

    /// <summary>How far it is.</summary>
    public TrainState State { get; internal set; } = new();

    /// <summary>Whether there is nothing more to do.</summary>
    public bool IsDone => Options.IsDone(State);

    /// <summary>One step: draw, forward, backward, update.</summary>
    /// <exception cref="MambaException">The loss or a gradient is infinite or NaN; the weights and the optimizer are as before the step.</exception>
    public StepReport Step()
    {
        Stage stage = Options.StageOf(State);
        int index = Math.Min(State.Stage, Options.Stages.Count - 1);
        Batch batch = data.BatchOf(Options.Seed, State.Step, stage);
        int[] answers = batch.LastTargets(data.Answers);
        Device device = Model.Parameters.Device;

        using var tape = new Tape();
        Tensor tokens = Tensor.From(batch.Tokens, (batch.B, batch.L), device);
        bool lastOnly = data.Answers == 1;          // then the head need not look at the rest
        Tensor logits = Model.Forward(tokens, lastOnly: lastOnly);                  // (b, v) or (b, l, v)
        Tensor targets = lastOnly ? Tensor.From(answers, batch.B, device) : Tensor.From(batch.Targets, (batch.B, batch.L), device);
        Tensor loss = Ops.CrossEntropy(logits, targets, SequenceTask.Ignore, data.Classes(Model.Config));
        double lossValue = loss.Item();
        if (!double.IsFinite(lossValue))
            throw Diverged($"The loss is {lossValue} at step {State.Step + 1}");

        Gradients gradients = tape.Backward(loss);
        if (Options.Clip > 0)
            gradients = gradients.ClipNorm(Options.Clip);
        double norm = gradients.Norm;               // the one wait of the step for what follows the loss: before the update, so that a bad one is not made
        if (!double.IsFinite(norm))
            throw Diverged(gradients.NonFinite is { } parameter
                ? $"The gradient of {parameter.Name} is infinite or NaN at step {State.Step + 1}"
                : $"The norm of the gradients is more than {Options.Dtype} holds at step {State.Step + 1}");
        Optimizer.LearningRate = Options.LearningRateOf(State);
        Optimizer.Step(gradients);

        double accuracy = Right(logits, answers, batch) / answers.Length;
        State = State.After(Options, accuracy, batch.Tokens.Length);
        return new StepReport(State.Step, index, stage.Length, stage.Batch, lossValue, accuracy, norm, Optimizer.LearningRate, batch.Tokens.Length);
    }

    MambaException Diverged(string what)
    {
        string clip = Options.Clip > 0 ? "a smaller --clip" : "a --clip";
        return new($"{what}: training stops, and what was saved last stays. Try a smaller --lr{(Options.DType == DType.Float32 ? $", {clip} or --dtype float64" : $" or {clip}")}.");
    }

    /// <summary>Throws one clear line if a weight or a moment of the optimizer is infinite or NaN: such a state is not worth keeping.</summary>
    internal void ExpectFinite()
    {
        using Tensor norm = Model.Parameters.Flat.Like(2);
        GradientNormKernels.Norm([Model.Parameters.Flat, Optimizer.M, Optimizer.V], double.MaxValue, norm);
        if (double.IsFinite(norm.ToDoubles()[0]) || Checkpoint.Tensors(this).FirstOrDefault(t => !t.Tensor.IsFinite()) is not { Name: { } name })
            return;
        throw State.Step == 0
            ? new MambaException($"{name} is infinite or NaN: training cannot start from these weights.")
            : Diverged($"{name} is infinite or NaN after step {State.Step}");
    }

    double Right(Tensor logits, int[] answers, Batch batch)
    {
        int n = data.Answers, classes = data.Classes(Model.Config);
        double right = 0;
        if (n == 1)
            return Predictions.Right(logits, answers, classes);
        long v = logits.Shape[^1];
        if (n == batch.L && classes == v)
            return Ops.ArgMax(logits).ToArray<int>().Zip(answers, (said, answer) => said == answer ? 1 : 0).Sum();
        for (int b = 0; b < batch.B; b++)
            right += Predictions.Right(logits.Part(((b + 1L) * batch.L - n) * v, (n, v)), answers.AsSpan(b * n, n), classes);
        return right;
    }

    public void Dispose()
    {
        Optimizer.Dispose();
        Model.Dispose();
    }
}
