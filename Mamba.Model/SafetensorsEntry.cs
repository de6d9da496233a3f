namespace Mamba;

/// <summary>One tensor of a safetensors file, as its header describes it.</summary>
/// <param name="Name">Its name in the file.</param>
/// <param name="Type">Its dtype, as the format writes it: F64, F32, F16, BF16, I64, I32.</param>
/// <param name="Shape">Its extents, outermost first.</param>
/// <param name="Start">Its first byte, counted from the first byte after the header.</param>
public sealed record SafetensorsEntry(string Name, string Type, Shape Shape, long Start)
{
    /// <summary>Whether its values are floating-point numbers; integers otherwise.</summary>
    public bool IsFloat => Type is "F64" or "F32" or "F16" or "BF16";

    /// <summary>Its name, fit for a message: in quotes, on one line, not too long.</summary>
    internal string QuotedName => Safetensors.Quote(Name);

    /// <summary>Bytes of one element, or 0 for a dtype this library does not know.</summary>
    internal static int SizeOf(string type) => type switch
    {
        "F64" or "I64" => 8,
        "F32" or "I32" => 4,
        "F16" or "BF16" => 2,
        _ => 0,
    };
}
