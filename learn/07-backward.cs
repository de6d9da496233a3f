#:project ../Mamba.Learn/Mamba.Learn.csproj

// # 7. The backward pass, derived
//
//     dotnet run learn/07-backward.cs
//
// PyTorch finds gradients by itself, an op at a time, and for that it keeps what each op has made. The fused scan (chapter 6) is one op, and keeps next to
// nothing. So its gradient is worked out by hand: half a page of arithmetic and a dozen lines of code. The rest of this chapter is how to be sure of
// them, and how to have the states again that were not kept.

using Mamba;
using Mamba.Learn;

using var lesson = new Lesson(args);

// ## Forward
//
// For each channel and each of its n states, with delta, B and C for each token t, and A and D for all of them:
//
//     Abar_t = exp(delta_t A)
//     h_t    = Abar_t h_{t−1} + delta_t B_t u_t                                             (1)
//     y_t    = sum over n of C_t h_t  +  D u_t                                              (2)
//
// This is what the released Mamba computes. Here is one sequence. Arrays are laid out as the library's tensors are: u, delta (l, d), A (d, n), B, C
// (l, n), D (d), h_0 (d, n). i counts channels and states together: its channel is i / n, its state i % n. Tokens are `from` up to, but not with, `to`.

static (double[] Y, double[][] H) Forward(Values x, int from, int to, double[] start)
{
    int d = x.D.Length, n = x.A.Length / d;
    var (y, h) = (new double[(to - from) * d], new double[to - from + 1][]);
    h[0] = start;                                               // h[k]: the state after k tokens
    for (int t = from; t < to; t++)
    {
        double[] now = h[t - from + 1] = new double[d * n];
        for (int i = 0; i < d * n; i++)
        {
            var (td, tn) = (t * d + i / n, t * n + i % n);
            now[i] = Math.Exp(x.Delta[td] * x.A[i]) * h[t - from][i] + x.Delta[td] * x.B[tn] * x.U[td];
            y[td - from * d] += x.C[tn] * now[i] + (i % n == 0 ? x.D[i / n] * x.U[td] : 0);
        }
    }
    return (y, h);
}

// ## Backward
//
// Let L be the loss, and let dX stand for ∂L/∂X. dy_t is given for every token. What does L depend on h_t through? Two things: y_t, by (2), and h_{t+1}, by
// (1). So, with g_t for ∂L/∂h_t,
//
//     g_t = C_t dy_t + Abar_{t+1} g_{t+1}                                                   (3)
//
// It is the same kind of recurrence as (1), with the same decays, backwards in time. After the last token g is 0. All else is the product rule, one symbol
// at a time. C_t is in (2) only, D too; B_t and u_t are factors in (1), and u_t is in (2) as well:
//
//     dC_t = dy_t h_t              summed over channels
//     dD   = dy_t u_t              summed over t
//     dB_t = g_t delta_t u_t       summed over channels
//     du_t = g_t delta_t B_t       summed over n,  +  D dy_t
//
// delta_t is in (1) twice: in Abar_t, and as a factor of B_t u_t. Let z_t = delta_t A. The derivative of exp(z) is exp(z), so
//
//     dz_t     = g_t Abar_t h_{t−1}
//     ddelta_t = dz_t A + g_t B_t u_t       summed over n
//     dA       = dz_t delta_t               summed over t
//
// And (3) ends at h_0: dh_0 = Abar_1 g_1. In the code g holds Abar_{t+1} g_{t+1} when token t comes. `Keep` is for later: it can lose a term.

static void Backward(Values x, double[][] h, double[] dy, int from, int to, double[] g, Values dx, int lost = -1)
{
    double Keep(int term, double value) => term == lost ? 0 : value;
    int d = x.D.Length, n = x.A.Length / d;
    for (int t = to - 1; t >= from; t--)
        for (int i = 0; i < d * n; i++)
        {
            var (td, tn) = (t * d + i / n, t * n + i % n);
            double delta = x.Delta[td], u = x.U[td], B = x.B[tn], aBar = Math.Exp(delta * x.A[i]);
            double gt = x.C[tn] * dy[td] + Keep(0, g[i]), dz = gt * aBar * h[t - from][i];
            dx.C[tn] += dy[td] * h[t - from + 1][i];
            dx.B[tn] += gt * delta * u;
            dx.U[td] += Keep(1, gt * delta * B) + (i % n == 0 ? Keep(2, x.D[i / n] * dy[td]) : 0);
            dx.D[i / n] += i % n == 0 ? dy[td] * u : 0;
            dx.Delta[td] += Keep(3, dz * x.A[i]) + Keep(4, gt * B * u);
            dx.A[i] += dz * delta;
            g[i] = aBar * gt;
        }
}

static Values Gradients(Values x, double[] dy, int lost = -1)
{
    Values dx = x.Zeros();
    Backward(x, Forward(x, 0, dy.Length / x.D.Length, x.H0).H, dy, 0, dy.Length / x.D.Length, dx.H0, dx, lost);
    return dx;
}

lesson.Exercise(1, "Two tokens, one channel, one state: delta 1, A = −ln 2, B = C = 1, D = 0, h_0 = 0, u = 1, 1 and dy = 0, 1. What is du_1?",
    () => Gradients(Two(), [0, 1]).U[0], hint: "g_2 = 1. What is Abar?");
lesson.Exercise(2, "In the same, what is ddelta_2?", () => Gradients(Two(), [0, 1]).Delta[1], hint: "h_1 = 1, and ddelta_2 = g_2 Abar_2 h_1 A + g_2 B_2 u_2.");
lesson.Exercise(3, "4,096 tokens. Only the state before each chunk of c tokens is kept, and c states of one chunk at a time. Which c needs the fewest states?",
    () => Enumerable.Range(1, 4096).MinBy(c => (4096 + c - 1) / c + c), hint: "l/c + c is least where both parts are equal.");
static Values Two() => new([1, 1], [1, 1], [-Math.Log(2)], [1, 1], [1, 1], [0], [0]);

// ## Is it right?
//
// Move one number by ε, up and down, and see what the loss does. (L(x + ε) − L(x − ε)) / 2ε is its derivative, but for two errors. One is *truncation*, the
// rest of the Taylor series: it is of size ε², and falls with ε. Rounding is the other. L has some 16 digits, the difference of two L that are nearly the
// same has fewer, and it is divided by ε: this error grows as ε falls. Between them is the best step. Here that is done for every number of every input.

static Values Draw(int l, int d, int n)
{
    var random = new Random(7);
    double[] Numbers(int count, double low, double high) => [.. Enumerable.Range(0, count).Select(_ => low + (high - low) * random.NextDouble())];
    return new(Numbers(l * d, -1, 1), Numbers(l * d, 0.1, 1), Numbers(d * n, -2, -0.2), Numbers(l * n, -1, 1), Numbers(l * n, -1, 1), Numbers(d, -1, 1),
        Numbers(d * n, -1, 1));
}

const int L = 24, D = 3, N = 4, Long = 1024;
Values x = Draw(L, D, N);
double[] dy = [.. Enumerable.Range(0, L * D).Select(i => Math.Cos(1.7 * i))];                         // the loss is the sum of dy · y: its ∂/∂y is dy

Values Differences(double step) => Values.Of(x.All.Select(values => values.Select((value, i) =>
{
    double Loss(double changed)
    {
        values[i] = changed;
        return Forward(x, 0, L, x.H0).Y.Zip(dy, (y, dy) => y * dy).Sum();
    }
    double slope = (Loss(value + step) - Loss(value - step)) / (2 * step);
    values[i] = value;
    return slope;
}).ToArray()));

// The largest difference of any element, over the largest gradient of that input.

static double[] Apart(Values p, Values q) => [.. p.All.Zip(q.All, (p, q) => Lesson.Apart(p, q) / q.Max(Math.Abs))];

Values hand = Gradients(x, dy);
double[] steps = [.. Enumerable.Range(2, 23).Select(i => Math.Pow(10, -i / 2.0))];
double[] errors = [.. steps.Select(step => Lesson.Worst(Apart(hand, Differences(step))))];
double At(double step) => errors[Array.FindIndex(steps, s => Math.Abs(s / step - 1) < 1e-9)];

// ## A check that cannot fail is worth nothing
//
// Would it see a mistake? Lose one term at a time, and compare with the differences again.

string[] terms = ["Abar g in g", "g delta B in du", "D dy in du", "dz A in ddelta", "g B u in ddelta"];
Values measured = Differences(1e-5);
double[] caught = [.. terms.Select((_, lost) => Lesson.Worst(Apart(Gradients(x, dy, lost), measured)))];
lesson.Table(["lost term", "largest difference, relative"], [["none", errors.Min()], .. terms.Zip(caught, (term, e) => new object[] { term, e })]);

// ## The library's
//
// `GradCheck` is the same check with better differences: it takes several steps, and says how good they are. Here it looks at the fused kernel, not at the
// code above. Then the two gradients are compared with each other. That is sharper, for there are no differences, only rounding.

using var scope = new TensorScope();
Tensor[] OnDevice(Values x, long l, long d, long n) => [.. x.All.Zip(new Shape[] { (1, l, d), (1, l, d), (d, n), (1, l, n), (1, l, n), d, (1, d, n) },
    (values, shape) => Tensor.From(values, shape, lesson.Device))];
Tensor[] tensors = OnDevice(x, L, D, N), large = OnDevice(Draw(Long, 32, 16), Long, 32, 16);
static Tensor Y(Tensor[] x) => Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], x[5], deltaSoftplus: false, initialState: x[6]).Y;
string[] names = ["u", "delta", "A", "B", "C", "D", "h_0"];
GradReport report = GradCheck.Run(x => [Y(x)], tensors, names, new GradCheckOptions { Elements = int.MaxValue });
using var tape = new Tape();
Tensor[] watched = [.. tensors.Select(Tape.Watch)];
Gradients found = tape.Backward([(Y(watched), Tensor.From(dy, (1, L, D), lesson.Device))]);
double[] library = Apart(Values.Of(watched.Select(t => found[t].ToDoubles())), hand);
lesson.Table(["gradient of", "hand against differences", "library against hand"],
    names.Select((name, i) => new object[] { name, Apart(hand, measured)[i], library[i] }));

// ## Have the states again
//
// `Backward` reads every h. Kept, they are l states: n times the size of u. Two ways to do without look good and are not. One goes back from h_t to
// h_{t−1} = (h_t − delta_t B_t u_t) / Abar_t: but Abar is below 1, and each division makes the rounding error that much larger. The other makes each h_{t−1}
// anew from h_0: that is l² work.
//
// So: keep the state before each chunk of c tokens only. Go through the chunks from the last to the first; in each, run forward once more and keep its c
// states, then go backward, then forget them. That is l/c + c states instead of l, least at c = √l, for one more forward pass, whatever c is. The same
// operations in the same order give the same bits.

Values far = Draw(Long, 2, 2);
double[] farDy = [.. Enumerable.Range(0, Long * 2).Select(i => Math.Cos(1.7 * i))];
Values whole = Gradients(far, farDy);

(Values Dx, int Stored, int Again) Recomputed(int c)
{
    Values dx = far.Zeros();
    var kept = new List<double[]> { far.H0 };
    for (int t = c; t < Long; t += c)
        kept.Add(Forward(far, t - c, t, kept[^1]).H[c]);
    int again = 0;
    for (int from = (kept.Count - 1) * c; from >= 0; from -= c)
    {
        double[][] h = Forward(far, from, Math.Min(from + c, Long), kept[from / c]).H;
        Backward(far, h, farDy, from, from + h.Length - 1, dx.H0, dx);
        again += h.Length - 1;
    }
    return (dx, kept.Count + c, again);
}

double[] cs = [.. Enumerable.Range(0, 11).Select(i => Math.Pow(2, i))];
var runs = cs.Select(c => Recomputed((int)c)).ToArray();

// And the way that is no good, with one channel and one state, 256 tokens forward and 256 back by division:

Values one = Draw(256, 1, 1);
double back = Forward(one, 0, 256, one.H0).H[256][0];
for (int t = 255; t >= 0; t--)
    back = (back - one.Delta[t] * one.B[t] * one.U[t]) / Math.Exp(one.Delta[t] * one.A[0]);

// The fused kernel's c is 32, always: what is kept is then n/32 of u's size. Measured in states of d n float64, as the difference between what is held after
// a forward pass that is recorded for gradients and after one that is not:

double Held(Tensor u)
{
    long before = lesson.Device.Memory.LiveBytes;
    Y([u, .. large[1..]]);
    return (lesson.Device.Memory.LiveBytes - before) / (8.0 * 32 * 16);
}

lesson.Draw(
    new Chart("Differences against the gradient", "ε, step", "largest difference, relative") { LogX = true, LogY = true, Legend = Corner.LowerLeft }
        .Line("measured", steps, errors, dots: true).Line("ε²", steps, [.. steps.Select(s => errors[0] * s * s / 0.01)], dashed: true)
        .Line("1/ε", steps, [.. steps.Select(s => At(1e-8) * 1e-8 / s)], dashed: true).Limits(3e-13, 0.3, 1e-13, 0.1),
    new Chart("States kept for 1,024 tokens", "c, tokens of a chunk", "states") { LogX = true, LogY = true, Legend = Corner.UpperRight }
        .Line("counted", cs, [.. runs.Select(run => (double)run.Stored)], dots: true)
        .Line("l/c", cs, [.. cs.Select(c => Long / c)], dashed: true).Line("c", cs, cs, dashed: true).Limits(0.8, 1300, 0.8, 6000));

lesson.Claim("The gradient by hand is what differences say, at the best step", errors.Min(), within: 1e-9);
lesson.Claim("Ten times the step, a hundred times the error: truncation", At(1e-2) / At(1e-3) - 100, within: 1);
lesson.Claim("Below the best step the error grows again: rounding", At(1e-11) > 1000 * At(1e-7) && At(1e-7) > 10 * errors.Min());
lesson.Claim("The check sees each lost term, as more than a tenth of the gradient", caught.Min() > 0.1);
lesson.Claim("GradCheck agrees with the library's gradients", report.Passed ? report.RelativeError : double.NaN, within: 1e-10);
lesson.Claim("The library's gradients are those by hand", Lesson.Worst(library), within: 1e-14);
lesson.Claim("With recomputation, l steps more for every c, the gradients are the same bit for bit",
    runs.All(run => run.Again == Long && run.Dx.All.Zip(whole.All, (p, q) => p.SequenceEqual(q)).All(equal => equal)));
lesson.Claim("The fewest states are kept at c = √l: 2 √l of them", runs.MinBy(run => run.Stored).Stored == 64 && runs[5].Stored == 64);
lesson.Claim("Going back by division does not find h_0 again, not to a tenth", Math.Abs(back - one.H0[0]) > 0.1);
lesson.Claim("The fused kernel keeps 1,024/32 states for 1,024 tokens", Held(Tape.Watch(large[0].Clone())) - Held(large[0]) - Long / 32, within: 1e-9);

// ## To try
//
// Lose another term: put `Keep` around dy[td] * u in dD, and give it a number and `terms` a name. In `Differences` take Loss(value) for the second, and divide
// by one step: what is the slope of the left picture then, and how good is the best step? Let A be near 0: does the way back by division work then?

return lesson.End();

record Values(double[] U, double[] Delta, double[] A, double[] B, double[] C, double[] D, double[] H0)
{
    public double[][] All => [U, Delta, A, B, C, D, H0];
    public Values Zeros() => Of(All.Select(values => new double[values.Length]));
    public static Values Of(IEnumerable<double[]> all) => all.ToArray() is var v ? new(v[0], v[1], v[2], v[3], v[4], v[5], v[6]) : throw new();
}
