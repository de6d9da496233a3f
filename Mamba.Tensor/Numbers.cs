using System.Globalization;

namespace Mamba;

/// <summary>
/// Numbers as people type them: digits, and where they make sense a sign, a point and an exponent. No other mark is taken, in any
/// culture: 0,001 is not 1, and neither is " 1" or 1 000.
/// </summary>
internal static class Numbers
{
    /// <summary>A whole number; null if it is none, or has no place in 32 bits.</summary>
    public static int? Int(ReadOnlySpan<char> text) =>
        int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value) ? value : null;

    /// <summary>A whole number; null if it is none, or has no place in 64 bits.</summary>
    public static long? Long(ReadOnlySpan<char> text) =>
        long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value) ? value : null;

    /// <summary>A whole number from 0, without a sign.</summary>
    public static ulong? Natural(ReadOnlySpan<char> text) =>
        ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong value) ? value : null;

    /// <summary>The number of one of several things, from 0, without a sign.</summary>
    public static int? Index(ReadOnlySpan<char> text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) ? value : null;

    /// <summary>Any number; infinite where it is too large. NaN and Infinity, too: who asks says whether they make sense.</summary>
    public static double? Real(ReadOnlySpan<char> text) =>
        double.TryParse(text, Decimal | NumberStyles.AllowExponent, CultureInfo.InvariantCulture, out double value) ? value : null;

    const NumberStyles Decimal = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint;
}
