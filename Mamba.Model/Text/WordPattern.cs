using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Mamba;

/// <summary>
/// Cuts a text into words by a regular expression: its matches are words, and so is what lies between them. .NET's expressions see halves of surrogate
/// pairs, which are no letters, where those of tokenizers see characters; so they are shown a text in which each such character is one of the same
/// category, of one half.
/// </summary>
internal sealed class WordPattern
{
    /// <summary>GPT-2's words.</summary>
    public const string Gpt2 = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    // By UnicodeCategory: characters that no pattern names. A surrogate has no category of its own here.
    internal const string Representatives = "\uA640\uA641\u01C5\uA67F\uA000\uA66F\uA823\uA670\uA620\uA6E6\uA830\u2003\u2028\u2029\u0085\u2060\uD800\uE000"
        + "\uFE4D\uFE31\uFE35\uFE36\u2E02\u2E03\uA673\u29C0\uA838\uA700\uA828\uFFFF";

    static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);       // an expression of a file can take for ever

    readonly Regex regex;

    /// <exception cref="ArgumentException">It is no regular expression of .NET's.</exception>
    public WordPattern(string pattern) => regex = new Regex(pattern, RegexOptions.CultureInvariant, Patience);

    /// <summary>Calls <paramref name="word"/> with each word, in order.</summary>
    /// <param name="text">Without half surrogate pairs.</param>
    /// <param name="word">Given the word.</param>
    /// <exception cref="MambaException">The expression takes too long on this text.</exception>
    public void Cut(ReadOnlySpan<char> text, Action<ReadOnlySpan<char>> word)
    {
        int[]? places = null;
        ReadOnlySpan<char> shown = text;
        if (text.IndexOfAnyInRange('\uD800', '\uDFFF') >= 0)
            shown = Show(text, out places);
        int end = 0;
        try
        {
            foreach (ValueMatch match in regex.EnumerateMatches(shown))
            {
                if (match.Length == 0)
                    continue;
                if (match.Index > end)
                    word(Original(text, end, match.Index));
                end = match.Index + match.Length;
                word(Original(text, match.Index, end));
            }
        }
        catch (RegexMatchTimeoutException e)
        {
            throw new MambaException($"tokenizer: the regular expression '{regex}' takes longer than {Patience.TotalSeconds} s on a text.", e);
        }
        if (end < shown.Length)
            word(Original(text, end, shown.Length));

        ReadOnlySpan<char> Original(ReadOnlySpan<char> all, int from, int to) => places is null ? all[from..to] : all[places[from]..places[to]];
    }

    static ReadOnlySpan<char> Show(ReadOnlySpan<char> text, out int[] places)
    {
        char[] shown = new char[text.Length];
        places = new int[text.Length + 1];
        int count = 0;
        for (int i = 0; i < text.Length; count++)
        {
            Rune.DecodeFromUtf16(text[i..], out Rune rune, out int used);
            shown[count] = rune.IsBmp ? (char)rune.Value : Representatives[(int)Rune.GetUnicodeCategory(rune)];
            places[count] = i;
            i += used;
        }
        places[count] = text.Length;
        return shown.AsSpan(0, count);
    }
}
