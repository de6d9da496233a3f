#:project ../Mamba.Learn/Mamba.Learn.csproj

// # 5. The associative scan
//
//     dotnet run learn/05-scan.cs
//
// A processor has many cores, a GPU thousands. A recurrence seems to have work for one: h_t = a_t h_{t−1} + v_t waits for h_{t−1}, and that for
// h_{t−2}. With constant a there is a way out, the convolution (chapter 1). Selection makes a change from token to token (chapter 4): the way is closed.
//
// But a step can be kept as a pair (a, v), and two neighbouring steps can be combined into one pair before anyone knows the state they start from:

using System.Diagnostics;
using System.Numerics;
using Mamba;
using Mamba.Learn;

using var lesson = new Lesson(args);

static (T A, T V) Then<T>((T A, T V) first, (T A, T V) second) where T : INumber<T> => (second.A * first.A, second.A * first.V + second.V);

// Combining is associative: it does not matter which neighbours go first. From h_0 = 0, h_t is the V of steps 1 to t combined. To find all of them is a
// *scan*. Four ways to do it follow; each puts at place t the combination of steps 1 to t. They know nothing of pairs, only of some associative `then`.
//
// ## Sequential
//
// One step after the other.

static S[] Sequential<S>(S[] s, Func<S, S, S> then)
{
    for (int t = 1; t < s.Length; t++)
        s[t] = then(s[t - 1], s[t]);
    return s;
}

// ## Kogge and Stone, 1973
//
// Every place looks 1 back, then 2 back, then 4, 8, …: after each round it covers twice as many steps. All places of a round can be worked on at once.

static S[] KoggeStone<S>(S[] s, Func<S, S, S> then)
{
    for (int back = 1; back < s.Length; back *= 2)
    {
        S[] before = [.. s];                                    // what was there before this round
        for (int t = back; t < s.Length; t++)
            s[t] = then(before[t - back], before[t]);
    }
    return s;
}

// ## Blelloch, 1990
//
// Kogge-Stone combines the same steps again and again. Up a tree instead: pairs, then pairs of pairs. That gives some places what they need; down the
// tree again, these hand it on to the places between. (Blelloch's own leaves at each place what came before it. This is the form that includes it, drawn
// as a circuit by Brent and Kung.) The paper's section 3.3.2 names such a scan, and calls it work-efficient.

static S[] Blelloch<S>(S[] s, Func<S, S, S> then)
{
    int back = 1;
    for (; back < s.Length; back *= 2)                          // up
        for (int t = 2 * back - 1; t < s.Length; t += 2 * back)
            s[t] = then(s[t - back], s[t]);
    for (; back > 0; back /= 2)                                 // and down
        for (int t = 3 * back - 1; t < s.Length; t += 2 * back)
            s[t] = then(s[t - back], s[t]);
    return s;
}

// ## Chunked, in three passes
//
// Cut the steps into chunks of c. Combine each chunk to one pair, as if it were alone; carry across chunks; go through each chunk again, now from its
// true start. Within a chunk it is a plain loop with one pair in memory, and chunks can be as many as there are workers. The library cuts long sequences so.
// In the official kernel the threads of a block have a chunk of a few tokens each, and one block of tokens follows another.

static S[] Chunked<S>(S[] s, int c, Func<S, S, S> then)
{
    S[] ends = [.. s.Chunk(c).Select(chunk => chunk.Aggregate(then))];
    for (int j = 1; j < ends.Length; j++)
        ends[j] = then(ends[j - 1], ends[j]);
    for (int t = 1; t < s.Length; t++)                          // of two places in different chunks neither waits for the other
        s[t] = then(t % c == 0 ? ends[t / c - 1] : s[t - 1], s[t]);
    return s;
}

// ## Work and depth
//
// *Work* is how many times two steps are combined; *depth* the longest chain of combinations that wait for each other. With one worker the work is the
// time, with workers without end the depth is. To count both, a step carries which steps it covers and how deep it is; every combination is noted.

const int C = 32;                                               // steps of a chunk
var done = new List<(int From, int To, int Depth)>();
bool neighbours = true;

Counted Tally(Counted first, Counted second)
{
    var both = new Counted(first.First, second.Last, Math.Max(first.Depth, second.Depth) + 1, Then(first.Pair, second.Pair));
    done.Add((first.Last, second.Last, both.Depth));
    neighbours &= first.Last + 1 == second.First;
    return both;
}

(Counted[] H, (int From, int To, int Depth)[] Done, int Depth) Run(Func<Counted[], Counted[]> scan, int l)
{
    done.Clear();
    Counted[] h = scan([.. Enumerable.Range(0, l).Select(t => new Counted(t, t, 0, (0.6 + 0.4 * Math.Sin(t), Math.Cos(3 * t))))]);
    return (h, [.. done], h.Max(step => step.Depth));
}

(string Name, Func<Counted[], Counted[]> Scan)[] four = [("sequential", s => Sequential(s, Tally)), ("Kogge-Stone", s => KoggeStone(s, Tally)),
    ("Blelloch", s => Blelloch(s, Tally)), ("chunked", s => Chunked(s, C, Tally))];

// With p workers, what is at depth 1 takes work/p rounds, rounded up, then what is at depth 2, and so on.

static int Rounds(IEnumerable<(int From, int To, int Depth)> done, int p) => done.GroupBy(d => d.Depth).Sum(level => (level.Count() + p - 1) / p);

lesson.Table(["1,024 steps", "work", "depth", "rounds of 1 worker", "of 2", "of 32", "of 1,024"], four.Select(way => Run(way.Scan, 1024)).Select((run, i) =>
    new object[] { four[i].Name, run.Done.Length, run.Depth, Rounds(run.Done, 1), Rounds(run.Done, 2), Rounds(run.Done, 32), Rounds(run.Done, 1024) }));

// The formulas, for l steps and k = log2 l rounded up: a round of Kogge-Stone leaves out the first 1, 2, 4, … places; on the way up Blelloch's tree are
// ⌊l/2⌋ + ⌊l/4⌋ + … = l − (ones in l as a binary number) combinations, and on the way down one for every place but 1, 2, 4, …

static int K(int l) => (int)Math.Ceiling(Math.Log2(l));
static int[] Work(int l) => [l - 1, l * K(l) - (1 << K(l)) + 1, 2 * l - BitOperations.PopCount((uint)l) - BitOperations.Log2((uint)l) - 1, 2 * l - 2];
static int[] Depth(int l) => [l - 1, K(l), Math.Max(K(l), 2 * K(l) - 2), l <= C ? l - 1 : 2 * C + (l + C - 1) / C - 3];
var runs = Enumerable.Range(1, 260).Select(l => (L: l, Four: four.Select(way => Run(way.Scan, l)).ToArray())).ToArray();
bool work = runs.All(runs => runs.Four.Select(run => run.Done.Length).SequenceEqual(Work(runs.L)));
bool depth = runs.All(runs => runs.Four.Zip(Depth(runs.L), (run, most) => BitOperations.IsPow2(runs.L) ? run.Depth == most : run.Depth <= most).All(ok => ok));
double farthest = 0, apart = Lesson.Worst(runs.SelectMany(runs => runs.Four.SelectMany(run => run.H.Zip(runs.Four[0].H, (p, q) => p.Pair.V - q.Pair.V))));

// So why do a GPU and a CPU choose differently? The table says it. Two cores gain nothing from a scan, whose work is twice the loop's, or nine times it.
// They take the loop, and find parallel work elsewhere: b sequences of d channels are b · d recurrences that do not know of each other. A GPU runs its
// threads 32 at a time, in step (a *warp*), busy or not: Kogge-Stone, five rounds. A whole sequence is chunked, each thread with a few tokens of its own,
// because a plain loop in registers moves the fewest bytes; of these chapter 6 has more.

lesson.Exercise(1, "How many combinations does Kogge-Stone make of 1,000 steps?", () => Run(four[1].Scan, 1000).Done.Length, within: 1e-9,
    hint: "Ten rounds of 1,000, without the places left out: 1 + 2 + 4 + …");
lesson.Exercise(2, "8,192 steps in chunks of a power of two: which chunk length has the least depth?",
    () => Enumerable.Range(0, 14).Select(i => 1 << i).MinBy(c => Run(s => Chunked(s, c, Tally), 8192).Depth), hint: "Some 2 c + l/c: let both be equal.");
lesson.Exercise(3, "What is the least number of workers with which Kogge-Stone takes fewer rounds than the loop, for 1,024 steps?",
    () => Enumerable.Range(1, 64).First(p => Rounds(Run(four[1].Scan, 1024).Done, p) < 1023), within: 1e-9,
    hint: "Its work is 9,217 combinations, the loop's 1,023; and not every round is filled.");

// ## What float32 loses
//
// Another order rounds differently. Three cases, each against the same in float64:
//
// - A plain sum, all a = 1. In the loop every addition rounds to the size of the whole sum so far. In a tree a number meets only log2(l) additions.
// - Ordinary decays. Every order is as good: old errors are forgotten together with the old inputs.
// - Decays very near 1. One expects the tree to win again, and for some hundred steps it does; from about 2,000 on it loses. Combining multiplies decays,
//   (1 − x)(1 − y) = 1 − x − y + xy, and just below 1 float32 has steps of 6e-8: an xy of less than half of one is lost, always the same way. The loop never
//   multiplies one decay by another. What it suffers from, as all do, is that each a = exp(ΔA) is itself rounded to such a step, up or down.
//
// The cure is not an order but another pair: keep the *sum* of ΔA, and take the exponential of that when it is needed. Small numbers keep their digits.

static (float Sum, float V) ThenOfSums((float Sum, float V) p, (float Sum, float V) q) => (q.Sum + p.Sum, (float)Math.Exp(q.Sum) * p.V + q.V);

(string Name, double Low, double High)[] kinds = [("a = 1", 0, 0), ("a from 0.5 to 0.95", -0.69, -0.05), ("delta A from -2e-5 to 0", -2e-5, 0)];
string[] orders = [.. four.Select(way => way.Name), "Blelloch, exp of sums"];
int[] lengths = [.. Enumerable.Range(4, 13).Select(i => 1 << i)];
double[][][] errors = [.. kinds.Select(kind => lengths.Select(l => Errors(l, kind.Low, kind.High)).ToArray())];

static double[] Errors(int l, double low, double high)
{
    var random = new Random(1);
    (float Z, float V)[] z = [.. Enumerable.Range(0, l).Select(_ => ((float)(low + (high - low) * random.NextDouble()), random.NextSingle()))];
    double[] exact = [.. Sequential([.. z.Select(z => (Math.Exp(z.Z), (double)z.V))], Then).Select(h => h.Item2)];
    (float, float)[] Steps() => [.. z.Select(z => ((float)Math.Exp(z.Z), z.V))];
    (float, float V)[][] found =
        [Sequential(Steps(), Then), KoggeStone(Steps(), Then), Blelloch(Steps(), Then), Chunked(Steps(), C, Then), Blelloch([.. z], ThenOfSums)];
    return [.. found.Select(h => Lesson.Worst(h.Zip(exact, (h, e) => h.V - e)) / exact.Max())];
}

lesson.Table(["error at 65,536 steps, in 1e-7 of the largest h", .. orders],
    kinds.Select((kind, i) => (object[])[kind.Name, .. errors[i][^1].Select(e => (object)(e * 1e7))]));

// ## The library's
//
// `ScanAlgorithm` has them all for the whole selective scan: b · d · n recurrences, and y = C h. Reference is a loop of tensor ops, Sequential a loop in
// one kernel over stored pairs, Chunked the fused kernel, Attention the matrix M of y = M u (chapter 1's sum, with weights of its own for each token).
// `Cost` says what they should cost: work in updates of a state, depth, and the numbers each stores beside inputs and outputs.

using var scope = new TensorScope();
const int Len = 250, D = 32, N = 16;
Tensor Draw(Shape shape, ulong seed) => Ops.Normal(shape, DType.Float64, lesson.Device, seed);
Tensor u = Draw((1, Len, D), 1), delta = Draw((1, Len, D), 2).Softplus(), A = -Draw((D, N), 3).Exp(), B = Draw((1, Len, N), 4), Cs = Draw((1, Len, N), 5);
double[] By(ScanAlgorithm by) => Ops.SelectiveScan(u, delta, A, B, Cs, deltaSoftplus: false, algorithm: by).Y.ToArray<double>();

// By hand: for each channel and each state the pairs (exp(delta A), delta B u), and any of the four.

double[] hand = new double[Len * D];
double[][] x = [.. new[] { u, delta, A, B, Cs }.Select(tensor => tensor.ToArray<double>())];
for (int i = 0; i < D * N; i++)
{
    var tokens = Enumerable.Range(0, Len).Select(t => (Delta: x[1][t * D + i / N], U: x[0][t * D + i / N], B: x[3][t * N + i % N]));
    (double, double V)[] h = Blelloch([.. tokens.Select(t => (Math.Exp(t.Delta * x[2][i]), t.Delta * t.B * t.U))], Then);
    for (int t = 0; t < Len; t++)
        hand[t * D + i / N] += x[4][t * N + i % N] * h[t].V;
}

lesson.Table(["l 250, d 32, n 16", "work", "depth", "stored numbers", "ms, measured"], ScanAlgorithm.All.Select(by =>
{
    using var inner = new TensorScope();
    farthest = Math.Max(farthest, Lesson.Apart(By(by), hand) / hand.Max(Math.Abs));           // the first call compiles, too
    long start = Stopwatch.GetTimestamp();
    By(by);
    double time = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    ScanCost cost = by.Cost(1, Len, D, N);
    return new object[] { by.Name, cost.Work, cost.Depth, cost.Elements, time };
}));

// ## The picture
//
// Above, time goes down. A grey line is a place; a dot combines what comes along the blue line with what its own place has. Blelloch's 7 rounds have depth
// 6, for its fifth does not need the fourth. Below, the errors of the first case and of the third.

Chart Wiring((string Name, Func<Counted[], Counted[]> Scan) way)
{
    var (_, done, depth) = Run(way.Scan, 16);
    int round = 0;
    int Back(int i) => i < 0 ? 0 : done[i].To - done[i].From;            // the same for all of a round
    var wires = done.Select((d, i) => (d.From + 1.0, (round += Back(i) == Back(i - 1) ? 0 : 1) - 1.0, d.To + 1.0, (double)round)).ToArray();
    return new Chart($"{way.Name}: {done.Length} combinations, depth {depth}", "t, step", "round")
        .Wires("", Enumerable.Range(1, 16).Select(t => ((double)t, 0.0, (double)t, round + 0.4)), faint: true).Wires("", wires)
        .NamesY(["", .. Enumerable.Range(1, round).Select(r => $"{r}")]).Limits(0.4, 16.6, round + 0.4, -0.4);
}

Chart Error(string title, int kind)
{
    var chart = new Chart(title, "l, steps", "error of h, of its largest") { LogX = true, LogY = true, Legend = Corner.UpperLeft };
    for (int i = 0; i < (kind == 0 ? 4 : 5); i++)                // of a plain sum, sums of delta A are 0 and change nothing
        chart.Line(orders[i], [.. lengths.Select(l => (double)l)], [.. errors[kind].Select(e => e[i])], dots: true);
    return chart.Limits(14, 80_000, 2e-8, kind == 0 ? 2e-5 : 1e-3);
}

lesson.Draw(Wiring(four[1]), Wiring(four[2]), Error("float32, a plain sum", 0), Error("float32, decays near 1", 2));

var (sum, ordinary, slow) = (errors[0][^1], errors[1][^1], errors[2][^1]);
lesson.Claim("Only neighbours are ever combined", neighbours);
lesson.Claim("All four give the same states, for every length from 1 to 260", apart, within: 2e-15);
lesson.Claim("The work is what the formulas say, for every length", work);
lesson.Claim("The depth is at most what they say, and exactly that for powers of two", depth);
lesson.Claim("With ordinary decays no order loses more than three roundings", Lesson.Worst(ordinary), within: 3 * Math.Pow(2, -24));
lesson.Claim("Of a long sum a tree loses less than a fifth of what the loop loses", Math.Max(sum[1], sum[2]) < sum[0] / 5);
lesson.Claim("Of slow decays the loop loses less than a third of what any scan of pairs loses", slow[0] < slow[1..4].Min() / 3);
lesson.Claim("With sums of delta A in place of products a scan loses less than a fifth of what the loop loses", slow[4] < slow[0] / 5);
lesson.Claim("All algorithms of the library are the scan by hand", farthest, within: 5e-15);

// ## To try
//
// Set C to 4 or to 128 and see depth and rounds of the chunked scan. Forget the order, `then(s[t], s[t − back])` in Blelloch: which sentences fall? Put
// the lower edge of the third case, −2e-5, at −2e-4: where does the loop stand then?

return lesson.End();

record struct Counted(int First, int Last, int Depth, (double A, double V) Pair);
