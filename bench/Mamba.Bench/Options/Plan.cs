namespace Mamba.Bench;

/// <summary>
/// How much is measured: all there is, or in a quick run a part of it with fewer runs, or the sizes a user gave. A row that is measured in a quick
/// run has the name and the limit that it has in a full one.
/// </summary>
internal sealed record Plan
{
    /// <summary>Few sizes, few runs of each, small models.</summary>
    public bool Quick { get; init; }

    /// <summary>The device is a processor behind OpenCL: a kernel takes seconds to compile and a step seconds to run, so a quick run does still less.</summary>
    public bool Slow { get; init; }

    public int? Batch { get; init; }
    public int? Length { get; init; }
    public int? Width { get; init; }
    public int? States { get; init; }

    /// <summary>To spend on a row.</summary>
    public int? Milliseconds { get; init; }

    /// <summary>The extents that were given.</summary>
    public Dimensions Given => (Batch is null ? 0 : Dimensions.Batch) | (Length is null ? 0 : Dimensions.Length)
        | (Width is null ? 0 : Dimensions.Width) | (States is null ? 0 : Dimensions.States);

    /// <summary>Whether one size of the user's takes the place of a part's own.</summary>
    public bool Sized => Given != Dimensions.None;

    /// <summary>Whether it is what a results folder is for: everything, at the sizes of all other runs.</summary>
    public bool Whole => !Quick && !Sized && Milliseconds is null;

    /// <summary><paramref name="usual"/>, with the extents that were given.</summary>
    public Size Of(Size usual) => new(Batch ?? usual.B, Length ?? usual.L, Width ?? usual.D, States ?? usual.N);

    /// <summary>
    /// Of the sizes of a part: one with the extents that were given; or all, or in a quick run those of which <paramref name="quick"/> says so.
    /// </summary>
    public IReadOnlyList<Size> Sizes(string part, IReadOnlyList<Size> all, Func<Size, bool> quick) =>
        Sized ? [Of(Quick ? all.First(quick) : all[0])] : Choose(part, all, size => $"{size}", quick);

    /// <summary>All of a part's things; in a quick run those of which <paramref name="quick"/> says so, and the others are noted.</summary>
    public IReadOnlyList<T> Choose<T>(string part, IReadOnlyList<T> all, Func<T, string> name, Func<T, bool> quick)
    {
        if (!Quick)
            return all;
        string[] others = [.. all.Where(x => !quick(x)).Select(name)];
        if (others.Length > 0)
            LeftOut.Add($"{part}: {others.Length} of {all.Count} ({string.Join("; ", others.Take(2))}{(others.Length > 2 ? "; …" : "")})");
        return [.. all.Where(quick)];
    }

    /// <summary>What a quick run did not measure, a part each.</summary>
    public List<string> LeftOut { get; init; } = [];

    /// <summary>How long a row is measured, where a full run would take so many runs and milliseconds.</summary>
    public (int Repeats, double Least, double Most) Effort(int repeats, double least, double most) =>
        Milliseconds is { } given ? (3, given, given)
        : Quick ? (Math.Min(repeats, 5), Math.Min(least, 20), Math.Min(most, 150))
        : (repeats, least, most);

    /// <exception cref="MambaException">An extent was given that a part has no use for.</exception>
    public void ExpectUse(string part, Dimensions uses)
    {
        if ((Given & ~uses) is not Dimensions.None and var unused)
            throw new MambaException($"{part} has no use for {OptionsOf(unused)}; expected {(uses == Dimensions.None ? "no size" : OptionsOf(uses))}.");
    }

    /// <summary>"--batch, --length".</summary>
    public static string OptionsOf(Dimensions dimensions) => string.Join(", ",
        Enum.GetValues<Dimensions>().Where(d => d != Dimensions.None && dimensions.HasFlag(d)).Select(d => $"--{d}".ToLowerInvariant()));
}
