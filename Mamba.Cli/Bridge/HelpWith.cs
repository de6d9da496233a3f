using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.Text;

namespace Mamba.Cli;

/// <summary>A command's ordinary help, and then what its files hold.</summary>
internal sealed class HelpWith(params HelpWith.Section[] sections) : SynchronousCommandLineAction
{
    /// <summary>Lines are no longer, however wide the terminal is: long ones are hard to read.</summary>
    const int Widest = 100;

    /// <summary>Tensors of a file.</summary>
    /// <param name="Title">What stands above them.</param>
    /// <param name="Tensors">Their names, shapes and meanings.</param>
    public sealed record Section(string Title, IReadOnlyList<(string Name, string Shape, string Meaning)> Tensors);

    /// <summary>Gives a command such a help.</summary>
    public static void AddTo(Command command, params Section[] sections) => command.Add(new HelpOption { Action = new HelpWith(sections) });

    /// <summary>Characters of a line of help.</summary>
    public static int Width => Console.IsOutputRedirected ? Widest : Math.Clamp(Console.WindowWidth, 20, Widest);

    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parseResult)
    {
        int code = new HelpAction { MaxWidth = Width }.Invoke(parseResult);
        parseResult.InvocationConfiguration.Output.WriteLine(Text(sections, Width));
        return code;
    }

    /// <summary>The sections in lines of so many characters.</summary>
    internal static string Text(IEnumerable<Section> sections, int width)
    {
        var text = new StringBuilder();
        foreach (Section section in sections)
        {
            text.AppendLine(section.Title);
            int name = section.Tensors.Max(tensor => tensor.Name.Length), shape = section.Tensors.Max(tensor => tensor.Shape.Length);
            int indent = name + shape + 6;
            bool beside = width - indent >= 24;         // or else the meaning stands below
            foreach ((string Name, string Shape, string Meaning) tensor in section.Tensors)
            {
                string head = $"  {tensor.Name.PadRight(name)}  {tensor.Shape.PadRight(shape)}  ";
                if (!beside)
                    text.AppendLine(head.TrimEnd());
                string[] lines = Wrapped(tensor.Meaning, width - (beside ? indent : 6));
                for (int i = 0; i < lines.Length; i++)
                    text.AppendLine((beside && i == 0 ? head : new string(' ', beside ? indent : 6)) + lines[i]);
            }
            text.AppendLine();
        }
        return text.ToString().TrimEnd();
    }

    static string[] Wrapped(string text, int width)
    {
        var lines = new List<string>();
        foreach (string word in text.Split(' '))
        {
            if (lines.Count > 0 && lines[^1].Length + 1 + word.Length <= width)
                lines[^1] += " " + word;
            else
                lines.Add(word);
        }
        return [.. lines];
    }
}
