namespace Mamba;

/// <summary>
/// The Mamba block, Figure 3 of the paper: hidden (b, l, d_model) → (b, l, d_model).
/// <code>
/// x, z        = split(in_proj(hidden))
/// u           = silu(causal_conv1d(x))
/// dt, B, C    = split(x_proj(u)),  delta = softplus(dt_proj(dt))
/// y           = selective_scan(u, delta, A = −exp(A_log), B, C, D) · silu(z)
/// out         = out_proj(y)
/// </code>
/// </summary>
public sealed class MambaBlock
{
    readonly MambaConfig config;

    internal MambaBlock(MambaConfig config, int layer)
    {
        this.config = config;
        string prefix = $"backbone.layers.{layer}.mixer.";
        int d = config.DInner, n = config.SsmCfg.DState, r = config.DtRank, model = config.DModel;
        ALog = new Parameter(prefix + "A_log", (d, n), decay: false);
        D = new Parameter(prefix + "D", d, decay: false);
        InProj = new Parameter(prefix + "in_proj.weight", (2 * d, model));
        InProjBias = config.SsmCfg.Bias ? new Parameter(prefix + "in_proj.bias", 2 * d, decay: false) : null;
        ConvWeight = new Parameter(prefix + "conv1d.weight", (d, 1, config.SsmCfg.DConv));
        ConvBias = config.SsmCfg.ConvBias ? new Parameter(prefix + "conv1d.bias", d, decay: false) : null;
        XProj = new Parameter(prefix + "x_proj.weight", (r + 2 * n, d));
        DtProj = new Parameter(prefix + "dt_proj.weight", (d, r));
        DtBias = new Parameter(prefix + "dt_proj.bias", d, decay: false);
        OutProj = new Parameter(prefix + "out_proj.weight", (model, d));
        OutProjBias = config.SsmCfg.Bias ? new Parameter(prefix + "out_proj.bias", model, decay: false) : null;
    }

    public Parameter ALog { get; }              // (d, n)
    public Parameter D { get; }                 // (d)
    public Parameter InProj { get; }            // (2 d, d_model): x, then z
    public Parameter? InProjBias { get; }       // (2 d)
    public Parameter ConvWeight { get; }        // (d, 1, k)
    public Parameter? ConvBias { get; }         // (d)
    public Parameter XProj { get; }             // (r + 2 n, d): dt, B, C
    public Parameter DtProj { get; }            // (d, r)
    public Parameter DtBias { get; }            // (d)
    public Parameter OutProj { get; }           // (d_model, d)
    public Parameter? OutProjBias { get; }      // (d_model)

    internal IEnumerable<Parameter> Parameters =>
        new[] { ALog, D, InProj, InProjBias, ConvWeight, ConvBias, XProj, DtProj, DtBias, OutProj, OutProjBias }.OfType<Parameter>();

    /// <summary>
    /// hidden (b, l, d_model) → (b, l, d_model); with a state, starts from it and leaves the state after the last token in it.
    /// reset (b, l) int32 is not 0 where a sequence starts.
    /// </summary>
    internal Tensor Forward(Tensor hidden, MambaState.Layer? state, Tensor? reset)
    {
        int d = config.DInner, n = config.SsmCfg.DState, r = config.DtRank, k = config.SsmCfg.DConv;
        (Tensor? conv, Tensor? ssm) = state is null ? default : state.Before();
        Tensor[] xz = Ops.LinearSplit(hidden, InProj, InProjBias, d, d);                                    // 2 × (b, l, d)
        (Tensor x, Tensor z) = (xz[0], xz[1]);
        Tensor u = Ops.CausalConv1d(x, Ops.Reshape(ConvWeight, (d, k)), ConvBias, silu: true, conv, reset);                  // (b, l, d)
        Tensor[] dtBC = Ops.LinearSplit(u, XProj, null, r, n, n);                                           // (b, l, r), (b, l, n), (b, l, n)
        Tensor delta = Ops.Linear(dtBC[0], DtProj);                                                         // (b, l, d)
        Tensor A = -Ops.Exp(ALog);                                                                          // (d, n)
        ScanOutputs scan = Ops.SelectiveScan(new ScanInputs
        {
            U = u,
            Delta = delta,
            A = A,
            B = dtBC[1],
            C = dtBC[2],
            D = D,
            Z = z,
            DeltaBias = DtBias,
            InitialState = ssm,
            Reset = reset,
        });
        state?.MoveOn(Ops.ConvState(x, k, conv, reset), scan.LastState);
        return Ops.Linear(scan.Y, OutProj, OutProjBias);
    }

    /// <summary>One token, hidden (b, d_model) → (b, d_model): <see cref="Forward"/> without gradients, the state changed in place.</summary>
    internal Tensor Step(Tensor hidden, MambaState.Layer state)
    {
        Tensor xz = Ops.Linear(hidden, InProj, InProjBias);                                                 // (b, 2 d)
        Tensor y = Ops.MambaStep(xz, state.Conv, state.Ssm, ConvWeight, ConvBias, XProj, DtProj, DtBias, ALog, D);
        Tensor next = Ops.Linear(y, OutProj, OutProjBias);
        xz.Dispose();
        y.Dispose();
        return next;
    }

    /// <summary>The initial values of DESIGN's §3: those of the official code.</summary>
    internal void Initialize(PhiloxRandom random)
    {
        SsmConfig ssm = config.SsmCfg;
        int n = ssm.DState;
        Fill(ALog, i => Math.Log(1 + i % n));
        Fill(D, _ => 1);
        Uniform(InProj, Bound(config.DModel));
        Uniform(ConvWeight, Bound(ssm.DConv));
        if (ConvBias is not null)
            Uniform(ConvBias, Bound(ssm.DConv));
        Uniform(XProj, Bound(config.DInner));
        double scale = ssm.DtScale / Math.Sqrt(config.DtRank);
        if (ssm.DtInit == "constant")
            Fill(DtProj, _ => scale);
        else
            Uniform(DtProj, scale);
        Fill(DtBias, _ =>
        {
            double dt = Math.Exp(random.NextDouble() * (Math.Log(ssm.DtMax) - Math.Log(ssm.DtMin)) + Math.Log(ssm.DtMin));
            dt = Math.Max(dt, ssm.DtInitFloor);
            return dt + Math.Log(1 - Math.Exp(-dt));                        // softplus⁻¹
        });
        Uniform(OutProj, Bound(config.DInner) / Math.Sqrt(config.NLayer));  // one residual a layer

        // Kaiming-uniform with a = √5, PyTorch's default, is U(±fan_in^−½)
        static double Bound(int fanIn) => 1 / Math.Sqrt(fanIn);
        void Uniform(Parameter p, double bound) => Fill(p, _ => bound * (2 * random.NextDouble() - 1));
        static void Fill(Parameter p, Func<int, double> value) => p.Value.WriteRounded([.. Enumerable.Range(0, (int)p.Shape.Count).Select(value)]);
    }
}
