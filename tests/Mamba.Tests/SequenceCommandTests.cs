using System.Globalization;
using System.Text.Json;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary><c>mamba train dna|classify|audio|forecast</c>, <c>mamba eval</c> and <c>mamba predict</c>.</summary>
public class SequenceCommandTests
{
    readonly DataFolder folder = new();

    [OneTimeTearDown]
    public void DeleteFolder() => folder.Dispose();

    static readonly string[] Small = ["--d-model", "8", "--n-layer", "1", "--d-state", "2", "--device", "cpu", "--force"];

    // sequences of A and C, or of G and T: a model tells them apart at once
    string Classes(string name = "classes.csv", int rows = 60)
    {
        var random = new Random(1);
        return folder.Write(name, "seq,label\n" + string.Concat(Enumerable.Range(0, rows).Select(i =>
        {
            (string letters, string label) = i % 2 == 0 ? ("AC", "low") : ("GT", "high");
            return $"{string.Concat(Enumerable.Range(0, 3 + random.Next(9)).Select(_ => letters[random.Next(2)]))},{label}\n";
        })));
    }

    string Sounds()
    {
        for (int i = 0; i < 16; i++)
        {
            string path = folder.In($"sounds/{i % 2}_x_{i}.wav");
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            new WavAudio(400, 1, [.. Enumerable.Range(0, 30 + i).Select(t => 0.4f * MathF.Sin(t * (i % 2 == 0 ? 0.3f : 1.4f)))]).Save(path);
        }
        return folder.In("sounds");
    }

    string Series() => folder.Write("series.csv", "hour,x,y\n" + string.Concat(Enumerable.Range(0, 90).Select(t =>
        string.Create(CultureInfo.InvariantCulture, $"{t}:00,{Math.Sin(0.3 * t):R},{5 + Math.Cos(0.3 * t):R}\n"))));

    void Train(string task, string data, string run, params string[] more) =>
        MambaInProcess.Succeed(["train", task, "--data", data, "--out", folder.In(run), .. Small, .. more]);

    JsonElement Eval(string run) => JsonDocument.Parse(File.ReadAllText(Path.Combine(folder.In(run), "eval.json"))).RootElement;

    [Test]
    public void Classes_are_learned_measured_again_and_predicted()
    {
        Train("classify", Classes(), "classify", "--steps", "40", "--eval-every", "10", "--lr", "0.02");
        string config = File.ReadAllText(Path.Combine(folder.In("classify"), "config.json"));
        Assert.That(config, Does.Contain("\"classification\"").And.Contain("\"mean\"").And.Contain("Bidirectional").And.Contain("\"high\""));
        Assert.That(Eval("classify").GetProperty("accuracy").GetDouble(), Is.EqualTo(1));
        foreach (string file in (string[])["split.csv", "eval.json", "model.safetensors", "log.jsonl", "loss.png", "confusion.png", "roc.png"])
            Assert.That(File.Exists(Path.Combine(folder.In("classify"), file)), Is.True, file);
        string before = File.ReadAllText(Path.Combine(folder.In("classify"), "eval.json"));
        MambaInProcess.Succeed("eval", folder.In("classify"), "--device", "cpu");
        Assert.That(File.ReadAllText(Path.Combine(folder.In("classify"), "eval.json")), Is.EqualTo(before));

        string fresh = folder.Write("fresh.csv", "seq\nACCA\nGTTTG\n"), said = folder.In("said.csv");
        MambaInProcess.Succeed("predict", folder.In("classify"), "--data", fresh, "--out", said, "--device", "cpu");
        string[][] rows = [.. File.ReadAllLines(said).Select(line => line.Split(','))];
        Assert.That(rows[0], Is.EqualTo(new[] { "id", "label", "predicted", "p(high)", "p(low)" }));
        Assert.That(rows[1..].Select(row => (row[0], row[2])), Is.EqualTo(new[] { ("2", "low"), ("3", "high") }));
        foreach (string[] row in rows[1..])
            Assert.That(double.Parse(row[3], CultureInfo.InvariantCulture) + double.Parse(row[4], CultureInfo.InvariantCulture), Is.EqualTo(1).Within(1e-5));
    }

    [Test]
    public void A_run_that_goes_on_ends_with_the_same_weights()
    {
        string[] constant = ["--eval-every", "4", "--schedule", "constant"];
        Train("classify", Classes(), "once", ["--steps", "12", .. constant]);
        Train("classify", Classes(), "twice", ["--steps", "5", .. constant]);
        MambaInProcess.Succeed("train", "--resume", folder.In("twice"), "--steps", "12");
        foreach (string file in (string[])["split.csv", "checkpoint.safetensors"])
            Assert.That(File.ReadAllBytes(Path.Combine(folder.In("twice"), file)), Is.EqualTo(File.ReadAllBytes(Path.Combine(folder.In("once"), file))), file);
    }

    [Test]
    public void Changed_data_are_noticed()
    {
        string data = Classes("changing.csv");
        Train("classify", data, "changing", "--steps", "2");
        File.AppendAllText(data, "ACGT,low\n");
        MambaInProcess.Refuse(["eval", folder.In("changing")], "split.csv");
    }

    [TestCase]
    [TestCase("--mu-law")]
    public void Recordings_are_told_apart(params string[] how)
    {
        Train("audio", Sounds(), "audio", ["--steps", "8", "--eval-every", "4", "--batch", "4", .. how]);
        Assert.That(Eval("audio").GetProperty("count").GetInt32(), Is.EqualTo(2));
        MambaInProcess.Succeed("predict", folder.In("audio"), "--data", Sounds(), "--out", folder.In("heard.csv"), "--device", "cpu");
        Assert.That(File.ReadAllLines(folder.In("heard.csv")), Has.Length.EqualTo(17));
    }

    [Test]
    public void New_recordings_need_no_label_in_their_names()
    {
        IEnumerable<string> labels = Enumerable.Range(0, 16).Select(i => $"{i % 2}_x_{i}.wav,{(i % 2 == 0 ? "low" : "high")}\n");
        Train("audio", Sounds(), "named", "--labels", folder.Write("labels.txt", string.Concat(labels)), "--steps", "2", "--batch", "4");
        new WavAudio(400, 1, new float[40]).Save(folder.In("my_voice.wav"));
        MambaInProcess.Succeed("predict", folder.In("named"), "--data", folder.In("my_voice.wav"), "--out", folder.In("voice.csv"), "--device", "cpu");
        Assert.That(File.ReadAllLines(folder.In("voice.csv"))[1], Does.Match("my_voice.wav,,(low|high),"));
    }

    [Test]
    public void A_new_recording_is_made_with_its_picture()
    {
        Train("audio", Sounds(), "voice", "--generate", "--steps", "6", "--eval-every", "3", "--batch", "4");
        string sound = folder.In("one.wav");
        MambaInProcess.Succeed("predict", folder.In("voice"), "--label", "1", "--out", sound, "--device", "cpu");
        WavAudio made = WavAudio.Read(sound);
        Assert.That(made.SampleRate, Is.EqualTo(400));
        Assert.That(made.Frames, Is.InRange(0, 800));
        MambaInProcess.Refuse(["predict", folder.In("voice"), "--label", "7", "--out", sound], "--label is '7'", "0, 1");
        MambaInProcess.Refuse(["predict", folder.In("voice"), "--out", sound], "--label is missing");
        MambaInProcess.Refuse(["predict", folder.In("voice"), "--label", "1"], "--out is missing");
        MambaInProcess.Refuse(["predict", folder.In("voice"), "--label", "1", "--out", sound, "--data", Sounds()], "--data was given");
    }

    [Test]
    public void Series_are_foretold()
    {
        Train("forecast", Series(), "forecast", "--look-back", "12", "--horizon", "4", "--rows", "60,15,15",
            "--patch", "4", "--steps", "30", "--eval-every", "10");
        Assert.That(Eval("forecast").GetProperty("mse").GetDouble(), Is.Positive);
        Assert.That(File.Exists(Path.Combine(folder.In("forecast"), "forecast.png")), Is.True);
        string rows = folder.In("next.csv");
        MambaInProcess.Succeed("predict", folder.In("forecast"), "--data", Series(), "--out", rows, "--device", "cpu");
        string[] lines = File.ReadAllLines(rows);
        Assert.That((lines.Length, lines[0]), Is.EqualTo((5, "step,x,y")));
        Assert.That(double.Parse(lines[1].Split(',')[2], CultureInfo.InvariantCulture), Is.EqualTo(5).Within(2));
    }

    [Test]
    public void Dna_is_foretold_with_a_context_longer_than_a_step()
    {
        var random = new Random(1);
        string data = folder.Write("genome.fa.gz", DataFolder.Gzip($">g\n{string.Concat(Enumerable.Range(0, 4000).Select(_ => "ACGT"[random.Next(4)]))}\n"));
        Train("dna", data, "dna", "--length", "32", "--context", "128", "--batch", "4", "--steps", "8", "--eval-every", "4");
        Assert.That(Eval("dna").GetProperty("window").GetInt32(), Is.EqualTo(128));
        Assert.That(Eval("dna").GetProperty("bits_per_byte").GetDouble(), Is.InRange(1.9, 4));
        MambaInProcess.Succeed("eval", folder.In("dna"), "--device", "cpu");
        MambaInProcess.Succeed("generate", "--model", folder.In("dna"), "--tokenizer", "dna", "--prompt", "ACGT", "--max-tokens", "4", "--device", "cpu");
    }

    [TestCase("classify", "", "line 1")]
    [TestCase("classify", "seq,label\nACGT,a\nAC\n", "line 3 has 1 field; the header, line 1, has 2")]
    [TestCase("classify", "seq,label\nACGT,a\nACXT,b\n", "line 3, column 'seq', letter 3: 'X'")]
    [TestCase("forecast", "", "line 1")]
    [TestCase("forecast", "a,b\n1,2\n3,x\n", "line 3, column 'b'")]
    public void Bad_tables_are_refused_with_the_place(string task, string text, string expected) =>
        MambaInProcess.Refuse(["train", task, "--data", folder.Write("bad.csv", text), "--out", folder.In("none")], "bad.csv", expected);

    [TestCase("", "line 1")]
    [TestCase(">a\nACGT\nACJT\n", "line 3, column 3")]
    public void Bad_fasta_is_refused_with_the_place(string text, string expected) =>
        MambaInProcess.Refuse(["train", "dna", "--data", folder.Write("bad.fa", text), "--out", folder.In("none")], "bad.fa", expected);

    [Test]
    public void A_label_of_the_test_alone_and_a_lying_recording_are_refused_and_nothing_is_written()
    {
        string file = folder.Write("alone.csv", "seq,label,part\nA,x,train\nC,y,train\nG,z,test\n");
        MambaInProcess.Refuse(["train", "classify", "--data", file, "--split-column", "part", "--out", folder.In("none")], "line 4", "'z'", "test part");
        new WavAudio(100, 1, new float[50]).Save(folder.In("lie.wav"));
        byte[] bytes = File.ReadAllBytes(folder.In("lie.wav"));
        string lie = folder.Write("lies/1_a_0.wav", bytes[..^20]);
        MambaInProcess.Refuse(["train", "audio", "--data", Path.GetDirectoryName(lie)!, "--out", folder.In("none")], "1_a_0.wav", "byte");
        Assert.That(Directory.Exists(folder.In("none")), Is.False);
    }

    [TestCase("dna", "--pool", "mean", "--pool was given; it is for classify and audio and forecast")]
    [TestCase("classify", "--generate", null, "--generate was given; it is for audio")]
    [TestCase("classify", "--look-back", "8", "--look-back was given; it is for forecast")]
    [TestCase("audio", "--split-column", "x", "--split-column was given; it is for classify")]
    [TestCase("forecast", "--mu-law", null, "--mu-law was given; it is for audio")]
    [TestCase("classify", "--patch", "2", "a patch is of numbers")]
    [TestCase("classify", "--context", "8", "--context was given; it is for text and dna")]
    [TestCase("classify", "--tokenizer", "bytes", "--tokenizer was given; it is for text")]
    [TestCase("classify", "--pool", "max", "--pool is 'max'; expected mean, last or gated")]
    [TestCase("classify", "--bidirectional", "both", "bidirectional is 'both'; expected tied or untied")]
    [TestCase("classify", "--patch", "0", "expected 1 or more")]
    [TestCase("forecast", "--rows", "1,b,3", "--rows is '1,b,3'")]
    [TestCase("audio", "--label-pattern", "(", "no regular expression")]
    public void Options_that_make_no_sense_are_refused(string task, string option, string? value, string expected) =>
        MambaInProcess.Refuse(["train", task, "--data", task == "dna" ? folder.Write("ok.fa", ">a\nACGTACGT\n") : task == "audio" ? Sounds() : Classes(),
            "--out", folder.In("none"), option, .. value is null ? (string[])[] : [value]], expected);

    [TestCase("dna", "a FASTA file")]
    [TestCase("classify", "a CSV or FASTA file")]
    [TestCase("audio", "WAV files")]
    [TestCase("forecast", "a row for each step")]
    public void Data_that_are_missing_are_asked_for(string task, string expected) =>
        MambaInProcess.Refuse(["train", task, "--out", folder.In("none")], "--data is missing", expected);

    [Test]
    public void Predict_is_for_runs_of_examples()
    {
        string data = folder.Write("text.txt", string.Concat(Enumerable.Range(0, 400).Select(i => (char)('a' + i % 7))));
        Train("text", data, "text", "--steps", "1", "--length", "8", "--batch", "1", "--eval-every", "0");
        MambaInProcess.Refuse(["predict", folder.In("text"), "--data", data], "this is a run of text", "mamba generate");
        Train("classify", Classes(), "headed", "--steps", "2");
        MambaInProcess.Refuse(["predict", folder.In("headed")], "--data is missing");
        MambaInProcess.Refuse(["predict", folder.In("headed"), "--data", Classes(), "--label", "x"], "--label was given");
        MambaInProcess.Refuse(["predict", folder.In("headed"), "--data", folder.Write("other.csv", "seq,label\nAC,nothing\n")], "line 2", "'nothing'");
        MambaInProcess.Refuse(["generate", "--model", folder.In("headed"), "--prompt", "A", "--tokenizer", "dna"], "head for classification");
        MambaInProcess.Refuse(["eval", folder.In("headed"), "--sequences", "3"], "test part");
    }
}
