namespace Mamba;

/// <summary>What a model is trained on: the batch of each step follows from the seed and the step.</summary>
public abstract class TrainingData
{
    /// <summary>The name it has on the command line.</summary>
    public abstract string Name { get; }

    /// <summary>Tokens are 0 … VocabSize − 1.</summary>
    public abstract int VocabSize { get; }

    /// <summary>Number of positions, at the end of a sequence, that have a target.</summary>
    public abstract int Answers { get; }

    /// <summary>The shortest length that makes sense.</summary>
    public abstract int MinLength { get; }

    /// <summary>Steps there are batches for; null: as many as one likes.</summary>
    public virtual long? MostSteps => null;

    /// <summary>Tokens that a sequence of the given length has in all.</summary>
    public virtual int Tokens(int length) => length;

    /// <summary>The softmax is over this many first columns of the logits.</summary>
    public virtual int Classes(MambaConfig config) => config.VocabSize;

    /// <summary>The batch of one step, the first being step 0.</summary>
    public abstract Batch BatchOf(ulong seed, long step, Stage stage);
}
