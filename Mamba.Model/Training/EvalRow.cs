using System.Text.Json;

namespace Mamba;

/// <summary>How a model does at one length.</summary>
/// <param name="Length">Length of the sequences, as the task counts it.</param>
/// <param name="Accuracy">Share of the answers that were right, 0 to 1; NaN if the largest of an answer's logits was infinite or NaN.</param>
/// <param name="Sequences">Sequences looked at.</param>
public sealed record EvalRow(int Length, double Accuracy, int Sequences)
{
    static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary>Writes rows as a JSON array, one to a line. JSON has no NaN: that is null.</summary>
    /// <param name="path">The file, replaced if it is there.</param>
    /// <param name="rows">Shortest first, as a rule.</param>
    /// <exception cref="MambaException">The file cannot be written.</exception>
    public static void Save(string path, IEnumerable<EvalRow> rows)
    {
        AtomicFile.WriteText(path, "[\n" + string.Join(",\n", rows.Select(row => "  " + Line(row))) + "\n]\n");

        static string Line(EvalRow row)
        {
            double? accuracy = double.IsNaN(row.Accuracy) ? (double?)null : row.Accuracy;
            return JsonSerializer.Serialize(new { row.Length, Accuracy = accuracy, row.Sequences }, Json);
        }
    }
}
