namespace Mamba;

/// <summary>
/// Causal softmax attention with several heads: hidden (b, l, d_model) → (b, l, d_model). Vaswani et al. 2017 (arXiv 1706.03762), §3.2; the baseline that the
/// paper holds Mamba against on induction heads (arXiv 2312.00752, Table 11). Of plain ops: it keeps an (l, l) matrix of every head, so it is for
/// lengths of some thousands.
/// <code>
/// q, k, v = split(in_proj(hidden)),   q and k turned by their positions if rotary
/// out     = out_proj(softmax(q kᵀ / √(d_model / h)) v),   over the tokens of the sequence up to each
/// </code>
/// </summary>
public sealed class AttentionMixer : StatelessMixer
{
    readonly int model, heads, width;
    readonly bool rotary;
    readonly Parameter inProj, outProj;
    readonly Parameter? positions;

    /// <param name="config">The model it is for, whose <see cref="MambaConfig.Mixer"/> is an <see cref="AttentionConfig"/>.</param>
    /// <exception cref="MambaException">The config has another kind of mixer.</exception>
    public AttentionMixer(MambaConfig config)
    {
        AttentionConfig settings = MixerConfig.Of<AttentionConfig>(config);
        (model, heads, rotary) = (config.DModel, settings.Heads, settings.Rotary);
        width = model / heads;
        inProj = Add("in_proj.weight", (3 * model, model), initial: Initial.Kaiming(model));
        positions = settings.MaxLength is { } most ? Add("positions", (most, model), decay: false, Initial.Normal(0.02)) : null;
        outProj = Add("out_proj.weight", (model, model), initial: Initial.Kaiming(model, residuals: config.NLayer));
    }

    /// <inheritdoc/>
    protected override string WhyStateless => "attention looks back at every token";

    /// <inheritdoc/>
    protected override Tensor Mix(Tensor hidden, Tensor? reset)
    {
        Tensor? starts = reset is null ? null : Starts(hidden, reset);                          // (b, l)
        if (positions is not null)
            hidden += Ops.Embedding(Places(hidden.Shape, starts), positions);
        Tensor[] qkv = Ops.LinearSplit(hidden, inProj, null, model, model, model);              // 3 × (b, l, d_model)
        Tensor q = Heads(qkv[0]), k = Heads(qkv[1]), v = Heads(qkv[2]);                         // (b, h, l, d_model / h)
        if (rotary)
            (q, k) = (Turned(q), Turned(k));
        Tensor scores = Ops.MatMul(q, k, transposeB: true) * (1 / Math.Sqrt(width));            // (b, h, l, l)
        Tensor y = Ops.MatMul(Ops.Softmax(Allowed(scores, starts)), v);
        return Ops.Linear(Ops.Reshape(Ops.Permute(y, 0, 2, 1, 3), hidden.Shape), outProj);
    }

    Tensor Heads(Tensor x) => Ops.Permute(Ops.Reshape(x, (x.Shape[0], x.Shape[1], heads, width)), 0, 2, 1, 3);

    /// <summary>Each pair (x_i, x_(i + width/2)) of token t turned by the angle t · 10000^(−2i/width): q·k then depends on the distance alone.</summary>
    Tensor Turned(Tensor x)
    {
        long l = x.Shape[2];
        int half = width / 2;
        double[] angles = [.. Enumerable.Range(0, checked((int)(l * half))).Select(i => i / half * Math.Pow(10000, -2.0 * (i % half) / width))];
        Tensor cos = Tensor.From([.. angles.Select(Math.Cos)], (l, half), x.DType, x.Device), sin = Tensor.From([.. angles.Select(Math.Sin)], (l, half),
            x.DType, x.Device);
        Tensor[] halves = Ops.Split(x, -1, half, half);
        return Ops.Concat(-1, halves[0] * cos - halves[1] * sin, halves[1] * cos + halves[0] * sin);
    }

    /// <summary>Scores with −10³⁰, whose exponential is 0, where the key comes after the query or before the query's sequence.</summary>
    static Tensor Allowed(Tensor scores, Tensor? starts)
    {
        long l = scores.Shape[^1];
        Tensor never = Ops.Fill(scores.Like(new Shape()), -1e30), t = Tensor.From([.. Enumerable.Range(0, checked((int)l)).Select(i => (double)i)], l,
            scores.DType, scores.Device);
        Tensor allowed = Ops.Where(Ops.Greater(t, Ops.Reshape(t, (l, 1))), never, scores);
        return starts is null ? allowed : Ops.Where(Ops.Less(t, Ops.Reshape(starts, (starts.Shape[0], 1, l, 1))), never, allowed);
    }

    /// <summary>The place within its row at which the sequence of each token starts: (b, l).</summary>
    static Tensor Starts(Tensor hidden, Tensor reset)
    {
        Shape shape = hidden.Shape[..2];
        Arguments.Ints("AttentionMixer", reset, hidden.Device);
        Shape.Expect("AttentionMixer", reset, shape, $"b and l come from hidden {hidden.Shape}");
        int[] marks = reset.ToArray<int>();
        double[] starts = new double[marks.Length];
        for (int i = 0, l = (int)shape[1]; i < marks.Length; i++)
            starts[i] = i % l == 0 || marks[i] != 0 ? i % l : starts[i - 1];
        return Tensor.From(starts, shape, hidden.DType, hidden.Device);
    }

    /// <summary>Each token's position in its sequence, (b, l) int32.</summary>
    Tensor Places(Shape hidden, Tensor? starts)
    {
        int l = (int)hidden[1], most = (int)positions!.Shape[0];
        double[]? from = starts?.ToDoubles();
        int[] places = [.. Enumerable.Range(0, checked((int)hidden[0] * l)).Select(i => i % l - (int)(from?[i] ?? 0))];
        if (places.DefaultIfEmpty().Max() is var last && last >= most)
            throw new MambaException($"AttentionMixer: a sequence has {last + 1} tokens; expected at most {most}, max_length of the settings.");
        return Tensor.From(places, (hidden[0], l), positions.Value.Device);
    }
}
