using Mamba.Gpu;

namespace Mamba;

/// <summary>The fused kernel: <see cref="ScanAlgorithm.Chunked"/>.</summary>
internal sealed class ChunkedScan(int? segments) : ScanAlgorithm("chunked")
{
    // Every token once; the states at chunk boundaries are what backward needs.
    public override ScanCost Cost(long b, long l, long d, long n) =>
        new((double)b * l * d * n * (segments is > 1 ? 2 : 1), (double)l / (segments ?? 1) + (segments ?? 0), (double)b * d * n * ((l + Gpu.Scan.ChunkLength - 1) / Gpu.Scan.ChunkLength));

    internal override ScanResult Run(ScanProblem p)
    {
        Shape state = p.InitialState?.Shape ?? p.StateShape;
        Tensor? initial = Rows(p.InitialState), before = Rows(p.PreviousInput);
        (Tensor y, Tensor last, Tensor? lastInput) = ChannelsLast(p, initial, before, segments);
        return new ScanResult(y, States(last)) { LastInput = lastInput is null ? null : States(lastInput) };

        // (b, d, n) or (b, d, n, 2) ↔ (b, rows, d), as the kernels hold states
        Tensor? Rows(Tensor? s) => s is null ? null : Ops.Transpose(Ops.Reshape(s, (p.Batch, p.Channels, p.Rows)));
        Tensor States(Tensor rows) => Ops.Reshape(Ops.Transpose(rows), state);
    }

    /// <summary>The scan with its states as the kernels hold them, (b, rows, d).</summary>
    internal static (Tensor Y, Tensor Last, Tensor? LastInput) ChannelsLast(ScanProblem p, Tensor? initial, Tensor? before, int? segments = null)
    {
        bool isComplex = p.IsComplex;
        // Complex numbers are pairs of neighbouring elements: twice as many rows.
        Tensor A = isComplex ? Ops.Reshape(p.A, (p.Channels, p.Rows)) : p.A, B = Pairs(p.B), C = Pairs(p.C);
        var x = new ScanInputs(p.U, p.Delta, A, B, C, p.D, p.Z, p.DeltaBias, initial, p.Softplus)
        {
            Reset = p.Reset,
            Before = before,
            Discretization = p.Discretization,
            IsComplex = isComplex,
            Segments = segments,
        };
        Tensor?[] inputs = [p.U, p.Delta, A, B, C, p.D, p.Z, p.DeltaBias, initial, before];
        bool recorded = Tape.Recording is not null && Array.Exists(inputs, t => t is { RequiresGrad: true });
        Tensor u = p.U, y = u.Like(), last = u.Like((x.Batch, x.States, x.Channels));
        Tensor? boundaries = recorded ? u.Like((x.Batch, x.Chunks, x.States, x.Channels)) : null;
        Tensor? lastInput = p.Discretization.LooksBack ? last.Like() : null;
        SelectiveScanKernels.Forward(x, y, last, boundaries, lastInput);
        Tape.Record("SelectiveScan", lastInput is null ? [y, last] : [y, last, lastInput], inputs, dys =>
        {
            Tensor dY = dys[0] ?? Tensor.Zeros(y.Shape, y.DType, y.Device);
            if (u.Count == 0)
                return [u.Like(), p.Delta.Like(), Zero(A), Zero(B), Zero(C), Zero(p.D), p.Z?.Like(), Zero(p.DeltaBias), initial is null ? null : dys[1] ?? Zero(initial), before is null ? null : dys[2] ?? Zero(before)];
            var d = new ScanGradients(u.Like(), u.Like(), A.Like(), B.Like(), C.Like(), u.Like(x.Channels), p.Z?.Like(), u.Like(x.Channels), last.Like(), lastInput?.Like());
            SelectiveScanKernels.Backward(x, boundaries!, dY, dys[1], d, lastInput is null ? null : dys[2]);
            return
            [
                d.DU, d.DDelta, d.DA, d.DB, d.DC, p.D is null ? null : d.DD, d.DZ, p.DeltaBias is null ? null : d.DDeltaBias,
                initial is null ? null : d.DInitial, before is null ? null : d.DBefore,
            ];
        });
        return (y, last, lastInput);

        Tensor Pairs(Tensor t) => isComplex ? Ops.Reshape(t, t.Shape[..^2].Append(p.Rows)) : t;
        static Tensor? Zero(Tensor? t) => t is null ? null : Tensor.Zeros(t.Shape, t.DType, t.Device);
    }
}
