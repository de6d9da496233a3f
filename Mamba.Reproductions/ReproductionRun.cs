using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using Mamba.Pictures;

namespace Mamba.Reproductions;

/// <summary>
/// A reproduction while it runs: what it runs on, and what it prints, draws and claims. All of it goes into the folder, too: <c>results.json</c>,
/// <c>results.md</c> and the pictures.
/// </summary>
/// <param name="device">What it runs on.</param>
/// <param name="folder">Where the results go.</param>
/// <param name="screen">What is printed.</param>
/// <param name="stop">Ends it with an <see cref="OperationCanceledException"/>.</param>
internal sealed class ReproductionRun(Device device, string folder, Screen screen, CancellationToken stop = default)
{
    static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true };

    readonly Stopwatch watch = Stopwatch.StartNew();
    readonly List<object> tables = [];
    readonly List<(string Verdict, string Sentence)> claims = [];
    readonly List<string> pictures = [];
    readonly StringBuilder page = new();

    /// <summary>What it runs on.</summary>
    public Device Device => device;

    /// <summary>How large it is.</summary>
    public Size Size { get; init; } = Size.Reduced;

    /// <summary>Each is a training of its own: 0, 1, ….</summary>
    public IReadOnlyList<ulong> Seeds { get; init; } = [0];

    /// <summary>What --data names.</summary>
    public string? Data { get; init; }

    /// <summary>Ends it.</summary>
    public CancellationToken Stop => stop;

    /// <summary>Trainings that are done.</summary>
    public int Trained { get; private set; }

    /// <summary>Whether all that was claimed holds.</summary>
    public bool Holds => claims.TrueForAll(claim => claim.Verdict != "FALSE");

    /// <summary>One of three values, by the size.</summary>
    public T Of<T>(T quick, T reduced, T full) => Size switch { Size.Quick => quick, Size.Reduced => reduced, _ => full };

    /// <summary>One line.</summary>
    public void Say(string line) => screen.Say(line);

    /// <summary>How far the work is; ends it if it shall end.</summary>
    public void Progress(Func<string> line)
    {
        stop.ThrowIfCancellationRequested();
        screen.Progress(line);
    }

    /// <summary>Trains a model to the end of its stages, and tells how it goes.</summary>
    /// <param name="what">What is trained.</param>
    /// <param name="options">How.</param>
    /// <param name="config">What.</param>
    /// <param name="data">On what; null: what the options name.</param>
    /// <param name="after">Told of each step.</param>
    /// <returns>The trainer, which is the caller's.</returns>
    public Trainer Train(string what, TrainOptions options, MambaConfig config, TrainingData? data = null, Action<Trainer, StepReport>? after = null)
    {
        var trainer = new Trainer(options with { Device = device.Name }, config, device, data);
        try
        {
            long steps = options.Steps ?? options.Stages.Sum(stage => stage.Steps);
            while (!trainer.IsDone)
            {
                StepReport step = trainer.Step();
                Progress(() => $"{what}: step {step.Step:N0} of at most {steps:N0}, length {step.Length:N0}, loss {step.Loss:0.0000}, "
                    + $"accuracy {100 * trainer.State.Accuracy:0.0} %; {Time(watch.Elapsed)}");
                after?.Invoke(trainer, step);
            }
            Trained++;
            return trainer;
        }
        catch
        {
            trainer.Dispose();
            throw;
        }
    }

    /// <summary>Prints a table and keeps it.</summary>
    /// <param name="title">What is in it.</param>
    /// <param name="head">Its columns.</param>
    /// <param name="rows">Its cells: words, numbers, or null where there is nothing.</param>
    public void Table(string title, Head[] head, IEnumerable<object?[]> rows)
    {
        object?[][] all = [.. rows];
        string[][] cells = [[.. head.Select(column => column.Name)], .. all.Select(row => row.Select((cell, i) => Text(cell, head[i].Format)).ToArray())];
        int[] widths = [.. head.Select((_, i) => cells.Max(row => row[i].Length))];
        Say("");
        Say($"  {title}");
        foreach (string[] row in cells)
            Say("  " + string.Join("  ", row.Select((cell, i) => i == 0 ? cell.PadRight(widths[i]) : cell.PadLeft(widths[i]))).TrimEnd());
        page.Append(CultureInfo.InvariantCulture, $"\n{title}\n\n");
        foreach ((string[] row, int i) in cells.Select((row, i) => (row, i)))
        {
            page.Append(CultureInfo.InvariantCulture, $"| {string.Join(" | ", row)} |\n");
            if (i == 0)
                page.Append(CultureInfo.InvariantCulture, $"|{string.Concat(row.Select((_, column) => column == 0 ? "---|" : "--:|"))}\n");
        }
        tables.Add(new
        {
            Title = title,
            Columns = head.Select(column => column.Name),
            Rows = all.Select(row => row.Select(cell => cell is double value && !double.IsFinite(value) ? null : cell)),
        });
    }

    /// <summary>Draws a picture. When it cannot be drawn that is said, and nothing else is lost.</summary>
    /// <param name="name">Its file, without the ending.</param>
    /// <param name="draw">Makes it.</param>
    public void Draw(string name, Func<Sheet> draw)
    {
        try
        {
            Directory.CreateDirectory(folder);
            draw().Save(Path.Combine(folder, name + ".png"));
            pictures.Add(name + ".png");
        }
        catch (Exception e)
        {
            Say($"a picture could not be drawn: {e.GetBaseException().Message.ReplaceLineEndings(" ")}");
        }
    }

    /// <summary>Keeps a sound and its picture in the folder.</summary>
    /// <param name="name">Its file, without the ending.</param>
    /// <param name="sound">The sound.</param>
    /// <param name="title">What it is.</param>
    public void Keep(string name, WavAudio sound, string title)
    {
        Directory.CreateDirectory(folder);
        sound.Save(Path.Combine(folder, name + ".wav"));
        Draw(name, () => SpectrogramPicture.Of(sound.Samples, sound.SampleRate, title));
    }

    /// <summary>Claims a sentence, which holds or does not.</summary>
    /// <param name="sentence">What is claimed.</param>
    /// <param name="holds">Whether it is so.</param>
    /// <param name="measured">What was measured.</param>
    /// <param name="condition">How <paramref name="holds"/> is written; given by the compiler.</param>
    public void Claim(string sentence, bool holds, string? measured = null, [CallerArgumentExpression(nameof(holds))] string condition = "") =>
        Record(holds ? "holds" : "FALSE", $"{sentence}: {measured ?? condition}");

    /// <summary>
    /// Claims an order, one value for each seed: it holds where each value of the first is below each of the second, is false where each is above, and else
    /// nothing is claimed, as the seeds differ by more than the two; nor of one seed alone.
    /// </summary>
    /// <param name="sentence">What is claimed.</param>
    /// <param name="lower">Values that shall be lower.</param>
    /// <param name="higher">Values that shall be higher.</param>
    /// <param name="format">How they are printed.</param>
    public void ClaimOrder(string sentence, IReadOnlyList<double> lower, IReadOnlyList<double> higher, string format = "0.000")
    {
        bool numbers = lower.Concat(higher).All(double.IsFinite);
        bool seeds = Math.Min(lower.Count, higher.Count) > 1;
        string verdict = numbers && !seeds ? "open" : !numbers || lower.Min() > higher.Max() ? "FALSE" : lower.Max() < higher.Min() ? "holds" : "open";
        Record(verdict, $"{sentence}: {Range(lower, format)} and {Range(higher, format)}");
    }

    /// <summary>The mean, and from where to where if there are several.</summary>
    public static string Range(IReadOnlyList<double> values, string format) => values.Count == 1 ? Text(values[0], format)
        : $"{Text(values.Average(), format)} ({Text(values.Min(), format)} to {Text(values.Max(), format)})";

    void Record(string verdict, string sentence)
    {
        if (claims.Count == 0)
            Say("");
        claims.Add((verdict, sentence));
        Say($"  {verdict,-5}  {sentence}");
    }

    /// <summary>Writes <c>results.json</c> and <c>results.md</c>, and says where they are.</summary>
    /// <param name="reproduction">What was run.</param>
    public void Save(Reproduction reproduction)
    {
        string size = $"{Size}".ToLowerInvariant(), on = $"{device.Name} ({device.Description})";
        var results = new
        {
            reproduction.Name,
            reproduction.Table,
            Size = size,
            Device = on,
            Seeds,
            Seconds = Math.Round(watch.Elapsed.TotalSeconds, 1),
            Tables = tables,
            Claims = claims.Select(claim => new { claim.Sentence, Verdict = claim.Verdict.ToLowerInvariant() }),
            Pictures = pictures,
        };
        Directory.CreateDirectory(folder);
        AtomicFile.WriteText(Path.Combine(folder, "results.json"), JsonSerializer.Serialize(results, Json) + "\n");
        string head = $"# {reproduction.Name}: {reproduction.Summary} ({reproduction.Table})\n\n"
            + $"Size {size}, {(Seeds.Count == 1 ? "one seed" : $"{Seeds.Count} seeds")}, {on}, {Time(watch.Elapsed)}.\n";
        string verdicts = string.Concat(claims.Select(claim => $"- {claim.Verdict}: {claim.Sentence}\n"));
        string shown = string.Concat(pictures.Select(picture => $"\n![{reproduction.Name}]({picture})\n"));
        AtomicFile.WriteText(Path.Combine(folder, "results.md"), $"{head}{page}\n{verdicts}{shown}");
        int wrong = claims.Count(claim => claim.Verdict == "FALSE"), open = claims.Count(claim => claim.Verdict == "open");
        Say("");
        Say($"{reproduction.Name}: {claims.Count - wrong - open} of {claims.Count} hold{(open > 0 ? $", {open} open: the seeds differ by more" : "")}; "
            + $"{Time(watch.Elapsed)}; results.json, results.md{string.Concat(pictures.Select(picture => ", " + picture))} in {folder}");
    }

    static string Time(TimeSpan time) => time.TotalHours >= 1 ? $"{time:h\\:mm\\:ss}" : $"{time:m\\:ss}";

    static string Text(object? cell, string format) => cell switch
    {
        null => "",
        IFormattable number => number.ToString(format, CultureInfo.InvariantCulture),
        _ => $"{cell}",
    };
}
