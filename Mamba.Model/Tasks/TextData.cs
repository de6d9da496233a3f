namespace Mamba;

/// <summary>
/// Text to be foretold token by token: a file, or all files of a folder, as bytes or by a tokenizer. The last tenth is held out for
/// <see cref="Validate"/>; the rest is trained on, in one of two ways:
/// <list type="bullet">
/// <item>windows: in each epoch the text is cut into windows from another offset, and these come in another order, each once. A text read evenly is learned
/// better than one read at random: <c>docs/text.md</c> has the measurement.</item>
/// <item>carried: each sequence of a batch reads a stretch of its own from start to end, and the state goes on from step to step.</item>
/// </list>
/// The text is not read into memory.
/// </summary>
public sealed class TextData : TrainingData, IDisposable
{
    const string TaskName = "text", DnaName = "dna";

    /// <summary>One token in so many is held out.</summary>
    const int HeldOut = 10;

    readonly string name, source;
    readonly Func<TokenSource> open;
    readonly bool carried;
    readonly int? context;
    TokenSource? tokens, training, heldOut;

    /// <summary>Its name, presets and models.</summary>
    public static TrainingTask Task { get; } = new(TaskName, "the text of --data, each byte, or token of a --tokenizer, predicted from those before it",
        options => new TextData(
            options.Data ?? throw new MambaException("text: data is missing; expected a file or a folder of text."),
            options.Tokenizer is { } tokenizer ? Tokenizer.Open(tokenizer) : null, options.Tbptt, options.Context))
    {
        NeedsData = true,
        Presets =
        [
            // Three minutes on two cores. The text is seen a few times only: nothing to drop.
            new TrainOptions
            {
                Task = TaskName,
                Preset = "quick",
                Stages = [new(512, 4, 2000)],
                LearningRate = 5e-3,
                Warmup = 100,
                Schedule = "cosine",
                Clip = 1,
                EvalEvery = 400,
            },
            // Less than half an hour. A megabyte is read some thirty times, and without dropout learned by heart.
            new TrainOptions
            {
                Task = TaskName,
                Preset = "long",
                Stages = [new(512, 4, 14_000)],
                LearningRate = 4e-3,
                Warmup = 100,
                Schedule = "cosine",
                Clip = 1,
                Dropout = 0.2,
                EvalEvery = 500,
            },
        ],
        ModelOf = options => new MambaConfig
        {
            DModel = 128,
            NLayer = 4,
            VocabSize = options.Tokenizer is { } tokenizer ? Tokenizer.Open(tokenizer).VocabSize : ByteTokenizer.Count,
        },
    };

    /// <summary>Bases of a FASTA file, each foretold from those before it: <c>mamba train dna</c>.</summary>
    public static TrainingTask Dna { get; } = new(DnaName, "the bases of --data, a FASTA file, each predicted from those before it",
        options => OfDna(options.Data ?? throw new MambaException("dna: data is missing; expected a FASTA file."), options.Tbptt, options.Context))
    {
        NeedsData = true,
        Presets =
        [
            // Two minutes on two cores. Many small steps learn faster than few large ones.
            new TrainOptions
            {
                Task = DnaName,
                Preset = "quick",
                Stages = [new(1024, 8, 800)],
                LearningRate = 5e-3,
                Warmup = 50,
                Schedule = "cosine",
                Clip = 1,
                EvalEvery = 200,
            },
            new TrainOptions
            {
                Task = DnaName,
                Preset = "long",
                Stages = [new(8192, 2, 6000)],
                LearningRate = 3e-3,
                Warmup = 100,
                Schedule = "cosine",
                Clip = 1,
                Dropout = 0.1,
                EvalEvery = 500,
            },
        ],
        Model = new MambaConfig { DModel = 64, NLayer = 4, VocabSize = Alphabet.Dna.Count },
    };

    /// <summary>The bases of a FASTA file, records one behind another with an N between them. The last tenth is held out.</summary>
    /// <param name="path">FASTA, as it is or gzipped.</param>
    /// <param name="carried">Whether the state is carried from step to step; windows from anywhere otherwise.</param>
    /// <param name="context">Bases of a window, read in pieces; null: as many as a step reads.</param>
    /// <exception cref="MambaException">There is no such file.</exception>
    public static TextData OfDna(string path, bool carried = false, int? context = null)
    {
        InputFile.ExpectFile(path);
        return new TextData(DnaName, path, () => TokenSource.OfFasta(path, Alphabet.Dna), new AlphabetTokenizer(Alphabet.Dna), carried, context);
    }

    /// <param name="path">A file, or a folder: its files and those of its folders, in the order of their names; hidden ones are passed over.</param>
    /// <param name="tokenizer">From text to tokens; null: a token is a byte, so that any file can be trained on.</param>
    /// <param name="carried">Whether the state is carried from step to step; windows from anywhere otherwise.</param>
    /// <param name="context">Tokens of a window, read in pieces as long as a step's sequences, the state being carried; null: as many as a step reads.</param>
    /// <exception cref="MambaException">There is no such file or folder.</exception>
    public TextData(string path, Tokenizer? tokenizer = null, bool carried = false, int? context = null)
        : this(TaskName, path, Opener(Files(path), tokenizer ??= new ByteTokenizer()), tokenizer, carried, context)
    {
    }

    TextData(string name, string source, Func<TokenSource> open, Tokenizer tokenizer, bool carried, int? context) =>
        (this.name, this.source, this.open, Tokenizer, this.carried, this.context) = (name, source, open, tokenizer, carried, context);

    static Func<TokenSource> Opener(string[] files, Tokenizer tokenizer) => () =>
        files.Length == 1 ? TokenSource.OfText(files[0], tokenizer) : new JoinedTokens(files.Select(file => TokenSource.OfText(file, tokenizer)));

    /// <summary>From text to tokens.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary><c>text</c>, or <c>dna</c>.</summary>
    public override string Name => name;

    /// <summary>256 bytes, or the tokens of the tokenizer, or the letters of DNA.</summary>
    public override int VocabSize => Tokenizer.VocabSize;

    /// <inheritdoc/>
    public override string ByteName => Tokenizer is AlphabetTokenizer ? "base" : "byte";

    /// <summary>All positions: each token foretells the next.</summary>
    public override int Answers => int.MaxValue;

    /// <summary>1.</summary>
    public override int MinLength => 1;

    /// <summary>The padded vocabulary, as the reference's softmax.</summary>
    /// <param name="config">The model's.</param>
    public override int Classes(MambaConfig config) => config.PaddedVocabSize;

    /// <inheritdoc/>
    public override bool CarriesState => carried || context is not null;

    /// <summary>Opens the text; of a tokenizer, encodes it.</summary>
    /// <exception cref="MambaException">It cannot be read, or has fewer than two tokens to train on.</exception>
    public override void Prepare()
    {
        if (training is not null)
            return;
        tokens = open();
        long held = tokens.Count / HeldOut;
        if (tokens.Count - held < 2)
            throw new MambaException($"{source}: there {(tokens.Count == 1 ? "is 1 token" : "are no tokens")} in it; expected a text of two or more.");
        training = tokens.Slice(0, tokens.Count - held);
        heldOut = tokens.Slice(tokens.Count - held, held);
    }

    /// <summary>Windows of this step, or the next piece of each stretch; shorter than asked for where the text is.</summary>
    /// <param name="seed">Another seed, another order.</param>
    /// <param name="step">From 0.</param>
    /// <param name="stage">Its length and number of sequences.</param>
    public override Batch BatchOf(ulong seed, long step, Stage stage)
    {
        Prepare();
        long inputs = training!.Count - 1;          // the last token is only a target
        int b = stage.Batch;
        if (carried)
        {
            // a stretch has at least one input and its target; sequences more than there are such stretches read the same ones
            long stretches = Math.Min(b, inputs), stretch = inputs / stretches;
            int most = (int)Math.Min(stage.Length, stretch);
            long parts = stretch / most, part = step % parts;
            return Read(b, most, row => row % stretches * stretch + part * most) with { Begins = part == 0 };
        }
        // one step reads a whole window, or the next piece of it
        int length = (int)Math.Min(context ?? stage.Length, inputs), l = Math.Min(stage.Length, length), pieces = length / l, piece = (int)(step % pieces);
        long offsets = Math.Min(length, inputs - length + 1), windows = (inputs - (offsets - 1)) / length;
        Batch read = Read(b, l, row =>
        {
            long sequence = step / pieces * b + row, epoch = sequence / windows;
            return Place(seed, epoch, sequence % windows, windows) * length + Offset(seed, epoch, offsets) + (long)piece * l;
        });
        return read with { Begins = piece == 0 };
    }

    Batch Read(int b, int l, Func<int, long> start)
    {
        int[] read = new int[l + 1], inputs = new int[b * l], targets = new int[b * l];
        for (int row = 0; row < b; row++)
        {
            training!.Read(start(row), read);
            read.AsSpan(0, l).CopyTo(inputs.AsSpan(row * l));
            read.AsSpan(1, l).CopyTo(targets.AsSpan(row * l));
        }
        return new Batch(inputs, targets, b, l);
    }

    // The order of an epoch is i → (a·i + c) mod windows with a prime to windows: each window once, and nothing to be kept.
    static long Place(ulong seed, long epoch, long i, long windows)
    {
        PhiloxRandom random = Random(seed, epoch, 0);
        long factor, shift = Below(random, windows);
        do
            factor = Below(random, windows);
        while (GreatestCommonDivisor(factor, windows) != 1);
        return (long)(((UInt128)factor * (ulong)i + (ulong)shift) % (ulong)windows);
    }

    static long Offset(ulong seed, long epoch, long offsets) => Below(Random(seed, epoch, 1), offsets);

    static PhiloxRandom Random(ulong seed, long epoch, ulong what) => new(seed, 3UL << 60 | what << 59 | (ulong)epoch);

    static long Below(PhiloxRandom random, long bound) => (long)(((UInt128)((ulong)random.NextUInt32() << 32 | random.NextUInt32()) * (ulong)bound) >> 64);

    static long GreatestCommonDivisor(long a, long b)
    {
        while (b != 0)
            (a, b) = (b, a % b);
        return a;
    }

    /// <summary>The mean of −log p over the last tenth of the text; null if that is less than two tokens.</summary>
    /// <param name="model">The model in training.</param>
    /// <param name="window">Tokens it reads before it forgets, unless the data have a context; null: the state is carried from the first to the last.</param>
    /// <param name="stop">Ends the work with an <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="MambaException">The model's logits are not numbers.</exception>
    public override Perplexity? Validate(MambaLM model, int? window, CancellationToken stop = default)
    {
        Prepare();
        return heldOut!.Count < 2 ? null : Perplexity.Measure(model, heldOut, window is null ? null : context ?? window, stop: stop);
    }

    static string[] Files(string path)
    {
        if (!Directory.Exists(path))
        {
            InputFile.ExpectFile(path);
            return [path];
        }
        string[] files = InputFile.Reading<string[]>(path, () =>
        [
            .. Directory.EnumerateFiles(path, "*", SearchOption.AllDirectories)
                .Where(file => !Path.GetRelativePath(path, file).Split(Path.DirectorySeparatorChar).Any(part => part.StartsWith('.')))
                .Order(StringComparer.Ordinal),
        ]);
        return files.Length > 0 ? files : throw new MambaException($"{path}: there is no file in this folder; expected text to train on.");
    }

    /// <summary>Closes the text.</summary>
    public void Dispose() => tokens?.Dispose();
}
