using System.Diagnostics;
using System.Text;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>Pipes, folders, devices and nothing at all, given to everything that reads a file: it works, or is one clear line.</summary>
[NonParallelizable]         // some of them shorten the wait for pipes
public class InputFileTests
{
    static readonly string Official = Path.Combine(AppContext.BaseDirectory, "Fixtures", "lm");

    string folder = "";

    [SetUp]
    public void MakeFolder()
    {
        folder = Directory.CreateTempSubdirectory("mamba-input-").FullName;
        var writer = new SafetensorsWriter();
        writer.Add("a", (2, 2), new[] { 1f, 2, 3, 4 });
        writer.Add("b", (2, 2), new[] { 1f, 0, 0, 1 });
        writer.Save(In("op"));
        writer = new SafetensorsWriter();
        writer.Add("ids", (1, 3), new long[] { 1, 2, 3 });
        writer.Save(In("ids"));
        writer = new SafetensorsWriter();
        writer.Add("batches", (1, 1, 3), new long[] { 1, 2, 3 });
        writer.Save(In("batches"));
        foreach (string copy in (string[])["model", "run"])
            Directory.CreateDirectory(In(copy));
        foreach (string name in (string[])["config.json", "model.safetensors"])
            File.Copy(Path.Combine(Official, name), Path.Combine(In("model"), name));
    }

    [TearDown]
    public void DeleteFolder()
    {
        NamedPipe.Patience = TimeSpan.FromSeconds(30);
        Directory.Delete(folder, recursive: true);
    }

    string In(string name) => Path.Combine(folder, name);

    /// <summary>Every command with a file to read, under a name that stands for it.</summary>
    (string Name, string Sound, Func<string, string[]> Args)[] Readers =>
    [
        ("op", In("op"), path => ["op", "matmul", "--input", path, "--output", In("out"), "--device", "cpu"]),
        ("ids", In("ids"), path => ["logits", "--model", In("model"), "--ids", path, "--output", In("out"), "--device", "cpu"]),
        ("batches", In("batches"), path => ["train", "tokens", "--data", path, "--init", In("model"), "--out", In("new"), "--device", "cpu"]),
        ("assembly", "", path => ["gradcheck", "--assembly", path, "--device", "cpu"]),
    ];

    /// <summary>Every file of a folder that a command reads.</summary>
    (string File, string[] Args)[] Inner =>
    [
        ("model/config.json", ["logits", "--model", In("model"), "--ids", "1", "--output", In("out"), "--device", "cpu"]),
        ("model/model.safetensors", ["logits", "--model", In("model"), "--ids", "1", "--output", In("out"), "--device", "cpu"]),
        ("model/model.safetensors", ["train", "tokens", "--data", In("batches"), "--init", In("model"), "--out", In("new"), "--device", "cpu"]),
        ("run/train.json", ["eval", In("run"), "--device", "cpu"]),
        ("run/config.json", ["eval", In("run"), "--device", "cpu"]),
        ("run/model.safetensors", ["eval", In("run"), "--device", "cpu"]),
        ("run/checkpoint.safetensors", ["train", "--resume", In("run"), "--device", "cpu"]),
        ("run/log.jsonl", ["train", "--resume", In("run"), "--device", "cpu"]),
    ];

    void MakeRun() => MambaInProcess.Succeed("train", "--out", In("run"), "--d-model", "8", "--n-layer", "1", "--d-state", "4", "--length", "12",
        "--batch", "2", "--steps", "1", "--max-eval-length", "64", "--device", "cpu");

    static void RefuseInTime(string[] args, string mention)
    {
        var time = Stopwatch.StartNew();
        MambaInProcess.Refuse(args, mention);
        Assert.That(time.Elapsed, Is.LessThan(TimeSpan.FromSeconds(20)), string.Join(' ', args));
    }

    [Test]
    public void A_folder_an_empty_file_or_nothing_is_one_clear_line()
    {
        Directory.CreateDirectory(In("folder"));
        File.WriteAllText(In("empty"), "");
        foreach ((string name, _, Func<string, string[]> args) in Readers)
        {
            RefuseInTime(args(In("folder")), "is a folder");
            RefuseInTime(args(In("empty")), In("empty"));
            RefuseInTime(args(In("nothing")), "there is no such file");
            RefuseInTime(args(In("op") + "/below"), In("op"));
        }
        MakeRun();
        foreach ((string file, string[] args) in Inner)
        {
            string kept = In("kept");
            File.Move(In(file), kept);
            Directory.CreateDirectory(In(file));
            MambaInProcess.Refuse(args, Path.GetFileName(file) switch
            {
                "train.json" => "train.json",
                "checkpoint.safetensors" => "run",
                _ => In(file),
            });
            Directory.Delete(In(file));
            File.Move(kept, In(file));
        }
    }

    [Test, Platform(Exclude = "Win")]
    public void A_pipe_works_or_is_one_clear_line()
    {
        NamedPipe.Patience = TimeSpan.FromSeconds(10);
        Shell.Succeed(folder, "mkfifo pipe");
        foreach ((string name, string sound, Func<string, string[]> args) in Readers)
        {
            if (name is "batches" or "assembly")
            {
                RefuseInTime(args(In("pipe")), "is a pipe");
                continue;
            }
            MambaInProcess.Succeed(args(sound));
            byte[] expected = File.ReadAllBytes(In("out"));
            File.Delete(In("out"));
            using Process writer = Shell.Start(folder, $"cat '{sound}' > pipe");
            MambaInProcess.Succeed(args(In("pipe")));
            writer.WaitForExit();
            Assert.That(File.ReadAllBytes(In("out")), Is.EqualTo(expected));
        }
    }

    [Test, Platform(Exclude = "Win")]
    public void A_pipe_that_brings_something_else_is_one_clear_line()
    {
        NamedPipe.Patience = TimeSpan.FromMilliseconds(500);
        Shell.Succeed(folder, "mkfifo pipe");
        string[] args = Readers[0].Args(In("pipe"));
        // the last two have no end
        foreach (string script in (string[])["true", "printf x", "head -c 20 op", "cat ids", "cat /dev/zero 2>/dev/null", "yes 2>/dev/null"])
        {
            using Process writer = Shell.Start(folder, $"{script} > pipe");
            NamedPipe.Patience = TimeSpan.FromSeconds(10);
            RefuseInTime(args, In("pipe"));
            writer.WaitForExit();
        }
        NamedPipe.Patience = TimeSpan.FromMilliseconds(50);
        RefuseInTime(args, "nobody opened its other end");
    }

    [Test, Platform(Exclude = "Win")]
    public void A_pipe_in_the_place_of_a_file_that_is_read_again_is_one_clear_line()
    {
        MakeRun();
        foreach ((string file, string[] args) in Inner)
        {
            string kept = In("kept");
            File.Move(In(file), kept);
            Shell.Succeed(folder, $"mkfifo '{In(file)}'");
            RefuseInTime(args, In(file));
            File.Delete(In(file));
            File.Move(kept, In(file));
        }
        foreach ((_, string[] args) in Inner[..1])
            MambaInProcess.Succeed(args);           // and what was there again is sound
    }

    [Test, Platform("Linux")]
    public void A_device_is_one_clear_line()
    {
        foreach ((_, _, Func<string, string[]> args) in Readers)
            RefuseInTime(args("/dev/zero"), "is a device");
    }

    [Test, Platform(Exclude = "Win")]
    public void Nothing_of_a_pipe_is_left_in_the_temporary_folder()
    {
        Shell.Succeed(folder, "mkfifo pipe");
        string[] before = Directory.GetFiles(Path.GetTempPath(), "tmp*.tmp");
        using Process writer = Shell.Start(folder, "cat op > pipe");
        using (Safetensors file = Safetensors.Open(In("pipe")))
        {
            Assert.That(Directory.GetFiles(Path.GetTempPath(), "tmp*.tmp").Except(before, StringComparer.Ordinal), Is.Empty);
            Assert.That(file.ReadFloats("a"), Is.EqualTo(new[] { 1f, 2, 3, 4 }));
        }
        writer.WaitForExit();
    }

    [Test]
    public void What_nobody_foresaw_is_one_line_that_says_where()
    {
        Exception thrown = Assert.Throws<NotSupportedException>(() => new DescriptorStream(1).SetLength(1))!;
        Assert.That(Cli.CommandLine.Complaint(thrown), Does.Contain("NotSupportedException in DescriptorStream.SetLength"));
        Assert.That(Cli.CommandLine.Complaint(new AggregateException(new MambaException("a clear line"))), Is.EqualTo("a clear line"));
        Assert.That(Cli.CommandLine.Complaint(new System.Reflection.TargetInvocationException(new IOException("no"))), Is.EqualTo("no"));
    }
}
