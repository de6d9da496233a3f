using System.Runtime.InteropServices;
using System.Text;

namespace Mamba;

/// <summary>
/// Byte-level byte pair encoding, as of GPT-2 and GPT-NeoX: added tokens are found first; the text between them is cut into words by a regular expression;
/// the bytes of a word are joined pair by pair, those that come first in a list first. Sennrich et al. 2016 (arXiv 1508.07909); Radford et al. 2019.
/// </summary>
public sealed class BpeTokenizer : Tokenizer
{
    const int LongestKept = 64, MostKept = 1 << 16;     // words whose ids are remembered

    readonly BpeVocabulary vocabulary;
    readonly byte[][] bytes;
    readonly int[] ofByte = new int[256];
    readonly Dictionary<(int Left, int Right), (int Rank, int Id)> merges;
    readonly Dictionary<string, int> byToken = new(StringComparer.Ordinal);
    readonly AddedTokens raw, normalized;
    readonly WordPattern[] patterns, patternsOfBytes;
    readonly Dictionary<string, int[]> known = new(StringComparer.Ordinal);
    readonly Lock gate = new();

    internal BpeTokenizer(BpeVocabulary vocabulary)
    {
        this.vocabulary = vocabulary;
        bytes = new byte[vocabulary.Tokens.Count][];
        for (int id = 0; id < bytes.Length; id++)
        {
            string? token = vocabulary.Tokens[id];
            bool isAdded = vocabulary.Added.TryGetValue(id, out BpeVocabulary.AddedToken added);
            bytes[id] = isAdded ? Encoding.UTF8.GetBytes(added.Content) : token is null ? [] : BytesOf(token);
            if (token is not null)
                byToken.TryAdd(token, id);
        }
        for (int i = 0; i < ofByte.Length; i++)
            ofByte[i] = byToken.GetValueOrDefault(ByteAlphabet.Letter((byte)i).ToString(), -1);
        merges = new Dictionary<(int, int), (int, int)>(vocabulary.Merges.Count);
        for (int rank = 0; rank < vocabulary.Merges.Count; rank++)
        {
            (string left, string right) = vocabulary.Merges[rank];
            merges.TryAdd((IdOf(left), IdOf(right)), (rank, IdOf(left + right)));
        }
        raw = new AddedTokens(vocabulary.Added.Where(pair => !pair.Value.IsNormalized).Select(pair => (pair.Value.Content, pair.Key)));
        normalized = new AddedTokens(vocabulary.Added.Where(pair => pair.Value.IsNormalized).Select(pair => (Normal(pair.Value.Content), pair.Key)));
        patterns = [.. vocabulary.FurtherPatterns.Prepend(vocabulary.Pattern ?? WordPattern.Gpt2).Select(Compiled)];
        patternsOfBytes = [.. vocabulary.PatternsOfBytes.Select(Compiled)];

        int IdOf(string token) => byToken.TryGetValue(token, out int id)
            ? id
            : throw new MambaException($"tokenizer: a merge needs the token {Safetensors.Quote(token)}, which is not in the vocabulary.");
    }

    /// <summary>Reads a <c>tokenizer.json</c>.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="MambaException">It is broken, or of a tokenizer of another kind.</exception>
    public static BpeTokenizer Read(string path) => new(TokenizerJson.Read(path));

    /// <inheritdoc/>
    public override int VocabSize => bytes.Length;

    /// <inheritdoc/>
    public override int? BeginOfText => vocabulary.BeginOfText;

    /// <inheritdoc/>
    public override bool AddsBeginOfText => vocabulary.AddsBeginOfText && vocabulary.BeginOfText is not null;

    /// <inheritdoc/>
    public override int? EndOfText => vocabulary.EndOfText;

    /// <summary>The texts of the added tokens: none of them may be cut in two by who encodes a text in pieces.</summary>
    internal IEnumerable<string> Added => vocabulary.Added.Values.Select(token => token.Content);

    /// <inheritdoc/>
    public override ReadOnlyMemory<byte> Bytes(int id) => (uint)id < (uint)bytes.Length ? bytes[id] : default;

    /// <inheritdoc/>
    public override int[] Encode(string text)
    {
        if (text.AsSpan().IndexOfAnyInRange('\uD800', '\uDFFF') >= 0)
            text = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));       // halves of surrogate pairs become U+FFFD
        var ids = new List<int>(text.Length / 3 + 1);
        raw.Cut(text, ids.Add, part => normalized.Cut(Normal(part), ids.Add, rest => EncodePart(rest, ids)));
        return [.. ids];
    }

    string Normal(string text) => vocabulary.IsNfc ? Nfc.Normalize(text) : text;

    void EncodePart(string text, List<int> ids)
    {
        if (vocabulary.AddsPrefixSpace && text[0] != ' ')
            text = " " + text;
        CutBy(patterns, text, word =>
        {
            if (word.Length > LongestKept)
            {
                ids.AddRange(EncodeWord(word));
                return;
            }
            int[]? found;
            lock (gate)
                known.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(word, out found);
            if (found is null)
            {
                found = EncodeWord(word);
                lock (gate)
                    if (known.Count < MostKept)
                        known.TryAdd(word.ToString(), found);
            }
            ids.AddRange(found);
        });
    }

    static void CutBy(ReadOnlySpan<WordPattern> patterns, ReadOnlySpan<char> text, Action<ReadOnlySpan<char>> word)
    {
        if (patterns.IsEmpty)
        {
            word(text);
            return;
        }
        WordPattern[] rest = [.. patterns[1..]];
        patterns[0].Cut(text, rest.Length == 0 ? word : part => CutBy(rest, part, word));
    }

    int[] EncodeWord(ReadOnlySpan<char> word)
    {
        byte[] utf8 = new byte[Encoding.UTF8.GetByteCount(word)];
        Encoding.UTF8.GetBytes(word, utf8);
        if (patternsOfBytes.Length == 0 && !vocabulary.IgnoresMerges)
            return Merge(utf8);
        var ids = new List<int>();
        CutBy(patternsOfBytes, ByteAlphabet.Write(utf8), part =>
        {
            if (vocabulary.IgnoresMerges && byToken.TryGetValue(part.ToString(), out int whole))
                ids.Add(whole);
            else
                ids.AddRange(Merge(BytesOf(part.ToString())));
        });
        return [.. ids];
    }

    // The pair of the lowest rank, the leftmost of equals, until none is left: n log n of them, for a word may be the whole text.
    int[] Merge(ReadOnlySpan<byte> word)
    {
        int[] ids = new int[word.Length], next = new int[word.Length], previous = new int[word.Length];
        for (int i = 0; i < ids.Length; i++)
        {
            ids[i] = ofByte[word[i]];
            if (ids[i] < 0)
                throw new MambaException($"tokenizer: the text has the byte 0x{word[i]:X2}, for which the vocabulary has no token.");
            (next[i], previous[i]) = (i + 1, i - 1);
        }
        var pairs = new PriorityQueue<(int At, int Left, int Right), (int Rank, int At)>();
        for (int i = 0; i + 1 < ids.Length; i++)
            Offer(i);
        while (pairs.TryDequeue(out (int At, int Left, int Right) pair, out _))
        {
            int at = pair.At, right = next[at];
            if (ids[at] != pair.Left || right >= ids.Length || ids[right] != pair.Right)
                continue;                               // one of them has been joined with another since
            ids[at] = merges[(pair.Left, pair.Right)].Id;
            ids[right] = -1;
            next[at] = next[right];
            if (next[at] < ids.Length)
                previous[next[at]] = at;
            Offer(at);
            if (previous[at] >= 0)
                Offer(previous[at]);
        }
        return [.. ids.Where(id => id >= 0)];

        void Offer(int at)
        {
            if (next[at] < ids.Length && merges.TryGetValue((ids[at], ids[next[at]]), out (int Rank, int Id) merge))
                pairs.Enqueue((at, ids[at], ids[next[at]]), (merge.Rank, at));
        }
    }

    // A token that is not written in the alphabet stands for itself.
    static byte[] BytesOf(string token)
    {
        byte[] all = new byte[token.Length];
        for (int i = 0; i < token.Length; i++)
        {
            if (ByteAlphabet.Byte(token[i]) is not { } value)
                return Encoding.UTF8.GetBytes(token);
            all[i] = value;
        }
        return all;
    }

    static WordPattern Compiled(string pattern)
    {
        try
        {
            return new WordPattern(pattern);
        }
        catch (ArgumentException e)
        {
            throw new MambaException($"tokenizer: {Safetensors.Quote(pattern)} is no regular expression that can be used here: {InputFile.Sentence(e)}", e);
        }
    }
}
