using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>Ctrl-C: every command ends soon, says what there is of its work, and leaves no half of a file.</summary>
[Platform(Exclude = "Win")]
public class CliInterruptTests
{
    string folder = "";

    [SetUp]
    public void MakeFolder() => folder = Directory.CreateTempSubdirectory("mamba-interrupt-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(folder, recursive: true);

    // Starts a command, and interrupts it once it has printed so many lines.
    (int Code, string Output, string Error) Interrupt(int afterLines, params ReadOnlySpan<string> args)
    {
        using Process process = MambaProcess.Start(folder, args);
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = "";
        for (int i = 0; i < afterLines; i++)
            output += process.StandardOutput.ReadLine() + "\n";
        Signal(process);
        output += process.StandardOutput.ReadToEnd();
        Assert.That(process.WaitForExit(TimeSpan.FromMinutes(1)), Is.True);
        return (process.ExitCode, output, error.GetAwaiter().GetResult());
    }

    static void Signal(Process process) => Shell.Succeed(Path.GetTempPath(), $"kill -INT {process.Id.ToString(CultureInfo.InvariantCulture)}");

    [TestCase("gradcheck --device cpu --json", 3, "^gradcheck: stopped after [0-9]+ cases, 0 of which failed\n$")]
    [TestCase("parity --devices cpu --json", 3, "^parity: stopped after [0-9]+ runs, 0 of which failed\n$")]
    [TestCase("parity --devices ilgpu-cpu --json", 3, "^parity: stopped after [0-9]+ runs, 0 of which failed\n$")]
    [TestCase("codegen --json", 2, "^codegen: stopped after [0-9]+ of [0-9]+ kernels\n$")]
    public void What_was_found_until_then_is_whole(string command, int afterLines, string said)
    {
        (int code, string output, string error) = Interrupt(afterLines, command.Split(' '));
        Assert.That(code, Is.EqualTo(130), error);
        Assert.That(error, Does.Match(said));
        using var json = JsonDocument.Parse(output);
        Assert.That(json.RootElement.GetArrayLength(), Is.GreaterThanOrEqualTo(afterLines - 1));
    }

    [Test]
    public void Codegen_says_where_the_code_is_that_was_written()
    {
        (int code, _, string error) = Interrupt(6, "codegen", "--output", "code");
        Assert.That(code, Is.EqualTo(130));
        Assert.That(error, Does.Match("^codegen: stopped after [0-9]+ of [0-9]+ kernels; their code is in code\n$"));
        FileInfo[] files = new DirectoryInfo(Path.Combine(folder, "code")).GetFiles();
        Assert.That(files.Select(file => file.Extension), Is.Not.Empty.And.All.AnyOf(".ptx", ".cl"));
        Assert.That(files.Select(file => file.Length), Has.All.Positive);
    }

    [Test]
    public void Train_says_that_its_step_is_saved_and_goes_on_from_there()
    {
        string[] tiny = ["--d-model", "8", "--n-layer", "1", "--length", "12", "--batch", "2", "--threads", "1", "--max-eval-length", "0"];
        (int code, string output, string error) = Interrupt(2, ["train", "--out", "run", "--steps", "1000000", .. tiny]);
        Assert.That((code, error), Is.EqualTo((130, "")));
        string last = output.TrimEnd().Split('\n')[^1];
        Assert.That(last, Does.Match("^stopped at step [0-9,]+, which is saved; to go on: mamba train --resume run$"));
        string step = last.Split(' ')[3].TrimEnd(',');
        (code, output, error) = MambaProcess.Run(folder, "train", "--resume", "run", "--steps", step.Replace(",", "", StringComparison.Ordinal));
        Assert.That((code, error), Is.EqualTo((0, "")));
        Assert.That(output, Does.Contain($"going on from step {step}\n"));
    }

    [Test]
    public void Eval_says_that_nothing_is_saved_and_leaves_what_was_there()
    {
        string[] tiny = ["--d-model", "8", "--n-layer", "1", "--length", "12", "--batch", "2", "--threads", "1", "--max-eval-length", "64"];
        Assert.That(MambaProcess.Run(folder, ["train", "--out", "run", "--steps", "2", .. tiny]).Code, Is.Zero);
        string before = File.ReadAllText(Path.Combine(folder, "run", "eval.json"));
        (int code, string output, string error) = Interrupt(3, "eval", "run", "--max-eval-length", "100000000", "--sequences", "64", "--threads", "1");
        Assert.That((code, error), Is.EqualTo((130, "")));
        Assert.That(output, Does.EndWith("evaluation stopped, nothing of it is saved; to have it again: mamba eval run\n"));
        Assert.That(File.ReadAllText(Path.Combine(folder, "run", "eval.json")), Is.EqualTo(before));
    }

    [Test]
    public void A_reproduction_that_is_interrupted_writes_nothing()
    {
        (int code, _, string error) = Interrupt(2, "reproduce", "selection", "--device", "cpu", "--threads", "1", "--out", "results");
        Assert.That((code, error), Is.EqualTo((130, "reproduce: stopped after 0 trainings; no results were written\n")));
        Assert.That(Directory.GetFileSystemEntries(folder), Is.Empty);
    }

    [Test]
    public void An_op_that_is_interrupted_writes_nothing()
    {
        Shell.Succeed(folder, "mkfifo in");
        using Process process = MambaProcess.Start(folder, "op", "rms-norm", "--input", "in", "--output", "out");
        using (new FileStream(Path.Combine(folder, "in"), FileMode.Open, FileAccess.Write))        // opens when the command reads
        {
            Signal(process);
            Assert.That(process.WaitForExit(TimeSpan.FromMinutes(1)), Is.True);
        }
        Assert.That((process.ExitCode, process.StandardError.ReadToEnd()), Is.EqualTo((130, "stopped; nothing was written\n")));
        Assert.That(Directory.GetFiles(folder).Select(Path.GetFileName), Is.EqualTo(new[] { "in" }));
    }
}
