using System.Text.Json;
using Mamba.Bench;
using Mamba.Gpu;
using NUnit.Framework;
using Row = Mamba.Bench.Row;

namespace Mamba.Tests;

public class BenchResultsTests
{
    static readonly Machine Somewhere = new("A processor", 2, "8 GB", "Linux", ".NET", "1.5.3", "abcd1234",
        "2026-01-01", "bench all", [new("cpu", "host lanes", ""), new("opencl:0", "PoCL", "3.1")]);

    static Table NewTable(string device, params Row[] rows) => new("scan", "Selective scan", device, "float32", ["rate"]) { Rows = [.. rows] };

    static Sample Times(params double[] values) => Sample.Of(values, "ms");

    static Report Of(params (string Name, Sample Sample)[] rows) => new(Somewhere, [NewTable("cpu", [.. rows.Select(r => new Row(r.Name, [], r.Sample))])]);

    [Test]
    public void A_sample_is_the_median_and_the_quartiles()
    {
        Sample sample = Times(5, 1, 2, 4, 3);
        Assert.That((sample.Low, sample.Median, sample.High, sample.Best, sample.Count), Is.EqualTo((2d, 3d, 4d, 1d, 5)));
        Assert.That(Times(1, 2).Median, Is.EqualTo(1.5));
        Assert.That(Sample.Of([1, 2, 3], "GB/s").Best, Is.EqualTo(3), "of a rate the most is best");
    }

    [Test]
    public void A_time_becomes_a_rate_with_its_quartiles_turned_round()
    {
        Sample rate = Times(1, 2, 4).ToRate(8, "GB/s");
        Assert.That(rate, Is.EqualTo(new Sample(4, 8 / 3d, 8 / 1.5, 8, 3, "GB/s")));
    }

    [Test]
    public void A_table_leaves_out_columns_that_no_row_fills()
    {
        Table table = NewTable("cpu", new Row("l 64", ["7 | 8"], Times(1, 2, 3), 0.5, "memory"), new Row("a fact", []));
        Assert.That(table.Text().Header, Is.EqualTo((string[])["", "rate", "median", "spread", "runs", "of the limit", "limit"]));
        Assert.That(NewTable("cpu", new Row("a fact", ["1"])).Text().Header, Is.EqualTo((string[])["", "rate"]));
        string[] lines = table.ToMarkdown().Split('\n');
        Assert.That(lines, Does.Contain("| l 64 | 7 \\| 8 | 2.00 ms | ± 25 % | 3 | 50 % | memory |"));
        Assert.That(lines.Where(l => l.StartsWith('|')).Select(l => l.Replace("\\|", "", StringComparison.Ordinal).Count(c => c == '|')), Is.All.EqualTo(8));
    }

    [Test]
    public void A_report_reads_back_what_it_wrote()
    {
        var row = new Row("l 64", ["7"], Times(1, 2, 3), 0.5, "memory", new Work(1, 2, 3));
        var report = new Report(Somewhere, [NewTable("cpu", row) with { Notes = ["so"], Files = ["a.png"] }]);
        Report back = Report.FromJson(report.ToJson(), "here");
        Assert.That(back.ToJson(), Is.EqualTo(report.ToJson()));
        Assert.That(back.Tables[0].Rows[0].Sample, Is.EqualTo(Times(1, 2, 3)));
        Assert.That(back.Tables[0].Rows[0].Work, Is.EqualTo(new Work(1, 2, 3)));
    }

    [Test]
    public void What_is_no_report_gives_one_line([Values("", "null", "{}", "[1]", "{\"machine\": null, \"tables\": []}")] string json) =>
        Assert.That(Assert.Throws<MambaException>(() => Report.FromJson(json, "results.json"))!.Message,
            Does.StartWith("results.json: ").And.Not.Contain("\n"));

    [Test]
    public void Rows_of_several_devices_stand_side_by_side()
    {
        Table cpu = NewTable("cpu", new Row("l 64", [], Times(1, 2, 3), 0.5, "memory"));
        var report = new Report(Somewhere, [cpu, NewTable("opencl:0", new Row("l 64", [], Times(10, 20, 30)))]);
        Assert.That(report.ToMarkdown().Split('\n'), Does.Contain("| scan: l 64 | 2.00 ms (50 %) | 20.0 ms |"));
        Assert.That((report with { Tables = [report.Tables[0]] }).ToMarkdown(), Does.Not.Contain("side by side"));
    }

    [Test]
    public void A_row_moved_when_the_quartiles_lie_apart()
    {
        Report before = Of(("same", Times(10, 11, 12)), ("slower", Times(10, 10, 10)), ("faster", Times(10, 10, 10)),
            ("rate", Sample.Of([100, 100, 100], "GB/s")), ("gone", Times(1)));
        Report after = Of(("same", Times(11, 12, 13)), ("slower", Times(20, 20, 20)), ("faster", Times(5, 5, 5)),
            ("rate", Sample.Of([50, 50, 50], "GB/s")), ("new", Times(1)));
        Comparison c = Comparison.Of(before, after);
        Assert.That(c.Changes.Select(x => x.Verdict), Is.EqualTo((string[])["", "WORSE", "better", "WORSE"]));
        Assert.That(c.Changes[1].Ratio, Is.EqualTo(2));
        Assert.That(c.OnlyBefore, Is.EqualTo((string[])["cpu, float32, scan: gone"]));
        Assert.That(c.OnlyAfter, Is.EqualTo((string[])["cpu, float32, scan: new"]));
        Assert.That(c.ToConsole(), Does.Contain("1 better, 2 worse beyond the spread, 1 within it."));
    }

    static Report On(Machine machine, string device, params Row[] rows) => new(machine, [NewTable(device, rows)]);

    static readonly Row Used = new("l 64", [], Times(10, 10, 10), 0.5, "memory"), Unbound = new("no limit", [], Times(10, 10, 10));

    [Test]
    public void Two_devices_of_one_run_are_compared_by_the_fractions_of_their_limits()
    {
        Row slow = Used with { Sample = Times(100, 100, 100), Fraction = 0.25 };
        var run = new Report(Somewhere, [NewTable("cpu", Used, Unbound), NewTable("opencl:0", slow, Unbound)]);
        Comparison c = Comparison.Of(run, run, ["cpu", "opencl:0"]);
        Assert.That(c.Changes.Select(x => (x.Row, x.Before.Median, x.After.Median, x.Better)),
            Is.EqualTo(new[] { ("cpu → opencl:0, float32, scan: l 64", 50d, 25d, false) }), "a row without a limit has no fraction");
        Assert.That(c.ToConsole(), Does.StartWith("The devices differ, cpu and opencl:0: fractions of the limit are compared").And.Contain("× 0.50   lower")
            .And.Contain("0 higher, 1 lower beyond the spread"));
        Assert.That(Comparison.Of(run, run, [], fractions: null).Changes[0].Row, Is.EqualTo(c.Changes[0].Row), "the two there are, if none are named");
        Comparison times = Comparison.Of(run, run, ["cpu", "opencl:0"], fractions: false);
        Assert.That(times.Changes.Select(x => x.Ratio), Is.EqualTo((double[])[10, 1]));
        Assert.That(times.Remarks, Has.One.Contain("times tell of the machines too"));
    }

    [Test]
    public void Two_runs_whose_only_devices_differ_are_compared_device_with_device()
    {
        Comparison c = Comparison.Of(On(Somewhere, "cpu", Used), On(Somewhere, "opencl:0", Used));
        Assert.That(c.Changes.Select(x => x.Row), Is.EqualTo((string[])["cpu → opencl:0, float32, scan: l 64"]));
        Assert.That((c.OnlyBefore, c.OnlyAfter), Is.EqualTo((Array.Empty<string>(), Array.Empty<string>())));
    }

    [Test]
    public void Two_machines_are_compared_by_fractions_and_one_machine_by_times()
    {
        Row slower = Used with { Sample = Times(20, 20, 20) };
        Machine elsewhere = Somewhere with { Processor = "Another" }, upgraded = Somewhere with { Devices = [new("cpu", "wider lanes", "")] };
        Assert.That(Comparison.Of(On(Somewhere, "cpu", Used), On(Somewhere, "cpu", slower)).Changes[0].Verdict, Is.EqualTo("WORSE"));
        (Machine, string)[] others = [(elsewhere, "The machines differ, A processor, 2 cores and Another, 2 cores"), (upgraded, "The devices differ, cpu")];
        foreach ((Machine other, string why) in others)
        {
            Comparison c = Comparison.Of(On(Somewhere, "cpu", Used), On(other, "cpu", slower));
            Assert.That(c.Changes[0].Moved, Is.False, "slower, and as near to its limit");
            Assert.That(c.Remarks, Has.One.StartWith(why));
        }
    }

    [Test]
    public void A_fraction_has_the_spread_of_what_was_measured()
    {
        Sample time = (Used with { Sample = Times(8, 10, 12.5) }).FractionSample!;
        Assert.That(time, Is.EqualTo(new Sample(50, 500 / 11.25, 500 / 9d, 62.5, 3, "%")));
        Assert.That(new Row("", [], Sample.Of([10, 20, 30], "tokens/s"), 0.5).FractionSample, Is.EqualTo(new Sample(50, 37.5, 62.5, 75, 3, "%")));
    }

    [Test]
    public void Where_nothing_can_be_compared_one_line_says_what_there_is()
    {
        Report cpu = On(Somewhere, "cpu", Used), other = On(Somewhere, "cpu", Used with { Name = "l 65" });
        var both = new Report(Somewhere, [.. cpu.Tables, NewTable("opencl:0", Used), NewTable("cuda:0", Used)]);
        var cuda = new Report(Somewhere, [NewTable("cuda:1", Used), NewTable("cuda:2", Used)]);
        void Refuses(Action compare, string message) =>
            Assert.That(Assert.Throws<MambaException>(() => compare())!.Message, Does.Contain(message).And.Not.Contain("\n"));

        Refuses(() => Comparison.Of(cpu, other), "No row is in both: the first has 1, the first of them cpu, float32, scan: l 64; the second has 1");
        Refuses(() => Comparison.Of(On(Somewhere, "cpu", Unbound), On(Somewhere, "opencl:0", Unbound)), "has no row with a limit");
        Refuses(() => Comparison.Of(both, cuda), "No device is in both: the first has rows of cpu, opencl:0, cuda:0, the second of cuda:1, cuda:2");
        Refuses(() => Comparison.Of(cpu, other, ["cpu", "cuda:0"]), "--devices is 'cpu,cuda:0'; the first has rows of cpu, the second of cpu");
        Refuses(() => Comparison.Of(both, cpu, ["cpu", "cuda:0", "opencl:0"]), "--devices has 3 names");
        Refuses(() => Comparison.Of(cpu, cpu), "There is one run, with rows of cpu");
    }

    [Test]
    public void A_row_of_another_size_is_another_row()
    {
        Report usual = On(Somewhere, "cpu", Used), sized = new(Somewhere, [usual.Tables[0] with { Setup = "d 32" }]);
        Assert.That(Comparison.Of(sized, sized with { }, fractions: false).Changes[0].Row, Is.EqualTo("cpu, float32, scan (d 32): l 64"));
        Assert.That(() => Comparison.Of(usual, sized), Throws.TypeOf<MambaException>().With.Message.StartsWith("No row is in both"));
        Assert.That(Report.FromJson(sized.ToJson(), "here").Tables[0].Setup, Is.EqualTo("d 32"));
    }

    [Test]
    public void Series_cross_between_the_lengths_measured()
    {
        var linear = new Series("linear", [(1, 10), (10, 100), (100, 1000)]);
        var quadratic = new Series("quadratic", [(1, 1), (10, 100), (100, 10_000)]);
        Assert.That(Series.Crossing(linear, quadratic), Is.EqualTo(10).Within(1e-9));
        Assert.That(Series.Crossing(linear, new Series("later", [(1, 1), (10, 10), (100, 10_000)])), Is.EqualTo(Math.Pow(10, 1.5)).Within(1e-9));
        Assert.That(Series.Crossing(linear, new Series("dearer from the start", [(1, 11), (10, 1000)])), Is.EqualTo(1));
        Assert.That(Series.Crossing(linear, new Series("never dearer", [(1, 1), (10, 10), (50, 1e9)])), Is.Null, "50 was not measured for both");
        Assert.That((linear.Exponent, quadratic.Exponent), Is.EqualTo((1d, 2d)));
    }

    [Test]
    public void A_trace_is_json_with_an_event_for_each_kernel()
    {
        string json = ChromeTrace.Write("a step", [new KernelRun("Silu<\"x\">", 1.5, 0.25, 800, 0), new KernelRun("MatMul", 2, 1, 0, 1e9)]);
        using JsonDocument document = JsonDocument.Parse(json);
        JsonElement[] events = [.. document.RootElement.GetProperty("traceEvents").EnumerateArray()];
        Assert.That(events.Select(e => e.GetProperty("ph").GetString()), Is.EqualTo((string[])["M", "X", "X"]));
        JsonElement first = events[1];
        Assert.That((first.GetProperty("name").GetString(), first.GetProperty("ts").GetDouble(), first.GetProperty("dur").GetDouble()),
            Is.EqualTo(("Silu<\"x\">", 1500d, 250d)));
    }
}
