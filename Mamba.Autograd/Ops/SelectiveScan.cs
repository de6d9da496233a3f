using Mamba.Gpu;

namespace Mamba;

/// <summary>What a selective scan returns.</summary>
/// <param name="Y">(b, l, d)</param>
/// <param name="LastState">(b, d, n): h after the last token.</param>
public readonly record struct ScanResult(Tensor Y, Tensor LastState);

public static partial class Ops
{
    /// <summary>
    /// The selective scan: u, delta (b, l, d); A (d, n); B, C (b, l, n), (b, l, g, n) or (d, n) → y (b, l, d), last state (b, d, n).
    /// <code>
    /// delta = softplus(delta + deltaBias)
    /// h_t = exp(delta_t A) h_{t−1} + delta_t B_t u_t,   y_t = (C_t·h_t + D u_t) · silu(z_t)
    /// </code>
    /// Nothing of size (b, l, d, n) is stored: backward recomputes the states from those at chunk boundaries.
    /// Mamba (arXiv 2312.00752), Algorithm 2 and §3.3.2, with the exponential-Euler discretization of the released code.
    /// </summary>
    /// <param name="u">(b, l, d): the input.</param>
    /// <param name="delta">(b, l, d): step sizes, before bias and softplus.</param>
    /// <param name="A">(d, n): negative decay rates.</param>
    /// <param name="B">(b, l, n); (b, l, g, n) for g groups of d/g neighbouring channels; or (d, n), constant over time. n from 1 to 256.</param>
    /// <param name="C">As B.</param>
    /// <param name="D">(d): the skip; none when null.</param>
    /// <param name="z">(b, l, d): the gate; none when null.</param>
    /// <param name="deltaBias">(d): added to delta before softplus.</param>
    /// <param name="deltaSoftplus">Whether delta goes through softplus.</param>
    /// <param name="initialState">(b, d, n): h before the first token; zero when null.</param>
    /// <exception cref="MambaException">A shape does not fit; the message says which.</exception>
    public static ScanResult SelectiveScan(Tensor u, Tensor delta, Tensor A, Tensor B, Tensor C, Tensor? D = null, Tensor? z = null,
        Tensor? deltaBias = null, bool deltaSoftplus = true, Tensor? initialState = null)
    {
        Tensor? initial = initialState is null ? null : SwapLast(initialState, "SelectiveScan: initialState");
        (Tensor y, Tensor last) = SelectiveScanChannelsLast(u, delta, A, B, C, D, z, deltaBias, deltaSoftplus, initial);
        return new ScanResult(y, SwapLast(last, "SelectiveScan: last state"));
    }

    /// <summary>The scan with its states as the kernels hold them, (b, n, d).</summary>
    internal static (Tensor Y, Tensor LastState) SelectiveScanChannelsLast(Tensor u, Tensor delta, Tensor A, Tensor B, Tensor C, Tensor? D, Tensor? z,
        Tensor? deltaBias, bool deltaSoftplus, Tensor? initialState)
    {
        var x = new ScanInputs(u, delta, A, B, C, D, z, deltaBias, initialState, deltaSoftplus);
        CheckScan(x);
        Tensor?[] inputs = [u, delta, A, B, C, D, z, deltaBias, initialState];
        bool recorded = Tape.Recording is not null && Array.Exists(inputs, t => t is { RequiresGrad: true });
        Tensor y = u.Like(), last = u.Like((x.Batch, x.States, x.Channels));
        Tensor? boundaries = recorded ? u.Like((x.Batch, x.Chunks, x.States, x.Channels)) : null;
        SelectiveScanKernels.Forward(x, y, last, boundaries);
        Tape.Record("SelectiveScan", [y, last], inputs, dys =>
        {
            Tensor dY = dys[0] ?? Tensor.Zeros(y.Shape, y.DType, y.Device);
            var d = new ScanGradients(u.Like(), u.Like(), A.Like(), B.Like(), C.Like(), u.Like(x.Channels), z?.Like(), u.Like(x.Channels), last.Like(), null);
            SelectiveScanKernels.Backward(x, boundaries!, dY, dys[1], d);
            return [d.DU, d.DDelta, d.DA, d.DB, d.DC, D is null ? null : d.DD, d.DZ, deltaBias is null ? null : d.DDeltaBias, initialState is null ? null : d.DInitial];
        });
        return (y, last);
    }

    static void CheckScan(ScanInputs x)
    {
        const string Op = "SelectiveScan";
        if (x.U.Shape.Rank != 3)
            throw new MambaException($"{Op}: u has shape {x.U.Shape}; expected (b, l, d).");
        if (x.A.Shape.Rank != 2)
            throw new MambaException($"{Op}: A has shape {x.A.Shape}; expected (d, n).");
        long b = x.Batch, l = x.Length, d = x.Channels, n = x.States;
        Expect("A", x.A, (d, n), $"d comes from u {x.U.Shape}");
        if (n is < 1 or > 256)
            throw new MambaException($"{Op}: A has shape {x.A.Shape}; n must be 1 to 256.");
        Expect("delta", x.Delta, x.U.Shape, $"as u {x.U.Shape}");
        Projection("B", x.B);
        Projection("C", x.C);
        if (x.B.Shape.Rank == 4 && x.C.Shape.Rank == 4 && x.B.Shape[2] != x.C.Shape[2])
            throw new MambaException($"{Op}: B has {x.B.Shape[2]} groups and C has {x.C.Shape[2]}; expected the same.");
        if ((x.B.Shape.Rank == 4 && x.C.Shape.Rank == 3 && x.B.Shape[2] != 1) || (x.C.Shape.Rank == 4 && x.B.Shape.Rank == 3 && x.C.Shape[2] != 1))
            throw new MambaException($"{Op}: B has shape {x.B.Shape} and C {x.C.Shape}; with groups, both are (b, l, g, n).");
        Expect("D", x.D, d, $"d comes from u {x.U.Shape}");
        Expect("z", x.Z, x.U.Shape, $"as u {x.U.Shape}");
        Expect("deltaBias", x.DeltaBias, d, $"d comes from u {x.U.Shape}");
        Expect("initialState", x.InitialState, (b, n, d), $"n comes from A {x.A.Shape}, the rest from u {x.U.Shape}");

        void Projection(string name, Tensor p)
        {
            if (p.Shape.Rank == 2)
                Expect(name, p, (d, n), $"as A {x.A.Shape}: constant over time");
            else if (p.Shape.Rank == 4 && p.Shape[2] > 0 && d % p.Shape[2] == 0)
                Expect(name, p, (b, l, p.Shape[2], n), $"n comes from A {x.A.Shape}");
            else if (p.Shape.Rank == 4)
                throw new MambaException($"{Op}: {name} has shape {p.Shape}; its {p.Shape[2]} groups must divide d={d}.");
            else if (p.Shape != (b, l, n))
                throw new MambaException($"{Op}: {name} has shape {p.Shape}; expected (b={b}, l={l}, n={n}). n comes from A {x.A.Shape}.");
            Same(name, p);
        }

        void Expect(string name, Tensor? tensor, Shape shape, string because)
        {
            if (tensor is null)
                return;
            Shape.Expect(Op, tensor, shape, because, name);
            Same(name, tensor);
        }

        void Same(string name, Tensor tensor)
        {
            if (tensor.DType != x.U.DType || tensor.Device != x.U.Device)
                throw new MambaException($"{Op}: {name} is {tensor.DType.Name()} on {tensor.Device}; expected {x.U.DType.Name()} on {x.U.Device}, as u.");
        }
    }

    // (b, p, q) → (b, q, p)
    static Tensor SwapLast(Tensor x, string name)
    {
        if (x.Shape.Rank != 3)
            throw new MambaException($"{name} has shape {x.Shape}; expected (b, d, n).");
        long b = x.Shape[0], p = x.Shape[1], q = x.Shape[2];
        Tensor y = x.Like((b, q, p));
        TransposeKernels.Transpose(x, y, b, p, q);
        return Tape.Record("SwapLast", y, [x], dy =>
        {
            Tensor dx = x.Like();
            TransposeKernels.Transpose(dy, dx, b, q, p);
            return [dx];
        });
    }
}
