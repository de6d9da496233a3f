using System.Runtime.InteropServices;

namespace Mamba;

/// <summary>The types that the elements of a stored tensor may have: what a block of them takes, and how numbers become such.</summary>
internal static class ElementType
{
    /// <summary>ggml's: blocks of 32, a float16 scale and 32 signed bytes; each value is the product of the two.</summary>
    public const string Q8 = "Q8_0";

    const int Q8Elements = 32, Q8Bytes = 34;

    /// <summary>Elements of a block: 1, but for Q8_0.</summary>
    public static int BlockElements(string type) => type == Q8 ? Q8Elements : 1;

    /// <summary>Bytes of a block, or 0 for a type that is not known here.</summary>
    public static int BlockBytes(string type) => type == Q8 ? Q8Bytes : SafetensorsEntry.SizeOf(type);

    /// <summary>Bytes of so many elements, whole blocks.</summary>
    public static long BytesOf(string type, long count) => count / BlockElements(type) * BlockBytes(type);

    public static void FromQ8(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        for (int i = 0; i < values.Length; i += Q8Elements, blocks = blocks[Q8Bytes..])
        {
            float scale = (float)MemoryMarshal.Read<Half>(blocks);
            ReadOnlySpan<sbyte> whole = MemoryMarshal.Cast<byte, sbyte>(blocks.Slice(2, Q8Elements));
            for (int j = 0; j < Q8Elements; j++)
                values[i + j] = scale * whole[j];
        }
    }

    /// <summary>Values as bytes of a type, rounded to nearest, halves to even.</summary>
    /// <returns>The first value that is finite and would not be, or null.</returns>
    public static double? Encode(string type, ReadOnlySpan<double> values, Span<byte> target)
    {
        double? lost = null;
        switch (type)
        {
            case "F64":
                MemoryMarshal.AsBytes(values).CopyTo(target);
                break;
            case "F32":
                Span<float> floats = MemoryMarshal.Cast<byte, float>(target);
                for (int i = 0; i < values.Length; i++)
                    Check(values[i], floats[i] = (float)values[i]);
                break;
            case "F16":
                Span<Half> halves = MemoryMarshal.Cast<byte, Half>(target);
                for (int i = 0; i < values.Length; i++)
                    Check(values[i], (double)(halves[i] = (Half)values[i]));
                break;
            case "BF16":
                Span<ushort> brains = MemoryMarshal.Cast<byte, ushort>(target);
                for (int i = 0; i < values.Length; i++)
                {
                    brains[i] = BFloat16(values[i]);
                    Check(values[i], BitConverter.UInt32BitsToSingle((uint)brains[i] << 16));
                }
                break;
            case Q8:
                for (int i = 0; i < values.Length; i += Q8Elements, target = target[Q8Bytes..])
                    ToQ8(values.Slice(i, Q8Elements), target, ref lost);
                break;
            default:
                throw new InvalidOperationException(type);
        }
        return lost;

        void Check(double value, double rounded)
        {
            if (double.IsFinite(value) && !double.IsFinite(rounded))
                lost ??= value;
        }
    }

    // Rounding twice, to float32 and then to bfloat16, could end on the wrong side of a half: the first one is made to round to odd.
    static ushort BFloat16(double value)
    {
        float single = (float)value;
        uint bits = BitConverter.SingleToUInt32Bits(single);
        if (float.IsNaN(single))
            return (ushort)((bits >> 16) | 0x40);
        if (single != value && (bits & 1) == 0 && float.IsFinite(single))
            bits += Math.Abs((double)single) < Math.Abs(value) ? 1u : uint.MaxValue;
        return (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    // as ggml's quantize_row_q8_0_ref: the largest becomes 127
    static void ToQ8(ReadOnlySpan<double> values, Span<byte> target, ref double? lost)
    {
        float largest = 0;
        foreach (double value in values)
            largest = Math.Max(largest, Math.Abs((float)value));
        float scale = largest / 127, inverse = scale == 0 ? 0 : 1 / scale;
        Half stored = (Half)scale;
        if (!float.IsFinite(largest) || Half.IsInfinity(stored))
            lost ??= largest;
        MemoryMarshal.Write(target, stored);
        for (int i = 0; i < values.Length; i++)
            target[2 + i] = (byte)(sbyte)Math.Clamp(MathF.Round((float)values[i] * inverse, MidpointRounding.AwayFromZero), -127, 127);
    }
}
