using System.Text;

namespace Mamba;

/// <summary>
/// Tokens into text as they come. A character whose bytes are spread over several tokens appears with the last of them, never half; bytes that are no
/// UTF-8 become U+FFFD, once it is certain that they are none.
/// </summary>
/// <param name="tokenizer">Whose tokens they are.</param>
public sealed class TextDecoder(Tokenizer tokenizer)
{
    readonly Decoder decoder = Encoding.UTF8.GetDecoder();

    /// <summary>What another token adds to the text: nothing while a character is not whole.</summary>
    /// <param name="id">Its id.</param>
    public string Add(int id) => Convert(tokenizer.Bytes(id).Span, flush: false);

    /// <summary>What is left at the end: U+FFFD for a character that never became whole. The decoder can then be used again.</summary>
    public string Finish() => Convert([], flush: true);

    string Convert(ReadOnlySpan<byte> bytes, bool flush)
    {
        char[] text = new char[decoder.GetCharCount(bytes, flush)];
        return new string(text, 0, decoder.GetChars(bytes, text, flush));
    }
}
