namespace Mamba.Pictures;

/// <summary>How a page says things.</summary>
internal static class Words
{
    /// <summary>1 token, 1,536 tokens.</summary>
    public static string Count(long count, string what) => $"{count:N0} {what}{(count == 1 ? "" : "s")}";

    /// <summary>No more than <paramref name="most"/> characters of a text; what is cut off is an ellipsis. No character is cut in two.</summary>
    public static string Short(string? text, int most)
    {
        if (text is null || text.Length <= most)
            return text ?? "";
        int end = most - 1;
        return text[..(char.IsHighSurrogate(text[end - 1]) ? end - 1 : end)] + "…";
    }
}
