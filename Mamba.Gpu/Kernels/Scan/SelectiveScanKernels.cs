using System.Numerics;

namespace Mamba.Gpu;

/// <summary>Launchers of the selective scan.</summary>
internal static class SelectiveScanKernels
{
    /// <summary>
    /// y (b, l, d) and last state (b, n, d); with <paramref name="boundaries"/> (b, chunks, n, d) also what backward starts from, with
    /// <paramref name="lastInput"/> (b, n, d) what a discretization that looks back must be given for the next piece.
    /// </summary>
    public static void Forward(ScanInputs x, Tensor y, Tensor lastState, Tensor? boundaries, Tensor? lastInput = null)
    {
        if (x.U.Count == 0)
        {
            CopyOrClear(x.InitialState, lastState);
            CopyOrClear(x.PreviousInput, lastInput);
            return;
        }
        using var prepared = new Prepared(x);
        x.Discretization.Choose(new ForwardUser(x, prepared, y, lastState, boundaries, lastInput));

        static void CopyOrClear(Tensor? from, Tensor? to)
        {
            if (from is not null)
                to?.CopyFrom(from);
            else
                to?.Clear();
        }
    }

    /// <summary>Every gradient, from <paramref name="dOut"/> (b, l, d) and optionally those of the last state and the last input (b, n, d).</summary>
    public static void Backward(ScanInputs x, Tensor boundaries, Tensor dOut, Tensor? dLastState, ScanGradients gradients, Tensor? dLastInput = null)
    {
        using var prepared = new Prepared(x);
        x.Discretization.Choose(new BackwardUser(x, prepared, boundaries, dOut, dLastState, dLastInput, gradients));
    }

    /// <summary>
    /// Bytes a forward and a backward pass hold at most beside inputs, outputs and gradients, e the size of an element:
    /// <code>
    /// e (b ⌈l/32⌉ n d                       states at chunk boundaries: u times n/32
    ///  + 2 strips b window n g               partials of dB and dC, if a group has more than one strip: u times 2 n / strip
    ///  + threads · scratch + n d (b + 2))   small
    /// </code>
    /// </summary>
    public static long WorkingBytes(ScanInputs x, bool host, int slots, int width)
    {
        ScanPlan plan = ScanPlan.For(x, host, x.Segments);
        long b = x.Batch, d = x.Channels, n = x.Rows, g = x.Groups, rows = b * plan.Segments, strips = (d / g + plan.BackwardStrip - 1) / plan.BackwardStrip;
        long boundaries = b * x.Chunks * n * d, starts = plan.Segments > 1 ? 2 * rows * n * d : 0;
        long partials = (x.ConstantB ? rows * n * d : strips > 1 ? strips * b * plan.Window * g * n : 0)
            + (x.ConstantC ? rows * n * d : strips > 1 ? strips * b * plan.Window * g * n : 0);
        int vectors = (plan.BackwardStrip + width - 1) / width;
        long scratch = slots * width * SelectiveScanBackward<
            One<Schemes.ExponentialEuler, Float256, Float256, HostMemory<float>, float>, PerToken<Float256, HostMemory<float>, float>,
            PerToken<Float256, HostMemory<float>, float>, Float256, HostMemory<float>, float, HostMemory<int>,
            HostTeam<Float256, float>>.Slots((int)n, vectors);
        return x.U.DType.Size() * (boundaries + starts + partials + scratch + (rows + 1) * n * d + 2 * rows * d);
    }

    /// <summary>A, and B and C where they are constant, as the kernels want them: (n, d), with zeros behind.</summary>
    sealed class Prepared : IDisposable, IDiscretizationUser
    {
        const int Tail = 64;        // lanes past the last channel read here

        public Prepared(ScanInputs x)
        {
            x.Discretization.Choose(this);
            A = Transposed(x, x.A, 1 / Unit);
            B = x.ConstantB ? Transposed(x, x.B, 1) : x.B;
            C = x.ConstantC ? Transposed(x, x.C, 1) : x.C;
        }

        public void With<D>() where D : struct, IDiscretization => Unit = D.Base2 ? Math.Log(2) : 1;

        /// <summary>A is given in this unit.</summary>
        public double Unit { get; private set; }

        public Tensor A { get; }
        public Tensor B { get; }
        public Tensor C { get; }

        // (d, n), or (d, n, 2) of complex numbers, whose parts are rows then
        static Tensor Transposed(ScanInputs x, Tensor values, double scale)
        {
            Tensor y = Tensor.Zeros(values.Count + Tail, values.DType, values.Device).Unowned();
            TransposeKernels.Transpose(values, y, 1, x.Channels, x.Rows, scale);
            return y;
        }

        public void Dispose()
        {
            A.Dispose();
            if (B.Shape.Rank == 1)
                B.Dispose();
            if (C.Shape.Rank == 1)
                C.Dispose();
        }
    }

    static ScanArguments<M, I> Arguments<V, M, T, I, G>(ILauncher<V, M, T, I, G> on, ScanInputs x, Prepared prepared, ScanPlan plan, int strip,
        Tensor? initial, Tensor? boundaries)
        where M : struct
        where I : struct, IMemory<int>
        where G : struct, ITeam<V> => new()
        {
            U = on.Memory(x.U),
            Delta = on.Memory(x.Delta),
            Z = on.Memory(x.Z),
            A = on.Memory(prepared.A),
            B = on.Memory(prepared.B),
            C = on.Memory(prepared.C),
            D = on.Memory(x.D),
            DeltaBias = on.Memory(x.DeltaBias),
            Initial = on.Memory(initial),
            PreviousInput = on.Memory(x.PreviousInput),
            Boundaries = on.Memory(boundaries),
            Reset = on.Ints(x.Reset),
            Batch = (int)x.Batch,
            Channels = (int)x.Channels,
            States = (int)x.Rows,
            Groups = (int)x.Groups,
            Segments = plan.Segments,
            StripChannels = strip,
            Length = x.Length,
            SegmentLength = plan.SegmentLength,
            HasZ = x.Z is null ? 0 : 1,
            HasD = x.D is null ? 0 : 1,
            HasDeltaBias = x.DeltaBias is null ? 0 : 1,
            HasInitial = initial is null ? 0 : 1,
            HasPreviousInput = x.PreviousInput is null ? 0 : 1,
            HasBoundaries = boundaries is null ? 0 : 1,
            HasReset = x.Reset is null ? 0 : 1,
            Softplus = x.Softplus ? 1 : 0,
        };

    // ---- from tensors to types: the discretization, then the device, then the kinds of state, B and C ------------------

    /// <summary>A scan whose every type is known. L is one state.</summary>
    interface IScanLaunch
    {
        ScanInputs X { get; }

        void Run<L, PB, PC, V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
            where L : struct, IStates<L, V, M, T>
            where PB : struct, IProjection<V, M>
            where PC : struct, IProjection<V, M>
            where V : unmanaged, ILane<V, M, T>
            where M : struct, IMemory<T>
            where T : unmanaged, INumberBase<T>
            where I : struct, IMemory<int>
            where G : struct, ITeam<V>;
    }

    readonly struct Typed<D, A>(A launch) : ILaunch
        where D : struct, IDiscretization
        where A : struct, IScanLaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        {
            if (launch.X.IsComplex)
                Project<One<D, Complex<V, M, T>, V, M, T>, V, M, T, I, G>(on);
            else
                Project<One<D, V, V, M, T>, V, M, T, I, G>(on);
        }

        void Project<L, V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
            where L : struct, IStates<L, V, M, T>
            where V : unmanaged, ILane<V, M, T>
            where M : struct, IMemory<T>
            where T : unmanaged, INumberBase<T>
            where I : struct, IMemory<int>
            where G : struct, ITeam<V>
        {
            switch (launch.X.ConstantB, launch.X.ConstantC)
            {
                case (false, false): launch.Run<L, PerToken<V, M, T>, PerToken<V, M, T>, V, M, T, I, G>(on); break;
                case (false, true): launch.Run<L, PerToken<V, M, T>, PerChannel<V, M, T>, V, M, T, I, G>(on); break;
                case (true, false): launch.Run<L, PerChannel<V, M, T>, PerToken<V, M, T>, V, M, T, I, G>(on); break;
                case (true, true): launch.Run<L, PerChannel<V, M, T>, PerChannel<V, M, T>, V, M, T, I, G>(on); break;
            }
        }
    }

    readonly record struct ForwardUser(ScanInputs X, Prepared Prepared, Tensor Y, Tensor LastState, Tensor? Boundaries, Tensor? LastInput)
        : IDiscretizationUser, IScanLaunch
    {
        public void With<D>() where D : struct, IDiscretization => X.U.Launch(new Typed<D, ForwardUser>(this));

        void IScanLaunch.Run<L, PB, PC, V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        {
            ScanPlan plan = ScanPlan.For(X, host: V.Width > 1, X.Segments);
            using Tensor? starts = plan.Segments > 1 ? SegmentStarts<L, PB, PC, V, M, T, I, G>(on, X, Prepared, plan, dOut: null, X.InitialState, LastState)
                : null;
            using Tensor? ends = plan.Segments > 1 ? starts!.Like() : null;     // the last of them is LastState already
            Tensor lastState = ends ?? LastState;
            ScanArguments<M, I> arguments = Arguments(on, X, Prepared, plan, plan.ForwardStrip, starts ?? X.InitialState, Boundaries);
            if (V.Width > 1)
            {
                long perWorker = SelectiveScanForwardStrip<L, PB, PC, V, M, T, I>.ScratchPerWorker(plan.ForwardStrip, V.Width);
                using Tensor scratch = X.U.Like(on.Slots(arguments.Items) * perWorker);
                on.Run(new SelectiveScanForwardStrip<L, PB, PC, V, M, T, I>
                {
                    In = arguments,
                    Y = on.Memory(Y),
                    LastState = on.Memory(lastState),
                    LastInput = on.Memory(LastInput),
                    Scratch = on.Memory(scratch),
                }, X.U.Count, X.Rows);
                return;
            }
            int n = 0, states = (int)X.Rows;
            while (n < states)
            {
                int left = (states - n) / L.Count;
                n += left >= 16 ? Tile<Pair<Pair<Pair<Pair<L, V, M, T>, V, M, T>, V, M, T>, V, M, T>, PB, PC, V, M, T, I, G>(on, arguments, n, lastState)
                    : left >= 8 ? Tile<Pair<Pair<Pair<L, V, M, T>, V, M, T>, V, M, T>, PB, PC, V, M, T, I, G>(on, arguments, n, lastState)
                    : left >= 4 ? Tile<Pair<Pair<L, V, M, T>, V, M, T>, PB, PC, V, M, T, I, G>(on, arguments, n, lastState)
                    : Tile<L, PB, PC, V, M, T, I, G>(on, arguments, n, lastState);
            }
        }

        // One launch for S.Count states from n on; says how many that were.
        int Tile<S, PB, PC, V, M, T, I, G>(ILauncher<V, M, T, I, G> on, ScanArguments<M, I> arguments, int n, Tensor lastState)
            where S : struct, IStates<S, V, M, T>
            where PB : struct, IProjection<V, M>
            where PC : struct, IProjection<V, M>
            where V : unmanaged, ILane<V, M, T>
            where M : struct, IMemory<T>
            where T : unmanaged
            where I : struct, IMemory<int>
            where G : struct, ITeam<V>
        {
            on.Run(new SelectiveScanForward<S, PB, PC, V, M, T, I>
            {
                In = arguments,
                Y = on.Memory(Y),
                LastState = on.Memory(lastState),
                LastInput = on.Memory(LastInput),
                FirstState = n,
                First = n == 0 ? 1 : 0,
                Last = n + S.Count == X.Rows ? 1 : 0,
            }, arguments.Items);
            return S.Count;
        }
    }

    // The states (b, segments, n, d) before each segment, and in `rest` (b, n, d) what is left after all; with dOut in reverse.
    static Tensor SegmentStarts<L, PB, PC, V, M, T, I, G>(ILauncher<V, M, T, I, G> on, ScanInputs x, Prepared prepared, ScanPlan plan, Tensor? dOut,
        Tensor? first, Tensor rest)
        where L : struct, IStates<L, V, M, T>
        where PB : struct, IProjection<V, M>
        where PC : struct, IProjection<V, M>
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
        where I : struct, IMemory<int>
        where G : struct, ITeam<V>
    {
        Tensor starts = x.U.Like((x.Batch, plan.Segments, x.Rows, x.Channels)).Unowned();
        using Tensor own = starts.Like(), decay = starts.Like();
        using Tensor? cut = x.Reset is null ? null : Tensor.Empty((x.Batch, plan.Segments), DType.Int32, x.U.Device);
        ScanArguments<M, I> arguments = Arguments(on, x, prepared, plan, plan.ForwardStrip, initial: null, boundaries: null);
        for (int n = 0; n < x.Rows;)
            n += (x.Rows - n) / L.Count >= 4 ? Tile<Pair<Pair<L, V, M, T>, V, M, T>>(n) : Tile<L>(n);
        on.Run(new SelectiveScanCarry<L, V, M, T, I>
        {
            First = on.Memory(first),
            Own = on.Memory(own),
            Decay = on.Memory(decay),
            Cut = on.Ints(cut),
            Start = on.Memory(starts),
            Rest = on.Memory(rest),
            HasFirst = first is null ? 0 : 1,
            HasCut = cut is null ? 0 : 1,
            Reverse = dOut is null ? 0 : 1,
            Segments = plan.Segments,
            States = (int)x.Rows,
            Batch = x.Batch,
            Channels = x.Channels,
        }, rest.Count, plan.Segments);
        return starts;

        int Tile<S>(int n) where S : struct, IStates<S, V, M, T>
        {
            on.Run(new SelectiveScanSegments<S, PB, PC, V, M, T, I>
            {
                In = arguments,
                DOut = on.Memory(dOut),
                Own = on.Memory(own),
                Decay = on.Memory(decay),
                Cut = on.Ints(cut),
                FirstState = n,
                Reverse = dOut is null ? 0 : 1,
            }, V.Width > 1 ? x.U.Count : arguments.Items, S.Count);
            return S.Count;
        }
    }

    readonly record struct BackwardUser(ScanInputs X, Prepared Prepared, Tensor Boundaries, Tensor DOut, Tensor? DLastState, Tensor? DLastInput,
        ScanGradients Gradients) : IDiscretizationUser, IScanLaunch
    {
        public void With<D>() where D : struct, IDiscretization => X.U.Launch(new Typed<D, BackwardUser>(this));

        void IScanLaunch.Run<L, PB, PC, V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        {
            ScanPlan plan = ScanPlan.For(X, host: V.Width > 1, X.Segments);
            long b = X.Batch, l = X.Length, d = X.Channels, n = X.Rows, g = X.Groups, segments = plan.Segments;
            long strips = (d / g + plan.BackwardStrip - 1) / plan.BackwardStrip, rows = b * segments, items = rows * g * strips;
            using Tensor? starts = segments > 1 ? SegmentStarts<L, PB, PC, V, M, T, I, G>(on, X, Prepared, plan, DOut, DLastState, Gradients.DInitialState)
                : null;
            using Tensor? dStarts = segments > 1 ? starts!.Like() : null;       // the first of them is DInitial already
            int threads = on.TeamSize(plan.BackwardStrip), teams = on.Slots(items);
            int vectors = SelectiveScanBackward<L, PB, PC, V, M, T, I, G>.Vectors(plan.BackwardStrip, threads, V.Width);
            using Tensor scratch = X.U.Like((teams, SelectiveScanBackward<L, PB, PC, V, M, T, I, G>.Slots((int)n, vectors), threads * V.Width));
            using Tensor dA = X.U.Like((rows, n, d)), dD = X.U.Like((rows, d)), dBias = X.U.Like((rows, d));
            using Tensor? dB = X.ConstantB ? X.U.Like((rows, n, d)) : strips > 1 ? X.U.Like(new Shape(strips, b, plan.Window, g, n)) : null;
            using Tensor? dC = X.ConstantC ? X.U.Like((rows, n, d)) : strips > 1 ? X.U.Like(new Shape(strips, b, plan.Window, g, n)) : null;
            for (long end = l; end > 0;)
            {
                // Windows are counted from the start, so the first one walked, the last, may be shorter.
                long start = (end - 1) / plan.Window * plan.Window;
                on.RunTeams(new SelectiveScanBackward<L, PB, PC, V, M, T, I, G>
                {
                    In = Arguments(on, X, Prepared, plan, plan.BackwardStrip, initial: null, Boundaries),
                    DOut = on.Memory(DOut),
                    DLastState = on.Memory(starts ?? DLastState),
                    DLastInput = on.Memory(DLastInput),
                    DU = on.Memory(Gradients.DU),
                    DDelta = on.Memory(Gradients.DDelta),
                    DZ = on.Memory(Gradients.DZ),
                    DInitial = on.Memory(dStarts ?? Gradients.DInitialState),
                    DPreviousInput = on.Memory(Gradients.DPreviousInput),
                    DAPartials = on.Memory(dA),
                    DDPartials = on.Memory(dD),
                    DBiasPartials = on.Memory(dBias),
                    DBPartials = on.Memory(dB ?? Gradients.DB),
                    DCPartials = on.Memory(dC ?? Gradients.DC),
                    Scratch = on.Memory(scratch),
                    DecayScale = T.CreateTruncating(Prepared.Unit),
                    HasDLastState = (starts ?? DLastState) is null ? 0 : 1,
                    HasDLastInput = DLastInput is null ? 0 : 1,
                    FirstChunk = start / Scan.ChunkLength,
                    EndChunk = (end + Scan.ChunkLength - 1) / Scan.ChunkLength,
                    Resume = end < l ? 1 : 0,
                }, items, plan.BackwardStrip, cost: (end - start) * n, slots: teams);
                if (!X.ConstantB && dB is not null)
                    SumPartials<V, M, T, I, G>(on, dB, Gradients.DB, start, end);
                if (!X.ConstantC && dC is not null)
                    SumPartials<V, M, T, I, G>(on, dC, Gradients.DC, start, end);
                end = start;
            }

            SumOverRows(dA, Gradients.DA);
            PartialKernels.Sum(dD, Gradients.DD);
            PartialKernels.Sum(dBias, Gradients.DDeltaBias);
            if (X.ConstantB)
                SumOverRows(dB!, Gradients.DB);
            if (X.ConstantC)
                SumOverRows(dC!, Gradients.DC);
        }

        // partials (strips, b, end − start, g, n) → steps start … end − 1 of sum (b, l, g, n)
        void SumPartials<V, M, T, I, G>(ILauncher<V, M, T, I, G> on, Tensor partials, Tensor sum, long start, long end)
            where V : unmanaged, ILane<V, M, T>
            where M : struct, IMemory<T>
            where T : unmanaged
            where I : struct, IMemory<int>
            where G : struct, ITeam<V>
        {
            long width = X.Groups * X.Rows, window = (end - start) * width;
            on.Run(new SumScanPartials<V, M, T>
            {
                Partials = on.Memory(partials),
                Sum = on.Memory(sum),
                Strips = partials.Shape[0],
                Batch = X.Batch,
                WindowElements = window,
                RowElements = X.Length * width,
                Offset = start * width,
            }, X.Batch * window, partials.Shape[0]);
        }

        // partials (rows, n, d) → sum (d, n)
        static void SumOverRows(Tensor partials, Tensor sum)
        {
            long n = partials.Shape[1], d = partials.Shape[2];
            using Tensor summed = partials.Like((n, d));
            PartialKernels.Sum(partials, summed);
            TransposeKernels.Transpose(summed, sum, 1, n, d);
        }
    }
}
