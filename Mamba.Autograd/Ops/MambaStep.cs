using Mamba.Gpu;

namespace Mamba;

public static partial class Ops
{
    /// <summary>
    /// xz (b, 2 d) → y (b, d): one token of each sequence through a Mamba block, from in_proj to out_proj, for generation. The states
    /// are changed in place. It is <see cref="CausalConv1d"/> and <c>SelectiveScan</c> over one step, with the projections
    /// between them, in two launches and two matrix products. Not differentiable.
    /// <code>
    /// x, z     = split(xz);  u = silu(conv1d(convState ++ x))
    /// dt, B, C = split(u · x_projᵀ),  delta = softplus(dt · dt_projᵀ + deltaBias)
    /// h        = exp(delta A) h + delta B u,  y = (C h + D u) · silu(z),  A = −exp(A_log)
    /// </code>
    /// </summary>
    /// <param name="xz">(b, 2 d): x, then z.</param>
    /// <param name="convState">(b, k, d), k from 1 to 8: the last k inputs of the convolution, oldest first.</param>
    /// <param name="ssmState">(b, n, d): h.</param>
    /// <param name="convWeight">(d, k), or (d, 1, k) as checkpoints have it.</param>
    /// <param name="convBias">(d)</param>
    /// <param name="xProj">(r + 2 n, d): dt, B, C.</param>
    /// <param name="dtProj">(d, r)</param>
    /// <param name="deltaBias">(d)</param>
    /// <param name="ALog">(d, n)</param>
    /// <param name="D">(d): the skip.</param>
    /// <exception cref="MambaException">A shape does not fit; the message says which.</exception>
    public static Tensor MambaStep(Tensor xz, Tensor convState, Tensor ssmState, Tensor convWeight, Tensor? convBias, Tensor xProj, Tensor dtProj,
        Tensor deltaBias, Tensor ALog, Tensor D)
    {
        const string Op = "MambaStep";
        Arguments.Floats(Op, xz);
        Arguments.Axes(Op, xz, "b, 2 d");
        Arguments.Axes(Op, ALog, "d, n");
        Arguments.Axes(Op, dtProj, "d, r");
        Arguments.Axes(Op, convState, "b, k, d");
        long b = xz.Shape[0], d = ALog.Shape[0], n = ALog.Shape[1], r = dtProj.Shape[1], k = convState.Shape[1];
        if (k is < 1 or > CausalConv1dKernels.MostTaps)
            throw new MambaException($"{Op}: convState has shape {convState.Shape}; expected (b, k, d), k from 1 to {CausalConv1dKernels.MostTaps}.");
        string source = $"d and n come from ALog {ALog.Shape}, b from xz, r from dtProj and k from convState";
        Shape.Expect(Op, xz, (b, 2 * d), source);
        Shape.Expect(Op, convState, (b, k, d), source);
        Shape.Expect(Op, ssmState, (b, n, d), source);
        if (convWeight.Shape != new Shape(d, k))
            Shape.Expect(Op, convWeight, (d, 1, k), source);
        Shape.Expect(Op, xProj, (r + 2 * n, d), source);
        Shape.Expect(Op, dtProj, (d, r), source);
        Shape.Expect(Op, deltaBias, d, source);
        Shape.Expect(Op, D, d, source);
        if (convBias is not null)
            Shape.Expect(Op, convBias, d, source);
        Arguments.Alike(Op, xz, convState);
        Arguments.Alike(Op, xz, ssmState);
        Arguments.Alike(Op, xz, convWeight);
        Arguments.Alike(Op, xz, convBias);
        Arguments.Alike(Op, xz, xProj);
        Arguments.Alike(Op, xz, dtProj);
        Arguments.Alike(Op, xz, deltaBias);
        Arguments.Alike(Op, xz, ALog);
        Arguments.Alike(Op, xz, D);
        Tensor y = xz.Like((b, d));
        if (y.Count == 0)
            return y;
        Tensor u = xz.Like((b, d)), dtBC = xz.Like((b, r + 2 * n)), delta = xz.Like((b, d));
        CausalConv1dKernels.Step(xz, convState, convWeight, convBias, silu: true, u);
        MatMulKernels.Multiply(new MatMulProblem(u, xProj, dtBC, b, r + 2 * n, d) { TransposeB = true });
        MatMulKernels.Multiply(new MatMulProblem(dtBC, dtProj, delta, b, d, r) { TransposeB = true, RowA = r + 2 * n });
        MambaStepKernels.Scan(xz, ssmState, u, delta, dtBC, ALog, deltaBias, D, y);
        u.Dispose();
        dtBC.Dispose();
        delta.Dispose();
        return y;
    }
}
