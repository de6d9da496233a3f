using Mamba.Gpu;

namespace Mamba;

/// <summary>
/// A model, its optimizer and how far they are. A step depends on nothing else: the same options and seed give the same
/// weights, bit for bit, on the same device, wherever training was cut and resumed.
/// </summary>
public sealed class Trainer : IDisposable
{
    readonly TrainingLoop loop;
    readonly bool opened;

    /// <summary>A model with fresh weights, or with those of <see cref="TrainOptions.Init"/>.</summary>
    /// <param name="options">What to train on, and how.</param>
    /// <param name="config">The model's dimensions.</param>
    /// <param name="device">Where.</param>
    /// <param name="data">Data and loss of your own; null: what <see cref="TrainOptions.Task"/> names.</param>
    /// <param name="checkpoint">A checkpoint that will replace the weights: the first ones are then not made.</param>
    /// <exception cref="MambaException">The options make no sense, or do not fit the model.</exception>
    public Trainer(TrainOptions options, MambaConfig config, Device device, TrainingData? data = null, string? checkpoint = null)
    {
        (Data, opened) = (data ?? options.OpenData(), data is null);
        options.Validate(config, Data);
        Data.Prepare();
        device.Require(options.DType);
        Options = options;
        Network = checkpoint is not null ? MambaModel.Zeros(config, options.DType, device, parameters => Checkpoint.ExpectParameters(checkpoint, parameters))
            : options.Init is { } folder ? Weights.LoadAny(ModelFolder.WeightsOf(folder), config, device, options.DType)
            : MambaModel.Create(config, device, options.Seed, options.DType);
        Optimizer = new AdamW(Network.Parameters, options.LearningRate, options.Beta1, options.Beta2, options.Eps, options.WeightDecay, options.DecayAll);
        string clip = options.Clip > 0 ? "a smaller --clip" : "a --clip";
        loop = new TrainingLoop(Optimizer)
        {
            Clip = options.Clip,
            Advice = $"Try a smaller --lr{(options.DType == DType.Float32 ? $", {clip} or --dtype float64" : $" or {clip}")}.",
        };
    }

    /// <summary>What to train on, and how.</summary>
    public TrainOptions Options { get; }

    /// <summary>What is trained on.</summary>
    public TrainingData Data { get; }

    /// <summary>What is trained.</summary>
    public MambaModel Network { get; }

    /// <summary><see cref="Network"/>, of a training on a language model.</summary>
    /// <exception cref="MambaException">It has a head of another kind.</exception>
    public MambaLM Model => Network as MambaLM
        ?? throw new MambaException($"Trainer: the model has a head for {Network.Config.Head!.Kind} and is in Network; Model has a language model.");

    /// <summary>What changes it.</summary>
    public AdamW Optimizer { get; }

    /// <summary>How far it is.</summary>
    public TrainState State { get; internal set; } = new();

    /// <summary>The state that batches go on from, where the data carry one; null before the first of them, and where they do not.</summary>
    internal MambaState? Carried { get; set; }

    /// <summary>Whether there is nothing more to do.</summary>
    public bool IsDone => Options.IsDone(State);

    /// <summary>Tokens still to read, at most: a stage may end early.</summary>
    public long TokensLeft => Options.TokensLeft(State, Data);

    /// <summary>One step: draw, forward, backward, update.</summary>
    /// <exception cref="MambaException">The loss or a gradient is infinite or NaN; the weights and the optimizer are as before the step.</exception>
    public StepReport Step()
    {
        Stage stage = Options.StageOf(State);
        int index = Math.Min(State.Stage, Options.Stages.Count - 1);
        Batch batch = Data.BatchOf(Options.Seed, State.Step, stage);
        if (Data.CarriesState)
            batch = batch with { State = StateFor(batch) };
        if (Options.Dropout > 0)
            batch = batch with { Dropout = new Dropout(Options.Dropout, Options.Seed, (ulong)State.Step) };
        TrainingLoss asked = default;
        double accuracy = 0;
        Optimizer.LearningRate = Options.LearningRateOf(State);
        LoopStep step = loop.Step(() => (asked = Data.LossOf(Network, batch)).Loss, () => accuracy = asked.Accuracy?.Invoke() ?? 0);
        State = State.After(Options, accuracy, batch.Positions);
        return new StepReport(State.Step, index, stage.Length, stage.Batch, step.Loss, accuracy, step.GradientNorm, step.LearningRate, batch.Positions);
    }

    MambaState StateFor(Batch batch)
    {
        if (Carried?.Batch != batch.B)
        {
            Carried?.Dispose();
            Carried = Network.NewState(batch.B);
        }
        else if (batch.Begins || State.StageStep == 0)
        {
            Carried.Reset();
        }
        return Carried;
    }

    /// <summary>
    /// Measures the loss on what is held out, in windows as long as the stage's sequences; the best so far is noted in <see cref="State"/>. Null: nothing is
    /// held out.
    /// </summary>
    /// <exception cref="MambaException">The loss is infinite or NaN.</exception>
    internal ValidationReport? Validate()
    {
        if (Data.Score(Network, Options.StageOf(State).Length) is not { } held)
            return null;
        if (!double.IsFinite(held.Loss))
            throw loop.Diverged($"The loss on what is held out is {held.Loss} after step {State.Step}");
        bool best = !(held.Loss >= State.BestLoss);
        if (best)
            State = State with { BestLoss = held.Loss, BestStep = State.Step };
        return new ValidationReport(State.Step, held.Loss, held.BitsPerByte, best) { Accuracy = held.Accuracy };
    }

    /// <summary>Throws one clear line if a weight or a moment of the optimizer is infinite or NaN: such a state is not worth keeping.</summary>
    internal void ExpectFinite()
    {
        using Tensor norm = Network.Parameters.Flat.Like(2);
        GradientNormKernels.Norm([Network.Parameters.Flat, .. Optimizer.Moments], double.MaxValue, norm);
        if (double.IsFinite(norm.ToDoubles()[0]) || Checkpoint.Tensors(this).FirstOrDefault(t => !t.Tensor.IsFinite()) is not { Name: { } name })
            return;
        throw State.Step == 0
            ? new MambaException($"{name} is infinite or NaN: training cannot start from these weights.")
            : loop.Diverged($"{name} is infinite or NaN after step {State.Step}");
    }

    /// <summary>Gives the memory of the model and the optimizer back.</summary>
    public void Dispose()
    {
        Carried?.Dispose();
        Optimizer.Dispose();
        Network.Dispose();
        if (opened)
            (Data as IDisposable)?.Dispose();
    }
}
