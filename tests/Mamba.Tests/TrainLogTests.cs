using System.Text;
using System.Text.Json;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>A log that something else has written to, or half written: what it tells of finished steps stays, to the byte.</summary>
public class TrainLogTests
{
    string path = "";

    [SetUp]
    public void MakeFile() => path = Path.Combine(Directory.CreateTempSubdirectory("mamba-log-").FullName, "log.jsonl");

    [TearDown]
    public void DeleteFolder() => Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);

    static StepReport Report(long step) => new(step, 0, 12, 2, 1.0 / step, 0.5, 0.25, 1e-3, 24);

    /// <summary>The lines of a log of so many steps, each with its end.</summary>
    byte[][] Written(int steps)
    {
        using (var log = new TrainLog(path, 0))
            for (int step = 1; step <= steps; step++)
                log.Write(Report(step), 100);
        byte[][] lines = [.. File.ReadAllLines(path).Select(line => Encoding.UTF8.GetBytes(line + "\n"))];
        File.Delete(path);
        return lines;
    }

    /// <summary>What a log of these bytes is once a run goes on after <paramref name="step"/>.</summary>
    byte[] Resumed(byte[] log, long step)
    {
        File.WriteAllBytes(path, log);
        using (var resumed = new TrainLog(path, step))
            resumed.Write(Report(step + 1), 100);
        return File.ReadAllBytes(path);
    }

    static byte[] Join(params IEnumerable<byte[]> parts) => [.. parts.SelectMany(part => part)];

    [Test]
    public void Every_good_line_stays_whatever_the_line_ends_and_marks_are([Values("\n", "\r\n", " \r\n", "\n\n", "\r\n\r\n")] string end, [Values] bool mark)
    {
        byte[] ending = Encoding.ASCII.GetBytes(end), marked = mark ? Encoding.UTF8.Preamble.ToArray() : [];
        byte[][] plain = Written(6), lines = [.. plain.Select((line, i) => (byte[])[.. i == 0 ? marked : [], .. line[..^1], .. ending])];
        for (int step = 0; step <= 5; step++)
        {
            byte[] cut = Resumed(Join(lines), step), kept = Join(lines[..step]);
            // An empty line belongs to what comes after it.
            kept = kept[..(kept.Length - (step > 0 ? end.Length - end.IndexOf('\n') - 1 : 0))];
            Assert.That(cut, Is.EqualTo(Join(kept, plain[step])), $"after step {step}");
            Assert.That(TrainLog.Read(path).Steps.Select(report => report.Step), Is.EqualTo(Enumerable.Range(1, step + 1)));
        }
    }

    [Test]
    public void A_last_line_torn_anywhere_is_cut_and_nothing_before_it()
    {
        byte[][] lines = Written(4);
        byte[] last = [.. lines[3][..^2], .. ",\"note\":\"é→𝄞\"}\n"u8];
        for (int length = 0; length < last.Length - 1; length++)
            Assert.That(Resumed(Join([.. lines[..3], last[..length]]), 3), Is.EqualTo(Join(lines)), $"{length} bytes of the last line");
        // Only its end is missing: all it says is there.
        Assert.That(Resumed(Join([.. lines[..2], last[..^1]]), 4), Is.EqualTo(Join([.. lines[..2], last, Written(5)[4]])));
        // A torn line of a step that is kept: the others are.
        for (int length = 1; length < last.Length - 2; length++)
            Assert.That(Resumed(Join([.. lines[..3], last[..length]]), 4), Is.EqualTo(Join([.. lines[..3], Written(5)[4]])));
    }

    [Test]
    public void Lines_nobody_can_read_cost_no_other_line()
    {
        byte[][] lines = Written(5);
        byte[][] unreadable =
        [
            "\n"u8.ToArray(), "not json\n"u8.ToArray(), "[]\n"u8.ToArray(), "{}\n"u8.ToArray(), "{\"step\":2}\n"u8.ToArray(),
            "{\"step\":\"2\"}\n"u8.ToArray(), [0xFF, 0xC3, 0x28, (byte)'\n'], [0, 0, 0, (byte)'\n'],
            Encoding.ASCII.GetBytes(new string('[', 300_000) + "\n"), Encoding.ASCII.GetBytes(new string(' ', 65_536) + "\n"),
            Encoding.ASCII.GetBytes(new string('x', 65_535) + "\n"), [.. Encoding.ASCII.GetBytes(new string('x', 65_536)), .. Written(9)[8]], lines[1],
        ];
        foreach (byte[] bad in unreadable)
        {
            byte[] cut = Resumed(Join([.. lines[..2], bad, .. lines[2..4], bad, lines[4], bad]), 4);
            Assert.That(cut, Is.EqualTo(Join([.. lines[..2], bad, .. lines[2..4], lines[4]])));
            Assert.That(TrainLog.Read(path).Steps.Select(report => report.Step), Is.EqualTo(new[] { 1, 2, 3, 4, 5 }));
        }
    }

    [Test]
    public void A_log_longer_than_a_piece_is_cut_where_its_line_ends()
    {
        byte[][] lines = Written(2000);
        Assert.That(lines.Sum(line => line.Length), Is.GreaterThan(200_000));
        foreach (int step in (int[])[1, 400, 401, 1999])
            Assert.That(Resumed(Join(lines), step), Is.EqualTo(Join(lines[..(step + 1)])));
    }

    [Test]
    public void Steps_that_are_missing_stay_missing_and_those_after_them_stay()
    {
        byte[][] lines = Written(6);
        Assert.That(Resumed(Join(lines[0], lines[3], lines[4]), 5), Is.EqualTo(Join(lines[0], lines[3], lines[4], lines[5])));
    }

    [Test]
    public void Every_line_is_json_of_its_own()
    {
        foreach (byte[] line in Written(3))
            Assert.That(() => JsonDocument.Parse(line).Dispose(), Throws.Nothing);
    }
}
