using System.Text.Json.Nodes;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>Reports on predictions: worked by hand, and against definitions that share no formula with them.</summary>
public class MetricsTests
{
    static readonly string[] Two = ["no", "yes"], Three = ["a", "b", "c"];

    static double[] P(params double[] probabilities) => [.. probabilities.Select(p => Math.Log(p))];

    static ClassificationReport Of(int[] labels, double[][] rows, string[]? classes = null) => ClassificationReport.Of(labels, rows, classes ?? Two);

    [Test]
    public void Two_classes_by_hand()
    {
        // predicted: yes, no, yes, yes, no
        ClassificationReport report = Of([1, 0, 0, 1, 1], [P(0.1, 0.9), P(0.8, 0.2), P(0.4, 0.6), P(0.25, 0.75), P(0.7, 0.3)]);
        Assert.Multiple(() =>
        {
            Assert.That(report.Count, Is.EqualTo(5));
            Assert.That(report.NotNumbers, Is.Zero);
            Assert.That(report.Accuracy, Is.EqualTo(0.6));
            Assert.That(report.Nll, Is.EqualTo(-(Math.Log(0.9) + Math.Log(0.8) + Math.Log(0.4) + Math.Log(0.75) + Math.Log(0.3)) / 5).Within(1e-15));
            Assert.That(report.Auc, Is.EqualTo(5.0 / 6), "0.9, 0.75 and 0.3 against 0.2 and 0.6: one of six pairs is the wrong way round");
            // tp 2, tn 1, fp 1, fn 1: (2·1 − 1·1) / √(3·3·2·2)
            Assert.That(report.Matthews, Is.EqualTo(1.0 / 6).Within(1e-15));
            Assert.That(report.Confusion, Is.EqualTo(new[,] { { 1, 1 }, { 1, 2 } }));
            Assert.That(report.Support, Is.EqualTo(new[] { 2, 3 }));
            Assert.That(report.Precision, Is.EqualTo(new double?[] { 0.5, 2.0 / 3 }));
            Assert.That(report.Recall, Is.EqualTo(new double?[] { 0.5, 2.0 / 3 }));
        });
    }

    [Test]
    public void A_row_of_the_confusion_is_the_true_class_and_a_column_the_predicted()
    {
        ClassificationReport report = Of([2, 2, 0], [P(0.7, 0.2, 0.1), P(0.7, 0.2, 0.1), P(0.1, 0.1, 0.8)], Three);
        Assert.That(report.Confusion, Is.EqualTo(new[,] { { 0, 0, 1 }, { 0, 0, 0 }, { 2, 0, 0 } }));
        Assert.That(report.Precision, Is.EqualTo(new double?[] { 0, null, 0 }), "nothing was taken for b");
        Assert.That(report.Recall, Is.EqualTo(new double?[] { 0, null, 0 }), "there is no b");
    }

    [Test]
    public void Equal_scores_count_half()
    {
        double[] same = P(0.5, 0.5);
        Assert.That(Of([0, 1, 1], [same, same, same]).Auc, Is.EqualTo(0.5));
        Assert.That(Of([0, 1, 1], [same, P(0.9, 0.1), same]).Auc, Is.EqualTo(0.25));
        Assert.That(Of([0, 1, 1], [same, P(0.1, 0.9), same]).Auc, Is.EqualTo(0.75));
        Assert.That(Of([0, 1], [same, same]).Confusion, Is.EqualTo(new[,] { { 1, 0 }, { 1, 0 } }), "of equals the first is predicted");
    }

    [Test]
    public void Where_one_class_occurs_there_is_no_auc_and_the_correlation_is_0()
    {
        ClassificationReport report = Of([1, 1], [P(0.1, 0.9), P(0.8, 0.2)]);
        Assert.That((report.Auc, report.Matthews, report.Accuracy), Is.EqualTo(((double?)null, 0.0, 0.5)));
        Assert.That(Of([0], [P(1)], ["all"]).Auc, Is.Null);
        Assert.That(Of([0, 1], [P(0.9, 0.1), P(0.8, 0.2)]).Matthews, Is.Zero, "one class is all that was predicted");
        Assert.That(Of([1], [P(0.1, 0.9)]).Accuracy, Is.EqualTo(1), "one example");
    }

    [Test]
    public void All_right_is_1_and_all_wrong_minus_1()
    {
        double[][] rows = [P(0.9, 0.1), P(0.2, 0.8), P(0.3, 0.7)];
        ClassificationReport right = Of([0, 1, 1], rows), wrong = Of([1, 0, 0], rows);
        Assert.That((right.Matthews, right.Auc, right.Accuracy), Is.EqualTo((1.0, (double?)1.0, 1.0)));
        Assert.That((wrong.Matthews, wrong.Auc, wrong.Accuracy), Is.EqualTo((-1.0, (double?)0.0, 0.0)));
    }

    [TestCase(double.NaN)]
    [TestCase(double.PositiveInfinity)]
    public void A_prediction_that_is_no_number_is_wrong_everywhere_and_counted(double broken)
    {
        ClassificationReport report = Of([1, 0, 1, 0], [[-1, broken], P(0.9, 0.1), P(0.1, 0.9), [broken, -1]]);
        Assert.Multiple(() =>
        {
            Assert.That((report.Count, report.NotNumbers, report.Accuracy), Is.EqualTo((4, 2, 0.5)));
            Assert.That(report.Nll, Is.NaN);
            Assert.That(report.Auc, Is.EqualTo(0.25), "of the four pairs the one of numbers is in order");
            Assert.That(report.Confusion, Is.EqualTo(new[,] { { 1, 0 }, { 0, 1 } }));
            Assert.That(report.Recall, Is.EqualTo(new double?[] { 0.5, 0.5 }));
            Assert.That(report.Precision, Is.EqualTo(new double?[] { 1, 1 }));
            // s 4, c 2; t 2, 2; p 1, 1 and 2 of no class: (8 − 4) / √((16 − 6)(16 − 8))
            Assert.That(report.Matthews, Is.EqualTo(4 / Math.Sqrt(80)).Within(1e-15));
        });
        Assert.That(Of([0, 1], [[double.NegativeInfinity, double.NegativeInfinity], P(0, 1)]).NotNumbers, Is.EqualTo(1), "p = 0 for all is no prediction");
    }

    [Test]
    public void A_true_class_of_probability_0_makes_the_nll_infinite_and_nothing_else()
    {
        ClassificationReport report = Of([1, 0], [P(1, 0), P(0.5, 0.5)]);
        Assert.That((report.Nll, report.NotNumbers, report.Auc, report.Accuracy), Is.EqualTo((double.PositiveInfinity, 0, (double?)0.0, 0.5)));
        // −∞ of a number is above what is no number
        Assert.That(Of([0, 1], [P(1, 0), [double.NaN, 0]]).Auc, Is.Zero);
        Assert.That(Of([0, 1, 1], [P(1, 0), P(1, 0), [double.NaN, 0]]).Auc, Is.EqualTo(0.25));
    }

    [TestCase(2, 200)]
    [TestCase(3, 200)]
    [TestCase(7, 61)]
    [TestCase(2, 2)]
    public void Auc_agrees_with_all_pairs_and_matthews_with_the_correlation_of_indicators(int k, int n)
    {
        for (int seed = 0; seed < 20; seed++)
        {
            var random = new Random(seed);
            int occurring = seed % 2 == 0 ? k : Math.Max(2, k - 1);                     // the last class may not occur
            int[] labels = [.. Enumerable.Range(0, n).Select(i => i < 2 ? i : random.Next(occurring))];
            double[][] rows = [.. labels.Select(label => Row(random, k, label))];
            ClassificationReport report = Of(labels, rows, [.. Enumerable.Range(0, k).Select(i => $"{i}")]);
            int[] present = [.. labels.Distinct()];
            double auc = k == 2 ? Pairs(labels, rows, 1) : present.Average(c => Pairs(labels, rows, c));
            Assert.That(report.Auc, Is.EqualTo(auc).Within(1e-12), $"seed {seed}");
            int[] predicted = [.. rows.Select(row => Array.IndexOf(row, row.Max()))];
            Assert.That(report.Matthews, Is.EqualTo(Correlation(labels, predicted, k)).Within(1e-12), $"seed {seed}");
            Assert.That(report.Accuracy, Is.EqualTo(labels.Zip(predicted).Count(pair => pair.First == pair.Second) / (double)n), $"seed {seed}");
        }

        // Of ten levels, so that there are ties.
        static double[] Row(Random random, int k, int label)
        {
            double[] p = [.. Enumerable.Range(0, k).Select(i => random.Next(1, 10) + (i == label ? 2.0 : 0))];
            return [.. p.Select(x => Math.Log(x / p.Sum()))];
        }
    }

    // Each example of the class against each that is not.
    static double Pairs(int[] labels, double[][] rows, int c)
    {
        double won = 0, pairs = 0;
        for (int i = 0; i < labels.Length; i++)
            for (int j = 0; j < labels.Length; j++)
                if (labels[i] == c && labels[j] != c)
                {
                    pairs++;
                    won += rows[i][c] > rows[j][c] ? 1 : rows[i][c] == rows[j][c] ? 0.5 : 0;
                }
        return won / pairs;
    }

    // Covariances of the indicators of the classes, summed over the classes: what R_K is, without the counts it is computed from.
    static double Correlation(int[] labels, int[] predicted, int k)
    {
        double Covariance(int[] x, int[] y) => Enumerable.Range(0, k).Sum(c =>
        {
            double[] u = [.. x.Select(v => v == c ? 1.0 : 0)], v = [.. y.Select(w => w == c ? 1.0 : 0)];
            (double mu, double mv) = (u.Average(), v.Average());
            return u.Zip(v, (a, b) => (a - mu) * (b - mv)).Sum();
        });
        double under = Covariance(labels, labels) * Covariance(predicted, predicted);
        return under > 0 ? Covariance(labels, predicted) / Math.Sqrt(under) : 0;
    }

    [Test]
    public void A_report_goes_through_json()
    {
        ClassificationReport report = Of([1, 0, 2, 1], [P(0.1, 0.8, 0.1), P(0.5, 0.3, 0.2), P(0.2, 0.5, 0.3), P(0.6, 0.3, 0.1)], Three);
        string json = report.ToJson();
        ClassificationReport again = ClassificationReport.FromJson(json);
        Assert.That(again.ToJson(), Is.EqualTo(json));
        Assert.That((again.Nll, again.Auc, again.Matthews), Is.EqualTo((report.Nll, report.Auc, report.Matthews)));
        Assert.That(again.Confusion, Is.EqualTo(report.Confusion));
        Assert.That(JsonNode.Parse(json)!.AsObject().Select(pair => pair.Key), Is.EqualTo(new[]
        {
            "classes", "count", "not_numbers", "accuracy", "nll", "auc", "matthews", "confusion", "support", "precision", "recall",
        }));
        Assert.That((string?)JsonNode.Parse(json)!["classes"]![2], Is.EqualTo("c"));
        Assert.That((int)JsonNode.Parse(json)!["confusion"]![1]![0]!, Is.EqualTo(1));
    }

    [Test]
    public void What_json_has_no_word_for_is_null_and_comes_back()
    {
        ClassificationReport infinite = Of([1], [P(1, 0)]), none = Of([1], [[double.NaN, 0]]);
        Assert.That(infinite.ToJson(), Does.Contain("\"nll\": null").And.Contain("\"auc\": null"));
        Assert.That(ClassificationReport.FromJson(infinite.ToJson()).Nll, Is.EqualTo(double.PositiveInfinity));
        Assert.That(ClassificationReport.FromJson(none.ToJson()).Nll, Is.NaN);
        Assert.That(ClassificationReport.FromJson(none.ToJson()).NotNumbers, Is.EqualTo(1));
    }

    [Test]
    public void A_report_that_is_broken_is_refused_in_one_line()
    {
        string json = Of([1, 0], [P(0.1, 0.9), P(0.5, 0.5)]).ToJson();
        string[] broken =
        [
            "", "null", "[]", "{}", json[..^4],
            json.Replace("\"count\": 2", "\"count\": 3", StringComparison.Ordinal),
            json.Replace("\"count\": 2", "\"count\": 0", StringComparison.Ordinal),
            json.Replace("\"not_numbers\": 0", "\"not_numbers\": 1", StringComparison.Ordinal),
            json.Replace("\"yes\"", "\"yes\", \"more\"", StringComparison.Ordinal),
        ];
        foreach (string text in broken)
            Assert.That(() => ClassificationReport.FromJson(text, "r.json"), Throws.TypeOf<MambaException>()
                .With.Message.StartsWith("r.json: this is not a classification report: ").And.Message.Not.Contain("\n"), text);
        Assert.That(() => RegressionReport.FromJson("{\"count\": 1, \"not_numbers\": 2, \"mse\": 0, \"mae\": 0}", "r.json"),
            Throws.TypeOf<MambaException>().With.Message.StartsWith("r.json: this is not a regression report: "));
    }

    [Test]
    public void Sizes_that_do_not_agree_are_refused()
    {
        string Message(int[] labels, double[][] rows, params string[] classes) =>
            Assert.Throws<MambaException>(() => ClassificationReport.Of(labels, rows, classes))!.Message;
        Assert.Multiple(() =>
        {
            Assert.That(Message([], [], "a", "b"), Is.EqualTo("ClassificationReport: there are 0 labels of 2 classes; expected at least one of each."));
            Assert.That(Message([0], [[]]), Does.Contain("1 labels of 0 classes"));
            Assert.That(Message([0, 1], [[0, 0]], "a", "b"), Does.Contain("2 labels and 1 predictions"));
            Assert.That(Message([0, 2], [[0, 0], [0, 0]], "a", "b"), Does.Contain("label 1 is 2; expected 0 to 1"));
            Assert.That(Message([-1], [[0, 0]], "a", "b"), Does.Contain("label 0 is -1"));
            Assert.That(Message([0, 1], [[0, 0], [0, 0, 0]], "a", "b"), Does.Contain("prediction 1 has 3 numbers; expected 2"));
        });
    }

    [Test]
    public void Errors_of_values_by_hand()
    {
        var report = new RegressionReport();
        Assert.That((report.Count, report.Mse, report.Mae), Is.EqualTo((0L, double.NaN, double.NaN)), "nothing yet");
        report.Add(1, 3);
        Assert.That((report.Mse, report.Mae), Is.EqualTo((4.0, 2.0)));
        report.Add(-1, -2);
        report.Add(5, 5);
        Assert.That((report.Count, report.Mse, report.Mae), Is.EqualTo((3L, 5.0 / 3, 1.0)).Within(1e-15));
        Assert.That(() => report.Add(0, double.NaN), Throws.TypeOf<MambaException>().With.Message.EqualTo(
            "RegressionReport: target 3 is NaN; expected a finite number."));
        Assert.That(report.Count, Is.EqualTo(3), "what was refused is not counted");
    }

    [Test]
    public void Many_values_agree_with_two_passes()
    {
        var random = new Random(1);
        (double P, double T)[] values = [.. Enumerable.Range(0, 10_001).Select(_ => (random.NextDouble() * 1e3, random.NextDouble()))];
        var report = new RegressionReport();
        foreach ((double p, double t) in values)
            report.Add(p, t);
        Assert.That(report.Mse, Is.EqualTo(values.Average(v => (v.P - v.T) * (v.P - v.T))).Within(1e-12).Percent);
        Assert.That(report.Mae, Is.EqualTo(values.Average(v => Math.Abs(v.P - v.T))).Within(1e-12).Percent);
    }

    [Test]
    public void A_value_that_is_no_number_spoils_the_means_and_is_counted()
    {
        var report = new RegressionReport();
        report.Add(double.PositiveInfinity, 1);
        report.Add(2, 1);
        Assert.That((report.Count, report.NotNumbers, report.Mse, report.Mae), Is.EqualTo((2L, 1L, double.NaN, double.NaN)));
        Assert.That(report.ToJson(), Does.Contain("\"mse\": null").And.Contain("\"not_numbers\": 1"));
        Assert.That(RegressionReport.FromJson(report.ToJson()).Mse, Is.NaN);
    }

    [Test]
    public void A_report_on_values_goes_through_json_and_goes_on()
    {
        var report = new RegressionReport();
        report.Add(0.1, 0.7);
        report.Add(0.3, 0.9);
        RegressionReport again = RegressionReport.FromJson(report.ToJson());
        Assert.That((again.Count, again.Mse, again.Mae), Is.EqualTo((report.Count, report.Mse, report.Mae)));
        report.Add(5, 1);
        again.Add(5, 1);
        Assert.That(again.ToJson(), Is.EqualTo(report.ToJson()));
        Assert.That(RegressionReport.FromJson(new RegressionReport().ToJson()).Mse, Is.NaN, "none yet");
    }
}
