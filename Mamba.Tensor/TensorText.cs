using System.Globalization;
using System.Text;

namespace Mamba;

/// <summary>
/// A tensor's values as text, as numpy writes them: [[1. 2.] [3. 4.]]. Of more than <see cref="MostShown"/> elements those at the ends of each
/// axis, three on either side; only these are fetched.
/// </summary>
internal sealed class TensorText
{
    /// <summary>So many elements are shown in full.</summary>
    public const int MostShown = 1000;

    const int Digits = 4;           // behind the point

    readonly Tensor tensor;
    readonly long[] extents;
    readonly int ends;              // elements shown at either end of an axis; 0: all
    readonly List<double> values = [];
    string[] texts = [];
    int width, next;

    TensorText(Tensor tensor)
    {
        this.tensor = tensor;
        extents = tensor.Shape.ToArray();
        if (tensor.Count > MostShown)
            for (ends = 3; ends > 1 && extents.Aggregate(1.0, (count, n) => count * Math.Min(n, 2 * ends)) > 2 * MostShown;)
                ends--;
    }

    public static string Of(Tensor tensor)
    {
        if (tensor.Count == 0)
            return "[]";
        var text = new TensorText(tensor);
        text.Gather(0, 0);
        text.texts = Format(text.values, whole: tensor.DType == DType.Int32);
        text.width = text.texts.Max(t => t.Length);
        var result = new StringBuilder();
        text.Append(result, 0);
        return result.ToString();
    }

    // whether an axis is cut to its ends
    bool IsCut(int axis) => ends > 0 && extents[axis] > 2 * ends;

    // the places along an axis that are shown; -1 stands for those between
    IEnumerable<long> Places(int axis)
    {
        for (long i = 0; i < extents[axis]; i++)
        {
            if (IsCut(axis) && i == ends)
            {
                yield return -1;
                i = extents[axis] - ends;
            }
            yield return i;
        }
    }

    void Gather(int axis, long offset)
    {
        if (axis == extents.Length)
        {
            values.AddRange(tensor.Read(offset, 1));            // a scalar
        }
        else if (axis == extents.Length - 1)
        {
            long n = extents[axis];
            values.AddRange(tensor.Read(offset, IsCut(axis) ? ends : n));
            if (IsCut(axis))
                values.AddRange(tensor.Read(offset + n - ends, ends));
        }
        else
        {
            long inner = 1;
            for (int i = axis + 1; i < extents.Length; i++)
                inner *= extents[i];
            foreach (long place in Places(axis))
                if (place >= 0)
                    Gather(axis + 1, offset + place * inner);
        }
    }

    void Append(StringBuilder to, int axis)
    {
        if (axis == extents.Length)
        {
            to.Append(texts[next++].PadLeft(width));
            return;
        }
        to.Append('[');
        bool first = true;
        foreach (long place in Places(axis))
        {
            if (!first && axis == extents.Length - 1)
                to.Append(' ');
            else if (!first)
                to.Append('\n', extents.Length - 1 - axis).Append(' ', axis + 1);
            if (place < 0)
                to.Append("...");
            else
                Append(to, axis + 1);
            first = false;
        }
        to.Append(']');
    }

    /// <summary>All in one way: whole numbers, or four digits behind the point; powers of ten where the sizes are far apart, as numpy decides it.</summary>
    static string[] Format(List<double> values, bool whole)
    {
        CultureInfo culture = CultureInfo.InvariantCulture;
        if (whole)
            return [.. values.Select(x => x.ToString("F0", culture))];
        double[] sizes = [.. values.Where(double.IsFinite).Select(Math.Abs).Where(x => x > 0)];
        bool powers = sizes.Length > 0 && (sizes.Max() >= 1e8 || sizes.Min() < 1e-4 || sizes.Max() / sizes.Min() > 1e5);
        int digits = 0;             // as few as show all that four show
        if (!powers)
            foreach (double x in values.Where(double.IsFinite))
                digits = Math.Max(digits, x.ToString("F" + Digits, culture).TrimEnd('0').Split('.')[1].Length);
        return [.. values.Select(Text)];

        string Text(double x) =>
            double.IsNaN(x) ? "nan"
            : double.IsInfinity(x) ? x > 0 ? "inf" : "-inf"
            : powers ? x.ToString("0.0000e+00", culture)
            : x.ToString("F" + digits, culture) + (digits == 0 ? "." : "");
    }
}
