using Mamba.Gpu;

namespace Mamba;

public static partial class Ops
{
    /// <summary>
    /// a, x (b, l, m), initial (b, m) → h (b, l, m): the first-order linear recurrence, each channel on its own,
    /// <code>h_t = a_t h_{t−1} + x_t,   h_{−1} = initial, or 0;   h_t = x_t where a sequence starts</code>
    /// over coefficients that are given: what <c>SelectiveScan</c> computes without storing them, with
    /// a = exp(delta A) and x = delta B u. Steps compose by (a2, x2) ∘ (a1, x1) = (a2 a1, a2 x1 + x2), which is associative, so
    /// the l steps can be taken in parallel. Mamba (arXiv 2312.00752) §3.3.2; Blelloch 1990, "Prefix Sums and Their Applications", §1.4.
    /// </summary>
    /// <param name="a">(b, l, m): coefficients, of any sign and size; at 0 the past is forgotten.</param>
    /// <param name="x">(b, l, m): inputs.</param>
    /// <param name="initial">(b, m): the state before the first step; zero when null.</param>
    /// <param name="algorithm">How it is computed, here and for the gradient: the same h to rounding.</param>
    /// <param name="reset">(b, l) int32: not 0 where a step starts a new sequence, which sees nothing before it: its a counts for nothing, and no NaN
    /// or infinity comes through, neither forward nor back. <see cref="Packing.Resets"/> makes one.</param>
    /// <remarks>
    /// The gradient is the adjoint recurrence, the same one backwards in time with a shifted by one:
    /// <code>
    /// g_t = dh_t + a_{t+1} g_{t+1},   g_{l−1} = dh_{l−1}
    /// dx_t = g_t,   da_t = g_t h_{t−1},   dinitial = a_0 g_0
    /// </code>
    /// without the term in a_{t+1} where step t + 1 starts a sequence, and with da_t = 0 where step t does.
    /// </remarks>
    public static Tensor LinearRecurrence(Tensor a, Tensor x, Tensor? initial = null, LinearScan algorithm = LinearScan.Sequential, Tensor? reset = null)
    {
        const string Op = "LinearRecurrence";
        Arguments.Floats(Op, a);
        Arguments.Axes(Op, a, "b, l, m");
        Shape.Expect(Op, x, a.Shape, "The shape comes from a");
        if (initial is not null)
            Shape.Expect(Op, initial, (a.Shape[0], a.Shape[2]), $"b and m come from a {a.Shape}");
        Arguments.Alike(Op, a, x);
        Arguments.Alike(Op, a, initial);
        if (reset is not null)
        {
            Arguments.Ints(Op, reset, a.Device);
            Shape.Expect(Op, reset, (a.Shape[0], a.Shape[1]), $"b and l come from a {a.Shape}");
        }
        Tensor h = x.Like();
        LinearRecurrenceKernels.Forward(algorithm, a, x, initial, reset, h);
        return Tape.Record(Op, h, [a, x, initial], dh =>
        {
            Tensor dx = x.Like();                                               // g_t = dh_t + a_{t+1} g_{t+1}
            bool xOnly = !a.RequiresGrad && initial is not { RequiresGrad: true };
            Tensor? da = xOnly ? null : a.Like();                               // g_t h_{t−1}
            Tensor? dInitial = xOnly ? null : initial?.Like();                  // a_0 g_0
            LinearRecurrenceKernels.Backward(algorithm, a, initial, reset, h, dh, dx, da, dInitial);
            return [da, dx, dInitial];
        });
    }
}
