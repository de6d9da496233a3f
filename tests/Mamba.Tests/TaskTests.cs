using NUnit.Framework;

namespace Mamba.Tests;

public class TaskTests
{
    static Batch Draw(SequenceTask task, int batch, int length, ulong seed = 1, long step = 0) =>
        task.Draw(SequenceTask.TrainingStream(seed, step), batch, length);

    [Test]
    public void Induction_heads_ask_for_the_token_after_the_special_one()
    {
        foreach (int length in (int[])[3, 4, 5, 64, 257])
        {
            Batch batch = Draw(new InductionHeads(), 200, length);
            Assert.That((batch.B, batch.L), Is.EqualTo((200, length)));
            for (int b = 0; b < batch.B; b++)
            {
                int[] tokens = batch.Tokens[(b * length)..((b + 1) * length)], targets = batch.Targets[(b * length)..((b + 1) * length)];
                int place = Array.IndexOf(tokens, InductionHeads.Special);
                Assert.Multiple(() =>
                {
                    Assert.That(tokens.Count(t => t == InductionHeads.Special), Is.EqualTo(2));
                    Assert.That(tokens[^1], Is.EqualTo(InductionHeads.Special));
                    Assert.That(place, Is.LessThan(length - 2));
                    Assert.That(targets[^1], Is.EqualTo(tokens[place + 1]).And.LessThan(InductionHeads.Special));
                    Assert.That(targets[..^1], Is.All.EqualTo(SequenceTask.Ignore));
                    Assert.That(tokens, Is.All.InRange(0, 15));
                });
            }
        }
    }

    [Test]
    public void Induction_heads_use_every_place_and_every_answer_equally_often()
    {
        const int Length = 12, Count = 30_000;
        Batch batch = Draw(new InductionHeads(), Count, Length);
        int[] places = new int[Length - 2], answers = new int[15];
        for (int b = 0; b < Count; b++)
        {
            places[Array.IndexOf(batch.Tokens, InductionHeads.Special, b * Length) - b * Length]++;
            answers[batch.Targets[(b + 1) * Length - 1]]++;
        }
        ExpectEqual(places);
        ExpectEqual(answers);
    }

    [Test]
    public void Selective_copying_asks_for_the_data_in_order()
    {
        foreach ((int length, int n) in ((int, int)[])[(1, 1), (8, 8), (9, 8), (64, 8), (300, 16)])
        {
            var task = new SelectiveCopying(n);
            Batch batch = Draw(task, 100, length);
            Assert.That(batch.L, Is.EqualTo(length + n).And.EqualTo(task.Tokens(length)));
            for (int b = 0; b < batch.B; b++)
            {
                int[] tokens = batch.Tokens[(b * batch.L)..((b + 1) * batch.L)], targets = batch.Targets[(b * batch.L)..((b + 1) * batch.L)];
                int[] data = [.. tokens[..length].Where(t => t != SelectiveCopying.Noise)];
                Assert.Multiple(() =>
                {
                    Assert.That(data, Has.Length.EqualTo(n).And.All.InRange(1, 14));
                    Assert.That(tokens[length..], Is.All.EqualTo(SelectiveCopying.Marker));
                    Assert.That(targets[length..], Is.EqualTo(data));
                    Assert.That(targets[..length], Is.All.EqualTo(SequenceTask.Ignore));
                });
            }
        }
    }

    [Test]
    public void Selective_copying_uses_every_place_and_every_token_equally_often()
    {
        const int Length = 10, Data = 3, Count = 20_000;
        Batch batch = Draw(new SelectiveCopying(Data), Count, Length);
        int[] places = new int[Length], tokens = new int[14];
        for (int b = 0; b < Count; b++)
            for (int i = 0; i < Length; i++)
                if (batch.Tokens[b * batch.L + i] is var token and not SelectiveCopying.Noise)
                {
                    places[i]++;
                    tokens[token - 1]++;
                }
        ExpectEqual(places);
        ExpectEqual(tokens);
    }

    /// <summary>Within five standard deviations of a fair count.</summary>
    static void ExpectEqual(int[] counts)
    {
        double mean = counts.Average(), tolerance = 5 * Math.Sqrt(mean);
        Assert.That(counts, Is.All.EqualTo(mean).Within(tolerance));
        Assert.That(counts.Distinct().Count(), Is.GreaterThan(1));          // they are random
    }

    static readonly SequenceTask[] Tasks = [new InductionHeads(), new SelectiveCopying(4)];

    [Test]
    public void A_sequence_read_in_pieces_is_the_same([ValueSource(nameof(Tasks))] SequenceTask task)
    {
        const int Length = 100;
        Batch whole = task.Draw(SequenceTask.ValidationStream(Length, 3), 1, Length);
        TaskSequence sequence = task.Open(SequenceTask.ValidationStream(Length, 3), Length);
        int[] tokens = new int[whole.L], targets = new int[whole.L];
        for (int start = 0, size = 1; start < whole.L; start += size, size = size % 13 + 3)
        {
            int end = Math.Min(start + size, whole.L);
            sequence.Read(tokens.AsSpan(start..end), targets.AsSpan(start..end));
        }
        Assert.That(tokens, Is.EqualTo(whole.Tokens));
        Assert.That(targets, Is.EqualTo(whole.Targets));
        Assert.That(sequence.Position, Is.EqualTo(whole.L));
    }

    [Test]
    public void A_step_has_the_same_data_whenever_it_is_drawn_and_no_other_step_has_it([ValueSource(nameof(Tasks))] SequenceTask task)
    {
        int[] first = Draw(task, 4, 50, seed: 1, step: 7).Tokens;
        Assert.That(Draw(task, 4, 50, seed: 1, step: 7).Tokens, Is.EqualTo(first));
        Assert.That(Draw(task, 4, 50, seed: 1, step: 8).Tokens, Is.Not.EqualTo(first));
        Assert.That(Draw(task, 4, 50, seed: 2, step: 7).Tokens, Is.Not.EqualTo(first));
        Assert.That(task.Draw(SequenceTask.ValidationStream(50, 7), 4, 50).Tokens, Is.Not.EqualTo(first));
        Assert.That(Draw(task, 4, 50, seed: 0, step: 7).Tokens, Is.Not.EqualTo(task.Draw(SequenceTask.ValidationStream(50, 7), 4, 50).Tokens));
    }

    [Test]
    public void Batches_are_those_of_the_steps_and_give_their_buffers_back()
    {
        using Device device = Device.Open("cpu");
        int step = 0;
        foreach ((Tensor tokens, Tensor targets) in InductionHeads.Batches(length: 20, batch: 3, seed: 5, device).Take(4))
        {
            Batch expected = Draw(new InductionHeads(), 3, 20, seed: 5, step++);
            Assert.That(tokens.Shape, Is.EqualTo((Shape)(3, 20)));
            Assert.That(tokens.ToArray<int>(), Is.EqualTo(expected.Tokens));
            Assert.That(targets.ToArray<int>(), Is.EqualTo(expected.Targets));
            Assert.That(device.Memory.LiveBuffers, Is.EqualTo(2));
        }
        Assert.That(step, Is.EqualTo(4));
        Assert.That(device.Memory.LiveBuffers, Is.Zero);
    }

    [Test]
    public void Too_short_a_length_is_one_clear_line()
    {
        Assert.That(() => Draw(new InductionHeads(), 1, 2), Throws.TypeOf<MambaException>().With.Message.Contains("at least 3"));
        Assert.That(() => Draw(new SelectiveCopying(), 1, 15), Throws.TypeOf<MambaException>().With.Message.Contains("at least 16"));
        Assert.That(() => SequenceTask.Named("copying"), Throws.TypeOf<MambaException>().With.Message.Contains("selective-copying"));
    }
}
