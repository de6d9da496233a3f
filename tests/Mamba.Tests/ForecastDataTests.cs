using System.Globalization;
using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary><see cref="ForecastData"/>: windows, standardization, errors.</summary>
public class ForecastDataTests
{
    static readonly MambaConfig Sizes = new() { DModel = 6, NLayer = 1, VocabSize = 1, SsmCfg = new SsmConfig { DState = 2 } };
    static readonly SequenceOptions Options = new() { LookBack = 5, Horizon = 3, Rows = [20, 8, 9], Pool = Pooling.Last };

    readonly DataFolder folder = new();

    [OneTimeTearDown]
    public void DeleteFolder() => folder.Dispose();

    static Device Cpu => TestDevices.Open("cpu");

    // two columns of numbers beside one of words
    string File(int rows, Func<int, int, double> value, string name = "series.csv") => folder.Write(name, "date,a,b\n" + string.Concat(
        Enumerable.Range(0, rows).Select(t => string.Create(CultureInfo.InvariantCulture, $"day {t},{value(t, 0):R},{value(t, 1):R}\n"))));

    static double Wave(int t, int c) => Math.Sin(0.7 * t + c) * (1 + c) + 0.1 * t;

    ForecastData Data(SequenceOptions? options = null, Func<int, int, double>? value = null, int rows = 40) =>
        new(File(rows, value ?? Wave), options ?? Options);

    [Test]
    public void Columns_of_numbers_are_foretold_and_words_are_not()
    {
        Assert.That(Data().Columns, Is.EqualTo(new[] { "a", "b" }));
        Assert.That(Data(Options with { Columns = ["b"] }).Columns, Is.EqualTo(new[] { "b" }));
    }

    [Test]
    public void Windows_of_the_test_read_rows_before_it_and_foretell_all_of_it()
    {
        ForecastData data = Data();
        (double[] Read, double[] Next)[] test = [.. data.Windows(DataPart.Test, every: 1)];
        Assert.That(test, Has.Length.EqualTo(2 * (9 - 3 + 1)));
        (double mean, double deviation) = Moments(0, 20);
        // the first foretells rows 28 to 30 from 23 to 27
        Assert.That(test[0].Read, Is.EqualTo(Enumerable.Range(23, 5).Select(t => ((float)Wave(t, 0) - mean) / deviation)).Within(1e-12));
        Assert.That(test[0].Next, Is.EqualTo(Enumerable.Range(28, 3).Select(t => ((float)Wave(t, 0) - mean) / deviation)).Within(1e-12));
        Assert.That(data.Windows(DataPart.Train, every: 1).Count(), Is.EqualTo(2 * (20 - 5 - 3 + 1)));
        Assert.That(data.Windows(DataPart.Validation, every: 1).Count(), Is.EqualTo(2 * (8 - 3 + 1)));
    }

    static (double Mean, double Deviation) Moments(int column, int rows)
    {
        double[] values = [.. Enumerable.Range(0, rows).Select(t => (double)(float)Wave(t, column))];
        double mean = values.Average();
        return (mean, Math.Sqrt(values.Average(x => (x - mean) * (x - mean))));
    }

    [Test]
    public void Rows_after_those_that_are_trained_on_change_nothing_that_is_read_in_training()
    {
        ForecastData data = Data(), other = new(File(40, (t, c) => t < 20 ? Wave(t, c) : 1e6, "other.csv"), Options);
        using var model = new SequenceModel(data.ModelOf(Sizes), Cpu, seed: 1, DType.Float64);
        using var scope = new TensorScope();
        for (int step = 0; step < 5; step++)
            Assert.That(Loss(other, step), Is.EqualTo(Loss(data, step)));

        double Loss(ForecastData of, int step) => of.LossOf(model, of.BatchOf(1, step, new Stage(1, 4, 1))).Loss.Item();
    }

    [Test]
    public void The_loss_is_the_mean_squared_error_of_standardized_values()
    {
        ForecastData data = Data();
        using var model = new SequenceModel(data.ModelOf(Sizes), Cpu, seed: 1, DType.Float64);
        using var scope = new TensorScope();
        // one batch of every window
        double loss = data.LossOf(model, data.BatchOf(1, 0, new Stage(1, 13, 1))).Loss.Item();
        SplitReport report = data.Evaluate(model, DataPart.Train);
        Assert.That(loss, Is.EqualTo(report.Regression!.Mse).Within(1e-6 * loss));
        Assert.That(report.Regression.Count, Is.EqualTo(13 * 2 * 3));
    }

    [Test]
    public void Repeating_the_last_value_is_reported_beside()
    {
        ForecastData data = Data();
        using var model = new SequenceModel(data.ModelOf(Sizes), Cpu, seed: 1);
        SplitReport report = data.Evaluate(model, DataPart.Test);
        double[] squares = [.. data.Windows(DataPart.Test, every: 1).SelectMany(window => window.Next.Select(x => Math.Pow(x - window.Read[^1], 2)))];
        Assert.That(report.LastValue!.Mse, Is.EqualTo(squares.Average()).Within(1e-9));
    }

    [TestCase(1)]
    [TestCase(2)]       // 5 steps, padded in front to 6
    [TestCase(8)]
    public void A_window_shifted_and_stretched_is_foretold_shifted_and_stretched(int patch)
    {
        // rows 20 to 39 are those 20 before, 30 times as large and 100 higher
        ForecastData data = Data(Options with { Patch = patch }, (t, c) => t < 20 ? Wave(t, c) : 100 + 30 * Wave(t - 20, c));
        using var model = new SequenceModel(data.ModelOf(Sizes), Cpu, seed: 1, DType.Float64);
        double[,] early = data.Predict(model, after: 12), late = data.Predict(model, after: 32);
        for (int t = 0; t < 3; t++)
            for (int c = 0; c < 2; c++)
                Assert.That(late[t, c], Is.EqualTo(100 + 30 * early[t, c]).Within(2e-3));       // the least deviation is a hundred-thousandth of a variance
    }

    [Test]
    public void What_is_foretold_after_a_row_is_in_the_units_of_the_file()
    {
        // of a series that does not move, whatever the model says of it is the value itself
        ForecastData data = Data(value: (_, c) => 50 + c);
        using var model = new SequenceModel(data.ModelOf(Sizes), Cpu, seed: 1);
        double[,] said = data.Predict(model);
        Assert.That((said.GetLength(0), said.GetLength(1)), Is.EqualTo((3, 2)));
        Assert.That(said[2, 1], Is.EqualTo(51).Within(0.05));
        Assert.That(DataFolder.Refused(() => data.Predict(model, after: 3)), Does.Contain("row 4"));
    }

    [Test]
    public void A_value_that_changed_is_noticed_and_a_series_is_split_by_time()
    {
        ForecastData data = Data(), other = new(File(40, (t, c) => t == 3 ? 0 : Wave(t, c), "changed.csv"), Options);
        data.Split.Save(folder.In("split.csv"));
        Assert.That(DataFolder.Refused(() => DataSplit.Load(folder.In("split.csv"), other.Ids)), Does.Contain("split.csv"));
        DataSplit mixed = DataSplit.ByNames(data.Ids, [.. Enumerable.Range(0, 37).Select(i => i is 5 or > 30 ? "test" : i > 20 ? "validation" : "train")]);
        Assert.That(DataFolder.Refused(() => data.Split = mixed), Does.Contain("line 7 is in the test part").And.Contain("by time"));
    }

    [Test]
    public void Parts_too_short_for_a_window_are_refused_before_training()
    {
        Assert.That(DataFolder.Refused(Data(Options with { Rows = [20, 8, 2] }).Prepare), Does.Contain("the test part has 2 rows; 3 are to be foretold of it"));
        Assert.That(DataFolder.Refused(Data(Options with { Rows = [20, 1, 5] }).Prepare), Does.Contain("the validation part has 1 rows"));
        Assert.That(DataFolder.Refused(() => Data(Options with { Rows = [2_000_000_000, 2_000_000_000, 1] })), Does.Contain("there are 40 rows"));
    }

    [Test]
    public void Windows_come_once_in_an_epoch()
    {
        ForecastData data = Data();
        int[] seen = [.. Enumerable.Range(0, 13).Select(i => ((SequenceBatch)data.BatchOf(3, i, new Stage(1, 1, 1))).Examples[0])];
        Assert.That(seen, Is.EquivalentTo(Enumerable.Range(0, 13)));
    }

    [Test]
    public void What_is_too_short_is_refused()
    {
        Assert.That(DataFolder.Refused(() => Data(rows: 30)), Does.Contain("there are 30 rows; 20 + 8 + 9 were asked for"));
        Assert.That(DataFolder.Refused(Data(Options with { Rows = [7, 8, 9] }).Prepare), Does.Contain("7 rows to train on; a window needs 5 + 3"));
        Assert.That(DataFolder.Refused(() => Data(Options with { Rows = [20, 0, 9] })), Does.Contain("three counts"));
        Assert.That(DataFolder.Refused(() => new ForecastData(folder.Write("words.csv", "date,name\nx,y\n"), Options)), Does.Contain("no column of numbers"));
        using var other = new SequenceModel(Data(Options with { Horizon = 4 }).ModelOf(Sizes), Cpu);
        Assert.That(DataFolder.Refused(() => Data().Predict(other)), Does.Contain("has a head for regression of 4; expected").And.Contain("regression of 3"));
        ForecastData data = Data(Options with { Rows = [20, 8, 2] });
        using var model = new SequenceModel(data.ModelOf(Sizes), Cpu, seed: 1);
        Assert.That(DataFolder.Refused(() => data.Evaluate(model, DataPart.Test)), Does.Contain("no window"));
    }
}
