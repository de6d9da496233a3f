using System.Buffers.Binary;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>WAV: every format that is read, and every lie that is not.</summary>
public class WavTests
{
    const int Pcm = 1, Float = 3, MuLawFormat = 7, Extensible = 0xFFFE;

    DataFolder folder = null!;

    [SetUp]
    public void MakeFolder() => folder = new DataFolder();

    [TearDown]
    public void DeleteFolder() => folder.Dispose();

    static byte[] U16(int value) => [(byte)value, (byte)(value >> 8)];

    static byte[] U32(long value) => [(byte)value, (byte)(value >> 8), (byte)(value >> 16), (byte)(value >> 24)];

    static byte[] Chunk(string id, byte[] body, long? length = null) =>
        [.. id.Select(c => (byte)c), .. U32(length ?? body.Length), .. body, .. new byte[body.Length % 2]];

    static byte[] Format(int format, int channels, int bits, int rate = 8000, int? align = null) =>
        [.. U16(format), .. U16(channels), .. U32(rate), .. U32(rate * channels * bits / 8), .. U16(align ?? channels * bits / 8), .. U16(bits)];

    static byte[] Riff(long? length, params byte[][] chunks)
    {
        byte[] body = [.. "WAVE"u8, .. chunks.SelectMany(chunk => chunk)];
        return [.. "RIFF"u8, .. U32(length ?? body.Length), .. body];
    }

    static byte[] Wav(int format, int bits, byte[] data, int channels = 1) => Riff(null, Chunk("fmt ", Format(format, channels, bits)), Chunk("data", data));

    static WavAudio Read(byte[] file) => WavAudio.Read(new MemoryStream(file), "x.wav");

    static string Refused(byte[] file) => DataFolder.Refused(() => Read(file));

    [Test]
    public void Integers_are_divided_by_two_to_their_bits_less_one()
    {
        Assert.That(Read(Wav(Pcm, 8, [0, 128, 255, 127])).Samples, Is.EqualTo(new[] { -1f, 0, 127f / 128, -1f / 128 }));
        Assert.That(Read(Wav(Pcm, 16, [0, 0x80, 0xFF, 0x7F, 0xFF, 0xFF, 0, 0])).Samples, Is.EqualTo(new[] { -1f, 32767f / 32768, -1f / 32768, 0 }));
        Assert.That(Read(Wav(Pcm, 24, [0, 0, 0x80, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF])).Samples, Is.EqualTo(new[] { -1f, 8388607f / 8388608, -1f / 8388608 }));
        Assert.That(Read(Wav(Pcm, 32, [0, 0, 0, 0x80, 0, 0, 0, 0x40, 0, 1, 0, 0])).Samples, Is.EqualTo(new[] { -1f, 0.5f, 256f / 2147483648 }));
    }

    [Test]
    public void Floats_are_what_they_are()
    {
        byte[] singles = new byte[8], doubles = new byte[8];
        BinaryPrimitives.WriteSingleLittleEndian(singles, 0.1f);
        BinaryPrimitives.WriteSingleLittleEndian(singles.AsSpan(4), -1.5f);
        BinaryPrimitives.WriteDoubleLittleEndian(doubles, 0.1);
        Assert.That(Read(Wav(Float, 32, singles)).Samples, Is.EqualTo(new[] { 0.1f, -1.5f }));
        Assert.That(Read(Wav(Float, 64, doubles)).Samples, Is.EqualTo(new[] { 0.1f }));
        BinaryPrimitives.WriteSingleLittleEndian(singles.AsSpan(4), float.NaN);
        Assert.That(Refused(Wav(Float, 32, singles)), Is.EqualTo("x.wav: byte 48: sample 1 is NaN; expected a finite one."));
    }

    [Test]
    public void The_code_of_telephones_is_that_of_G711()
    {
        // table 2a of the recommendation, as 16 bits: the largest, the ends of segments, the smallest, zero
        byte[] codes = [0x00, 0x80, 0x0F, 0x10, 0x7E, 0x7F, 0xFF, 0xFE, 0xF0, 0xEF];
        float[] values = [-32124, 32124, -16764, -15996, -8, 0, 0, 8, 120, 132];
        Assert.That(Read(Wav(MuLawFormat, 8, codes)).Samples.Select(x => x * 32768), Is.EqualTo(values));
    }

    [Test]
    public void The_extensible_format_says_what_it_is_further_on()
    {
        byte[] Extended(int format, int valid = 16, byte last = 0x71) =>
        [
            .. Format(Extensible, 2, 16), .. U16(22), .. U16(valid), .. U32(3), .. U16(format), 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, last,
        ];
        byte[] File(byte[] format) => Riff(null, Chunk("fmt ", format), Chunk("data", [0, 0x40, 0, 0xC0]));
        WavAudio audio = Read(File(Extended(Pcm)));
        Assert.That((audio.Channels, audio.Frames, audio.Samples[0], audio.Samples[1]), Is.EqualTo((2, 1, 0.5f, -0.5f)));
        Assert.That(Refused(File(Extended(Pcm, last: 0x70))), Does.StartWith("x.wav: byte 44: the extensible format is one that only its maker knows"));
        Assert.That(Refused(File(Extended(2))), Does.StartWith("x.wav: byte 44: samples are format 2 of 16 bits"));
        Assert.That(Refused(File(Extended(Pcm, valid: 17))), Does.Contain("17 bits of a sample count; it has 16"));
        Assert.That(Refused(File(Extended(Pcm)[..24])), Does.StartWith("x.wav: byte 16: fmt of the extensible format has 24 bytes"));
    }

    [Test]
    public void Other_chunks_are_passed_over_before_and_behind()
    {
        byte[] format = Chunk("fmt ", [.. Format(Pcm, 2, 8), 0, 0]), data = Chunk("data", [0, 255, 128, 64]), list = Chunk("LIST", [1, 2, 3]);
        byte[] both = Riff(null, list, format, Chunk("fact", [4, 0, 0, 0]), data, list);
        foreach (byte[] file in new[] { both, Riff(null, format, list, data), Riff(null, format, data, [1, 2, 3]) })
        {
            WavAudio audio = Read(file);
            Assert.That((audio.SampleRate, audio.Channels, audio.Frames), Is.EqualTo((8000, 2, 2)));
            Assert.That(audio.Samples, Is.EqualTo(new[] { -1f, 127f / 128, 0, -0.5f }));
            Assert.That(audio.Mono().Samples, Is.EqualTo(new[] { -1f / 256, -0.25f }));
        }
    }

    [Test]
    public void The_byte_behind_an_odd_chunk_may_be_missing_at_the_end()
    {
        byte[] file = Wav(Pcm, 8, [1, 2, 3]);
        Assert.That(Read(file).Samples, Has.Length.EqualTo(3));
        Assert.That(Read(file[..^1]).Samples, Has.Length.EqualTo(3));
        Assert.That(Refused(file[..^2]), Does.Contain("it is cut off"));
    }

    [Test]
    public void Data_of_unknown_length_go_to_the_end_and_those_of_none_are_none()
    {
        byte[] Streamed(long riff, long length, byte[] data) => Riff(riff, Chunk("fmt ", Format(Pcm, 1, 16)), Chunk("data", data, length));
        Assert.That(Read(Streamed(uint.MaxValue, uint.MaxValue, [1, 2, 3, 4])).Frames, Is.EqualTo(2));
        Assert.That(Read(Streamed(0, uint.MaxValue, [1, 2, 3, 4])).Frames, Is.EqualTo(2));
        Assert.That(Read(Wav(Pcm, 16, [])).Frames, Is.Zero);
        Assert.That(Read(Streamed(0, 0, [])).Frames, Is.Zero);
        Assert.That(Refused(Streamed(0, 0, [1, 2])), Is.EqualTo("x.wav: byte 40: data say 0 bytes; 2 are there: the recording was never finished."));
        Assert.That(Refused(Streamed(40, uint.MaxValue, [1, 2, 3, 4])), Is.EqualTo("x.wav: byte 40: data say 4294967295 bytes; 4 are there."));
        Assert.That(Refused(Streamed(uint.MaxValue, uint.MaxValue, [1, 2, 3])[..^1]), Does.Contain("expected whole frames of 2"));
    }

    [Test]
    public void A_file_that_lies_about_itself_is_refused_with_the_byte()
    {
        byte[] format = Chunk("fmt ", Format(Pcm, 2, 16)), data = Chunk("data", [1, 2, 3, 4]);
        (byte[] File, string Says)[] wrong =
        [
            ([], "byte 0: the file is empty; expected a WAV."),
            ([.. "hello, world, this is text"u8], "byte 0: it is no WAV; expected RIFF, a length, and WAVE."),
            ([.. "RIFF"u8, .. U32(4), .. "AVI "u8], "byte 0: it is no WAV"),
            ([.. "RIFX"u8, .. Riff(null, format, data)[4..]], "byte 0: it is RIFX"),
            ([.. "RF64"u8, .. Riff(null, format, data)[4..]], "byte 0: it is RF64"),
            (Riff(null, format, data)[..^1], "byte 40: data say 4 bytes; 3 are there."),
            (Riff(null, format, data)[..^2], "byte 4: the file has 46 bytes; it says of itself 48: it is cut off."),
            (Riff(null, format, Chunk("data", [1, 2, 3, 4], 100)), "byte 40: data say 100 bytes; 4 are there."),
            (Riff(40, format, Chunk("data", [1, 2, 3, 4, 5, 6, 7, 8])), "byte 40: data say 8 bytes; 4 are there."),
            (Riff(null, format, Chunk("data", [1, 2, 3, 4, 5, 6])), "byte 40: data say 6 bytes; expected whole frames of 4 (2 channels of 16 bits)."),
            (Riff(null, data, format), "byte 12: data come before fmt"),
            (Riff(null, data), "byte 12: data come before fmt"),
            (Riff(null, format), "byte 36: there are no data up to here, the end."),
            (Riff(null), "byte 12: there is neither fmt nor data up to here, the end."),
            (Riff(null, format, format, data), "byte 36: there is a second fmt."),
            (Riff(null, Chunk("LIST", [1, 2], 3000), format, data), "byte 16: chunk 'LIST' says 3000 bytes; 38 are there."),
            (Riff(null, Chunk("fmt ", Format(Pcm, 2, 16)[..14]), data), "byte 16: fmt has 14 bytes; expected 16 or more."),
            (Riff(null, Chunk("fmt ", Format(Pcm, 2, 16, align: 2)), data), "byte 32: a frame is said to have 2 bytes; expected 4, 2 channels of 16 bits."),
            (Riff(null, Chunk("fmt ", Format(Pcm, 0, 16)), data), "byte 22: there are 0 channels"),
            (Riff(null, Chunk("fmt ", Format(Pcm, 2, 16, rate: 0)), data), "byte 24: the sample rate is 0 Hz"),
            (Riff(null, Chunk("fmt ", Format(Pcm, 2, 12)), data), "byte 20: samples are integers of 12 bits"),
            (Riff(null, Chunk("fmt ", Format(Float, 2, 16)), data), "byte 20: samples are floats of 16 bits"),
            (Riff(null, Chunk("fmt ", Format(6, 2, 8)), data), "byte 20: samples are A-law of 8 bits"),
            (Riff(null, Chunk("fmt ", Format(17, 2, 4)), data), "byte 20: samples are format 17 of 4 bits"),
        ];
        foreach ((byte[] file, string says) in wrong)
            Assert.That(Refused(file), Does.StartWith($"x.wav: {says}"));
    }

    [Test]
    public void A_file_cut_off_anywhere_is_refused()
    {
        byte[] file = Riff(null, Chunk("LIST", [1, 2, 3]), Chunk("fmt ", Format(Pcm, 2, 16)), Chunk("data", [1, 2, 3, 4, 5, 6, 7, 8]));
        for (int length = 0; length < file.Length; length++)
            Refused(file[..length]);
    }

    [Test]
    public void What_is_saved_is_what_is_read([Values(8, 16, 24, 32)] int bits, [Values(1, 2, 3)] int channels, [Values(0, 1, 5)] int frames)
    {
        double scale = Math.ScaleB(1, bits - 1);
        float[] samples = [.. TestData.Uniform(frames * channels, 3).Select(x => (float)(Math.Round(x * scale / 256) * 256 / scale))];
        if (samples.Length > 0)
            samples[0] = -1;
        new WavAudio(11_025, channels, samples).Save(folder.In("x.wav"), bits);
        WavAudio read = WavAudio.Read(folder.In("x.wav"));
        Assert.That((read.SampleRate, read.Channels, read.Frames), Is.EqualTo((11_025, channels, frames)));
        Assert.That(read.Samples, Is.EqualTo(samples));
        Assert.That(new FileInfo(folder.In("x.wav")).Length % 2, Is.Zero);
    }

    [Test]
    public void Floats_are_saved_as_they_are_and_integers_rounded_and_clipped()
    {
        var audio = new WavAudio(8000, 1, [0.1f, -3, 2, 0.7f / 32768, -0.7f / 32768]);
        audio.Save(folder.In("x.wav"), 32, isFloat: true);
        Assert.That(WavAudio.Read(folder.In("x.wav")).Samples, Is.EqualTo(audio.Samples));
        audio.Save(folder.In("x.wav"));
        Assert.That(WavAudio.Read(folder.In("x.wav")).Samples.Select(x => x * 32768), Is.EqualTo(new float[] { 3277, -32768, 32767, 1, -1 }));
    }

    [Test]
    public void What_cannot_be_saved_is_refused()
    {
        var audio = new WavAudio(8000, 1, [0, float.NaN]);
        string path = folder.In("x.wav");
        Assert.That(DataFolder.Refused(() => audio.Save(path)), Is.EqualTo($"{path}: sample 1 is NaN; expected a finite one."));
        Assert.That(DataFolder.Refused(() => audio.Save(path, 12)), Does.Contain("integers of 12 bits"));
        Assert.That(DataFolder.Refused(() => audio.Save(path, 16, isFloat: true)), Does.Contain("floats of 16 bits"));
        Assert.That(DataFolder.Refused(() => new WavAudio(8000, 2, [1, 2, 3]).Save(path)), Does.Contain("3 samples of 2 channels"));
        Assert.That(DataFolder.Refused(() => new WavAudio(0, 1, [1]).Save(path)), Does.Contain("at 0 Hz"));
        Assert.That(DataFolder.Refused(() => WavAudio.Read(path)), Is.EqualTo($"{path}: there is no such file."));
    }
}
