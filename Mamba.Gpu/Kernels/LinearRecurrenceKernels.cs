using System.Numerics;

namespace Mamba.Gpu;

/// <summary>Launchers of the linear recurrence h_t = a_t h_{t−1} + x_t; a, x, h (b, l, m), reset (b, l), not 0 where a sequence starts.</summary>
internal static class LinearRecurrenceKernels
{
    /// <summary>h from a, x and h_{−1} = initial (b, m), 0 if absent.</summary>
    public static void Forward(LinearScan algorithm, Tensor a, Tensor x, Tensor? initial, Tensor? reset, Tensor h) =>
        Run(algorithm, new Source(a, x, initial, Reverse: false, Shifted: false), reset, h);

    /// <summary>
    /// dx_t = g_t = dh_t + a_{t+1} g_{t+1}, by the same algorithm in reverse; then, unless <paramref name="da"/> is null,
    /// da_t = g_t h_{t−1} and, if there is an initial, dInitial = a_0 g_0.
    /// </summary>
    public static void Backward(LinearScan algorithm, Tensor a, Tensor? initial, Tensor? reset, Tensor h, Tensor dh, Tensor dx, Tensor? da, Tensor? dInitial)
    {
        Run(algorithm, new Source(a, dh, Initial: null, Reverse: true, Shifted: true), reset, dx);
        if (dx.Count == 0)
            dInitial?.Clear();          // no step has seen it
        else if (da is not null)
            a.Launch(new GradientsLaunch(a, initial, reset, h, dx, da, dInitial));
    }

    static void Run(LinearScan algorithm, Source steps, Tensor? reset, Tensor h)
    {
        if (h.Count == 0)
            return;
        // The sequential walk looks one row back, the others as far as the largest power of two below l.
        using Tensor? start = reset is null ? null : Starts(h, reset, algorithm == LinearScan.Sequential ? 2 : h.Shape[1]);
        steps = steps with { Start = start };
        switch (algorithm)
        {
            case LinearScan.Sequential: h.Launch(new SequentialLaunch(steps, h)); break;
            case LinearScan.KoggeStone: KoggeStone(steps, h); break;
            case LinearScan.Blelloch: Blelloch(steps, h); break;
            default: throw new MambaException($"LinearRecurrence: algorithm is {algorithm}; expected one of {string.Join(", ", Enum.GetNames<LinearScan>())}.");
        }
    }

    // The row at which the sequence of each row starts (b, l), −1 before the first, as far as it is near enough for who looks a power of two below
    // `reach` rows back.
    static Tensor Starts(Tensor h, Tensor reset, long reach)
    {
        Tensor start = Pass(reset, marks: true, distance: reach > 2 ? 1 : h.Shape[1]);
        for (long rows = 2; 2 * rows < reach; rows *= 2)
        {
            Tensor shorter = start;
            start = Pass(shorter, marks: false, distance: rows);
            shorter.Dispose();
        }
        return start;

        Tensor Pass(Tensor from, bool marks, long distance)
        {
            var to = Tensor.Empty(reset.Shape, DType.Int32, reset.Device);
            h.Launch(new StartsLaunch(from, to, marks, distance));
            return to;
        }
    }

    // ⌈log2 l⌉ passes, at least one, back and forth between two buffers so that the last one writes h.
    static void KoggeStone(Source steps, Tensor h)
    {
        int passes = 1;
        while (1L << passes < h.Shape[1])
            passes++;
        using Tensor? x = passes > 1 ? h.Like() : null, a0 = passes > 1 ? h.Like() : null, a1 = passes > 2 ? h.Like() : null;
        for (int pass = 0; pass < passes; pass++)
        {
            Tensor? aOut = pass == passes - 1 ? null : pass % 2 == 0 ? a0 : a1;
            Tensor xOut = (passes - 1 - pass) % 2 == 0 ? h : x!;
            h.Launch(new KoggeStoneLaunch(steps, aOut, xOut, 1L << pass));
            steps = steps.Between(aOut, xOut);
        }
    }

    // The root has two halves of `top` steps, 2 top ≥ l. The x of the sums and the states before the nodes lie in h.
    static void Blelloch(Source steps, Tensor h)
    {
        long top = 1;
        while (2 * top < h.Shape[1])
            top *= 2;
        using Tensor? a = top > 1 ? h.Like() : null;
        for (long distance = 1; distance < top; distance *= 2)
            h.Launch(new UpSweepLaunch(distance == 1 ? steps : steps.Between(a, h), a!, h, distance));
        for (long distance = top; distance > 1; distance /= 2)
            h.Launch(new DownSweepLaunch(steps.Between(a, h) with { Initial = steps.Initial }, distance, Root: distance == top));
        h.Launch(new LeavesLaunch(steps, h, Root: top == 1));
    }

    /// <summary>Where steps are read.</summary>
    readonly record struct Source(Tensor? A, Tensor X, Tensor? Initial, bool Reverse, bool Shifted)
    {
        /// <summary>The row at which the sequence of each row starts.</summary>
        public Tensor? Start { get; init; }

        /// <summary>The same walk over what a pass has made of it: each coefficient lies where its x does, and the initial state is in there.</summary>
        public Source Between(Tensor? a, Tensor x) => new(a, x, Initial: null, Reverse, Shifted: false) { Start = Start };

        public LinearSteps<R, V, M, T, I> On<R, V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
            where R : struct, IFlag
            where V : unmanaged, ILane<V, M, T>
            where M : struct, IMemory<T>
            where T : unmanaged, INumberBase<T>
            where I : struct, IMemory<int>
            where G : struct, ITeam<V> => new()
            {
                A = on.Memory(A),
                X = on.Memory(X),
                Initial = on.Memory(Initial),
                Start = on.Ints(Start),
                HasInitial = Initial is null ? 0 : 1,
                Reverse = Reverse ? 1 : 0,
                Shifted = Shifted ? 1 : 0,
                Batch = X.Shape[0],
                Length = X.Shape[1],
                Channels = X.Shape[2],
            };
    }

    /// <summary>A launch of a kernel that walks steps.</summary>
    interface IStepsLaunch
    {
        void With<R, V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
            where R : struct, IFlag
            where V : unmanaged, ILane<V, M, T>
            where M : struct, IMemory<T>
            where T : unmanaged, INumberBase<T>
            where I : struct, IMemory<int>
            where G : struct, ITeam<V>;
    }

    // Rows of one sequence, the usual, are not to pay for looking where sequences start.
    static void Choose<L, V, M, T, I, G>(in Source steps, L launch, ILauncher<V, M, T, I, G> on)
        where L : struct, IStepsLaunch
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged, INumberBase<T>
        where I : struct, IMemory<int>
        where G : struct, ITeam<V>
    {
        if (steps.Start is null)
            launch.With<No, V, M, T, I, G>(on);
        else
            launch.With<Yes, V, M, T, I, G>(on);
    }

    // A row is cut into segments; an item is one of them.
    static void RunRows<K, V, M, T, I, G>(ILauncher<V, M, T, I, G> on, K kernel, long rows, long channels)
        where K : struct, IKernel
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
        where G : struct, ITeam<V>
    {
        long run = Lanes.Run(V.Width), runs = (channels + run - 1) / run;
        on.Run(kernel, rows * runs, 2 * Math.Min(run, channels));
    }

    readonly record struct StartsLaunch(Tensor From, Tensor To, bool Marks, long Distance) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new SequenceStarts<I>
        {
            From = on.Ints(From),
            To = on.Ints(To),
            Marks = Marks ? 1 : 0,
            Batch = To.Shape[0],
            Length = To.Shape[1],
            Distance = Distance,
        }, To.Count);
    }

    readonly record struct SequentialLaunch(Source Steps, Tensor H) : ILaunch, IStepsLaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => Choose(Steps, this, on);

        void IStepsLaunch.With<R, V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        {
            long strip = LinearRecurrenceSequential<R, V, M, T, I>.Strip(V.Width), strips = (H.Shape[2] + strip - 1) / strip;
            on.Run(new LinearRecurrenceSequential<R, V, M, T, I> { Steps = Steps.On<R, V, M, T, I, G>(on), H = on.Memory(H) }, H.Shape[0] * strips,
                H.Shape[1] * Math.Min(strip, H.Shape[2]));
        }
    }

    readonly record struct KoggeStoneLaunch(Source Steps, Tensor? AOut, Tensor XOut, long Distance) : ILaunch, IStepsLaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => Choose(Steps, this, on);

        void IStepsLaunch.With<R, V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        {
            if (Distance == 1)
                Pass<R, Yes, V, M, T, I, G>(on);
            else
                Pass<R, No, V, M, T, I, G>(on);
        }

        void Pass<R, F, V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
            where R : struct, IFlag
            where F : struct, IFlag
            where V : unmanaged, ILane<V, M, T>
            where M : struct, IMemory<T>
            where T : unmanaged, INumberBase<T>
            where I : struct, IMemory<int>
            where G : struct, ITeam<V> =>
            RunRows(on, new LinearRecurrenceKoggeStone<R, F, V, M, T, I>
            {
                Steps = Steps.On<R, V, M, T, I, G>(on),
                AOut = on.Memory(AOut),
                XOut = on.Memory(XOut),
                Distance = Distance,
            }, XOut.Shape[0] * XOut.Shape[1], XOut.Shape[2]);
    }

    readonly record struct UpSweepLaunch(Source Steps, Tensor ASum, Tensor XSum, long Distance) : ILaunch, IStepsLaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => Choose(Steps, this, on);

        void IStepsLaunch.With<R, V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        {
            if (Distance == 1)
                Pass<R, Yes, V, M, T, I, G>(on);
            else
                Pass<R, No, V, M, T, I, G>(on);
        }

        void Pass<R, F, V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
            where R : struct, IFlag
            where F : struct, IFlag
            where V : unmanaged, ILane<V, M, T>
            where M : struct, IMemory<T>
            where T : unmanaged, INumberBase<T>
            where I : struct, IMemory<int>
            where G : struct, ITeam<V> =>
            RunRows(on, new LinearRecurrenceUpSweep<R, F, V, M, T, I>
            {
                Steps = Steps.On<R, V, M, T, I, G>(on),
                ASum = on.Memory(ASum),
                XSum = on.Memory(XSum),
                Distance = Distance,
            }, XSum.Shape[0] * LinearRecurrenceUpSweep<R, F, V, M, T, I>.Nodes(XSum.Shape[1], Distance), XSum.Shape[2]);
    }

    readonly record struct DownSweepLaunch(Source Sums, long Distance, bool Root) : ILaunch, IStepsLaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => Choose(Sums, this, on);

        void IStepsLaunch.With<R, V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => RunRows(on, new LinearRecurrenceDownSweep<R, V, M, T, I>
        {
            Sums = Sums.On<R, V, M, T, I, G>(on),
            Root = Root ? 1 : 0,
            Distance = Distance,
        }, Sums.X.Shape[0] * LinearRecurrenceDownSweep<R, V, M, T, I>.Nodes(Sums.X.Shape[1], Distance), Sums.X.Shape[2]);
    }

    readonly record struct LeavesLaunch(Source Steps, Tensor H, bool Root) : ILaunch, IStepsLaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => Choose(Steps, this, on);

        void IStepsLaunch.With<R, V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => RunRows(on, new LinearRecurrenceLeaves<R, V, M, T, I>
        {
            Steps = Steps.On<R, V, M, T, I, G>(on),
            H = on.Memory(H),
            Root = Root ? 1 : 0,
        }, H.Shape[0] * ((H.Shape[1] + 1) / 2), H.Shape[2]);
    }

    readonly record struct GradientsLaunch(Tensor A, Tensor? Initial, Tensor? Reset, Tensor H, Tensor G, Tensor DA, Tensor? DInitial) : ILaunch
    {
        void ILaunch.On<V, M, T, I, TG>(ILauncher<V, M, T, I, TG> on) => RunRows(on, new LinearRecurrenceGradients<V, M, T, I>
        {
            A = on.Memory(A),
            Initial = on.Memory(Initial),
            Reset = on.Ints(Reset),
            H = on.Memory(H),
            G = on.Memory(G),
            DA = on.Memory(DA),
            DInitial = on.Memory(DInitial),
            HasInitial = Initial is null ? 0 : 1,
            HasReset = Reset is null ? 0 : 1,
            Batch = A.Shape[0],
            Length = A.Shape[1],
            Channels = A.Shape[2],
        }, A.Shape[0] * A.Shape[1], A.Shape[2]);
    }
}
