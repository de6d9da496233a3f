using Mamba.Gpu;
using TorchSharp;
using TorchTensor = TorchSharp.torch.Tensor;

namespace Mamba.Peer;

/// <summary>The scan of <c>bench scan</c>, ours and PyTorch's: the same numbers, values and all gradients compared, then timed.</summary>
internal sealed class ScanPeer : IDisposable
{
    const long N = 16;
    static readonly string[] Names = ["u", "delta", "A", "B", "C", "D", "z", "delta_bias"];

    readonly TensorScope scope = new();
    readonly DisposeScope torchScope = torch.NewDisposeScope();
    readonly Device device;
    readonly Tensor[] inputs;
    readonly Tensor dy;
    readonly TorchTensor[] torchInputs;
    readonly TorchTensor torchDy;

    public ScanPeer(Device device, long b, long l, long d)
    {
        this.device = device;
        Tensor Draw(Shape shape, ulong seed, double low = -1, double high = 1) => Ops.Uniform(shape, DType.Float32, device, seed, low: low, high: high);
        inputs = [Draw((b, l, d), 1), Draw((b, l, d), 2, -4), Draw((d, N), 3, -16, -1), Draw((b, l, N), 4),
            Draw((b, l, N), 5), Draw(d, 6), Draw((b, l, d), 7), Draw(d, 8)];
        dy = Draw((b, l, d), 9);
        torchInputs = [.. inputs.Select(ToTorch)];
        torchDy = ToTorch(dy);
    }

    public static void Run(HostDevice device, double seconds, List<PeerRow> rows)
    {
        PeerRow.Header("selective scan, float32, n = 16, softplus, delta bias, D, z");
        foreach ((long b, long l, long d) in new[] { (8L, 1024L, 256L), (1, 2048, 1536) })
        {
            foreach (bool gradients in new[] { false, true })
            {
                foreach (TorchForm form in Enum.GetValues<TorchForm>())
                {
                    using var peer = new ScanPeer(device, b, l, d);
                    (string where, double difference) = peer.Difference(form, gradients);
                    Pair pair = Pair.Measure(() => peer.Theirs(form, gradients), () => peer.Ours(gradients), device.Threads, seconds);
                    string pass = gradients ? "forward + backward" : "forward", how = form == TorchForm.Unbound ? "unbound slices" : "all in the loop";
                    string name = $"b {b}, l {l:N0}, d {d:N0}, {pass}, {how}";
                    rows.Add(PeerRow.Print(name, pair, where, difference));
                }
            }
        }
    }

    (string Where, double Difference) Difference(TorchForm form, bool gradients)
    {
        float[][] theirs = Theirs(form, gradients, read: true), ours = Ours(gradients, read: true);
        return ours.Select((values, i) => (Where: i == 0 ? "y" : "d" + Names[i - 1], Difference: PeerRow.Apart(theirs[i], values))).MaxBy(x => x.Difference);
    }

    float[][] Theirs(TorchForm form, bool gradients, bool read = false)
    {
        using DisposeScope inner = torch.NewDisposeScope();
        using IDisposable? quiet = gradients ? null : torch.no_grad();
        TorchTensor[] x = [.. torchInputs.Select(t => gradients ? t.detach().requires_grad_() : t)];
        TorchTensor y = TorchScan.Run(form, x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]);
        if (gradients)
            y.backward([torchDy]);
        return read ? [Read(y), .. gradients ? x.Select(t => Read(t.grad!)) : []] : [];
    }

    float[][] Ours(bool gradients, bool read = false)
    {
        if (!gradients)
        {
            using var inner = new TensorScope();
            Tensor value = Scan(inputs);
            device.Synchronize();
            return read ? [value.ToArray<float>()] : [];
        }
        using var tape = new Tape();
        Tensor[] x = [.. inputs.Select(Tape.Watch)];
        Tensor y = Scan(x);
        Gradients result = tape.Backward([(y, dy)]);
        device.Synchronize();
        return read ? [y.ToArray<float>(), .. x.Select(t => result[t].ToArray<float>())] : [];
    }

    static Tensor Scan(Tensor[] x) => Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]).Y;

    static TorchTensor ToTorch(Tensor x) => torch.tensor(x.ToArray<float>(), x.Shape.ToArray());

    static float[] Read(TorchTensor x) => x.detach().contiguous().data<float>().ToArray();

    public void Dispose()
    {
        torchScope.Dispose();
        scope.Dispose();
    }
}
