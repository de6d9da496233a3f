using System.Runtime.CompilerServices;

namespace Mamba;

/// <summary>The extents of a tensor, outermost first: (b, l, d). Extents are 64-bit and at least 0.</summary>
public readonly struct Shape : IEquatable<Shape>
{
    readonly long[]? extents;

    /// <summary>A shape with the given extents; none of them makes a scalar, which holds one element.</summary>
    public Shape(params ReadOnlySpan<long> extents)
    {
        foreach (long extent in extents)
            if (extent < 0)
                throw new MambaException($"Shape: extent {extent} is negative.");
        this.extents = extents.ToArray();
    }

    ReadOnlySpan<long> Extents => extents;

    /// <summary>Number of axes.</summary>
    public int Rank => Extents.Length;

    /// <summary>Number of elements: the product of the extents.</summary>
    public long Count
    {
        get
        {
            long count = 1;
            foreach (long extent in Extents)
                count = checked(count * extent);
            return count;
        }
    }

    /// <summary>The extent of one axis; <c>shape[^1]</c> is the innermost.</summary>
    public long this[Index axis] => Extents[axis];

    /// <summary>A run of axes: <c>shape[..^1]</c> drops the innermost.</summary>
    public Shape this[Range axes] => new(Extents[axes]);

    /// <summary>This shape with one more innermost axis.</summary>
    public Shape Append(long extent) => new([.. Extents, extent]);

    /// <summary>This shape with another innermost extent.</summary>
    public Shape WithLast(long extent) => new([.. Extents[..^1], extent]);

    /// <summary>The extents, outermost first.</summary>
    public long[] ToArray() => Extents.ToArray();

    /// <summary>Whether rank and extents are the same.</summary>
    public bool Equals(Shape other) => Extents.SequenceEqual(other.Extents);

    /// <summary>Whether it is a shape, with the same rank and extents.</summary>
    public override bool Equals(object? obj) => obj is Shape other && Equals(other);

    /// <summary>Of the extents.</summary>
    public override int GetHashCode()
    {
        HashCode hash = default;
        foreach (long extent in Extents)
            hash.Add(extent);
        return hash.ToHashCode();
    }

    /// <summary>Whether rank and extents are the same.</summary>
    public static bool operator ==(Shape a, Shape b) => a.Equals(b);

    /// <summary>Whether rank or extents differ.</summary>
    public static bool operator !=(Shape a, Shape b) => !a.Equals(b);

    /// <summary>A shape of one axis: <c>Tensor.Zeros(5, …)</c>.</summary>
    public static implicit operator Shape(long a) => new(a);

    /// <summary>A shape of two axes: <c>(b, d)</c>.</summary>
    public static implicit operator Shape((long A, long B) x) => new(x.A, x.B);

    /// <summary>A shape of three axes: <c>(b, l, d)</c>.</summary>
    public static implicit operator Shape((long A, long B, long C) x) => new(x.A, x.B, x.C);

    /// <summary>A shape of four axes; more come from the constructor.</summary>
    public static implicit operator Shape((long A, long B, long C, long D) x) => new(x.A, x.B, x.C, x.D);

    /// <summary>(2, 64, 8)</summary>
    public override string ToString() => $"({string.Join(", ", Extents.ToArray())})";

    /// <summary>Throws one clear line unless <paramref name="tensor"/> has the shape <paramref name="expected"/>.</summary>
    /// <param name="op">The op that asks, as it is named in the API.</param>
    /// <param name="tensor">The argument looked at.</param>
    /// <param name="expected">The shape it must have.</param>
    /// <param name="because">Where the expected numbers come from: "n comes from A (128, 16)".</param>
    /// <param name="argument">The argument's name; the compiler fills it in.</param>
    public static void Expect(string op, Tensor tensor, Shape expected, string because = "",
        [CallerArgumentExpression(nameof(tensor))] string argument = "")
    {
        if (tensor.Shape != expected)
            throw new MambaException($"{op}: {argument} has shape {tensor.Shape}; expected {expected}." + (because.Length > 0 ? $" {because}." : ""));
    }
}
