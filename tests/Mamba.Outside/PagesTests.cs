using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using NUnit.Framework;

namespace Mamba.Outside;

/// <summary>README and docs: their C# compiles, their links lead somewhere, their figures are those of the code.</summary>
public partial class PagesTests
{
    static readonly string Root = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(ThisFile())!, "..", ".."));

    static string ThisFile([CallerFilePath] string path = "") => path;

    static readonly string[] Folders =
    [
        "docs", "bench", "learn", "learn/models", "tests/mutations",
        "Mamba.Tensor", "Mamba.Gpu", "Mamba.Autograd", "Mamba.Model", "Mamba.Checks", "Mamba.Cli",
    ];

    public static IEnumerable<string> Pages => Folders
        .SelectMany(folder => Directory.EnumerateFiles(Path.Combine(Root, folder), "*.md")).Prepend(Path.Combine(Root, "README.md"))
        .Select(path => Path.GetRelativePath(Root, path).Replace('\\', '/'));

    // as an executable with implicit usings has them
    const string Usings = """
        global using System; global using System.Collections.Generic; global using System.IO; global using System.Linq; global using System.Net.Http;
        global using System.Threading; global using System.Threading.Tasks;
        """;

    static string[] Lines(string page) => File.ReadAllLines(Path.Combine(Root, page));

    // The blocks of C# of a page, with the line each begins at; a fragment is lines of an example, and is compiled there.
    static IEnumerable<(int Line, string Code, bool Fragment)> Blocks(string page)
    {
        string[] lines = Lines(page);
        for (int i = 0; i < lines.Length; i++)
            if (lines[i] is "```csharp" or "```csharp fragment")
            {
                (int first, bool fragment) = (i + 1, lines[i] != "```csharp");
                while (lines[++i] != "```")
                {
                }
                yield return (first + 1, string.Join('\n', lines[first..i]), fragment);
            }
    }

    static byte[] Compile(string source, params string[] others)
    {
        IEnumerable<MetadataReference> references = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator)
            .Select(path => MetadataReference.CreateFromFile(path));
        var parsing = new CSharpParseOptions(LanguageVersion.CSharp14);
        var compilation = CSharpCompilation.Create("page" + Guid.NewGuid().ToString("N"),
            others.Prepend(Usings).Append(source).Select(text => CSharpSyntaxTree.ParseText(text, parsing)), references,
            new CSharpCompilationOptions(OutputKind.ConsoleApplication, nullableContextOptions: NullableContextOptions.Enable, allowUnsafe: true));
        using var assembly = new MemoryStream();
        var errors = compilation.Emit(assembly).Diagnostics.Where(d => d.Severity == DiagnosticSeverity.Error && d.Id != "CS5001").ToArray();
        Assert.That(errors, Is.Empty, source);      // CS5001: a block of types has no Main
        return assembly.ToArray();
    }

    [Test]
    public void The_code_of_every_page_compiles([ValueSource(nameof(Pages))] string page)
    {
        foreach ((int line, string code, bool fragment) in Blocks(page))
            if (!fragment)
                Compile($"#line {line} \"{page}\"\n{code}",
                    "global using Mamba; global using Mamba.Gpu; global using Mamba.Checks; global using static Mamba.Outside.Given;");
    }

    [Test]
    public void Fragments_are_lines_of_the_examples()
    {
        static string Trimmed(string text) => '\n' + string.Join('\n', text.Split('\n').Select(line => line.Trim())) + '\n';
        string examples = string.Concat(Directory.EnumerateFiles(Path.Combine(Root, "examples"), "*.cs").Select(file => Trimmed(File.ReadAllText(file))));
        Assert.That(Blocks("docs/extending.md").Count(block => block.Fragment), Is.EqualTo(5), "op, discretization, algorithm, block, task");
        foreach (string page in Pages)
            foreach ((_, string code, bool fragment) in Blocks(page))
                if (fragment)
                    Assert.That(examples, Does.Contain(Trimmed(code)), page);
    }

    [Test]
    public void Code_is_marked_as_such([ValueSource(nameof(Pages))] string page)
    {
        bool fenced = false;
        foreach (string line in Lines(page))
        {
            if (line.StartsWith("```", StringComparison.Ordinal))
                fenced = !fenced;
            else if (!fenced && line.StartsWith("    ", StringComparison.Ordinal))
                Assert.That(line, Does.Not.Match(@";\s*(//.*)?$").And.Not.Match(@"\b(new|using|public|var) \w"),
                    "C# stands between ```csharp and ```, where it is compiled");
        }
    }

    [Test]
    public void The_first_code_in_the_README_is_a_whole_program_after_two_lines_and_it_trains()
    {
        string code = Blocks("README.md").First().Code;
        byte[] program = Compile($"using Mamba;\nint steps = 3;\n{code}\nif (last is not (> 1 and < 4)) throw new Exception($\"the loss is {{last}}\");");
        MethodInfo main = Assembly.Load(program).EntryPoint!;
        main.Invoke(null, main.GetParameters().Length == 0 ? [] : [Array.Empty<string>()]);
        Assert.That(code.Split('\n'), Has.Length.LessThanOrEqualTo(20), "twenty lines");
    }

    [Test]
    public void Links_lead_somewhere([ValueSource(nameof(Pages))] string page)
    {
        string folder = Path.GetDirectoryName(Path.Combine(Root, page))!;
        foreach (Match link in Link().Matches(string.Join('\n', Lines(page))))
        {
            string target = link.Groups["path"].Value.Split('#')[0];
            if (target.Length > 0 && !target.Contains("://", StringComparison.Ordinal))
                Assert.That(Path.Exists(Path.Combine(folder, target)), Is.True, link.Value);
        }
    }

    // A path between backticks that begins with a folder of this repository.
    [Test]
    public void Files_that_are_named_exist([ValueSource(nameof(Pages))] string page)
    {
        foreach (Match name in Name().Matches(string.Join('\n', Lines(page))))
            Assert.That(Path.Exists(Path.Combine(Root, name.Groups["path"].Value)), Is.True, name.Value);
    }

    [Test]
    public void The_README_can_be_read_in_five_minutes() =>
        Assert.That(string.Join(' ', Lines("README.md")).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries), Has.Length.LessThan(1000));

    [Test]
    public void The_figures_of_the_README_are_those_of_the_code()
    {
        string readme = string.Join('\n', Lines("README.md"));
        using var faults = JsonDocument.Parse(File.ReadAllText(Path.Combine(Root, "tests/mutations/mutations.json")));
        Assert.That(readme, Does.Contain($"{faults.RootElement.GetArrayLength()} faults"));
        using Device cpu = Device.Open("cpu");
        using var induction = new MambaLM(InductionHeads.Task.Model, cpu, seed: 1);
        Assert.That(readme, Does.Contain($"{induction.Parameters.ElementCount:N0} weights"));
    }

    [GeneratedRegex(@"\]\((?<path>[^)\s]+)\)", RegexOptions.NonBacktracking)]
    private static partial Regex Link();

    [GeneratedRegex(@"`(?<path>(Mamba\.(Tensor|Gpu|Autograd|Model|Checks|Pictures|Learn|Cli)|docs|examples|learn|tests|bench)/[\w./-]+)`",
        RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture)]
    private static partial Regex Name();
}
