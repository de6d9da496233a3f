using System.Globalization;
using System.Text;
using ScottPlot;
using SkiaSharp;

namespace Mamba.Pictures;

/// <summary>The texts of tokens as an axis prints them: what is not seen is shown, and what the font does not have is an id.</summary>
internal static class TokenTexts
{
    /// <summary>More characters than these are cut.</summary>
    public const int Longest = 14;

    /// <summary>␣the, ⏎, #1234 where the text cannot be printed.</summary>
    /// <param name="text">What the tokenizer says; null where there is none.</param>
    /// <param name="id">Of the token.</param>
    public static string Printed(string? text, int id)
    {
        CarriedFont.Use();
        string number = "#" + id.ToString(CultureInfo.InvariantCulture);
        if (string.IsNullOrEmpty(text))
            return number;
        SKTypeface font = Fonts.GetTypeface(CarriedFont.Name, bold: false, italic: false);
        var printed = new StringBuilder();
        foreach (Rune rune in text.EnumerateRunes())
        {
            string shown = rune.Value switch
            {
                ' ' => "␣",
                '\n' => "⏎",
                '\t' => "⇥",
                '\r' => "\\r",
                < ' ' or 0x7f => $"\\x{rune.Value:x2}",
                _ when font.GetGlyph(rune.Value) == 0 => "",
                _ => rune.ToString(),
            };
            if (shown.Length == 0)
                return number;
            printed.Append(shown);
        }
        return printed.Length <= Longest ? printed.ToString() : printed.ToString(0, Longest - 1) + "…";
    }
}
