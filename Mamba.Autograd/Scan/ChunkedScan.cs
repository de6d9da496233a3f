using Mamba.Gpu;

namespace Mamba;

/// <summary>The fused kernel: <see cref="ScanAlgorithm.Chunked"/>.</summary>
internal sealed class ChunkedScan(int? segments) : ScanAlgorithm("chunked")
{
    // Every token once; the states at chunk boundaries are what backward needs.
    public override ScanCost Cost(long b, long l, long d, long n)
    {
        double states = (double)b * d * n, chunks = (l + Scan.ChunkLength - 1) / Scan.ChunkLength;
        return new(states * l * (segments is > 1 ? 2 : 1), (double)l / (segments ?? 1) + (segments ?? 0), states * chunks);
    }

    private protected override bool IsOneOp => true;

    protected override ScanOutputs Run(ScanInputs inputs)
    {
        ScanInputs x = inputs with { Segments = segments };
        bool looksBack = x.Discretization.LooksBack, recorded = Tape.Recording is not null && Array.Exists(x.Differentiable, t => t is { RequiresGrad: true });
        Tensor y = x.U.Like(), last = x.U.Like(x.StateShape);
        Tensor? boundaries = recorded ? x.U.Like((x.Batch, x.Chunks, x.Rows, x.Channels)) : null, lastInput = looksBack ? last.Like() : null;
        SelectiveScanKernels.Forward(x, y, last, boundaries, lastInput);
        Tape.Record("SelectiveScan", lastInput is null ? [y, last] : [y, last, lastInput], x.Differentiable, dys =>
        {
            Tensor dY = dys[0] ?? Tensor.Zeros(y.Shape, y.DType, y.Device);
            Tensor? dLastState = dys[1], dLastInput = looksBack ? dys[2] : null;
            if (x.U.Count == 0)
            {
                // Nothing was computed: the last state is the initial one, the last input the previous one, and all else had no say.
                Tensor?[] none = Array.ConvertAll(x.Differentiable, t => t is null ? null : Tensor.Zeros(t.Shape, t.DType, t.Device));
                return [.. none[..8], x.InitialState is null ? null : dLastState ?? none[8], x.PreviousInput is null ? null : dLastInput ?? none[9]];
            }
            var d = ScanGradients.Of(x);
            SelectiveScanKernels.Backward(x, boundaries!, dY, dLastState, d, dLastInput);
            return
            [
                d.DU, d.DDelta, d.DA, d.DB, d.DC, x.D is null ? null : d.DD, d.DZ, x.DeltaBias is null ? null : d.DDeltaBias,
                x.InitialState is null ? null : d.DInitialState, x.PreviousInput is null ? null : d.DPreviousInput,
            ];
        });
        return new ScanOutputs(y, last, lastInput);
    }
}
