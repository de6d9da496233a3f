using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using NUnit.Framework;

namespace Mamba.Outside;

/// <summary>The chapters of <c>learn</c>, each run as a reader runs it: what it says holds, its picture is drawn, its exercises can be answered.</summary>
public partial class ChapterTests
{
    static readonly string Root = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(ThisFile())!, "..", ".."));
    static readonly string Learn = Path.Combine(Root, "learn");
    readonly HashSet<string> built = [];
    string elsewhere = "";

    static string ThisFile([CallerFilePath] string path = "") => path;

    public static IEnumerable<string> Chapters =>
        Directory.EnumerateFiles(Learn, "*.cs").Select(path => Path.GetFileNameWithoutExtension(path)).Order(StringComparer.Ordinal);

    static string[] Lines(string chapter) => File.ReadAllLines(Path.Combine(Learn, chapter + ".cs"));

    // what is neither empty, nor a comment, nor said to the compiler (#:project)
    static string[] Code(string chapter) => [.. Lines(chapter).Where(line => line.Trim() is { Length: > 0 } and not ['/', '/', ..] and not ['#', ..])];

    [OneTimeSetUp]
    public void MakeFolder() => elsewhere = Directory.CreateTempSubdirectory("learn").FullName;

    [OneTimeTearDown]
    public void Remove() => Directory.Delete(elsewhere, recursive: true);

    (int Code, string Output, string Error) Dotnet(params string[] args)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", args)
        {
            UseShellExecute = false,
            WorkingDirectory = elsewhere,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["DOTNET_CLI_UI_LANGUAGE"] = "en";
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(TimeSpan.FromMinutes(5)))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"dotnet {string.Join(' ', args)} did not end.");
        }
        return (process.ExitCode, output.GetAwaiter().GetResult(), error.GetAwaiter().GetResult());
    }

    // Built once, and one after another: chapters share the libraries that they build.
    (int Code, string Output, string Error) Run(string chapter, params string[] args)
    {
        string file = Path.Combine(Learn, chapter + ".cs");
        lock (built)
            if (built.Add(chapter))
            {
                (int code, string output, string error) = Dotnet("build", file, "-v", "quiet", "--nologo");
                Assert.That(code, Is.Zero, output + error);
                Assert.That(output, Does.Not.Contain("warning"));
            }
        return Dotnet(["run", "--no-build", file, "--", .. args]);
    }

    [Test]
    public void What_a_chapter_says_holds([ValueSource(nameof(Chapters))] string chapter)
    {
        string pictures = Path.Combine(elsewhere, "pictures of " + chapter);
        (int code, string output, string error) = Run(chapter, "--pictures", pictures);
        Assert.That((code, error), Is.EqualTo((0, "")), output);
        Match end = Verdict().Match(output);
        Assert.That(end.Success, Is.True, output);
        Assert.That(end.Groups["held"].Value, Is.EqualTo(end.Groups["said"].Value));
        int claims = Code(chapter).Count(line => line.Contains("lesson.Claim(", StringComparison.Ordinal));
        Assert.That(int.Parse(end.Groups["said"].Value), Is.GreaterThanOrEqualTo(claims).And.GreaterThanOrEqualTo(5), "each is reached");
        Assert.That(new FileInfo(Path.Combine(pictures, chapter + ".png")).Length, Is.GreaterThan(20_000));
        Assert.That(output, Does.Contain(Path.Combine("pictures of " + chapter, chapter + ".png")), "says where the picture is");
        MatchCollection questions = Question().Matches(output);
        Assert.That(questions.Select(question => question.Groups["number"].Value), Is.EqualTo(Exercises(chapter).Select(number => $"{number}")));
        string page = File.ReadAllText(Path.Combine(Learn, "README.md"));
        foreach (Match question in questions)
            Assert.That(page, Does.Contain($"\n{question.Value.Trim()}\n"));
    }

    // Worked out by hand, or by a program that is not the chapter.
    static readonly object[][] Answers =
    [
        ["01-recurrence", 1, "0.999307093"], ["01-recurrence", 2, "1.875"], ["01-recurrence", 3, "0"],
        ["02-discretization", 1, "0.125"], ["02-discretization", 2, "0.01"], ["02-discretization", 3, "0.0069315"],
        ["02-discretization", 4, "-0.2963"],                                                                     // (−2/3)³
        ["03-s4", 1, "0.866"], ["03-s4", 2, "0.04332"], ["03-s4", 3, "13.416"],    // √(3/4), ln 2/16, 6 √5
        ["04-selection", 1, "-2.197"], ["04-selection", 2, "0.9556"], ["04-selection", 3, "0.0625"],
        ["05-scan", 1, "8977"], ["05-scan", 2, "64"], ["05-scan", 3, "10"],        // 10,000 − 1,023; 2 · 64 = 8,192/64
        ["06-kernel", 1, "65"], ["06-kernel", 2, "42.95"], ["06-kernel", 3, "272"],
        ["07-backward", 1, "0.5"], ["07-backward", 2, "0.65343"], ["07-backward", 3, "64"],    // 1 − ln 2/2
        ["08-language-model", 1, "32704"], ["08-language-model", 2, "5120"], ["08-language-model", 3, "2.8854"],
        ["09-inside", 1, "0.25"], ["09-inside", 2, "9.2103"], ["09-inside", 3, "69314"],
        ["09-inside", 4, "7"],
        ["10-length", 1, "6.6104e-7"], ["10-length", 2, "2.1937"], ["10-length", 3, "1024"],
    ];

    static IEnumerable<int> Exercises(string chapter) => Answers.Where(answer => (string)answer[0] == chapter).Select(answer => (int)answer[1]);

    [TestCaseSource(nameof(Answers))]
    public void The_right_answer_is_right_and_others_are_not(string chapter, int exercise, string right)
    {
        (int code, string output, string error) = Run(chapter, "--exercise", $"{exercise}", right);
        Assert.That((code, error), Is.EqualTo((0, "")));
        Assert.That(output, Does.StartWith("Right: "));

        (code, output, error) = Run(chapter, "--exercise", $"{exercise}", "-12345.6");
        Assert.That((code, output), Is.EqualTo((1, "")));
        Assert.That(error, Does.StartWith("Not -12345.6. ").And.Length.GreaterThan(30), "a hint");
    }

    [Test]
    public void Every_exercise_has_an_answer_here([ValueSource(nameof(Chapters))] string chapter)
    {
        int exercises = Code(chapter).Count(line => line.Contains("lesson.Exercise(", StringComparison.Ordinal));
        Assert.That(Exercises(chapter), Is.EqualTo(Enumerable.Range(1, exercises)).And.Not.Empty);
    }

    [TestCase("There is no exercise 9; 01-recurrence has 1 to 3.", "--exercise", "9", "1")]
    [TestCase("--exercise is 'two'; expected the number of an exercise and your answer, such as --exercise 1 0.5.", "--exercise", "two")]
    [TestCase("The answer is 'half'; expected a number, such as 0.25 or 1e-3.", "--exercise", "1", "half")]
    [TestCase("Device 'cuda:77' is not on this machine; ", "--device", "cuda:77")]
    [TestCase("Unrecognized command or argument '--answer'.", "--answer")]
    public void What_is_wrong_gets_one_line(string line, params string[] args)
    {
        (int code, _, string error) = Run("01-recurrence", args);
        Assert.That(code, Is.EqualTo(1));
        Assert.That(error, Does.StartWith(line));
        Assert.That(error.TrimEnd(), Does.Not.Contain("\n"));
    }

    [Test]
    public void Without_a_picture_a_chapter_says_so_in_one_line_and_what_it_says_is_still_checked()
    {
        string file = Path.Combine(elsewhere, "a file");
        File.WriteAllText(file, "in the way");
        (int code, string output, string error) = Run("01-recurrence", "--pictures", file);
        Assert.That((code, error), Is.EqualTo((0, "")), output);
        Assert.That(Regex.Count(output, "^The picture could not be drawn: .+$", RegexOptions.Multiline | RegexOptions.NonBacktracking), Is.EqualTo(1));
        Assert.That(Verdict().IsMatch(output), Is.True);
    }

    [Test]
    public void Without_the_library_that_draws_a_chapter_says_so_in_one_line_too()
    {
        string folder = Path.Combine(elsewhere, "cannot draw");
        (int code, string output, string error) = Dotnet("build", Path.Combine(Learn, "01-recurrence.cs"), "-o", folder, "-v", "quiet", "--nologo");
        Assert.That(code, Is.Zero, output + error);
        string[] drawing = Directory.GetFiles(folder, "*libSkiaSharp.*", SearchOption.AllDirectories);
        Assert.That(drawing, Is.Not.Empty);
        Array.ForEach(drawing, File.Delete);
        (code, output, error) = Dotnet(Path.Combine(folder, "01-recurrence.dll"), "--pictures", elsewhere);
        Assert.That((code, error), Is.EqualTo((0, "")), output);
        Assert.That(Regex.Count(output, "^The picture could not be drawn: .+$", RegexOptions.Multiline | RegexOptions.NonBacktracking), Is.EqualTo(1));
        Assert.That(output.Split('\n').Where(line => line.StartsWith("   at ", StringComparison.Ordinal)), Is.Empty);
        Assert.That(Verdict().IsMatch(output), Is.True);
    }

    [Test]
    public void A_chapter_is_short([ValueSource(nameof(Chapters))] string chapter)
    {
        Assert.That(Code(chapter), Has.Length.LessThanOrEqualTo(chapter == "08-language-model" ? 99 : 150), "lines of code");
        Assert.That(Lines(chapter).Where(line => line.Length > 160), Is.Empty);
        Assert.That(Lines(chapter)[0], Is.EqualTo("#:project ../Mamba.Learn/Mamba.Learn.csproj"));
        Assert.That(Code(chapter), Has.Some.EqualTo("return lesson.End();"));
        Assert.That(Lines(chapter), Has.Some.EqualTo("// ## To try"));
    }

    [Test]
    public void There_is_no_project_among_the_chapters() =>
        Assert.That(Directory.EnumerateFiles(Learn, "*.*proj", SearchOption.AllDirectories).Concat(Directory.EnumerateFiles(Learn, "*.sln*")), Is.Empty);

    [Test]
    public void The_way_through_shows_every_chapter()
    {
        string page = File.ReadAllText(Path.Combine(Learn, "README.md"));
        Assert.That(Chapters.Count(), Is.EqualTo(10));
        foreach (string chapter in Chapters)
        {
            Assert.That(page, Does.Contain($"({chapter}.cs)").And.Contain($"](pictures/{chapter}.png)"));
            Assert.That(new FileInfo(Path.Combine(Learn, "pictures", chapter + ".png")).Length, Is.GreaterThan(20_000));
        }
    }

    [Test]
    public void The_weights_of_chapters_are_below_a_megabyte()
    {
        Assert.That(Directory.EnumerateFiles(Path.Combine(Learn, "models"), "*", SearchOption.AllDirectories).Sum(file => new FileInfo(file).Length),
            Is.LessThan(1_000_000));
        string page = File.ReadAllText(Path.Combine(Learn, "models", "README.md"));
        foreach (string folder in Directory.EnumerateDirectories(Path.Combine(Learn, "models")))
            Assert.That(page, Does.Contain($"| `{Path.GetFileName(folder)}` |"), "the command that made it");
    }

    [GeneratedRegex(@"^(?<chapter>[\w-]+): (?<held>\d+) of (?<said>\d+) sentences hold; [\d.]+ s$", RegexOptions.Multiline | RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Verdict();

    [GeneratedRegex(@"^  (?<number>\d)\. .+$", RegexOptions.Multiline | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Question();
}
