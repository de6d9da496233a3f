#:project ../Mamba.Learn/Mamba.Learn.csproj

// # 2. Six ways to step a differential equation
//
//     dotnet run learn/02-discretization.cs
//
// Chapter 1 took a in h_t = a h_{t−1} + b x_t as a plain number. Mamba never learns that number. It learns a rate A and a step size Δ ("delta"), and makes
// a of them. This chapter is about how, and why.
//
// Think of time as flowing, not as counted in tokens. The state h(t) is driven by an input x(t), and y(t) is read from it:
//
//     h′(t) = A h(t) + B x(t)          y(t) = C h(t)                                          (paper, section 2, equation 1)
//
// h′ is the rate at which h changes. A is below 0: left alone, h falls to zero, faster the larger |A| is. But a computer has x only at certain moments, Δ
// apart: x_1, x_2, …, the tokens. To *discretize* is to find what one step of length Δ does to the state:
//
//     h_t = Ā h_{t−1} + B̄ x_t                                                                  (equation 2)
//
// Ā and B̄ are the a and b of chapter 1, made of A, B and Δ. If Δ is in seconds, A is in 1/s, and z = Δ A is a pure number.

using Mamba;
using Mamba.Learn;
using Rule = (string Name, Mamba.Discretization Library, System.Func<double, (double Alpha, double Gamma, double Beta)> Weights, int AtEnd, int InMiddle);

using var lesson = new Lesson(args);
using var scope = new TensorScope();

// ## The exact step, and six ways to do without
//
// Over one step the equation can be solved. What was in the state decays, and so does all that came in since, each moment for the time left to it:
//
//     h_t = e^{ΔA} h_{t−1} + ∫ e^{(Δ−s)A} B x(s) ds,          s from 0 to Δ, x(0) = x_{t−1}, x(Δ) = x_t
//
// The integral needs x between the tokens, which nobody has. So something must be assumed. Three rules keep e^{ΔA} and guess the integral:
//
// - *zero-order hold* (ZOH): x stays at x_t for the whole step. The integral is then (e^z − 1)/z · Δ B x_t. It is the paper's rule (equation 4);
// - *exponential-Euler*: the integral is its last moment, B x_t, times Δ. Nothing has decayed yet there. The released code of Mamba has it (chapter 4);
// - *exponential-trapezoidal*: the mean of the first moment, e^z B x_{t−1}, and the last, B x_t, times Δ. Mamba-3 learns the weights of the two.
//
// Three others have no e^z. They say h_t = h_{t−1} + Δ · (slope), the slope A h + B x_t, with A h taken
//
// - before the step, *Euler*: h_t = h_{t−1} + Δ (A h_{t−1} + B x_t);
// - after it, *backward Euler*: h_t = h_{t−1} + Δ (A h_t + B x_t), solved for h_t;
// - as the mean of both, *bilinear*: h_t = h_{t−1} + Δ (A (h_{t−1} + h_t)/2 + B x_t), solved for h_t. S4 (chapter 3) has this one.
//
// All six are h_t = α h_{t−1} + Δ (γ B x_t + β B x_{t−1}), with three numbers that depend on z alone. Here they are, with the library's name of each rule,
// and two orders of accuracy that are soon to be measured:

Rule exponentialEuler = ("exponential-Euler", Discretization.ExponentialEuler, z => (Math.Exp(z), 1, 0), AtEnd: 1, InMiddle: 1);
Rule euler = ("Euler", Discretization.Euler, z => (1 + z, 1, 0), AtEnd: 1, InMiddle: 1);
Rule backward = ("backward Euler", Discretization.BackwardEuler, z => (1 / (1 - z), 1 / (1 - z), 0), AtEnd: 1, InMiddle: 1);
Rule bilinear = ("bilinear", Discretization.Bilinear, z => ((1 + z / 2) / (1 - z / 2), 1 / (1 - z / 2), 0), AtEnd: 1, InMiddle: 2);
Rule zoh = ("zero-order hold", Discretization.ZeroOrderHold, z => (Math.Exp(z), (Math.Exp(z) - 1) / z, 0), AtEnd: 1, InMiddle: 2);
Rule trapezoidal = ("exponential-trapezoidal", Discretization.ExponentialTrapezoidal, z => (Math.Exp(z), 0.5, 0.5 * Math.Exp(z)), AtEnd: 2, InMiddle: 1);
Rule[] rules = [exponentialEuler, euler, backward, bilinear, zoh, trapezoidal], exponential = [exponentialEuler, zoh, trapezoidal];

// By hand it is chapter 1's loop (x[0] is the input before the first token; B and C are 1, so y is h):

static double[] ByHand(Rule rule, double A, double delta, double h, double[] x)
{
    var (alpha, gamma, beta) = rule.Weights(delta * A);
    return [.. Enumerable.Range(1, x.Length - 1).Select(t => h = alpha * h + delta * (gamma * x[t] + beta * x[t - 1]))];
}

// The library's scan takes the rule as an argument. u is its name for the input; A is (d, n), the others (b, l, d), (b, l, n) and, for a state, (b, d, n).

double[] ByLibrary(Rule rule, double A, double delta, double h, double[] x)
{
    long l = x.Length - 1;
    Tensor Of(double value, Shape shape) => Tensor.From(Enumerable.Repeat(value, (int)shape.Count).ToArray(), shape, lesson.Device);
    return Ops.SelectiveScan(u: Tensor.From(x[1..], (1, l, 1), lesson.Device), delta: Of(delta, (1, l, 1)), deltaSoftplus: false, A: Of(A, (1, 1)),
        B: Of(1, (1, l, 1)), C: Of(1, (1, l, 1)), initialState: Of(h, (1, 1, 1)), discretization: rule.Library,
        previousInput: rule.Library.LooksBack ? Of(x[0], (1, 1, 1)) : null).Y.ToArray<double>();
}

// ## How good are they?
//
// Take an input whose solution is known: A = −1, x(t) = cos 2t, h(0) = 1, for 2 seconds. Halve Δ, and see by how much the largest error falls. If it falls
// by 2, the rule is of first order (error ~ Δ); by 4, of second (error ~ Δ²).

const double Seconds = 2;
static double Input(double t) => Math.Cos(2 * t);
static double Solution(double t) => (2 * Math.Sin(2 * t) + Math.Cos(2 * t)) / 5 + 0.8 * Math.Exp(-t);

// `late` says where in its step an input is taken, 1 at the end. `loud` of 0 turns the input off: how good is the rule for the state alone?

double Error(Rule rule, int steps, double late = 1, double loud = 1)
{
    double delta = Seconds / steps;
    double[] x = [.. Enumerable.Range(0, steps + 1).Select(t => loud * Input((t - 1 + late) * delta))];
    return ByLibrary(rule, -1, delta, 1, x).Select((h, i) => Math.Abs(h - (loud > 0 ? Solution((i + 1) * delta) : Math.Exp(-(i + 1) * delta))))
        .Aggregate(0.0, Math.Max);
}

double Order(Rule rule, double late = 1, double loud = 1) => Math.Log2(Error(rule, 1000, late, loud) / Error(rule, 2000, late, loud));

double[] atEnd = [.. rules.Select(rule => Order(rule))], inMiddle = [.. rules.Select(rule => Order(rule, late: 0.5))];
double[] alone = [.. rules.Except(exponential).Select(rule => Order(rule, loud: 0))];
lesson.Table(["order of accuracy", "x at the end of a step", "x in its middle", "no input"],
    rules.Select((rule, i) => new object[] { rule.Name, atEnd[i], inMiddle[i], exponential.Contains(rule) ? "exact" : alone[i - 1] }));

// Why five firsts in the first column? A rule that sees one input a step, and that at its end, cannot know that x was different before. No γ helps. The
// trapezoidal rule sees two. In the middle of the step one input is as good as two: there zero-order hold and bilinear are of second order, and the
// trapezoidal rule, told the wrong moments, is not. Words are not samples of a smooth signal, though: for a language model order alone decides nothing.

int[] counts = [4, 8, 16, 32, 64, 128, 256, 512];
Chart orders = new("How the error falls with the step", "Δ, s", "largest error of h in 2 s") { LogX = true, LogY = true, Legend = Corner.LowerRight };
foreach (Rule rule in rules)
    orders.Line(rule.Name, [.. counts.Select(n => Seconds / n)], [.. counts.Select(n => Error(rule, n))], dots: true);

// ## What does matter: stability
//
// A Mamba channel has 16 states with the rates A = −1, −2, …, −16 /s when training begins (chapter 3), and one Δ for them all. It begins between 0.001 s
// and 0.1 s, but training can raise it, and so can a token (chapter 4). Let it be 0.14 s. For the slowest state z = −0.14, and any rule will do. For the
// fastest z = −2.24, and Euler takes it to 1 + z = −1.24 times itself: past zero to the other side, further out with each step. Once Δ |A| is above 2 it
// explodes. e^z lies between 0 and 1 whatever Δ and |A| are, and it is exact: two steps of Δ are one of 2 Δ. Backward Euler's α lies there too, but is not
// exact. Bilinear's is below 1 in size, but comes close to −1 for a large Δ: the state flips its sign at each step and hardly fades.

double[] silence = new double[31];
Chart stiff = new("A fast state left alone: A = −16 /s, Δ = 0.14 s", "t, step", "h_t, from h_0 = 1") { Legend = Corner.UpperLeft };
foreach (Rule rule in (Rule[])[exponentialEuler, euler, backward, bilinear])
    stiff.Line(exponential.Contains(rule) ? "the three with e^z" : rule.Name, [1, .. ByLibrary(rule, -16, 0.14, 1, silence)[..10]], dots: true);
lesson.Draw(orders, stiff.Limits(-0.3, 10.3, -8, 10));

// ## What Δ means
//
// Δ is how much time passes from one token to the next. The half-life of a state is ln 2 / |A|, in seconds; in tokens it is ln 2 / (Δ |A|). Double Δ, and
// a state forgets in half as many tokens. So a model whose A is fixed has a clock whose speed it can set, and in chapter 4 each token sets it. Mamba's
// training begins with Δ between 0.001 and 0.1 (section 3.6), in seconds if A is in 1/s:

static double HalfLife(double A, double delta) => Math.Log(2) / (delta * -A);

lesson.Table(["half-life, tokens", "Δ = 0.001", "Δ = 0.01", "Δ = 0.1"],
    new[] { -1.0, -4, -16 }.Select(A => new object[] { $"A = {A}", HalfLife(A, 0.001), HalfLife(A, 0.01), HalfLife(A, 0.1) }));

// ## What is different about exponential-Euler
//
// Hold x = 1 for ever. The state should settle where A h + B x = 0, with B = 1 at 1/|A|. Zero-order hold gets there at any Δ: a held input is just what it
// assumes. Exponential-Euler settles too high, −z/(1 − e^z) times that. For small |z| the factor is about 1. But for large Δ its B̄ = Δ B grows without end
// where that of zero-order hold stops at B/|A|: in the released code Δ is also how loud a token is. Chapter 4 returns to it.

double[] held = [.. Enumerable.Repeat(1.0, 101)];
double Level(Rule rule, double delta) => ByLibrary(rule, -1, delta, 0, held)[^1];

// ZOH against the solution for inputs that jump and are held: over a step the distance to the level −B x/A falls to e^{ΔA} times what it was.
double[] jumps = [0, .. Enumerable.Range(0, 20).Select(i => Math.Sin(i * i))];
double state = 1;
double[] exact = [.. jumps[1..].Select(x => state = x / 0.7 + (state - x / 0.7) * Math.Exp(-0.7 * 3))];

double[] some = [0.3, -1, 2, 0.5, 0.25, -2];
double apart = Lesson.Worst(rules.Select(rule => Lesson.Apart(ByHand(rule, -2, 0.1, 0.4, some), ByLibrary(rule, -2, 0.1, 0.4, some))));
lesson.Claim("Each rule by hand is the library's", apart, within: 5e-16);
lesson.Claim("Five rules are of first order, the trapezoidal one of second", Lesson.Apart(atEnd, [.. rules.Select(rule => (double)rule.AtEnd)]), within: 0.005);
lesson.Claim("In the middle, ZOH and bilinear are of second order", Lesson.Apart(inMiddle, [.. rules.Select(rule => (double)rule.InMiddle)]), within: 0.005);
lesson.Claim("Without input those with e^z are exact", Lesson.Worst(exponential.Select(rule => Error(rule, 7, loud: 0))), within: 5e-16);
lesson.Claim("and Euler, backward Euler and bilinear are of order 1, 1, 2", Lesson.Apart(alone, [1, 1, 2]), within: 0.005);
lesson.Claim("ZOH is exact where the input is held, at a step of 3 s, too", Lesson.Apart(ByLibrary(zoh, -0.7, 3, 1, jumps), exact), within: 2e-15);
lesson.Claim("Euler explodes: 30 steps of z = −2.24 make 1 into 1.24^30", ByLibrary(euler, -16, 0.14, 1, silence)[29] / Math.Pow(1.24, 30) - 1, within: 5e-14);
lesson.Claim("The other five do not, at z from −0.01 to −1,000", rules.Where(rule => rule != euler).All(rule =>
    new[] { 0.01, 0.1, 1, 10, 100, 1000 }.All(delta => ByLibrary(rule, -1, delta, 1, silence).All(h => Math.Abs(h) < 1))));
lesson.Claim("At z = −1,000 bilinear still has more than 88 % after 30 steps", Math.Abs(ByLibrary(bilinear, -1, 1000, 1, silence)[29]) is > 0.88 and < 1);
lesson.Claim("After a half-life of 10 tokens half is left", ByLibrary(exponentialEuler, -1, Math.Log(2) / 10, 1, silence)[9] - 0.5, within: 1e-15);
lesson.Claim("With twice the Δ it takes 5", ByLibrary(exponentialEuler, -1, Math.Log(2) / 5, 1, silence)[4] - 0.5, within: 1e-15);
lesson.Claim("ZOH settles at 1/|A| at Δ = 2", Level(zoh, 2) - 1, within: 1e-15);
lesson.Claim("Exponential-Euler at Δ/(1 − e^−Δ)", Level(exponentialEuler, 2) - 2 / (1 - Math.Exp(-2)), within: 5e-15);

// ## To try
//
// Leave out `previousInput`: the trapezoidal rule takes x_0 for 0, errs at the first step, and is of first order. Set the 0.14 to 0.124: Euler's sign still
// flips, but the state fades, by 1.6 % a step; what is claimed of 1.24 is then false. Set `late` to 0 in `Order`, which takes the input before the step:
// Euler is then the textbook's, and still of first order.

lesson.Exercise(1, "A = −16 /s. Above which Δ, in s, does Euler explode?", () => 2 / 16.0, hint: "1 + ΔA must not be below −1.");
lesson.Exercise(2, "A rule of second order errs by 1e-3 at Δ = 0.1 s. At which Δ, in s, by 1e-5?", () => 0.1 / Math.Pow(1e-3 / 1e-5, 1 / 2.0),
    hint: "A tenth of Δ is a hundredth of the error.");
lesson.Exercise(3, "A = −1 /s. With which Δ, in s, is the half-life 100 tokens?", () => Math.Log(2) / 100, hint: "100 steps of e^{−Δ} make one half.");
lesson.Exercise(4, "Bilinear, z = −10, h_0 = 1, no input. What is h_3?", () => ByLibrary(bilinear, -1, 10, 1, silence)[2],
    hint: "α = (1 − 5)/(1 + 5). Mind the sign.");
return lesson.End();
