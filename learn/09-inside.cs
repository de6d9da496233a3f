#:project ../Mamba.Learn/Mamba.Learn.csproj

// # 9. What a trained model does
//
//     dotnet run learn/09-inside.cs
//
// A model that answers right has found a way to do it. Which? The weights do not say. But in a Mamba layer there are few places where anything can be kept or
// let through, and all have names: the state h, the step size delta, B, C. So open it: look at them while it works, form an idea, then change something of
// which the idea says what will happen. Looking alone shows what goes together; only changing shows what is the cause.
//
// Two small models of `learn/models` are opened, trained on the two tasks of the paper's section 4.1. Each has two layers, 0 and 1, of 128 channels with 16
// states. `model.Trace` takes down what is inside, a `Hook` changes it (docs/inspect.md).

using Mamba;
using Mamba.Learn;

using var lesson = new Lesson(args);
using var scope = new TensorScope();
const int Sequences = 100, Channels = 128, States = 16;
MambaLM Open(string name) => MambaLM.Load(lesson.Model(name), lesson.Device, DType.Float64);     // the file has float32

static int[] Says(Tensor logits) =>                                             // the likeliest token at each position
    [.. logits.ToDoubles().Chunk((int)logits.Shape[^1]).Select(v => Array.IndexOf(v, v.Max()))];

// The intervention of this chapter: at tokens t of sequences i of our choice a value becomes 0, or what is given instead.

static Hook At(Site site, int layer, Func<int, int, bool> where, Func<int, int, double[]>? instead = null, Indices? channels = null) =>
    Hook.Change(site, (x, at) =>
    {
        (int I, int T)[] tokens = [.. Enumerable.Range(0, (int)(x.Shape[0] * at.Count)).Select(k => (k / (int)at.Count, (int)(at.Position + k % at.Count)))];
        Shape shape = site == Site.H ? (x.Shape[0], at.Count, 1, 1) : (x.Shape[0], at.Count, 1);
        Tensor rest = x * Tensor.From([.. tokens.Select(p => where(p.I, p.T) ? 0.0 : 1)], shape, x.Device);
        return instead is null ? rest
            : rest + Tensor.From([.. tokens.SelectMany(p => where(p.I, p.T) ? instead(p.I, p.T) : new double[x.Shape[^1]])], x.Shape, x.Device);
    }, layers: layer, channels: channels);

lesson.Exercise(1, "Ā is 1/2 at every step, B̄ is 1, C is 2, and there is one state. How much of input 1 is in output 4?", () => 2 * 1 * Math.Pow(0.5, 3),
    hint: "The input of step 1 goes through the steps 2, 3 and 4.");
lesson.Exercise(2, "A is −0.5. With what step size Δ is 1 − e^(ΔA) = 0.99?", () => Math.Log(0.01) / -0.5, hint: "ΔA is ln 0.01, a negative number.");
lesson.Exercise(3, "A token of noise takes 1e-5 of a state. After how many is half left?", () => Math.Log(0.5) / Math.Log(1 - 1e-5), hint: "0.99999^k = 1/2.");

// ## A scan is a matrix
//
// Attention can be looked at: its matrix says which token looks at which. A scan has such a matrix, too. Write the recurrence of one channel, whose state h_t
// is 16 numbers, and put it into itself as in chapter 1:
//
//     h_t = Ā_t h_{t−1} + B̄_t u_t = Σ_{j≤t} (Ā_t … Ā_{j+2} Ā_{j+1}) B̄_j u_j
//     y_t = C_t·h_t + D u_t       = Σ_{j≤t} M_tj u_j + D u_t,          M_tj = C_t·(Ā_t … Ā_{j+2} Ā_{j+1}) B̄_j          (Ali et al. 2024, arXiv 2403.01590)
//
// M_tj is how much of input j is in output t. Like causal attention it is lower triangular; unlike it, it has no softmax, its numbers may be negative, and it
// is never stored. It is called *hidden attention*. Below it is made by hand, for one channel.
//
// ## Induction heads
//
// The task: 32 tokens, random ones of fifteen kinds. But a special one, S, stands among them (here at place 3 to 23, from 0) and again at the end. Which
// token came after the first?

const int L = 32, Special = InductionHeads.Special, Channel = 39;
using MambaLM induction = Open("induction-heads");
int[][] drawn = [.. Enumerable.Range(0, 1000).Select(i => new InductionHeads().Draw(new PhiloxRandom(9, (ulong)i), 1, L).Tokens)
    .Where(ids => Array.IndexOf(ids, Special) is >= 3 and <= L - 9).Take(Sequences)];
int[] first = [.. drawn.Select(ids => Array.IndexOf(ids, Special))], answer = [.. drawn.Select((ids, i) => ids[first[i] + 1])];
Tensor tokens = Tensor.From([.. drawn.SelectMany(ids => ids)], (Sequences, L), lesson.Device);
int Right(params Hook[] hooks)                                                  // answers, of 100
{
    using var run = new TensorScope();
    return Says(induction.Forward(tokens, hooks: hooks)).Where((_, k) => k % L == L - 1).Zip(answer).Count(p => p.First == p.Second);
}

using ModelTrace seen = induction.Trace(tokens);
double[] aBar = seen[0].Abar.ToDoubles(), bBar = seen[0].Bbar.ToDoubles(), c = seen[0].C.ToDoubles();
double[] u = seen[0].U.ToDoubles(), y = seen[0].Y.ToDoubles(), skip = seen[0].D.ToDoubles();
double[] byHand = new double[L * L], product = new double[L];
for (int t = 0; t < L; t++)
{
    for (int n = 0; n < States; n++)
        for ((int j, double left) = (t, 1); j >= 0; left *= aBar[(j * States + n) * Channels + Channel], j--)
            byHand[t * L + j] += c[t * States + n] * left * bBar[(j * States + n) * Channels + Channel];
    product[t] = Enumerable.Range(0, t + 1).Sum(j => byHand[t * L + j] * u[j * Channels + Channel]) + skip[Channel] * u[t * Channels + Channel];
}
double[] byKernel = [.. Enumerable.Range(0, L).Select(t => y[t * Channels + Channel])], byLibrary = seen[0].HiddenAttention(Channel, 1).ToDoubles()[..(L * L)];

// ### Where it looks
//
// M tells of the inputs u of the scan. But u_j is not token j: before the scan a convolution has mixed the last four tokens into it. So carry |M| through the
// weights of the convolution, take the mean over the channels, and scale each row to a sum of 1: `trace[0].Attention()`. The first chart has its last row, of
// the first sequence: layer 0 looks at the token after S. Of all hundred sequences, in how many has that one the largest share?

double[][] LastRows(int layer) => [.. seen[layer].Attention().ToDoubles().Chunk(L).Where((_, k) => k % L == L - 1)];
double[][][] looks = [LastRows(0), LastRows(1)];
int[] found = [.. looks.Select(rows => rows.Where((row, i) => Array.IndexOf(row, row.Max()) == first[i] + 1).Count())];

// ### How it does that
//
// By delta. What a token does to a state is 1 − Ā = 1 − e^{ΔA}: the share of the old content that goes, to make room for the new. Chapter 4 calls it a gate.
// Of the 16 states of a channel take the slowest, that of the least |A|. Some channels *keep*: noise takes less than 1 % of them, on average. What takes more?

double[] Shares(ModelTrace trace, int layer)                                    // (b, l, d): 1 − Ā of the slowest state
{
    double[] slow = [.. trace[layer].A.ToDoubles().Chunk(States).Select(a => a.Max())];
    return [.. trace[layer].Delta.ToDoubles().Select((delta, k) => 1 - Math.Exp(delta * slow[k % Channels]))];
}

static double[] Means(double[] values, int l, Func<int, int, bool> where)       // of each channel, over some tokens t of sequences i
{
    int[] chosen = [.. Enumerable.Range(0, values.Length / Channels).Where(k => where(k / l, k % l))];
    return [.. Enumerable.Range(0, Channels).Select(channel => chosen.Average(k => values[k * Channels + channel]))];
}

bool Taken(int i, int t) => t == first[i] + 2 || t == first[i] + 3;
double[] shares = Shares(seen, 0), others = Means(shares, L, (i, t) => (t < first[i] || t > first[i] + 3) && t < L - 1);
int[] keep = [.. Enumerable.Range(0, Channels).Where(channel => others[channel] < 0.01)];
double[][] takes = [.. Enumerable.Range(0, 4).Select(k => Means(shares, L, (i, t) => t == first[i] + k)), others, Means(shares, L, (_, t) => t == L - 1)];
lesson.Table(["layer 0, token", "share it takes, %", $"channels, of {keep.Length} that keep, where it takes over half"],
    new[] { "S", "1 after S", "2 after S", "3 after S", "noise", "S at the end" }.Zip(takes, (name, g) =>
        new object[] { name, 100 * keep.Average(k => g[k]), keep.Count(k => g[k] > 0.5) }));

// Two and three after S. From one to three after S the convolution's four tokens hold both S and the answer; these channels wait until S is two or three
// ago. With a large delta they then take in u, and the answer is in u. An attention model needs a layer of its own to bring a token and the one before it
// together (Olsson et al. 2022, arXiv 2209.11895); here the convolution does it. But this is an idea, from looking. If it is right, delta could be 0 at all
// other tokens, and not at these two:

int onlyTaken = Right(At(Site.Delta, 0, (i, t) => !Taken(i, t))), notTaken = Right(At(Site.Delta, 0, Taken));

// ### Break it
//
// And from there on the answer must wait in the state. Wipe the state (all of it becomes 0) after one token: before the answer is taken in, that should cost
// nothing, and later everything. The second chart does it at ten places in turn, in each layer. Wiped two after S the answer survives: at three after
// S some channels take it in anew.

int[] places = [.. Enumerable.Range(-2, 10)];
double[][] wiped = [.. new[] { 0, 1 }.Select(layer => places.Select(k => (double)Right(At(Site.H, layer, (i, t) => t == first[i] + k))).ToArray())];

// ### And layer 1?
//
// It does next to nothing for this task. Its attention points elsewhere, its state can be wiped, and all its y can be set to 0. After layer 0 alone the
// head, which turns what a layer leaves into logits, already says the right token (`TopIds` of a trace; this is called the logit lens). What layer 1 adds
// is certainty: the doubt, 1 less the probability of the right token, is smaller with it.

double Doubt(Tensor logits) => Ops.Softmax(logits).ToDoubles().Chunk(16).Where((_, k) => k % L == L - 1).Zip(answer).Average(p => 1 - p.First[p.Second]);
int early = seen[0].TopIds.ToArray<int>().Chunk(8).Where((_, k) => k % L == L - 1).Zip(answer).Count(p => p.First[0] == p.Second);
int alone = Right(Hook.Wipe(Site.Y, layers: 1));
double doubt = Doubt(seen.Logits), doubtAlone = Doubt(induction.Forward(tokens, hooks: [Hook.Wipe(Site.Y, layers: 1)]));
lesson.Table(["of 100 sequences", ""], [["largest share on the token after S, layer 0", found[0]], ["the same, layer 1", found[1]],
    ["right, delta 0 but for 2 and 3 after S", onlyTaken], ["right, delta 0 at these two", notTaken], ["right without layer 1", alone]]);
Console.WriteLine($"\nThe mean doubt is {doubt:0.0e0}; without layer 1 {doubtAlone:0.0e0}.");

// ## Selective copying
//
// The other task: 8 data tokens, of fourteen kinds, stand at random places among 56 of noise; all noise is one and the same token. Then come 8 markers, and
// at each the next data token is to be said, in order. Noise must not push the data out. Theorem 1 (section 3.5.1; chapter 4) says how delta can see to that:
// as a gate, open to data and shut to noise. Is it?

const int Data = 8, Body = 64, All = Body + Data;
using MambaLM copying = Open("selective-copying");
Batch fresh = new SelectiveCopying(Data).Draw(new PhiloxRandom(9, 5000), Sequences, Body);
static bool Stands(int id) => id is > SelectiveCopying.Noise and < SelectiveCopying.Marker;
int[][] count = [.. fresh.Tokens.Chunk(All).Select(ids => Enumerable.Range(1, All).Select(t => ids.Take(t).Count(Stands)).ToArray())];     // data so far
int[][] since = [.. fresh.Tokens.Chunk(All).Select(ids => Enumerable.Range(0, All)                                  // tokens since the last data token
    .Select(t => Array.FindLastIndex(ids, t, Stands) is >= 0 and var last ? t - last : All).ToArray())];

double[] Copied(int later, params Hook[] hooks)                                 // at each marker: % that say its data token, or the one so many later
{
    using var run = new TensorScope();
    int[] says = Says(copying.Forward(Tensor.From(fresh.Tokens, (Sequences, All), lesson.Device), hooks: hooks));
    return [.. Enumerable.Range(Body, Data - later).Select(t => 100.0 / Sequences
        * Enumerable.Range(0, Sequences).Count(i => says[i * All + t] == fresh.Targets[i * All + t + later]))];
}

// Which layer has the data? Wipe the state of one, then of the other, just before the markers.

double[] emptied = [.. new[] { 0, 1 }.Select(layer => Copied(0, Hook.Wipe(Site.H, layers: layer, positions: Body - 1)).Average())];

// Layer 1 has them. Now its step sizes. As above, u has a data token in it for four tokens. Take the last of these, three after the data token ("data"), and
// compare it with tokens that have no data among their four ("noise"). Some channels of layer 1 give over half of their content to the first data token: call
// them the gates. A gate on noise would have two numbers, a large and a small one. These have more: the table goes by how many data tokens have come.

bool IsNoise(int i, int t) => t < Body && since[i][t] > 3 && count[i][t] > 0;
bool IsData(int i, int t) => t < Body && since[i][t] == 3;
using ModelTrace copy = copying.Trace(Tensor.From(fresh.Tokens, (Sequences, All), lesson.Device), new TraceSettings { Values = TraceValues.Delta });
double[][] ByCount(double[] values, Func<int, int, bool> where) =>
    [.. Enumerable.Range(1, Data).Select(k => Means(values, All, (i, t) => where(i, t) && count[i][t] == k))];
double[] step = copy[1].Delta.ToDoubles(), share1 = Shares(copy, 1);
double[][] onNoise = ByCount(share1, IsNoise), onData = ByCount(share1, IsData);
int[] gates = [.. Enumerable.Range(0, Channels).Where(k => onData[0][k] > 0.5)], rest = [.. Enumerable.Range(0, Channels).Except(gates)];
double[] OfGates(double[][] g) => [.. g.Select(g => 100 * gates.Average(k => g[k]))];
double[] noiseTakes = OfGates(onNoise), dataTakes = OfGates(onData), ratio = [.. dataTakes.Zip(noiseTakes, (d, n) => d / n)];
lesson.Table(["data tokens so far", $"noise takes of {gates.Length} gates, %", "data takes, %", "data / noise"],
    Enumerable.Range(0, Data).Select(k => new object[] { k + 1, noiseTakes[k], dataTakes[k], ratio[k] }));

// So delta asks two things: is there data, and how many have come? At first the gates are open to everything, and keep nothing. From the fourth data token on
// they are gates as the theorem has them: data goes in, noise does not. Towards the end data takes little, too; else the last data token would wipe out those
// before it. The third chart shows one of them: late in the sequence, of the four dots of a data token only the last, three after it, is high.
//
// ### Break it
//
// If so, the gates hold the *last* data tokens, and the first ones must be elsewhere. Wipe the state of the gates just before the markers, or that of the other
// channels. And is the gate the cause? Let noise have the delta of data, for the same count, in the gates alone; let data have that of noise. As a control,
// let noise have the mean delta of noise: if that breaks nothing, it is not the means that do. And let delta on noise be 0.

double[] Held(Func<int, int, bool> where, double[][] delta) => Copied(0, At(Site.Delta, 1, where, (i, t) => delta[count[i][t] - 1], gates));
double[] EmptiedOf(int[] channels) => Copied(0, Hook.Wipe(Site.H, layers: 1, positions: Body - 1, channels: channels));
double[][] ofNoise = ByCount(step, IsNoise), changed = [Copied(0), Held(IsNoise, ofNoise), Copied(0, At(Site.Delta, 1, IsNoise, channels: gates)),
    Held(IsNoise, ByCount(step, IsData)), Held(IsData, ofNoise), EmptiedOf(gates), EmptiedOf(rest)];
double[] first4 = [.. changed.Select(right => right[..4].Average())], last4 = [.. changed.Select(right => right[4..].Average())];

// The data are split: the first four stand in the other channels, the last four behind the gates.
//
// Who counts? The delta of layer 1 is made of what layer 0 hands on, and layer 0 has a state. Wipe that of either layer in the middle, three tokens after the
// fourth data token. Without what layer 1 remembers, the model forgets four data tokens and knows the other four. Without what layer 0 remembers it says, at
// the first markers, the *fifth* data token and those after it: it has begun to count anew, and put them in the places of the first.
//
// So there is a gate like that of Theorem 1 (in the released rule what it lets in is times Δ, chapter 4), and it is the cause. But it is not where one would
// have drawn it: in some channels, for half of the data, and opened by what another layer has counted. This is one model; another may do it otherwise.

int[] Middle(int k) => [.. Enumerable.Range(0, Sequences).Select(i => Enumerable.Range(0, All).First(t => count[i][t] == k) + 3)];
double[] Halved(int layer, int k, int later) => Middle(k) is var middle ? Copied(later, At(Site.H, layer, (i, t) => t == middle[i])) : [];
double[] forgot = Halved(1, 4, 0), lost = Halved(0, 4, 0), anew = Halved(0, 4, 4);
object[] Row(string name, double[] says) => [name, .. says.Cast<object>(), .. Enumerable.Repeat<object>("", Data - says.Length)];
lesson.Table(["% of answers at marker", .. Enumerable.Range(1, Data).Select(k => $"{k}")], [Row("layer 1 wiped: its data token", forgot),
    Row("layer 0 wiped: its data token", lost), Row("layer 0 wiped: the one four later", anew)]);

int gate = gates.MaxBy(k => onNoise[0][k] - onNoise[^1][k]);
int Noise(int i, int from, int to) => Enumerable.Range(0, Body).Count(t => IsNoise(i, t) && count[i][t] >= from && count[i][t] <= to);
int shown = Enumerable.Range(0, Sequences).MaxBy(i => Math.Min(Noise(i, 1, 2), Math.Min(Noise(i, 4, 4), Noise(i, 5, 5))));
double[] Places(bool noise) => [.. Enumerable.Range(0, Body).Where(t => since[shown][t] > 3 == noise).Select(t => (double)t)];
double[] Heights(bool noise) => [.. Places(noise).Select(t => 100 * share1[(shown * All + (int)t) * Channels + gate])];
lesson.Draw(
    new Chart("Induction: where the end looks", "token; S is the special one", "share of the row, %").Limits(-0.7, L - 0.3, 0, 60)
        .Bars("layer 0", [.. looks[0][0].Select(x => 100 * x)], -0.2, 0.4).Bars("layer 1", [.. looks[1][0].Select(x => 100 * x)], 0.2, 0.4)
        .NamesX([.. drawn[0].Select(id => id == Special ? "S" : $"{(char)('a' + id)}")]),
    new Chart("Induction: the state wiped once", "after which token, counted from S", "right answers of 100") { Legend = Corner.Outside }
        .Bars("in layer 0", wiped[0], -0.2, 0.4).Bars("in layer 1", wiped[1], 0.2, 0.4).Line("chance", [-0.7, 9.7], [100 / 15.0, 100 / 15.0], dashed: true)
        .NamesX([.. places.Select(k => $"{k}")]).Limits(-0.7, 9.7, 0, 105),
    new Chart("Copying: one gate of layer 1", "token of one sequence", "share the token takes, %") { Legend = Corner.Outside }
        .Dots("noise", Places(true), Heights(true)).Dots("data among the last four", Places(false), Heights(false)).Limits(-2, Body + 1, -5, 105),
    new Chart("Copying: the gates of layer 1 changed", "", "right answers, %") { Legend = Corner.Outside }.Limits(-0.7, 6.7, 0, 105)
        .Bars("data tokens 1 to 4", first4, -0.2, 0.4).Bars("5 to 8", last4, 0.2, 0.4).Line("chance", [-0.7, 6.7], [100 / 14.0, 100 / 14.0], dashed: true)
        .NamesX(["as\nit is", "noise has\nits mean", "noise\nhas 0", "noise\nas data", "data\nas noise", "gates\nwiped", "others\nwiped"]));

lesson.Claim("M u + D u is the scan", Lesson.Apart(product, byKernel) / byKernel.Max(Math.Abs), within: 4e-15);
lesson.Claim("The library's M is the one by hand", Lesson.Apart(byLibrary, byHand) / byHand.Max(Math.Abs), within: 4e-15);
lesson.Claim("All hundred answers are right; layer 0 looks at the token after S in all, layer 1 in few", (Right(), found[0]) == (100, 100) && found[1] < 10);
lesson.Claim("Most channels that keep open two or three after S", keep.Count(k => takes[2][k] > 0.5 || takes[3][k] > 0.5) > 0.8 * keep.Length);
lesson.Claim("Delta of layer 0 may be 0 at all other tokens, and not at these two", onlyTaken == 100 && notTaken < 25);
lesson.Claim("Layer 0 wiped up to two after S costs nothing, later all but chance", wiped[0][..5].Min() == 100 && wiped[0][5..].Max() < 20);
lesson.Claim("Layer 1 wiped costs nothing", wiped[1].Min() == 100);
lesson.Claim("Layer 0 alone is right, with more than a hundred times the doubt", (early, alone) == (100, 100) && doubtAlone > 100 * doubt);
lesson.Claim("Fresh sequences are copied", changed[0].Min() > 98);
lesson.Claim("At the end the data are in layer 1, not in layer 0", emptied[1] < 20 && emptied[0] > 90);
lesson.Claim("At first the gates are as open to noise as to data", ratio[0] < 1.2 && noiseTakes[0] > 60);
lesson.Claim("From four data tokens on data takes three times what noise does, from five on ten times", ratio[3] > 3 && ratio[4..].Min() > 10);
lesson.Claim("The gates hold the last four, the others the first four", first4[5] > 98 && last4[5] < 30 && first4[6] < 25 && last4[6] > 98);
lesson.Claim("Noise as data, or data as noise, costs the last four, not the first", last4[3..5].Max() < 40 && first4[3..5].Min() > 95);
lesson.Claim("Noise with its mean delta, or with 0, costs nothing", last4[1..3].Concat(first4[1..3]).Min() > 98);
lesson.Claim("Layer 1 wiped in the middle forgets what has come, and only that", forgot[..4].Max() < 25 && forgot[4..].Min() > 98);
lesson.Claim("Layer 0 wiped in the middle counts anew", anew[..3].Min() > 70 && lost.Max() < 40);

// ## To try
//
// Give `Channel` another number: the matrix is the scan in each. Draw sequences with `Body` 128: copying still works, and the gates shut at the same counts. In
// `Taken`, leave out one of the two tokens: some answers survive. Put `Hook.Scale(Site.H, 0.9, layers: 0)` into `Right`: a state may fade and still be read.

lesson.Exercise(4, "The state of layer 0 is wiped three after the sixth data token. Which one, 1 to 8, do most sequences say at the first marker?",
    () => 1 + Enumerable.Range(0, Data).MaxBy(later => Halved(0, 6, later)[0]), hint: "After the fourth it was the fifth.");
return lesson.End();
