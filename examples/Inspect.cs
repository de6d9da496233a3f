namespace Mamba.Examples;

/// <summary>What is inside a model while it reads: every state and its gradient; changed, patched with another run's, and traced to a cause.</summary>
public static class Inspect
{
    public static void Run(Device device)
    {
        var config = new MambaConfig { DModel = 16, NLayer = 2, VocabSize = 8, SsmCfg = new SsmConfig { DtMin = 0.5, DtMax = 1 } };
        using var model = new MambaLM(config, device, seed: 1, DType.Float64);
        using var scope = new TensorScope();
        Tensor tokens = Tensor.From([1, 5, 2, 7, 3, 5], (1, 6), device), other = Tensor.From([1, 5, 2, 7, 4, 5], (1, 6), device);

        // every value of every layer, and the gradient of a logit with respect to each
        using ModelTrace trace = model.Trace(tokens, new TraceSettings { Quantity = Quantity.Logit(token: 6) });
        Tensor h = trace[1].H, dh = trace[1].DH;                                                            // (b, l, n, d)
        Console.WriteLine($"layer 1: h is {h.Shape}; by its gradient the logit of token 6 moves most with the state after token "
            + $"{dh.Abs().Sum(3).Sum(2).ArgMax().ToArray<int>()[0]}");

        // y = M u + D u: the hidden attention is the scan
        Tensor m = trace[0].HiddenAttention(first: 0, count: 1);                                            // (b, 1, l, l)
        Tensor u = Ops.Slice(trace[0].U, 2, 0, 1), y = Ops.Slice(trace[0].Y, 2, 0, 1), skip = Ops.Slice(trace[0].D, 0, 0, 1);
        Tensor product = Ops.MatMul(Ops.Reshape(m, (6, 6)), Ops.Reshape(u, (6, 1))) + Ops.Reshape(skip * u, (6, 1));
        Console.WriteLine($"M u + D u less y, at most: {(product - Ops.Reshape(y, (6, 1))).Abs().Max(0).Item():0.0e0}");

        // interventions: one after another, gradients through the rest
        Tensor changed = model.Forward(tokens, hooks: [Hook.Wipe(Site.H, layers: 0, positions: 3), Hook.Scale(Site.Delta, 0.5, layers: 1, channels: 4..8)]);
        Console.WriteLine($"wiped and scaled, the logits move by {(changed - trace.Logits).Abs().Max(2).Max(1).Item():0.0e0}");

        // activation patching: another run, with this one's states of layer 0 at token 4
        Tensor patched = model.Forward(other, hooks: [Hook.Patch(Site.H, trace, layers: 0, positions: 4)]);
        Console.WriteLine($"patched, the other run's logits are {(patched - trace.Logits).Abs().Max(2).Max(1).Item():0.0e0} from this one's");

        // and all of them in turn: what the output of each layer at each token brings back
        var tracing = CausalTracing.Run(model, tokens, other, Quantity.Logit(token: 6), Site.Y);
        for (int layer = 0; layer < 2; layer++)
            Console.WriteLine($"layer {layer}: {string.Join("  ", Enumerable.Range(0, 6).Select(t => $"{tracing.Share[layer, t]:0.000}"))}");
    }
}
