using System.Globalization;
using System.Text;

namespace Mamba.Cli;

/// <summary>
/// Prints what is generated: of one prompt as it comes; of several one after another, each when all before it are whole. Ids are a line for each prompt.
/// </summary>
internal sealed class GenerateOutput(int[][] prompts, string[]? texts, bool asIds, Tokenizer? tokensOnError)
{
    readonly StringBuilder[] waiting = [.. prompts.Select(_ => new StringBuilder())];
    readonly bool[] ended = new bool[prompts.Length], written = new bool[prompts.Length];
    readonly Stream output = Console.OpenStandardOutput();
    int shown;          // the prompt that is being printed

    /// <summary>The prompts.</summary>
    public void Begin()
    {
        for (int i = 0; i < prompts.Length; i++)
            waiting[i].Append(asIds ? TokenizeCommand.Text(prompts[i]) : texts is not null ? texts[i] : "");
        Show();
    }

    /// <summary>Another token.</summary>
    public void Add(GeneratedToken token)
    {
        StringBuilder own = waiting[token.Sequence];
        if (asIds)
            own.Append(HasBegun(token.Sequence) ? "," : "").Append(token.Id.ToString(CultureInfo.InvariantCulture));
        else
            own.Append(token.Text);
        written[token.Sequence] = true;
        ended[token.Sequence] = token.Finish != FinishReason.None;
        Show();
        if (tokensOnError is not null)
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{(prompts.Length > 1 ? $"{token.Sequence}\t" : "")}{token.Id}\t{token.LogProb:0.000000}\t{Piece(token.Id)}"));
    }

    bool HasBegun(int sequence) => written[sequence] || prompts[sequence].Length > 0;

    string Piece(int id) => tokensOnError!.Decode([id]).Replace("\n", "\\n", StringComparison.Ordinal);

    /// <summary>Whatever is left, and the end of the line.</summary>
    public void End()
    {
        Array.Fill(ended, true);
        Show();
    }

    void Show()
    {
        for (; shown < prompts.Length; shown++)
        {
            Write(waiting[shown]);
            if (!ended[shown])
                return;
            Write(new StringBuilder("\n"));
        }
    }

    void Write(StringBuilder text)
    {
        output.Write(Encoding.UTF8.GetBytes(text.ToString()));
        output.Flush();
        text.Clear();
    }
}
