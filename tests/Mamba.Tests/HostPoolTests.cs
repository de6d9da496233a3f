using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

public unsafe class HostPoolTests
{
    const int Patience = 60_000;        // milliseconds; the machine may be busy, but nothing here takes a second

    // ---- what the pool runs: arguments are an array of ints -------------------------------------------

    static void Count(void* counts, int index, int count) => Interlocked.Increment(ref ((int*)counts)[index]);

    static void Fail(void* counts, int index, int count)
    {
        Count(counts, index, count);
        if (index == count / 2)
            throw new ArithmeticException($"share {index}");
    }

    static void FailAlways(void* counts, int index, int count) => throw new ArithmeticException($"share {index}");

    // Ends only when another share has begun: by two threads or never (then, after a while, with a flag).
    static void Meet(void* met, int index, int count)
    {
        int* state = (int*)met;
        Interlocked.Increment(ref state[0]);
        long until = Environment.TickCount64 + Patience / 2;
        while (Volatile.Read(ref state[0]) < 2)
        {
            if (Environment.TickCount64 > until)
            {
                state[1] = 1;
                return;
            }
            Thread.Sleep(0);
        }
    }

    static int[] Launch(HostPool pool, int shares)
    {
        int[] counts = new int[shares + 1];
        fixed (int* p = counts)
            pool.Run(&Count, p, shares);
        return counts;
    }

    static int[] Once(int shares) => [.. Enumerable.Repeat(1, shares), 0];

    // ---- tests -----------------------------------------------------------------------------------------

    [Test, CancelAfter(Patience)]
    public void Every_share_is_done_once([Range(1, 9)] int threads)
    {
        using var pool = new HostPool(threads);
        foreach (int shares in (int[])[0, 1, 2, 3, 7, pool.Shares, 100, 5000])
            Assert.That(Launch(pool, shares), Is.EqualTo(Once(shares)), $"{shares} shares");
    }

    [Test, CancelAfter(Patience)]
    public void Thousands_of_tiny_launches_lose_nothing([Values(1, 2, 3, 9)] int threads)
    {
        using var pool = new HostPool(threads);
        int[] counts = new int[4];
        fixed (int* p = counts)
            for (int i = 0; i < 20_000; i++)
                pool.Run(&Count, p, 1 + i % 4);
        Assert.That(counts, Is.EqualTo(new[] { 20_000, 15_000, 10_000, 5_000 }));
    }

    [Test, CancelAfter(Patience)]
    public void Threads_may_launch_at_the_same_time([Values(1, 2, 5)] int threads, [Values(2, 4)] int callers)
    {
        using var pool = new HostPool(threads);
        int[][] counts = [.. Enumerable.Range(0, callers).Select(_ => new int[8])];
        Thread[] all = [.. counts.Select(mine => new Thread(() =>
        {
            fixed (int* p = mine)
                for (int i = 0; i < 3000; i++)
                    pool.Run(&Count, p, 8);
        }))];
        foreach (Thread thread in all)
            thread.Start();
        foreach (Thread thread in all)
            thread.Join();
        Assert.That(counts, Has.All.EqualTo(Enumerable.Repeat(3000, 8)));
    }

    [Test]
    public void Threads_may_compute_on_one_device_at_the_same_time()
    {
        using var device = new HostDevice(threads: 3);
        double[] Compute()
        {
            using var tape = new Tape();
            Tensor x = Tape.Watch(TestData.Random((60, 300), DType.Float32, device, 1));
            Tensor loss = Ops.MatMul(x, x, transposeB: true).Silu().Sum();
            return [loss.Item(), .. tape.Backward(loss)[x].ToDoubles()];
        }
        double[] alone = Compute();
        double[][] together = new double[4][];
        Thread[] threads = [.. together.Select((_, i) => new Thread(() =>
        {
            for (int n = 0; n < 20; n++)
                together[i] = Compute();
        }))];
        foreach (Thread thread in threads)
            thread.Start();
        foreach (Thread thread in threads)
            thread.Join();
        Assert.That(together, Has.All.EqualTo(alone), "and no bit differs");
        Assert.That(device.Memory.LiveBuffers, Is.Zero);
    }

    [Test, CancelAfter(Patience)]
    public void An_exception_reaches_the_caller_and_the_pool_goes_on([Values(1, 2, 5)] int threads, [Values(1, 2, 20)] int shares)
    {
        using var pool = new HostPool(threads);
        for (int i = 0; i < 50; i++)
        {
            int[] counts = new int[shares];
            Exception? failure = Assert.Catch(() =>
            {
                fixed (int* p = counts)
                    pool.Run(&Fail, p, shares);
            });
            Assert.That(failure!.GetBaseException(), Is.TypeOf<ArithmeticException>().With.Message.EqualTo($"share {shares / 2}"));
            Assert.That(counts, Has.All.AtMost(1));
            Assert.That(Launch(pool, shares), Is.EqualTo(Once(shares)), "the next launch knows nothing of it");
        }
        Assert.That(Assert.Catch(() => pool.Run(&FailAlways, null, shares))!.GetBaseException(), Is.TypeOf<ArithmeticException>());
        Assert.That(Launch(pool, shares), Is.EqualTo(Once(shares)));
    }

    [Test, CancelAfter(Patience)]
    public void Sleeping_threads_wake_up([Values(2, 4)] int threads)
    {
        using var pool = new HostPool(threads);
        for (int i = 0; i < 5; i++)
        {
            Thread.Sleep(30);               // they spin for some 50 µs only
            int[] met = new int[2];
            fixed (int* p = met)
                pool.Run(&Meet, p, 2);
            Assert.That(met, Is.EqualTo(new[] { 2, 0 }), "two shares ran side by side");
        }
    }

    [Test, CancelAfter(Patience)]
    public void A_pool_can_be_disposed_at_any_time([Range(1, 9)] int threads, [Values(0, 30)] int asleep, [Values] bool used)
    {
        var pool = new HostPool(threads);
        if (used)
            Launch(pool, 100);
        Thread.Sleep(asleep);
        pool.Dispose();
        pool.Dispose();
    }

    [TestCase(-1)]
    [TestCase(1025)]
    public void A_number_of_threads_that_makes_no_sense_is_refused(int threads) =>
        Assert.That(() => new HostDevice(threads),
            Throws.TypeOf<MambaException>().With.Message.EqualTo($"cpu: {threads} threads were asked for; expected 1 to 1024."));

    [Test]
    public void A_width_no_processor_has_is_refused() =>
        Assert.That(() => new HostDevice(1, bits: 64),
            Throws.TypeOf<MambaException>().With.Message.EqualTo("cpu: vectors of 64 bits were asked for; expected 128, 256 or 512."));
}
