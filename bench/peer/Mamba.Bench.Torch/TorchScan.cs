using TorchSharp;
using TorchTensor = TorchSharp.torch.Tensor;

namespace Mamba.Peer;

/// <summary>
/// The selective scan by PyTorch's own operations, as fast as they allow: a loop over the tokens with one fused multiply-add
/// each, states (b, n, d) with the channels in the lanes. The parallel scans published for PyTorch do more work.
/// u, delta, z (b, l, d); A (d, n); B, C (b, l, n); D, deltaBias (d) → y (b, l, d).
/// </summary>
internal static class TorchScan
{
    public static TorchTensor Run(TorchForm form, TorchTensor u, TorchTensor delta, TorchTensor A, TorchTensor B, TorchTensor C, TorchTensor D,
        TorchTensor z, TorchTensor deltaBias)
    {
        TorchTensor step = torch.nn.functional.softplus(delta + deltaBias);
        TorchTensor y = form == TorchForm.Unbound
            ? Unbound(Time(step), Time(step * u), A.t(), Time(B), Time(C))
            : InLoop(Time(step), Time(step * u), A.t(), Time(B), Time(C));
        return (y.transpose(0, 1) + D * u) * torch.nn.functional.silu(z);
    }

    // (l, b, …)
    static TorchTensor Time(TorchTensor x) => x.transpose(0, 1).contiguous();

    // delta, x (l, b, d); A (n, d); B, C (l, b, n) → (l, b, d)
    static TorchTensor Unbound(TorchTensor delta, TorchTensor x, TorchTensor A, TorchTensor B, TorchTensor C)
    {
        TorchTensor a = (delta.unsqueeze(2) * A).exp_();                          // (l, b, n, d)
        TorchTensor b = x.unsqueeze(2) * B.unsqueeze(3);
        TorchTensor[] aBar = a.unbind(0), bBarU = b.unbind(0);
        TorchTensor states;
        if (a.requires_grad)
        {
            for (int t = 1; t < bBarU.Length; t++)
                bBarU[t] = torch.addcmul(bBarU[t], aBar[t], bBarU[t - 1], 1);
            states = torch.stack(bBarU);
        }
        else
        {
            for (int t = 1; t < bBarU.Length; t++)
                bBarU[t].addcmul_(aBar[t], bBarU[t - 1], 1);
            states = b;
        }
        return torch.matmul(C.unsqueeze(2), states).squeeze(2);
    }

    static TorchTensor InLoop(TorchTensor delta, TorchTensor x, TorchTensor A, TorchTensor B, TorchTensor C)
    {
        TorchTensor[] step = delta.unsqueeze(2).unbind(0), xs = x.unsqueeze(2).unbind(0), bs = B.unsqueeze(3).unbind(0), cs = C.unsqueeze(2).unbind(0);
        var ys = new TorchTensor[step.Length];
        TorchTensor? h = null;
        for (int t = 0; t < ys.Length; t++)
        {
            using DisposeScope? slice = delta.requires_grad ? null : torch.NewDisposeScope();
            TorchTensor next = xs[t] * bs[t];                                     // (b, n, d)
            if (h is not null)
                next = delta.requires_grad ? torch.addcmul(next, (step[t] * A).exp_(), h, 1) : next.addcmul_((step[t] * A).exp_(), h, 1);
            ys[t] = torch.bmm(cs[t], next);                                 // (b, 1, d)
            slice?.MoveToOuter(next, ys[t]);
            if (slice is not null)
                h?.Dispose();
            h = next;
        }
        return torch.stack(ys).squeeze(2);
    }
}
