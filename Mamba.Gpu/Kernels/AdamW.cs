using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>
/// One step of AdamW over a run of parameters, in place, as PyTorch takes it; p, g, m, v (count). Loshchilov and Hutter
/// 2019, Algorithm 2: decay first, then p ← p − lr·m̂ / (√v̂ + ε) with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ).
/// </summary>
internal struct AdamWStep<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M P, G, FirstMoment, SecondMoment;
    public T Keep;                              // 1 − lr·decay
    public T Beta1, OneMinusBeta1, Beta2, OneMinusBeta2;
    public T StepSize;                          // lr / (1 − β₁ᵗ)
    public T RootCorrection;                    // 1 / √(1 − β₂ᵗ)
    public T Epsilon;
    public long Count;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M ps = P, gs = G, ms = FirstMoment, vs = SecondMoment;
        V keep = V.Splat(Keep), beta1 = V.Splat(Beta1), oneMinusBeta1 = V.Splat(OneMinusBeta1), beta2 = V.Splat(Beta2), oneMinusBeta2 = V.Splat(OneMinusBeta2);
        V stepSize = V.Splat(StepSize), rootCorrection = V.Splat(RootCorrection), epsilon = V.Splat(Epsilon);
        Share share = worker.Share(Count, V.Width);
        for (long i = share.Start; i < share.End; i += share.Step)
        {
            int lanes = Lanes.In(share.End - i);
            V g = V.Load(gs, i);
            V m = V.Fma(beta1, V.Load(ms, i), oneMinusBeta1 * g);
            V v = V.Fma(beta2, V.Load(vs, i), oneMinusBeta2 * g * g);
            V denominator = V.Fma(V.Sqrt(v), rootCorrection, epsilon);
            V.Store(ms, i, m, lanes);
            V.Store(vs, i, v, lanes);
            V.Store(ps, i, keep * V.Load(ps, i) - stepSize * m / denominator, lanes);
        }
    }
}

/// <summary>The numbers of one step.</summary>
/// <param name="LearningRate">lr</param>
/// <param name="Beta1">β₁</param>
/// <param name="Beta2">β₂</param>
/// <param name="Epsilon">ε</param>
/// <param name="Decay">Weight decay.</param>
/// <param name="Step">t, from 1.</param>
internal readonly record struct AdamWNumbers(double LearningRate, double Beta1, double Beta2, double Epsilon, double Decay, long Step);

/// <summary>Launcher of AdamW.</summary>
internal static class AdamWKernels
{
    /// <summary>Changes p, m and v in place.</summary>
    public static void Step(Tensor p, Tensor g, Tensor m, Tensor v, AdamWNumbers numbers) => p.Launch(new StepLaunch(p, g, m, v, numbers));

    readonly record struct StepLaunch(Tensor P, Tensor Gradient, Tensor FirstMoment, Tensor SecondMoment, AdamWNumbers Numbers) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        {
            double correction1 = 1 - Math.Pow(Numbers.Beta1, Numbers.Step), correction2 = 1 - Math.Pow(Numbers.Beta2, Numbers.Step);
            on.Run(new AdamWStep<V, M, T>
            {
                P = on.Memory(P),
                G = on.Memory(Gradient),
                FirstMoment = on.Memory(FirstMoment),
                SecondMoment = on.Memory(SecondMoment),
                Keep = T.CreateTruncating(1 - Numbers.LearningRate * Numbers.Decay),
                Beta1 = T.CreateTruncating(Numbers.Beta1),
                OneMinusBeta1 = T.CreateTruncating(1 - Numbers.Beta1),
                Beta2 = T.CreateTruncating(Numbers.Beta2),
                OneMinusBeta2 = T.CreateTruncating(1 - Numbers.Beta2),
                StepSize = T.CreateTruncating(Numbers.LearningRate / correction1),
                RootCorrection = T.CreateTruncating(1 / Math.Sqrt(correction2)),
                Epsilon = T.CreateTruncating(Numbers.Epsilon),
                Count = P.Count,
            }, P.Count, 4);
        }
    }
}
