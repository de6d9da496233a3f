using System.Globalization;
using System.Text;

namespace Mamba;

/// <summary>
/// Unicode's normalization form C: letter and accent become the accented letter. .NET leaves that to the system's ICU, which this program does without
/// (InvariantGlobalization), so the rules are here: decompose, sort the marks, compose. Unicode Standard Annex 15. The data, Nfc.txt, is that of Unicode
/// 14: <c>C0=41+300</c>, with <c>&gt;</c> for what is not composed again, then the combining classes, <c>300-314:230</c>. What a later Unicode
/// adds is left as it is; what it has cannot change.
/// </summary>
internal static class Nfc
{
    const int Nothing = 0x300;              // no character before it is changed, or changes the one before
    const int S = 0xAC00, L = 0x1100, V = 0x1161, T = 0x11A7, VCount = 21, TCount = 28, SCount = 19 * VCount * TCount;      // Hangul is arithmetic

    static readonly Lazy<Data> Tables = new(Data.Read);

    /// <summary>The text in form C. It has no half surrogate pairs.</summary>
    public static string Normalize(string text)
    {
        if (text.AsSpan().IndexOfAnyExceptInRange('\0', (char)(Nothing - 1)) < 0)
            return text;
        Data data = Tables.Value;
        var runes = new List<int>(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
            data.Decompose(rune.Value, runes);
        Sort(runes, data);
        Compose(runes, data);
        var result = new StringBuilder(text.Length);
        foreach (int rune in runes)
            result.Append(rune < 0x10000 ? ((char)rune).ToString() : char.ConvertFromUtf32(rune));
        return result.ToString();
    }

    // Marks that do not touch one another may stand in any order: this is the one.
    static void Sort(List<int> runes, Data data)
    {
        for (int start = 0; start < runes.Count; start++)
        {
            int end = start;
            bool isSorted = true;
            for (int before = 0; end < runes.Count && data.ClassOf(runes[end]) is > 0 and int order; before = order, end++)
                isSorted &= before <= order;
            if (!isSorted)
            {
                int[] sorted = [.. runes.GetRange(start, end - start).OrderBy(data.ClassOf)];      // equals stay in their order
                for (int i = 0; i < sorted.Length; i++)
                    runes[start + i] = sorted[i];
            }
            start = end;        // that one is no mark
        }
    }

    static void Compose(List<int> runes, Data data)
    {
        int starter = -1, count = 0, before = 0;        // before: the class of the last one kept after the starter
        for (int i = 0; i < runes.Count; i++)
        {
            int rune = runes[i], order = data.ClassOf(rune);
            bool blocked = starter < 0 || (count - 1 > starter && before >= order);
            if (!blocked && data.Composed(runes[starter], rune) is { } composed)
            {
                runes[starter] = composed;
                continue;
            }
            if (order == 0)
                starter = count;
            before = order;
            runes[count++] = rune;
        }
        runes.RemoveRange(count, runes.Count - count);
    }

    sealed class Data
    {
        readonly Dictionary<int, int[]> decompositions = [];
        readonly Dictionary<(int, int), int> compositions = [];
        readonly Dictionary<int, byte> classes = [];

        public static Data Read()
        {
            using var reader = new StreamReader(typeof(Nfc).Assembly.GetManifestResourceStream("Nfc.txt")!);
            var data = new Data();
            foreach (string item in reader.ReadToEnd().Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries))
            {
                int sign = item.IndexOfAny(['=', '>', ':']);
                if (item[sign] == ':')
                {
                    string[] ends = item[..sign].Split('-');
                    for (int rune = Hex(ends[0]); rune <= Hex(ends[1]); rune++)
                        data.classes[rune] = byte.Parse(item[(sign + 1)..], CultureInfo.InvariantCulture);
                    continue;
                }
                int[] parts = Array.ConvertAll(item[(sign + 1)..].Split('+'), Hex);
                data.decompositions[Hex(item[..sign])] = parts;
                if (item[sign] == '=' && parts.Length == 2)
                    data.compositions[(parts[0], parts[1])] = Hex(item[..sign]);
            }
            return data;

            static int Hex(string text) => int.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        }

        public int ClassOf(int rune) => rune < Nothing ? 0 : classes.GetValueOrDefault(rune);

        public void Decompose(int rune, List<int> into)
        {
            if (rune is >= S and < S + SCount)
            {
                (int syllable, int t) = Math.DivRem(rune - S, TCount);
                into.Add(L + syllable / VCount);
                into.Add(V + syllable % VCount);
                if (t > 0)
                    into.Add(T + t);
            }
            else if (decompositions.TryGetValue(rune, out int[]? parts))
            {
                foreach (int part in parts)
                    Decompose(part, into);
            }
            else
            {
                into.Add(rune);
            }
        }

        public int? Composed(int first, int second)
        {
            if (first is >= L and < L + 19 && second is >= V and < V + VCount)
                return S + ((first - L) * VCount + second - V) * TCount;
            if (first is >= S and < S + SCount && (first - S) % TCount == 0 && second is > T and < T + TCount)
                return first + second - T;
            return compositions.TryGetValue((first, second), out int composed) ? composed : null;
        }
    }
}
