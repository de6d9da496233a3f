using Mamba.Cli;
using NUnit.Framework;
using Spectre.Console;
using LiveDisplay = Mamba.Cli.LiveDisplay;
using Rows = Mamba.Cli.Rows;

namespace Mamba.Tests;

/// <summary>Tables on terminals that have little room.</summary>
public class CliTerminalTests
{
    static readonly (bool, string[])[] GradCheck =
    [
        (true, ["Neg", "cpu-512", "5", "1.5e-16", "2.5e-14", "agrees"]),
        (false, ["SelectiveScan", "cpu-512", "305", "3.4e-12", "8.3e-10", "2 inconclusive"]),
    ];

    static readonly (bool, string[])[] Parity =
    [
        (true, ["SelectiveScan", "cpu-512", "float32", "305", "3.4e-07", "4.8e-01", "3.8e-08", "4.8e-01", "the same", "agrees"]),
    ];

    static IAnsiConsole Terminal(StringWriter output, int width)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, Out = new AnsiConsoleOutput(output) });
        console.Profile.Width = width;
        return console;
    }

    static string[] Lines(StringWriter output) => output.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);

    static string[] Written(int width, Column[] columns, params (bool, string[])[] rows)
    {
        using var output = new StringWriter();
        Rows.Write(Terminal(output, width), columns, rows);
        return Lines(output);
    }

    static string[] Words(string line) => [.. line.Split('│', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)];

    [Test]
    public void No_cell_is_broken_at_60_columns()
    {
        string[] lines = Written(60, GradCheckCommand.Columns(each: false), GradCheck);
        Assert.That(lines, Has.Length.EqualTo(7), string.Join('\n', lines));
        Assert.That(lines.Select(line => line.Length), Is.All.LessThanOrEqualTo(60));
        Assert.That(Words(lines[1]), Is.EqualTo(new[] { "op", "device", "largest error", "verdict" }));
        Assert.That(Words(lines[3]), Is.EqualTo(new[] { "Neg", "cpu-512", "1.5e-16", "agrees" }));
        Assert.That(Words(lines[4]), Is.EqualTo(new[] { "SelectiveScan", "cpu-512", "3.4e-12", "2 inconclusive" }));
        Assert.That(lines[6], Is.EqualTo("no room for: cases, estimated"));
    }

    [Test]
    public void Tables_have_as_many_whole_columns_as_there_is_room_for([Values(30, 40, 60, 80, 100, 120, 200)] int width)
    {
        foreach ((Column[] columns, (bool, string[])[] rows) in new[]
        {
            (GradCheckCommand.Columns(each: false), GradCheck), (ParityCommand.Columns(each: false), Parity),
        })
        {
            string[] lines = Written(width, columns, rows), table = [.. lines.Where(line => line.StartsWith('│'))];
            Assert.That(lines.Select(line => line.Length), Is.All.LessThanOrEqualTo(width), string.Join('\n', lines));
            Assert.That(table, Has.Length.EqualTo(1 + rows.Length), string.Join('\n', lines));
            string[] heads = Words(table[0]);
            Assert.That(heads[^1], Is.EqualTo("verdict"));
            for (int i = 0; i < rows.Length; i++)
            {
                string[] cells = Words(table[i + 1]);
                Assert.That(cells, Has.Length.EqualTo(heads.Length));
                Assert.That(cells[1..], Is.SubsetOf(rows[i].Item2), "whole cells, all but the first");
            }
            bool all = 4 + 3 * (columns.Length - 1) + columns.Select((c, i) => rows.Max(r => Math.Max(c.Name.Length, r.Item2[i].Length))).Sum() <= width;
            Assert.That(heads.Length == columns.Length, Is.EqualTo(all));
            Assert.That(string.Join(' ', lines).Contains("no room for: ", StringComparison.Ordinal), Is.EqualTo(!all));
        }
    }

    [Test]
    public void A_long_case_is_cut_before_a_column_is_left_out()
    {
        string variant = "l=65, d=128, n=16, delta_bias, softplus, z, D, initial state, reset, complex";
        string[] lines = Written(80, GradCheckCommand.Columns(each: true), (true, ["SelectiveScan", "cpu", variant, "1.5e-16", "2.5e-14", "agrees"]));
        string[] cells = Words(lines[3]);
        Assert.That(cells, Has.Length.EqualTo(6));
        Assert.That(cells[2], Does.StartWith("l=65, d=128").And.EndWith("…"));
        Assert.That(lines[3], Has.Length.EqualTo(80));
        Assert.That(lines, Has.Length.EqualTo(5));
    }

    [Test]
    public void Prose_goes_over_lines_but_no_word_does()
    {
        Column[] columns = [new("device"), new("dtypes") { LeftOut = 1 }, new("what it is") { IsProse = true }];
        string text = "pthread-skylake-avx512-AMD EPYC, many more words of it";
        string[] lines = Written(59, columns, (true, ["opencl:0", "float32, float64", text]));
        Assert.That(Words(lines[1]), Is.EqualTo(new[] { "device", "what it is" }));
        Assert.That(string.Join(' ', lines.Skip(3).TakeWhile(line => line.StartsWith('│')).Select(line => Words(line)[^1])), Is.EqualTo(text));
        lines = Written(60, columns, (true, ["cuda:0", "float32, float64", "NVIDIA H100 80GB HBM3, subnormals kept, and more of it"]));
        Assert.That(Words(lines[1]), Is.EqualTo(new[] { "device", "dtypes", "what it is" }));
    }

    [Test]
    public void A_terminal_of_no_width_at_all_ends_nothing([Values(1, 5, 12)] int width)
    {
        Column[] columns = ParityCommand.Columns(each: true);
        (int Index, int Width)[] shown = Column.Fit(columns, [.. columns.Select(column => column.WidthOf(["some cell"]))], width, between: 3, around: 4);
        Assert.That(shown.Select(column => column.Width), Is.Not.Empty.And.All.GreaterThan(0));
        Assert.That(() => Written(width, GradCheckCommand.Columns(each: false), GradCheck), Throws.Nothing);
        Assert.That(() => Evaluated(width), Throws.Nothing);
    }

    static string[] Evaluated(int width)
    {
        EvalRow[] rows = [new EvalRow(64, 0.25, 64), new EvalRow(1 << 20, 1, 8)];
        using var output = new StringWriter();
        Terminal(output, width).Write(LiveDisplay.TableOf(rows, current: 1 << 20, share: 0.5, width));
        return Lines(output);
    }

    [Test]
    public void An_evaluation_is_a_line_for_each_length([Values(38, 40, 47, 60, 80, 120)] int width)
    {
        string[] lines = Evaluated(width);
        Assert.That(lines, Has.Length.EqualTo(4 + 3), string.Join('\n', lines));
        Assert.That(lines.Select(line => line.Length), Is.All.LessThanOrEqualTo(width));
        Assert.That(lines[1], Does.Contain("length").And.Contain("accuracy").And.Contain("sequences"));
        Assert.That(lines[4], Does.Contain("1,048,576").And.Contain("100.0 %"));
        Assert.That(lines[4].Contains('━', StringComparison.Ordinal), Is.EqualTo(width >= 47));
    }

    [TestCase("")]
    [TestCase("devices")]
    [TestCase("train")]
    [TestCase("eval")]
    [TestCase("codegen")]
    [TestCase("op")]
    [TestCase("op selective-scan")]
    [TestCase("logits")]
    [TestCase("gradcheck")]
    [TestCase("parity")]
    public void Help_has_no_long_lines(string command)
    {
        string[] words = command.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        (int code, string output, string error) = MambaProcess.Run(Path.GetTempPath(), [.. words, "--help"]);
        Assert.That((code, error), Is.EqualTo((0, "")));
        Assert.That(output.Split('\n').Select(line => line.TrimEnd().Length), Is.All.LessThanOrEqualTo(100), output);
    }

    [Test]
    public void The_tensors_in_a_help_are_told_in_words_that_are_whole([Values(40, 60, 80, 100)] int width)
    {
        foreach (BridgeOp op in BridgeOps.All)
        {
            string text = HelpWith.Text(op.Tensors, width);
            Assert.That(text.Split('\n').Select(line => line.TrimEnd('\r').Length), Is.All.LessThanOrEqualTo(width), text);
            string[] words = text.Split([' ', '\n', '\r'], StringSplitOptions.RemoveEmptyEntries);
            foreach (BridgeInput input in op.Inputs)
                Assert.That(input.Meaning.Split(' ').Select(word => word.TrimEnd(',', ';')), Is.SubsetOf(words.Select(word => word.TrimEnd(',', ';'))));
        }
    }

    [TestCase(100, ExpectedResult = "12 tokens/s, at most 1:00 left")]
    [TestCase(30, ExpectedResult = "12 tokens/s, at most 1:00 left")]
    [TestCase(29, ExpectedResult = "12 tokens/s")]
    [TestCase(3, ExpectedResult = "12 tokens/s")]
    public string The_longest_text_there_is_room_for_is_shown(int room) => LiveDisplay.Longest(room, "12 tokens/s, at most 1:00 left", "12 tokens/s");
}
