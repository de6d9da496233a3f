namespace Mamba;

/// <summary>Lets text through that cannot become a stop string any more, and finds the first one.</summary>
internal sealed class StopStrings(IReadOnlyList<string> stops)
{
    string held = "";

    /// <summary>More text.</summary>
    /// <param name="text">What comes.</param>
    /// <param name="atEnd">Nothing follows.</param>
    /// <returns>What can be shown, and whether a stop string came behind it.</returns>
    public (string Text, bool Stopped) Add(string text, bool atEnd)
    {
        held += text;
        int first = -1;
        foreach (string stop in stops)
            if (held.IndexOf(stop, StringComparison.Ordinal) is >= 0 and int at && (first < 0 || at < first))
                first = at;
        if (first >= 0)
            return (held[..first], true);
        int kept = atEnd ? 0 : stops.Select(stop => Overlap(held, stop)).DefaultIfEmpty(0).Max();
        string shown = held[..^kept];
        held = held[^kept..];
        return (shown, false);
    }

    // The longest end of the text that a stop string begins with.
    static int Overlap(string text, string stop)
    {
        for (int length = Math.Min(text.Length, stop.Length - 1); length > 0; length--)
            if (text.AsSpan(text.Length - length).SequenceEqual(stop.AsSpan(0, length)))
                return length;
        return 0;
    }
}
