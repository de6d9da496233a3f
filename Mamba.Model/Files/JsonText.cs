using System.Text;
using System.Text.Json;

namespace Mamba;

/// <summary>What all readers of JSON have in common.</summary>
internal static class JsonText
{
    /// <summary>A name that is there twice says two things: it is refused.</summary>
    public static JsonDocumentOptions NamesOnce { get; } = new() { AllowDuplicateProperties = false };

    /// <summary>
    /// What .NET throws at a text that is no JSON, or not the JSON that was expected: a missing property, another kind of value, half a surrogate pair.
    /// </summary>
    public static bool IsMalformed(Exception e) => e is JsonException or InvalidOperationException or FormatException or KeyNotFoundException
        or NotSupportedException or OverflowException or ArgumentException;

    /// <summary>
    /// JSON as Python writes it, with bare <c>NaN</c>, <c>Infinity</c> and <c>-Infinity</c>, as JSON: these become strings, which
    /// <see cref="System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals"/> reads.
    /// </summary>
    public static string FromPython(string text)
    {
        string[] words = ["NaN", "Infinity", "-Infinity"];
        if (!words.Any(word => text.Contains(word, StringComparison.Ordinal)))
            return text;
        var json = new StringBuilder(text.Length + 16);
        bool quoted = false;
        for (int i = 0; i < text.Length; i++)
        {
            if (!quoted && words.FirstOrDefault(word => text.AsSpan(i).StartsWith(word, StringComparison.Ordinal)) is { } found)
            {
                json.Append('"').Append(found).Append('"');
                i += found.Length - 1;
                continue;
            }
            json.Append(text[i]);
            if (text[i] == '"')
                quoted = !quoted;
            else if (quoted && text[i] == '\\' && i + 1 < text.Length)
                json.Append(text[++i]);
        }
        return json.ToString();
    }
}
