using System.Globalization;
using System.Runtime.CompilerServices;

namespace Mamba;

/// <summary>
/// An interpolated string whose numbers are written alike whatever the culture of the thread. The compiler makes one of the
/// <c>$"…"</c> given to <see cref="MambaException"/>, so that no message says 0,001 where the command line would refuse it.
/// </summary>
[InterpolatedStringHandler]
public ref struct InvariantText(int literalLength, int formattedCount)
{
    DefaultInterpolatedStringHandler text = new(literalLength, formattedCount, CultureInfo.InvariantCulture);

    /// <summary>Called by the compiler for the text between the holes.</summary>
    public void AppendLiteral(string value) => text.AppendLiteral(value);

    /// <summary>A tensor is told by what it is, not by its values: a message that names one must not fetch it from its device.</summary>
    public void AppendFormatted(Tensor? value) => text.AppendFormatted(value?.Describe());

    /// <summary>Called by the compiler for a hole: <c>{x}</c>.</summary>
    public void AppendFormatted<T>(T value) => text.AppendFormatted(value);

    /// <summary>Called by the compiler for a hole with a format: <c>{x:g6}</c>.</summary>
    public void AppendFormatted<T>(T value, string? format) => text.AppendFormatted(value, format);

    /// <summary>Called by the compiler for a hole with a width: <c>{x,8}</c>, <c>{x,8:g6}</c>.</summary>
    public void AppendFormatted<T>(T value, int alignment, string? format = null) => text.AppendFormatted(value, alignment, format);

    /// <summary>The string; to be asked for once.</summary>
    internal string Take() => text.ToStringAndClear();
}
