using System.Runtime.CompilerServices;
using Mamba.Gpu;

namespace Mamba.Examples;

/// <summary>
/// An op with kernels of your own: y = value · silu(gate) in one pass, and both gradients in one pass back. A kernel is a struct: its fields are the
/// arguments, <c>Run</c> is the body, and the same source runs as SIMD on the host and as a kernel on CUDA and OpenCL. A launch is called with the
/// types a device has, and fills the fields in.
/// </summary>
public static class OwnKernel
{
    public struct GatedForward<V, M, T> : IKernel
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
    {
        public M Value, Gate, Y;        // (count)
        public long Count;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(Worker worker)
        {
            Share share = worker.Share(Count, V.Width);
            for (long i = share.Start; i < share.End; i += share.Step)
            {
                V gate = V.Load(Gate, i);
                V.Store(Y, i, V.Load(Value, i) * gate * Lanes.Sigmoid<V, M, T>(gate), Lanes.In(share.End - i));
            }
        }
    }

    public struct GatedBackward<V, M, T> : IKernel
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
    {
        public M Value, Gate, DY, DValue, DGate;        // (count)
        public long Count;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(Worker worker)
        {
            Share share = worker.Share(Count, V.Width);
            for (long i = share.Start; i < share.End; i += share.Step)
            {
                int lanes = Lanes.In(share.End - i);
                V gate = V.Load(Gate, i), dy = V.Load(DY, i), sigma = Lanes.Sigmoid<V, M, T>(gate);
                V.Store(DValue, i, dy * gate * sigma, lanes);
                // silu′(g) = σ (1 + g (1 − σ))
                V.Store(DGate, i, dy * V.Load(Value, i) * sigma * (V.Of(1) + gate * (V.Of(1) - sigma)), lanes);
            }
        }
    }

    readonly record struct ForwardLaunch(Tensor Value, Tensor Gate, Tensor Y) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) =>
            on.Run(new GatedForward<V, M, T> { Value = on.Memory(Value), Gate = on.Memory(Gate), Y = on.Memory(Y), Count = Y.Count }, Y.Count, 8);
    }

    readonly record struct BackwardLaunch(Tensor Value, Tensor Gate, Tensor DY, Tensor DValue, Tensor DGate) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new GatedBackward<V, M, T>
        {
            Value = on.Memory(Value),
            Gate = on.Memory(Gate),
            DY = on.Memory(DY),
            DValue = on.Memory(DValue),
            DGate = on.Memory(DGate),
            Count = DY.Count,
        }, DY.Count, 12);
    }

    /// <summary>value, gate (…) → value · silu(gate) (…): the gradient stands right under the forward.</summary>
    public static Tensor Gated(Tensor value, Tensor gate)
    {
        Shape.Expect("Gated", gate, value.Shape, "as value");
        Tensor y = value.Like();
        y.Launch(new ForwardLaunch(value, gate, y));
        return Tape.Record("Gated", y, [value, gate], dy =>
        {
            Tensor dValue = value.Like(), dGate = gate.Like();
            dy.Launch(new BackwardLaunch(value, gate, dy, dValue, dGate));
            return [dValue, dGate];
        });
    }

    public static void Run(Device device)
    {
        using var scope = new TensorScope();
        Tensor value = Ops.Normal((3, 17), DType.Float64, device, 1), gate = Ops.Normal((3, 17), DType.Float64, device, 2);
        Console.WriteLine(GradCheck.Run(x => [Gated(x[0], x[1])], [value, gate], ["value", "gate"]));
        Console.WriteLine(GradCheck.Compare(x => [Gated(x[0], x[1])], x => [x[0] * x[1].Silu()], [value, gate], 1e-14, ["value", "gate"]));
    }
}
