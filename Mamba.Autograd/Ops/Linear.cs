using Mamba.Gpu;

namespace Mamba;

public static partial class Ops
{
    /// <summary>x (…, i), weight (o, i), bias (o) → x · weightᵀ + bias (…, o)</summary>
    /// <exception cref="MambaException">The shapes do not fit.</exception>
    public static Tensor Linear(Tensor x, Tensor weight, Tensor? bias = null) => LinearSplit(x, weight, bias, weight.Shape[0])[0];

    /// <summary>
    /// A linear map whose outputs are wanted apart: x (…, i), weight (Σ o, i), bias (Σ o) → (…, o) for each o of
    /// <paramref name="sizes"/>. Rows of the weight are a contiguous part, so each output is its own matrix product and nothing is copied.
    /// </summary>
    public static Tensor[] LinearSplit(Tensor x, Tensor weight, Tensor? bias, params long[] sizes)
    {
        Arguments.Floats("Linear", x);
        long outputs = sizes.Sum();
        if (weight.Shape.Rank != 2 || x.Shape.Rank < 1 || weight.Shape[1] != x.Shape[^1] || weight.Shape[0] != outputs)
            throw new MambaException($"Linear: weight has shape {weight.Shape}; expected (o={outputs}, i) with i from x {x.Shape}.");
        if (bias is not null)
            Shape.Expect("Linear", bias, outputs, $"o comes from weight {weight.Shape}");
        Arguments.Operands("Linear", x, weight);
        Arguments.Operands("Linear", x, bias);
        long i = x.Shape[^1], rows = x.Shape[..^1].Count;
        Tensor[] ys = new Tensor[sizes.Length];
        for (long k = 0, start = 0; k < sizes.Length; start += sizes[k++])
        {
            ys[k] = x.Like(x.Shape.WithLast(sizes[k]));
            MatMulKernels.Multiply(new MatMulProblem(x, weight.Rows(start, sizes[k]), ys[k], rows, sizes[k], i)
            {
                TransposeB = true,
                Bias = bias?.Rows(start, sizes[k]),
            });
        }
        // what is frozen, or not watched, costs nothing on the way back
        bool toX = x.RequiresGrad, toWeight = weight.RequiresGrad, toBias = bias is { RequiresGrad: true };
        Tape.Record("Linear", ys, [x, weight, bias], dys =>
        {
            Tensor? dx = toX ? x.Like() : null, dWeight = toWeight ? weight.Like() : null, dBias = toBias ? bias!.Like() : null;
            bool first = true;
            for (long k = 0, start = 0; k < sizes.Length; start += sizes[k++])
            {
                if (dys[k] is not { } dy)
                {
                    dWeight?.Rows(start, sizes[k]).Clear();
                    dBias?.Rows(start, sizes[k]).Clear();
                    continue;
                }
                if (dx is not null)                                                                             // dx = Σ dy · W
                    MatMulKernels.Multiply(new MatMulProblem(dy, weight.Rows(start, sizes[k]), dx, rows, i, sizes[k]) { Accumulate = !first });
                if (dWeight is not null)                                                                        // dW = dyᵀ · x
                    MatMulKernels.Multiply(new MatMulProblem(dy, x, dWeight.Rows(start, sizes[k]), sizes[k], i, rows) { TransposeA = true });
                dBias?.Rows(start, sizes[k]).CopyFrom(SumTo(dy, new Shape(sizes[k])));
                first = false;
            }
            return [dx, dWeight, dBias];
        });
        return ys;
    }

    /// <summary>
    /// Matrix product of the last two axes: a (…, m, k) or (…, k, m) transposed, b (…, k, n) or (…, n, k) transposed → (…, m, n). The axes
    /// before are the same, or one operand has none and is shared.
    /// </summary>
    public static Tensor MatMul(Tensor a, Tensor b, bool transposeA = false, bool transposeB = false)
    {
        Arguments.Floats("MatMul", a);
        Arguments.Operands("MatMul", a, b);
        if (a.Shape.Rank < 2 || b.Shape.Rank < 2)
            throw new MambaException($"MatMul: a has shape {a.Shape} and b {b.Shape}; expected two axes or more.");
        long m = a.Shape[transposeA ? ^1 : ^2], k = a.Shape[transposeA ? ^2 : ^1], n = b.Shape[transposeB ? ^2 : ^1];
        Shape batchA = a.Shape[..^2], batchB = b.Shape[..^2], batch = batchA.Rank >= batchB.Rank ? batchA : batchB;
        if (b.Shape[transposeB ? ^1 : ^2] != k)
            throw new MambaException($"MatMul: b has shape {b.Shape}; its inner extent must be k={k}, from a {a.Shape}.");
        if ((batchA.Rank > 0 && batchA != batch) || (batchB.Rank > 0 && batchB != batch))
            throw new MambaException($"MatMul: a has shape {a.Shape} and b {b.Shape}; the axes before the last two must be the same, or missing in one.");
        long count = batch.Count;
        Tensor y = a.Like(batch.Append(m).Append(n));
        MatMulKernels.Multiply(Problem(a, b, y, m, n, k, transposeA, transposeB));
        return Tape.Record("MatMul", y, [a, b], dy =>
        {
            Tensor da = a.Like(batch.Append(a.Shape[^2]).Append(a.Shape[^1])), db = a.Like(batch.Append(b.Shape[^2]).Append(b.Shape[^1]));
            // da = dy · op(b)ᵀ, or its transpose
            MatMulKernels.Multiply(transposeA ? Problem(b, dy, da, k, m, n, transposeB, true) : Problem(dy, b, da, m, k, n, false, !transposeB));
            MatMulKernels.Multiply(transposeB ? Problem(dy, a, db, n, k, m, true, transposeA) : Problem(a, dy, db, k, n, m, !transposeA, false));
            return [SumTo(da, a.Shape), SumTo(db, b.Shape)];
        });

        MatMulProblem Problem(Tensor left, Tensor right, Tensor to, long rows, long columns, long inner, bool transposeLeft, bool transposeRight) =>
            new(left, right, to, rows, columns, inner)
            {
                TransposeA = transposeLeft,
                TransposeB = transposeRight,
                Batch = count,
                StrideA = left.Shape.Rank > 2 ? rows * inner : 0,
                StrideB = right.Shape.Rank > 2 ? inner * columns : 0,
                StrideC = rows * columns,
            };
    }
}
