using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using ScottPlot;
using SkiaSharp;

namespace Mamba.Pictures;

/// <summary>What Skia writes as SVG, made fit for a browser, which does not have the carried font.</summary>
internal static partial class SvgText
{
    // One of these is on every machine, and much like the carried one.
    const string Families = "Inter, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif";

    /// <summary>
    /// Text can be read and searched in any font, as wide as in the carried one; cells of heat maps have edges; and the picture scales with its frame.
    /// </summary>
    public static string ForBrowsers(string svg, int width, int height)
    {
        // Skia writes "clear" as a black rectangle.
        svg = svg.Replace($"<rect width=\"{width}\" height=\"{height}\"/>", "", StringComparison.Ordinal);
        svg = Text().Replace(svg, Fitted);
        int end = svg.IndexOf('>', svg.IndexOf("<svg", StringComparison.Ordinal));
        return $"{svg[..end]} viewBox=\"0 0 {width} {height}\"><style>image {{ image-rendering: pixelated }}</style>{svg[(end + 1)..]}";
    }

    // Skia gives each letter a place of its own, for the widths of its font. Here the first has one, and the whole its width.
    static string Fitted(Match match)
    {
        string text = match.Groups["text"].Value;
        float size = float.Parse(match.Groups["size"].Value, CultureInfo.InvariantCulture);
        using var font = new SKFont(Fonts.GetTypeface(CarriedFont.Name, bold: false, italic: false), size) { Subpixel = true };
        float width = font.MeasureText(WebUtility.HtmlDecode(text));
        string length = string.Create(CultureInfo.InvariantCulture, $"textLength=\"{width:0.##}\" lengthAdjust=\"spacingAndGlyphs\"");
        string place = $"{match.Groups["place"].Value} font-size=\"{match.Groups["size"].Value}\"";
        return $"<text{place} font-family=\"{Families}\" x=\"{match.Groups["x"].Value}\" y=\"{match.Groups["y"].Value}\" {length}>{text}</text>";
    }

    [GeneratedRegex("""
        <text(?<place>[^>]*?) font-size="(?<size>[^"]*)"[^>]*? x="(?<x>[^",]*)[^"]*" y="(?<y>[^",]*)[^"]*">\s*(?<text>[^<]*?)\s*</text>
        """, RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 60_000)]
    private static partial Regex Text();
}
