using System.Text;

namespace Mamba;

/// <summary>Letters and the tokens that stand for them: of DNA, of proteins, or any others.</summary>
public sealed class Alphabet
{
    /// <summary>Stands in the table for what is no letter.</summary>
    internal const byte None = 255;

    readonly byte[] tokens = new byte[256];     // of each character
    readonly string letters;                    // of each token

    Alphabet(string name, string letters, int? unknown)
    {
        (Name, this.letters, Unknown) = (name, letters, unknown);
        Array.Fill(tokens, None);
        for (int token = 0; token < letters.Length; token++)
            tokens[letters[token]] = (byte)token;
    }

    /// <summary>
    /// A, C, G, T are 0 to 3, N is 4. Lower case is read as upper case, U (of RNA) as T, and the other codes of IUPAC for one of several
    /// bases (R, Y, K, M, S, W, B, D, H, V) as N: Cornish-Bowden 1985, Nucleic Acids Research 13(9).
    /// </summary>
    public static Alphabet Dna { get; } = MakeDna();

    /// <summary>Its name in messages: <c>dna</c>, or the letters.</summary>
    public string Name { get; }

    /// <summary>How many tokens there are.</summary>
    public int Count => letters.Length;

    /// <summary>The token that says "one of the others, it is not known which" and stands between two sequences; null where there is none.</summary>
    public int? Unknown { get; }

    static Alphabet MakeDna()
    {
        var dna = new Alphabet("dna", "ACGTN", unknown: 4);
        dna.tokens['U'] = dna.tokens['T'];
        foreach (char code in "RYKMSWBDHV")
            dna.tokens[code] = dna.tokens['N'];
        for (char upper = 'A'; upper <= 'Z'; upper++)
            dna.tokens[char.ToLowerInvariant(upper)] = dna.tokens[upper];
        return dna;
    }

    /// <summary>An alphabet of its own: the first letter is token 0. Upper and lower case are two letters.</summary>
    /// <param name="letters">1 to 95 printable ASCII characters, each once.</param>
    /// <param name="unknown">The letter among them that stands for an unknown one; null: there is none.</param>
    /// <exception cref="MambaException">There is no letter, one comes twice, or one is not printable ASCII.</exception>
    public static Alphabet OfLetters(string letters, char? unknown = null)
    {
        if (letters.Length == 0)
            throw new MambaException("Alphabet: there is no letter; expected one or more.");
        for (int i = 0; i < letters.Length; i++)
        {
            if (letters[i] is < ' ' or > '~')
                throw new MambaException($"Alphabet: letter {i + 1} is {Quoted(letters[i])}; expected printable ASCII.");
            if (letters.IndexOf(letters[i], StringComparison.Ordinal) < i)
                throw new MambaException($"Alphabet: {Quoted(letters[i])} comes twice; expected each letter once.");
        }
        if (unknown is { } letter && !letters.Contains(letter, StringComparison.Ordinal))
            throw new MambaException($"Alphabet: the unknown letter is {Quoted(letter)}; expected one of the letters {letters}.");
        return new Alphabet(letters, letters, unknown is { } known ? letters.IndexOf(known, StringComparison.Ordinal) : null);
    }

    /// <summary>The token of a letter; −1 if it is no letter of this alphabet.</summary>
    /// <param name="letter">Any character.</param>
    public int TokenOf(char letter) => letter < tokens.Length && tokens[letter] is not None and byte token ? token : -1;

    /// <summary>The letter of a token.</summary>
    /// <param name="token">0 to <see cref="Count"/> − 1.</param>
    /// <exception cref="MambaException">There is no such token.</exception>
    public char LetterOf(int token) => token >= 0 && token < letters.Length
        ? letters[token]
        : throw new MambaException($"Alphabet: token {token} was asked for; {Name} has 0 to {Count - 1}.");

    /// <summary>The tokens of letters.</summary>
    /// <param name="text">Letters only.</param>
    /// <exception cref="MambaException">One is no letter of this alphabet: which, and its place from 1.</exception>
    public byte[] Encode(ReadOnlySpan<char> text)
    {
        byte[] encoded = new byte[text.Length];
        return TryEncode(text, encoded, out int wrong) ? encoded : throw new MambaException($"Alphabet: letter {wrong + 1}: {Refusal(text[wrong])}");
    }

    /// <summary>The tokens of letters in ASCII.</summary>
    /// <param name="text">Letters only.</param>
    /// <exception cref="MambaException">One is no letter of this alphabet: which, and its place from 1.</exception>
    public byte[] Encode(ReadOnlySpan<byte> text)
    {
        byte[] encoded = new byte[text.Length];
        for (int i = 0; i < text.Length; i++)
            encoded[i] = tokens[text[i]] is not None and byte token ? token : throw new MambaException($"Alphabet: letter {i + 1}: {Refusal(text[i])}");
        return encoded;
    }

    /// <summary>The letters of tokens.</summary>
    /// <param name="tokens">Each 0 to <see cref="Count"/> − 1.</param>
    /// <exception cref="MambaException">One is not.</exception>
    public string Decode(ReadOnlySpan<byte> tokens)
    {
        var text = new StringBuilder(tokens.Length);
        foreach (byte token in tokens)
            text.Append(LetterOf(token));
        return text.ToString();
    }

    /// <summary>The tokens of a field of a table.</summary>
    /// <param name="row">The row.</param>
    /// <param name="column">The column that holds letters.</param>
    /// <exception cref="MambaException">
    /// There is no such column, or something else in it: the file, the line, the column and the place in the field from 1.
    /// </exception>
    public byte[] Encode(CsvRow row, string column)
    {
        string text = row[column];
        byte[] encoded = new byte[text.Length];
        return TryEncode(text, encoded, out int wrong)
            ? encoded
            : throw new MambaException($"{row.Place}, column '{DataFile.Shown(column)}', letter {wrong + 1}: {Refusal(text[wrong])}");
    }

    /// <summary>The token of a byte, <see cref="None"/> if it is no letter.</summary>
    internal byte TokenOfByte(byte letter) => tokens[letter];

    /// <summary>Why a character is refused, as the end of a sentence.</summary>
    internal string Refusal(char letter) => Refusal(Quoted(letter));

    /// <summary>Why a byte is refused, as the end of a sentence.</summary>
    internal string Refusal(byte letter) => Refusal(Quoted(letter));

    string Refusal(string quoted)
    {
        string all = string.Join(", ", letters.ToCharArray());
        return $"{quoted} is no letter of {(Name == letters ? "the alphabet" : Name)} ({all}{(this == Dna ? "; other codes of IUPAC are read as N" : "")}).";
    }

    internal static string Quoted(byte letter) =>
        letter is >= (byte)' ' and <= (byte)'~' ? $"'{(char)letter}'" : FormattableString.Invariant($"the byte 0x{letter:X2}");

    static string Quoted(char letter) => letter is >= ' ' and <= '~' ? $"'{letter}'" : FormattableString.Invariant($"the character U+{(int)letter:X4}");

    bool TryEncode(ReadOnlySpan<char> text, Span<byte> encoded, out int wrong)
    {
        for (int i = 0; i < text.Length; i++)
        {
            int token = TokenOf(text[i]);
            if (token < 0)
            {
                wrong = i;
                return false;
            }
            encoded[i] = (byte)token;
        }
        wrong = -1;
        return true;
    }
}
