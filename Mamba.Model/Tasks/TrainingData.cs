namespace Mamba;

/// <summary>
/// What a model is trained on: the batch of each step follows from the seed and the step, and the loss from the batch. Derive one and give it to
/// <see cref="Trainer"/>; a <see cref="TrainingTask"/> gives it a name for the command line and run folders.
/// </summary>
public abstract class TrainingData
{
    /// <summary>The name it has on the command line.</summary>
    public abstract string Name { get; }

    /// <summary>Tokens are 0 … VocabSize − 1.</summary>
    public abstract int VocabSize { get; }

    /// <summary>Number of positions, at the end of a sequence, that have a target; <see cref="int.MaxValue"/>: all, however long it is.</summary>
    public abstract int Answers { get; }

    /// <summary>The shortest length that makes sense.</summary>
    public abstract int MinLength { get; }

    /// <summary>Steps there are batches for; null: as many as one likes.</summary>
    public virtual long? MostSteps => null;

    /// <summary>Tokens that a sequence of the given length has in all.</summary>
    /// <param name="length">As the task counts it.</param>
    public virtual int Tokens(int length) => length;

    /// <summary>The softmax is over this many first columns of the logits.</summary>
    /// <param name="config">The model's.</param>
    public virtual int Classes(MambaConfig config) => config.VocabSize;

    /// <summary>Whether a batch goes on where the one before it ended, the state being carried: truncated backpropagation through time.</summary>
    public virtual bool CarriesState => false;

    /// <summary>What the loss is counted in, for who reads it: <c>nats a token</c>.</summary>
    public virtual string LossUnit => "nats a token";

    /// <summary>What <see cref="HeldOutScore.BitsPerByte"/> is of.</summary>
    public virtual string ByteName => "byte";

    /// <summary>Whether there are right and wrong answers.</summary>
    public virtual bool HasAccuracy => true;

    /// <summary>Opens what the batches are read from, before training begins and anything is written; one clear line if it cannot be trained on.</summary>
    /// <exception cref="MambaException">It cannot.</exception>
    public virtual void Prepare()
    {
    }

    /// <summary>How the model does on what is held out; null where nothing is.</summary>
    /// <param name="model">The model in training.</param>
    /// <param name="window">Tokens it reads before it forgets; null: the state is carried from the first to the last.</param>
    /// <param name="stop">Ends the work with an <see cref="OperationCanceledException"/>.</param>
    public virtual Perplexity? Validate(MambaLM model, int? window, CancellationToken stop = default) => null;

    /// <summary>The same of any model, as a loss to be made smaller; unless data say otherwise, what <see cref="Validate"/> says of a language model.</summary>
    /// <param name="model">The model in training.</param>
    /// <param name="window">Tokens it reads before it forgets; null: the state is carried from the first to the last.</param>
    /// <param name="stop">Ends the work with an <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="MambaException">The model is not of the kind that the data are for.</exception>
    public virtual HeldOutScore? Score(MambaModel model, int? window, CancellationToken stop = default) =>
        Validate(Language(model), window, stop) is { } held ? new(held.NatsPerToken, held.BitsPerByte) : null;

    /// <summary>The model, as the language model that the data are for.</summary>
    /// <param name="model">The model in training.</param>
    /// <exception cref="MambaException">It has a head of another kind.</exception>
    protected MambaLM Language(MambaModel model) => model as MambaLM
        ?? throw new MambaException($"{Name}: the model has a head for {model.Config.Head!.Kind}; expected a language model, without one.");

    /// <summary>The batch of one step.</summary>
    /// <param name="seed">The run's.</param>
    /// <param name="step">From 0.</param>
    /// <param name="stage">Its length and number of sequences.</param>
    public abstract Batch BatchOf(ulong seed, long step, Stage stage);

    /// <summary>The loss of a batch, on the open tape: of a language model the mean cross-entropy of the answers, unless a task has one of its own.</summary>
    /// <param name="model">The model in training.</param>
    /// <param name="batch">Of this step.</param>
    /// <exception cref="MambaException">The model is not of the kind that the data are for.</exception>
    public virtual TrainingLoss LossOf(MambaModel model, Batch batch)
    {
        Device device = model.Parameters.Device;
        int classes = Classes(model.Config), positions = Math.Min(Answers, batch.L);
        Tensor tokens = Tensor.From(batch.Tokens, (batch.B, batch.L), device);
        bool lastOnly = positions == 1;             // then the head need not look at the rest
        Tensor logits = Language(model).Forward(tokens, batch.State, lastOnly, dropout: batch.Dropout);               // (b, v) or (b, l, v)
        Tensor targets = lastOnly
            ? Tensor.From(batch.LastTargets(1), batch.B, device)
            : Tensor.From(batch.Targets, (batch.B, batch.L), device);
        Tensor loss = Ops.CrossEntropy(logits, targets, SequenceTask.Ignore, classes);
        return new(loss, () =>
        {
            bool some = !lastOnly && positions < batch.L;
            Tensor answers = some ? Ops.Slice(logits, 1, batch.L - positions, positions) : logits;
            Tensor expected = some ? Tensor.From(batch.LastTargets(positions), (batch.B, positions), device) : targets;
            return Ops.CountCorrect(answers, expected, SequenceTask.Ignore, classes).Accuracy;
        });
    }
}
