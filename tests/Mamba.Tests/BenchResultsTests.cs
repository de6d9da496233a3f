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
