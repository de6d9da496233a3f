using Mamba.Gpu;
using TorchSharp;
using static TorchSharp.torch.nn.functional;
using TorchTensor = TorchSharp.torch.Tensor;

namespace Mamba.Peer;

/// <summary>
/// A training step, forward, backward, clipping and AdamW, of the model of induction heads: ours and PyTorch's from the same weights on
/// the same tokens; the losses of the first steps are compared, then steps are timed. Weights lie in one leaf and AdamW
/// is seven operations on it, the cheapest there is in PyTorch.
/// </summary>
internal sealed class TrainPeer : IDisposable
{
    const double LearningRate = 1e-3, Beta1 = 0.9, Beta2 = 0.95, Epsilon = 1e-8;

    readonly TorchForm form;
    readonly MambaConfig config;
    readonly MambaLM model;
    readonly AdamW optimizer;
    readonly Tensor tokens;
    readonly DisposeScope scope = torch.NewDisposeScope();
    readonly TorchTensor flat, m, v, torchTokens;
    int step;

    TrainPeer(Device device, MambaConfig config, int batch, int length, TorchForm form)
    {
        (this.config, this.form) = (config, form);
        model = new MambaLM(config, device, seed: 1);
        optimizer = new AdamW(model.Parameters, LearningRate, Beta1, Beta2, Epsilon, weightDecay: 0);
        var random = new PhiloxRandom(1);
        int[] ids = [.. Enumerable.Range(0, batch * length).Select(_ => random.Next(config.VocabSize))];
        tokens = Tensor.From(ids, (batch, length), device);
        torchTokens = torch.tensor(ids.Select(i => (long)i).ToArray(), [batch, length]);
        flat = torch.cat([.. model.Parameters.Select(p => torch.tensor(p.Value.ToArray<float>()))]).requires_grad_();
        (m, v) = (torch.zeros_like(flat).detach(), torch.zeros_like(flat).detach());
    }

    public static void Run(HostDevice device, double seconds, List<PeerRow> rows)
    {
        PeerRow.Header("training step of induction heads, d_model 64, 2 layers");
        var small = new MambaConfig { DModel = 64, NLayer = 2, VocabSize = 16 };
        foreach ((int batch, int length) in new[] { (32, 64), (8, 256) })
        {
            foreach (TorchForm way in Enum.GetValues<TorchForm>())
            {
                using var peer = new TrainPeer(device, small, batch, length, way);
                double difference = Enumerable.Range(0, 5).Max(_ => Math.Abs(peer.Theirs() / peer.Ours() - 1));
                Pair pair = Pair.Measure(() => peer.Theirs(), () => peer.Ours(), device.Threads, seconds);
                string how = way == TorchForm.Unbound ? "unbound slices" : "all in the loop";
                rows.Add(PeerRow.Print($"b {batch}, l {length}, {how}", pair, "5 losses", difference));
            }
        }
    }

    double Ours()
    {
        using var tape = new Tape();
        Tensor loss = Ops.CrossEntropy(model.Forward(tokens), tokens);
        optimizer.Step(tape.Backward(loss).ClipNorm(1));
        return loss.Item();
    }

    double Theirs()
    {
        using DisposeScope inner = torch.NewDisposeScope();
        TorchTensor logits = Forward();
        TorchTensor loss = cross_entropy(logits.flatten(0, 1), torchTokens.flatten());
        loss.backward();
        using IDisposable quiet = torch.no_grad();
        TorchTensor g = flat.grad!;
        g.mul_(torch.clamp(1 / (g.norm() + 1e-6), max: 1));
        step++;
        m.mul_(Beta1).add_(g, alpha: 1 - Beta1);
        v.mul_(Beta2).addcmul_(g, g, 1 - Beta2);
        TorchTensor root = v.sqrt().div_(Math.Sqrt(1 - Math.Pow(Beta2, step))).add_(Epsilon);
        flat.addcdiv_(m, root, -LearningRate / (1 - Math.Pow(Beta1, step)));
        g.zero_();
        return loss.item<float>();
    }

    // The block of MambaBlock.cs, line by line.
    TorchTensor Forward()
    {
        int d = config.DInner, n = config.SsmCfg.DState, r = config.DtRank, k = config.SsmCfg.DConv;
        TorchTensor[] parts = flat.split([.. model.Parameters.Select(p => p.Shape.Count)]);
        var weights = model.Parameters.Zip(parts, (p, part) => (p.Name, Value: part.view(p.Shape.ToArray())))
            .ToDictionary(x => x.Name, x => x.Value, StringComparer.Ordinal);
        TorchTensor embedded = weights["backbone.embedding.weight"];
        TorchTensor residual = embedded.index_select(0, torchTokens.flatten()).view(torchTokens.shape[0], torchTokens.shape[1], -1);       // (b, l, d_model)
        long l = residual.shape[1];
        for (int i = 0; i < config.NLayer; i++)
        {
            TorchTensor Of(string name) => weights[$"backbone.layers.{i}.{name}"];
            TorchTensor[] xz = linear(Norm(residual, Of("norm.weight")), Of("mixer.in_proj.weight")).split([d, d], dim: -1);
            TorchTensor x = conv1d(xz[0].transpose(1, 2), Of("mixer.conv1d.weight"), Of("mixer.conv1d.bias"), padding: k - 1, groups: d).narrow(2, 0, l);
            TorchTensor u = silu(x).transpose(1, 2);
            TorchTensor[] dtBC = linear(u, Of("mixer.x_proj.weight")).split([r, n, n], dim: -1);
            TorchTensor delta = linear(dtBC[0], Of("mixer.dt_proj.weight"));
            TorchTensor y = TorchScan.Run(form, u, delta, -Of("mixer.A_log").exp(), dtBC[1], dtBC[2], Of("mixer.D"), xz[1], Of("mixer.dt_proj.bias"));
            residual = residual + linear(y, Of("mixer.out_proj.weight"));
        }
        return linear(Norm(residual, weights["backbone.norm_f.weight"]), embedded);
    }

    TorchTensor Norm(TorchTensor x, TorchTensor weight) => x * torch.rsqrt((x * x).mean([-1], keepdim: true) + config.NormEpsilon) * weight;

    public void Dispose()
    {
        scope.Dispose();
        tokens.Dispose();
        optimizer.Dispose();
        model.Dispose();
    }
}
