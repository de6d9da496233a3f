namespace Mamba.Reproductions;

/// <summary>
/// Runs of 30 letters that sequences of the training share with others: windows cut from one stretch of a genome overlap, and who has seen one knows the
/// label of the other. It answers from them alone, which is no learning, and tells which sequences have none.
/// </summary>
internal sealed class Twins
{
    const int Run = 30, Letters = 4;

    readonly Dictionary<ulong, int[]> seen = [];
    readonly int[] labels;

    /// <param name="set">Sequences with labels.</param>
    /// <param name="training">Which are trained on.</param>
    public Twins(SequenceSet set, IReadOnlyList<int> training)
    {
        labels = new int[set.Classes.Count];
        foreach (int i in training)
        {
            SequenceExample example = set.Examples[i];
            labels[example.Label]++;
            foreach (ulong run in Runs(example.Tokens!).Distinct())
            {
                if (!seen.TryGetValue(run, out int[]? counts))
                    seen[run] = counts = new int[labels.Length];
                counts[example.Label]++;
            }
        }
    }

    /// <summary>Whether a sequence shares a run with one that is trained on.</summary>
    public bool Has(SequenceExample example) => Runs(example.Tokens!).Any(seen.ContainsKey);

    /// <summary>The label that most of its runs had in training; the most frequent one where none was seen.</summary>
    public int Guess(SequenceExample example)
    {
        int[] votes = new int[labels.Length];
        foreach (ulong run in Runs(example.Tokens!))
            if (seen.TryGetValue(run, out int[]? counts))
                votes[Array.IndexOf(counts, counts.Max())]++;
        int[] from = votes.Max() > 0 ? votes : labels;
        return Array.IndexOf(from, from.Max());
    }

    // two bits a letter; runs with an N, which is any letter, do not count
    static IEnumerable<ulong> Runs(byte[] tokens)
    {
        ulong run = 0;
        int known = 0;
        foreach (byte token in tokens)
        {
            known = token < Letters ? known + 1 : 0;
            run = ((run << 2) + (ulong)(token % Letters)) & ((1UL << (2 * Run)) - 1);
            if (known >= Run)
                yield return run;
        }
    }
}
