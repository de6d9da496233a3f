using Mamba.Checks;
using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

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
    public void A_write_outside_a_tensor_is_an_error_with_the_kernels_name([ValueSource(nameof(DeviceNames))] string name,
        [Values(DType.Float32, DType.Float64)] DType dtype, [Values(-1, -60, 5, 70)] long at)
    {
        using ComputeDevice device = Open(name);
        using var watch = new KernelWatch(device);
        using var scope = new TensorScope();
        Tensor x = Tensor.Zeros(5, dtype, device);
        Assert.That(() => FaultyKernels.Ones(x, at, 0, 1),
            Throws.TypeOf<MambaException>().With.Message.EqualTo($"Writes wrote element {at} of a tensor {dtype.Name()} (5)"));
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
    public void What_nobody_wrote_is_NaN_also_in_memory_used_before([ValueSource(nameof(DeviceNames))] string name,
        [Values(DType.Float32, DType.Float64)] DType dtype)
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
