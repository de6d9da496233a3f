namespace Mamba;

/// <summary>A recording.</summary>
/// <param name="SampleRate">Frames a second.</param>
/// <param name="Channels">Samples of a frame.</param>
/// <param name="Samples">(frames × channels), the channels of a frame side by side, −1 to 1.</param>
public sealed record WavAudio(int SampleRate, int Channels, float[] Samples)
{
    /// <summary>How many samples each channel has.</summary>
    public int Frames => Samples.Length / Channels;

    /// <summary>Reads a WAV file.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="MambaException">It cannot be read or is no WAV that is understood.</exception>
    public static WavAudio Read(string path) => throw new NotImplementedException();

    /// <summary>Reads a WAV file from a stream to its end.</summary>
    /// <param name="stream">Read to its end, left open.</param>
    /// <param name="name">What messages call it.</param>
    /// <exception cref="MambaException">It is no WAV that is understood.</exception>
    public static WavAudio Read(Stream stream, string name) => throw new NotImplementedException();

    /// <summary>One channel, the mean of all.</summary>
    public WavAudio Mono() => throw new NotImplementedException();

    /// <summary>Writes a WAV file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="bits">8, 16, 24 or 32 bits a sample.</param>
    /// <param name="isFloat">Whether 32 bits are a float32 instead of an integer.</param>
    /// <exception cref="MambaException">It cannot be written, or there is no such format.</exception>
    public void Save(string path, int bits = 16, bool isFloat = false) => throw new NotImplementedException();
}
