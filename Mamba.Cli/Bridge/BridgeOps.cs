using System.CommandLine;

namespace Mamba.Cli;

/// <summary>The ops of <c>mamba op</c>. Layouts are this library's: time before channels.</summary>
internal static class BridgeOps
{
    public static BridgeOp[] All { get; } = [SelectiveScan(), CausalConv1d(), RmsNorm(), CrossEntropy(), MatMul()];

    static BridgeOp SelectiveScan()
    {
        Option<bool> noSoftplus = Option.Flag("--no-softplus", "delta is used as it is, after delta_bias.");
        string schemes = Names(Discretization.All.Select(d => d.Name)), algorithms = Names(ScanAlgorithm.All.Select(a => a.Name));
        Option<string?> discretization = Option.Text("--discretization", "NAME", $"{schemes} (default {Discretization.ExponentialEuler.Name}).");
        Option<string?> algorithm = Option.Text("--algorithm", "NAME", $"{algorithms} (default {ScanAlgorithm.Chunked.Name}).");
        return new("selective-scan",
            "The selective scan: delta = softplus(delta + delta_bias); h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t; out_t = (C_t h_t + D u_t) silu(z_t).",
            [
                new("u", "(b, l, d)", "input"),
                new("delta", "(b, l, d)", "step sizes, before bias and softplus"),
                new("A", "(d, n)", "decay rates, negative; n from 1 to 256; (d, n, 2) for complex A, and then a last axis of 2 on B, C and the states"),
                new("B", "(b, l, n)", "or (b, l, g, n) for g groups of neighbouring channels, or (d, n), constant over time"),
                new("C", "(b, l, n)", "as B"),
                new("D", "(d)", "skip") { Optional = true },
                new("z", "(b, l, d)", "gate") { Optional = true },
                new("delta_bias", "(d)", "added to delta") { Optional = true },
                new("initial_state", "(b, d, n)", "h before the first token, 0 if absent") { Optional = true },
                new("reset", "(b, l)", "not 0 where a token starts a new sequence") { Optional = true, Integers = true },
            ],
            [new("out", "(b, l, d)", "output"), new("last_state", "(b, d, n)", "h after the last token") { DefaultGradient = 0 }],
            [noSoftplus, discretization, algorithm],
            x =>
            {
                ScanResult result = Ops.SelectiveScan(x["u"], x["delta"], x["A"], x["B"], x["C"], x.Optional("D"), x.Optional("z"), x.Optional("delta_bias"),
                    !x.Parsed.GetValue(noSoftplus), x.Optional("initial_state"), x.Optional("reset"),
                    x.Parsed.GetValue(discretization) is { } d ? Discretization.Named(d) : null,
                    x.Parsed.GetValue(algorithm) is { } a ? ScanAlgorithm.Named(a) : null);
                return [result.Y, result.LastState];
            });
    }

    static BridgeOp CausalConv1d()
    {
        Option<string?> activation = Option.Text("--activation", "silu|none", "What follows (silu).");
        return new("causal-conv1d",
            "A causal filter for each channel: out_t = act(bias + sum over j of weight_j x_{t-(k-1)+j}), zeros before the first token.",
            [
                new("x", "(b, l, d)", "input"),
                new("weight", "(d, k)", "filters, oldest input first; k from 1 to 8"),
                new("bias", "(d)", "added before the activation") { Optional = true },
            ],
            [new("out", "(b, l, d)", "output")],
            [activation],
            x => [Ops.CausalConv1d(x["x"], x["weight"], x.Optional("bias"), silu: (x.Parsed.GetValue(activation) ?? "silu") switch
            {
                "silu" => true,
                "none" => false,
                string other => throw new MambaException($"--activation is '{other}'; expected silu or none."),
            })]);
    }

    static BridgeOp RmsNorm()
    {
        Option<double?> eps = Option.Real("--eps", "Added to the mean square (1e-5).");
        return new("rms-norm",
            "out = x / sqrt(mean(x^2) + eps) * weight, the mean over the last axis.",
            [new("x", "(..., d)", "input"), new("weight", "(d)", "scales")],
            [new("out", "(..., d)", "output")],
            [eps],
            x => [Ops.RmsNorm(x["x"], x["weight"], x.Parsed.GetValue(eps) switch
            {
                null => 1e-5,
                >= 0 and < double.PositiveInfinity and double value => value,
                double value => throw new MambaException($"--eps is {value}; expected a number from 0."),
            })]);
    }

    static BridgeOp CrossEntropy()
    {
        Option<int?> ignore = Option.Int("--ignore-index", "Rows with this target count for nothing (-100).");
        Option<int?> classes = Option.Int("--classes", "The softmax is over this many first columns of the logits (all).");
        return new("cross-entropy",
            "out = the mean of -log softmax(logits)[target] over the rows that are not ignored.",
            [new("logits", "(..., v)", "scores"), new("targets", "(...)", "the right class of each row") { Integers = true }],
            [new("out", "()", "mean loss") { DefaultGradient = 1 }],
            [ignore, classes],
            x =>
            {
                Tensor logits = x["logits"], targets = x["targets"];
                int ignored = x.Parsed.GetValue(ignore) ?? -100;
                Tensor loss = Ops.CrossEntropy(logits, targets, ignored, x.Parsed.GetValue(classes));
                long v = x.Parsed.GetValue(classes) ?? logits.Shape[^1];
                foreach (int target in targets.ToArray<int>())
                    if (target != ignored && (target < 0 || target >= v))
                        throw new MambaException($"cross-entropy: a target is {target}; expected 0 to {v - 1}, or {ignored} for a row to be ignored.");
                return [loss];
            });
    }

    static BridgeOp MatMul()
    {
        Option<bool> transposeA = Option.Flag("--transpose-a", "a is (..., k, m).");
        Option<bool> transposeB = Option.Flag("--transpose-b", "b is (..., n, k).");
        return new("matmul",
            "out = a b, the product of the last two axes; the axes before them are the same, or one operand has none.",
            [new("a", "(..., m, k)", "left"), new("b", "(..., k, n)", "right")],
            [new("out", "(..., m, n)", "product")],
            [transposeA, transposeB],
            x => [Ops.MatMul(x["a"], x["b"], x.Parsed.GetValue(transposeA), x.Parsed.GetValue(transposeB))]);
    }

    static string Names(IEnumerable<string> names) => string.Join(", ", names);
}
