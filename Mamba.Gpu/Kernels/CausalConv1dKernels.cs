using System.Numerics;

namespace Mamba.Gpu;

/// <summary>Launchers of the causal convolution. Weights come as the official checkpoint has them, (d, k).</summary>
internal static class CausalConv1dKernels
{
    /// <summary>The widest convolution there are kernels for.</summary>
    public const int MostTaps = 8;

    // Forward: any cut gives the same bits. 32 steps: the k − 1 loads before them are a tenth of the work.
    const long SegmentLength = 32, LongestSegment = 128;

    /// <summary>y (b, l, d)</summary>
    public static void Forward(Tensor x, Tensor weight, Tensor? bias, Tensor? state, Tensor? reset, bool silu, Tensor y)
    {
        if (x.Count == 0)
            return;
        Tensor transposed = Transposed(weight);
        x.Launch(new ForwardLaunch(x, transposed, bias, state, reset, silu, y));
        transposed.Dispose();
    }

    /// <summary>dx (b, l, d), dWeight (d, k), dBias (d), and dState (b, k, d) where there is a state.</summary>
    public static void Backward(Tensor x, Tensor weight, Tensor? bias, Tensor? state, Tensor? reset, bool silu, Tensor dy, Tensor dx, Tensor dWeight,
        Tensor dBias, Tensor? dState)
    {
        dState?.Clear();        // its oldest entry was never read; and all of it, if there are no steps
        if (x.Count == 0)
        {
            dWeight.Clear();
            dBias.Clear();
            return;
        }
        // About 1024 segments, and none so long that its running sums lose digits; it depends on the problem alone, and with it the order of the sums.
        long b = x.Shape[0], l = x.Shape[1], d = weight.Shape[0], k = weight.Shape[1];
        long segmentLength = Math.Clamp((b * l / 1024 + SegmentLength - 1) / SegmentLength * SegmentLength, SegmentLength, LongestSegment);
        Tensor transposed = Transposed(weight), partial = x.Like((b * ((l + segmentLength - 1) / segmentLength), k + 1, d)), sums = x.Like((k + 1, d));
        x.Launch(new BackwardLaunch(x, transposed, bias, state, reset, silu, dy, dx, dState, partial, segmentLength));
        PartialKernels.Sum(partial, sums);
        TransposeKernels.Transpose(sums.Part(0, (k, d)), dWeight, 1, k, d);
        dBias.CopyFrom(sums.Part(k * d, d));
        transposed.Dispose();
        partial.Dispose();
        sums.Dispose();
    }

    /// <summary>y (b, d) from the first d columns of x (b, …); state (b, k, d) moves on in place. Weight (d, k).</summary>
    public static void Step(Tensor x, Tensor state, Tensor weight, Tensor? bias, bool silu, Tensor y) =>
        x.Launch(new StepLaunch(x, state, weight, bias, silu, y));

    /// <summary>state (b, k, d): the last k inputs of (previous ++ x), zeros for those before the last reset.</summary>
    public static void StateAfter(Tensor x, Tensor? previous, Tensor? reset, Tensor state) =>
        x.Launch(new StateLaunch(x, previous, reset, state, Backward: false));

    /// <summary>dx (b, l, d), and dPrevious (b, k, d) if wanted, from <paramref name="dState"/> (b, k, d).</summary>
    public static void StateAfterBackward(Tensor? reset, Tensor dState, Tensor dx, Tensor? dPrevious)
    {
        dx.Clear();
        dPrevious?.Clear();
        dx.Launch(new StateLaunch(dx, dPrevious, reset, dState, Backward: true));
    }

    static Tensor Transposed(Tensor weight)
    {
        Tensor transposed = weight.Like((weight.Shape[1], weight.Shape[0]));
        TransposeKernels.Transpose(weight, transposed, 1, weight.Shape[0], weight.Shape[1]);
        return transposed;
    }

    readonly record struct StateLaunch(Tensor X, Tensor? Previous, Tensor? Reset, Tensor State, bool Backward) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        {
            long groups = (X.Shape[2] + V.Width - 1) / V.Width;
            on.Run(new ConvStateAfter<V, M, T, I>
            {
                X = on.Memory(X),
                Previous = on.Memory(Previous),
                State = on.Memory(State),
                Reset = on.Ints(Reset),
                HasPrevious = Previous is null ? 0 : 1,
                HasReset = Reset is null ? 0 : 1,
                Backward = Backward ? 1 : 0,
                Batch = X.Shape[0],
                L = X.Shape[1],
                D = X.Shape[2],
                K = State.Shape[1],
            }, X.Shape[0] * State.Shape[1] * groups, V.Width);
        }
    }

    readonly record struct ForwardLaunch(Tensor X, Tensor Weight, Tensor? Bias, Tensor? State, Tensor? Reset, bool Silu, Tensor Y) : ILaunch, ITapsLaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => Taps.Choose(Weight.Shape[0], this, on);

        void ITapsLaunch.With<W, V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        {
            var grid = ConvGrid.For(X.Shape, SegmentLength, V.Width);
            on.Run(new CausalConv1dForward<W, V, M, T, I>
            {
                X = on.Memory(X),
                Weight = on.Memory(Weight),
                Bias = on.Memory(Bias),
                State = on.Memory(State),
                Reset = on.Ints(Reset),
                Y = on.Memory(Y),
                HasBias = Bias is null ? 0 : 1,
                HasState = State is null ? 0 : 1,
                HasReset = Reset is null ? 0 : 1,
                Silu = Silu ? 1 : 0,
                Grid = grid,
            }, grid.Items, X.Count / grid.Items);
        }
    }

    readonly record struct BackwardLaunch(
        Tensor X, Tensor Weight, Tensor? Bias, Tensor? State, Tensor? Reset, bool Silu, Tensor DY, Tensor DX, Tensor? DState, Tensor Partial,
            long SegmentLength) : ILaunch, ITapsLaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => Taps.Choose(Weight.Shape[0], this, on);

        void ITapsLaunch.With<W, V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        {
            var grid = ConvGrid.For(X.Shape, SegmentLength, V.Width);
            on.Run(new CausalConv1dBackward<W, V, M, T, I>
            {
                X = on.Memory(X),
                Weight = on.Memory(Weight),
                Bias = on.Memory(Bias),
                State = on.Memory(State),
                Reset = on.Ints(Reset),
                DY = on.Memory(DY),
                DX = on.Memory(DX),
                DState = on.Memory(DState),
                Partial = on.Memory(Partial),
                HasBias = Bias is null ? 0 : 1,
                HasState = State is null ? 0 : 1,
                HasReset = Reset is null ? 0 : 1,
                Silu = Silu ? 1 : 0,
                Grid = grid,
            }, grid.Items, X.Count / grid.Items);
        }
    }

    readonly record struct StepLaunch(Tensor X, Tensor State, Tensor Weight, Tensor? Bias, bool Silu, Tensor Y) : ILaunch, ITapsLaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => Taps.Choose(State.Shape[1], this, on);

        void ITapsLaunch.With<W, V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        {
            long b = Y.Shape[0], d = Y.Shape[1], groups = (d + V.Width - 1) / V.Width;
            on.Run(new CausalConv1dOneStep<W, V, M, T>
            {
                X = on.Memory(X),
                Weight = on.Memory(Weight),
                Bias = on.Memory(Bias),
                State = on.Memory(State),
                Y = on.Memory(Y),
                HasBias = Bias is null ? 0 : 1,
                Silu = Silu ? 1 : 0,
                Batch = b,
                D = d,
                XRow = X.Shape[1],
            }, b * groups, 8 * V.Width);
        }
    }
}
