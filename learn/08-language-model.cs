#:project ../Mamba.Learn/Mamba.Learn.csproj

// # 8. The block and the language model, from an empty file
//
//     dotnet run learn/08-language-model.cs
//
// A selective scan lets what a sequence says now depend on what it said before. By itself it is no model: channels of numbers go in, channels of numbers
// come out. This chapter builds what is around it: the Mamba block (paper, section 3.4 and figure 3), a language model of two blocks, its training, and a
// loop that writes. There is no more to Mamba than this. The text to learn is this course itself: the chapters beside this file, each byte a token.

using Mamba;
using Mamba.Learn;

using var lesson = new Lesson(args);
const int v = 256, dModel = 64, d = 2 * dModel, n = 16, r = dModel / 16, k = 4, layers = 2, window = 128;

// v: how many tokens there are, the 256 bytes. dModel: how many numbers stand for a token between blocks. d: channels inside a block, twice as many. n:
// states of a channel. r and k come below. b and l are, as before, the sequences that are worked on at once and their length; training has l = window =
// 128 bytes.
//
// ## The weights
//
// A weight is a name, a shape and how it begins; matrices are (outputs, inputs), as in PyTorch, and `Kaiming` is what PyTorch draws for a linear layer.
// Two beginnings are Mamba's own. A is −1, −2, …, −n in every channel (S4D-Real, chapter 3), kept as log(−A), so that no step of training can make a state
// explode. And dt_proj.bias is such that step sizes begin anywhere between 0.001 and 0.1, evenly in their logarithm: with A = −1 a state then falls to 1/e
// in a thousand tokens, or in ten. Names, shapes and beginnings are those of the released code: other programs can read what is trained here. With
// `decay: false` AdamW does not pull a weight towards 0; with `residuals` out_proj begins √layers smaller, for each layer adds to the same sum.

static Parameter[] Declare() => [new("backbone.embedding.weight", (v, dModel), initial: Initial.Normal(0.02)),
    .. Enumerable.Range(0, layers).SelectMany(i => DeclareLayer($"backbone.layers.{i}")), new("backbone.norm_f.weight", dModel, decay: false, Initial.Ones)];

static Parameter[] DeclareLayer(string layer) =>
[
    new($"{layer}.mixer.A_log", (d, n), decay: false, (values, _) => { for (int i = 0; i < values.Length; i++) values[i] = Math.Log(1 + i % n); }),
    new($"{layer}.mixer.D", d, decay: false, Initial.Ones),
    new($"{layer}.mixer.in_proj.weight", (2 * d, dModel), initial: Initial.Kaiming(dModel)),
    new($"{layer}.mixer.conv1d.weight", (d, 1, k), initial: Initial.Kaiming(k)),
    new($"{layer}.mixer.conv1d.bias", d, decay: false, Initial.Kaiming(k)),
    new($"{layer}.mixer.x_proj.weight", (r + 2 * n, d), initial: Initial.Kaiming(d)),
    new($"{layer}.mixer.dt_proj.weight", (d, r), initial: Initial.Uniform(1 / Math.Sqrt(r))),
    new($"{layer}.mixer.dt_proj.bias", d, decay: false, (values, random) => { foreach (ref double b in values) b = Bias(random.NextDouble()); }),
    new($"{layer}.mixer.out_proj.weight", (dModel, d), initial: Initial.Kaiming(d, residuals: layers)),
    new($"{layer}.norm.weight", dModel, decay: false, Initial.Ones),
];

static double Bias(double share) => Math.Log(Math.Exp(0.001 * Math.Pow(100, share)) - 1);      // softplus(Bias(s)) goes from 0.001 to 0.1

// ## The block
//
// What each line is for, in its order:
//
// * `in_proj` makes two views of each token: x, which may be remembered, and z, which will decide what is let out.
// * The *causal convolution*: in each channel of x, a weighted sum of the last k values. So what may be remembered is a token among its neighbours: four
//   letters of a word, not one. Causal: nothing that comes later is seen. SiLU, s · σ(s), bends the sum: without it u would be linear in x.
// * `x_proj` makes what selects (chapter 4): B, what of u goes into the states; C, what is read out of them; and r numbers, of which `dt_proj` makes d
//   step sizes. Why through r = 4 numbers? A matrix from d channels to d channels would be 16 times as large as these two together. Softplus makes steps
//   positive.
// * The *scan* (chapters 4 to 6), h_t = exp(delta_t A) h_{t−1} + delta_t B_t u_t and y_t = C_t h_t + D u_t: memory. Only here, and among those k
//   neighbours, does a token hear of others.
// * The *gate* y · silu(z): what is remembered is not always wanted.
// * `out_proj` brings d channels back to dModel numbers.
//
// Between two calls a block keeps the last k inputs of its convolution (k − 1 would do; the released code keeps k), and h. With these it goes on where an
// earlier piece of the sequence ended.

static Tensor Block(Tensor hidden, Func<string, Tensor> w, ref (Tensor? Conv, Tensor? H) state)        // (b, l, dModel) → the same
{
    Tensor[] xz = Ops.LinearSplit(hidden, w("in_proj.weight"), null, d, d);                             // x, z: (b, l, d)
    Tensor u = Ops.CausalConv1d(xz[0], w("conv1d.weight").Reshape((d, k)), w("conv1d.bias"), silu: true, state.Conv);
    Tensor[] dtBC = Ops.LinearSplit(u, w("x_proj.weight"), null, r, n, n);                              // (b, l, r), B and C (b, l, n)
    Tensor delta = Ops.Linear(dtBC[0], w("dt_proj.weight"), w("dt_proj.bias")).Softplus();              // (b, l, d)
    (Tensor y, Tensor h) = Ops.SelectiveScan(u, delta, -w("A_log").Exp(), dtBC[1], dtBC[2], w("D"), deltaSoftplus: false, initialState: state.H);
    state = (Ops.ConvState(xz[0], k, state.Conv), h);
    return Ops.Linear(y * xz[1].Silu(), w("out_proj.weight"));
}

// ## The model
//
// A table has a vector for each byte. The *residual stream* begins as that vector; each block reads the stream and adds to it. Addition leaves gradients a
// straight way back past every block. What a block reads is divided by its root mean square (RMSNorm; each number is then multiplied by a weight), so that
// its size does not depend on what was added before. At the end the table is used again: the score of a byte, its *logit*, is how well its vector agrees
// with the stream. That is called a *tied* head.

static Tensor Forward(ParameterSet w, Tensor tokens, (Tensor? Conv, Tensor? H)[]? states = null)        // (b, l) → (b, l, v)
{
    states ??= new (Tensor?, Tensor?)[layers];                                                          // nothing has been read
    Tensor stream = Ops.Embedding(tokens, w["backbone.embedding.weight"]);
    for (int i = 0; i < layers; i++)
        stream += Block(Ops.RmsNorm(stream, w[$"backbone.layers.{i}.norm.weight"]), name => w[$"backbone.layers.{i}.mixer.{name}"], ref states[i]);
    return Ops.Linear(Ops.RmsNorm(stream, w["backbone.norm_f.weight"]), w["backbone.embedding.weight"]);
}

// ## The text, and what counting can do
//
// The chapters end to end, runs of spaces made one. The last tenth is *held out*: the model never trains on it, and is tested there. The loss is −ln of
// the probability that was given to the byte that came, on average: *nats a byte*. By itself such a number means little, so here is what counting gets.
// Counting bytes: how often does each occur? Counting pairs: how often does it follow this one? For rare pairs that is unreliable, so the counts of single
// bytes are mixed in, as if the first byte had been seen a few times more, followed by what bytes are like on average. How many times is chosen to be best
// on the test itself: an advantage that the model does not have.

byte[] course = [.. Directory.GetFiles(lesson.Model(".."), "*.cs").Order(StringComparer.Ordinal).SelectMany(File.ReadAllBytes).Where(b => b != '\r')];
int[] text = [.. course.Where((b, i) => i == 0 || b != ' ' || course[i - 1] != ' ')];
int[] train = text[..^(text.Length / 10)], test = text[train.Length..];
var (single, pairs) = (train.CountBy(b => b).ToDictionary(), train.Zip(train[1..]).CountBy(pair => pair).ToDictionary());
double Single(int b) => (single.GetValueOrDefault(b) + 1.0) / (train.Length + v);
double Pair((int, int) ab, double mix) => (pairs.GetValueOrDefault(ab) + mix * Single(ab.Item2)) / (single.GetValueOrDefault(ab.Item1) + mix);
double ofSingle = test[1..].Average(b => -Math.Log(Single(b)));
double ofPairs = new[] { 1.0, 2, 4, 8, 16, 32, 64 }.Min(mix => test.Zip(test[1..]).Average(pair => -Math.Log(Pair(pair, mix))));

// ## Is it Mamba?
//
// The library's `MambaLM` draws the same numbers in the same order: with the same seed both begin with the same weights. Then its logits must be these,
// and its gradients, too, although it computes in another way: bias, softplus and gate are inside its scan. In float64 nothing but rounding may differ.

Tensor Windows(int[] text, int[] at) => Tensor.From(at.SelectMany(i => text[i..(i + window)]).ToArray(), (at.Length, window), lesson.Device);

static double Apart(Tensor a, Tensor b) => Lesson.Apart(a.ToDoubles(), b.ToDoubles());

using ParameterSet exact = new(Declare(), DType.Float64, lesson.Device, seed: 1);
using MambaLM library = new(new MambaConfig { DModel = dModel, NLayer = layers, VocabSize = v }, lesson.Device, seed: 1, DType.Float64);
var check = new Tape();
Tensor some = Windows(train, [0, 500]), next = Windows(train, [1, 501]), ours = Forward(exact, some), theirs = library.Forward(some);
Gradients mine = check.Backward(Ops.CrossEntropy(ours, next)), its = check.Backward(Ops.CrossEntropy(theirs, next));
double logits = Apart(ours, theirs);
double gradients = Lesson.Worst(exact.Select(p => Apart(mine[p], its[library.Parameters[p.Name]]) / mine[p].ToDoubles().Max(Math.Abs)));
check.Dispose();

lesson.Exercise(1, "How many weights has one layer?", () => DeclareLayer("").Sum(p => p.Shape.Count), within: 0, hint: "in_proj alone has 2 · 128 · 64.");
lesson.Exercise(2, "How many numbers does the model remember between two bytes?", () => layers * (k * d + d * n), within: 0, hint: "The last k inputs, and h.");
lesson.Exercise(3, "A loss of 2 nats a byte is how many bits a byte?", () => 2 / Math.Log(2), hint: "One bit is ln 2 nats.");

// ## Training
//
// A step takes 8 windows from anywhere in the text and computes the mean loss of all their bytes at once, for in training it is known what follows.
// Gradients are scaled down to a norm of 1 if they are longer. AdamW does the rest, with a rate that rises for 20 steps and then falls like half a cosine.

using ParameterSet weights = new(Declare(), DType.Float32, lesson.Device, seed: 1);
using var optimizer = new AdamW(weights, learningRate: 0, weightDecay: 0.1);
int often = Math.Max(10, train.Length / window / 20), steps = 20 * often;           // each byte is read 8 times; more often if the text is short
var random = new PhiloxRandom(seed: 2);
List<double> losses = [], heldOut = [];

Tensor LossOf(int[] text, int[] at) => Ops.CrossEntropy(Forward(weights, Windows(text, at)), Windows(text[1..], at));

for (int step = 0; step <= steps; step++)
{
    using var tape = new Tape();
    if (step % often == 0)
        using (Tape.NoGrad())
            heldOut.Add(LossOf(test, [.. Enumerable.Range(0, (test.Length - 1) / window).Select(i => i * window)]).Item());
    Tensor loss = LossOf(train, [.. Enumerable.Range(0, 8).Select(_ => random.Next(train.Length - window))]);
    losses.Add(loss.Item());
    optimizer.LearningRate = new Schedule.WarmupCosine(Warmup: 20, Total: steps, Peak: 5e-3).LearningRate(step);
    optimizer.Step(tape.Backward(loss).ClipNorm(1));
}

// ## Writing
//
// The model gives every byte a probability, the softmax of the logits. Draw one, give it back to the model together with the state, and so on. Logits are
// divided by 0.7, a *temperature*, first: that makes the likely likelier. A byte takes as much work after a million others as after ten.

using var scope = new TensorScope();
var states = new (Tensor?, Tensor?)[layers];
List<int> written = [.. "// The state "u8];
List<double> said = [];
for (int read = 0; written.Count < 400;)                                            // first the beginning in one piece, then byte by byte
{
    said.AddRange(Forward(weights, Tensor.From(written[read..].ToArray(), (1, written.Count - read), lesson.Device), states).ToDoubles());
    read = written.Count;
    double[] p = [.. said[^v..].Select(logit => Math.Exp(logit / 0.7))];
    double drawn = random.NextDouble() * p.Sum();
    written.Add(Enumerable.Range(0, v - 1).FirstOrDefault(b => (drawn -= p[b]) < 0, v - 1));
}
Tensor whole = Forward(weights, Tensor.From(written[..^1].ToArray(), (1, written.Count - 1), lesson.Device));
Console.WriteLine(System.Text.Encoding.UTF8.GetString([.. written.Select(b => (byte)b)]));
lesson.Table(["held out", "nats a byte"], [["guessing", Math.Log(v)], ["counting bytes", ofSingle], ["counting pairs", ofPairs], ["model", heldOut[^1]]]);
lesson.Draw(new Chart("Learning to write this course", "step", "loss, nats a byte").Limit("counting bytes", ofSingle).Limit("counting pairs", ofPairs)
    .Line("in training", losses).Line("held out", [.. Enumerable.Range(0, heldOut.Count).Select(i => (double)often * i)], heldOut, dots: true));

// Where the line of training ends below the other, a part of what was read eight times is known by heart, or the last tenth, which is the last chapter, is
// unlike the rest. Only the other line says what was learned of the language.
//
// Why does the loss begin near ln 256 = 5.545? The normed stream has dModel = 64 numbers of size 1, the table's are of size 0.02, so a logit, a sum of 64
// products, is of size 0.02 · √64 = 0.16, and most probabilities are near 1/256. (Only the byte just read scores higher, up to 64 · 0.02 = 1.28: its own
// vector is still in the stream.) A loss that begins at 9 says that something begins too large.

lesson.Claim("The logits are those of the library's model", logits, within: 1e-14);
lesson.Claim("The gradients are those of the library's model", gradients, within: 1e-13);
lesson.Claim("The loss begins near ln 256", heldOut[0] - Math.Log(v), within: 0.05);
lesson.Claim("What was held out is predicted better than by counting pairs", heldOut[^1] < ofPairs);
lesson.Claim("Byte by byte, with a state, it says what it says of the whole", Lesson.Apart(said, whole.ToDoubles()), within: 2e-4);

// ## To try
//
// Leave out the convolution (u = xz[0].Silu()) or the gate: it is not Mamba any more; how much does it lose? Let the table begin with Normal(0.2): where does
// the loss begin? Take a text of your own: `byte[] course = File.ReadAllBytes("…");`.

return lesson.End();
