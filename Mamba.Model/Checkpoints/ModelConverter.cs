namespace Mamba;

/// <summary>Writes a model in another dialect, tensor by tensor and piece by piece: never more than a piece of it is in memory.</summary>
internal static class ModelConverter
{
    /// <summary>The dialects: folders of config.json and model.safetensors, or a file.</summary>
    public const string HuggingFace = "hf", StateSpaces = "state-spaces", Gguf = "gguf";

    const string Embedding = "backbone.embedding.weight", Head = "lm_head.weight";

    static readonly (string Word, string Type)[] Words =
        [("float32", "F32"), ("float16", "F16"), ("bfloat16", "BF16"), ("float64", "F64"), ("q8_0", ElementType.Q8)];

    // llama.cpp's general.file_type
    static readonly Dictionary<string, uint> FileTypes = new(StringComparer.Ordinal) { ["F32"] = 0, ["F16"] = 1, [ElementType.Q8] = 7, ["BF16"] = 32 };

    /// <summary>Converts a model.</summary>
    /// <param name="from">Where it is, in any dialect.</param>
    /// <param name="to">The folder, or the file for GGUF.</param>
    /// <param name="dialect">One of the three.</param>
    /// <param name="dtype">float32, float16, bfloat16, float64, q8_0; null: types are kept.</param>
    /// <returns>What a user should know of the result, one line each.</returns>
    /// <exception cref="MambaException">There is no model, or it cannot be written so.</exception>
    public static IReadOnlyList<string> Convert(string from, string to, string dialect, string? dtype)
    {
        if (dialect is not (HuggingFace or StateSpaces or Gguf))
            throw new MambaException($"convert: --to is {Safetensors.Quote(dialect)}; expected {HuggingFace}, {StateSpaces} or {Gguf}.");
        string? type = dtype is null ? null : Array.Find(Words, word => word.Word == dtype).Type
            ?? throw new MambaException($"convert: --dtype is {Safetensors.Quote(dtype)}; expected {string.Join(", ", Words.Select(word => word.Word))}.");
        if (type == ElementType.Q8 && dialect != Gguf)
            throw new MambaException($"convert: --dtype q8_0 is GGUF's; safetensors has float32, float16, bfloat16 and float64.");
        if (type == "F64" && dialect == Gguf)
            throw new MambaException("convert: --dtype float64: llama.cpp computes with no such tensors; expected float32, float16, bfloat16 or q8_0.");
        MambaConfig config = ModelFolder.ReadConfig(from);
        using WeightFiles file = WeightFiles.Open(ModelFolder.WeightsOf(from));
        IReadOnlyList<(string Name, StoredTensor Tensor)> tensors = Weights.TensorsOf(file, config);
        string beside = Path.Combine(Directory.Exists(from) ? from : Path.GetDirectoryName(Path.GetFullPath(from))!, TokenizerJson.FileName);
        var notes = new List<string>();
        if (dialect == Gguf)
            ToGguf(to, config, tensors, type, VocabularyOf(from, beside, notes), notes);
        else
            ToFolder(from, to, dialect, config, tensors, type, beside, notes);
        return notes;
    }

    // ---- folders ---------------------------------------------------------------------------------

    static void ToFolder(string from, string to, string dialect, MambaConfig config, IReadOnlyList<(string Name, StoredTensor Tensor)> tensors, string? type,
        string tokenizer, List<string> notes)
    {
        if (File.Exists(to))
            throw new MambaException($"{to} is a file; expected the name of a folder, for config.json and model.safetensors.");
        if (Path.GetFullPath(to) == Path.GetFullPath(Directory.Exists(from) ? from : Path.GetDirectoryName(Path.GetFullPath(from))!))
            throw new MambaException($"{to} is where the model is; expected another folder.");
        var writer = new SafetensorsWriter { Metadata = { ["format"] = "pt" } };
        foreach ((string name, StoredTensor tensor) in tensors)
            Add(name == Embedding && dialect == HuggingFace ? "backbone.embeddings.weight" : name, tensor);
        if (config.TieEmbeddings && dialect == StateSpaces)
            Add(Head, tensors.First(pair => pair.Name == Embedding).Tensor);         // their code expects to find it
        string kind = type ?? Kept(tensors.First(pair => pair.Name == Embedding).Tensor);
        string json = dialect == HuggingFace
            ? ConfigWriter.Write(config, Array.Find(Words, word => word.Type == kind).Word)
            : ConfigWriter.WriteOfficial(config);
        if (dialect == StateSpaces && config.Mixer is SsmConfig { MixerRmsEps: not null })
            notes.Add("the norms of Falcon-Mamba are ssm_cfg.mixer_rms_eps, which this program reads and state-spaces' code does not know");
        if (type is null && tensors.Any(pair => pair.Tensor.Type == ElementType.Q8))
            notes.Add("safetensors has no Q8_0: those tensors are float32, which holds their values exactly");
        try
        {
            Directory.CreateDirectory(to);
        }
        catch (Exception e) when (InputFile.IsOfFiles(e))
        {
            throw new MambaException($"{to}: cannot be written: {InputFile.Sentence(e)}", e);
        }
        writer.Save(Path.Combine(to, "model.safetensors"));
        AtomicFile.WriteText(Path.Combine(to, "config.json"), json);
        if (File.Exists(tokenizer))
            AtomicFile.WriteText(Path.Combine(to, TokenizerJson.FileName), InputFile.ReadText(tokenizer));

        void Add(string name, StoredTensor tensor)
        {
            string target = type ?? Kept(tensor);
            writer.Add(name, target, tensor.Shape, stream => Write(stream, tensor, target));
        }

        static string Kept(StoredTensor tensor) => tensor.Type == ElementType.Q8 ? "F32" : tensor.Type;
    }

    // ---- GGUF ------------------------------------------------------------------------------------

    static void ToGguf(string to, MambaConfig config, IReadOnlyList<(string Name, StoredTensor Tensor)> tensors, string? type, BpeVocabulary? vocabulary,
        List<string> notes)
    {
        SsmConfig ssm = ConfigWriter.Expect(config, "llama.cpp's");
        var writer = new GgufWriter();
        string kind = type ?? tensors.First(pair => pair.Name == Embedding).Tensor.Type;
        writer.Add("general.architecture", GgufFile.Architecture);
        if (kind == ElementType.Q8)
            writer.Add("general.quantization_version", 2u);
        writer.Add("general.file_type", FileTypes.GetValueOrDefault(kind));
        void Size(string name, int value) => writer.Add($"{GgufFile.Architecture}.{name}", (uint)value);
        Size("context_length", 1 << 20);            // any: the state does not grow
        Size("embedding_length", config.DModel);
        Size("feed_forward_length", 0);
        Size("attention.head_count", 0);
        Size("block_count", config.NLayer);
        Size("vocab_size", config.PaddedVocabSize);
        Size("ssm.conv_kernel", ssm.DConv);
        Size("ssm.inner_size", config.DInner);
        Size("ssm.state_size", ssm.DState);
        Size("ssm.time_step_rank", config.DtRank);
        writer.Add($"{GgufFile.Architecture}.attention.layer_norm_rms_epsilon", (float)config.NormEpsilon);
        if (ssm.MixerRmsEps is { } epsilon)
        {
            writer.Add($"{GgufFile.Architecture}.ssm.dt_b_c_rms", true);
            writer.Add($"{GgufFile.Architecture}.{GgufWriter.MixerEpsilon}", (float)epsilon);
            if (epsilon != config.NormEpsilon)
                notes.Add($"llama.cpp norms dt, B and C with the epsilon of the other norms, {config.NormEpsilon}; this model has {epsilon}");
        }
        AddVocabulary(writer, vocabulary, config.PaddedVocabSize);

        var shortened = new List<string>();
        foreach ((string name, StoredTensor tensor) in tensors)
        {
            (StoredTensor source, string target) = ForGguf(name, tensor, type);
            if (type == ElementType.Q8 && target == "F16")
                shortened.Add(name);
            writer.Add(GgufNames.FromOfficial(name)!, target, source.Shape, stream => Write(stream, source, target));
        }
        if (!ssm.ConvBias)
            for (int i = 0; i < config.NLayer; i++)
                writer.Add($"blk.{i}.ssm_conv1d.bias", "F32", config.DInner, stream => stream.Write(new byte[config.DInner * sizeof(float)]));
        if (shortened.Count > 0)
            notes.Add($"{shortened.Count} matrices, {shortened[0]} among them, have rows that are no multiple of 32: they are float16, not q8_0");
        if (type is null && tensors.Any(pair => pair.Tensor.Type == "F64"))
            notes.Add("llama.cpp has no float64: those tensors are float32");
        if (!ssm.ConvBias)
            notes.Add("llama.cpp wants a bias of the convolution: it is written as zeros");
        if (config.DInner != 2 * config.DModel)
            notes.Add($"llama.cpp takes d_inner = 2 d_model only, and will refuse this file: d_inner is {config.DInner}, d_model {config.DModel}");
        if (ssm.Bias)
            notes.Add("llama.cpp has no biases of in_proj and out_proj, and will refuse this file: they are ssm_in.bias and ssm_out.bias");
        writer.Save(to);
    }

    /// <summary>A tensor as llama.cpp wants it, and the type: matrices as asked, all else float32.</summary>
    static (StoredTensor Source, string Type) ForGguf(string name, StoredTensor tensor, string? type)
    {
        if (name.EndsWith(".A_log", StringComparison.Ordinal))
            return (new MappedTensor(tensor, name, x => -Math.Exp(x)), "F32");
        if (name.EndsWith(".conv1d.weight", StringComparison.Ordinal))
            return (new RenamedTensor(tensor, name, (tensor.Shape[0], tensor.Shape[2])), "F32");
        if (tensor.Shape.Rank < 2)
            return (tensor, "F32");
        string target = type ?? (tensor.Type == "F64" ? "F32" : tensor.Type);
        return (tensor, target == ElementType.Q8 && tensor.Shape[^1] % ElementType.BlockElements(target) != 0 ? "F16" : target);
    }

    /// <summary>The tokenizer of a GGUF file, or the one beside a model; null if there is none that llama.cpp knows.</summary>
    static BpeVocabulary? VocabularyOf(string from, string tokenizer, List<string> notes)
    {
        if (File.Exists(from) && GgufFile.IsGguf(from))
        {
            using GgufFile file = GgufFile.Open(from);
            return file.Vocabulary;
        }
        if (!File.Exists(tokenizer))
            return null;
        BpeVocabulary vocabulary = TokenizerJson.Read(tokenizer);
        if (vocabulary is { Pattern: null or WordPattern.Gpt2, FurtherPatterns: [], PatternsOfBytes: [], AddsPrefixSpace: false, IgnoresMerges: false })
            return vocabulary;
        notes.Add($"{tokenizer} cuts words otherwise than GPT-2, for which no name of llama.cpp's is known here: the file has no tokenizer");
        return null;
    }

    /// <summary>The tokenizer as llama.cpp's GPT-2 kind; a row of the embedding that no token has gets one that no text gives.</summary>
    internal static void AddVocabulary(GgufWriter writer, BpeVocabulary? vocabulary, int rows)
    {
        const string Key = "tokenizer.ggml.";
        if (vocabulary is null)
        {
            writer.Add(Key + "model", "none");
            return;
        }
        if (vocabulary.Tokens.Count > rows)
            throw new MambaException($"convert: the tokenizer has {vocabulary.Tokens.Count} tokens, the model {rows}; expected at most as many.");
        string?[] tokens = [.. vocabulary.Tokens, .. new string?[rows - vocabulary.Tokens.Count]];
        writer.Add(Key + "model", "gpt2");
        writer.Add(Key + "pre", vocabulary.Pre ?? GgufFile.Gpt2Words[0]);
        writer.Add(Key + "tokens", [.. tokens.Select((token, i) => token ?? $"[PAD{i}]")]);
        writer.Add(Key + "token_type", [.. tokens.Select((token, i) => token is null ? GgufWriter.Unused
            : !vocabulary.Added.TryGetValue(i, out BpeVocabulary.AddedToken added) ? GgufWriter.Normal
            : added.IsSpecial ? GgufWriter.Control : GgufWriter.UserDefined)]);
        writer.Add(Key + "merges", [.. vocabulary.Merges.Select(merge => $"{merge.Left} {merge.Right}")]);
        if (vocabulary.BeginOfText is { } begin)
            writer.Add(Key + "bos_token_id", (uint)begin);
        if (vocabulary.EndOfText is { } end)
            writer.Add(Key + "eos_token_id", (uint)end);
        writer.Add(Key + "add_bos_token", vocabulary.AddsBeginOfText);
    }

    /// <summary>The values of a tensor in a type, piece by piece: byte by byte where it has that type.</summary>
    static void Write(Stream stream, StoredTensor tensor, string type)
    {
        byte[] bytes = new byte[ElementType.BytesOf(type, StoredTensor.Piece)];
        if (tensor.Type == type)
        {
            long length = ElementType.BytesOf(type, tensor.Count);
            for (long done = 0; done < length; done += bytes.Length)
            {
                Span<byte> part = bytes.AsSpan(0, (int)Math.Min(bytes.Length, length - done));
                tensor.ReadBytes(done, part);
                stream.Write(part);
            }
            return;
        }
        double[] values = new double[StoredTensor.Piece];
        for (long done = 0; done < tensor.Count; done += values.Length)
        {
            Span<double> part = values.AsSpan(0, (int)Math.Min(values.Length, tensor.Count - done));
            tensor.Read(done, part);
            Span<byte> encoded = bytes.AsSpan(0, (int)ElementType.BytesOf(type, part.Length));
            if (ElementType.Encode(type, part, encoded) is { } lost)
                throw new MambaException($"{tensor.File}: {tensor.QuotedName} holds {lost}, which {type} cannot hold; expected a wider --dtype.");
            stream.Write(encoded);
        }
    }
}
