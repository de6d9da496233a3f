namespace Mamba;

/// <summary>
/// Given batches of tokens, taken in order: a safetensors file with one integer tensor <c>batches</c> (steps, b, l). Each token
/// but the first of a sequence is to be predicted from those before it, and the softmax is over the padded vocabulary, as the
/// official code's logits are. Only one step's tokens are in memory.
/// </summary>
public sealed class TokenBatches : TrainingData
{
    const string TaskName = "tokens", Tensor = "batches";

    /// <summary>Its name; the file of batches says how long it trains.</summary>
    public static TrainingTask Task { get; } = new(TaskName, "the batches of --data in order, each token predicted from those before it",
        options => new TokenBatches(options.Data ?? throw new MambaException("tokens: data is missing; expected a safetensors file of batches.")))
    {
        // PyTorch's betas and no decay: what a loss curve is usually compared with
        FromFile = file => new TrainOptions { Task = TaskName, Preset = "none", Stages = [new TokenBatches(file).Stage], Beta2 = 0.999, WeightDecay = 0 },
    };

    readonly string path;
    readonly long steps;
    readonly int b, l;
    int vocabSize;

    /// <param name="path">The file. It is read as training goes on.</param>
    /// <exception cref="MambaException">It is broken, or holds something else.</exception>
    public TokenBatches(string path)
    {
        this.path = path;
        InputFile.ExpectFile(path);         // a batch is read when its step comes
        using Safetensors file = Safetensors.Open(path);
        Shape shape = file[Tensor].Shape;
        if (shape.Rank != 3 || shape.Count == 0)
            throw new MambaException($"{path}: '{Tensor}' has shape {shape}; expected (steps, batch, length), none of them 0.");
        if (shape[2] < 2)
            throw new MambaException($"{path}: '{Tensor}' has shape {shape}; a sequence of one token has no next token to predict.");
        if (shape[1] > int.MaxValue / shape[2])
            throw new MambaException($"{path}: '{Tensor}' has shape {shape}; a batch has at most {int.MaxValue} tokens.");
        (steps, b, l) = (shape[0], (int)shape[1], (int)shape[2]);
    }

    /// <summary><c>tokens</c>.</summary>
    public override string Name => TaskName;

    /// <summary>One more than the largest token; found by reading the whole file.</summary>
    public override int VocabSize
    {
        get
        {
            if (vocabSize == 0)
            {
                using Safetensors file = Safetensors.Open(path);
                for (long step = 0; step < steps; step++)
                    vocabSize = Math.Max(vocabSize, Read(file, step).Max() + 1);
            }
            return vocabSize;
        }
    }

    /// <summary>All but the first token of a sequence: l − 1.</summary>
    public override int Answers => l - 1;

    /// <summary>2: a token and the next.</summary>
    public override int MinLength => 2;

    /// <summary>The steps that are in the file.</summary>
    public override long? MostSteps => steps;

    /// <summary>All batches, in order, as one stage.</summary>
    public Stage Stage => new(l, b, steps);

    /// <summary>The last token of a sequence is only a target.</summary>
    public override int Tokens(int length) => length - 1;

    /// <summary>The padded vocabulary: the official code's softmax is over all logits.</summary>
    /// <param name="config">The model's.</param>
    public override int Classes(MambaConfig config) => config.PaddedVocabSize;

    /// <summary>The tokens of one step and, as targets, those after them: (b, l − 1) each.</summary>
    /// <param name="seed">Not looked at: nothing is drawn.</param>
    /// <param name="step">From 0.</param>
    /// <param name="stage">Has the file's batch and length.</param>
    /// <exception cref="MambaException">The file has no such step, or has changed or broken since training began.</exception>
    public override Batch BatchOf(ulong seed, long step, Stage stage)
    {
        if (step >= steps || stage.Batch != b || stage.Length != l)
            throw new MambaException($"{path}: '{Tensor}' has shape {(Shape)(steps, b, l)}; "
                + $"step {step + 1} of this training needs a batch ({stage.Batch}, {stage.Length}).");
        using Safetensors file = Safetensors.Open(path);
        if (file[Tensor].Shape != (steps, b, l))
            throw new MambaException($"{path}: '{Tensor}' has another shape than when the training began.");
        int[] ids = Read(file, step), tokens = new int[b * (l - 1)], targets = new int[b * (l - 1)];
        for (int i = 0; i < b; i++)
        {
            ids.AsSpan(i * l, l - 1).CopyTo(tokens.AsSpan(i * (l - 1)));
            ids.AsSpan(i * l + 1, l - 1).CopyTo(targets.AsSpan(i * (l - 1)));
        }
        return new Batch(tokens, targets, b, l - 1);
    }

    int[] Read(Safetensors file, long step)
    {
        long[] ids = file.ReadLongs(Tensor, step * b * l, (long)b * l);
        int bad = Array.FindIndex(ids, id => id is < 0 or >= int.MaxValue);
        return bad < 0
            ? Array.ConvertAll(ids, id => (int)id)
            : throw new MambaException($"{path}: '{Tensor}' holds {ids[bad]} in step {step + 1}; a token is 0 or more.");
    }
}
