#:project ../Mamba.Learn/Mamba.Learn.csproj
#:project ../Mamba.Checks/Mamba.Checks.csproj

// # 6. The fused kernel: count the bytes
//
//     dotnet run learn/06-kernel.cs
//
// Each of d channels has a state of n = 16 numbers: states are sixteen times as large as the tokens they come from. Written down for every token they are
// larger than all else that a layer makes, and writing and reading them takes time. This is what made recurrent models with large
// states slow. Mamba's answer is not to write them down (paper, section 3.3.2 and appendix D). This chapter counts what that saves, in bytes moved
// and in bytes held, and shows how such a kernel is written.

using System.Diagnostics;
using System.Runtime.CompilerServices;
using Mamba;
using Mamba.Checks;
using Mamba.Gpu;
using Mamba.Learn;

using var lesson = new Lesson(args);

// ## Two ways to compute the same
//
// u and delta are (b, l, d): batch, length, channels. B and C are (b, l, n), A is (d, n). For each channel and each of its states
//
//     h_t = exp(delta_t A) h_{t−1} + delta_t B_t u_t                                          y_t = sum over n of C_t h_t
//
// *Plain*: as one would write it in PyTorch. One tensor op makes Abar = exp(delta A), one makes Bbar u = delta B u, one walks over time and makes h, one
// sums C h over n. Abar, Bbar u and h are (b, l, d, n). Each goes out to memory, and comes back when the next op reads it.
//
// *Fused*: one kernel reads a token's u, delta, B and C, makes Abar and Bbar u of it, takes the step, sums, writes y, and goes on to the next token. Abar,
// Bbar u and h stay in registers.
//
// Here are the bytes that must be moved, in float32, 4 bytes a number. The plain way's are the least it can do:

static long Fused(long b, long l, long d, long n) => 4 * (3 * b * l * d + 2 * b * l * n + d * n);                  // u, delta, y; B, C; A
static long Plain(long b, long l, long d, long n) => Fused(b, l, d, n) + 4 * (2 * 3 * b * l * d * n);             // and out and in: Abar, Bbar u, h

(string Name, long D, long N)[] shapes = [("Mamba-130m", 1536, 16), ("Mamba-2.8b", 5120, 16), ("with n = 1", 1536, 1), ("with n = 64", 1536, 64)];
lesson.Table(["one layer, b 1, l 2,048", "d", "n", "fused, MB", "plain, MB", "times as much"], shapes.Select(s => new object[]
    { s.Name, s.D, s.N, Fused(1, 2048, s.D, s.N) / 1e6, Plain(1, 2048, s.D, s.N) / 1e6, (double)Plain(1, 2048, s.D, s.N) / Fused(1, 2048, s.D, s.N) }));

lesson.Exercise(1, "n is 32, and d and l are far larger. How many times as many bytes does the plain way move?",
    () => (double)Plain(1, 1 << 20, 1 << 20, 32) / Fused(1, 1 << 20, 1 << 20, 32), hint: "For each number of u: 3 against 3 + 6 n.");
lesson.Exercise(2, "Training needs h again. How many GB (1e9 bytes) is h of Mamba-2.8b: 64 layers, d 5,120, n 16, 2,048 tokens, float32?",
    () => 4.0 * 64 * 2048 * 5120 * 16 / 1e9, hint: "4 bytes times layers times l d n.");
lesson.Exercise(3, "The fused scan of d 32 and n 16 holds 1,088 bytes a token in training. At what length is one l × l matrix of float32 as large?",
    () => Held(32, 16) / 4.0, hint: "4 l² bytes against 1,088 l; `Held`, below, has the count.");

// ## Bytes moved, measured
//
// What can this machine's memory do? x + y of long tensors moves 12 bytes an element and computes next to nothing. Beside it stand the scan as a loop of
// tensor ops (`Reference`), as a few ops (`Sequential`), and fused (`Chunked`). Where the fused one moves fewer bytes a second than x + y does, it does not
// wait for memory, but for arithmetic: there is an exponential in each step of each state. Times are printed, not claimed: they are this machine's.

Device device = lesson.Device;
const int L = 1024, D = 256, N = 16;
double Milliseconds(Action work, int times = 5) => Enumerable.Range(0, times + 1).Select(i =>
{
    using var scope = new TensorScope();
    long start = Stopwatch.GetTimestamp();
    work();
    device.Synchronize();
    return i == 0 ? double.PositiveInfinity : Stopwatch.GetElapsedTime(start).TotalMilliseconds;        // the first one compiles
}).Min();

Tensor[] Inputs(long b, long l, long d, long n, DType dtype, Device on)                // u, delta, A, B, C
{
    Tensor Draw(Shape shape, ulong seed) => Ops.Normal(shape, dtype, on, seed);
    Tensor delta = Ops.Uniform((b, l, d), dtype, on, 2), A = Ops.Uniform((d, n), dtype, on, 3, low: -n, high: 0);
    return [Draw((b, l, d), 1), delta, A, Draw((b, l, n), 4), Draw((b, l, n), 5)];
}

static Tensor Scan(Tensor[] x, ScanAlgorithm by) => Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], deltaSoftplus: false, algorithm: by).Y;

double apart;
using (new TensorScope())
{
    Tensor p = Ops.Normal(1 << 24, DType.Float32, device, 1), q = Ops.Normal(1 << 24, DType.Float32, device, 2);
    Tensor[] x = Inputs(2, L, D, N, DType.Float32, device);
    ScanAlgorithm[] ways = [ScanAlgorithm.Reference, ScanAlgorithm.Sequential, ScanAlgorithm.Chunked];
    double[] times = [Milliseconds(() => _ = p + q), .. ways.Select(by => Milliseconds(() => Scan(x, by)))];
    long[] bytes = [12L << 24, Plain(2, L, D, N), Plain(2, L, D, N), Fused(2, L, D, N)];
    string[] names = ["x + y, 67 MB each", "loop of ops", "few ops", "fused"];
    lesson.Table([$"b 2, l {L:N0}, d {D}, n {N}", "ms", "MB moved, counted", "GB/s"],
        names.Select((name, i) => new object[] { name, times[i], bytes[i] / 1e6, bytes[i] / 1e6 / times[i] }));
    double[] few = Scan(x, ways[1]).ToDoubles(), fused = Scan(x, ways[2]).ToDoubles();
    apart = Lesson.Apart(few, fused) / few.Max(Math.Abs);
}

// ## A kernel of your own
//
// At the end of this file stands one, `Mine`, for one state a channel. Its source does not say what machine it is for. T is the number, float or double. V
// is the *lanes*: one number on a GPU, where a thread is a lane; 4, 8 or 16 float32 on a processor, a vector register. M is memory. A worker is a thread; its
// share are the vectors of channels that it takes through time. `MineLaunch` hands the tensors to whatever device runs it. Neighbouring lanes are
// neighbouring channels, so what they load lies side by side. .NET compiles it for each V, ILGPU makes CUDA's and OpenCL's code of it. h is a local variable:
// that is all there is to "kept in registers". For n = 16 the library has a tree of structs in its place, since a local array would lie in memory.
//
// It runs here on whatever there is, against the library's kernel. cpu-128 is the processor with vectors of 128 bits, cpu-256 and cpu-512 likewise (.NET
// emulates what the processor lacks); ilgpu-cpu simulates a GPU.

var errors = new List<(string Device, double Error)>();
HashSet<string> there = ["cpu-128", "cpu-256", "cpu-512", .. Devices.List().Where(info => info.Float64).Select(info => info.Name)];
foreach (string name in new[] { "cpu-128", "cpu-256", "cpu-512", "opencl:0", "cuda:0", "ilgpu-cpu" })
    if (there.Contains(name))
    {
        using Device host = Device.Open("cpu"), on = CheckDevices.Open(name);
        using var scope = new TensorScope();
        Tensor[] x = Inputs(2, 20, 19, 1, DType.Float64, host), copies = [.. x.Select(x => x.To(on))];
        Tensor y = copies[0].Like();
        y.Launch(new MineLaunch(copies, y));
        errors.Add((name, Lesson.Apart(y.ToDoubles(), Scan(x, ScanAlgorithm.Chunked).ToDoubles())));
    }
    else
        Console.WriteLine($"\n{name} is left out: this machine has none with float64.");

lesson.Table(["my kernel on", "largest difference from the library's"], errors.Select(e => new object[] { e.Device, e.Error }));

// ## Bytes held: the "quadratic memory"
//
// In the public discussion of the paper (ICLR 2024) a reviewer held that memory in training would grow quadratically with length. Attention's l × l matrix
// does, where it is stored. Nothing here is l × l, and the curve can be measured: the most that tensors hold at any time, forward alone, and forward and
// backward, on the processor. (The d here is 32, so that the plain way fits.)
//
// Training holds u, delta, y and their gradients, B and C and theirs, and of the states only each 32nd token's: the backward pass computes the others
// again, chunk by chunk (chapter 7). That is n/32 of u's size where h would be n times. Beside a fixed amount, scratch for each core, this makes for each
// token, in bytes:

static long Held(long d, long n) => 4 * (6 * d + 4 * n + d * n / 32);

const int Few = 32;
int[] lengths = [.. Enumerable.Range(8, 9).Select(i => 1 << i)];
Func<Tensor[], Tensor> byFused = x => Scan(x, ScanAlgorithm.Chunked), byPlain = x => Scan(x, ScanAlgorithm.Sequential);
static Tensor Attention(Tensor[] qkv) => Ops.MatMul(Ops.Softmax(Ops.MatMul(qkv[0], qkv[1], transposeB: true)), qkv[2]);        // one head

using Device cpu = Device.Open("cpu");

double Peak(int l, Func<Tensor[], Tensor> f, bool train)
{
    using var scope = new TensorScope();
    cpu.Memory.ResetPeak();
    Tensor[] x = f == Attention ? [.. Enumerable.Range(1, 3).Select(i => Ops.Normal((l, Few), DType.Float32, cpu, (ulong)i))]
        : Inputs(1, l, Few, N, DType.Float32, cpu);
    using Tape? tape = train ? new Tape() : null;
    Tensor y = f(train ? [.. x.Select(Tape.Watch)] : x);
    tape?.Backward(Ops.Sum(y));
    return cpu.Memory.PeakBytes;
}

double[] Curve(Func<Tensor[], Tensor> f, bool train, int count) => [.. lengths.Take(count).Select(l => Peak(l, f, train))];
double[] fusedForward = Curve(byFused, false, 9), fusedTrain = Curve(byFused, true, 9);
double[] plainTrain = Curve(byPlain, true, 7), attention = Curve(Attention, true, 5);                // as far as memory goes

// What each further token takes, and the slope: how much more the last doubling of the length adds than the one before, as a power of 2. Linear memory has
// slope 1, quadratic memory slope 2. A fixed amount does not count in either.

double Each(double[] peaks) => (peaks[^1] - peaks[^2]) / (lengths[peaks.Length - 1] - lengths[peaks.Length - 2]);
static double Slope(double[] peaks) => Math.Log2((peaks[^1] - peaks[^2]) / (peaks[^2] - peaks[^3]));
lesson.Table(["l, tokens; bytes a token", "fused forward", "fused training", "plain training", "attention"], lengths.Select((l, i) =>
    new object[] { l, fusedForward[i] / l, fusedTrain[i] / l, i < 7 ? plainTrain[i] / l : "", i < 5 ? attention[i] / l : "" }));

double[] ls = [.. lengths.Select(l => (double)l)], ns = [1, 2, 4, 8, 16, 32, 64];
lesson.Draw(
    new Chart("Bytes moved by a layer: l 2,048, d 1,536", "n, states a channel", "MB, forward") { LogX = true, LogY = true, Legend = Corner.UpperLeft }
        .Line("plain", ns, [.. ns.Select(n => Plain(1, 2048, 1536, (long)n) / 1e6)], dots: true)
        .Line("fused", ns, [.. ns.Select(n => Fused(1, 2048, 1536, (long)n) / 1e6)], dots: true).Limits(0.9, 80, 10, 20_000),
    new Chart($"Bytes held in training: d {Few}, n {N}", "l, tokens", "MB") { LogX = true, LogY = true, Legend = Corner.UpperLeft }
        .Line("plain", ls[..7], [.. plainTrain.Select(m => m / 1e6)], dots: true).Line("fused", ls, [.. fusedTrain.Select(m => m / 1e6)], dots: true)
        .Line("attention, l × l stored", ls[..5], [.. attention.Select(m => m / 1e6)], dots: true).Limits(200, 90_000, 0.2, 8_000));

lesson.Claim("My kernel is the library's, on every device there is", errors.Count >= 4 ? Lesson.Worst(errors.Select(e => e.Error)) : double.NaN, within: 3e-14);
lesson.Claim("Fused and plain are the same scan, to float32", apart, within: 2e-6);
lesson.Claim("Of Mamba-130m's layer the plain way moves 32.7 times the bytes",
    (double)Plain(1, 2048, 1536, 16) / Fused(1, 2048, 1536, 16) - 32.7, within: 0.01);
lesson.Claim("Forward, the fused scan holds for each token what it moves, and nothing else",
    Each(fusedForward) / (Fused(1, 2, Few, N) - Fused(1, 1, Few, N)) - 1, within: 1e-6);
lesson.Claim("The plain one holds more than Abar, Bbar u and h: 3 · 4 · b l d n bytes", Peak(lengths[6], byPlain, false) > 12.0 * lengths[6] * Few * N);
lesson.Claim("In training the fused scan holds for each token what was counted", Each(fusedTrain) / Held(Few, N) - 1, within: 1e-6);
lesson.Claim("So its memory has slope 1", Slope(fusedTrain) - 1, within: 1e-6);
lesson.Claim("The plain way's too, but a token takes more than 20 times the bytes",
    Math.Abs(Slope(plainTrain) - 1) < 0.005 && Each(plainTrain) > 20 * Each(fusedTrain));
lesson.Claim("Attention holds four times as much for twice the length", attention[^1] / attention[^2] - 4, within: 0.1);

// ## To try
//
// Set N to 64: which columns of the second and the last table grow, and which stay? Set `Few` to 64 and see where attention crosses the plain way. Let `Mine`
// write h to memory at each step and read it back, and time it with `Milliseconds` on long inputs.

return lesson.End();

/// <summary>y (b, l, d) of h_t = exp(delta A) h_{t−1} + delta B u, y = C h: one state a channel.</summary>
public struct Mine<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M U, Delta, A, B, C, Y;                              // (b, l, d) twice, (d), (b, l) twice, (b, l, d)
    public long Batch, Length, Channels;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        long vectors = (Channels + V.Width - 1) / V.Width;      // of a row
        Share share = worker.Share(Batch * vectors);
        for (long i = share.Start; i < share.End; i += share.Step)
        {
            long b = i / vectors, d = i % vectors * V.Width;
            V a = V.Load(A, d), h = V.Of(0);
            for (long row = b * Length; row < (b + 1) * Length; row++)
            {
                V delta = V.Load(Delta, row * Channels + d);
                h = V.Exp(delta * a) * h + delta * V.Broadcast(B, row) * V.Load(U, row * Channels + d);
                V.Store(Y, row * Channels + d, V.Broadcast(C, row) * h, Lanes.In(Channels - d));
            }
        }
    }
}

public readonly record struct MineLaunch(Tensor[] X, Tensor Y) : ILaunch
{
    void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new Mine<V, M, T>
    {
        U = on.Memory(X[0]),
        Delta = on.Memory(X[1]),
        A = on.Memory(X[2]),
        B = on.Memory(X[3]),
        C = on.Memory(X[4]),
        Y = on.Memory(Y),
        Batch = Y.Shape[0],
        Length = Y.Shape[1],
        Channels = Y.Shape[2],
    }, Y.Shape[0] * Y.Shape[2], Y.Shape[1]);
}
