using System.Text;

namespace Mamba;

/// <summary>Each letter of an <see cref="Alphabet"/> is a token: the bases of DNA.</summary>
/// <param name="alphabet">The letters.</param>
public sealed class AlphabetTokenizer(Alphabet alphabet) : Tokenizer
{
    readonly byte[] letters = [.. Enumerable.Range(0, alphabet.Count).Select(token => checked((byte)alphabet.LetterOf(token)))];

    /// <summary>The letters.</summary>
    public Alphabet Alphabet => alphabet;

    /// <inheritdoc/>
    public override int VocabSize => letters.Length;

    /// <summary>The tokens of the letters; spaces and line feeds are passed over.</summary>
    /// <param name="text">Letters of the alphabet.</param>
    /// <exception cref="MambaException">One is not.</exception>
    public override int[] Encode(string text)
    {
        var tokens = new List<int>(text.Length);
        for (int i = 0; i < text.Length; i++)
            if (!char.IsWhiteSpace(text[i]))
                tokens.Add(alphabet.TokenOf(text[i]) is >= 0 and int token ? token
                    : throw new MambaException($"'{text[i]}', letter {i + 1} of the text, is no letter of {alphabet.Name} "
                        + $"({string.Join(", ", letters.Select(b => (char)b))})."));
        return [.. tokens];
    }

    /// <inheritdoc/>
    public override ReadOnlyMemory<byte> Bytes(int id) => (uint)id < letters.Length ? letters.AsMemory(id, 1) : default;
}
