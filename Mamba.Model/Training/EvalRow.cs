using System.Text.Json;

namespace Mamba;

/// <summary>How a model does at one length.</summary>
/// <param name="Length">Length of the sequences, as the task counts it.</param>
/// <param name="Accuracy">Share of the answers that were right, 0 to 1.</param>
/// <param name="Sequences">Sequences looked at.</param>
public sealed record EvalRow(int Length, double Accuracy, int Sequences)
{
    static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary>Writes rows as a JSON array, one to a line.</summary>
    public static void Save(string path, IEnumerable<EvalRow> rows) =>
        AtomicFile.WriteText(path, "[\n" + string.Join(",\n", rows.Select(row => "  " + JsonSerializer.Serialize(row, Json))) + "\n]\n");
}
