namespace Mamba;

/// <summary>A recording.</summary>
/// <param name="SampleRate">Frames a second, 1 or more.</param>
/// <param name="Channels">Samples of a frame, 1 or more.</param>
/// <param name="Samples">(frames × channels), the channels of a frame side by side, −1 to 1; a file of floats may hold more.</param>
public sealed record WavAudio(int SampleRate, int Channels, float[] Samples)
{
    /// <summary>How many samples each channel has.</summary>
    public int Frames => Samples.Length / Channels;

    /// <summary>
    /// Reads a WAV file: integers of 8, 16, 24 and 32 bits, floats of 32 and 64, and the µ-law of telephones (ITU-T G.711, format 7). Integers are divided by
    /// 2^(bits − 1). A file that says of itself what is not so is refused; data of length 0xFFFFFFFF, as programs write to a pipe, are those up to the end.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <exception cref="MambaException">
    /// It cannot be read, is no such WAV, or contradicts itself: what is wrong, and the byte from 0 where it stands.
    /// </exception>
    public static WavAudio Read(string path)
    {
        using var file = DataFile.Open(path);
        using Stream stream = file.OpenRaw();
        return Read(stream, path);
    }

    /// <summary>Reads a WAV file from a stream.</summary>
    /// <param name="stream">Read to its end, and left open.</param>
    /// <param name="name">What a message calls it.</param>
    /// <exception cref="MambaException">
    /// It cannot be read, is no such WAV, or contradicts itself: what is wrong, and the byte from 0 where it stands.
    /// </exception>
    public static WavAudio Read(Stream stream, string name) => InputFile.Reading(name, () =>
    {
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);       // of more than 2 GB: not supported, and said so
        return new WavParser(name, bytes.GetBuffer().AsMemory(0, (int)bytes.Length)).Parse();
    });

    /// <summary>One channel, the mean of all.</summary>
    public WavAudio Mono()
    {
        if (Channels == 1)
            return this;
        float[] mean = new float[Frames];
        for (int i = 0; i < mean.Length; i++)
        {
            double sum = 0;
            for (int channel = 0; channel < Channels; channel++)
                sum += Samples[i * Channels + channel];
            mean[i] = (float)(sum / Channels);
        }
        return new WavAudio(SampleRate, 1, mean);
    }

    /// <summary>Writes a WAV file: the file is there whole, or as it was. What is outside −1..1 is clipped, but in floats.</summary>
    /// <param name="path">The file.</param>
    /// <param name="bits">8, 16, 24 or 32 bits a sample.</param>
    /// <param name="isFloat">Whether the 32 bits are a float32 instead of an integer.</param>
    /// <exception cref="MambaException">It cannot be written, there is no such format, or a sample is NaN or infinite.</exception>
    public void Save(string path, int bits = 16, bool isFloat = false)
    {
        byte[] written = WavBytes.Of(this, path, bits, isFloat);
        AtomicFile.Write(path, stream => stream.Write(written));
    }
}
