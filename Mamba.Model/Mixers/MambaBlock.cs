namespace Mamba;

/// <summary>
/// The Mamba block: hidden (b, l, d_model) → (b, l, d_model). Gu and Dao 2023 (arXiv 2312.00752), §3.4 and Figure 3.
/// <code>
/// x, z        = split(in_proj(hidden))
/// u           = silu(causal_conv1d(x))
/// dt, B, C    = split(x_proj(u)),  delta = softplus(dt_proj(dt))
/// y           = selective_scan(u, delta, A = −exp(A_log), B, C, D) · silu(z)
/// out         = out_proj(y)
/// </code>
/// With <see cref="SsmConfig.MixerRmsEps"/> it is Falcon-Mamba's (arXiv 2410.05355): dt, B and C are normed after x_proj. A variant derives from it and
/// overrides <see cref="Refine"/>.
/// </summary>
public class MambaBlock : Mixer<MambaBlockState>
{
    readonly int d, n, r, k;
    readonly Discretization discretization;
    readonly ScanAlgorithm algorithm;
    readonly bool hasFusedStep;
    readonly double? epsilon;       // of Falcon-Mamba's norms

    /// <param name="config">The model it is for: a width, and settings of Mamba-1.</param>
    /// <param name="layer">Which of its layers, from 0: all are alike, a variant's need not be.</param>
    /// <exception cref="MambaException">The config has another kind of block.</exception>
    public MambaBlock(MambaConfig config, int layer = 0)
    {
        SsmConfig ssm = config.SsmCfg;
        int model = config.DModel;
        (d, n, r, k) = (config.DInner, ssm.DState, config.DtRank, ssm.DConv);
        (Layer, discretization, algorithm) = (layer, config.Discretization, config.ScanAlgorithm);
        epsilon = ssm.MixerRmsEps;
        // What a variant computes, only its Forward knows; the fused step has no norms.
        hasFusedStep = GetType() == typeof(MambaBlock) && discretization == Discretization.ExponentialEuler && algorithm == ScanAlgorithm.Chunked
            && epsilon is null;

        // the initial values of the official code
        ALog = Add("A_log", (d, n), decay: false, S4DReal(n));
        D = Add("D", d, decay: false, Initial.Ones);
        InProj = Add("in_proj.weight", (2 * d, model), initial: Initial.Kaiming(model));
        InProjBias = ssm.Bias ? Add("in_proj.bias", 2 * d, decay: false) : null;
        ConvWeight = Add("conv1d.weight", (d, 1, k), initial: Initial.Kaiming(k));
        ConvBias = ssm.ConvBias ? Add("conv1d.bias", d, decay: false, Initial.Kaiming(k)) : null;
        XProj = Add("x_proj.weight", (r + 2 * n, d), initial: Initial.Kaiming(d));
        double scale = ssm.DtScale / Math.Sqrt(r);
        DtProj = Add("dt_proj.weight", (d, r), initial: ssm.DtInit == "constant" ? Initial.Constant(scale) : Initial.Uniform(scale));
        DtBias = Add("dt_proj.bias", d, decay: false, InitialStepSizes(ssm.DtMin, ssm.DtMax, ssm.DtInitFloor));
        OutProj = Add("out_proj.weight", (model, d), initial: Initial.Kaiming(d, residuals: config.NLayer));
        OutProjBias = ssm.Bias ? Add("out_proj.bias", model, decay: false) : null;
    }

    /// <summary>Which layer of its model it is, from 0.</summary>
    protected int Layer { get; }

    /// <summary>A = −exp(A_log): (d, n). It starts at log(1 … n), the S4D-Real of the paper, §3.6, and does not decay.</summary>
    public Parameter ALog { get; }

    /// <summary>The skip, y + D u: (d). It starts at 1 and does not decay.</summary>
    public Parameter D { get; }

    /// <summary>The projection to x, then z: (2 d, d_model).</summary>
    public Parameter InProj { get; }

    /// <summary>(2 d), or null where <see cref="SsmConfig.Bias"/> is off.</summary>
    public Parameter? InProjBias { get; }

    /// <summary>The taps of the convolution, the last for the token itself: (d, 1, k).</summary>
    public Parameter ConvWeight { get; }

    /// <summary>(d), or null where <see cref="SsmConfig.ConvBias"/> is off.</summary>
    public Parameter? ConvBias { get; }

    /// <summary>The projection to dt, B, C: (r + 2 n, d).</summary>
    public Parameter XProj { get; }

    /// <summary>The projection of dt to the step sizes: (d, r).</summary>
    public Parameter DtProj { get; }

    /// <summary>
    /// Added to the step sizes before softplus: (d). It starts where softplus of it is uniform in its logarithm from <see cref="SsmConfig.DtMin"/> to
    /// <see cref="SsmConfig.DtMax"/>: the paper, §3.6.
    /// </summary>
    public Parameter DtBias { get; }

    /// <summary>The projection to the residual stream: (d_model, d).</summary>
    public Parameter OutProj { get; }

    /// <summary>(d_model), or null where <see cref="SsmConfig.Bias"/> is off.</summary>
    public Parameter? OutProjBias { get; }

    /// <summary>
    /// What a variant does to dt (b, l, r), B and C (b, l, n) between x_proj and the scan: Jamba norms them with weights. Here nothing, or
    /// Falcon-Mamba's norms if <see cref="SsmConfig.MixerRmsEps"/> is set. A variant's
    /// <see cref="Step"/> is <see cref="Forward"/> over one token, unless it overrides that too.
    /// </summary>
    /// <param name="dt">(b, l, r), before dt_proj.</param>
    /// <param name="B">(b, l, n)</param>
    /// <param name="C">(b, l, n)</param>
    /// <returns>The three, in the same shapes.</returns>
    protected virtual (Tensor Dt, Tensor B, Tensor C) Refine(Tensor dt, Tensor B, Tensor C) => epsilon is { } e ? (Norm(dt, e), Norm(B, e), Norm(C, e))
        : (dt, B, C);

    // v / √(mean(v²) + ε), a norm whose weights are 1
    static Tensor Norm(Tensor v, double epsilon) => Ops.RmsNorm(v, Ops.Fill(Tensor.Empty(v.Shape[^1], v.DType, v.Device), 1), epsilon);

    /// <inheritdoc/>
    public override Tensor Forward(Tensor hidden, MambaBlockState? state = null, Tensor? reset = null)
    {
        Tensor? conv = state?.Conv.Read();
        Tensor[] xz = Ops.LinearSplit(hidden, InProj, InProjBias, d, d);                                    // 2 × (b, l, d)
        (Tensor x, Tensor z) = (xz[0], xz[1]);
        Tensor u = Ops.CausalConv1d(x, Ops.Reshape(ConvWeight, (d, k)), ConvBias, silu: true, conv, reset); // (b, l, d)
        Tensor[] dtBC = Ops.LinearSplit(u, XProj, null, r, n, n);
        (Tensor dt, Tensor B, Tensor C) = Refine(dtBC[0], dtBC[1], dtBC[2]);                                // (b, l, r), (b, l, n), (b, l, n)
        ScanOutputs scan = Hooked.SelectiveScan(new ScanInputs
        {
            U = u,
            Delta = Ops.Linear(dt, DtProj),                                                                 // (b, l, d)
            A = -Ops.Exp(ALog),                                                                             // (d, n)
            B = B,
            C = C,
            D = D,
            Z = z,
            DeltaBias = DtBias,
            InitialState = state?.Ssm.Read(),
            PreviousInput = state?.Input?.Read(),
            Reset = reset,
            Discretization = discretization,
        }, algorithm);
        if (state is not null)
        {
            state.Conv.Write(Ops.ConvState(x, k, conv, reset));
            state.Ssm.Write(scan.LastState);
            state.Input?.Write(scan.LastInput!);
        }
        return Ops.Linear(scan.Y, OutProj, OutProjBias);
    }

    /// <inheritdoc/>
    public override Tensor Step(Tensor hidden, MambaBlockState state)
    {
        if (!hasFusedStep)
            return base.Step(hidden, state);
        Tensor xz = Ops.Linear(hidden, InProj, InProjBias);                                                 // (b, 2 d)
        Tensor y = Ops.MambaStep(xz, state.Conv.Overwrite(), state.Ssm.Overwrite(), ConvWeight, ConvBias, XProj, DtProj, DtBias, ALog, D);
        Tensor next = Ops.Linear(y, OutProj, OutProjBias);
        xz.Dispose();
        y.Dispose();
        return next;
    }

    /// <inheritdoc/>
    protected override MambaBlockState MakeState(long batch, DType dtype, Device device) => new(batch, k, n, d, discretization.LooksBack, dtype, device);

    // log(−A) of (d, n): A = −1 … −n
    internal static Initializer S4DReal(int n) => (values, _) =>
    {
        for (int i = 0; i < values.Length; i++)
            values[i] = Math.Log(1 + i % n);
    };

    // softplus⁻¹ of step sizes between min and max, uniform in their logarithm
    internal static Initializer InitialStepSizes(double min, double max, double floor) => (values, random) =>
    {
        foreach (ref double value in values)
        {
            double dt = Math.Max(Math.Exp(random.NextDouble() * (Math.Log(max) - Math.Log(min)) + Math.Log(min)), floor);
            value = dt + Math.Log(1 - Math.Exp(-dt));
        }
    };
}
