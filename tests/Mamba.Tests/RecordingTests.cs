using System.Formats.Tar;
using System.IO.Compression;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>Recordings of folders and archives.</summary>
public class RecordingTests
{
    static readonly string[] Names = ["b/two.wav", "a.WAV", "b/.hidden.wav", ".c/three.wav", "b/one.wav", "notes.txt", "B.wav"];
    static readonly string[] Expected = ["B.wav", "a.WAV", "b/one.wav", "b/two.wav"];      // ordinal: upper case first

    DataFolder folder = null!;

    [SetUp]
    public void MakeFolder() => folder = new DataFolder();

    [TearDown]
    public void DeleteFolder() => folder.Dispose();

    // as many frames as its name has letters
    byte[] Wav(string name)
    {
        new WavAudio(8000, 1, new float[name.Length]).Save(folder.In("made.wav"));
        byte[] bytes = File.ReadAllBytes(folder.In("made.wav"));
        File.Delete(folder.In("made.wav"));
        return bytes;
    }

    byte[] Tar(IEnumerable<(string Name, byte[] Bytes)> files, TarEntryFormat format = TarEntryFormat.Pax)
    {
        using var stream = new MemoryStream();
        using (var tar = new TarWriter(stream, format, leaveOpen: true))
            foreach ((string name, byte[] bytes) in files)
            {
                TarEntryType type = format == TarEntryFormat.V7 ? TarEntryType.V7RegularFile : TarEntryType.RegularFile;
                TarEntry entry = format == TarEntryFormat.V7 ? new V7TarEntry(type, name) : new PaxTarEntry(type, name);
                entry.DataStream = new MemoryStream(bytes);
                tar.WriteEntry(entry);
            }
        return stream.ToArray();
    }

    static string Refused(string path) => DataFolder.Refused(() => RecordingSource.Read(path).Count());

    static void Expect(string path)
    {
        (string Name, WavAudio Audio)[] read = [.. RecordingSource.Read(path)];
        Assert.That(read.Select(r => r.Name), Is.EqualTo(Expected));
        Assert.That(read.Select(r => r.Audio.Frames), Is.EqualTo(Expected.Select(name => name.Length)));
    }

    [Test]
    public void A_folder_is_its_recordings_in_the_order_of_their_names()
    {
        foreach (string name in Names)
            folder.Write($"r/{name}", Wav(name));
        Expect(folder.In("r"));
        Expect(folder.In("r/"));
    }

    [Test]
    public void A_tar_is_its_recordings_in_the_order_of_their_names([Values] bool gzip, [Values(TarEntryFormat.Pax, TarEntryFormat.V7)] TarEntryFormat format,
        [Values("", "./")] string start)
    {
        byte[] tar = Tar(Names.Select(name => (start + name, Wav(name))), format);
        Expect(folder.Write("archive", gzip ? DataFolder.Gzip(tar) : tar));
    }

    [Test]
    public void A_zip_is_its_recordings_in_the_order_of_their_names()
    {
        using (var zip = new ZipArchive(File.Create(folder.In("archive")), ZipArchiveMode.Create))
            foreach (string name in Names)
            {
                using Stream stream = zip.CreateEntry(name).Open();
                stream.Write(Wav(name));
            }
        Expect(folder.In("archive"));
        byte[] whole = File.ReadAllBytes(folder.In("archive"));
        string cut = folder.Write("cut.zip", whole[..^30]);
        Assert.That(Refused(cut), Does.StartWith($"{cut}: cannot be read as zip: "));
    }

    [Test]
    public void One_wav_is_one_recording()
    {
        string path = folder.Write("x/12345.wav", Wav("12345"));
        Assert.That(RecordingSource.Read(path).Select(r => (r.Name, r.Audio.Frames)), Is.EqualTo(new[] { ("12345.wav", 5) }));
    }

    [Test]
    public void Where_there_is_no_recording_is_an_error()
    {
        folder.Write("r/.hidden.wav", Wav("a"));
        string none = folder.Write("none.tar", Tar([("notes.txt", [1, 2]), (".a.wav", Wav("a"))]));
        Assert.That(Refused(folder.In("r")), Is.EqualTo($"{folder.In("r")}: there is no recording in this folder; expected *.wav."));
        Assert.That(Refused(none), Is.EqualTo($"{none}: there is no recording in this archive; expected *.wav."));
        Assert.That(Refused(folder.Write("empty", "")), Does.Contain("empty: the file is empty; expected recordings"));
        Assert.That(Refused(folder.In("nothing")), Does.EndWith(": there is no such file."));
    }

    [Test]
    public void A_wrong_recording_is_named_with_its_archive()
    {
        string path = folder.Write("x.tar", Tar([("a.wav", Wav("a")), ("b.wav", Wav("b")[..^2])]));
        Assert.That(Refused(path), Does.StartWith($"{path}: b.wav: byte 4: the file has 44 bytes"));
        string twice = folder.Write("twice.tar", Tar([("a.wav", Wav("a")), ("./a.wav", Wav("b"))]));
        Assert.That(Refused(twice), Is.EqualTo($"{twice}: 'a.wav' is in it twice."));
    }

    [Test]
    public void An_archive_that_is_cut_off_or_none_is_refused()
    {
        byte[] tar = Tar([("a.wav", Wav(new string('a', 2000)))]), compressed = DataFolder.Gzip(tar);
        string cut = folder.Write("cut.tar", tar[..3000]), gzip = folder.Write("cut.tar.gz", compressed[..^3]);
        string text = folder.Write("x.tar", new string('x', 2000));
        Assert.That(Refused(cut), Does.StartWith(cut));
        Assert.That(Refused(gzip), Does.StartWith($"{gzip}: what gzip compressed is damaged, cut off"));
        Assert.That(Refused(text), Does.StartWith($"{text}: cannot be read as tar, tar.gz or zip: "));
    }

    [Test]
    public void Spoken_digits_are_3000_recordings_of_known_lengths()
    {
        (string Name, WavAudio Audio)[] read = [.. RecordingSource.Read(RealData.PathOf("audio/fsdd.tar.gz"))];
        int[] lengths = [.. read.Select(r => r.Audio.Frames).Order()];
        Assert.That(read, Has.Length.EqualTo(3_000));
        Assert.That(read, Has.All.Matches<(string Name, WavAudio Audio)>(r => r.Audio.SampleRate == 8000 && r.Audio.Channels == 1));
        Assert.That((lengths[0], lengths[^1], lengths[1500]), Is.EqualTo((1_148, 18_262, 3_360)));
        Assert.That(read[0].Name, Is.EqualTo("recordings/0_george_0.wav"));
        Assert.That(read.Select(r => r.Name), Is.Ordered.Using(StringComparer.Ordinal as System.Collections.IComparer).And.Unique);
    }
}
