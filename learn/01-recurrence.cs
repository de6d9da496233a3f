#:project ../Mamba.Learn/Mamba.Learn.csproj

// # 1. A linear recurrence is a convolution is a scan
//
//     dotnet run learn/01-recurrence.cs
//
// Everything in Mamba rests on one line of arithmetic. A sequence of numbers x_1, x_2, … comes in, one number at a time. A single number h, the *state*,
// remembers what has been seen. A sequence y_1, y_2, … goes out:
//
//     h_t = a h_{t−1} + b x_t                                                       (paper, section 2, equation 2a)
//     y_t = c h_t                                                                    (equation 2b)
//
// a, b and c are numbers. h_0 is 0. With a between 0 and 1, each step keeps the share a of what was remembered and adds b times what is new. It is the
// smallest recurrent network there is, and it has no activation function: that is what "linear" means, and why the three forms below are the same.

using Mamba;
using Mamba.Learn;

using var lesson = new Lesson(args);
const int L = 64;                                               // steps; the code and the picture count them from 0, the formulas from 1
const double A = 0.9, B = 0.5, C = 2;
double[] x = new double[L];
(x[4], x[20], x[23], x[45]) = (1, 1, -0.5, 0.8);                // four things happen; else the input is 0

// ## Form 1: the recurrence
//
// A loop. It is how a model generates: one state in memory, three multiplications a step. But step t waits for step t − 1, so it cannot use many cores.

static double[] Recurrence(double[] a, double b, double c, double[] x)          // a_t may differ from step to step; here it does not, yet
{
    double h = 0;
    double[] y = new double[x.Length];
    for (int t = 0; t < x.Length; t++)
    {
        h = a[t] * h + b * x[t];
        y[t] = c * h;
    }
    return y;
}

// ## Form 2: the convolution
//
// Put h_{t−1} into h_t, then h_{t−2} into that, and so on down to h_0 = 0:
//
//     y_t = c b x_t + c a b x_{t−1} + c a² b x_{t−2} + … = Σ_k K_k x_{t−k},        K_k = c aᵏ b          (equations 3a, 3b)
//
// A sum over what came before, in which an input counts by how long ago it was. Such a sum is a convolution, y = K * x, and K is its kernel. No y_t waits
// for another: all can be computed at once. This is how S4 (chapter 3) trains.

static double[] Kernel(double a, double b, double c, int length) => [.. Enumerable.Range(0, length).Select(k => c * Math.Pow(a, k) * b)];

static double[] Convolve(double[] kernel, double[] x) =>
    [.. Enumerable.Range(0, x.Length).Select(t => Enumerable.Range(0, t + 1).Sum(k => kernel[k] * x[t - k]))];

// K says how long the state remembers. It falls by half every ln 2 / −ln a steps, the *half-life*.

static double HalfLife(double a) => Math.Log(2) / -Math.Log(a);

// ## Form 3: the scan
//
// A step is a function of the state, h ↦ a h + v, where v = b x_t. Keep it as the pair (a, v). Do step 1 and then step 2:
//
//     h ↦ a_2 (a_1 h + v_1) + v_2 = (a_2 a_1) h + (a_2 v_1 + v_2)
//
// which is again such a function: a pair. So two steps can be combined into one without knowing the state before them. And combining is *associative*: of
// three steps, the first two or the last two may be combined first. So a sequence can be cut anywhere, its parts can be combined at the same time, on
// different cores, and then the parts with each other. Combining all beginnings of a sequence is called a scan (or prefix sum); chapter 5 is about ways to
// do it. Here is the simplest: scan each half, then put the end of the first half before each of the second. For l steps that makes log2(l) levels.

static (double A, double V) Then((double A, double V) first, (double A, double V) second) =>
    (second.A * first.A, second.A * first.V + second.V);

static (double A, double V)[] Scan((double A, double V)[] steps)
{
    if (steps.Length == 1)
        return steps;
    int half = steps.Length / 2;
    var (left, right) = (Scan(steps[..half]), Scan(steps[half..]));             // these two could run side by side
    return [.. left, .. right.Select(step => Then(left[^1], step))];
}

static double[] ByScan(double[] a, double b, double c, double[] x) =>
    [.. Scan([.. a.Zip(x, (a, x) => (a, b * x))]).Select(step => c * step.V)];  // from h_0 = 0, the state is the pair's second number

double[] constant = [.. Enumerable.Repeat(A, L)];
double[] loop = Recurrence(constant, B, C, x), sum = Convolve(Kernel(A, B, C, L), x), tree = ByScan(constant, B, C, x);

// ## More than one state
//
// n states side by side, each with its own a, b and c, and y is the sum of what they say. Their kernels add: n numbers a give a sum of n exponentials, a
// richer memory than one. That is all a state of size n is where, as in Mamba, no state acts on another (the paper's N, 16 in Mamba).

double[] rates = [0.5, 0.9, 0.99];
double[][] kernels = [.. rates.Select(a => Kernel(a, B, C, L))];
double[] together = [.. Enumerable.Range(0, L).Select(k => kernels.Sum(kernel => kernel[k]))];
double[] separate = [.. Enumerable.Range(0, L).Select(t => rates.Sum(a => Recurrence([.. Enumerable.Repeat(a, L)], B, C, x)[t]))];

lesson.Table(["a", "half-life, steps", "left after 64 steps, %"], rates.Select(a => new object[] { a, HalfLife(a), 100 * Math.Pow(a, L) }));

// ## When a changes
//
// Let step 30 forget everything: a_30 = 0. The loop and the scan do not mind, for a pair has an a of its own. The convolution has nowhere to put it: its
// kernel knows how long ago an input was, not what has happened since. A sum over the past is still possible, but with weights that differ for every t.
// Mamba lets the input set a; chapter 4 calls this *selection*. So it gives up the convolution and is left with the scan. This is the price of selection,
// and chapter 6 is how it is paid.

double[] changing = [.. constant];
changing[30] = 0;
double[] loopChanging = Recurrence(changing, B, C, x), treeChanging = ByScan(changing, B, C, x);

lesson.Draw(
    new Chart("What a state remembers: its kernel", "k, steps ago", "K_k, weight of that input")
        .Line("a = 0.5", kernels[0]).Line("a = 0.9", kernels[1]).Line("a = 0.99", kernels[2]),
    new Chart("One input: a = 0.9, and with a_30 = 0", "t, step", "y_t, output")
        .Line("recurrence", loop).Dots("convolution", [.. Enumerable.Range(0, L).Select(t => (double)t)], sum)
        .Line("scan, a_30 = 0", treeChanging, dashed: true));

// ## The library's own
//
// `Ops.LinearRecurrence` is h_t = a_t h_{t−1} + x_t on every device, by the loop or by one of two scans of chapter 5. Its tensors are (b, l, d): sequences
// at once, steps, channels. A *channel* is one number of every token, with a recurrence of its own. Here are one sequence and one channel.

using var scope = new TensorScope();
Tensor a = Tensor.From(changing, (1, L, 1), lesson.Device), inputs = Tensor.From([.. x.Select(x => B * x)], (1, L, 1), lesson.Device);
double[] op = [.. Ops.LinearRecurrence(a, inputs, algorithm: LinearScan.Blelloch).ToArray<double>().Select(h => C * h)];

(double, double) p = (0.9, 1.5), q = (0.2, -3), r = (1.1, 0.25);
lesson.Claim("The convolution is the recurrence", Lesson.Apart(loop, sum), within: 1e-14);
lesson.Claim("The scan is the recurrence", Lesson.Apart(loop, tree), within: 1e-14);
lesson.Claim("Combining is associative", Math.Abs(Then(Then(p, q), r).V - Then(p, Then(q, r)).V), within: 1e-15);
lesson.Claim("It matters which comes first", Then(p, q) != Then(q, p));
lesson.Claim("The kernels of several states add", Lesson.Apart(Convolve(together, x), separate), within: 1e-13);
lesson.Claim("After a half-life half is left", Math.Pow(0.99, HalfLife(0.99)) - 0.5, within: 1e-15);
lesson.Claim("The scan is the recurrence when a changes, too", Lesson.Apart(loopChanging, treeChanging), within: 1e-14);
lesson.Claim("The convolution is not: it still hears what was forgotten", Lesson.Apart(loopChanging, sum) > 0.05);
lesson.Claim("The library's op is the same recurrence", Lesson.Apart(loopChanging, op), within: 1e-14);

// ## To try
//
// Set A to 1: the state never forgets, and y is a running sum. To 1.1: it explodes, and its rounding errors with it; all of Mamba's a are below 1 for that
// reason. To −0.9: its sign flips at each step.

lesson.Exercise(1, "With what a is the half-life 1,000 steps?", () => Math.Pow(0.5, 1e-3), within: 1e-5, hint: "a to the power 1,000 is one half.");
lesson.Exercise(2, "a = 0.5, b = 1, c = 1, x = 1, 1, 1, 1. What is y_4?", () => Recurrence([0.5, 0.5, 0.5, 0.5], 1, 1, [1, 1, 1, 1])[3],
    hint: "Four terms of the convolution: 1 + 1/2 + …");
lesson.Exercise(3, "The steps (0.5, 1), (0.5, 1), (0, 3), (0.5, 1) are combined into one pair. What is its first number?",
    () => Scan([(0.5, 1), (0.5, 1), (0, 3), (0.5, 1)])[^1].A, hint: "First numbers multiply. What does the state before the four steps still do?");
return lesson.End();
