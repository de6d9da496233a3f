namespace Mamba;

/// <summary>
/// What stands for one axis between the brackets of <c>x[0, ^1, 2..]</c>: an index, which drops the axis, or a range, which keeps it.
/// Made from int, long, <see cref="Index"/> and <see cref="Range"/> without a word.
/// </summary>
public readonly struct TensorIndex
{
    readonly Range range;
    readonly long place;

    TensorIndex(long place, Range range, bool isRange)
    {
        this.place = place;
        this.range = range;
        IsRange = isRange;
    }

    /// <summary>Whether it is a range.</summary>
    public bool IsRange { get; }

    /// <summary>One place along an axis, counted from its start.</summary>
    public static implicit operator TensorIndex(long place) => new(place, default, isRange: false);

    /// <summary>One place along an axis; <c>^1</c> is the last.</summary>
    public static implicit operator TensorIndex(Index place) => new(0, place..place, isRange: false);

    /// <summary>A run of places along an axis; <c>..</c> is all of it.</summary>
    public static implicit operator TensorIndex(Range range) => new(0, range, isRange: true);

    /// <summary>Where it starts on its axis, and how many places it takes: 1 for an index.</summary>
    /// <param name="shape">The shape indexed, for the message.</param>
    /// <param name="axis">The axis it stands for.</param>
    /// <exception cref="MambaException">It is outside of the axis.</exception>
    internal (long Start, long Count) On(Shape shape, int axis)
    {
        long n = shape[axis], start = place + From(range.Start, n), end = IsRange ? From(range.End, n) : start + 1;
        if (start < 0 || end < start || end > n)
            throw new MambaException($"Index: {this} is outside axis {axis} of {shape}, whose extent is {n}"
                + $"{(place < 0 ? $"; ^{-place} counts from the end" : "")}.");
        return (start, end - start);
    }

    static long From(Index index, long n) => index.IsFromEnd ? n - index.Value : index.Value;

    /// <summary>As it is typed: <c>3</c>, <c>^1</c>, <c>2..^1</c>.</summary>
    public override string ToString() => IsRange ? range.ToString() : range.Start.Equals(default) ? $"{place}" : range.Start.ToString();
}
