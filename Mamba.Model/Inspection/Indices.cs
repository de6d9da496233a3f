using System.Collections;
using System.Globalization;
using System.Runtime.CompilerServices;

namespace Mamba;

/// <summary>
/// Some layers, positions, channels or states, from 0: a number, a range, or several: <c>3</c>, <c>4..8</c> (4 to 7), <c>[0, 2]</c>; as text, <c>0,2,4-7</c>,
/// where both ends count.
/// </summary>
[CollectionBuilder(typeof(Indices), nameof(Of))]
public sealed class Indices : IEnumerable<int>, IEquatable<Indices>
{
    readonly (int First, int End)[] runs;       // ascending, apart

    Indices(IEnumerable<(int First, int End)> runs)
    {
        var merged = new List<(int First, int End)>();
        foreach ((int first, int end) in runs.Where(run => run.End > run.First).Order())
            if (merged.Count > 0 && first <= merged[^1].End)
                merged[^1] = (merged[^1].First, Math.Max(end, merged[^1].End));
            else
                merged.Add((first, end));
        this.runs = [.. merged];
    }

    /// <summary>Several.</summary>
    /// <param name="indices">From 0, in any order.</param>
    /// <exception cref="MambaException">One is negative.</exception>
    public static Indices Of(params ReadOnlySpan<int> indices)
    {
        var each = new List<(int, int)>();
        foreach (int i in indices)
            each.Add((i >= 0 ? i : throw new MambaException($"Indices: {i} was given; expected 0 or more."), i + 1));
        return new(each);
    }

    /// <summary>Reads <c>0,2,4-7</c>.</summary>
    /// <param name="text">Numbers, and ranges whose both ends count.</param>
    /// <returns>Null if the text is something else.</returns>
    public static Indices? Parse(string text)
    {
        var read = new List<(int, int)>();
        foreach (string part in text.Split(','))
        {
            int?[] ends = [.. part.Split('-').Select(end => Numbers.Index(end.Trim(' ')))];
            if (ends is not [{ } first, ..] || ends[^1] is not { } last || ends.Length > 2 || last < first || last == int.MaxValue)
                return null;
            read.Add((first, last + 1));
        }
        return new(read);
    }

    /// <summary>One.</summary>
    public static implicit operator Indices(int index) => Of(index);

    /// <summary>A range, whose end does not count.</summary>
    /// <exception cref="MambaException">It is counted from the end.</exception>
    public static implicit operator Indices(Range range) => range.Start.IsFromEnd || range.End is { IsFromEnd: true, Value: > 0 }
        ? throw new MambaException($"Indices: the range {range} counts from the end; expected one that counts from 0.")
        : new([(range.Start.Value, range.End.IsFromEnd ? int.MaxValue : range.End.Value)]);

    /// <summary>Several.</summary>
    public static implicit operator Indices(int[] indices) => Of(indices);

    /// <summary>Whether an index is among them.</summary>
    /// <param name="index">From 0.</param>
    public bool Contains(long index) => Array.Exists(runs, run => index >= run.First && index < run.End);

    /// <summary>Whether there is none.</summary>
    public bool IsEmpty => runs.Length == 0;

    /// <summary>The largest; −1 if there is none, and null if there is no end.</summary>
    internal int? Largest => runs.Length == 0 ? -1 : runs[^1].End == int.MaxValue ? null : runs[^1].End - 1;

    /// <summary>Those from <paramref name="first"/> to below <paramref name="end"/>, ascending.</summary>
    internal IEnumerable<long> Within(long first, long end)
    {
        foreach ((int start, int stop) in runs)
            for (long i = Math.Max(start, first); i < Math.Min(stop, end); i++)
                yield return i;
    }

    /// <summary>Ascending.</summary>
    public IEnumerator<int> GetEnumerator()
    {
        foreach (long i in Within(0, int.MaxValue))
            yield return (int)i;
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <inheritdoc/>
    public bool Equals(Indices? other) => other is not null && runs.AsSpan().SequenceEqual(other.runs);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as Indices);

    /// <inheritdoc/>
    public override int GetHashCode() => runs.Aggregate(0, HashCode.Combine);

    /// <summary>0,2,4-7</summary>
    public override string ToString() => string.Join(',', runs.Select(run => run.End == int.MaxValue ? $"{Text(run.First)}-"
        : run.End == run.First + 1 ? Text(run.First) : $"{Text(run.First)}-{Text(run.End - 1)}"));

    static string Text(int i) => i.ToString(CultureInfo.InvariantCulture);
}
