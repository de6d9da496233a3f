using Mamba.Gpu;

namespace Mamba;

public static partial class Ops
{
    /// <summary>
    /// x (b, l, d), weight (d, k), k from 1 to 8, bias (d) → (b, l, d): each channel's own causal filter,
    /// y[t] = act(bias + Σ_j weight[j]·x[t − (k−1) + j]), act = silu unless <paramref name="silu"/> is off.
    /// </summary>
    /// <param name="x">The inputs.</param>
    /// <param name="weight">As in the official checkpoint, without its axis of extent 1.</param>
    /// <param name="bias">Added before the activation.</param>
    /// <param name="silu">Whether silu follows.</param>
    /// <param name="state">(b, k, d): the k inputs before x, oldest first, as <see cref="ConvState(Tensor, Tensor, Tensor)"/> gives them; zeros if absent.
    /// The oldest is not looked at.</param>
    /// <param name="reset">(b, l) int32: not 0 where a token starts a new sequence, which sees no input before it. <see cref="Packing.Resets"/> makes
    /// one.</param>
    public static Tensor CausalConv1d(Tensor x, Tensor weight, Tensor? bias = null, bool silu = true, Tensor? state = null, Tensor? reset = null)
    {
        Arguments.Axes("CausalConv1d", x, "b, l, d");
        ExpectConv("CausalConv1d", x, weight, bias, state);
        ExpectReset("CausalConv1d", x, reset);
        Tensor y = x.Like();
        CausalConv1dKernels.Forward(x, weight, bias, state, reset, silu, y);
        return Tape.Record("CausalConv1d", y, [x, weight, bias, state], dy =>
        {
            Tensor dx = x.Like(), dWeight = weight.Like(), dBias = weight.Like(weight.Shape[0]);
            Tensor? dState = state?.Like();
            CausalConv1dKernels.Backward(x, weight, bias, state, reset, silu, dy, dx, dWeight, dBias, dState);
            return [dx, dWeight, bias is null ? null : dBias, dState];
        });
    }

    /// <summary>
    /// x (b, l, d) → (b, width, d): the last <paramref name="width"/> inputs of <paramref name="previous"/> followed by x,
    /// oldest first, zeros where there are none: the state with which the next piece of the sequence goes on.
    /// </summary>
    /// <param name="x">The inputs of <see cref="CausalConv1d"/>.</param>
    /// <param name="width">k</param>
    /// <param name="previous">(b, width, d): the state before x; zeros if absent.</param>
    /// <param name="reset">(b, l) int32, as that of <see cref="CausalConv1d"/>: inputs from before the last reset become zeros.</param>
    public static Tensor ConvState(Tensor x, int width, Tensor? previous = null, Tensor? reset = null)
    {
        Arguments.Axes("ConvState", x, "b, l, d");
        if (width is < 1 or > CausalConv1dKernels.MostTaps)
            throw new MambaException($"ConvState: width is {width}; expected 1 to {CausalConv1dKernels.MostTaps}.");
        Tensor state = x.Like((x.Shape[0], width, x.Shape[2]));
        if (previous is not null)
            Shape.Expect("ConvState", previous, state.Shape, $"It comes from x {x.Shape} and width {width}");
        Arguments.Alike("ConvState", x, previous);
        ExpectReset("ConvState", x, reset);
        CausalConv1dKernels.StateAfter(x, previous, reset, state);
        return Tape.Record("ConvState", state, [x, previous], dState =>
        {
            Tensor dx = x.Like();
            Tensor? dPrevious = previous?.Like();
            CausalConv1dKernels.StateAfterBackward(reset, dState, dx, dPrevious);
            return [dx, dPrevious];
        });
    }

    /// <inheritdoc cref="ConvState(Tensor, int, Tensor?, Tensor?)"/>
    /// <remarks>The width is that of <paramref name="previous"/> (b, width, d).</remarks>
    public static Tensor ConvState(Tensor x, Tensor previous, Tensor? reset = null)
    {
        Arguments.Axes("ConvState", previous, "b, width, d");
        return ConvState(x, (int)previous.Shape[1], previous, reset);
    }

    /// <summary>
    /// One step of <see cref="CausalConv1d"/>, for generation: x (b, d) → (b, d). <paramref name="state"/> (b, k, d) is
    /// changed in place: its oldest input goes, x comes in. Not differentiable.
    /// </summary>
    public static Tensor CausalConv1dStep(Tensor x, Tensor state, Tensor weight, Tensor? bias = null, bool silu = true)
    {
        Arguments.Axes("CausalConv1dStep", x, "b, d");
        ExpectConv("CausalConv1dStep", x, weight, bias, state);
        Tensor y = x.Like();
        CausalConv1dKernels.Step(x, state, weight, bias, silu, y);
        return y;
    }

    static void ExpectConv(string op, Tensor x, Tensor weight, Tensor? bias, Tensor? state)
    {
        long d = x.Shape[^1];
        if (weight.Shape.Rank != 2 || weight.Shape[0] != d || weight.Shape[1] is < 1 or > CausalConv1dKernels.MostTaps)
            throw new MambaException($"{op}: weight has shape {weight.Shape}; expected (d={d}, k), k from 1 to {CausalConv1dKernels.MostTaps}. d comes from "
                + $"x {x.Shape}.");
        if (bias is not null)
            Shape.Expect(op, bias, d, $"d comes from x {x.Shape}");
        if (state is not null)
            Shape.Expect(op, state, (x.Shape[0], weight.Shape[1], d), $"b and d come from x {x.Shape}, k from weight {weight.Shape}");
        Arguments.Alike(op, x, weight);
        Arguments.Alike(op, x, bias);
        Arguments.Alike(op, x, state);
    }

    static void ExpectReset(string op, Tensor x, Tensor? reset)
    {
        if (reset is null)
            return;
        Arguments.Ints(op, reset, x.Device);
        Shape.Expect(op, reset, (x.Shape[0], x.Shape[1]), $"b and l come from x {x.Shape}");
    }
}
