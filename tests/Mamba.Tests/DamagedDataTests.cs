using System.Formats.Tar;
using System.IO.Compression;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>Files of data with bytes changed or missing: read, or refused with one line that names the file; nothing else is thrown.</summary>
public class DamagedDataTests
{
    DataFolder folder = null!;

    [SetUp]
    public void MakeFolder() => folder = new DataFolder();

    [TearDown]
    public void DeleteFolder() => folder.Dispose();

    byte[] Wav(int bits)
    {
        new WavAudio(8000, 2, new float[40]).Save(folder.In("made.wav"), bits);
        return File.ReadAllBytes(folder.In("made.wav"));
    }

    byte[] Tar()
    {
        using var stream = new MemoryStream();
        using (var tar = new TarWriter(stream, leaveOpen: true))
            tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, "a.wav")
            {
                ModificationTime = DateTimeOffset.UnixEpoch,
                DataStream = new MemoryStream(Wav(16)),
            });
        return stream.ToArray();
    }

    byte[] Zip()
    {
        using var stream = new MemoryStream();
        using (var zip = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
        using (Stream entry = zip.CreateEntry("a.wav").Open())
            entry.Write(Wav(8));
        return stream.ToArray();
    }

    static void ReadNumbers(string path)
    {
        using var table = CsvTable.Open(path);
        foreach (CsvRow row in table.Rows())
            row.Number("b");
    }

    (byte[] Whole, Action<string> Read) Of(string kind) => kind switch
    {
        "fasta" => (">a b\nACGT\nNN\n>c\nAC\n"u8.ToArray(), path => FastaReader.Read(path, Alphabet.Dna).Count()),
        "fasta.gz" => (DataFolder.Gzip(">a b\nACGT\nNN\n>c\nAC\n"), path => TokenSource.OfFasta(path, Alphabet.Dna).Dispose()),
        "csv" => ("id,\"part\"\ns0,train\ns1,\"test\"\n"u8.ToArray(), path => DataSplit.Load(path, ["s0", "s1"])),
        "csv.gz" => (DataFolder.Gzip("a,b\n1,2\n3,4\n"), ReadNumbers),
        "wav" => (Wav(24), path => WavAudio.Read(path)),
        "tar" => (Tar(), path => RecordingSource.Read(path).Count()),
        "tar.gz" => (DataFolder.Gzip(Tar()), path => RecordingSource.Read(path).Count()),
        "zip" => (Zip(), path => RecordingSource.Read(path).Count()),
        _ => ("a,1\nb,2\n"u8.ToArray(), path => LabelFile.Read(path).LabelsOf(["a", "b"])),
    };

    [Test]
    public void They_are_read_or_refused_with_one_line([Values("fasta", "fasta.gz", "csv", "csv.gz", "wav", "tar", "tar.gz", "zip", "labels")] string kind)
    {
        (byte[] whole, Action<string> read) = Of(kind);
        read(folder.Write("x", whole));
        var random = new Random(1);
        int refused = 0;
        for (int i = 0; i < 600; i++)
        {
            byte[] damaged = [.. whole];
            for (int changes = random.Next(1, 4); changes > 0; changes--)
                damaged[random.Next(Math.Min(damaged.Length, 700))] = (byte)random.Next(256);
            if (i % 3 == 0)
                damaged = damaged[..random.Next(damaged.Length)];
            string path = folder.Write("x", damaged);
            try
            {
                read(path);
            }
            catch (MambaException e)
            {
                Assert.That(e.Message, Does.StartWith(path).And.Not.Contain("\n").And.Not.Contain("\r"));
                refused++;
            }
        }
        Assert.That(refused, Is.GreaterThan(60));
    }
}
