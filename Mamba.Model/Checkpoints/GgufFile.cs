using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Mamba;

/// <summary>
/// A GGUF file, version 3, of llama.cpp's architecture <c>mamba</c>: what the model's dimensions are, its tokenizer, and its tensors under state-spaces'
/// names. The header is checked in full: nothing is allocated that the length of the file does not vouch for, and no two tensors share a byte.
/// <see href="https://github.com/ggml-org/ggml/blob/master/docs/gguf.md"/>
/// </summary>
internal sealed class GgufFile : ITensorFile
{
    public const string Magic = "GGUF", Architecture = "mamba";

    /// <summary>Of types, in the order of ggml's numbers, those that can be read.</summary>
    public static readonly (uint Number, string Type)[] Types = [(0, "F32"), (1, "F16"), (8, ElementType.Q8), (28, "F64"), (30, "BF16")];

    static readonly Dictionary<uint, string> OtherTypes = new()
    {
        [2] = "Q4_0",
        [3] = "Q4_1",
        [6] = "Q5_0",
        [7] = "Q5_1",
        [9] = "Q8_1",
        [10] = "Q2_K",
        [11] = "Q3_K",
        [12] = "Q4_K",
        [13] = "Q5_K",
        [14] = "Q6_K",
        [15] = "Q8_K",
        [16] = "IQ2_XXS",
        [20] = "IQ4_NL",
        [23] = "IQ4_XS",
        [24] = "I8",
        [26] = "I32",
    };

    /// <summary>llama.cpp's names for tokenizers whose words are GPT-2's; the first is that of GPT-NeoX's.</summary>
    public static readonly string[] Gpt2Words = ["olmo", "gpt-2", "mpt", "phi-2", "jais"];

    const int LongestText = 1 << 24, MostAxes = 4, Version = 3, DefaultAlignment = 32;

    readonly RandomFile file;
    readonly Dictionary<string, object> values = new(StringComparer.Ordinal);
    readonly byte[] buffer = new byte[1 << 16];
    int bufferAt, bufferEnd;
    long position;

    sealed class Part(RandomFile file, string name, string type, Shape shape, long start) : StoredTensor(file.Path, name, type, shape)
    {
        public override void ReadBytes(long first, Span<byte> target) => file.Read(start + first, target);
    }

    GgufFile(RandomFile file)
    {
        this.file = file;
        if (file.Length < 24 || Encoding.ASCII.GetString(Take(4)) != Magic)
            throw Bad("it does not begin with GGUF and the counts of what is in it");
        if (U32() is var version && version != Version)
            throw Bad($"it is GGUF of version {version}; expected {Version}");
        ulong tensors = U64(), pairs = U64();
        if (tensors > (ulong)file.Length / 32 || pairs > (ulong)file.Length / 13)
            throw Bad($"it would have {tensors} tensors and {pairs} values; its {file.Length} bytes have no room for them");
        for (ulong i = 0; i < pairs; i++)
            ReadPair();
        if (Find<string>("general.architecture") is var architecture && architecture != Architecture)
            throw Bad($"its architecture is {Safetensors.Quote(architecture ?? "")}; only '{Architecture}', Mamba-1, is implemented");
        if (Find<long>("split.count") > 1)
            throw Bad("it is one of several parts; expected a file that is whole");
        StoredTensor[] raw = ReadTensors(tensors);
        Tensors = [.. raw.Select(Official)];
    }

    public string Path => file.Path;

    public IReadOnlyList<StoredTensor> Tensors { get; }

    /// <exception cref="MambaException">The file is missing, truncated, not what it claims to be, or of another architecture.</exception>
    public static GgufFile Open(string path)
    {
        var opened = new RandomFile(path, _ => { });
        try
        {
            return new GgufFile(opened);
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    /// <summary>Whether a file begins as one.</summary>
    public static bool IsGguf(string path) => System.IO.Path.GetExtension(path).Equals(".gguf", StringComparison.OrdinalIgnoreCase)
        || RandomFile.Has(path, "GGUF"u8);

    // ---- what it says of the model ---------------------------------------------------------------

    /// <summary>The model's dimensions. A vocabulary has no padding here: it is all rows of the embedding.</summary>
    public MambaConfig ReadConfig()
    {
        int width = Size("embedding_length"), inner = Size("ssm.inner_size");
        if (inner % width != 0)
            throw Bad($"{Architecture}.ssm.inner_size is {inner}; expected a multiple of {Architecture}.embedding_length, {width}");
        StoredTensor? embedding = Tensors.FirstOrDefault(tensor => tensor.Name == "backbone.embedding.weight");
        if (embedding is null || embedding.Shape.Rank != 2 || embedding.Shape[0] > int.MaxValue)
            throw Bad("there is no matrix 'token_embd.weight' in it");
        double epsilon = Number("attention.layer_norm_rms_epsilon") ?? throw Missing("attention.layer_norm_rms_epsilon");
        var config = new MambaConfig
        {
            DModel = width,
            NLayer = Size("block_count"),
            VocabSize = (int)embedding.Shape[0],
            PadVocabSizeMultiple = 1,
            NormEpsilon = epsilon,
            TieEmbeddings = !Tensors.Any(tensor => tensor.Name == "lm_head.weight"),
            SsmCfg = new SsmConfig
            {
                DState = Size("ssm.state_size"),
                DConv = Size("ssm.conv_kernel"),
                Expand = inner / width,
                DtRank = Size("ssm.time_step_rank"),
                Bias = Tensors.Any(tensor => tensor.Name == "backbone.layers.0.mixer.in_proj.bias"),
                ConvBias = Tensors.Any(tensor => tensor.Name == "backbone.layers.0.mixer.conv1d.bias"),
                // llama.cpp has one epsilon for all norms
                MixerRmsEps = Find<bool>($"{Architecture}.ssm.dt_b_c_rms") ? Number(GgufWriter.MixerEpsilon) ?? epsilon : null,
            },
        };
        try
        {
            config.Validate();
        }
        catch (MambaException e)
        {
            throw new MambaException($"{Path}: {e.Message}", e);
        }
        return config;
    }

    /// <summary>The tokenizer in it; null where <c>tokenizer.ggml.model</c> is none.</summary>
    /// <exception cref="MambaException">It is of a kind that is not known here, or makes no sense.</exception>
    public BpeVocabulary? Vocabulary
    {
        get
        {
            string? model = Find<string>("tokenizer.ggml.model");
            if (model is null or "none" or "no_vocab")
                return null;
            if (model != "gpt2")
                throw Bad($"its tokenizer is {Safetensors.Quote(model)}; only 'gpt2', byte-level BPE, is implemented");
            string? pre = Find<string>("tokenizer.ggml.pre");
            if (pre is not null && !Gpt2Words.Contains(pre, StringComparer.Ordinal))
                throw Bad($"its tokenizer cuts words as {Safetensors.Quote(pre)} does; implemented are GPT-2's words: {string.Join(", ", Gpt2Words)}");
            string[] tokens = Find<string[]>("tokenizer.ggml.tokens") ?? throw Bad("tokenizer.ggml.tokens is missing");
            string[] merges = Find<string[]>("tokenizer.ggml.merges") ?? throw Bad("tokenizer.ggml.merges is missing");
            long[] types = Find<long[]>("tokenizer.ggml.token_type") ?? [];
            if (types.Length != 0 && types.Length != tokens.Length)
                throw Bad($"tokenizer.ggml.token_type has {types.Length} elements; there are {tokens.Length} tokens");
            var added = new Dictionary<int, BpeVocabulary.AddedToken>();
            for (int i = 0; i < types.Length; i++)
                if (types[i] is GgufWriter.Control or GgufWriter.UserDefined)
                    added[i] = new BpeVocabulary.AddedToken(tokens[i], types[i] == GgufWriter.Control);
            return new BpeVocabulary
            {
                Tokens = [.. tokens.Select((token, i) => types.Length > 0 && types[i] == GgufWriter.Unused ? null : token)],
                Merges = [.. merges.Select(Pair)],
                Added = added,
                Pre = pre,
                AddsBeginOfText = Find<bool>("tokenizer.ggml.add_bos_token") && Id("bos_token_id") is not null,
                BeginOfText = Id("bos_token_id"),
                EndOfText = Id("eos_token_id"),
            };

            (string, string) Pair(string merge) => merge.Length > 0 && merge.IndexOf(' ', 1) is > 0 and int space && space < merge.Length - 1
                ? (merge[..space], merge[(space + 1)..])
                : throw Bad($"tokenizer.ggml.merges has {Safetensors.Quote(merge)}; expected two tokens with a space between");

            int? Id(string name) => !values.TryGetValue("tokenizer.ggml." + name, out object? value) ? null
                : value is long id && id >= 0 && id < tokens.Length ? (int)id
                : throw Bad($"tokenizer.ggml.{name} is {value}; there are {tokens.Length} tokens");
        }
    }

    int Size(string name) => values.TryGetValue($"{Architecture}.{name}", out object? value)
        ? value is long size and > 0 and <= int.MaxValue ? (int)size : throw Bad($"{Architecture}.{name} is {value}; expected a whole number from 1")
        : throw Missing(name);

    // As it was meant when it was written in decimals: 1e-5, not the float32 next to it.
    double? Number(string name) => values.TryGetValue($"{Architecture}.{name}", out object? value)
        ? value is double number ? double.Parse(((float)number).ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture)
            : throw Bad($"{Architecture}.{name} is {value}; expected a number")
        : null;

    MambaException Missing(string name) => Bad($"{Architecture}.{name} is missing");

    T? Find<T>(string key) => !values.TryGetValue(key, out object? value) ? default
        : value is T found ? found
        : throw Bad($"{key} is of another kind than expected");

    StoredTensor Official(StoredTensor tensor) => GgufNames.ToOfficial(tensor.Name) switch
    {
        null => tensor,
        string name when name.EndsWith(".A_log", StringComparison.Ordinal) => new MappedTensor(tensor, name, a => a < 0 ? Math.Log(-a)
            : throw Bad($"{tensor.QuotedName} holds {a}; expected numbers below 0")),
        string name when name.EndsWith(".conv1d.weight", StringComparison.Ordinal) && tensor.Shape.Rank == 2 =>
            new RenamedTensor(tensor, name, (tensor.Shape[0], 1, tensor.Shape[1])),
        string name => new RenamedTensor(tensor, name, tensor.Shape),
    };

    // ---- header ----------------------------------------------------------------------------------

    void ReadPair()
    {
        string key = Text();
        object? value = U32() switch
        {
            9 => ReadArray(key),
            uint type => ReadValue(key, type),
        };
        if (value is not null && !values.TryAdd(key, value))
            throw Bad($"{Safetensors.Quote(key)} is in it twice");
    }

    object ReadValue(string key, uint type) => type switch
    {
        0 => (long)Take(1)[0],
        1 => (long)(sbyte)Take(1)[0],
        2 => (long)BinaryPrimitives.ReadUInt16LittleEndian(Take(2)),
        3 => (long)BinaryPrimitives.ReadInt16LittleEndian(Take(2)),
        4 => (long)U32(),
        5 => (long)BinaryPrimitives.ReadInt32LittleEndian(Take(4)),
        6 => (double)BinaryPrimitives.ReadSingleLittleEndian(Take(4)),
        7 => Take(1)[0] != 0,
        8 => Text(),
        10 => U64() is <= long.MaxValue and ulong whole ? (long)whole : throw Bad($"{Safetensors.Quote(key)} is beyond what can be counted"),
        11 => BinaryPrimitives.ReadInt64LittleEndian(Take(8)),
        12 => BinaryPrimitives.ReadDoubleLittleEndian(Take(8)),
        _ => throw Bad($"{Safetensors.Quote(key)} is of type {type}; GGUF has 0 to 12"),
    };

    /// <summary>An array of the tokenizer; others are passed over.</summary>
    object? ReadArray(string key)
    {
        uint type = U32();
        ulong count = U64();
        int size = type switch { 0 or 1 or 7 => 1, 2 or 3 => 2, 4 or 5 or 6 => 4, 8 or 10 or 11 or 12 => 8, _ => 0 };
        if (size == 0)
            throw Bad($"{Safetensors.Quote(key)} is an array of type {type}; numbers, booleans and texts can be read");
        if (count > (ulong)(file.Length - position) / (ulong)size || count > int.MaxValue)
            throw Bad($"{Safetensors.Quote(key)} would have {count} elements; it is truncated, or they are not there");
        bool isWanted = key is "tokenizer.ggml.tokens" or "tokenizer.ggml.merges" or "tokenizer.ggml.token_type";
        if (type == 8)
        {
            var texts = new List<string>();
            for (ulong i = 0; i < count; i++)
            {
                if (isWanted)
                    texts.Add(Text());
                else
                    Skip((long)Math.Min(U64(), long.MaxValue));
            }
            return isWanted ? texts.ToArray() : null;
        }
        if (!isWanted || type is 6 or 7 or 12)
        {
            Skip((long)count * size);
            return isWanted ? throw Bad($"{Safetensors.Quote(key)} is not an array of whole numbers") : null;
        }
        long[] numbers = new long[count];
        for (int i = 0; i < numbers.Length; i++)
            numbers[i] = (long)ReadValue(key, type);
        return numbers;
    }

    StoredTensor[] ReadTensors(ulong count)
    {
        var found = new List<(string Name, string Type, Shape Shape, ulong Offset)>();
        var names = new HashSet<string>(StringComparer.Ordinal);
        for (ulong i = 0; i < count; i++)
        {
            string name = Text();
            if (!names.Add(name))
                throw Bad($"{Safetensors.Quote(name)} is in it twice");
            uint axes = U32();
            if (axes is 0 or > MostAxes)
                throw Bad($"{Safetensors.Quote(name)} has {axes} axes; expected 1 to {MostAxes}");
            long[] extents = new long[axes];
            UInt128 elements = 1;
            for (int axis = (int)axes - 1; axis >= 0; axis--)               // in the file the fastest comes first
            {
                ulong extent = U64();
                elements *= extent;
                if (extent == 0 || elements > (UInt128)file.Length * 8)
                    throw Bad($"an extent of {Safetensors.Quote(name)} is {extent}; its {file.Length} bytes have no such tensor");
                extents[axis] = (long)extent;
            }
            uint number = U32();
            string type = Array.Find(Types, known => known.Number == number).Type ?? throw Bad($"{Safetensors.Quote(name)} is "
                + $"{(OtherTypes.TryGetValue(number, out string? other) ? other : $"of type {number}")}; F32, F16, BF16, F64 and Q8_0 can be read");
            if (extents[^1] % ElementType.BlockElements(type) != 0)
                throw Bad($"the rows of {Safetensors.Quote(name)} have {extents[^1]} elements; {type} needs a multiple of {ElementType.BlockElements(type)}");
            found.Add((name, type, new Shape(extents), U64()));
        }
        long alignment = values.TryGetValue("general.alignment", out object? asked)
            ? asked is long a and >= 8 and <= 1 << 20 && (a & (a - 1)) == 0 ? a : throw Bad($"general.alignment is {asked}; expected a power of 2 from 8")
            : DefaultAlignment;
        long start = Align(position, alignment), end = 0;
        var parts = new Dictionary<string, StoredTensor>(StringComparer.Ordinal);
        foreach ((string name, string type, Shape shape, ulong offset) in found.OrderBy(tensor => tensor.Offset))
        {
            long bytes = ElementType.BytesOf(type, shape.Count);
            if (offset != (ulong)Align(end, alignment))
                throw Bad($"{Safetensors.Quote(name)} begins at byte {offset} of the data; expected {Align(end, alignment)}, behind the one before it");
            end = (long)offset + bytes;
            if (end > file.Length - start)
                throw Bad($"{Safetensors.Quote(name)} ends at byte {end} of the data; there are {Math.Max(file.Length - start, 0)}: the file is truncated");
            parts.Add(name, new Part(file, name, type, shape, start + (long)offset));
        }
        return [.. found.Select(tensor => parts[tensor.Name])];
    }

    static long Align(long place, long alignment) => (place + alignment - 1) / alignment * alignment;

    string Text()
    {
        ulong length = U64();
        if (length > LongestText || (long)length > file.Length - position)
            throw Bad($"a text in its header would be {length} bytes long: it is truncated, or not a GGUF file");
        if ((int)length <= buffer.Length)
            return Encoding.UTF8.GetString(Take((int)length));
        byte[] bytes = new byte[length];
        file.Read(position, bytes);
        Skip((long)length);
        return Encoding.UTF8.GetString(bytes);
    }

    uint U32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    ulong U64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(8));

    void Skip(long count)
    {
        if (count > file.Length - position)
            throw Bad($"it is truncated: its header goes on beyond its {file.Length} bytes");
        position += count;
        (bufferAt, bufferEnd) = (0, 0);
    }

    /// <summary>The next bytes of the header, through a buffer.</summary>
    ReadOnlySpan<byte> Take(int count)
    {
        if (count > file.Length - position)
            throw Bad($"it is truncated: its header goes on beyond its {file.Length} bytes");
        if (bufferEnd - bufferAt < count)
        {
            bufferEnd = (int)Math.Min(buffer.Length, file.Length - position);
            file.Read(position, buffer.AsSpan(0, bufferEnd));
            bufferAt = 0;
        }
        ReadOnlySpan<byte> taken = buffer.AsSpan(bufferAt, count);
        bufferAt += count;
        position += count;
        return taken;
    }

    MambaException Bad(string what) => new($"{file.Path}: {what}.");

    public void Dispose() => file.Dispose();
}
