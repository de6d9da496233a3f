using System.Buffers;
using System.Text;
using System.Text.Json;

namespace Mamba;

/// <summary><c>log.jsonl</c>: a line for each step, handed to the system as soon as it is known.</summary>
internal sealed class TrainLog : IDisposable
{
    readonly FileStream file;
    readonly ArrayBufferWriter<byte> buffer = new(256);
    readonly Utf8JsonWriter json;

    /// <summary>Opens the log and cuts it after the line of <paramref name="step"/>: what came later will be done again.</summary>
    public TrainLog(string path, long step)
    {
        try
        {
            file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);
            file.SetLength(LengthOf(file, step));
            file.Seek(0, SeekOrigin.End);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            file?.Dispose();
            throw new MambaException($"{path}: cannot be written: {e.Message}", e);
        }
        json = new Utf8JsonWriter(buffer);
    }

    public void Write(in StepReport report, double tokensPerSecond)
    {
        buffer.ResetWrittenCount();
        json.Reset();
        json.WriteStartObject();
        json.WriteNumber("step"u8, report.Step);
        json.WriteNumber("loss"u8, report.Loss);            // the shortest digits that give the same number back
        json.WriteNumber("accuracy"u8, report.Accuracy);
        if (double.IsFinite(report.GradientNorm))
            json.WriteNumber("grad_norm"u8, report.GradientNorm);
        json.WriteNumber("stage"u8, report.Stage);
        json.WriteNumber("length"u8, report.Length);
        json.WriteNumber("batch"u8, report.Batch);
        json.WriteNumber("lr"u8, report.LearningRate);
        json.WriteNumber("tokens"u8, report.Tokens);
        json.WriteNumber("tokens_per_second"u8, Math.Round(tokensPerSecond));
        json.WriteEndObject();
        json.Flush();
        buffer.Write("\n"u8);
        file.Write(buffer.WrittenSpan);
    }

    /// <summary>Forces what was written to the disk.</summary>
    public void Flush() => file.Flush(flushToDisk: true);

    /// <summary>The whole lines at the start of a log that belong to steps 1, 2, 3, … up to <paramref name="last"/>.</summary>
    static IEnumerable<(StepReport Report, long End)> Lines(Stream stream, long last)
    {
        using var reader = new StreamReader(stream, Encoding.UTF8, leaveOpen: true);
        long end = 0, length = stream.Length;
        for (long step = 1; step <= last && reader.ReadLine() is { } line; step++)
        {
            end += Encoding.UTF8.GetByteCount(line) + 1;
            if (end > length || Parse(line) is not { } report || report.Step != step)
                yield break;
            yield return (report, end);
        }
    }

    static long LengthOf(Stream stream, long step) => Lines(stream, step).Select(line => line.End).DefaultIfEmpty(0).Last();

    /// <summary>The steps a log tells of.</summary>
    public static List<StepReport> Read(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        return [.. Lines(stream, long.MaxValue).Select(line => line.Report)];
    }

    static StepReport? Parse(string line)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(line);
            JsonElement e = document.RootElement;
            return new StepReport(e.GetProperty("step").GetInt64(), e.GetProperty("stage").GetInt32(), e.GetProperty("length").GetInt32(), e.GetProperty("batch").GetInt32(),
                e.GetProperty("loss").GetDouble(), e.GetProperty("accuracy").GetDouble(),
                e.TryGetProperty("grad_norm", out JsonElement norm) ? norm.GetDouble() : double.NaN, e.GetProperty("lr").GetDouble(), e.GetProperty("tokens").GetInt64());
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }

    public void Dispose()
    {
        json.Dispose();
        file.Dispose();
    }
}
