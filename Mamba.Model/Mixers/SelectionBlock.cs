namespace Mamba;

/// <summary>
/// The Mamba block with what makes it selective taken out piece by piece, for the ablations of the paper (arXiv 2312.00752, §4.6, Tables 6 to 10):
/// hidden (b, l, d_model) → (b, l, d_model). <see cref="SelectionConfig"/> says what is left; with all of it, it computes what <see cref="MambaBlock"/> does,
/// under the same names. With Δ, B and C constant it is S4D (Gu et al. 2022, arXiv 2206.11893) in Mamba's block.
/// <code>
/// x, z     = split(in_proj(hidden)),  u = silu(causal_conv1d(x))
/// dt, B, C = split(x_proj(u)),        of those that are selective
/// delta    = softplus(dt_proj(dt)),   or softplus(dt_proj.bias), the same for every token
/// B, C     = parameters (d, n)        where they are not selective: each channel has its own
/// A        = −exp(A_log), or −exp(A_log) + i A_imag
/// out      = out_proj(selective_scan(u, delta, A, B, C, D) · silu(z)), or without the gate
/// </code>
/// A constant B starts at 1 and does not decay; a constant C starts at N(0, 1), for complex A with a variance of ½ in each part: as in S4D. A B or a C of
/// every token is complex where A is: x_proj gives real and imaginary parts side by side.
/// </summary>
public sealed class SelectionBlock : Mixer<MambaBlockState>
{
    readonly SelectionConfig settings;
    readonly Discretization discretization;
    readonly ScanAlgorithm algorithm;
    readonly int d, n, k;
    readonly long[] projected;      // what x_proj gives, in this order: dt, B, C
    readonly Parameter aLog, D, inProj, convWeight, dtBias, outProj;
    readonly Parameter? aImag, inProjBias, convBias, xProj, dtProj, constantB, constantC, outProjBias;

    /// <param name="config">The model it is for, whose <see cref="MambaConfig.Mixer"/> is a <see cref="SelectionConfig"/>.</param>
    /// <exception cref="MambaException">The config has another kind of mixer.</exception>
    public SelectionBlock(MambaConfig config)
    {
        settings = MixerConfig.Of<SelectionConfig>(config);
        int model = config.DModel, r = config.DtRank;
        (d, n, k) = (config.DInner, settings.DState, settings.DConv);
        (discretization, algorithm) = (config.Discretization, config.ScanAlgorithm);
        int width = settings.Complex ? 2 * n : n;
        projected = [.. settings.SelectiveDelta ? [r] : Array.Empty<long>(), .. settings.SelectiveB ? [width] : Array.Empty<long>(),
            .. settings.SelectiveC ? [width] : Array.Empty<long>()];

        // MambaBlock's names, order and initial values
        aLog = Add("A_log", (d, n), decay: false, InitialLog(settings.InitOfA, n));
        aImag = !settings.Complex ? null : Add("A_imag", (d, n), decay: false, (values, _) =>
        {
            for (int i = 0; i < values.Length; i++)
                values[i] = Math.PI * (i % n);
        });
        D = Add("D", d, decay: false, Initial.Ones);
        inProj = Add("in_proj.weight", (settings.Gate ? 2 * d : d, model), initial: Initial.Kaiming(model));
        inProjBias = settings.Bias ? Add("in_proj.bias", inProj.Shape[0], decay: false) : null;
        convWeight = Add("conv1d.weight", (d, 1, k), initial: Initial.Kaiming(k));
        convBias = settings.ConvBias ? Add("conv1d.bias", d, decay: false, Initial.Kaiming(k)) : null;
        xProj = projected.Length > 0 ? Add("x_proj.weight", (projected.Sum(), d), initial: Initial.Kaiming(d)) : null;
        double scale = settings.DtScale / Math.Sqrt(r);
        dtProj = !settings.SelectiveDelta ? null
            : Add("dt_proj.weight", (d, r), initial: settings.DtInit == "constant" ? Initial.Constant(scale) : Initial.Uniform(scale));
        dtBias = Add("dt_proj.bias", d, decay: false, MambaBlock.InitialStepSizes(settings.DtMin, settings.DtMax, settings.DtInitFloor));
        Shape ofA = settings.Complex ? (d, n, 2) : (d, n);
        constantB = settings.SelectiveB ? null : Add("B", ofA, decay: false, settings.Complex ? RealOne : Initial.Ones);
        constantC = settings.SelectiveC ? null : Add("C", ofA, initial: Initial.Normal(settings.Complex ? Math.Sqrt(0.5) : 1));
        outProj = Add("out_proj.weight", (model, d), initial: Initial.Kaiming(d, residuals: config.NLayer));
        outProjBias = settings.Bias ? Add("out_proj.bias", model, decay: false) : null;
    }

    // log(−Re A) of Table 8
    static Initializer InitialLog(string init, int n) => init switch
    {
        SelectionConfig.S4DReal => MambaBlock.S4DReal(n),
        SelectionConfig.RandomA => Initial.Normal(1),
        _ => Initial.Constant(Math.Log(0.5)),
    };

    // 1 + 0i
    static void RealOne(Span<double> values, PhiloxRandom random)
    {
        for (int i = 0; i < values.Length; i += 2)
            values[i] = 1;
    }

    /// <inheritdoc/>
    public override Tensor Forward(Tensor hidden, MambaBlockState? state = null, Tensor? reset = null)
    {
        Tensor? conv = state?.Conv.Read();
        Tensor[] xz = settings.Gate ? Ops.LinearSplit(hidden, inProj, inProjBias, d, d) : [Ops.Linear(hidden, inProj, inProjBias)];   // 1 or 2 × (b, l, d)
        Tensor x = xz[0];
        Tensor u = Ops.CausalConv1d(x, Ops.Reshape(convWeight, (d, k)), convBias, silu: true, conv, reset);             // (b, l, d)
        var ofTokens = new Queue<Tensor>(xProj is null ? [] : Ops.LinearSplit(u, xProj, null, projected));
        Tensor delta = dtProj is null ? Tensor.Zeros(u.Shape, u.DType, u.Device) : Ops.Linear(ofTokens.Dequeue(), dtProj);      // (b, l, d)
        var inputs = new ScanInputs
        {
            U = u,
            Delta = delta,
            A = A(),                                                                                                    // (d, n) or (d, n, 2)
            B = constantB?.Value ?? Numbers(ofTokens.Dequeue()),                                                        // (d, n) or (b, l, n), and 2
            C = constantC?.Value ?? Numbers(ofTokens.Dequeue()),
            D = D,
            Z = settings.Gate ? xz[1] : null,
            DeltaBias = dtBias,
            InitialState = state?.Ssm.Read(),
            PreviousInput = state?.Input?.Read(),
            Reset = reset,
            Discretization = discretization,
        };
        ScanOutputs scan;
        if (settings is { Complex: false, SelectiveB: true, SelectiveC: true })
        {
            scan = Hooked.SelectiveScan(inputs, algorithm);
        }
        else
        {
            Hooked.Refuse("a Selection block whose A is complex, or whose B or C is constant; expected a real A, and B and C of every token.");
            scan = Ops.SelectiveScan(inputs, algorithm);
        }
        if (state is not null)
        {
            state.Conv.Write(Ops.ConvState(x, k, conv, reset));
            state.Ssm.Write(scan.LastState);
            state.Input?.Write(scan.LastInput!);
        }
        return Ops.Linear(scan.Y, outProj, outProjBias);
    }

    Tensor A()
    {
        Tensor real = -Ops.Exp(aLog);                                                                                   // (d, n)
        return aImag is null ? real : Ops.Concat(2, Ops.Reshape(real, (d, n, 1)), Ops.Reshape(aImag, (d, n, 1)));
    }

    // (b, l, n), or (b, l, 2n) → (b, l, n, 2)
    Tensor Numbers(Tensor projection) =>
        settings.Complex ? Ops.Reshape(projection, (projection.Shape[0], projection.Shape[1], n, 2)) : projection;

    /// <inheritdoc/>
    protected override MambaBlockState MakeState(long batch, DType dtype, Device device) =>
        new(batch, k, settings.Complex ? 2 * n : n, d, discretization.LooksBack, dtype, device);
}
