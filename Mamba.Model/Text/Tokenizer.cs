using System.Buffers;
using System.Text;

namespace Mamba;

/// <summary>
/// From text to the ids of tokens, and back. A token is a string of bytes, often not one of characters: a <see cref="TextDecoder"/> turns them into
/// text as they come.
/// </summary>
public abstract class Tokenizer
{
    /// <summary>One more than the largest id.</summary>
    public abstract int VocabSize { get; }

    /// <summary>The token that begins a text; null if there is none.</summary>
    public virtual int? BeginOfText => null;

    /// <summary>Whether what a model reads is to begin with <see cref="BeginOfText"/>. <see cref="Encode"/> leaves that to its caller.</summary>
    public virtual bool AddsBeginOfText => false;

    /// <summary>The token that ends a text; null if there is none.</summary>
    public virtual int? EndOfText => null;

    /// <summary>The ids of a text. Half a surrogate pair is read as U+FFFD.</summary>
    /// <param name="text">Any text, of any length.</param>
    /// <exception cref="MambaException">The vocabulary lacks a byte that is in it.</exception>
    public abstract int[] Encode(string text);

    /// <summary>The ids of what a model is to go on from: with the token that begins a text, where that is usual or there is nothing else.</summary>
    /// <param name="text">Any text.</param>
    /// <param name="goesOn">Whether the model has read something before it: then nothing begins here.</param>
    internal int[] EncodePrompt(string text, bool goesOn)
    {
        int[] ids = Encode(text);
        return !goesOn && BeginOfText is { } begin && (ids.Length == 0 || AddsBeginOfText) ? [begin, .. ids] : ids;
    }

    /// <summary>The bytes that a token stands for; none where an id is that of no token.</summary>
    /// <param name="id">0 or more; beyond <see cref="VocabSize"/> there are no tokens, but a model may have been padded that far.</param>
    public abstract ReadOnlyMemory<byte> Bytes(int id);

    /// <summary>The text of some tokens, bytes that are no UTF-8 becoming U+FFFD.</summary>
    /// <param name="ids">As of <see cref="Encode"/>, or a model's.</param>
    public string Decode(IEnumerable<int> ids)
    {
        var bytes = new ArrayBufferWriter<byte>();
        foreach (int id in ids)
            bytes.Write(Bytes(id).Span);
        return Encoding.UTF8.GetString(bytes.WrittenSpan);
    }

    /// <summary>
    /// The tokenizer of a model: <c>tokenizer.json</c> in its folder, the vocabulary inside a .gguf file; bytes where a model of 256 tokens has none.
    /// </summary>
    /// <param name="modelPath">A model's folder, or a file.</param>
    /// <exception cref="MambaException">It has none, or a broken one, or one of more tokens than the model knows.</exception>
    public static Tokenizer Of(string modelPath)
    {
        MambaConfig config = ModelFolder.ReadConfig(modelPath);
        Tokenizer? own = Vocabulary(modelPath) is { } vocabulary ? new BpeTokenizer(vocabulary)
            : config.VocabSize == ByteTokenizer.Count ? new ByteTokenizer() : null;
        if (own is null)
            throw new MambaException($"{modelPath}: the model has no tokenizer, and its vocabulary of {config.VocabSize} is not one of bytes; "
                + "give token ids with --ids, or a tokenizer.json with --tokenizer.");
        own.ExpectFits(config, modelPath);
        return own;
    }

    /// <summary>A tokenizer by itself.</summary>
    /// <param name="path">A tokenizer.json, a model's folder or .gguf file, or one of the words <c>bytes</c> and <c>dna</c>.</param>
    /// <exception cref="MambaException">There is none, or a broken one.</exception>
    public static Tokenizer Open(string path)
    {
        if (path == ByteTokenizer.Name && !Path.Exists(path))
            return new ByteTokenizer();
        if (path == Alphabet.Dna.Name && !Path.Exists(path))
            return new AlphabetTokenizer(Alphabet.Dna);
        if (Directory.Exists(path) || IsGguf(path))
            return Vocabulary(path) is { } own ? new BpeTokenizer(own) : Of(path);
        return new BpeTokenizer(TokenizerJson.Read(path));
    }

    /// <summary>Throws one clear line if a model does not know all tokens.</summary>
    /// <param name="config">The model's sizes.</param>
    /// <param name="model">What the line calls it.</param>
    /// <exception cref="MambaException">There are more tokens than the model's vocabulary, padding included, has.</exception>
    public void ExpectFits(MambaConfig config, string model)
    {
        if (VocabSize > config.PaddedVocabSize)
            throw new MambaException($"{model}: the tokenizer has ids up to {VocabSize - 1}; the model knows 0 to {config.PaddedVocabSize - 1}.");
    }

    // What a model's folder, that of a file of weights, or a GGUF file holds; null if nothing.
    static BpeVocabulary? Vocabulary(string path)
    {
        if (IsGguf(path))
        {
            using GgufFile file = GgufFile.Open(path);
            return file.Vocabulary;
        }
        string json = Path.Combine(File.Exists(path) ? Path.GetDirectoryName(path)! : path, TokenizerJson.FileName);
        return File.Exists(json) ? TokenizerJson.Read(json) : null;
    }

    static bool IsGguf(string path) => File.Exists(path) && GgufFile.IsGguf(path);
}
