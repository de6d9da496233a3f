using System.Runtime.ExceptionServices;

namespace Mamba.Gpu;

/// <summary>
/// Threads that wait for kernels. A launch is cut into shares, more than there are threads, and whoever is free takes the
/// next: the caller itself does everything if no other thread gets a core in time, so a busy machine costs little. A training
/// step launches hundreds of small kernels, so a thread spins for some microseconds before it sleeps, and a launch allocates nothing.
/// </summary>
internal sealed unsafe class HostPool : IDisposable
{
    const int Spins = 300;                  // of 10 pauses each: some 50 µs, longer than the gap between two launches of a step
    const int SharesPerThread = 4;

    [ThreadStatic] static int slot;

    readonly Thread[] threads;
    readonly SemaphoreSlim[] wake;
    readonly int[] asleep;                  // 1 while thread i sleeps, a cache line apart
    readonly Lock gate = new();

    // The launch under way. Written before `state`; stable until every share that was taken is done.
    void* arguments;
    delegate*<void*, int, int, void> entry;
    bool keepNow;                           // subnormals

    // epoch (32 bits), shares (16), next share (16), in one word: a share is taken by compare-and-swap, so a thread that comes late
    // can neither take a share twice nor mix two launches.
    long state;
    int done;
    Exception? failure;
    volatile bool stopping;

    public HostPool(int size)
    {
        Size = size;
        threads = new Thread[size - 1];
        wake = new SemaphoreSlim[size - 1];
        asleep = new int[size * 16];
        for (int i = 0; i < threads.Length; i++)
        {
            int index = i;
            wake[i] = new SemaphoreSlim(0);
            threads[i] = new Thread(() => Work(index)) { IsBackground = true, Name = $"mamba worker {i + 1}" };
            threads[i].Start();
        }
    }

    /// <summary>Threads that work, the calling one among them.</summary>
    public int Size { get; }

    /// <summary>Which of its pool's threads the current one is, from 0 to <see cref="Size"/> − 1; the calling thread is the first.</summary>
    public static int Slot => slot;

    /// <summary>Shares a large launch is best cut into.</summary>
    public int Shares => Size == 1 ? 1 : Size * SharesPerThread;

    /// <summary>
    /// Whether launches from now on compute with subnormal numbers; false: such inputs and results count as zero, see <see cref="Subnormals"/>.
    /// </summary>
    public bool KeepSubnormals { get; set; }

    /// <summary>Runs entryPoint(arguments, i, count) once for every i below count, on all threads, and returns when all are done.</summary>
    public void Run(delegate*<void*, int, int, void> entryPoint, void* with, int count)
    {
        bool keep = KeepSubnormals;
        Subnormals.Environment callers = Subnormals.Set(keep);
        ExceptionDispatchInfo? failed = null;
        try
        {
            // One launch at a time; a thread that finds the pool busy does its work alone: the bits are the same.
            if (count > 1 && Size > 1 && gate.TryEnter())
                Share(entryPoint, with, count, keep);
            else
                for (int i = 0; i < count; i++)
                    entryPoint(with, i, count);
        }
        catch (Exception e)
        {
            failed = ExceptionDispatchInfo.Capture(e);
        }
        // Not in a finally block: on arm64 a thread goes on after an exception with the modes it had where that was thrown.
        Subnormals.Restore(callers);
        failed?.Throw();
    }

    void Share(delegate*<void*, int, int, void> entryPoint, void* with, int count, bool keep)
    {
        try
        {
            keepNow = keep;
            arguments = with;
            entry = entryPoint;
            done = 0;
            Interlocked.Exchange(ref state, ((state >> 32) + 1) << 32 | (long)count << 16);
            for (int i = 0; i < threads.Length; i++)
                if (Volatile.Read(ref asleep[i * 16]) == 1 && Interlocked.Exchange(ref asleep[i * 16], 0) == 1)
                    wake[i].Release();
            while (TakeShare(ref keep))
            {
            }
            for (int spins = 0; Volatile.Read(ref done) != count; spins++)
            {
                if (spins < Spins)
                    Thread.SpinWait(10);
                else
                    Thread.Yield();
            }
            if (failure is { } e)
            {
                failure = null;
                throw new InvalidOperationException("A kernel failed on a worker thread.", e);
            }
        }
        finally
        {
            gate.Exit();
        }
    }

    // Takes the next share and does it; false when none is left. `keeps` is what the thread does with subnormals.
    bool TakeShare(ref bool keeps)
    {
        while (true)
        {
            long seen = Volatile.Read(ref state);
            int next = (int)(seen & 0xffff), count = (int)(seen >> 16 & 0xffff);
            if (next >= count)
                return false;
            if (Interlocked.CompareExchange(ref state, seen + 1, seen) != seen)
                continue;
            if (keeps != keepNow)
                Subnormals.Set(keeps = keepNow);
            try
            {
                entry(arguments, next, count);
            }
            catch (Exception e)
            {
                failure = e;
            }
            Interlocked.Increment(ref done);
            return true;
        }
    }

    bool HasShare()
    {
        long seen = Volatile.Read(ref state);
        return (seen & 0xffff) < (seen >> 16 & 0xffff);
    }

    void Work(int index)
    {
        slot = index + 1;
        bool keeps = false;
        Subnormals.Set(keeps);              // the thread is the pool's: nobody misses what it had
        ref int sleeping = ref asleep[index * 16];
        for (int spins = 0; !stopping;)
        {
            if (TakeShare(ref keeps))
            {
                spins = 0;
            }
            else if (spins++ < Spins)
            {
                Thread.SpinWait(10);
            }
            else
            {
                // Announce the sleep, then look once more: a launch in between either sees the announcement or is seen here.
                Interlocked.Exchange(ref sleeping, 1);
                if ((!HasShare() && !stopping) || Interlocked.Exchange(ref sleeping, 0) == 0)
                    wake[index].Wait();
                spins = 0;
            }
        }
    }

    public void Dispose()
    {
        if (stopping)
            return;
        stopping = true;
        foreach (SemaphoreSlim semaphore in wake)
            semaphore.Release();
        foreach (Thread thread in threads)
            thread.Join();
        foreach (SemaphoreSlim semaphore in wake)
            semaphore.Dispose();
    }
}
