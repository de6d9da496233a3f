#:project ../Mamba.Learn/Mamba.Learn.csproj

// # 10. Length: train at 256, run at a million, and when that fails
//
//     dotnet run learn/10-length.cs
//
// A model is trained on sequences of one length and used at others. A Transformer has trouble with that twice: there are positions that it never saw in
// training, and its memory grows with every token. Mamba has no positions, and its state has one size. So is length no matter? The paper's model, trained
// on 256 tokens, is right after 1,048,576 (section 4.1.2, table 11). Others fail soon after the length they were trained at. This chapter reads a million
// tokens with a model that stands it, predicts from step sizes alone how far another one will go, and finds the two ways to fail: a state *forgets*, or it
// *fills up*.

using Mamba;
using Mamba.Learn;
using Row = (int Length, double Right, double Left, double Common, double Repaired, long Bytes);

using var lesson = new Lesson(args);
const int Words = InductionHeads.Special, First = 64;           // tokens 0 … 14 are words; 15 is special

// ## The question
//
// *Induction heads*: a special token, a word, then noise, which is other words, then the special token again. Which word followed it the first time? Here
// that stands at the very beginning, the hardest place. Who guesses is right once in 15. Two models of the same size, two layers and 66,496 weights, have
// learned it (learn/models/README.md):
//
// * `induction-heads`: on sequences of 64 tokens until it was right, and then for 5,200 steps on sequences of 256.
// * `induction-heads-64`: for 1,200 steps on sequences of 64, and on no others.
//
// The first is asked 4 sequences (one noise, 4 answers; by chance all four are right once in 50,000 times), the second 30 (two noises, 15 answers each).

// ## A million tokens
//
// A long sequence is read in pieces. The state goes from one piece to the next, and nothing else does. Whenever the length is a power of two, a *copy* of
// the state is given the special token: which word does the model say? The state itself reads on.
//
// The sequences come in families: in one family the noise is the same and the answers differ. So what differs between the states of a family is due to the
// answer and to nothing else. That splits the states of layer 0, which hold the answer (chapter 9), in two: the *common part* is the mean of the family,
// the *answer's part* is how far each is from it. Of both, the root of the sum of squares over all channels and states is taken down, against that after
// 64 tokens.
//
// And there is a repair: in another copy the common part is exchanged for that after 64 tokens, and the answer's part stays as it is. Is the model right
// then?

List<Row> Read(MambaLM model, int answers, int families, int longest, out double[] answerAtFirst)
{
    int rows = families * answers, at = 0;
    PhiloxRandom[] random = [.. Enumerable.Range(1, families).Select(family => new PhiloxRandom(seed: (ulong)family))];
    double[] spread = [], early = [];
    List<Row> read = [];
    using MambaState state = model.NewState(rows);
    using (new TensorScope())
        model.Forward(Tensor.From([.. Enumerable.Range(0, rows).SelectMany(row => new[] { Words, row % answers })], (rows, 2), lesson.Device), state);
    for (int length = First; length <= longest; length *= 2)
    {
        lesson.Device.Memory.ResetPeak();
        while (at < length)
        {
            using var piece = new TensorScope();
            int size = Math.Min(4096 / rows, length - at);                                  // tokens of a piece
            int[] tokens = [.. random.SelectMany(family => Enumerable.Repeat(Noise(family, size), answers)).SelectMany(row => row)];
            model.Forward(Tensor.From(tokens, (rows, size), lesson.Device), state, lastOnly: true);
            at += size;
        }
        using var scope = new TensorScope();
        StateTensor layer0 = Ssm(state);
        double[] h = layer0.Value.ToDoubles(), mean = new double[families * h.Length / rows];   // h: rows × n × d
        int Family(int i) => i / (h.Length / families) * (h.Length / rows) + i % (h.Length / rows);
        for (int i = 0; i < h.Length; i++)
            mean[Family(i)] += h[i] / answers;
        double[] answer = new double[h.Length / rows];                                      // the answer's part of each state, squared
        for (int i = 0; i < h.Length; i++)
            answer[i % answer.Length] += Math.Pow(h[i] - mean[Family(i)], 2) / rows;
        (spread, early) = length == First ? (answer, mean) : (spread, early);
        double[] repaired = [.. h.Select((value, i) => value - mean[Family(i)] + early[Family(i)])];
        read.Add((length, Right(model, state, answers), Math.Sqrt(answer.Sum() / spread.Sum()), Math.Sqrt(mean.Sum(m => m * m) / early.Sum(m => m * m)),
            Right(model, state, answers, copy => Ssm(copy).Write(Tensor.From(repaired, layer0.Value.Shape, layer0.Value.DType, lesson.Device))),
            lesson.Device.Memory.PeakBytes));
    }
    answerAtFirst = spread;
    return read;
}

static int[] Noise(PhiloxRandom random, int length) => [.. Enumerable.Range(0, length).Select(_ => random.Next(Words))];

static StateTensor Ssm(MambaState state) => ((MambaBlockState)state.Layers[0]).Ssm;

double Right(MambaLM model, MambaState state, int answers, Action<MambaState>? change = null)
{
    using MambaState copy = state.Clone();
    change?.Invoke(copy);
    Tensor asked = Tensor.From([.. Enumerable.Repeat(Words, (int)state.Batch)], state.Batch, lesson.Device);
    return model.Step(asked, copy).ArgMax().ToArray<int>().Select((said, row) => said == row % answers ? 1.0 : 0).Average();
}

// ## How far will it go?
//
// Once the answer is four or more tokens back, it is out of sight of layer 0's convolution, and all rows of a family take the same steps. From then on each
// token multiplies the answer's part of a state by exp(delta_t A), and that is all that happens to it. With the mean step delta a state is halved every
// ln 2 / (delta |A|) tokens: its *half-life*. `Reach.HalfLivesOf` computes it for all states of a layer. Steps depend on four tokens only, so some noise is
// enough to know their means. Half-lives, and the answer's part of each state after 64 tokens, say what will be left at any length, without going there.
//
// The first four tokens of that noise do not count: before them is nothing, which the model never sees later, and its steps there are like no others. Left
// in, four tokens of 16,384 would say of the first model that half of its answer is gone after 240,000 tokens.

double[] HalfLives(MambaLM model)
{
    using var scope = new TensorScope();
    Tensor noise = Tensor.From(Noise(new PhiloxRandom(seed: 99), 16388), (1, 16388), lesson.Device);
    using ModelTrace trace = model.Trace(noise, new TraceSettings { Layers = 0, Values = TraceValues.Delta });
    Tensor delta = Ops.Slice(trace[0].Delta, 1, 4, 16384);
    double[] halfLives = Reach.HalfLivesOf(delta.Mean(1, keepDim: true), trace[0].A);                           // (d, n)
    int d = (int)trace[0].A.Shape[0], n = (int)trace[0].A.Shape[1];
    return [.. Enumerable.Range(0, n * d).Select(i => halfLives[i % d * n + i / d])];                           // (n, d), as states are
}

static double Left(double[] answer, double[] halfLives, double tokens) =>
    Math.Sqrt(answer.Zip(halfLives, (part, half) => part * Math.Pow(4, -tokens / Math.Max(half, 1e-9))).Sum() / answer.Sum());

lesson.Exercise(1, "A = −1. What mean step size leaves half of a state after 2^20 tokens?", () => Math.Log(2) / (1 << 20), hint: "exp(−delta · 2^20) = 1/2.");
lesson.Exercise(2, "A state has a half-life of 2,000 tokens. How much is lost in 64, in %?", () => 100 * (1 - Math.Pow(0.5, 64 / 2000.0)),
    hint: "1 − (1/2)^(64/2000). Would training at 64 mind?");
lesson.Exercise(3, "Attention in two layers keeps a key and a value of 64 float32 each for every token. How many MiB after 2^20?",
    () => 2 * 2 * 64 * sizeof(float) * Math.Pow(2, 20) / (1 << 20), hint: "2 layers · 2 · 64 · 4 bytes a token.");

// ## Longer, without training
//
// A model that forgets can be changed by hand. In h_t = exp(delta_t A) h_{t−1} + delta_t B_t u_t, A stands in the first term only. So with A / 16 the
// states of layer 0 take in what they took in before, and keep it for 16 times as long. Why not A / 256?

(string Name, string Model, double Over, int Answers, int Families, int Longest)[] runs =
[
    ("trained at 256", "induction-heads", 1, 4, 1, 1 << 20), ("trained at 64", "induction-heads-64", 1, 15, 2, 1 << 15),
    ("trained at 64, A / 16", "induction-heads-64", 16, 15, 2, 1 << 16), ("trained at 64, A / 256", "induction-heads-64", 256, 15, 2, 1 << 15),
];
List<List<Row>> found = [];
List<double[]> predicted = [];
List<double> halfLengths = [];
foreach (var run in runs)
{
    using MambaLM model = MambaLM.Load(lesson.Model(run.Model), lesson.Device);
    Parameter a = model.Parameters["backbone.layers.0.mixer.A_log"];
    using (new TensorScope())
        a.Value = a.Value - Math.Log(run.Over);
    found.Add(Read(model, run.Answers, run.Families, run.Longest, out double[] answer));
    double[] halfLives = HalfLives(model);
    predicted.Add([.. found[^1].Select(row => Left(answer, halfLives, row.Length - First))]);
    double[] tokens = [.. Enumerable.Range(0, 240).Select(i => Math.Pow(2, i / 8.0))];
    halfLengths.Add(First + tokens.FirstOrDefault(l => Left(answer, halfLives, l) < 0.5, double.PositiveInfinity));
}

lesson.Table(["model", "length", "right, %", "answer left, %", "predicted, %", "common part", "repaired: right, %"], runs.SelectMany((run, i) =>
    found[i].Select((row, j) => new object[] { run.Name, row.Length, 100 * row.Right, 100 * row.Left, 100 * predicted[i][j], row.Common, 100 * row.Repaired })
        .Where((_, j) => j % 3 == 0 || j == found[i].Count - 1)));
lesson.Table(["model", "half of the answer is left at (predicted)", "half of the answers are right at"],
    runs.Select((run, i) => new object[] { run.Name, double.IsFinite(halfLengths[i]) ? halfLengths[i] : "beyond 10⁸",
        double.IsFinite(HalfRight(found[i])) ? HalfRight(found[i]) : "–" }));

static double HalfRight(List<Row> rows)                                                     // between two lengths, in proportion, on a scale of logarithms
{
    int i = rows.FindIndex(row => row.Right < 0.5);
    return i < 1 ? double.NaN : rows[i].Length * Math.Pow(2, (0.5 - rows[i].Right) / (rows[i].Right - rows[i - 1].Right));
}

Chart accuracy = new("Who is right", "length, tokens", "right, %") { LogX = true, Legend = Corner.LowerLeft };
Chart memory = new("What is left of the answer", "length, tokens", "of what was there after 64 tokens, %") { LogX = true, Legend = Corner.LowerLeft };
for (int i = 0; i < runs.Length; i++)
{
    accuracy.Line(runs[i].Name, Lengths(i), [.. found[i].Select(row => 100 * row.Right)], dots: true);
    memory.Dots(i == 0 ? "measured" : "", Lengths(i), [.. found[i].Select(row => 100 * row.Left)]);
}
memory.ColorsAgain();
for (int i = 0; i < runs.Length; i++)
    memory.Line(i == 0 ? "predicted" : "", Lengths(i), [.. predicted[i].Select(left => 100 * left)], dashed: true);
lesson.Draw(accuracy, memory);

double[] Lengths(int run) => [.. found[run].Select(row => (double)row.Length)];

// ## What is seen
//
// *Trained at 64* forgets. Its answer fades as predicted (on the right), and when half of it is gone, half of the answers are wrong. Training could not
// know: as far as it went, enough was left to be always right, and no gradient asks for more. The repair does not help at 32,768: there is nothing to
// repair.
//
// *A / 16* fades as predicted, too, later, and is right for several times as long; not for 16 times, for of what is there after 64 tokens more is now in
// states that fade fast. (Scaling A: arXiv 2509.19633.)
//
// *A / 256* keeps more than half of the answer, and is wrong all the same. Now little fades, of noise as little as of the answer: what it writes adds up. The
// common part is more than twice what it was after 64 tokens, and the rest of the model never met such a state in training. With the common part of 64
// tokens it is right again: it had not forgotten, it was filled up. (States that outgrow training: arXiv 2410.07145.)
//
// *Trained at 256* does neither. What has not faded in the first thousands of tokens stays, a million tokens and more, as predicted, and noise does not fill
// the state. It forgets in rare large steps, as between 2,048 and 4,096, which a mean spreads over all tokens: on the way the prediction is off, at the end
// it is not. The cure, then, is training in which forgetting costs something: at length, or from states that earlier text has left (arXiv 2507.02782).

(List<Row> far, List<Row> near, List<Row> slow, List<Row> slower) = (found[0], found[1], found[2], found[3]);
lesson.Claim("Trained at 256, it is right at each length to 1,048,576", far[^1].Length == 1 << 20 && far.All(row => row.Right == 1));
lesson.Claim("The last half million tokens take the memory that 2,049 to 4,096 take", far[^1].Bytes == far[6].Bytes && far[6].Length == 4096);
lesson.Claim("Trained at 64, it is right at 64, 128, 256 and 512", near[..4].All(row => row.Right == 1));
lesson.Claim("It is wrong, mostly, at 32,768", near[^1].Right < 0.35 && near[^1].Length == 32768);
lesson.Claim("What is left is what half-lives predict, also with A / 16 and A / 256",
    Lesson.Worst(Enumerable.Range(1, 3).SelectMany(i => found[i].Zip(predicted[i], (row, left) => row.Left - left))), within: 0.06);
lesson.Claim("Of the model trained at 256 as well, after a million tokens", far[^1].Left - predicted[0][^1], within: 0.03);
lesson.Claim("Half are right where half should be left, within a factor of 2", Math.Log2(HalfRight(near) / halfLengths[1]), within: 1);
lesson.Claim("The same with A / 16", Math.Log2(HalfRight(slow) / halfLengths[2]), within: 1);
lesson.Claim("A / 16 makes it right for at least four times as long", HalfRight(slow) > 4 * HalfRight(near));
lesson.Claim("With A / 256 more than half of it is left at 32,768, and no more than half are right", slower[^1].Left > 0.5 && slower[^1].Right <= 0.5);
lesson.Claim("Its common part is more than twice as large as after 64 tokens", slower[^1].Common > 2);
lesson.Claim("With the common part of 64 tokens it is right again", slower[^1].Repaired > 0.9);
lesson.Claim("What is forgotten cannot be repaired", near[^1].Repaired < 0.35);
lesson.Claim("Its state does not fill, and half of its answer will not be gone after a hundred million",
    far.Max(row => row.Common) < 1.2 && halfLengths[0] > 1e8);

// ## To try
//
// Divide A by 4 or by 64: which goes farthest? Divide that of `induction-heads`, or multiply it by 4. Train a model that fails elsewhere, predict where,
// and look: `mamba train --length 32 --batch 32 --steps 800 --out learn/models/mine`.

return lesson.End();
