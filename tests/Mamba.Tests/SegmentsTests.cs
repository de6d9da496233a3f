using NUnit.Framework;

namespace Mamba.Tests;

public class SegmentsTests
{
    static Device Cpu => TestDevices.Open("cpu-256");

    static void Refused(Action run, string message) => Assert.That(run, Throws.TypeOf<MambaException>().With.Message.EqualTo(message));

    static Segment[] All(Segments segments) => [.. Enumerable.Range(0, segments.Count).Select(i => segments[i])];

    [Test]
    public void Padded_gives_each_sequence_a_row()
    {
        Segments segments = Segments.Padded([2, 5, 1]);
        Assert.That((segments.Rows, segments.Length, segments.Count, segments.Positions), Is.EqualTo((3, 5, 3, 8L)));
        Assert.That(All(segments), Is.EqualTo([new Segment(0, 0, 2), new Segment(1, 0, 5), new Segment(2, 0, 1)]));
    }

    [Test]
    public void Packed_fills_rows_the_longest_first()
    {
        Segments segments = Segments.Packed([3, 5, 4, 1], longest: 8);
        Assert.That((segments.Rows, segments.Length, segments.Positions), Is.EqualTo((2, 8, 13L)));
        Assert.That(All(segments), Is.EqualTo([new Segment(0, 5, 3), new Segment(0, 0, 5), new Segment(1, 0, 4), new Segment(1, 4, 1)]));
        Segments patched = Segments.Packed([3, 5, 4, 1], longest: 12, patch: 4);
        Assert.That(All(patched), Is.EqualTo([new Segment(1, 0, 3), new Segment(0, 0, 5), new Segment(0, 8, 4), new Segment(1, 4, 1)]));
        Assert.That(All(patched.Patched(4)), Is.EqualTo([new Segment(1, 0, 1), new Segment(0, 0, 2), new Segment(0, 2, 1), new Segment(1, 1, 1)]));
        Assert.That((patched.Patched(4).Length, Segments.Packed([9], longest: 100).Length), Is.EqualTo((3, 9)), "rows are no longer than what is in them");
        Segments equal = Segments.Packed([4, 4, 4]);
        Assert.That(All(equal).Select(s => s.Row), Is.EqualTo([0, 1, 2]), "in the order that they came in");
    }

    [Test]
    public void Packed_sequences_never_overlap_and_none_is_lost([Range(0, 19)] int seed)
    {
        var random = new Random(seed);
        int patch = random.Next(1, 5);
        int[] lengths = [.. Enumerable.Range(0, random.Next(1, 40)).Select(_ => random.Next(1, random.Next(2, 50)))];
        Segments segments = Segments.Packed(lengths, random.Next(120), patch);
        int[,] used = new int[segments.Rows, segments.Length];
        for (int i = 0; i < lengths.Length; i++)
        {
            Assert.That(segments[i].Length, Is.EqualTo(lengths[i]));
            Assert.That(segments[i].Start % patch, Is.Zero);
            for (int t = 0; t < lengths[i]; t++)
                used[segments[i].Row, segments[i].Start + t]++;
        }
        Assert.That(used.Cast<int>(), Is.All.LessThan(2));
        Assert.That(used.Cast<int>().Sum(), Is.EqualTo(lengths.Sum()).And.EqualTo(segments.Positions));
        Assert.That(Enumerable.Range(0, segments.Rows).All(row => used[row, 0] == 1), "no row is empty");
    }

    [Test]
    public void Resets_are_where_sequences_and_padding_start()
    {
        using var scope = new TensorScope();
        Assert.That(Segments.Packed([3, 5, 4], longest: 8).Resets(Cpu)!.ToDoubles(), Is.EqualTo([1, 0, 0, 0, 0, 1, 0, 0, /**/ 1, 0, 0, 0, 1, 0, 0, 0]));
        Assert.That(Segments.Padded([2, 2]).Resets(Cpu), Is.Null);
        Assert.That(Segments.Padded([2, 2]).Resets(Cpu, 3)!.ToDoubles(), Is.EqualTo([1, 0, 1, 1, 0, 1]));
        Assert.That(Segments.Packed([1, 1], longest: 2).Resets(Cpu)!.ToDoubles(), Is.EqualTo([1, 1]));
        Refused(() => Segments.Padded([4]).Resets(Cpu, 3), "Segments: rows of 3 positions were asked for; the sequences take 4.");
    }

    [Test]
    public void A_mask_is_only_where_there_is_padding()
    {
        using var scope = new TensorScope();
        Assert.That(Segments.Packed([1, 1, 2], longest: 2).Mask(Cpu, 2), Is.Null);
        Tensor mask = Segments.Packed([1, 2, 3], longest: 4, patch: 2).Mask(Cpu, 5)!;
        Assert.That(mask.Shape, Is.EqualTo(new Shape(2, 5, 1)));
        Assert.That(mask.ToDoubles(), Is.EqualTo([1, 1, 1, 0, 0, /**/ 1, 1, 1, 0, 0]), "3, and 2 + 1");
    }

    [Test]
    public void Tokens_and_values_stand_where_the_segments_say()
    {
        using var scope = new TensorScope();
        Segments segments = Segments.Packed([1, 3], longest: 4);
        Assert.That(segments.Tokens([[7], [4, 5, 6]], Cpu).ToDoubles(), Is.EqualTo([4, 5, 6, 7]));
        foreach (DType dtype in (DType[])[DType.Float32, DType.Float64])
        {
            Tensor values = Segments.Padded([1, 2]).Values([[1, 2], [3, 4, 5, 6]], 2, Cpu, dtype);
            Assert.That((values.Shape, values.DType), Is.EqualTo((new Shape(2, 2, 2), dtype)));
            Assert.That(values.ToDoubles(), Is.EqualTo([1, 2, 0, 0, 3, 4, 5, 6]));
        }
        Refused(() => segments.Tokens([[7]], Cpu), "Segments: 1 sequences were given; expected 2.");
        Refused(() => segments.Tokens([[7], [1, 2]], Cpu), "Segments: sequence 1 has 2 values; expected 3.");
        Refused(() => segments.Values([[7, 8], [1, 2, 3]], 2, Cpu), "Segments: sequence 1 has 3 values; expected 6.");
        Refused(() => segments.Values([[7], [1, 2, 3]], 1, Cpu, DType.Int32), "Segments: values of int32 were asked for; expected float32 or float64.");
    }

    [Test]
    public void Lengths_that_cannot_be_are_one_clear_line()
    {
        Refused(() => Segments.Padded([]), "Segments: there are no sequences; expected one or more.");
        Refused(() => Segments.Packed([]), "Segments: there are no sequences; expected one or more.");
        Refused(() => Segments.Padded([3, 0]), "Segments: sequence 1 has 0 positions; expected 1 or more.");
        Refused(() => Segments.Packed([-1]), "Segments: sequence 0 has -1 positions; expected 1 or more.");
        Refused(() => Segments.Packed([1], patch: 0), "Segments: a patch of 0 steps; expected 1 or more.");
        Refused(() => Segments.Packed([1]).Patched(0), "Segments: a patch of 0 steps; expected 1 or more.");
        Refused(() => Segments.Packed([3, 2], longest: 5).Patched(2), "Segments: a sequence begins at step 3 of its row; expected a multiple of the patch, 2.");
        Refused(() => Segments.Padded([2_000_000_000, 1]).Resets(Cpu),
            "Segments: 2 rows of 2000000000 are more than can be counted; expected 2147483647 values at most.");
    }
}
