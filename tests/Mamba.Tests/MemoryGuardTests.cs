using Mamba.Checks;
using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>Kernels with faults. Public, because ILGPU compiles them from its own assembly.</summary>
public static class FaultyKernels
{
    /// <summary>y[Shift + i] = 1 for i from First below Count.</summary>
    public struct Writes<V, M, T> : IKernel
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
    {
        public M Y;
        public long Shift, First, Count;

        public void Run(Worker worker)
        {
            if (worker.Index != 0)
                return;
            for (long i = First; i < Count; i++)
                V.Store(Y, Shift + i, V.Of(1), 1);
        }
    }

    /// <summary>y = x, of which something may not have been written.</summary>
    public struct Copies<V, M, T> : IKernel
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
    {
        public M X, Y;
        public long Count;

        public void Run(Worker worker)
        {
            if (worker.Index != 0)
                return;
            for (long i = 0; i < Count; i++)
                V.Store(Y, i, V.Load(X, i, 1), 1);
        }
    }

    readonly record struct Write(Tensor Y, long Shift, long First, long Count) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new Writes<V, M, T> { Y = on.Memory(Y), Shift = Shift, First = First, Count = Count }, 1);
    }

    readonly record struct Copy(Tensor X, Tensor Y) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new Copies<V, M, T> { X = on.Memory(X), Y = on.Memory(Y), Count = Y.Count }, 1);
    }

    /// <summary>Ones, written at Shift + First … Shift + Count − 1.</summary>
    public static Tensor Ones(Tensor x, long shift, long first, long count)
    {
        Tensor y = x.Like();
        y.Launch(new Write(y, shift, first, count));
        return y;
    }

    /// <summary>x + 0 · (what a scratch tensor held before).</summary>
    public static Tensor ReadsScratch(Tensor x)
    {
        Tensor scratch = x.Like(), y = x.Like();
        y.Launch(new Copy(scratch, y));
        return Ops.Add(x, Ops.Mul(y, 0.0));
    }

    /// <summary>Found by <c>mamba parity --assembly</c>.</summary>
    public static IEnumerable<OpCase> Cases
    {
        get
        {
            CaseInput[] x = [new("x", 5)];
            OpCase Planted(string variant, Func<Tensor[], Tensor[]> f) => new("Planted", variant, x, f) { Differentiable = false };
            yield return Planted("right", x => [Ones(x[0], 0, 0, 5)]);
            yield return Planted("unwritten", x => [Ones(x[0], 0, 0, 3)]);
            yield return Planted("out of range", x => [Ones(x[0], 0, 0, 300)]);
            yield return Planted("reads scratch", x => [ReadsScratch(x[0])]);
            yield return Planted("right again", x => [Ones(x[0], 0, 0, 5)]);
        }
    }
}

public class MemoryGuardTests
{
    // Not the simulator: it ends the process, and has a test of its own.
    static readonly string[] DeviceNames = ["cpu-128", "cpu-256", "cpu-512", "opencl:0", "cuda:0"];

    static ComputeDevice Open(string name)
    {
        TestDevices.Open(name);         // ignored where it is absent
        return (ComputeDevice)CheckDevices.Open(name);
    }

    [Test]
    public void A_write_outside_a_tensor_is_an_error_with_the_kernels_name([ValueSource(nameof(DeviceNames))] string name, [Values(DType.Float32, DType.Float64)] DType dtype, [Values(-1, -60, 5, 70)] long at)
    {
        using ComputeDevice device = Open(name);
        using var watch = new KernelWatch(device);
        using var scope = new TensorScope();
        Tensor x = Tensor.Zeros(5, dtype, device);
        Assert.That(() => FaultyKernels.Ones(x, at, 0, 1), Throws.TypeOf<MambaException>().With.Message.EqualTo($"Writes wrote element {at} of a tensor {dtype.Name()} (5)"));
        Assert.That(() => FaultyKernels.Ones(x, 0, 0, 5), Throws.Nothing, "it is said once");
    }

    [Test]
    public void An_element_left_unwritten_is_counted([ValueSource(nameof(DeviceNames))] string name, [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        using ComputeDevice device = Open(name);
        using var watch = new KernelWatch(device);
        using var scope = new TensorScope();
        Tensor x = Tensor.Zeros(5, dtype, device);
        Assert.That(MemoryGuard.Unwritten(FaultyKernels.Ones(x, 0, 0, 5)), Is.Zero);
        Assert.That(MemoryGuard.Unwritten(FaultyKernels.Ones(x, 0, 2, 4)), Is.EqualTo(3));
    }

    [Test]
    public void What_nobody_wrote_is_NaN_also_in_memory_used_before([ValueSource(nameof(DeviceNames))] string name, [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        using ComputeDevice device = Open(name);
        using var watch = new KernelWatch(device);
        using var scope = new TensorScope();
        Tensor x = Tensor.Zeros(5, dtype, device);
        for (int i = 0; i < 3; i++)
        {
            using var inner = new TensorScope();
            Assert.That(FaultyKernels.ReadsScratch(x).ToDoubles(), Has.All.NaN);
        }
        Assert.That(Tensor.Zeros(7, DType.Int32, device).ToDoubles(), Has.All.Zero);
        Assert.That(new[] { -1, 0 }, Does.Not.Contain((int)Tensor.Empty(7, DType.Int32, device).ToDoubles()[0]));
    }

    [Test]
    public void A_guarded_device_computes_what_an_unguarded_one_does()
    {
        using var device = new HostDevice(threads: 2);
        double[] Run()
        {
            using var model = new MambaLM(new MambaConfig { DModel = 8, NLayer = 2, VocabSize = 8 }, device, seed: 1);
            using var tape = new Tape();
            Tensor tokens = Tensor.From([.. Enumerable.Range(0, 2 * 40).Select(i => i % 8)], (2, 40), device);
            return tape.Backward(Ops.CrossEntropy(model.Forward(tokens), tokens)).FlatOf(model.Parameters).ToDoubles();
        }
        double[] plain = Run();
        using var watch = new KernelWatch(device);
        Assert.That(Run(), Is.EqualTo(plain));
        Assert.That(watch.Kernels, Has.Some.StartsWith("SelectiveScanBackward").And.Some.EqualTo("HostMatMul"));
    }
}
