using System.Diagnostics;

namespace Mamba.Reproductions;

/// <summary>
/// What is printed: lines that stay, and how far the work is, which is one line that changes; where the output goes elsewhere, a line now and then.
/// </summary>
internal class Screen
{
    static readonly TimeSpan Live = TimeSpan.FromMilliseconds(100), Plain = TimeSpan.FromSeconds(5);

    readonly bool live = !Console.IsOutputRedirected;
    readonly Stopwatch since = Stopwatch.StartNew();
    int shown;

    /// <summary>One line.</summary>
    public virtual void Say(string line)
    {
        Clear();
        Console.WriteLine(line);
    }

    /// <summary>How far the work is.</summary>
    public virtual void Progress(Func<string> line)
    {
        if (since.Elapsed < (live ? Live : Plain))
            return;
        since.Restart();
        if (!live)
        {
            Console.WriteLine($"    {line()}");
            return;
        }
        string text = line();
        text = text[..Math.Min(text.Length, Math.Max(0, Console.WindowWidth - 1))];
        Console.Write($"\r{text.PadRight(shown)}");
        shown = text.Length;
    }

    /// <summary>Takes the line that changes away.</summary>
    public virtual void Clear()
    {
        if (shown > 0)
            Console.Write($"\r{new string(' ', shown)}\r");
        shown = 0;
    }
}
