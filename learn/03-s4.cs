#:project ../Mamba.Learn/Mamba.Learn.csproj
#:package MathNet.Numerics

// # 3. S4: fixed dynamics, and what they cannot do
//
//     dotnet run learn/03-s4.cs
//
// S4, the model before Mamba, is chapter 1's recurrence with N states to a channel, stepped by one of chapter 2's rules. A, B, C and Δ are learned, and
// then they are the same for every token (paper, Algorithm 1). So it is a convolution, quick to train. Two questions: which A remembers well, and what
// can no A do? The answer to the first is where Mamba's A comes from. The answer to the second is why Mamba is not S4.

using Mamba;
using Mamba.Learn;
using MathNet.Numerics.LinearAlgebra;
using Matrix = MathNet.Numerics.LinearAlgebra.Matrix<double>;
using Vector = MathNet.Numerics.LinearAlgebra.Vector<double>;

using var lesson = new Lesson(args);
using var scope = new TensorScope();
var numbers = new PhiloxRandom(seed: 3);

// ## A good memory
//
// N numbers h(t) follow h′(t) = A h(t) + B x(t), where A is an N × N matrix for now. What should they hold? HiPPO's answer: whatever lets the past of x
// be drawn again. What is recent matters more than what is old, so give the past a warped clock: w = e^{−s} for what happened s seconds ago. Now is
// w = 1, long ago is close to w = 0. Curves over the interval 0 to 1 are well written as sums of *Legendre polynomials*, P_0 = 1, P_1(v) = v, …:
//
//     x(s ago) ≈ Σ_n h_n L_n(w),          L_n(w) = √(2n + 1) P_n(2w − 1),          n = 0 … N − 1
//
// One choice of h_0 … h_{N−1} fits best, in the sense of least squares over w. The surprise: while time goes on, these best numbers follow a linear
// differential equation. So a state can keep the fit up to date and never see the past again. Its A and B are (HiPPO-LegS)
//
//     A_nk = −√((2n + 1)(2k + 1)) below the diagonal,  −(n + 1) on it,  0 above          B_n = √(2n + 1)
//
// (arXiv 2008.07669 derives it. There A and B are divided by t, and all the past counts alike. S4, arXiv 2111.00396, leaves the 1/t out, and so does this
// chapter; that the clock is then warped so is shown in arXiv 2206.12037.)

static Matrix HippoA(int n) => Matrix.Build.Dense(n, n, (i, k) => i > k ? -Math.Sqrt((2 * i + 1) * (2 * k + 1)) : i == k ? -(i + 1) : 0);
static Vector HippoB(int n) => Vector.Build.Dense(n, i => Math.Sqrt(2 * i + 1));

// A step is chapter 2's bilinear rule with a matrix for A: to divide by 1 − ΔA/2 is now to multiply by an inverse. Column k of the kernel is Ā^k B̄, what
// an input of 1 has left in the N states k steps later. The state is the sum over the past: column k times the input of k steps ago.

static Matrix Kernel(Matrix A, Vector B, double delta, int length)
{
    Matrix one = Matrix.Build.DenseIdentity(A.RowCount), inverse = (one - A * (delta / 2)).Inverse(), step = inverse * (one + A * (delta / 2));
    Matrix kernel = Matrix.Build.Dense(A.RowCount, length);
    Vector column = inverse * B * delta;
    for (int k = 0; k < length; k++, column = step * column)
        kernel.SetColumn(k, column);
    return kernel;
}

static double Legendre(int n, double w)                         // L_n, by the recurrence of the polynomials P_n
{
    (double before, double p) = (0, 1);
    for (int k = 0; k < n; k++)
        (before, p) = (p, ((2 * k + 1) * (2 * w - 1) * p - k * before) / (k + 1));
    return Math.Sqrt(2 * n + 1) * p;
}

// Five seconds of a signal, backwards: x[k] is k steps of Δ = 10 ms ago.

const double Delta = 0.01;
const int L = 500;
double[] ago = [.. Enumerable.Range(0, L).Select(k => k * Delta)];
Vector x = Vector.Build.Dense(L, k => Math.Sin(10 - 2 * ago[k]) + 0.6 * Math.Sin(26 - 5 * ago[k]) + 0.3 * Math.Sin(45 - 9 * ago[k]));

// No computer knows a state exactly. Give each of its numbers a random error, a thousandth of their root mean square: about that of 16-bit floats.

const double Inexact = 1e-3;
Vector Known(Vector h) => h + Inexact * h.L2Norm() / Math.Sqrt(h.Count) * Vector.Build.Dense(h.Count, _ => numbers.NextNormal());

Vector ByHippo(int n)
{
    Vector h = Known(Kernel(HippoA(n), HippoB(n), Delta, L) * x);
    return Vector.Build.Dense(L, k => Enumerable.Range(0, n).Sum(i => h[i] * Legendre(i, Math.Exp(-ago[k]))));
}

// Against it a random A, shifted so that its slowest rate is −1 /s, as HiPPO's is. Its numbers mean nothing one by one. So the past is drawn by the best
// linear guess from a state that is not exact (ridge regression). The guess is told A, B, and how inexact the state is.

Vector ByRandom(int n)
{
    Matrix A = Matrix.Build.Dense(n, n, (_, _) => numbers.NextNormal());
    A -= Matrix.Build.DenseIdentity(n) * (A.Evd().EigenValues.Max(value => value.Real) + 1);
    Matrix kernel = Kernel(A, Vector.Build.Dense(n, _ => numbers.NextNormal()), Delta, L), gram = kernel.TransposeAndMultiply(kernel);
    Matrix ridge = Matrix.Build.DenseIdentity(n) * (Inexact * Inexact * gram.Trace() / n);
    return kernel.TransposeThisAndMultiply((gram + ridge).Cholesky().Solve(Known(kernel * x)));
}

double Wrong(Vector past) => (past - x).SubVector(0, 300).L2Norm() / x.SubVector(0, 300).L2Norm();              // over the last 3 seconds

int[] sizes = [8, 16, 32, 64];
Vector[] hippo = [.. sizes.Select(ByHippo)], random = [.. Enumerable.Range(0, 8).Select(_ => ByRandom(64)).OrderBy(Wrong)];
lesson.Table(["memory", "numbers", "error over the last 3 s, % of the signal"],
[
    .. hippo.Select((past, i) => new object[] { "HiPPO", sizes[i], 100 * Wrong(past) }),
    ["random A, best of 8", 64, 100 * Wrong(random[0])], ["random A, worst of 8", 64, 100 * Wrong(random[^1])],
]);

// ## Its eigenvalues: where Mamba's A comes from
//
// A full matrix costs N² multiplications a step, a diagonal one N. Which diagonal? A polynomial is a sum of powers, and a power of w is an exponential:
// w^{k+1} = e^{−(k+1)s}, the kernel of a state with the rate −(k + 1) and B = 1. HiPPO's kernels are the w L_n(w), for a moment ds is w ds long on the
// warped clock. In powers of w:
//
//     w L_n(w) = Σ_k V_nk w^{k+1},          V_nk = √(2n + 1) (−1)^{n+k} (n choose k) (n + k choose k)
//
// So HiPPO's state is V times the state of a *diagonal* A with the rates −1, −2, …, −N. In other words A V = V diag(−1 … −N): these are its eigenvalues.
// The diagonal is called S4D-Real, and it is what Mamba's A is when training begins: A_n = −(n + 1), n from 0 (section 3.6). S4D-Lin has the complex
// A_n = −1/2 + iπn instead: slowly dying waves, as of a Fourier series (arXiv 2206.11893).

static double Choose(int n, int k) => k > n ? 0 : Enumerable.Range(1, k).Aggregate(1.0, (c, i) => c * (n - k + i) / i);
static Matrix V(int n) => Matrix.Build.Dense(n, n, (i, k) => Math.Sqrt(2 * i + 1) * Choose(i, k) * Choose(i + k, k) * ((i + k) % 2 == 0 ? 1 : -1));
static Matrix Rates(int n) => Matrix.Build.DenseOfDiagonalArray([.. Enumerable.Range(1, n).Select(i => -(double)i)]);

Tensor From(Shape shape, Func<int, double> value, DType dtype = DType.Float64) =>
    Tensor.From([.. Enumerable.Range(0, (int)shape.Count).Select(value)], shape, dtype, lesson.Device);

// The library has diagonal A only. B and C of shape (d, n) are the same for every token. How far is V times its state from HiPPO's?

double Unlike(int n, DType dtype)
{
    Vector full = Kernel(HippoA(n), HippoB(n), Delta, L) * x;
    Tensor one = From((1, n), _ => 1, dtype), h = Ops.SelectiveScan(u: From((1, L, 1), t => x[L - 1 - t], dtype), delta: From((1, L, 1), _ => Delta, dtype),
        A: From((1, n), i => -(i + 1), dtype), B: one, C: one, deltaSoftplus: false, discretization: Discretization.Bilinear).LastState;
    return (V(n) * Vector.Build.DenseOfArray(h.ToDoubles()) - full).L2Norm() / full.L2Norm();
}

// The same memory, then, but written in powers, which look alike. V has huge entries of both signs, and in float32 the sum of 16 is rounding error only.
// Mamba does without V. It reads exponentials as they are, as 16 memories of different length, and gives up HiPPO's sharp picture of the past.
//
// ## What no A can do
//
// Another task, a small form of two of the paper's (section 3.1, figure 2). 32 tokens, each a random number. One of them is marked, in a second channel. At
// the end, say the number that was marked. *Copying*: the mark is always 16 steps before the last token. *Selective copying*: it may be anywhere, and all
// other tokens are noise. (The paper's have several tokens to say, in order.)
//
// The state is a sum, column k of the kernel times the token of k steps ago. So a token's share in it depends on how long ago it was, and on nothing else:
// not on its mark. Noise is kept as carefully as content, and y = C h reads both alike. Test it with the best C there is, by least squares on 8,000
// sequences, on 8,000 others. The states are the library's, S4D-Lin with Δ = 1/n: n complex states, so 2n numbers, for the tokens, and as many for marks.

const int Length = 32, Sequences = 8000;

Matrix States(int n, double[] u)                                // (sequences, 4n)
{
    Tensor A = From((2, n, 2), i => i % 2 == 0 ? -0.5 : Math.PI * (i / 2 % n)), one = From((2, n, 2), i => 1 - i % 2);      // pairs: real, imaginary
    int b = u.Length / (2 * Length);
    return Matrix.Build.DenseOfRowMajor(b, 4 * n, Ops.SelectiveScan(u: Tensor.From(u, (b, Length, 2), lesson.Device),
        delta: From((b, Length, 2), _ => 1.0 / n), A: A, B: one, C: one, deltaSoftplus: false).LastState.ToArray<double>());
}

(double[] U, double[] Wanted) Marked(int nearest, int furthest)
{
    double[] u = new double[2 * Sequences * Length * 2], wanted = new double[2 * Sequences];
    for (int i = 0; i < wanted.Length; i++)
    {
        for (int t = 0; t < Length; t++)
            u[2 * (i * Length + t)] = numbers.NextNormal();
        int at = 2 * ((i + 1) * Length - 1 - nearest - numbers.Next(furthest - nearest + 1));
        (wanted[i], u[at + 1]) = (u[at], 1);
    }
    return (u, wanted);
}

double Missed(Matrix states, double[] wanted)                   // the error of the best C, where a number's size is 1
{
    Vector answers = Vector.Build.DenseOfArray(wanted);
    Matrix seen = states.SubMatrix(0, Sequences, 0, states.ColumnCount);
    Matrix gram = seen.TransposeThisAndMultiply(seen) + 1e-9 * Matrix.Build.DenseIdentity(states.ColumnCount);
    Vector C = gram.Cholesky().Solve(seen.TransposeThisAndMultiply(answers.SubVector(0, Sequences)));
    return (states * C - answers).SubVector(Sequences, Sequences).L2Norm() / Math.Sqrt(Sequences);
}

int[] widths = [1, 2, 4, 8, 16, 32];
var (copying, selective) = (Marked(16, 16), Marked(0, Length - 1));
double[] spaced = [.. widths.Select(n => Missed(States(n, copying.U), copying.Wanted))];
double[] anywhere = [.. widths.Select(n => Missed(States(n, selective.U), selective.Wanted))];
lesson.Table(["numbers in the state", "error, mark 16 steps ago", "error, mark anywhere"],
    widths.Select((n, i) => new object[] { 2 * n, spaced[i], anywhere[i] }));

// Could another A do better? No. Let the state be perfect, all 32 tokens and all 32 marks. Each token is the marked one as often as any other, so the
// best a sum can do is to say 1/32 of each. Its error, root mean square, is √(1 − 1/32) = 0.984; to say 0 has 1. What is asked for is a product, of tokens
// and marks, and a linear state has none. A deep S4 has something nonlinear between its layers, and does better. But in Table 1 of the paper its accuracy is
// 18.3 % without a gated block and 57.0 % at best with one, where selective layers have 97.0 % to 99.8 %.

double perfect = Missed(Matrix.Build.DenseOfRowMajor(2 * Sequences, 2 * Length, selective.U), selective.Wanted), floor = Math.Sqrt(1 - 1.0 / Length);

double[] numbersKept = [.. widths.Select(n => 2.0 * n)];
lesson.Draw(
    new Chart("The past, redrawn from the state", "s, seconds ago", "x") { Legend = Corner.Outside }.Line("signal", ago, [.. x])
        .Line("HiPPO, 16 numbers", ago, [.. hippo[1]], dashed: true).Line("HiPPO, 64", ago, [.. hippo[3]], dashed: true)
        .Line("random A, 64", ago, [.. random[4]]).Limits(0, 5, -2, 2.2),
    new Chart("Recall by the best C", "numbers in the state", "error, in sizes of a token") { LogX = true, Legend = Corner.LowerLeft }
        .Line("16 steps ago", numbersKept, spaced, dots: true).Line("anywhere", numbersKept, anywhere, dots: true)
        .Line("all 32 tokens kept", numbersKept, [.. widths.Select(_ => floor)], dashed: true).Limits(1.8, 70, -0.05, 1.2));

// The library's hidden attention, M of y = M u, holds what each token does to each later output: here nothing but a function of the distance between them.

double[] c = [1, -2, 0.5], powers = [-1, -2, -3];
double[] M = Ops.HiddenAttention(delta: From((1, Length, 1), _ => 0.1), A: From((1, 3), i => powers[i]), B: From((1, 3), _ => 1),
    C: From((1, 3), i => c[i]), deltaSoftplus: false).ToArray<double>();
double byDistance = Lesson.Worst(M.Select((m, i) => m - (i / Length < i % Length ? 0 : 0.1 * Enumerable.Range(0, 3).Sum(n =>
    c[n] * Math.Exp(0.1 * powers[n] * (i / Length - i % Length))))));
double[] some = copying.U[..(2 * Length)], others = copying.U[(2 * Length)..(4 * Length)];
Matrix sum = States(16, some) + States(16, others) - States(16, [.. some.Zip(others, (p, q) => p + q)]);
using var model = new MambaLM(new MambaConfig { DModel = 8, NLayer = 1, VocabSize = 8 }, lesson.Device);
double[] begins = [.. ((MambaBlock)model.Blocks.Single()).ALog.Value.ToDoubles().Select((log, i) => -Math.Exp(log) + i % 16 + 1)];

lesson.Claim("64 HiPPO numbers redraw 3 s to a fortieth", Wrong(hippo[3]), within: 1 / 40.0);
lesson.Claim("Each of 8 random A of 64 numbers is wrong by 5 times as much", random.All(past => Wrong(past) > 5 * Wrong(hippo[3])));
lesson.Claim("A V = V diag(−1 … −16)", (HippoA(16) * V(16) - V(16) * Rates(16)).FrobeniusNorm() / V(16).FrobeniusNorm(), within: 3e-15);
lesson.Claim("S4D-Real holds HiPPO's state: V brings it back, N = 8", Unlike(8, DType.Float64), within: 1e-10);
lesson.Claim("but not in float32, N = 16: the error is larger than the state", Unlike(16, DType.Float32) > 10);
lesson.Claim("Mamba's A begins as −1 … −16", Lesson.Worst(begins), within: 1e-5);
lesson.Claim("The state of a sum is the sum of the states", sum.FrobeniusNorm(), within: 2e-15);
lesson.Claim("What a token does depends on its distance only", byDistance, within: 3e-16);
lesson.Claim("At a fixed distance 64 numbers recall a token", spaced[^1], within: 7e-11);
lesson.Claim("Anywhere, no state does: the error stays above 0.97", anywhere.Min() > 0.97);
lesson.Claim("nor one that keeps all tokens and marks: √(1 − 1/32)", perfect - floor, within: 0.008);

// ## To try
//
// Mark one of two places, `Marked(16, 17)`, then one of four: the error that no state can go below rises. Set `Inexact` to 1e-6: a random A draws the past
// far better, for all of it is in its state, but so that a small error hides it. HiPPO's errors stay as they are. Set the Δ of `States` to 4.0 / n: with 64
// numbers every wave then comes round again in 16 steps, and a token of 16 steps ago looks like the last one.

lesson.Exercise(1, "The mark is on one of the last 4 tokens. What is the least root mean square error of a linear reading, where a token's is 1?",
    () => Math.Sqrt(1 - 1 / 4.0), hint: "The best sum says a quarter of each of the four.");
lesson.Exercise(2, "What is the half-life, in seconds, of the fastest state of S4D-Real with N = 16?", () => Math.Log(2) / -Rates(16)[15, 15],
    hint: "ln 2 / |A|, and |A| is 1 to 16.");
lesson.Exercise(3, "HiPPO's h_2 is a sum of S4D-Real's states. What is the factor of the one with the rate −3?", () => V(3)[2, 2],
    hint: "V_22: √5 times (2 choose 2) times (4 choose 2).");
return lesson.End();
