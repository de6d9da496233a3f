using ScottPlot;
using SkiaSharp;

namespace Mamba.Pictures;

/// <summary>
/// The font that all text of a picture is set in. It is carried in this assembly (Inter, SIL Open Font License), so that a picture has its text on a
/// machine without fonts, and the same text everywhere.
/// </summary>
internal sealed class CarriedFont : IFontResolver
{
    /// <summary>The name to ask ScottPlot for.</summary>
    public const string Name = "Inter";

    static readonly Lazy<SKData> File = new(() =>
    {
        using Stream font = typeof(CarriedFont).Assembly.GetManifestResourceStream("Inter-Regular.otf")!;
        return SKData.Create(font);
    });

    static readonly Lazy<bool> Installed = new(() =>
    {
        Fonts.FontResolvers.Insert(0, new CarriedFont());
        Fonts.Default = Fonts.Sans = Fonts.Serif = Fonts.Monospace = Name;
        return true;
    });

    CarriedFont()
    {
    }

    /// <summary>Makes it the font of every plot of this process.</summary>
    public static void Use() => _ = Installed.Value;

    /// <inheritdoc/>
    public SKTypeface? CreateTypeface(string fontName, FontWeight weight, FontSlant slant, FontSpacing spacing) =>
        fontName == Name ? SKTypeface.FromData(File.Value) : null;

    /// <inheritdoc/>
    public SKTypeface? CreateTypeface(string fontName, bool bold, bool italic) => fontName == Name ? SKTypeface.FromData(File.Value) : null;
}
