using Mamba.Gpu;

namespace Mamba;

/// <summary>
/// Adam with decoupled weight decay (Loshchilov and Hutter 2019), step for step what PyTorch's AdamW does. Parameters
/// marked against decay (A_log, D, biases, norm weights) are left out of it. One launch for each of the two groups.
/// </summary>
public sealed class AdamW : IDisposable
{
    readonly ParameterSet parameters;

    /// <param name="parameters">What is trained. The optimizer's two moments live beside them, on their device.</param>
    /// <param name="learningRate">lr; a schedule sets <see cref="LearningRate"/> before each step.</param>
    /// <param name="beta1">Decay of the mean of gradients.</param>
    /// <param name="beta2">Decay of the mean of squared gradients. 0.95, as usual for language models, the paper's among them; PyTorch's own default is 0.999.</param>
    /// <param name="eps">Added to the root of the squared gradients.</param>
    /// <param name="weightDecay">A parameter shrinks by lr · weightDecay each step.</param>
    /// <param name="decayAll">Whether decay applies to every parameter, whatever its mark.</param>
    public AdamW(ParameterSet parameters, double learningRate, double beta1 = 0.9, double beta2 = 0.95, double eps = 1e-8, double weightDecay = 0.1, bool decayAll = false)
    {
        if (beta1 is not (>= 0 and < 1) || beta2 is not (>= 0 and < 1))
            throw new MambaException($"AdamW: betas {beta1} and {beta2}; expected 0 up to, but not, 1.");
        if (!(eps >= 0 && double.IsFinite(eps)) || !(weightDecay >= 0 && double.IsFinite(weightDecay)))
            throw new MambaException($"AdamW: eps {eps} and weight decay {weightDecay}; expected finite numbers, 0 or more.");
        this.parameters = parameters;
        LearningRate = learningRate;
        (Beta1, Beta2, Epsilon, WeightDecay, DecayAll) = (beta1, beta2, eps, weightDecay, decayAll);
        M = Tensor.Zeros(parameters.Flat.Shape, parameters.DType, parameters.Device).Unowned();
        V = Tensor.Zeros(parameters.Flat.Shape, parameters.DType, parameters.Device).Unowned();
    }

    /// <exception cref="MambaException">It is set to an infinity or NaN.</exception>
    public double LearningRate
    {
        get;
        set => field = double.IsFinite(value) ? value : throw new MambaException($"AdamW: the learning rate is {value}; expected a finite number.");
    }

    public double Beta1 { get; }
    public double Beta2 { get; }
    public double Epsilon { get; }
    public double WeightDecay { get; }
    public bool DecayAll { get; }

    /// <summary>Steps taken; a checkpoint sets it.</summary>
    public long StepCount { get; internal set; }

    /// <summary>Mean of gradients, laid out like the parameters' <see cref="ParameterSet.Flat"/>: (count).</summary>
    internal Tensor M { get; }

    /// <summary>Mean of squared gradients, laid out like it: (count).</summary>
    internal Tensor V { get; }

    /// <summary>
    /// Changes every parameter in place. One the loss did not depend on has gradient zero; it decays, too. It waits for nothing, so it does not
    /// look whether the gradients are numbers: <see cref="Gradients.IsFinite"/> tells, and a NaN stays in the weights.
    /// </summary>
    public void Step(Gradients gradients)
    {
        StepCount++;
        Tensor g = gradients.FlatOf(parameters);
        long decayed = DecayAll ? parameters.Flat.Count : parameters.DecayCount;
        StepPart(g, 0, decayed, WeightDecay);
        StepPart(g, decayed, parameters.Flat.Count - decayed, 0);
    }

    void StepPart(Tensor g, long start, long count, double decay)
    {
        if (count > 0)
            AdamWKernels.Step(parameters.Flat.Part(start, count), g.Part(start, count), M.Part(start, count), V.Part(start, count),
                new AdamWNumbers(LearningRate, Beta1, Beta2, Epsilon, decay, StepCount));
    }

    public void Dispose()
    {
        M.Dispose();
        V.Dispose();
    }
}
