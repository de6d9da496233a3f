using System.Buffers.Binary;

namespace Mamba;

/// <summary>A recording as the bytes of a WAV file.</summary>
internal static class WavBytes
{
    const int Header = 44;

    public static byte[] Of(WavAudio audio, string path, int bits, bool isFloat)
    {
        if (bits is not (8 or 16 or 24 or 32) || (isFloat && bits != 32))
            throw new MambaException(
                $"{path}: {(isFloat ? "floats" : "integers")} of {bits} bits; expected integers of 8, 16, 24 or 32 bits, or floats of 32.");
        int bytes = bits / 8, frame = audio.Channels * bytes;
        if (audio.SampleRate < 1 || audio.Channels is < 1 or > ushort.MaxValue || frame > ushort.MaxValue || audio.Samples.Length % audio.Channels != 0)
            throw new MambaException($"{path}: {audio.Samples.Length} samples of {audio.Channels} channels at {audio.SampleRate} Hz are no recording.");
        long data = (long)audio.Samples.Length * bytes, padded = data + data % 2;
        if (Header + padded > Array.MaxLength)
            throw new MambaException($"{path}: {data} bytes of samples; expected at most 2 GB.");
        byte[] file = new byte[Header + padded];
        "RIFF"u8.CopyTo(file);
        U32(4, Header - 8 + padded);
        "WAVEfmt "u8.CopyTo(file.AsSpan(8));
        U32(16, 16);
        U16(20, isFloat ? WavParser.Float : WavParser.Pcm);
        U16(22, audio.Channels);
        U32(24, audio.SampleRate);
        U32(28, (long)audio.SampleRate * frame);
        U16(32, frame);
        U16(34, bits);
        "data"u8.CopyTo(file.AsSpan(36));
        U32(40, data);
        for (int i = 0; i < audio.Samples.Length; i++)
        {
            float sample = audio.Samples[i];
            if (!float.IsFinite(sample))
                throw new MambaException($"{path}: sample {i} is {sample}; expected a finite one.");
            Put(file.AsSpan(Header + i * bytes, bytes), sample, isFloat);
        }
        return file;

        void U16(int at, int value) => BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(at), (ushort)value);
        void U32(int at, long value) => BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(at), (uint)value);
    }

    static void Put(Span<byte> bytes, float sample, bool isFloat)
    {
        if (isFloat)
        {
            BinaryPrimitives.WriteSingleLittleEndian(bytes, sample);
            return;
        }
        double scale = Math.ScaleB(1, 8 * bytes.Length - 1);
        long value = (long)Math.Clamp(Math.Round(sample * scale), -scale, scale - 1);
        if (bytes.Length == 1)
            value += 128;           // 8 bits are without a sign, and 128 is silence
        for (int i = 0; i < bytes.Length; i++)
            bytes[i] = (byte)(value >> (8 * i));
    }
}
