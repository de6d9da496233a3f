using Mamba.Bench;
using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

public class LedgerTests
{
    const int B = 2, L = 40;
    static readonly MambaConfig Config = new() { DModel = 24, NLayer = 2, VocabSize = 11 };

    static Ledger OfAStep(Device device)
    {
        using var model = new MambaLM(Config, device, seed: 1);
        var ledger = new Ledger(Callers.Name);
        device.Memory.Ledger = ledger;
        using (var tape = new Tape())
        {
            Tensor tokens = Tensor.From([.. Enumerable.Range(0, B * L).Select(i => i % 11)], (B, L), device);
            tape.Backward(Ops.CrossEntropy(model.Forward(tokens), tokens));
        }
        device.Memory.Ledger = null;
        return ledger;
    }

    [Test]
    public void It_has_every_allocation_from_when_it_was_made_to_when_it_ended()
    {
        using var device = new HostDevice(threads: 1);
        using Tensor older = Tensor.Zeros(100, DType.Float32, device);
        var ledger = new Ledger(() => "test");
        device.Memory.Ledger = ledger;
        Tensor a = Tensor.Zeros((2, 3), DType.Float32, device), b = Tensor.Zeros(1000, DType.Float32, device);
        a.Dispose();
        Tensor c = Tensor.Zeros(64, DType.Float32, device);
        older.Dispose();
        b.Dispose();
        device.Memory.Ledger = null;
        c.Dispose();
        Assert.That(ledger.Allocations, Is.EqualTo((Allocation[])[
            new("test", (2, 3), 6, 256, 0, 2), new("test", 1000, 1000, 4096, 1, 4), new("test", 64, 64, 256, 3, null)]));
        Assert.That((ledger.PeakBytes, ledger.PeakTime, ledger.LargestTensor), Is.EqualTo((4352L, 1L, 1000L)));
        Assert.That(ledger.AtPeak.Select(x => x.Elements), Is.EqualTo((long[])[1000, 6]));
    }

    [Test]
    public void Its_peak_is_the_pools()
    {
        using var device = new HostDevice(threads: 1);
        OfAStep(device);
        using var model = new MambaLM(Config, device, seed: 1);
        long before = device.Memory.LiveBytes;
        device.Memory.ResetPeak();
        Ledger ledger = OfAStep(device);
        Assert.That(device.Memory.LiveBytes, Is.EqualTo(before));
        Assert.That(ledger.Allocations.Count(a => a.Ended is null), Is.Zero);
        Assert.That(ledger.PeakBytes, Is.LessThanOrEqualTo(device.Memory.PeakBytes - before).And.GreaterThan((device.Memory.PeakBytes - before) / 2));
    }

    [Test]
    public void It_says_which_op_asked_and_for_what_shape()
    {
        using var device = new HostDevice(threads: 1);
        Ledger ledger = OfAStep(device);
        Assert.That(ledger.Allocations.Select(a => a.By), Is.SupersetOf((string[])["Embedding", "CausalConv1d", "CausalConv1d, backward", "CrossEntropy"]));
        Assert.That(ledger.Allocations.Count(a => a.By == "CausalConv1d" && a.Shape == (B, L, Config.DInner)), Is.EqualTo(Config.NLayer));
    }

    [Test]
    public void No_tensor_of_all_states_is_in_a_training_step()
    {
        using var device = new HostDevice(threads: 1);
        long states = (long)B * L * Config.DInner * Config.SsmCfg.DState;
        Assert.That(OfAStep(device).LargestTensor, Is.Positive.And.LessThan(states));
    }

    [TestCase("chunked", false)]
    [TestCase("sequential", true)]
    public void A_scan_that_stores_its_states_is_found_out(string algorithm, bool stores)
    {
        using var device = new HostDevice(threads: 1);
        const long Length = 300, D = 48, N = 5;      // long enough that a thread's scratch, of one chunk, is small beside it
        var ledger = new Ledger(Callers.Name);
        using (var tape = new Tape())
        {
            Tensor Draw(Shape shape, ulong seed) => Tape.Watch(Ops.Uniform(shape, DType.Float32, device, seed));
            Tensor[] x = [Draw((B, Length, D), 1), Draw((B, Length, D), 2), Draw((D, N), 3), Draw((B, Length, N), 4), Draw((B, Length, N), 5)];
            device.Memory.Ledger = ledger;
            tape.Backward(Ops.Sum(Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], algorithm: ScanAlgorithm.Named(algorithm)).Y));
        }
        Assert.That(ledger.LargestTensor >= B * Length * D * N, Is.EqualTo(stores));
    }
}
