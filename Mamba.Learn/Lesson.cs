using System.CommandLine;
using System.CommandLine.Parsing;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;

namespace Mamba.Learn;

/// <summary>
/// A chapter of <c>learn</c> while it runs: what it claims, draws and asks. A chapter prints with <see cref="Console"/>, draws once, claims, asks, and
/// returns <see cref="End"/>. Called with <c>--exercise N ANSWER</c> it says nothing but whether the answer is right.
/// </summary>
public sealed class Lesson : IDisposable
{
    readonly Stopwatch watch = Stopwatch.StartNew();
    readonly TextWriter console = Console.Out;
    readonly List<string> questions = [];
    readonly string name, folder, pictures, deviceName;
    readonly int asked;
    readonly string? answer;
    Device? device;
    int claims, wrong;

    /// <summary>Begins a chapter: reads its command line. What is wrong there is said in one line, and ends it with exit code 1.</summary>
    /// <param name="args">Its command line.</param>
    /// <param name="chapter">Its file; given by the compiler.</param>
    public Lesson(string[] args, [CallerFilePath] string chapter = "")
    {
        chapter = AppContext.GetData("EntryPointFilePath") as string ?? chapter;
        name = Path.GetFileNameWithoutExtension(chapter);
        folder = Path.GetDirectoryName(chapter) is { Length: > 0 } there && Directory.Exists(there) ? there : AppContext.BaseDirectory;
        Option<string[]> exercise = new("--exercise")
        {
            Description = "The number of an exercise, and your answer to it.",
            HelpName = "N [ANSWER]",
            Arity = new ArgumentArity(1, 2),
            AllowMultipleArgumentsPerToken = true,
        };
        Option<string> into = new("--pictures")
        {
            Description = "Where the picture goes; learn/out when not given.",
            HelpName = "FOLDER",
            DefaultValueFactory = _ => Path.Combine(folder, "out"),
        };
        Option<string> on = new("--device") { Description = "What it runs on: cpu, cuda:0, opencl:0.", HelpName = "NAME", DefaultValueFactory = _ => "cpu" };
        RootCommand command = new($"A chapter of Mamba.NET: {name}.") { exercise, into, on };
        command.Options.Remove(command.Options.OfType<VersionOption>().Single());
        ParseResult parsed = command.Parse(args);
        if (parsed.Errors.Count > 0)
            Stop(parsed.Errors[0].Message, 1);
        if (parsed.Action is not null)                                              // --help
            Environment.Exit(parsed.Invoke());
        (pictures, deviceName) = (parsed.GetValue(into)!, parsed.GetValue(on)!);
        if (parsed.GetValue(exercise) is not { Length: > 0 } given)
            return;
        if (!int.TryParse(given[0], NumberStyles.None, CultureInfo.InvariantCulture, out asked) || asked < 1)
            Stop($"--exercise is '{given[0]}'; expected the number of an exercise and your answer, such as --exercise 1 0.5.", 1);
        answer = given.Length > 1 ? given[1] : null;
        Console.SetOut(TextWriter.Null);
    }

    /// <summary>What it runs on: this machine's cores, or what <c>--device</c> names.</summary>
    public Device Device => device ??= Open();

    /// <summary>A trained model of <c>learn/models</c>.</summary>
    /// <param name="model">The name of its folder.</param>
    /// <returns>The folder.</returns>
    public string Model(string model) => Path.Combine(folder, "models", model);

    /// <summary>Claims a sentence, which holds or does not.</summary>
    /// <param name="sentence">What is claimed.</param>
    /// <param name="holds">Whether it is so.</param>
    /// <param name="condition">How <paramref name="holds"/> is written; given by the compiler.</param>
    public void Claim(string sentence, bool holds, [CallerArgumentExpression(nameof(holds))] string condition = "") => Record(sentence, holds, condition);

    /// <summary>Claims a sentence that holds if an error is small.</summary>
    /// <param name="sentence">What is claimed.</param>
    /// <param name="error">How far from it things are: what is not a number is too far.</param>
    /// <param name="within">How far they may be.</param>
    public void Claim(string sentence, double error, double within) =>
        Record(sentence, Math.Abs(error) <= within, $"{Text(Math.Abs(error))} against {Text(within)}", $" ({Text(Math.Abs(error))}, at most {Text(within)})");

    void Record(string sentence, bool holds, string why, string measured = "")
    {
        if (claims++ == 0)
            Console.WriteLine("\nWhat was said, checked:");
        if (!holds)
            wrong++;
        Console.WriteLine(holds ? $"  holds  {sentence}{measured}" : $"  FALSE  {sentence}: {why}");
    }

    /// <summary>The largest difference between numbers that should be the same; not a number if one of them is none.</summary>
    /// <param name="p">Some numbers.</param>
    /// <param name="q">As many others.</param>
    public static double Apart(IReadOnlyCollection<double> p, IReadOnlyCollection<double> q) => p.Count == q.Count ? Worst(p.Zip(q, (p, q) => p - q))
        : throw new MambaException($"Apart: {p.Count} numbers and {q.Count}; expected as many of each.");

    /// <summary>The largest size of some errors; not a number if one of them is none, which LINQ's Max passes over.</summary>
    /// <param name="errors">The errors, of either sign.</param>
    public static double Worst(IEnumerable<double> errors) => errors.Select(Math.Abs).Aggregate(0.0, Math.Max);

    /// <summary>Asks for a number, or says whether the answer given on the command line is right and ends the chapter.</summary>
    /// <param name="number">The exercise, from 1.</param>
    /// <param name="question">What is asked, with the unit of the answer.</param>
    /// <param name="right">Finds it.</param>
    /// <param name="within">How far from it an answer may be, relative to it.</param>
    /// <param name="hint">What to think of, for who is wrong.</param>
    public void Exercise(int number, string question, Func<double> right, double within = 0.01, string hint = "")
    {
        questions.Add($"  {number}. {question}");
        if (number != asked)
            return;
        if (answer is null)
            Stop(question, 0);
        if (!double.TryParse(answer, NumberStyles.Float, CultureInfo.InvariantCulture, out double given))
            Stop($"The answer is '{answer}'; expected a number, such as 0.25 or 1e-3.", 1);
        double expected = right();
        bool correct = expected == 0 ? Math.Abs(given) <= within : Math.Abs(given - expected) <= within * Math.Abs(expected);
        Stop(correct ? $"Right: {Text(expected)}." : $"Not {answer}. {hint}".TrimEnd(), correct ? 0 : 1);
    }

    /// <summary>
    /// Draws the chapter's picture, <c>learn/out/CHAPTER.png</c>, of one chart or several. When it cannot be drawn that is said, and nothing else is lost.
    /// </summary>
    /// <param name="charts">One, two beside each other, or rows of two.</param>
    public void Draw(params Chart[] charts)
    {
        if (asked > 0)
            return;
        string path = Path.Combine(pictures, name + ".png");
        try
        {
            Directory.CreateDirectory(pictures);
            Chart.Save(charts, path);
            Console.WriteLine($"\npicture: {Path.GetRelativePath(Environment.CurrentDirectory, path)}");
        }
        catch (Exception e)
        {
            Console.WriteLine($"\nThe picture could not be drawn: {e.GetBaseException().Message.Split('\n')[0]}");
        }
    }

    /// <summary>Prints a table, its columns as wide as what is in them.</summary>
    /// <param name="head">The names of the columns, with units.</param>
    /// <param name="rows">What is in them; numbers are printed with four digits.</param>
    public void Table(string[] head, IEnumerable<object[]> rows)
    {
        string[][] cells = [head, .. rows.Select(row => row.Select(cell => cell is double value ? Text(value) : $"{cell:N0}").ToArray())];
        int[] widths = [.. head.Select((_, i) => cells.Max(row => row[i].Length))];
        Console.WriteLine();
        foreach (string[] row in cells)
            Console.WriteLine("  " + string.Join("  ", row.Select((cell, i) => i == 0 ? cell.PadRight(widths[i]) : cell.PadLeft(widths[i]))).TrimEnd());
    }

    /// <summary>Ends a chapter: says what to try, and whether all that was claimed holds.</summary>
    /// <returns>The exit code: 1 if a sentence is false or none was claimed.</returns>
    public int End()
    {
        if (asked > 0)
            Stop($"There is no exercise {asked}; {name} has 1 to {questions.Count}.", 1);
        if (questions.Count > 0)
            Console.WriteLine($"\nTo try, with an answer: dotnet run learn/{name}.cs -- --exercise 1 ANSWER\n{string.Join('\n', questions)}");
        Console.WriteLine($"\n{name}: {claims - wrong} of {claims} sentences hold; {watch.Elapsed.TotalSeconds:0.0} s");
        return wrong > 0 || claims == 0 ? 1 : 0;
    }

    /// <summary>Gives the device back.</summary>
    public void Dispose() => device?.Dispose();

    Device Open()
    {
        try
        {
            return Device.Open(deviceName);
        }
        catch (MambaException e)
        {
            Stop(e.Message, 1);
            throw;
        }
    }

    void Stop(string message, int code)
    {
        (code == 0 ? console : Console.Error).WriteLine(message);
        Environment.Exit(code);
    }

    static string Text(double value) => value.ToString("G4", CultureInfo.InvariantCulture);
}
