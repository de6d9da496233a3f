using System.Buffers;
using System.Text;
using System.Text.Json;

namespace Mamba;

/// <summary>
/// <c>log.jsonl</c>: a line for each step, and one for each measurement on what is held out, after that of its step; handed to the system as soon as it is
/// known.
/// </summary>
internal sealed class TrainLog : IDisposable
{
    const int LongestLine = 1 << 16;        // a line has some two hundred bytes

    readonly FileStream file;
    readonly ArrayBufferWriter<byte> buffer = new(256);
    readonly Utf8JsonWriter json;

    /// <summary>Opens the log and cuts it after the line of <paramref name="step"/>: what came later will be done again.</summary>
    public TrainLog(string path, long step)
    {
        try
        {
            if (FileNode.Of(path) is { Kind: not NodeKind.File })
                throw new IOException("expected a file, to be cut and written to at its end");
            file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);
            (long end, bool whole) = Lines(file).TakeWhile(line => line.Step <= step).Select(line => (line.End, line.Whole)).LastOrDefault((0, true));
            file.SetLength(end);
            file.Seek(0, SeekOrigin.End);
            if (!whole)
                file.Write("\n"u8);
        }
        catch (Exception e) when (InputFile.IsOfFiles(e))
        {
            file?.Dispose();
            throw new MambaException($"{path}: cannot be written: {InputFile.Sentence(e)}", e);
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
        json.WriteNumber("grad_norm"u8, report.GradientNorm);
        json.WriteNumber("stage"u8, report.Stage);
        json.WriteNumber("length"u8, report.Length);
        json.WriteNumber("batch"u8, report.Batch);
        json.WriteNumber("lr"u8, report.LearningRate);
        json.WriteNumber("tokens"u8, report.Tokens);
        json.WriteNumber("tokens_per_second"u8, Math.Round(tokensPerSecond));
        End();
    }

    public void Write(in ValidationReport report)
    {
        buffer.ResetWrittenCount();
        json.Reset();
        json.WriteStartObject();
        json.WriteNumber("step"u8, report.Step);
        json.WriteNumber("val_loss"u8, report.Loss);
        if (report.BitsPerByte is { } bits)
            json.WriteNumber("bits_per_byte"u8, bits);
        if (report.Accuracy is { } accuracy)
            json.WriteNumber("val_accuracy"u8, accuracy);
        json.WriteBoolean("best"u8, report.IsBest);
        End();
    }

    void End()
    {
        json.WriteEndObject();
        json.Flush();
        buffer.Write("\n"u8);
        file.Write(buffer.WrittenSpan);
    }

    /// <summary>A line, of one of the two kinds.</summary>
    readonly record struct Line(StepReport? Training, ValidationReport? Validation)
    {
        public long Step => Training?.Step ?? Validation!.Value.Step;

        /// <summary>Whether it may follow the line of a step.</summary>
        public bool Follows(long step) => Training is null ? Step >= step : Step > step;
    }

    /// <summary>Forces what was written to the disk.</summary>
    public void Flush() => file.Flush(flushToDisk: true);

    /// <summary>
    /// The lines of a log that tell of steps, each of a later one than that before it, or of the same one where it tells of what is held out. Where a line
    /// ends is counted in the bytes of the file, whatever they are: a byte-order mark, the line ends of another system, letters torn in half. Lines that
    /// cannot be read are passed over.
    /// </summary>
    /// <returns>What the line says, where it ends, and whether it has an end; only the last one may have none.</returns>
    static IEnumerable<(long Step, Line Line, long End, bool Whole)> Lines(Stream stream)
    {
        long end = 0, step = 0;
        bool torn = false;                  // the line is too long to be one, and its start is gone
        byte[] piece = new byte[LongestLine];
        for (int filled = 0; ;)
        {
            int read = stream.ReadAtLeast(piece.AsSpan(filled), 1, throwOnEndOfStream: false), start = 0;
            filled += read;
            for (int length; start < filled; start += length)
            {
                int feed = Array.IndexOf(piece, (byte)'\n', start, filled - start);
                bool whole = feed >= 0;
                if (!whole && read > 0 && (start > 0 || filled < piece.Length))
                    break;                  // there may be more of it
                length = whole ? feed + 1 - start : filled - start;
                end += length;
                if (!torn && (whole || read == 0) && Parse(piece.AsMemory(start, length), first: end == length) is { } line && line.Follows(step))
                {
                    step = line.Step;
                    yield return (step, line, end, whole);
                }
                torn = !whole;
            }
            if (read == 0)
                yield break;
            piece.AsSpan(start, filled - start).CopyTo(piece);
            filled -= start;
        }
    }

    /// <summary>The steps a log tells of, and the measurements on what is held out.</summary>
    public static (List<StepReport> Steps, List<ValidationReport> Validations) Read(string path)
    {
        InputFile.ExpectFile(path);
        return InputFile.Reading<(List<StepReport>, List<ValidationReport>)>(path, () =>
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            Line[] lines = [.. Lines(stream).Select(line => line.Line)];
            return ([.. lines.Select(line => line.Training).OfType<StepReport>()], [.. lines.Select(line => line.Validation).OfType<ValidationReport>()]);
        });
    }

    static Line? Parse(ReadOnlyMemory<byte> line, bool first)
    {
        try
        {
            if (first && line.Span.StartsWith(Encoding.UTF8.Preamble))
                line = line[Encoding.UTF8.Preamble.Length..];
            using JsonDocument document = JsonDocument.Parse(line);
            JsonElement e = document.RootElement;
            if (e.TryGetProperty("val_loss", out JsonElement loss))
            {
                double? bits = e.TryGetProperty("bits_per_byte", out JsonElement perByte) ? perByte.GetDouble() : null;
                double? accuracy = e.TryGetProperty("val_accuracy", out JsonElement right) ? right.GetDouble() : null;
                return new(null, new ValidationReport(e.GetProperty("step").GetInt64(), loss.GetDouble(), bits, e.GetProperty("best").GetBoolean())
                {
                    Accuracy = accuracy,
                });
            }
            return new(new StepReport(
                e.GetProperty("step").GetInt64(),
                e.GetProperty("stage").GetInt32(),
                e.GetProperty("length").GetInt32(),
                e.GetProperty("batch").GetInt32(),
                e.GetProperty("loss").GetDouble(),
                e.GetProperty("accuracy").GetDouble(),
                e.TryGetProperty("grad_norm", out JsonElement norm) ? norm.GetDouble() : double.NaN,
                e.GetProperty("lr").GetDouble(),
                e.GetProperty("tokens").GetInt64()), null);
        }
        catch (Exception e) when (JsonText.IsMalformed(e))
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
