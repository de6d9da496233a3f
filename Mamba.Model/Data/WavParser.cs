using System.Buffers.Binary;
using System.Text;

namespace Mamba;

/// <summary>
/// Reads the chunks of a WAV file (Multimedia Programming Interface and Data Specifications 1.0, 1991) and believes no length before it is checked: a
/// recording that was cut off is not a shorter recording. NAudio reads such files without a word.
/// </summary>
internal sealed class WavParser(string name, ReadOnlyMemory<byte> file)
{
    public const int Pcm = 1, Float = 3;

    const int ALaw = 6, MuLaw = 7, Extensible = 0xFFFE;

    /// <summary>A length that the writer did not know: it wrote to a pipe and could not go back.</summary>
    const uint Unknown = uint.MaxValue;

    const int RiffHeader = 12, ChunkHeader = 8, PlainFormat = 16, ExtensibleFormat = 40;

    // KSDATAFORMAT_SUBTYPE_…: the format and these bytes
    static ReadOnlySpan<byte> SubFormat => [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];

    int format, channels, bits;
    long rate;

    public WavAudio Parse()
    {
        ReadOnlySpan<byte> bytes = file.Span;
        if (bytes.Length < RiffHeader || !bytes.StartsWith("RIFF"u8) || !bytes[8..].StartsWith("WAVE"u8))
            throw Wrong(0, bytes.StartsWith("RIFX"u8) ? "it is RIFX, numbers with the highest byte first; expected RIFF"
                : bytes.StartsWith("RF64"u8) ? "it is RF64, for more than 4 GB; expected RIFF"
                : bytes.Length == 0 ? "the file is empty; expected a WAV" : "it is no WAV; expected RIFF, a length, and WAVE");
        uint riff = U32(4);
        // the byte behind an odd chunk is often counted and not written
        if (riff is not (0 or Unknown) && ChunkHeader + (long)riff > bytes.Length + 1L)
            throw Wrong(4, $"the file has {bytes.Length} bytes; it says of itself {ChunkHeader + (long)riff}: it is cut off");
        long end = riff is 0 or Unknown ? bytes.Length : Math.Min(bytes.Length, ChunkHeader + (long)riff);
        bool hasFormat = false;
        for (long at = RiffHeader; at + ChunkHeader <= end;)
        {
            uint length = U32((int)at + 4);
            ReadOnlySpan<byte> id = bytes.Slice((int)at, 4);
            int body = (int)at + ChunkHeader;
            if (id.SequenceEqual("data"u8))
                return hasFormat ? Samples(body, DataLength(body, length, riff, end)) : throw Wrong(at, "data come before fmt, which says what they are");
            if (length > end - body)
                throw Wrong(at + 4, $"chunk '{Id(id)}' says {length} bytes; {end - body} are there");
            if (id.SequenceEqual("fmt "u8))
            {
                if (hasFormat)
                    throw Wrong(at, "there is a second fmt");
                ReadFormat(body, (int)length);
                hasFormat = true;
            }
            at = body + (long)length + length % 2;
        }
        throw Wrong(end, hasFormat ? "there are no data up to here, the end" : "there is neither fmt nor data up to here, the end");
    }

    int DataLength(int body, uint length, uint riff, long end)
    {
        long there = end - body;
        if (length == Unknown && riff is 0 or Unknown)
            length = (uint)there;
        if (length == 0 && there > 0 && riff is 0 or Unknown)
            throw Wrong(body - 4, $"data say 0 bytes; {there} are there: the recording was never finished");
        if (length > there)
            throw Wrong(body - 4, $"data say {length} bytes; {there} are there");
        int frame = channels * bits / 8;
        if (length % frame != 0)
            throw Wrong(body - 4, $"data say {length} bytes; expected whole frames of {frame} ({channels} channels of {bits} bits)");
        return (int)length;
    }

    void ReadFormat(int at, int length)
    {
        if (length < PlainFormat)
            throw Wrong(at - 4, $"fmt has {length} bytes; expected {PlainFormat} or more");
        (format, channels, rate, bits) = (U16(at), U16(at + 2), U32(at + 4), U16(at + 14));
        int align = U16(at + 12), formatAt = at;
        if (format == Extensible)
        {
            if (length < ExtensibleFormat)
                throw Wrong(at - 4, $"fmt of the extensible format has {length} bytes; expected {ExtensibleFormat}");
            formatAt = at + 24;
            format = U16(formatAt);
            if (!file.Span.Slice(formatAt + 2, SubFormat.Length).SequenceEqual(SubFormat))
                throw Wrong(formatAt, "the extensible format is one that only its maker knows; expected integers, floats or µ-law");
            if (U16(at + 18) > bits)
                throw Wrong(at + 18, $"{U16(at + 18)} bits of a sample count; it has {bits}");
        }
        bool known = (format, bits) is (Pcm, 8 or 16 or 24 or 32) or (Float, 32 or 64) or (MuLaw, 8);
        if (!known)
            throw Wrong(formatAt, $"samples are {Name()} of {bits} bits; expected integers of 8, 16, 24 or 32, floats of 32 or 64, or µ-law of 8");
        if (channels == 0)
            throw Wrong(at + 2, "there are 0 channels; expected 1 or more");
        if (rate is 0 or > int.MaxValue)
            throw Wrong(at + 4, $"the sample rate is {rate} Hz; expected 1 or more, below 2^31");
        if (align != channels * bits / 8)
            throw Wrong(at + 12, $"a frame is said to have {align} bytes; expected {channels * bits / 8}, {channels} channels of {bits} bits");
    }

    WavAudio Samples(int at, int length)
    {
        ReadOnlySpan<byte> data = file.Span.Slice(at, length);
        int size = bits / 8;
        float[] samples = new float[length / size];
        for (int i = 0; i < samples.Length; i++)
        {
            samples[i] = Sample(data.Slice(i * size, size));
            if (!float.IsFinite(samples[i]))
                throw Wrong(at + (long)i * size, $"sample {i} is {samples[i]}; expected a finite one");
        }
        return new WavAudio((int)rate, channels, samples);
    }

    float Sample(ReadOnlySpan<byte> bytes) => (format, bits) switch
    {
        (Pcm, 8) => (bytes[0] - 128) / 128f,        // without a sign; 128 is silence
        (Pcm, 16) => BinaryPrimitives.ReadInt16LittleEndian(bytes) / 32768f,
        (Pcm, 24) => (bytes[0] | bytes[1] << 8 | (sbyte)bytes[2] << 16) / 8388608f,
        (Pcm, _) => (float)(BinaryPrimitives.ReadInt32LittleEndian(bytes) / 2147483648.0),
        (Float, 32) => BinaryPrimitives.ReadSingleLittleEndian(bytes),
        (Float, _) => (float)BinaryPrimitives.ReadDoubleLittleEndian(bytes),
        _ => OfTelephone(bytes[0]) / 32768f,
    };

    /// <summary>ITU-T G.711, table 2a: sign, segment and step, all inverted; 14 bits, here as 16.</summary>
    static int OfTelephone(byte code)
    {
        const int Bias = 33 << 2;
        int inverted = ~code, magnitude = (((inverted & 15) << 3) + Bias << (inverted >> 4 & 7)) - Bias;
        return (inverted & 0x80) != 0 ? -magnitude : magnitude;
    }

    string Name() => format switch
    {
        Pcm => "integers",
        Float => "floats",
        ALaw => "A-law",
        MuLaw => "µ-law",
        _ => FormattableString.Invariant($"format {format}"),
    };

    static string Id(ReadOnlySpan<byte> id)
    {
        var text = new StringBuilder();
        foreach (byte b in id)
            text.Append(b is >= (byte)' ' and <= (byte)'~' ? (char)b : '?');
        return text.ToString();
    }

    int U16(int at) => BinaryPrimitives.ReadUInt16LittleEndian(file.Span[at..]);

    uint U32(int at) => BinaryPrimitives.ReadUInt32LittleEndian(file.Span[at..]);

    MambaException Wrong(long at, string what) => new($"{name}: byte {at}: {what}.");

    MambaException Wrong(long at, InvariantText what) => Wrong(at, what.Take());
}
