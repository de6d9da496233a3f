using System.Globalization;

namespace Mamba.Cli;

/// <summary>A trace in a table: a row a layer.</summary>
internal static class TraceSummary
{
    /// <summary>Numbers that are looked at at once.</summary>
    const int Piece = 1 << 20;

    /// <summary>Prints it.</summary>
    /// <param name="trace">The trace; of its first sequence, what the model says in the end.</param>
    /// <param name="textOf">The text of a token; null: ids are shown.</param>
    public static void Write(TraceFile trace, Func<int, string>? textOf)
    {
        bool gradients = trace.Quantity is not null;
        Column[] columns =
        [
            new("layer", 5), new("delta", 9), new("10 to 90 %", -21) { LeftOut = 2 }, new("|h|", 9), new("|y|", 9) { LeftOut = 3 },
            .. gradients ? [new Column("|dh|", 9) { LeftOut = 1 }] : (Column[])[], new("says", -14) { MayBeCut = true }, new("p", 6),
        ];
        using var rows = new Rows(columns);
        foreach (int layer in trace.Layers)
        {
            (string median, string range) = Steps(trace, layer);
            (string says, string p) = Says(trace, layer, textOf);
            rows.Add(true, [Text(layer), median, range, Size(trace, layer, "h"), Size(trace, layer, "y"),
                .. gradients ? [Size(trace, layer, "dh")] : (string[])[], says, p]);
        }
    }

    // delta: its median, and where most of it lies
    static (string Median, string Range) Steps(TraceFile trace, int layer)
    {
        const int Most = 1 << 22;
        if (!trace.Has(layer, "delta"))
            return ("", "");
        long count = trace.ShapeOf(layer, "delta").Count, last = count - Math.Min(count, Most);
        double[] delta = trace.Read(layer, "delta", last, (int)(count - last));
        Array.Sort(delta);
        return (Text(At(0.5)), $"{Text(At(0.1))} to {Text(At(0.9))}");

        double At(double share) => delta[(int)(share * (delta.Length - 1))];
    }

    // the root of the mean square
    static string Size(TraceFile trace, int layer, string name)
    {
        if (!trace.Has(layer, name))
            return "";
        long count = trace.ShapeOf(layer, name).Count;
        double sum = 0;
        for (long done = 0; done < count; done += Piece)
            foreach (double value in trace.Read(layer, name, done, (int)Math.Min(Piece, count - done)))
                sum += value * value;
        return Text(Math.Sqrt(sum / count));
    }

    static (string Text, string P) Says(TraceFile trace, int layer, Func<int, string>? textOf)
    {
        if (!trace.Has(layer, "top_ids"))
            return ("", "");
        long k = trace.ShapeOf(layer, "top_ids")[2], at = (trace.Length - 1) * k;
        int id = (int)trace.Read(layer, "top_ids", at, 1)[0];
        double p = trace.Read(layer, "top_p", at, 1)[0];
        string text = textOf is null ? Text(id) : string.Concat(textOf(id).Select(c => c switch { '\n' => '⏎', ' ' => '␣', _ => char.IsControl(c) ? '?' : c }));
        return (text, p.ToString("0.000", CultureInfo.InvariantCulture));
    }

    static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    static string Text(double number) => number.ToString("G4", CultureInfo.InvariantCulture);
}
