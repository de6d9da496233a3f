using System.IO.Compression;
using System.Text.Json.Nodes;
using Mamba.Pictures;
using Mamba.Reproductions;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>The paper's results again: what a reproduction prints, writes and claims, and each of them at a size that takes seconds.</summary>
public class ReproductionTests
{
    string folder = "";

    [SetUp]
    public void MakeFolder() => folder = Directory.CreateTempSubdirectory("mamba-reproduce-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(folder, recursive: true);

    sealed class Heard : Screen
    {
        public List<string> Lines { get; } = [];

        public override void Say(string line) => Lines.Add(line);

        public override void Progress(Func<string> line) => Lines.Add("… " + line());

        public override void Clear()
        {
        }
    }

    sealed class Told(Action<ReproductionRun> does, string? data = null) : Reproduction
    {
        public override string Name => "told";

        public override string Table => "Table 0";

        public override string Summary => "what it is told";

        public override string Minutes => "no time";

        public override string Full => "the same";

        public override string? Data => data;

        public override int Seeds => 2;

        public override void Run(ReproductionRun run) => does(run);
    }

    (bool Holds, Heard Heard) Do(Action<ReproductionRun> does, Size size = Size.Reduced, int? seeds = null)
    {
        using Device device = Device.Open("cpu");
        var heard = new Heard();
        return (Reproduce.Run(new Told(does), device, folder, size, seeds, null, heard, default), heard);
    }

    [Test]
    public void What_is_claimed_holds_or_not_and_one_false_sentence_is_enough()
    {
        (bool holds, Heard heard) = Do(run => run.Claim("one is less than two", 1 < 2));
        Assert.That(holds, Is.True);
        Assert.That(heard.Lines, Does.Contain("  holds  one is less than two: 1 < 2"));
        int two = 2;
        (holds, heard) = Do(run =>
        {
            run.Claim("one is less than two", 1 < two);
            run.Claim("two is less than one", two < 1, $"{two} and 1");
        });
        Assert.That(holds, Is.False);
        Assert.That(heard.Lines, Does.Contain("  FALSE  two is less than one: 2 and 1"));
        Assert.That(heard.Lines[^1], Does.StartWith("told: 1 of 2 hold; "));
    }

    [Test]
    public void An_order_within_the_spread_of_the_seeds_is_open()
    {
        (bool holds, Heard heard) = Do(run =>
        {
            run.ClaimOrder("apart", [1, 1.5], [1.6, 3]);
            run.ClaimOrder("within", [1, 1.7], [1.6, 3]);
            run.ClaimOrder("touching", [1, 1.6], [1.6, 3]);
        });
        Assert.That(holds, Is.True, "what is open is not false");
        Assert.That(heard.Lines.Where(line => line.StartsWith("  holds", StringComparison.Ordinal) || line.StartsWith("  open", StringComparison.Ordinal)),
            Is.EqualTo(new[]
        {
            "  holds  apart: 1.250 (1.000 to 1.500) and 2.300 (1.600 to 3.000)",
            "  open   within: 1.350 (1.000 to 1.700) and 2.300 (1.600 to 3.000)",
            "  open   touching: 1.300 (1.000 to 1.600) and 2.300 (1.600 to 3.000)",
        }));
        Assert.That(heard.Lines[^1], Does.StartWith("told: 1 of 3 hold, 2 open: the seeds differ by more; "));
        Assert.That(Do(run => run.ClaimOrder("the other way round", [3, 4], [2, 1])).Holds, Is.False);
        Assert.That(Do(run => run.ClaimOrder("one seed", [3], [2])).Heard.Lines, Does.Contain("  open   one seed: 3.000 and 2.000"));
        Assert.That(Do(run => run.ClaimOrder("no number", [1, 1], [double.NaN, 2])).Holds, Is.False);
    }

    [Test]
    public void A_table_is_aligned_and_kept_with_all_its_digits()
    {
        (_, Heard heard) = Do(run => run.Table("How it went", [new("kind"), new("ours, %", "0.0"), new("paper, %", "0.0")],
        [
            ["a", 99.87654, 99.8], ["much longer", 5, null], ["none", double.NaN, 1.0],
        ]));
        int at = heard.Lines.IndexOf("  How it went");
        Assert.That(heard.Lines[(at + 1)..(at + 5)], Is.EqualTo(new[]
        {
            "  kind         ours, %  paper, %",
            "  a               99.9      99.8",
            "  much longer      5.0",
            "  none             NaN       1.0",
        }));
        JsonNode results = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "results.json")))!;
        Assert.That((double)results["tables"]![0]!["rows"]![0]![1]!, Is.EqualTo(99.87654));
        Assert.That(results["tables"]![0]!["rows"]![2]![1], Is.Null, "JSON has no NaN");
        Assert.That((string?)results["size"], Is.EqualTo("reduced"));
        Assert.That(results["seeds"]!.AsArray().Select(seed => (int)seed!), Is.EqualTo(new[] { 0, 1 }));
        string page = File.ReadAllText(Path.Combine(folder, "results.md"));
        Assert.That(page, Does.StartWith("# told: what it is told (Table 0)\n").And.Contain("| a | 99.9 | 99.8 |\n")
            .And.Contain("| kind | ours, % | paper, % |\n|---|--:|--:|\n"));
    }

    [Test]
    public void A_picture_that_cannot_be_drawn_loses_nothing_else()
    {
        (bool holds, Heard heard) = Do(run =>
        {
            run.Draw("none", () => throw new InvalidOperationException("no\nink"));
            run.Draw("some", () => Curves.Of("", "", "x", "y", Across.Linear, []));
            run.Claim("goes on", true);
        });
        Assert.That(holds, Is.True);
        Assert.That(heard.Lines, Does.Contain("a picture could not be drawn: no ink"));
        Assert.That(Directory.GetFiles(folder).Select(Path.GetFileName), Is.EquivalentTo(new[] { "results.json", "results.md", "some.png" }));
    }

    [Test]
    public void Seeds_and_size_are_as_asked_and_one_seed_where_it_is_quick()
    {
        IReadOnlyList<ulong> seen = [];
        void See(ReproductionRun run) => seen = run.Seeds;
        Do(See);
        Assert.That(seen, Is.EqualTo(new ulong[] { 0, 1 }));
        Do(See, Size.Quick);
        Assert.That(seen, Is.EqualTo(new ulong[] { 0 }));
        Do(See, Size.Quick, seeds: 3);
        Assert.That(seen, Is.EqualTo(new ulong[] { 0, 1, 2 }));
        Do(run => Assert.That((run.Of(1, 2, 3), run.Size), Is.EqualTo((3, Size.Full))), Size.Full);
    }

    [Test]
    public void One_that_is_stopped_writes_nothing_and_says_how_far_it_was()
    {
        using Device device = Device.Open("cpu");
        using var stop = new CancellationTokenSource();
        TrainOptions options = InductionHeads.Task.Preset("quick") with { Stages = [new(8, 1, 3)], Seed = 1 };
        var told = new Told(run =>
        {
            run.Train("one", options, new MambaConfig { DModel = 8, NLayer = 1, VocabSize = 16 }).Dispose();
            stop.Cancel();
            run.Train("two", options, new MambaConfig { DModel = 8, NLayer = 1, VocabSize = 16 }).Dispose();
        });
        var heard = new Heard();
        Assert.That(() => Reproduce.Run(told, device, folder, Size.Reduced, null, null, heard, stop.Token),
            Throws.InstanceOf<OperationCanceledException>().With.Message.EqualTo("1 training; no results were written"));
        Assert.That(Directory.GetFiles(folder), Is.Empty);
        Assert.That(heard.Lines.Where(line => line.StartsWith('…')), Is.Not.Empty.And.All.StartsWith("… one: step "));
    }

    [Test]
    public void What_is_missing_or_too_much_is_said_in_one_line()
    {
        string file = Path.Combine(folder, "file");
        File.WriteAllText(file, "text");
        string Message(Reproduction reproduction, string into, int? seeds, string? data) =>
            Assert.Throws<MambaException>(() => Reproduce.Expect(reproduction, into, seeds, data))!.Message;
        Reproduction without = new Told(_ => { }), with = new Told(_ => { }, "a text");
        Assert.Multiple(() =>
        {
            Assert.That(Message(with, folder, null, null), Is.EqualTo("reproduce told: data is missing; expected a text."));
            Assert.That(Message(without, folder, null, file), Is.EqualTo("reproduce told: data was given; it makes its own."));
            Assert.That(Message(with, folder, null, file + "s"), Does.Contain(file + "s"));
            Assert.That(Message(without, file, null, null), Is.EqualTo($"{file} is a file; expected the name of a folder."));
            Assert.That(Message(without, folder, 0, null), Is.EqualTo("seeds is 0; expected 1 to 100."));
            Assert.That(Message(without, folder, 101, null), Does.Contain("101"));
        });
        Assert.DoesNotThrow(() => Reproduce.Expect(with, folder, 100, file));
        MambaInProcess.Refuse(["reproduce", "nothing"], "there is no 'nothing'", string.Join(", ", Reproduce.Names));
        MambaInProcess.Refuse(["reproduce", "--quick", "--full", "nothing"], "give one of them");
        MambaInProcess.Succeed("reproduce");
    }

    [Test]
    public void Every_one_says_what_it_is()
    {
        foreach (Reproduction known in Reproduce.All)
        {
            Assert.That(new[] { known.Name, known.Table, known.Summary, known.Minutes, known.Full }, Has.All.Not.Empty, known.Name);
            Assert.That(Reproduce.Named(known.Name), Is.SameAs(known));
        }
        Assert.That(Reproduce.Names, Is.Unique);
    }

    static IEnumerable<string> Names => Reproduce.Names;

    [TestCaseSource(nameof(Names))]
    public void Each_runs_through_at_a_size_of_seconds_and_its_exit_code_is_1_where_a_claim_is_false(string name)
    {
        string into = Path.Combine(folder, "out");
        string[] data = Reproduce.Named(name).Data is null ? [] : ["--data", DataOf(name)];
        (int code, string error) = MambaInProcess.Run(["reproduce", name, "--quick", "--device", "cpu", "--out", into, .. data]);
        Assert.That(error, Is.Empty);
        JsonNode results = JsonNode.Parse(File.ReadAllText(Path.Combine(into, "results.json")))!;
        string[] verdicts = [.. results["claims"]!.AsArray().Select(claim => (string)claim!["verdict"]!)];
        Assert.That(verdicts, Is.Not.Empty.And.All.AnyOf("holds", "false", "open"));
        Assert.That(code, Is.EqualTo(verdicts.Contains("false") ? 1 : 0));
        Assert.That((string?)results["name"], Is.EqualTo(name));
        Assert.That(results["pictures"]!.AsArray().Select(picture => File.Exists(Path.Combine(into, (string)picture!))), Is.Not.Empty.And.All.True);
        foreach (JsonNode? table in results["tables"]!.AsArray())
            foreach (JsonNode? row in table!["rows"]!.AsArray())
                Assert.That(row!.AsArray(), Has.Count.EqualTo(table["columns"]!.AsArray().Count));
        if (Reproduce.Named(name).Data is not null)
            MambaInProcess.Refuse(["reproduce", name, "--quick"], "data is missing; expected ");
    }

    // a little of what a reproduction is trained on
    string DataOf(string name)
    {
        var random = new Random(1);
        return name switch
        {
            "dna-context" => Written("genome.fa", $">g\n{Bases(4000)}\n"),
            "promoters" => Written("promoters.csv", $"seq,label\n{string.Concat(Enumerable.Range(0, 60).Select(i => $"{Bases(101)},{i % 2}\n"))}"),
            "forecast" => Written("series.csv", $"hour,load\n{string.Concat(Enumerable.Range(0, 600).Select(t => $"{t}:00,{t % 24}\n"))}"),
            "digits" or "complex-audio" => Sounds(),
            _ => Written("text", string.Concat(Enumerable.Range(0, 400).Select(i => $"line {i * i}\n"))),
        };

        string Bases(int count) => string.Concat(Enumerable.Range(0, count).Select(_ => "ACGT"[random.Next(4)]));
    }

    string Written(string name, string text)
    {
        File.WriteAllText(Path.Combine(folder, name), text);
        return Path.Combine(folder, name);
    }

    string Sounds()
    {
        string path = Path.Combine(folder, "sounds.zip");
        using ZipArchive archive = ZipFile.Open(path, ZipArchiveMode.Create);
        for (int i = 0; i < 20; i++)
        {
            string one = Path.Combine(folder, $"{i % 2}_ann_{i / 2}.wav");
            new WavAudio(1000, 1, [.. Enumerable.Range(0, 60 + i).Select(t => 0.3f * MathF.Sin(t * (0.2f + i % 2)))]).Save(one);
            archive.CreateEntryFromFile(one, Path.GetFileName(one));
        }
        return path;
    }
}
