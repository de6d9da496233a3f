using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using System.Threading;

namespace Mamba.Gpu;

/// <summary>Matrix product on the host: C (m, n) = op(A) (m, k) · op(B) (k, n), see <see cref="MatMulArgs{T}"/>.</summary>
/// <remarks>
/// After Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication (2008), with fewer copies.
/// <code>
///   task      a block of rows × a block of columns of C, taken by whichever worker is free
///     depth     k in equal pieces of at most 256
///       A block   rows × depth, in L2: in place, or copied into the worker's scratch
///       panel     depth × two vectors of B, gathered into the worker's scratch, so in L1
///         tile      6 × two vectors of C (12 × two with 32 registers), in registers
/// </code>
/// The panel is gathered by the worker that uses it: nothing is shared, so one launch does it all, and gathering
/// once per row block costs about what reading a shared copy from L3 would. A needs no copy for its order, because the
/// tile only ever broadcasts single elements of it; it gets one when its rows are long, and when it is stored transposed: then the
/// elements a tile broadcasts together are copied side by side.
/// <para>
/// Bits: an element of C is a chain of fused multiply-adds along each depth piece, and pieces are added in order: k of them are off
/// by at most 256 + k / 256 half ulps of Σ|a b|. Neither depends on tiles, tasks or workers, so the result is the same for any number of workers, and a row's
/// result is the same whatever m is, but for m ≤ 8 and B transposed: see <see cref="HostFewRows{T, V}"/>.
/// </para>
/// </remarks>
internal readonly unsafe struct HostMatMul<T, V> : IKernel where T : unmanaged, INumber<T> where V : unmanaged, IMatMulVector<V, T>
{
    // Hot from the first call: no tiers. Each in a method of its own, or the accumulators compete for registers with the caller's locals.
    const MethodImplOptions Hot = MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining;
    const long MaxDepth = 256;              // a panel of 16 floats: 16 KB, half an L1
    const long BlockBytes = 256 * 1024;     // of A, about half an L2
    const long RowPadding = 16;             // of its rows: a power of two apart they would share cache sets
    const long CopyColumns = 128;           // so many that copying A costs little against them
    const long FewRows = 12;                // so few that a row-major B is read in place: a copy would cost as much as the work

    readonly MatMulArgs<T> a;
    readonly long depth, rowsPerTask, columnsPerTask, rowBlocks, columnBlocks;
    readonly byte* scratch;

    static long TileRows { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => V.Width * sizeof(T) == 64 ? 12 : 6; }
    static long PanelWidth => 2 * V.Width;
    static long PackedRows => Ceiling(TileRows, V.Width) * V.Width;     // of a tile of a transposed A: whole vectors
    static long BlockElements => BlockBytes / sizeof(T);
    static long PanelElements => MaxDepth * PanelWidth;
    static long TileElements => 12 * PanelWidth;
    static long WorkerBytes => (BlockElements + PanelElements + TileElements) * sizeof(T);

    /// <summary>Scratch for any product, in bytes: the task counter, then each worker's A block, B panel and tile.</summary>
    public static long ScratchBytes(int workers) => 128 + workers * WorkerBytes;

    /// <summary>Cuts the product into tasks. The kernel may then be run once, by <paramref name="workers"/> workers.</summary>
    /// <param name="args">The product.</param>
    /// <param name="workers">How many workers will run it; the result does not depend on it.</param>
    /// <param name="scratch">At least <see cref="ScratchBytes"/> bytes that nothing else uses until the launch has ended.</param>
    public HostMatMul(in MatMulArgs<T> args, int workers, void* scratch)
    {
        a = args;
        this.scratch = (byte*)(((nint)scratch + 63) & ~63);
        *(long*)this.scratch = 0;   // the next task
        long pieces = Math.Max(1, Ceiling(a.K, MaxDepth));
        depth = Math.Clamp(Ceiling(Ceiling(a.K, pieces), 16) * 16, 16, MaxDepth);
        if (OnlyFewRows)
            (rowsPerTask, columnsPerTask) = (a.M, Math.Max(PanelWidth, Ceiling(Ceiling(a.N, 8 * workers), PanelWidth) * PanelWidth));
        else
            Cut(workers, out rowsPerTask, out columnsPerTask);
        rowBlocks = Ceiling(a.M, rowsPerTask);
        columnBlocks = Ceiling(a.N, columnsPerTask);
    }

    // By the whole product, not by a task's rows: cutting it must not change a bit.
    bool OnlyFewRows => a.TransB && !a.TransA && a.M is > 0 and <= HostFewRows<T, V>.Most;

    static long Ceiling(long x, long y) => (x + y - 1) / y;

    // Takes the cut that is done first: by equal tasks in rounds, and a quarter of one more because workers do not start together.
    // Costs in cycles, of which only the ratios matter.
    void Cut(int workers, out long rows, out long columns)
    {
        double perElementOfA = a.TransA ? 0.7 : 0.5, perElementOfB = a.TransB ? 0.4 : 0.3, late = 0.25 * (workers - 1) / workers, best = double.MaxValue;
        long tileRows = TileRows, tileBytes = (a.TransA ? depth * PackedRows : tileRows * (depth + RowPadding)) * sizeof(T);
        long mostRows = Math.Max(1, BlockBytes / tileBytes) * tileRows;
        long rowTiles = Math.Max(1, Ceiling(a.M, tileRows)), panels = Math.Max(1, Ceiling(a.N, PanelWidth)), fewest = Math.Max(1, Ceiling(a.M, mostRows));
        rows = columns = 1;
        for (long r = fewest; ; r = Math.Min(r < fewest + 3 ? r + 1 : 2 * r, rowTiles))
        {
            long tileCount = Ceiling(rowTiles, r);
            for (long c = 1; ; c = Math.Min(2 * c, panels))
            {
                long panelCount = Ceiling(panels, c), tasks = Ceiling(rowTiles, tileCount) * Ceiling(panels, panelCount) * a.Batch;
                double m = Math.Min(tileCount * tileRows, a.M), n = panelCount * PanelWidth;
                double task = 300 + Math.Max(a.K, 8) * (m * n / PanelWidth + (CopiesA((long)n) ? m * perElementOfA : 0) + n * perElementOfB);
                double time = (Ceiling(tasks, workers) + late) * task;
                if (time < best) (best, rows, columns) = (time, tileCount * tileRows, panelCount * PanelWidth);
                if (c >= panels || tasks > 16 * workers) break;
            }
            if (r >= rowTiles || r * a.Batch > 16 * workers) break;
        }
    }

    // Rows longer than a depth piece are often a power of two apart, in the same few cache sets.
    bool CopiesA(long columns) => a.TransA || a.K > depth && columns >= CopyColumns;

    /// <inheritdoc/>
    [MethodImpl(Hot)]
    public void Run(Worker worker)
    {
        long tasks = a.Batch * rowBlocks * columnBlocks;
        T* own = (T*)(scratch + 64 + worker.Index * WorkerBytes);
        for (long t; (t = Interlocked.Increment(ref *(long*)scratch) - 1) < tasks;)
        {
            long batch = t / (rowBlocks * columnBlocks), block = t % (rowBlocks * columnBlocks);
            if (OnlyFewRows)
                HostFewRows<T, V>.Multiply(a, batch, block * columnsPerTask, Math.Min((block + 1) * columnsPerTask, a.N));
            else
                Task(batch, block / columnBlocks * rowsPerTask, block % columnBlocks * columnsPerTask, own);
        }
    }

    // Rows i.. and columns j.. of batch item b.
    [MethodImpl(Hot)]
    void Task(long b, long i, long j, T* own)
    {
        T* A = a.A + b * a.StrideA, B = a.B + b * a.StrideB, C = a.C + b * a.StrideC + i * a.N;
        long rows = Math.Min(rowsPerTask, a.M - i), end = Math.Min(j + columnsPerTask, a.N);
        if (rows <= FewRows && !a.TransA)   // bound by reading B: walk its rows from end to end
        {
            for (; j < end; j += PanelWidth)
                for (long p = 0; p == 0 || p < a.K; p += depth) Panel(new Block(A + i * a.RowA + p, a.RowA), rows, B, p, j, Math.Min(end - j, PanelWidth), C,
                    own);
            return;
        }
        for (long p = 0; p == 0 || p < a.K; p += depth)
        {
            long k = Math.Min(depth, a.K - p);
            var block = new Block(A + i * a.RowA + p, a.RowA);
            if (a.TransA)
            {
                block = new Block(own, 1) { Step = PackedRows, Tile = depth * PackedRows };
                Pack(A + p * a.M + i, a.M, rows, k, block);
            }
            else if (CopiesA(end - j))
            {
                block = new Block(own, depth + RowPadding);
                for (long x = 0; x < rows; x++) new ReadOnlySpan<T>(A + (i + x) * a.RowA + p, (int)k).CopyTo(new Span<T>(own + x * block.Row, (int)k));
            }
            for (long q = j; q < end; q += PanelWidth) Panel(block, rows, B, p, q, Math.Min(end - q, PanelWidth), C, own);
        }
    }

    // Element (i, p) of A is Start[i·Row + p·Step], a tile of rows Tile elements after the one before.
    readonly struct Block(T* start, long row)
    {
        public readonly T* Start = start;
        public readonly long Row = row;
        public long Step { get; init; } = 1;
        public long Tile { get; init; } = TileRows * row;
    }

    // A (k, rows), stored transposed, to tiles of (k, PackedRows).
    [MethodImpl(Hot)]
    static void Pack(T* from, long stride, long rows, long k, in Block to)
    {
        long step = to.Step, tile = to.Tile, tileRows = TileRows;
        T* target = to.Start;
        for (long p = 0; p < k; p++, from += stride, target += step)
        {
            T* row = target;
            for (long i = 0; i < rows; i += tileRows, row += tile)
                for (long x = 0, count = Math.Min(tileRows, rows - i); x < count; x += V.Width) V.Store(row + x, V.Load(from + i + x));
        }
    }

    // C[.., j..j+width] += A block · B[p.., j..j+width].
    [MethodImpl(Hot)]
    void Panel(in Block block, long rows, T* B, long p, long j, long width, T* C, T* own)
    {
        long k = Math.Min(depth, a.K - p), ldb = width > V.Width ? PanelWidth : V.Width;
        T* panel = own + BlockElements;
        if (a.TransB)
        {
            for (long x = width; x < ldb; x++) for (long q = 0; q < k; q++) panel[q * ldb + x] = T.Zero;   // no stale NaNs or denormals: slow
            for (long x = 0; x < width; x += V.Width) Transpose(B + (j + x) * a.K + p, a.K, Math.Min(V.Width, width - x), k, panel + x, ldb);
        }
        else if (rows <= FewRows) { panel = B + p * a.N + j; ldb = a.N; }
        else Gather(B + p * a.N + j, a.N, k, panel, ldb);

        bool add = p > 0 || a.Accumulate;
        T* bias = p > 0 || a.Bias == null ? null : a.Bias + j;
        if (width > V.Width) Rows<WideRow<V, T>>(block, rows, panel, ldb, k, C + j, width, add, bias, own + BlockElements + PanelElements);
        else Rows<NarrowRow<V, T>>(block, rows, panel, ldb, k, C + j, width, add, bias, own + BlockElements + PanelElements);
    }

    // Tiles down the rows. Columns short of a row's width go by way of the spare tile.
    [MethodImpl(Hot)]
    void Rows<R>(in Block block, long rows, T* B, long ldb, long k, T* C, long width, bool add, T* bias, T* spare) where R : unmanaged, IMatMulRow<R, T>
    {
        long lda = block.Row, step = block.Step;
        for (long i = 0, count; i < rows; i += count, C += count * a.N)
        {
            T* A = block.Start + i / TileRows * block.Tile + i % TileRows * lda;
            count = Math.Min(rows - i, TileRows);
            T* to = width == R.Width ? C : spare;
            long ldc = width == R.Width ? a.N : R.Width;
            bool addHere = add && width == R.Width;
            T* biasHere = width == R.Width ? bias : null;
            if (Sse.IsSupported && k >= 64)   // C is needed when the tile is done
                for (long x = 0; x < count; x++) { Sse.Prefetch0(to + x * ldc); Sse.Prefetch0(to + x * ldc + R.Width - 1); }
            if (count == 12) Multiply12<R>(A, lda, step, B, ldb, k, to, ldc, addHere, biasHere);
            else if (count > 2) Multiply6<R>(A, lda, step, count = Math.Min(count, 6), B, ldb, k, to, ldc, addHere, biasHere);
            else Multiply2<R>(A, lda, step, count, B, ldb, k, to, ldc, addHere, biasHere);
            if (width < R.Width) Copy(spare, R.Width, count, width, C, add, bias);
        }
    }

    void Copy(T* spare, long lds, long rows, long columns, T* C, bool add, T* bias)
    {
        for (long i = 0; i < rows; i++)
            for (long j = 0; j < columns; j++)
            {
                T sum = spare[i * lds + j];
                if (add) sum += C[i * a.N + j];
                if (bias != null) sum += bias[j];
                C[i * a.N + j] = sum;
            }
    }

    // The three tiles. With fewer rows than the tile has, the last row is computed again and dropped.
    // Two rows take as long as one: four chains of multiply-adds just hide their latency.

    [MethodImpl(Hot)]
    static void Multiply2<R>(T* a, long lda, long step, long rows, T* b, long ldb, long k, T* c, long ldc, bool add, T* bias)
        where R : unmanaged, IMatMulRow<R, T>
    {
        R c0 = default, c1 = default;
        T* a1 = a + (rows - 1) * lda;
        for (long p = 0, end = k * step; p < end; p += step, b += ldb)
        {
            R row = R.Load(b);
            R.MulAdd(a + p, row, ref c0); R.MulAdd(a1 + p, row, ref c1);
        }
        Finish(c0, c, add, bias);
        if (rows > 1) Finish(c1, c + ldc, add, bias);
    }

    [MethodImpl(Hot)]
    static void Multiply6<R>(T* a, long lda, long step, long rows, T* b, long ldb, long k, T* c, long ldc, bool add, T* bias)
        where R : unmanaged, IMatMulRow<R, T>
    {
        R c0 = default, c1 = default, c2 = default, c3 = default, c4 = default, c5 = default;
        T* a1 = a + lda, a2 = a1 + lda, a3 = rows > 3 ? a2 + lda : a, a4 = rows > 4 ? a3 + lda : a, a5 = rows > 5 ? a4 + lda : a;
        for (long p = 0, end = k * step; p < end; p += step, b += ldb)
        {
            R row = R.Load(b);
            R.MulAdd(a + p, row, ref c0); R.MulAdd(a1 + p, row, ref c1); R.MulAdd(a2 + p, row, ref c2);
            R.MulAdd(a3 + p, row, ref c3); R.MulAdd(a4 + p, row, ref c4); R.MulAdd(a5 + p, row, ref c5);
        }
        Finish(c0, c, add, bias); Finish(c1, c += ldc, add, bias); Finish(c2, c += ldc, add, bias);
        if (rows > 3) Finish(c3, c += ldc, add, bias);
        if (rows > 4) Finish(c4, c += ldc, add, bias);
        if (rows > 5) Finish(c5, c + ldc, add, bias);
    }

    // 24 accumulators: for 32 registers. Twelve row pointers would not fit the 16 integer registers; two and five strides do.
    [MethodImpl(Hot)]
    static void Multiply12<R>(T* a, long lda, long step, T* b, long ldb, long k, T* c, long ldc, bool add, T* bias) where R : unmanaged, IMatMulRow<R, T>
    {
        R c0 = default, c1 = default, c2 = default, c3 = default, c4 = default, c5 = default;
        R c6 = default, c7 = default, c8 = default, c9 = default, c10 = default, c11 = default;
        long lda2 = 2 * lda, lda3 = 3 * lda, lda4 = 4 * lda, lda5 = 5 * lda;
        T* g = a + 6 * lda;
        for (T* end = a + k * step; a < end; a += step, g += step, b += ldb)
        {
            R row = R.Load(b);
            R.MulAdd(a + 0, row, ref c0); R.MulAdd(a + lda, row, ref c1); R.MulAdd(a + lda2, row, ref c2);
            R.MulAdd(a + lda3, row, ref c3); R.MulAdd(a + lda4, row, ref c4); R.MulAdd(a + lda5, row, ref c5);
            R.MulAdd(g + 0, row, ref c6); R.MulAdd(g + lda, row, ref c7); R.MulAdd(g + lda2, row, ref c8);
            R.MulAdd(g + lda3, row, ref c9); R.MulAdd(g + lda4, row, ref c10); R.MulAdd(g + lda5, row, ref c11);
        }
        Finish(c0, c, add, bias); Finish(c1, c += ldc, add, bias); Finish(c2, c += ldc, add, bias); Finish(c3, c += ldc, add, bias);
        Finish(c4, c += ldc, add, bias); Finish(c5, c += ldc, add, bias); Finish(c6, c += ldc, add, bias); Finish(c7, c += ldc, add, bias);
        Finish(c8, c += ldc, add, bias); Finish(c9, c += ldc, add, bias); Finish(c10, c += ldc, add, bias); Finish(c11, c + ldc, add, bias);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Finish<R>(R sum, T* c, bool add, T* bias) where R : unmanaged, IMatMulRow<R, T>
    {
        if (add) sum = R.Add(sum, R.Load(c));
        if (bias != null) sum = R.Add(sum, R.Load(bias));
        R.Store(c, sum);
    }

    // to (rows, ld) ← from (rows, stride), whole vectors. The last may run past the row, by less than a vector: those columns are dropped later.
    [MethodImpl(Hot)]
    static void Gather(T* from, long stride, long rows, T* to, long ld)
    {
        for (long p = 0; p < rows; p++, from += stride, to += ld)
        {
            if (Sse.IsSupported) Sse.Prefetch1(from + ld);   // the next panel: the stride is too long for the hardware to see
            V.Store(to, V.Load(from));
            if (ld > V.Width) V.Store(to + V.Width, V.Load(from + V.Width));
        }
    }

    // to[c·ld + r] ← from[r·stride + c] for r < rows, c < columns.
    [MethodImpl(Hot)]
    static void Transpose(T* from, long stride, long rows, long columns, T* to, long ld)
    {
        long r = 0;
        for (; r + V.Width <= rows; r += V.Width)
        {
            T* source = from + r * stride, target = to + r;
            long c = 0;
            for (; c + 4 <= columns; c += 4, source += 4, target += 4 * ld)
            {
                V.LoadColumns(source, stride, out V c0, out V c1, out V c2, out V c3);
                V.Store(target, c0);
                V.Store(target + ld, c1);
                V.Store(target + 2 * ld, c2);
                V.Store(target + 3 * ld, c3);
            }
            for (; c < columns; c++, source++, target += ld)
                for (long i = 0; i < V.Width; i++) target[i] = source[i * stride];
        }
        for (; r < rows; r++)
            for (long c = 0; c < columns; c++) to[c * ld + r] = from[r * stride + c];
    }
}
