using System.Text.RegularExpressions;

namespace Mamba;

/// <summary>Finds given strings in a text: the leftmost, and of those that begin there the longest.</summary>
internal sealed class AddedTokens
{
    readonly Dictionary<string, int> ids = new(StringComparer.Ordinal);
    readonly Regex? regex;

    public AddedTokens(IEnumerable<(string Content, int Id)> tokens)
    {
        foreach ((string content, int id) in tokens)
            if (content.Length > 0)
                ids.TryAdd(content, id);
        if (ids.Count > 0)
        {
            regex = new Regex(string.Join('|', ids.Keys.OrderByDescending(content => content.Length).Select(Regex.Escape)), RegexOptions.CultureInvariant,
                Regex.InfiniteMatchTimeout);        // words and no repetition: nothing to go back and forth over
        }
    }

    /// <summary>Calls one of the two with each token and each part between, none of them empty.</summary>
    public void Cut(string text, Action<int> token, Action<string> part)
    {
        int end = 0;
        if (regex is not null)
        {
            foreach (ValueMatch match in regex.EnumerateMatches(text))
            {
                if (match.Index > end)
                    part(text[end..match.Index]);
                end = match.Index + match.Length;
                token(ids[text[match.Index..end]]);
            }
        }
        if (end < text.Length)
            part(end == 0 ? text : text[end..]);
    }
}
