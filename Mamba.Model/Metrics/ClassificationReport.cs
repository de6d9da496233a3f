using System.Text.Json;

namespace Mamba;

/// <summary>
/// How well examples were told apart: k classes, and of each example log p of every class. The prediction is the class with the largest, the first of equals.
/// A prediction that is no number (a NaN among its log p, or an infinite largest one) is none: it counts as wrong everywhere, and <see cref="NotNumbers"/>
/// says how many there were.
/// </summary>
public sealed class ClassificationReport
{
    static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        AllowDuplicateProperties = false,
    };

    ClassificationReport(IReadOnlyList<string> classes, int[,] confusion, int[] support, double nll, double? auc)
    {
        (Classes, Confusion, Support, Nll, Auc) = (classes, confusion, support, nll, auc);
        int right = 0, numbers = 0;
        for (int i = 0; i < classes.Count; i++)
        {
            right += confusion[i, i];
            for (int j = 0; j < classes.Count; j++)
                numbers += confusion[i, j];
        }
        Count = support.Sum();
        NotNumbers = Count - numbers;
        Accuracy = (double)right / Count;
        Matthews = MatthewsOf(right);
        Precision = [.. classes.Select((_, j) => Share(confusion[j, j], Predicted(j)))];
        Recall = [.. classes.Select((_, i) => Share(confusion[i, i], support[i]))];
    }

    /// <summary>The names of the classes, k of them.</summary>
    public IReadOnlyList<string> Classes { get; }

    /// <summary>Examples.</summary>
    public int Count { get; }

    /// <summary>Examples whose prediction was no number.</summary>
    public int NotNumbers { get; }

    /// <summary>The share that was right, 0 to 1.</summary>
    public double Accuracy { get; }

    /// <summary>The mean of −log p of the true class, in nats: infinite where one had p = 0, NaN where a prediction was no number.</summary>
    public double Nll { get; }

    /// <summary>
    /// The chance that of two examples, one of the class and one that is not, the first has the larger log p of it; equals count half. Of two classes that of
    /// the second, class 1; of more the mean over those that occur, each against the rest (macro average). An example whose prediction was no number loses
    /// each comparison. Null where only one class occurs. Hanley and McNeil 1982.
    /// </summary>
    public double? Auc { get; }

    /// <summary>
    /// The correlation of true and predicted classes, −1 to 1: Matthews 1975 for two, R_K of Gorodkin 2004 for more. 0 where it is undefined, which is where
    /// only one class occurs or only one was predicted. Predictions that were no numbers are a class of their own, which never occurs.
    /// </summary>
    public double Matthews { get; }

    /// <summary>(k, k): examples of the class of the row that were taken for the class of the column. Predictions that were no numbers are in none.</summary>
    public int[,] Confusion { get; }

    /// <summary>(k): examples of each class.</summary>
    public IReadOnlyList<int> Support { get; }

    /// <summary>(k): the share of what was taken for a class that was of it; null where nothing was.</summary>
    public IReadOnlyList<double?> Precision { get; }

    /// <summary>(k): the share of a class that was taken for it; null where the class does not occur.</summary>
    public IReadOnlyList<double?> Recall { get; }

    /// <summary>Looks at predictions.</summary>
    /// <param name="labels">(n): the true classes, 0 to k − 1; at least one.</param>
    /// <param name="logProbabilities">(n) of (k): log p of each class.</param>
    /// <param name="classes">(k): their names.</param>
    /// <exception cref="MambaException">There are no examples, the sizes do not agree, or a label is no class.</exception>
    public static ClassificationReport Of(IReadOnlyList<int> labels, IReadOnlyList<double[]> logProbabilities, IReadOnlyList<string> classes)
    {
        int n = labels.Count, k = classes.Count;
        if (n == 0 || k == 0)
            throw new MambaException($"ClassificationReport: there are {n} labels of {k} classes; expected at least one of each.");
        if (logProbabilities.Count != n)
            throw new MambaException($"ClassificationReport: there are {n} labels and {logProbabilities.Count} predictions; expected one for each.");
        int[,] confusion = new int[k, k];
        int[] support = new int[k];
        bool[] isNumber = new bool[n];
        double sum = 0;
        for (int i = 0; i < n; i++)
        {
            (int label, double[] row) = (labels[i], logProbabilities[i]);
            if (label < 0 || label >= k)
                throw new MambaException($"ClassificationReport: label {i} is {label}; expected 0 to {k - 1}, as there are {k} classes.");
            if (row.Length != k)
                throw new MambaException($"ClassificationReport: prediction {i} has {row.Length} numbers; expected {k}, one for each class.");
            support[label]++;
            int predicted = Largest(row);
            isNumber[i] = predicted >= 0;
            if (isNumber[i])
                confusion[label, predicted]++;
            sum += isNumber[i] ? -row[label] : double.NaN;
        }
        return new ClassificationReport([.. classes], confusion, support, sum / n, AucOf(labels, logProbabilities, isNumber, support));
    }

    // −1: none of them is a number, or not all.
    static int Largest(double[] row)
    {
        int best = 0;
        for (int j = 0; j < row.Length; j++)
            if (double.IsNaN(row[j]))
                return -1;
            else if (row[j] > row[best])
                best = j;
        return double.IsFinite(row[best]) ? best : -1;
    }

    static double? AucOf(IReadOnlyList<int> labels, IReadOnlyList<double[]> logProbabilities, bool[] isNumber, int[] support)
    {
        int[] occurring = [.. Enumerable.Range(0, support.Length).Where(c => support[c] > 0)];
        if (occurring.Length < 2)
            return null;
        return support.Length == 2 ? Of(1) : occurring.Average(Of);

        // From the sum of the ranks of the class's examples, from 1, equals having the middle one of theirs: Mann and Whitney 1947.
        double Of(int c)
        {
            ((int, double) Place, bool IsOf)[] sorted = [.. labels.Select((label, i) => (PlaceOf(i, c), label == c)).OrderBy(example => example.Item1)];
            double ranks = 0;
            for (int start = 0, end; start < sorted.Length; start = end)
            {
                int of = 0;
                for (end = start; end < sorted.Length && sorted[end].Place == sorted[start].Place; end++)
                    of += sorted[end].IsOf ? 1 : 0;
                ranks += of * (start + 1 + end) / 2.0;
            }
            double positive = support[c], negative = labels.Count - positive;
            return (ranks - positive * (positive + 1) / 2) / (positive * negative);
        }

        // What is no number is below all others where it should be high, and above them where it should be low.
        (int, double) PlaceOf(int i, int c) => isNumber[i] ? (1, logProbabilities[i][c]) : (labels[i] == c ? 0 : 2, 0);
    }

    // (c·s − Σ p_k t_k) / √((s² − Σ p_k²)(s² − Σ t_k²)): Gorodkin 2004, with s examples, c of them right, t_k of class k and p_k taken for it.
    double MatthewsOf(int right)
    {
        double s = Count, both = 0, predicted = (double)NotNumbers * NotNumbers, occurring = 0;
        for (int c = 0; c < Classes.Count; c++)
        {
            double p = Predicted(c), t = Support[c];
            (both, predicted, occurring) = (both + p * t, predicted + p * p, occurring + t * t);
        }
        double under = (s * s - predicted) * (s * s - occurring);
        return under > 0 ? (right * s - both) / Math.Sqrt(under) : 0;
    }

    int Predicted(int c) => Enumerable.Range(0, Classes.Count).Sum(i => Confusion[i, c]);

    static double? Share(int some, int all) => all > 0 ? (double)some / all : null;

    /// <summary>The report as JSON, names in snake case. JSON has no NaN and no infinity: these are null.</summary>
    public string ToJson() => JsonSerializer.Serialize(new Stored(Classes, Count, NotNumbers, Accuracy, double.IsFinite(Nll) ? Nll : null, Auc, Matthews,
        [.. Classes.Select((_, i) => Enumerable.Range(0, Classes.Count).Select(j => Confusion[i, j]).ToArray())], Support, Precision, Recall), Json) + "\n";

    /// <summary>Reads what <see cref="ToJson"/> wrote; what follows from other numbers is computed again.</summary>
    /// <param name="json">The text.</param>
    /// <param name="source">Where it came from, for the message.</param>
    /// <exception cref="MambaException">It is no JSON, or not that of a report.</exception>
    public static ClassificationReport FromJson(string json, string source = "report.json")
    {
        try
        {
            Stored stored = JsonSerializer.Deserialize<Stored>(json, Json) ?? throw new JsonException("it is null");
            int k = stored.Classes.Count;
            if (stored.Count < 1)
                throw new JsonException($"count is {stored.Count}");
            if (stored.Confusion.Length != k || stored.Confusion.Any(row => row?.Length != k) || stored.Support.Count != k)
                throw new JsonException($"confusion or support is not of the {k} classes");
            int[,] confusion = new int[k, k];
            for (int i = 0; i < k; i++)
                for (int j = 0; j < k; j++)
                    confusion[i, j] = stored.Confusion[i][j];
            var report = new ClassificationReport(stored.Classes, confusion, [.. stored.Support],
                stored.Nll ?? (stored.NotNumbers > 0 ? double.NaN : double.PositiveInfinity), stored.Auc);
            return report.Count == stored.Count && report.NotNumbers == stored.NotNumbers ? report
                : throw new JsonException($"count is {stored.Count} and not_numbers {stored.NotNumbers}, which is not what confusion and support add up to");
        }
        catch (Exception e) when (JsonText.IsMalformed(e))
        {
            throw new MambaException($"{source}: this is not a classification report: {InputFile.Sentence(e)}", e);
        }
    }

    sealed record Stored(IReadOnlyList<string> Classes, int Count, int NotNumbers, double Accuracy, double? Nll, double? Auc, double Matthews,
        int[][] Confusion, IReadOnlyList<int> Support, IReadOnlyList<double?> Precision, IReadOnlyList<double?> Recall);
}
