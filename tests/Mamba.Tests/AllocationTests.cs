using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

public class AllocationTests
{
    static readonly MambaConfig Config = new() { DModel = 16, NLayer = 2, VocabSize = 16 };

    /// <summary>A model in training and batches of several shapes for it.</summary>
    sealed class Training : IDisposable
    {
        public readonly HostDevice Device = new(threads: 2);
        readonly MambaLM model;
        readonly AdamW optimizer;

        public Training()
        {
            model = new MambaLM(Config, Device, seed: 1);
            optimizer = new AdamW(model.Parameters, 1e-3);
        }

        public Tensor Tokens(int batch, int length) => Tensor.From([.. Enumerable.Range(0, batch * length).Select(i => i * 7 % 16)], (batch, length), Device);

        /// <summary>One step; the bytes it allocated on the managed heap.</summary>
        public long Step(Tensor tokens)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            using (var tape = new Tape())
                optimizer.Step(tape.Backward(Ops.CrossEntropy(model.Forward(tokens), tokens)).ClipNorm(1));
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }

        public void Dispose()
        {
            optimizer.Dispose();
            model.Dispose();
            Device.Dispose();
        }
    }

    // 160 to 380 MB, 3.2 GB in all, one after another: of what lies idle a gigabyte is kept. Nobody writes to it, so the system gives no memory for it.
    [Test]
    public void Sizes_that_change_do_not_pile_up()
    {
        using Device device = Device.Open("cpu");
        for (int i = 0; i < 12; i++)
        {
            using var scope = new TensorScope();
            _ = Tensor.Empty(1_000_000 * (40 + 5 * i), DType.Float32, device);
        }
        Assert.That(device.Memory.ReservedBytes, Is.LessThan(1_600_000_000));
    }

    // The bytes are those of the tape's own lists, closures and tensor objects: as many as there are ops. Measured: 70 KB with
    // two layers. A long sum has a second pass, with a tensor object of its own; that is all that may differ.
    // The JIT moves some objects to the stack when it optimizes a method, which it does at a time of its own: a comparison
    // counts only if the same step gave the same number before and after it.
    [Test]
    public void A_step_allocates_the_same_whatever_the_batch_and_the_length()
    {
        using var training = new Training();
        using var scope = new TensorScope();
        Tensor small = training.Tokens(1, 8);
        Tensor[] others = [training.Tokens(4, 64), training.Tokens(3, 33), training.Tokens(1, 700), training.Tokens(20, 5)];
        for (int i = 0; i < 60; i++)
            foreach (Tensor tokens in (Tensor[])[small, .. others])
                training.Step(tokens);
        foreach (Tensor tokens in others)
        {
            long before, bytes, after;
            int attempts = 0;
            do
            {
                (before, bytes, after) = (training.Step(small), training.Step(tokens), training.Step(small));
            }
            while (before != after && ++attempts < 1000);
            Assert.That(bytes, Is.EqualTo(before).Within(1000), $"{tokens.Shape} and {small.Shape}");
            Assert.That(bytes, Is.LessThan(100_000));
        }
    }

    [Test]
    public void Memory_does_not_grow_from_step_to_step()
    {
        using var training = new Training();
        using var scope = new TensorScope();
        Tensor tokens = training.Tokens(4, 64);
        training.Step(tokens);
        training.Step(tokens);
        BufferPool pool = training.Device.Memory;
        (long reserved, long peak, int live) = (pool.ReservedBytes, pool.PeakBytes, pool.LiveBuffers);
        for (int i = 0; i < 20; i++)
            training.Step(tokens);
        Assert.That((pool.ReservedBytes, pool.PeakBytes, pool.LiveBuffers), Is.EqualTo((reserved, peak, live)));
    }

    [Test]
    public void Long_sequences_are_evaluated_in_the_memory_of_a_piece()
    {
        using var device = new HostDevice(threads: 2);
        using var model = new MambaLM(Config, device, seed: 1);
        using MambaState state = model.NewState(1);
        using Tensor tokens = Tensor.From(new int[256], (1, 256), device);
        long peak = 0;
        for (int piece = 0; piece < 12; piece++)
        {
            using var scope = new TensorScope();
            _ = model.Forward(tokens, state, lastOnly: true);
            if (piece == 0)
                peak = device.Memory.PeakBytes;
        }
        Assert.That(device.Memory.PeakBytes, Is.EqualTo(peak));
        Assert.That(state.Position, Is.EqualTo(12 * 256));
    }
}
