namespace Mamba.Gpu;

/// <summary>
/// Threads that wait for kernels. A training step launches hundreds of small ones, so a worker spins for a few
/// microseconds before it sleeps, and a launch allocates nothing.
/// </summary>
internal sealed unsafe class HostPool : IDisposable
{
    const int Spins = 2000;         // some 20 to 50 µs: longer than the gap between two launches of a step

    readonly Thread[] threads;
    readonly SemaphoreSlim[] wake;
    readonly Lock gate = new();
    void* kernel;
    delegate*<void*, int, int, void> entry;
    int workers;
    int epoch;
    int running;
    volatile bool stopping;
    readonly int[] asleep;          // 1 while thread i sleeps
    Exception? failure;

    public HostPool(int size)
    {
        Size = size;
        threads = new Thread[size - 1];
        wake = new SemaphoreSlim[size - 1];
        asleep = new int[(size - 1) * 16];
        for (int i = 0; i < threads.Length; i++)
        {
            int index = i;
            wake[i] = new SemaphoreSlim(0);
            threads[i] = new Thread(() => Work(index)) { IsBackground = true, Name = $"mamba worker {i + 1}" };
            threads[i].Start();
        }
    }

    /// <summary>Workers, the calling thread among them.</summary>
    public int Size { get; }

    /// <summary>Runs entry(kernel, i, count) for i from 0 to count − 1, at the same time, and returns when all are done.</summary>
    /// <param name="entryPoint">The body; it may be called for several i by one thread.</param>
    /// <param name="arguments">Passed on; lives on the caller's stack.</param>
    /// <param name="count">At most <see cref="Size"/>.</param>
    public void Run(delegate*<void*, int, int, void> entryPoint, void* arguments, int count)
    {
        // One launch at a time; a thread that finds the pool busy does its work alone: the bits are the same.
        if (count == 1 || !gate.TryEnter())
        {
            for (int i = 0; i < count; i++)
                entryPoint(arguments, i, count);
            return;
        }
        try
        {
            kernel = arguments;
            entry = entryPoint;
            workers = count;
            Volatile.Write(ref running, Size - 1);      // every thread reports, so none can still be reading when the next launch begins
            Interlocked.Increment(ref epoch);
            for (int i = 0; i < threads.Length; i++)
                if (Interlocked.Exchange(ref asleep[i * 16], 0) == 1)
                    wake[i].Release();
            entryPoint(arguments, 0, count);
            SpinWait spin = default;
            while (Volatile.Read(ref running) != 0)
            {
                if (spin.NextSpinWillYield)
                    spin.Reset();
                spin.SpinOnce(sleep1Threshold: -1);
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

    void Work(int index)
    {
        int seen = 0;
        while (true)
        {
            int spins = 0;
            while (Volatile.Read(ref epoch) == seen && !stopping)
            {
                if (spins++ < Spins)
                {
                    Thread.SpinWait(10);
                    continue;
                }
                // Announce the sleep, then look once more: a launch in between either sees the announcement or is seen here.
                Interlocked.Exchange(ref asleep[index * 16], 1);
                if ((Volatile.Read(ref epoch) != seen || stopping) && Interlocked.Exchange(ref asleep[index * 16], 0) == 1)
                    break;
                wake[index].Wait();
            }
            if (stopping)
                return;
            seen = Volatile.Read(ref epoch);
            try
            {
                if (index + 1 < workers)
                    entry(kernel, index + 1, workers);
            }
            catch (Exception e)
            {
                failure = e;
            }
            Interlocked.Decrement(ref running);
        }
    }

    public void Dispose()
    {
        stopping = true;
        foreach (SemaphoreSlim semaphore in wake)
            semaphore.Release();
        foreach (Thread thread in threads)
            thread.Join();
        foreach (SemaphoreSlim semaphore in wake)
            semaphore.Dispose();
    }
}
