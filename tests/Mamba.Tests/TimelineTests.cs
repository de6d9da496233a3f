using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

public class TimelineTests
{
    [TestCaseSource(typeof(TestDevices), nameof(TestDevices.All))]
    public void It_has_every_kernel_in_order_with_the_bytes_it_was_given(string name)
    {
        using ComputeDevice device = TestDevices.OpenAnother(name);
        using var scope = new TensorScope();
        Tensor x = Ops.Uniform((7, 5), DType.Float32, device, 1), y = Ops.Uniform((3, 5), DType.Float32, device, 2);
        var timeline = new Timeline(device);
        device.Timeline = timeline;
        Ops.Silu(x);
        Ops.Linear(x, y);
        device.Timeline = null;
        Ops.Silu(x);
        KernelRun[] runs = timeline.Read();
        Assert.That(runs.Select(r => (r.Name, r.Bytes, r.Flops)), Is.EqualTo(new[]
        {
            ("UnaryForward<Silu>", 2L * 35 * 4, 0d),
            ("MatMul (7, 5) (5, 3)ᵀ", (35L + 15 + 21) * 4, 2d * 7 * 5 * 3),
        }));
        Assert.That(runs.Select(r => r.Milliseconds), Is.All.GreaterThanOrEqualTo(0));
        Assert.That(runs[1].Start, Is.GreaterThanOrEqualTo(runs[0].Start + runs[0].Milliseconds));
    }
}
