using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

public class TapeTests
{
    static Device Cpu => TestDevices.Open("cpu-256");

    static Tensor Watched(params double[] values) => Tape.Watch(Tensor.From(values, values.Length, Cpu));

    // ---- gradients ---------------------------------------------------------------------------------

    [Test]
    public void A_tensor_used_twice_gets_the_sum_of_both_gradients()
    {
        using var tape = new Tape();
        Tensor x = Watched(3, -2);
        Tensor y = x * x + x;                               // 2x + 1
        Assert.That(tape.Backward((y * x).Sum())[x].ToDoubles(), Is.EqualTo(new double[] { 3 * 9 + 2 * 3, 3 * 4 - 2 * 2 }));      // (x³ + x²)′
        Assert.That(tape.Backward(y.Sum())[x].ToDoubles(), Is.EqualTo(new double[] { 7, -3 }), "the tape can be walked again");
    }

    [Test]
    public void Micro_batches_add_up_to_the_big_batch([ValueSource(typeof(TestDevices), nameof(TestDevices.Fast))] string name,
        [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        Device device = TestDevices.Open(name);
        var config = new MambaConfig { DModel = 8, NLayer = 2, VocabSize = 11, SsmCfg = new SsmConfig { DState = 4 } };
        using var model = new MambaLM(config, device, seed: 1, dtype);
        int[] tokens = [.. TestData.Uniform(6 * 9, 1, 0, 11).Select(v => (int)v)], targets = [.. TestData.Uniform(6 * 9, 2, 0, 11).Select(v => (int)v)];

        Gradients Accumulated(int size)
        {
            var sum = new Gradients(model.Parameters);
            for (int b = 0; b < 6; b += size)
            {
                using var tape = new Tape();
                Range rows = (b * 9)..((b + size) * 9);
                Tensor part = Tensor.From(tokens[rows], (size, 9), device), expected = Tensor.From(targets[rows], (size, 9), device);
                tape.Backward(Ops.CrossEntropy(model.Forward(part), expected) * (size / 6.0), sum);
            }
            return sum;
        }

        using var scope = new TensorScope();
        Gradients whole = Accumulated(6), pairs = Accumulated(2), single = Accumulated(1);
        foreach (Parameter parameter in model.Parameters)
            foreach (Gradients gradients in (Gradients[])[pairs, single])
                Assert.That(TestData.RelativeError(gradients[parameter].ToDoubles(), whole[parameter].ToDoubles()),
                    Is.LessThan(dtype == DType.Float64 ? 1e-12 : 2e-5), parameter.Name);
    }

    [Test]
    public void Gradients_of_watched_tensors_add_up_one_by_one()
    {
        using var tape = new Tape();
        Tensor a = Watched(1, 2), b = Watched(3, 4);
        var sum = new Gradients();
        Tensor loss = (a + b).Sum();                        // one tensor of ones is the gradient of both
        for (int i = 1; i <= 3; i++)
        {
            tape.Backward(loss, sum);
            Assert.That(sum[a].ToDoubles(), Is.EqualTo(new double[] { i, i }));
            Assert.That(sum[b].ToDoubles(), Is.EqualTo(new double[] { i, i }));
        }
    }

    [Test]
    public void The_callers_seeds_stay_as_they_are()
    {
        using var tape = new Tape();
        Tensor x = Watched(1, 2), y = x + Watched(5, 6), z = Ops.Reshape(x, (2, 1)), seed = Tensor.From([0.5, 2.0], 2, Cpu), seedOfZ = seed.View((2, 1));
        var sum = new Gradients();
        for (int i = 1; i <= 2; i++)
        {
            tape.Backward([(x, seed), (y, seed), (y, seed), (z, seedOfZ)], sum);
            Assert.That(seed.ToDoubles(), Is.EqualTo(new[] { 0.5, 2 }));
            Assert.That(sum[x].ToDoubles(), Is.EqualTo(new[] { 2.0 * i, 8.0 * i }));
        }
    }

    [Test]
    public void Only_what_is_watched_has_a_gradient()
    {
        using var tape = new Tape();
        Tensor x = Watched(1, 2), constant = Tensor.From([3.0, 4.0], 2, Cpu), unused = Watched(5, 6);
        Gradients gradients = tape.Backward((x * constant).Sum());
        Assert.That(gradients[x].ToDoubles(), Is.EqualTo(new double[] { 3, 4 }));
        Assert.That(gradients.Contains(constant) || gradients.Contains(unused), Is.False);
        Assert.That(() => gradients[unused],
            Throws.TypeOf<MambaException>().With.Message.EqualTo(
                "There is no gradient of the tensor float64 (2) on cpu: the loss does not depend on it through ops run "
                + "while it was watched and the tape recorded."));
        Assert.That(() => gradients[constant],
            Throws.TypeOf<MambaException>().With.Message.EqualTo(
                "There is no gradient of the tensor float64 (2) on cpu: it was not watched; Tape.Watch marks a tensor, before the ops on it."));
    }

    [Test]
    public void What_an_op_made_has_a_gradient_only_if_that_is_asked_for()
    {
        using var tape = new Tape();
        Tensor x = Watched(1, 2), y = x * 2;
        Gradients gradients = tape.Backward((y * y).Sum());
        Assert.That(gradients[x].ToDoubles(), Is.EqualTo(new double[] { 8, 16 }));
        Assert.That(gradients.Contains(y), Is.False);
        Assert.That(() => gradients[y], Throws.TypeOf<MambaException>().With.Message.EqualTo(
            "There is no gradient of the tensor float64 (2) on cpu: an op made it, and it was not watched; Tape.Watch or RetainGrad keeps its gradient."));
    }

    [Test]
    public void The_gradient_of_an_intermediate_is_the_sum_over_its_uses([Values] bool pytorchWord)
    {
        using var tape = new Tape();
        Tensor x = Watched(1, 2), h = x * 3, unused = Tape.Watch(x * 5);
        Assert.That(pytorchWord ? h.RetainGrad() : Tape.Watch(h), Is.SameAs(h));
        Tensor loss = (h * h).Sum() + h.Sum();
        Gradients gradients = tape.Backward(loss);
        Assert.That(gradients[h].ToDoubles(), Is.EqualTo(new double[] { 7, 13 }), "2h + 1");
        Assert.That(gradients[x].ToDoubles(), Is.EqualTo(new double[] { 21, 39 }), "and through it");
        Assert.That(gradients.Contains(unused), Is.False);
        tape.Backward(loss, gradients);
        Assert.That(gradients[h].ToDoubles(), Is.EqualTo(new double[] { 14, 26 }), "micro-batches add up");
        Assert.That(gradients[x].ToDoubles(), Is.EqualTo(new double[] { 42, 78 }));
        Assert.That(tape.Backward([(h, Tensor.From([1.0, 10.0], 2, Cpu))])[h].ToDoubles(), Is.EqualTo(new double[] { 1, 10 }), "a seed is a gradient");
    }

    [Test]
    public void The_gradient_of_one_of_several_outputs_can_be_kept()
    {
        using var tape = new Tape();
        Tensor x = Watched(1, 2, 3);
        Tensor[] parts = Ops.Split(x, 0, 1, 2);
        parts[1].RetainGrad();
        Gradients gradients = tape.Backward((parts[0].Sum() * parts[1]).Sum());
        Assert.That(gradients[parts[1]].ToDoubles(), Is.EqualTo(new double[] { 1, 1 }));
        Assert.That(gradients[x].ToDoubles(), Is.EqualTo(new double[] { 5, 1, 1 }));
        Assert.That(gradients.Contains(parts[0]), Is.False);
    }

    [Test]
    public void Detached_values_are_the_same_memory_and_have_no_gradient()
    {
        using var tape = new Tape();
        Tensor x = Watched(3, 4), y = x * x, d = y.Detach();
        Assert.That(d.RequiresGrad, Is.False);
        Assert.That(d.Buffer, Is.SameAs(y.Buffer));
        Assert.That(tape.Backward((y * d).Sum())[x].ToDoubles(), Is.EqualTo(new double[] { 54, 128 }), "2x · x², not 4x³");
        Tensor own = x.Detach();
        own.Fill(1);
        Assert.That(x.ToDoubles(), Is.EqualTo(new double[] { 1, 1 }));
    }

    [Test]
    public void A_frozen_tensor_gets_no_gradient_until_it_is_thawed()
    {
        using var tape = new Tape();
        Tensor x = Watched(1, 2), w = Watched(3, 4);
        w.RequiresGrad = false;
        int before = tape.Count;
        _ = w * w;
        Assert.That(tape.Count, Is.EqualTo(before), "nothing to remember");
        Tensor loss = (x * w).Sum();
        Gradients gradients = tape.Backward(loss);
        Assert.That(gradients.Contains(w), Is.False);
        Assert.That(gradients[x].ToDoubles(), Is.EqualTo(new double[] { 3, 4 }));
        w.RequiresGrad = true;
        Assert.That(tape.Backward((x * w).Sum())[w].ToDoubles(), Is.EqualTo(new double[] { 1, 2 }));
    }

    [Test]
    public void What_an_op_made_cannot_be_frozen_while_its_tape_is_open()
    {
        using var scope = new TensorScope();
        Tensor x = Watched(1, 2), y;
        using (var tape = new Tape())
        {
            y = tape.Keep(x * 2);
            Assert.That(() => y.RequiresGrad = false, Throws.TypeOf<MambaException>().With.Message.EqualTo(
                "RequiresGrad: an op on an open tape made the tensor float64 (2) on cpu, so it cannot be frozen; Detach gives its values without a gradient."));
        }
        y.RequiresGrad = false;
        Assert.That(y.RequiresGrad, Is.False);
        Tensor ids = Tensor.From([1, 2], Cpu);
        Assert.That(() => Tape.Watch(ids),
            Throws.TypeOf<MambaException>().With.Message.EqualTo("RequiresGrad: the tensor is int32 (2) on cpu; only float32 and float64 have gradients."));
        ids.RequiresGrad = false;
    }

    [Test]
    public void Nothing_is_recorded_under_no_grad_and_pauses_nest()
    {
        using var tape = new Tape();
        Tensor x = Watched(1, 2), y = x * x;
        using (Tape.NoGrad())
        {
            Assert.That(Tape.Recording, Is.Null);
            using (Tape.NoGrad())
                Assert.That((x * 2).RequiresGrad, Is.False);
            Assert.That(Tape.Recording, Is.Null, "the outer pause goes on");
            using (var inner = new Tape())
                Assert.That(inner.Backward((x * x).Sum())[x].ToDoubles(), Is.EqualTo(new double[] { 2, 4 }), "a tape opened inside records");
            Assert.That((x * 2).RequiresGrad, Is.False);
        }
        Assert.That(Tape.Recording, Is.SameAs(tape));
        Assert.That(tape.Count, Is.EqualTo(1));
        Assert.That(tape.Backward((y * x).Sum())[x].ToDoubles(), Is.EqualTo(new double[] { 3, 12 }));
    }

    [Test]
    public void Pauses_end_in_order_and_once()
    {
        var tape = new Tape();
        IDisposable outer = Tape.NoGrad(), inner = Tape.NoGrad();
        Assert.That(outer.Dispose, Throws.InvalidOperationException);
        inner.Dispose();
        inner.Dispose();
        Assert.That(Tape.Recording, Is.Null);
        using (new Tape())
            Assert.That(outer.Dispose, Throws.InvalidOperationException);
        tape.Dispose();
        outer.Dispose();
        Assert.That(Tape.Recording, Is.Null, "the paused tape is closed");
    }

    [Test]
    public void Outputs_nobody_uses_count_as_zero()
    {
        using var tape = new Tape();
        Tensor x = Watched(1, 2, 3, 4, 5, 6), weight = Watched(1, 1);
        Tensor[] parts = Ops.Split(x, 0, 1, 2, 3);
        Assert.That(tape.Backward((parts[1] * parts[1]).Sum())[x].ToDoubles(), Is.EqualTo(new double[] { 0, 4, 6, 0, 0, 0 }));
        (Tensor y, Tensor sum) = Ops.AddRmsNorm(parts[1], parts[2].Slice(0, 0, 2), weight);
        Assert.That(tape.Backward(sum.Sum())[x].ToDoubles(), Is.EqualTo(new double[] { 0, 1, 1, 1, 1, 0 }), "only the second output");
        Gradients both = tape.Backward([(y, Ops.Fill(y.Like(), 0)), (sum, Ops.Fill(sum.Like(), 1))]);
        Assert.That(both[x].ToDoubles(), Is.EqualTo(new double[] { 0, 1, 1, 1, 1, 0 }));
    }

    [Test]
    public void Only_an_open_tape_remembers()
    {
        using var scope = new TensorScope();
        Tensor x = Watched(1, 2);
        Assert.That(Tape.Recording, Is.Null);
        Assert.That(x.Silu().RequiresGrad, Is.False);
        using (var outer = new Tape())
        {
            _ = x.Silu();
            using (var inner = new Tape())
            {
                _ = x.Silu() + x;
                Assert.That((Tape.Recording, inner.Count, outer.Count), Is.EqualTo((inner, 2, 1)));
                _ = inner.Backward(x.Sum());
                Assert.That((Tape.Recording, inner.Count), Is.EqualTo((inner, 3)), "Backward itself is not remembered");
            }
            Assert.That(Tape.Recording, Is.SameAs(outer));
            _ = Tensor.From([1.0], 1, Cpu).Silu();
            Assert.That(outer.Count, Is.EqualTo(1), "nothing is wanted of a constant");
        }
        Assert.That(Tape.Recording, Is.Null);
    }

    [Test]
    public void Wrong_gradients_are_said_clearly()
    {
        using var tape = new Tape();
        Tensor x = Watched(1, 2);
        Assert.That(() => tape.Backward(x), Throws.TypeOf<MambaException>().With.Message.EqualTo(
            "Backward: the loss has shape (2); expected one element. Give Backward the outputs' gradients otherwise."));
        Assert.That(() => tape.Backward([(x, Tensor.From([1.0], 1, Cpu))]),
            Throws.TypeOf<MambaException>().With.Message.EqualTo("Backward: gradient has shape (1); expected (2)."));
        Tensor few = Tape.Record("Few", x.Like(1), [x, x], dy => [dy]), other = Tape.Record("Other", x.Like(1), [x], dy => [dy]);
        Assert.That(() => tape.Backward(few),
            Throws.InvalidOperationException.With.Message.EqualTo("Few: the gradient has 1 parts; expected 2, one for each input."));
        Assert.That(() => tape.Backward(other), Throws.TypeOf<MambaException>().With.Message.EqualTo("Other (gradient): dx has shape (1); expected (2)."));
        Assert.That(Tape.Recording, Is.SameAs(tape), "it records on after a failure");
    }

    // ---- scopes ------------------------------------------------------------------------------------

    [Test]
    public void Keep_carries_a_tensor_out()
    {
        using var device = new HostDevice(1);
        Tensor kept, view, lost;
        using (var outer = new TensorScope())
        {
            using (var inner = new TensorScope())
            {
                lost = Tensor.From([1.0, 2.0], 2, device);
                kept = inner.Keep(Tensor.From([3.0, 4.0], 2, device));
                view = inner.Keep(Tensor.From([5.0, 6.0, 7.0], 3, device).Rows(1, 2));
            }
            Assert.That(kept.ToDoubles(), Is.EqualTo(new double[] { 3, 4 }));
            Assert.That(view.ToDoubles(), Is.EqualTo(new double[] { 6, 7 }), "a view brings what it looks into");
            Assert.That(() => lost.ToDoubles(), Throws.TypeOf<ObjectDisposedException>());
            outer.Keep(kept);
        }
        Assert.That(() => view.ToDoubles(), Throws.TypeOf<ObjectDisposedException>(), "the scope around owns it then");
        Assert.That(kept.ToDoubles(), Is.EqualTo(new double[] { 3, 4 }), "without a scope around it is the caller's");
        Assert.That(device.Memory.LiveBuffers, Is.EqualTo(1));
        kept.Dispose();
        Assert.That(device.Memory.LiveBuffers, Is.Zero);
    }

    [Test]
    public void Use_after_release_says_what_happened()
    {
        Tensor x, view;
        using (new TensorScope())
        {
            x = Tensor.From([1.0, 2.0], 2, Cpu);
            view = x.View((2, 1));
        }
        foreach (Action use in (Action[])[() => x.ToDoubles(), () => x.Silu(), () => Ops.Reshape(view, 2).ToDoubles(), () => _ = x + x])
            Assert.That(() => use(), Throws.TypeOf<ObjectDisposedException>().With.Message.Contains(
                "was released: its scope is closed, or it was disposed. TensorScope.Keep carries a tensor out of a scope."));
    }

    [Test]
    public void Scopes_close_from_the_inside_out()
    {
        var outer = new TensorScope();
        var inner = new Tape();
        Tensor x = Tensor.From([1.0], 1, Cpu);
        Assert.That(outer.Dispose, Throws.InvalidOperationException.With.Message.EqualTo("A TensorScope was closed before a scope opened inside it."));
        Assert.That(TensorScope.Current, Is.SameAs(inner));
        Assert.That(x.Item(), Is.EqualTo(1), "nothing was released");
        inner.Dispose();
        outer.Dispose();
        inner.Dispose();
        Assert.That(TensorScope.Current, Is.Null);
    }

    [Test]
    public void A_thread_has_its_own_scopes()
    {
        using var tape = new Tape();
        (TensorScope? Scope, Tape? Tape) other = (tape, tape);
        var thread = new Thread(() => other = (TensorScope.Current, Tape.Recording));
        thread.Start();
        thread.Join();
        Assert.That(other, Is.EqualTo(((TensorScope?)null, (Tape?)null)));
    }

    [Test]
    public void Nothing_is_left_when_everything_is_closed([Values] bool rmsNorm)
    {
        // a device of its own: others are in use by other tests. The pool is the same on every device.
        using var device = new HostDevice(threads: 2);
        var config = new MambaConfig { DModel = 8, NLayer = 2, VocabSize = 11, RmsNorm = rmsNorm, SsmCfg = new SsmConfig { DState = 4 } };
        using (var model = new MambaLM(config, device))
        using (var optimizer = new AdamW(model.Parameters, 1e-3))
        using (MambaState state = model.NewState(2))
        {
            int before = device.Memory.LiveBuffers;
            for (int step = 0; step < 3; step++)
            {
                using var tape = new Tape();
                Tensor tokens = Tensor.From([.. Enumerable.Range(0, 14).Select(i => i % 11)], (2, 7), device);
                Tensor x = Tape.Watch(Tensor.From([1.0, 2.0], 2, device));
                Gradients gradients = tape.Backward(Ops.CrossEntropy(model.Forward(tokens, state), tokens));
                tape.Backward([(x, Tensor.From([1.0, 2.0], 2, device)), (x, Tensor.From([1.0, 2.0], 2, device))]);
                optimizer.Step(gradients.ClipNorm(1));
                _ = gradients.Norm;
            }
            using (new TensorScope())
                _ = model.Step(Tensor.From([1, 2], 2, device), state);
            Assert.That(() =>
            {
                using var tape = new Tape();
                _ = model.Forward(Tensor.From([1, 2, 3], (3, 1), device)).Sum() + Tensor.Zeros(3, DType.Float64, device);
            }, Throws.TypeOf<MambaException>());
            Assert.That(device.Memory.LiveBuffers, Is.EqualTo(before));
        }
        Assert.That((device.Memory.LiveBuffers, device.Memory.LiveBytes), Is.EqualTo((0, 0L)));
        Assert.That(device.Memory.ReservedBytes, Is.Positive);
        device.Memory.Trim();
        Assert.That(device.Memory.ReservedBytes, Is.Zero);
    }

    [Test]
    public void Gradients_live_until_they_are_used()
    {
        using var device = new HostDevice(threads: 1);
        using var tape = new Tape();
        Tensor x = Tape.Watch(TestData.Random(1000, DType.Float32, device, 1)), y = x;
        for (int i = 0; i < 30; i++)
            y = -(y + y);
        Tensor loss = y.Sum();
        BufferPool pool = device.Memory;
        long bytes = x.Buffer.Bytes, before = pool.LiveBytes;
        pool.ResetPeak();
        _ = tape.Backward(loss);
        Assert.That(pool.LiveBytes - before, Is.InRange(bytes, 2 * bytes), "the gradient of x, and the one of the loss");
        Assert.That(pool.PeakBytes - before, Is.LessThan(6 * bytes), "of sixty ops, those of one or two");
    }

    [Test]
    public void Gradients_in_one_buffer_each_add_up()
    {
        // LayerNorm's gradients of weight and bias are views of one tensor; here both have a gradient from the second use already
        using var tape = new Tape();
        Device device = TestDevices.Open("cpu-256");
        Tensor x = Tensor.From([1.0, 3, -2, 5], (2, 2), device);
        Tensor weight = Tape.Watch(Tensor.From([1.0, 2], 2, device)), bias = Tape.Watch(Tensor.From([0.5, -1], 2, device));
        Gradients once = tape.Backward(Ops.LayerNorm(x, weight, bias, 1e-5).Sum());
        Gradients twice = tape.Backward((Ops.LayerNorm(x, weight, bias, 1e-5) + Ops.LayerNorm(x, weight, bias, 1e-5)).Sum());
        foreach (Tensor of in (Tensor[])[weight, bias])
            Assert.That(twice[of].ToDoubles(), Is.EqualTo(once[of].ToDoubles().Select(g => 2 * g)).Within(1e-14));
    }

    // ---- the pool ----------------------------------------------------------------------------------

    [Test]
    public void A_buffer_given_back_is_used_again()
    {
        using var device = new HostDevice(1);
        BufferPool pool = device.Memory;
        Tensor a = Tensor.Empty(1000, DType.Float32, device), b = Tensor.Empty(1000, DType.Float32, device);
        Assert.That((pool.LiveBuffers, pool.LiveBytes, pool.PeakBytes, pool.ReservedBytes), Is.EqualTo((2, 8192L, 8192L, 8192L)));
        DeviceBuffer buffer = a.Buffer;
        a.Dispose();
        a.Dispose();
        Assert.That((pool.LiveBuffers, pool.LiveBytes, pool.PeakBytes, pool.ReservedBytes), Is.EqualTo((1, 4096L, 8192L, 8192L)));
        using Tensor c = Tensor.Empty(500, DType.Float64, device);
        Assert.That(c.Buffer, Is.SameAs(buffer));
        Assert.That(pool.ReservedBytes, Is.EqualTo(8192));
        b.Dispose();
        pool.ResetPeak();
        Assert.That(pool.PeakBytes, Is.EqualTo(4096));
        using Tensor d = Tensor.Empty(1_000_000, DType.Float32, device);
        Assert.That(pool.PeakBytes, Is.EqualTo(pool.LiveBytes));
        pool.Trim();
        Assert.That(pool.ReservedBytes, Is.EqualTo(pool.LiveBytes), "what is in use stays");
        Assert.That(c.View((5, 100)).Rows(1, 2).Buffer, Is.SameAs(buffer), "a view holds no buffer of its own");
        Assert.That(pool.LiveBuffers, Is.EqualTo(2));
    }

    [Test]
    public void A_buffer_is_at_most_an_eighth_too_large()
    {
        using var device = new HostDevice(1);
        for (long bytes = 2048; bytes < 1 << 20; bytes += bytes / 7 + 4)
        {
            using Tensor x = Tensor.Empty(bytes / 4, DType.Float32, device);
            Assert.That(x.Buffer.Bytes, Is.InRange(bytes / 4 * 4, bytes * 9 / 8));
        }
        using Tensor nothing = Tensor.Empty((3, 0), DType.Float32, device);
        Assert.That(nothing.ToDoubles(), Is.Empty);
    }
}
