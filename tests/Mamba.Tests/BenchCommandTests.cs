using System.Diagnostics;
using Mamba.Bench;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>The benchmarks as a user runs them, in a process of their own.</summary>
public class BenchCommandTests
{
    // bench/Mamba.Bench/bin/Release/net10.0/linux-x64, where this is tests/Mamba.Tests/bin/Release/net10.0/linux-x64
    static readonly string Assembly = Path.Combine(TestData.Root, "bench", "Mamba.Bench",
        Path.GetRelativePath(Path.Combine(TestData.Root, "tests", "Mamba.Tests"), AppContext.BaseDirectory), "Mamba.Bench.dll");

    string folder = "";

    [SetUp]
    public void MakeFolder() => folder = Directory.CreateTempSubdirectory("mamba-bench-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(folder, recursive: true);

    Process Start(params ReadOnlySpan<string> args) => MambaProcess.StartProgram(Assembly, folder, [], args);

    (int Code, string Output, string Error) Run(params ReadOnlySpan<string> args) => MambaProcess.RunProgram(Assembly, folder, [], args);

    [TestCase("--quik", "bench: unknown option '--quik'; 'bench --help' lists what there is.")]
    [TestCase("scan --quik", "bench: unknown option '--quik'; 'bench --help' lists what there is.")]
    [TestCase("scna", "bench: unknown benchmark 'scna'; expected ceilings, ops, ")]
    [TestCase("scan train", "bench: unknown argument 'train'; 'bench --help' lists what there is.")]
    [TestCase("scan --dtype float16", "bench: --dtype is 'float16'; expected float32 or float64.")]
    [TestCase("scan --batch 0", "bench: --batch is '0'; expected a whole number from 1.")]
    [TestCase("scan --time 1.5", "bench: --time is '1.5'; expected a whole number from 1.")]
    [TestCase("micro --width 4", "micro has no use for --width; expected no size.")]
    [TestCase("scan --devices ,", "--devices is ','; expected names with commas between, as in cpu,opencl:0.")]
    [TestCase("scan --devices cpu,", "--devices is 'cpu,'; expected names with commas between, as in cpu,opencl:0.")]
    [TestCase("scan --devices cpu,cpu", "--devices is 'cpu,cpu', with cpu twice; expected each once.")]
    [TestCase("scan --devices gpu", "Device 'gpu' is unknown; there are: ")]
    [TestCase("compare", "bench compare: Required argument 'before' missing")]
    [TestCase("compare nowhere", "nowhere: there is no such file; ")]
    [TestCase("compare nowhere --by time", "bench compare: --by is 'time'; expected times or fractions.")]
    [TestCase("compare --quick a b", "bench compare: unknown option '--quick'; 'bench compare --help' lists what there is.")]
    public void What_is_wrong_is_one_line_and_nothing_is_measured(string line, string message)
    {
        (int code, string output, string error) = Run(line.Split(' '));
        Assert.That((code, output), Is.EqualTo((1, "")));
        Assert.That(error, Does.StartWith(message));
        Assert.That(error.TrimEnd(), Does.Not.Contain("\n"));
    }

    [Test]
    public void A_folder_that_takes_no_files_is_one_line_before_anything_is_measured()
    {
        string file = Path.Combine(folder, "file");
        File.WriteAllText(file, "");
        foreach (string taken in (string[])[file, Path.Combine(file, "below")])
        {
            (int code, string output, string error) = Run("ceilings", "--out", taken);
            Assert.That((code, output), Is.EqualTo((1, "")));
            Assert.That(error.TrimEnd(), Does.StartWith($"--out {taken}: no file can be written there: ").And.Not.Contain("\n"));
        }
    }

    /// <summary>Every row of a quick run has the name and the kind of limit of one of a full run, and its ceilings are those that fractions are of.</summary>
    [Test]
    public void A_quick_run_has_rows_of_the_full_one_and_saves_nothing_unasked()
    {
        (int code, string output, string error) = Run("scan", "--quick");
        Assert.That(code, Is.Zero, error);
        Assert.That(error, Does.Contain("ceilings on cpu").And.Contain("scan on cpu"), "what it is at");
        Assert.That(output, Does.Contain("nothing was saved: --out FOLDER").And.Contain("Left out on cpu to be quick: scan: 2 of 4"));
        Assert.That(Directory.EnumerateFileSystemEntries(folder), Is.Empty);

        string saved = Path.Combine(folder, "saved");
        Assert.That(Run("scan", "--quick", "--length", "32", "--states", "8", "--time", "1", "--out", saved).Code, Is.Zero);
        Report report = Report.Load(saved);
        Report full = Report.Load(Path.Combine(TestData.Root, "bench", "results", "amd-epyc-2-core"));
        Assert.That(report.Tables[0].Rows.Select(r => r.Name), Is.EqualTo(full.Tables.First(t => t.Name == "ceilings").Rows.Select(r => r.Name)));
        Assert.That(report.Tables[1].Rows.Select(r => r.Name), Is.EqualTo((string[])["b 8, l 32, d 256, n 8", "b 8, l 32, d 256, n 8, and back"]));
        string[] rows = [.. output.Split('\n').Where(l => l.StartsWith("  b ", StringComparison.Ordinal) && l.Contains(" ms ", StringComparison.Ordinal))];
        Assert.That(rows.Select(NameOf), Is.SubsetOf(full.Tables.First(t => t.Name == "scan").Rows.Select(r => r.Name)).And.Exactly(4).Items);

        static string NameOf(string line) => line.Trim().Split("   ")[0];
    }

    [Test]
    public void A_ceiling_is_printed_as_the_limits_use_it()
    {
        string saved = Path.Combine(folder, "saved");
        (int code, string output, string error) = Run("matmul", "--batch", "1", "--length", "256", "--width", "256", "--time", "5", "--out", saved);
        Assert.That(code, Is.Zero, error);
        Table ceilings = Report.Load(saved).Tables[0], products = Report.Load(saved).Tables[1];
        Assert.That(ceilings.Columns, Is.EqualTo((string[])["ceiling: the best run"]));
        Row peak = ceilings.Rows[0], product = products.Rows.Single();
        Assert.That(peak.Cells, Is.EqualTo((string[])[$"{Sample.Number(peak.Sample!.Best)} GFLOP/s"]));
        Assert.That(ceilings.Rows.Select(r => r.Cells[0]), Is.EqualTo(ceilings.Rows.Select(r => $"{Sample.Number(r.Sample!.Best)} {r.Sample.Unit}")));
        Assert.That((product.Name, product.Limit), Is.EqualTo(("linear 256 → 256, b 1, l 256", "multiply-adds")));
        Assert.That(product.Work!.Flops / product.Sample!.Median / 1e6 / peak.Sample.Best, Is.EqualTo(product.Fraction!.Value).Within(1e-9));
        string[] lines = [output, File.ReadAllText(Path.Combine(saved, Report.PageName))];
        Assert.That(lines, Is.All.Contain("ceiling: the best run").And.All.Contain(peak.Cells[0]));
    }

    [Test, Platform(Exclude = "Win")]
    public void A_run_that_is_interrupted_says_what_is_saved()
    {
        string saved = Path.Combine(folder, "saved"), page = Path.Combine(saved, Report.PageName);
        foreach (string[] args in (string[][])[["all", "--out", saved], ["all", "--quick"]])
        {
            using Process process = Start(args);
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            string error = "";
            while (!error.Contains("ops on cpu", StringComparison.Ordinal))          // after the ceilings
                error = process.StandardError.ReadLine() ?? throw new EndOfStreamException(error);
            using (Process kill = Shell.Start(folder, $"kill -INT {process.Id}"))
                kill.WaitForExit();
            string rest = process.StandardError.ReadToEnd();
            process.WaitForExit();
            output.GetAwaiter().GetResult();
            Assert.That(process.ExitCode, Is.EqualTo(130));
            string kept = args[1] == "--quick" ? "nothing was saved: --out FOLDER" : $"\\d+ tables? (is|are) saved in {page}";
            Assert.That(rest, Does.Match($"Interrupted in .* s; {kept}"));
        }
        Assert.That(Report.Load(saved).Tables[0].Name, Is.EqualTo("ceilings"));
    }
}
