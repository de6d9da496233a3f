#:project ../Mamba.Learn/Mamba.Learn.csproj

// # 4. Selection: delta, B and C from the input
//
//     dotnet run learn/04-selection.cs
//
// In chapter 3 every token did to the state what every other token did. So no state could keep a marked token and let the noise around it go by. Mamba's
// remedy: let the token decide. Of A, B, C and Δ, three become functions of the input (paper, section 3.2, Algorithm 2):
//
//     Δ_t = softplus(Linear(x_t))          B_t = Linear(x_t)          C_t = Linear(x_t)
//
// where x_t is the whole token, all d channels of it. Below, z is what softplus is given, no longer chapter 2's ΔA. softplus(z) = ln(1 + e^z) makes the step
// size positive: it is about e^z far below 0, and about z far above. A remains a parameter, but Ā_t = exp(Δ_t A) now changes with the token. This is
// chapter 1's changing a: the convolution is lost, the scan is not. This chapter is about what is gained.

using Mamba;
using Mamba.Learn;

using var lesson = new Lesson(args);
using var scope = new TensorScope();
var numbers = new PhiloxRandom(seed: 4);

static double Softplus(double z) => z < -36 ? Math.Exp(z) : Math.Max(z, 0) + Math.Log(1 + Math.Exp(-Math.Abs(z)));
static double Sigmoid(double z) => 1 / (1 + Math.Exp(-z));

static double[] Same(double value, int count) => [.. Enumerable.Repeat(value, count)];

// One channel of the library's scan: input x (l), z (l) before softplus, rates A (n), B and C (l, n), rows one after another.

double[] Scan(double[] x, double[] z, double[] A, double[] B, double[] C, Discretization? rule = null)
{
    Tensor Of(double[] values, int width) => Tensor.From(values, (1, x.Length, width), lesson.Device);
    return Ops.SelectiveScan(u: Of(x, 1), delta: Of(z, 1), A: Tensor.From(A, (1, A.Length), lesson.Device), B: Of(B, A.Length), C: Of(C, A.Length),
        deltaSoftplus: true, discretization: rule ?? Discretization.ExponentialEuler).Y.ToArray<double>();
}

// ## Delta is a gate
//
// Take one state, A = −1, B = 1, and zero-order hold (chapter 2). With Δ = softplus(z), the logarithm and the exponential cancel:
//
//     Ā = exp(−softplus(z)) = 1/(1 + e^z) = 1 − g          B̄ = (Ā − 1)/A = 1 − Ā = g,          g = σ(z) = 1/(1 + e^{−z})
//
// So the step is h_t = (1 − g_t) h_{t−1} + g_t x_t: the gate of a recurrent network such as the GRU, but set by the token alone, not by the state. This is
// the paper's Theorem 1 (section 3.5.1). Δ → 0 is g → 0: the state is kept, the token ignored. A large Δ is g → 1: the state is forgotten, the token taken
// in.

static double[] Gate(double[] x, double[] z, Func<double, double> gain)
{
    double h = 0;
    return [.. x.Zip(z, (x, z) => h = (1 - Sigmoid(z)) * h + gain(z) * x)];
}

double[] someX = [.. Enumerable.Range(0, 100).Select(_ => numbers.NextNormal())], someZ = [.. Enumerable.Range(0, 100).Select(_ => 3 * numbers.NextNormal())];
double[] one = [-1], ones = Same(1, 100);
double[] zoh = Scan(someX, someZ, one, ones, ones, Discretization.ZeroOrderHold), released = Scan(someX, someZ, one, ones, ones);

// The theorem is not true of the released code (`deltaB_u` in its selective_scan_interface.py). Its exponential-Euler (chapter 2) has B̄ = Δ, so the token is
// taken in times softplus(z), not σ(z): nearly the same far below z = 0, far apart above. A gate that is wide open does not copy the token there; it copies
// Δ times the token.

double Taken(double z, Discretization? rule = null) => Scan([1], [z], one, [1], [1], rule)[0];
double[] zs = [-4, -2, 0, 2, 4, 8];
lesson.Table(["z", "Δ = softplus(z)", "kept, 1 − σ(z)", "taken in: ZOH, σ(z)", "taken in: released code"],
    zs.Select(z => new object[] { z, Softplus(z), 1 - Sigmoid(z), Taken(z, Discretization.ZeroOrderHold), Taken(z) }));

// ## A memory that chapter 3 could not have
//
// A token is a pair: a random number x_t and a mark m_t, 0 or 1. At every step, say the last marked number. A linear function of the token is enough:
//
//     z_t = 120 m_t − 60
//
// Noise has z = −60, so Δ is about 10⁻²⁶: for the state, no time has passed. A marked token has z = 60, so Δ = 60, and about 10⁻²⁶ of the state before it
// is left. One state, two weights, no training. How many noise tokens lie between does not matter: the paper's variable spacing (section 3.5.2).

double[] Remember(double[] x, double[] mark, Discretization rule, double c = 1) =>
    Scan(x, [.. mark.Select(m => 120 * m - 60)], one, Same(1, x.Length), Same(c, x.Length), rule);

static double[] LastMarked(double[] x, double[] mark)
{
    double last = 0;
    return [.. x.Zip(mark, (x, m) => last = m > 0 ? x : last)];
}

// A token is marked with the probability p = 1/12. What is the best fixed memory, of any size? The last mark was k steps ago with the probability
// p (1 − p)^k, so this is how a sum should weigh the tokens (chapter 3: 1/32 for each of 32). But that is the kernel of one state with a gate always open
// by p, h_t = (1 − p) h_{t−1} + p x_t. Its mean squared error is 1 − p/(2 − p), where a number's is 1.

const int Long = 65536;
const double P = 1 / 12.0;
double[] x = [.. Enumerable.Range(0, Long).Select(_ => numbers.NextNormal())], mark = [.. x.Select(_ => numbers.NextDouble() < P ? 1.0 : 0)];
double[] wanted = LastMarked(x, mark), selective = Remember(x, mark, Discretization.ZeroOrderHold);
double[] Fixed(double g) => Scan(x, Same(Math.Log(g / (1 - g)), Long), one, Same(1, Long), Same(1, Long), Discretization.ZeroOrderHold);
double Error(double[] y) => Math.Sqrt(y.Zip(wanted, (p, q) => (p - q) * (p - q)).Sum() / wanted.Sum(h => h * h));
double[] fixedGate = Fixed(P);

const int Shown = 64;
double[] at = [.. Enumerable.Range(0, Shown).Select(t => (double)t)];
lesson.Draw(
    new Chart("Tokens, and the gate of each", "t, token", "x_t, number") { Legend = Corner.Outside }
        .Bars("noise", [.. at.Select(t => mark[(int)t] > 0 ? 0 : x[(int)t])]).Bars("marked", [.. at.Select(t => mark[(int)t] * x[(int)t])])
        .Line("g = 1 − exp(−Δ)", at, [.. at.Select(t => 1 - Math.Exp(-Softplus(120 * mark[(int)t] - 60)))]).Limits(-1, Shown, -2.2, 2.2),
    new Chart("What is remembered", "t, token", "h_t, state") { Legend = Corner.Outside }
        .Line("selective", selective[..Shown]).Line("best fixed", fixedGate[..Shown]).Dots("marked token", [.. at.Where(t => mark[(int)t] > 0)],
            [.. at.Where(t => mark[(int)t] > 0).Select(t => x[(int)t])]).Limits(-1, Shown, -2.2, 2.2));

// The scan's hidden attention says who looks at whom: y_t at x_j with the weight M_tj. In chapter 3 it knew only the distance. Now row t is 1 at the last
// marked token and 0 at all others: noise is filtered out (section 3.5.2, filtering context).

double[] M = Ops.HiddenAttention(delta: Tensor.From([.. mark[..Shown].Select(m => 120 * m - 60)], (1, Shown, 1), lesson.Device),
    A: Tensor.From(one, (1, 1), lesson.Device), B: Tensor.From([1.0], (1, 1), lesson.Device), C: Tensor.From([1.0], (1, 1), lesson.Device),
    discretization: Discretization.ZeroOrderHold).ToArray<double>();
int Last(int t) => Array.FindLastIndex(mark, t, m => m > 0);
double attention = Lesson.Worst(M.Select((m, i) => m - (i % Shown == Last(i / Shown) ? 1 : 0)));

// ## What B and C choose
//
// Δ is one number for all N states of a channel: it keeps or wipes them together. B_t says which of them a token goes into, C_t which of them are read.
// A task that needs all three: 16 states are 16 accounts. A token has an amount and a kind: pay into account k (kinds 0 to 15), ask for account k (16 to
// 31), noise (32), or close all accounts (33). The output is the balance where it is asked for, and 0 everywhere else. A is as Mamba's begins, −1 … −16,
// and the rule is the released code's. The kind is a one-hot vector, so a linear function of it is one weight for each kind:
//
//     z:  60 for "close", −60 for all others
//     B:  1/Δ in place k for "pay into k", so that Δ B = 1 goes in; 0 for all others: their amounts do not count
//     C:  1 in place k for "ask for k"; 0 for all others

const int Accounts = 16, Noise = 32, Close = 33, Tokens = 4096;
double[] rates = [.. Enumerable.Range(1, Accounts).Select(n => -(double)n)];
int[] kinds = [.. Enumerable.Range(0, Tokens).Select(_ => numbers.Next(200) switch { 0 => Close, < 80 => Noise, _ => numbers.Next(32) })];
double[] amounts = [.. kinds.Select(_ => 1.0 + numbers.Next(9))];
double[] zOf = [.. kinds.Select(kind => kind == Close ? 60.0 : -60)];
double[] bOf = [.. kinds.SelectMany(kind => Enumerable.Range(0, Accounts).Select(n => kind == n ? 1 / Softplus(-60) : 0))];
double[] cOf = [.. kinds.SelectMany(kind => Enumerable.Range(0, Accounts).Select(n => kind == n + 16 ? 1.0 : 0))];

double[] balances = new double[Accounts], truth = new double[Tokens];
for (int t = 0; t < Tokens; t++)
{
    if (kinds[t] < 16)
        balances[kinds[t]] += amounts[t];
    else if (kinds[t] < 32)
        truth[t] = balances[kinds[t] - 16];
    else if (kinds[t] == Close)
        Array.Clear(balances);
}

// Then take one of the choices away, as fixed dynamics must: every token has the same Δ, that of z = −60, or the mean of all B, or the mean of all C. Beside
// it stands the output that is always 0: it is right wherever nobody asks.

static double[] Mean(double[] v, int width)
{
    double[] mean = [.. Enumerable.Range(0, width).Select(n => v.Where((_, i) => i % width == n).Average())];
    return [.. v.Select((_, i) => mean[i % width])];
}

double[] bank = Scan(amounts, zOf, rates, bOf, cOf);
double[] withoutDelta = Scan(amounts, Same(-60, Tokens), rates, bOf, cOf), withoutB = Scan(amounts, zOf, rates, Mean(bOf, Accounts), cOf);
double[] withoutC = Scan(amounts, zOf, rates, bOf, Mean(cOf, Accounts));
double Wrong(double[] y) => 100.0 * y.Zip(truth, (p, q) => Math.Abs(p - q) > 0.5 ? 1 : 0).Sum() / Tokens;
lesson.Table(["accounts", "wrong outputs, %"], [["Δ, B and C chosen", Wrong(bank)], ["Δ the same for all tokens", Wrong(withoutDelta)],
    ["B the same", Wrong(withoutB)], ["C the same", Wrong(withoutC)], ["always 0", Wrong(Same(0, Tokens))]]);

// "Close" is boundary resetting (section 3.5.2): where documents share a sequence, one token with a large Δ ends what came before. What selection costs
// is the convolution: chapter 5 shows the scan that takes its place, and chapter 6 makes it fast.

double Furthest(int length)                                     // the error at the end where only the first token is marked
{
    double[] only = [1, .. Same(0, length - 1)];
    return Remember(x[..length], only, Discretization.ZeroOrderHold)[^1] - x[0];
}

lesson.Claim("Theorem 1: with ZOH one state is a gate", Lesson.Apart(zoh, Gate(someX, someZ, Sigmoid)), within: 2e-15);
lesson.Claim("In the released code the gain is softplus(z), not σ(z)", Lesson.Apart(released, Gate(someX, someZ, Softplus)), within: 1e-14);
lesson.Claim("At z = 4 that is 4.09 times as much", Taken(4) / Taken(4, Discretization.ZeroOrderHold) - 4.09, within: 0.005);
lesson.Claim("The marked token is remembered at every one of 65,536 steps", Lesson.Apart(selective, wanted), within: 1e-15);
lesson.Claim("From 15 steps ago to 65,535", Lesson.Worst(new[] { 16, 256, 4096, Long }.Select(l => Furthest(l))), within: 1e-15);
lesson.Claim("The released code does it too, with C = 1/60", Lesson.Apart(Remember(x, mark, Discretization.ExponentialEuler, 1 / 60.0), wanted), within: 1e-15);
lesson.Claim("The fixed gate errs by √(1 − p/(2 − p))", Error(fixedGate) - Math.Sqrt(1 - P / (2 - P)), within: 0.004);
lesson.Claim("One open half as wide or twice as wide errs more", Error(fixedGate) < Math.Min(Error(Fixed(P / 2)), Error(Fixed(2 * P))));
lesson.Claim("Attention is 1 at the last marked token and 0 elsewhere", attention, within: 1e-15);
lesson.Claim("All 16 accounts are right, and silent when not asked", Lesson.Apart(bank, truth), within: 3e-14);
lesson.Claim("Without a choice of Δ, B or C more is wrong than if the output were always 0",
    new[] { withoutDelta, withoutB, withoutC }.All(y => Wrong(y) > Wrong(Same(0, Tokens)) + 5));

// ## To try
//
// Write 20 m − 10 for 120 m − 60: some noise leaks in at every step, and the claims of memory fail. Set P to 0.25: with more marks the fixed gate errs less.
// Leave the 1/Softplus(−60) out of `bOf`: about 10⁻²⁶ of what is paid in arrives. Scan the accounts by zero-order hold: for so small a Δ it is the same.

lesson.Exercise(1, "A = −1, zero-order hold. With which z is a tenth of the new state the token's?", () => Math.Log(0.1 / 0.9),
    hint: "The token's share is σ(z).");
lesson.Exercise(2, "A = −1. Noise has z = −10. What share of a marked number is left after 1,000 noise tokens?", () => Math.Pow(1 - Sigmoid(-10), 1000),
    hint: "Each keeps 1 − σ(−10).");
lesson.Exercise(3, "A = −4, z = 0. What share of the state is kept?", () => Math.Exp(-4 * Softplus(0)), hint: "It is exp(A Δ), and Δ = softplus(0) = ln 2.");
return lesson.End();
