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
    public static void Save(string path, IEnumerable<EvalRow> rows) =>
        AtomicFile.WriteText(path, "[\n" + string.Join(",\n", rows.Select(row => "  " + JsonSerializer.Serialize(new { row.Length, Accuracy = double.IsNaN(row.Accuracy) ? (double?)null : row.Accuracy, row.Sequences }, Json))) + "\n]\n");
}
