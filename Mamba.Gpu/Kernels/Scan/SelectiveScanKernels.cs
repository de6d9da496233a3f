using System.Numerics;

namespace Mamba.Gpu;

/// <summary>The inputs of one selective scan; shapes are checked by the op.</summary>
/// <param name="U">(b, l, d)</param>
/// <param name="Delta">(b, l, d), before bias and softplus</param>
/// <param name="A">(d, n)</param>
/// <param name="B">(b, l, n), (b, l, g, n), or (d, n) when constant over time</param>
/// <param name="C">as B</param>
/// <param name="D">(d), optional</param>
/// <param name="Z">(b, l, d), optional</param>
/// <param name="DeltaBias">(d), optional</param>
/// <param name="InitialState">(b, n, d), optional</param>
/// <param name="Softplus">whether delta goes through softplus</param>
public sealed record ScanInputs(Tensor U, Tensor Delta, Tensor A, Tensor B, Tensor C, Tensor? D, Tensor? Z, Tensor? DeltaBias, Tensor? InitialState, bool Softplus)
{
    public long Batch => U.Shape[0];
    public long Length => U.Shape[1];
    public long Channels => U.Shape[2];
    public long States => A.Shape[1];
    public bool ConstantB => B.Shape.Rank == 2;
    public bool ConstantC => C.Shape.Rank == 2;

    /// <summary>Groups of channels with a B and C of their own.</summary>
    public long Groups => B.Shape.Rank == 4 ? B.Shape[2] : C.Shape.Rank == 4 ? C.Shape[2] : 1;

    /// <summary>Chunks whose first states are kept for the backward pass.</summary>
    public long Chunks => (Length + Scan.ChunkLength - 1) / Scan.ChunkLength;
}

/// <summary>Gradients of <see cref="ScanInputs"/>, each in its input's shape; those of absent inputs are scratch.</summary>
public sealed record ScanGradients(Tensor DU, Tensor DDelta, Tensor DA, Tensor DB, Tensor DC, Tensor DD, Tensor? DZ, Tensor DDeltaBias, Tensor DInitial);

/// <summary>Launchers of the selective scan.</summary>
public static class SelectiveScanKernels
{
    /// <summary>y (b, l, d) and last state (b, n, d); with <paramref name="boundaries"/> (b, chunks, n, d) also what backward starts from.</summary>
    public static void Forward(ScanInputs x, Tensor y, Tensor lastState, Tensor? boundaries)
    {
        if (x.U.Count == 0)
        {
            if (x.InitialState is { } initial)
                lastState.CopyFrom(initial);
            else
                lastState.Clear();
            return;
        }
        using var prepared = new Prepared(x);
        x.U.Launch(new ForwardLaunch(x, prepared, y, lastState, boundaries));
    }

    /// <summary>Every gradient, from <paramref name="dOut"/> (b, l, d) and optionally <paramref name="dLastState"/> (b, n, d).</summary>
    public static void Backward(ScanInputs x, Tensor boundaries, Tensor dOut, Tensor? dLastState, ScanGradients gradients)
    {
        using var prepared = new Prepared(x);
        x.U.Launch(new BackwardLaunch(x, prepared, boundaries, dOut, dLastState, gradients));
    }

    /// <summary>A, and B and C where they are constant, as the kernels want them: (n, d), A times log2(e), with zeros behind.</summary>
    sealed class Prepared : IDisposable
    {
        const int Tail = 64;        // lanes past the last channel read here

        public Prepared(ScanInputs x)
        {
            A = Transposed(x.A, 1 / Math.Log(2));
            B = x.ConstantB ? Transposed(x.B, 1) : x.B;
            C = x.ConstantC ? Transposed(x.C, 1) : x.C;
        }

        public Tensor A { get; }
        public Tensor B { get; }
        public Tensor C { get; }

        static Tensor Transposed(Tensor x, double scale)
        {
            Tensor y = Tensor.Zeros(x.Count + Tail, x.DType, x.Device).Unowned();
            TransposeKernels.Transpose(x, y, 1, x.Shape[0], x.Shape[1], scale);
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

    static ScanArguments<M> Arguments<V, M, T, I, G>(ILauncher<V, M, T, I, G> on, ScanInputs x, Prepared prepared, Tensor? boundaries)
        where M : struct
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
            Initial = on.Memory(x.InitialState),
            Boundaries = on.Memory(boundaries),
            Batch = (int)x.Batch,
            Channels = (int)x.Channels,
            States = (int)x.States,
            Groups = (int)x.Groups,
            Length = x.Length,
            HasZ = x.Z is null ? 0 : 1,
            HasD = x.D is null ? 0 : 1,
            HasDeltaBias = x.DeltaBias is null ? 0 : 1,
            HasInitial = x.InitialState is null ? 0 : 1,
            HasBoundaries = boundaries is null ? 0 : 1,
            Softplus = x.Softplus ? 1 : 0,
        };

    readonly record struct ForwardLaunch(ScanInputs X, Prepared Prepared, Tensor Y, Tensor LastState, Tensor? Boundaries) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        {
            switch (X.ConstantB, X.ConstantC)
            {
                case (false, false): Launch<PerToken<V, M, T>, PerToken<V, M, T>, V, M, T, I, G>(on); break;
                case (false, true): Launch<PerToken<V, M, T>, PerChannel<V, M, T>, V, M, T, I, G>(on); break;
                case (true, false): Launch<PerChannel<V, M, T>, PerToken<V, M, T>, V, M, T, I, G>(on); break;
                case (true, true): Launch<PerChannel<V, M, T>, PerChannel<V, M, T>, V, M, T, I, G>(on); break;
            }
        }

        void Launch<PB, PC, V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
            where PB : struct, IProjection<V, M>
            where PC : struct, IProjection<V, M>
            where V : unmanaged, ILane<V, M, T>
            where M : struct, IMemory<T>
            where T : unmanaged, INumberBase<T>
            where I : struct, IMemory<int>
            where G : struct, ITeam<V>
        {
            ScanArguments<M> arguments = Arguments(on, X, Prepared, Boundaries);
            if (V.Width > 1)
            {
                using Tensor scratch = Tensor.Empty(on.Parallelism * SelectiveScanForwardBlocked<PB, PC, V, M, T>.ScratchPerWorker(V.Width), X.U.DType, X.U.Device);
                on.Run(new SelectiveScanForwardBlocked<PB, PC, V, M, T>
                {
                    In = arguments,
                    Y = on.Memory(Y),
                    LastState = on.Memory(LastState),
                    Scratch = on.Memory(scratch),
                }, X.U.Count, X.States);
                return;
            }
            int n = 0, states = (int)X.States;
            while (n < states)
            {
                int left = states - n;
                n += left >= 16 ? Part<Pair<Pair<Pair<Pair<One<V, M, T>, V, M, T>, V, M, T>, V, M, T>, V, M, T>, PB, PC, V, M, T, I, G>(on, arguments, n)
                    : left >= 8 ? Part<Pair<Pair<Pair<One<V, M, T>, V, M, T>, V, M, T>, V, M, T>, PB, PC, V, M, T, I, G>(on, arguments, n)
                    : left >= 4 ? Part<Pair<Pair<One<V, M, T>, V, M, T>, V, M, T>, PB, PC, V, M, T, I, G>(on, arguments, n)
                    : Part<One<V, M, T>, PB, PC, V, M, T, I, G>(on, arguments, n);
            }
        }

        // One launch for S.Count states from n on; says how many that were.
        int Part<S, PB, PC, V, M, T, I, G>(ILauncher<V, M, T, I, G> on, ScanArguments<M> arguments, int n)
            where S : struct, IStates<S, V, M, T>
            where PB : struct, IProjection<V, M>
            where PC : struct, IProjection<V, M>
            where V : unmanaged, ILane<V, M, T>
            where M : struct, IMemory<T>
            where T : unmanaged
            where I : struct, IMemory<int>
            where G : struct, ITeam<V>
        {
            on.Run(new SelectiveScanForward<S, PB, PC, V, M, T>
            {
                In = arguments,
                Y = on.Memory(Y),
                LastState = on.Memory(LastState),
                FirstState = n,
                First = n == 0 ? 1 : 0,
                Last = n + S.Count == X.States ? 1 : 0,
            }, X.Batch * X.Channels);
            return S.Count;
        }
    }

    readonly record struct BackwardLaunch(ScanInputs X, Prepared Prepared, Tensor Boundaries, Tensor DOut, Tensor? DLastState, ScanGradients Gradients) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        {
            switch (X.ConstantB, X.ConstantC)
            {
                case (false, false): Launch<PerToken<V, M, T>, PerToken<V, M, T>, V, M, T, I, G>(on); break;
                case (false, true): Launch<PerToken<V, M, T>, PerChannel<V, M, T>, V, M, T, I, G>(on); break;
                case (true, false): Launch<PerChannel<V, M, T>, PerToken<V, M, T>, V, M, T, I, G>(on); break;
                case (true, true): Launch<PerChannel<V, M, T>, PerChannel<V, M, T>, V, M, T, I, G>(on); break;
            }
        }

        void Launch<PB, PC, V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
            where PB : struct, IProjection<V, M>
            where PC : struct, IProjection<V, M>
            where V : unmanaged, ILane<V, M, T>
            where M : struct, IMemory<T>
            where T : unmanaged, INumberBase<T>
            where I : struct, IMemory<int>
            where G : struct, ITeam<V>
        {
            const int Block = SelectiveScanBackward<PB, PC, V, M, T, G>.BlockChannels;
            long b = X.Batch, l = X.Length, d = X.Channels, n = X.States, g = X.Groups;
            long blocks = (d / g + Block - 1) / Block;
            int threads = on.TeamSize(Block), teams = (int)Math.Min(on.Parallelism, b * g * blocks);
            using Tensor scratch = X.U.Like((teams, SelectiveScanBackward<PB, PC, V, M, T, G>.Slots((int)n, threads, V.Width), threads * V.Width));
            using Tensor dA = X.U.Like((b, n, d)), dD = X.U.Like((b, d)), dBias = X.U.Like((b, d));
            using Tensor? dB = X.ConstantB ? X.U.Like((b, n, d)) : blocks > 1 ? X.U.Like(new Shape(blocks, b, l, g, n)) : null;
            using Tensor? dC = X.ConstantC ? X.U.Like((b, n, d)) : blocks > 1 ? X.U.Like(new Shape(blocks, b, l, g, n)) : null;
            on.RunTeams(new SelectiveScanBackward<PB, PC, V, M, T, G>
            {
                In = Arguments(on, X, Prepared, Boundaries),
                DOut = on.Memory(DOut),
                DLastState = on.Memory(DLastState),
                DU = on.Memory(Gradients.DU),
                DDelta = on.Memory(Gradients.DDelta),
                DZ = on.Memory(Gradients.DZ),
                DInitial = on.Memory(Gradients.DInitial),
                DAParts = on.Memory(dA),
                DDParts = on.Memory(dD),
                DBiasParts = on.Memory(dBias),
                DBParts = on.Memory(dB ?? Gradients.DB),
                DCParts = on.Memory(dC ?? Gradients.DC),
                Scratch = on.Memory(scratch),
                Ln2 = T.CreateTruncating(Math.Log(2)),
                HasDLastState = DLastState is null ? 0 : 1,
            }, b * g * blocks, Block, cost: l * n, most: teams);

            SumOverBatch(dA, Gradients.DA);
            PartialKernels.Sum(dD, Gradients.DD);
            PartialKernels.Sum(dBias, Gradients.DDeltaBias);
            if (X.ConstantB)
                SumOverBatch(dB!, Gradients.DB);
            else if (dB is not null)
                PartialKernels.Sum(dB, Gradients.DB);
            if (X.ConstantC)
                SumOverBatch(dC!, Gradients.DC);
            else if (dC is not null)
                PartialKernels.Sum(dC, Gradients.DC);
        }

        // parts (b, n, d) → sum (d, n)
        static void SumOverBatch(Tensor parts, Tensor sum)
        {
            long n = parts.Shape[1], d = parts.Shape[2];
            using Tensor summed = parts.Like((n, d));
            PartialKernels.Sum(parts, summed);
            TransposeKernels.Transpose(summed, sum, 1, n, d);
        }
    }
}
