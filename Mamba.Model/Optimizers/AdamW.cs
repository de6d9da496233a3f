using Mamba.Gpu;

namespace Mamba;

/// <summary>
/// Adam with decoupled weight decay (Loshchilov and Hutter 2019), step for step what PyTorch's AdamW does. Parameters
/// marked against decay (A_log, D, biases, norm weights) are left out of it, and frozen ones of everything. One launch for each
/// run of parameters that lie side by side and are treated alike: two for a whole model.
/// <code>
/// using var optimizer = new AdamW(model.Parameters, 1e-3);
/// using var some = new AdamW(model.Parameters.Where(p => p.Name.Contains("mixer")), 1e-3);
/// using var groups = new AdamW([new ParameterGroup(backbone.Parameters) { Rate = 0.1 }, new ParameterGroup(head.Parameters) { WeightDecay = 0 }], 1e-3);
/// </code>
/// </summary>
public sealed class AdamW : IDisposable
{
    const string M = "adam.m.", V = "adam.v.", Format = "mamba-adamw", StepKey = "step";

    /// <summary>A parameter and where its moments are.</summary>
    readonly record struct Slot(Parameter Parameter, ParameterGroup Group, long Offset, long MomentOffset)
    {
        public long End => Offset + ParameterSet.Padded(Parameter.Shape);
    }

    /// <summary>The parameters that live in one set, in the order they lie in.</summary>
    sealed record Part(ParameterSet Set, Slot[] Slots, Tensor M, Tensor V);

    readonly Part[] parts;
    readonly Dictionary<Parameter, (Part Part, Slot Slot)> places = [];

    /// <param name="parameters">
    /// What is trained: a <see cref="ParameterSet"/>, or any choice of parameters. The optimizer's two moments live beside them, on their device.
    /// </param>
    /// <param name="learningRate">lr, finite; a schedule sets <see cref="LearningRate"/> before each step.</param>
    /// <param name="beta1">Decay of the mean of gradients, from 0 to below 1.</param>
    /// <param name="beta2">
    /// Decay of the mean of squared gradients, from 0 to below 1. 0.95, as usual for language models, the paper's among them; PyTorch's own default is 0.999.
    /// </param>
    /// <param name="eps">Added to the root of the squared gradients: 0 or more.</param>
    /// <param name="weightDecay">A parameter shrinks by lr · weightDecay each step: 0 or more.</param>
    /// <param name="decayAll">Whether decay applies to every parameter, whatever its mark.</param>
    /// <exception cref="MambaException">A number is out of its range, or a parameter has no value or is there twice.</exception>
    public AdamW(IEnumerable<Parameter> parameters, double learningRate, double beta1 = 0.9, double beta2 = 0.95, double eps = 1e-8,
        double weightDecay = 0.1, bool decayAll = false)
        : this([new ParameterGroup(parameters)], learningRate, beta1, beta2, eps, weightDecay, decayAll)
    {
    }

    /// <summary>With learning rate and weight decay by group.</summary>
    /// <param name="groups">What is trained, each parameter in one group.</param>
    /// <param name="learningRate">lr, finite, which each group multiplies by its <see cref="ParameterGroup.Rate"/>.</param>
    /// <param name="beta1">Decay of the mean of gradients, from 0 to below 1.</param>
    /// <param name="beta2">Decay of the mean of squared gradients, from 0 to below 1.</param>
    /// <param name="eps">Added to the root of the squared gradients: 0 or more.</param>
    /// <param name="weightDecay">That of groups which have none of their own: 0 or more.</param>
    /// <param name="decayAll">Whether decay applies to every parameter, whatever its mark.</param>
    /// <exception cref="MambaException">A number is out of its range, or a parameter has no value or is there twice.</exception>
    public AdamW(IReadOnlyList<ParameterGroup> groups, double learningRate, double beta1 = 0.9, double beta2 = 0.95, double eps = 1e-8,
        double weightDecay = 0.1, bool decayAll = false)
    {
        if (beta1 is not (>= 0 and < 1) || beta2 is not (>= 0 and < 1))
            throw new MambaException($"AdamW: betas {beta1} and {beta2}; expected 0 up to, but not, 1.");
        if (!(eps >= 0 && double.IsFinite(eps)) || !(weightDecay >= 0 && double.IsFinite(weightDecay)))
            throw new MambaException($"AdamW: eps {eps} and weight decay {weightDecay}; expected finite numbers, 0 or more.");
        foreach (ParameterGroup group in groups)
            if (!(group.Rate >= 0 && double.IsFinite(group.Rate)) || !(group.WeightDecay is null or >= 0) || !double.IsFinite(group.WeightDecay ?? 0))
                throw new MambaException($"AdamW: a group has rate {group.Rate} and weight decay {group.WeightDecay}; expected finite numbers, 0 or more.");
        LearningRate = learningRate;
        (Beta1, Beta2, Epsilon, WeightDecay, DecayAll) = (beta1, beta2, eps, weightDecay, decayAll);
        (Parameter Parameter, ParameterGroup Group)[] all = [.. groups.SelectMany(group => group.Parameters, (group, parameter) => (parameter, group))];
        if (all.Length == 0)
            throw new MambaException("AdamW: there are no parameters to train.");
        foreach ((Parameter parameter, _) in all)
        {
            if (parameter.Set is null)
                throw new MambaException($"AdamW: {parameter} has no value yet: it is not in a ParameterSet.");
            if (!places.TryAdd(parameter, default))
                throw new MambaException($"AdamW: {parameter} is there twice; expected each parameter once.");
        }
        parts = [.. all.GroupBy(a => a.Parameter.Set!).Select(of => PartOf(of.Key, of))];
        foreach (Part part in parts)
            foreach (Slot slot in part.Slots)
                places[slot.Parameter] = (part, slot);
    }

    static Part PartOf(ParameterSet set, IEnumerable<(Parameter Parameter, ParameterGroup Group)> parameters)
    {
        long count = 0;
        var slots = new List<Slot>();
        foreach ((Parameter parameter, ParameterGroup group) in parameters.OrderBy(p => set.OffsetOf(p.Parameter.Value)))
        {
            slots.Add(new Slot(parameter, group, set.OffsetOf(parameter.Value), count));
            count += ParameterSet.Padded(parameter.Shape);
        }
        return new Part(set, [.. slots], Zeros(), Zeros());

        Tensor Zeros() => Tensor.Zeros(count, set.DType, set.Device).Unowned();
    }

    /// <summary>lr of the next step.</summary>
    /// <exception cref="MambaException">It is set to an infinity or NaN.</exception>
    public double LearningRate
    {
        get;
        set => field = double.IsFinite(value) ? value : throw new MambaException($"AdamW: the learning rate is {value}; expected a finite number.");
    }

    /// <summary>Decay of the mean of gradients.</summary>
    public double Beta1 { get; }

    /// <summary>Decay of the mean of squared gradients.</summary>
    public double Beta2 { get; }

    /// <summary>Added to the root of the squared gradients.</summary>
    public double Epsilon { get; }

    /// <summary>A parameter shrinks by lr times this each step.</summary>
    public double WeightDecay { get; }

    /// <summary>Whether decay applies to every parameter, whatever its mark.</summary>
    public bool DecayAll { get; }

    /// <summary>What is trained.</summary>
    public IEnumerable<Parameter> Parameters => parts.SelectMany(part => part.Slots.Select(slot => slot.Parameter));

    /// <summary>Steps taken; a checkpoint sets it.</summary>
    public long StepCount { get; internal set; }

    /// <summary>The means of a parameter's gradients and of their squares, in its shape.</summary>
    internal (Tensor M, Tensor V) MomentsOf(Parameter parameter)
    {
        (Part part, Slot slot) = places[parameter];
        return (part.M.Part(slot.MomentOffset, parameter.Shape), part.V.Part(slot.MomentOffset, parameter.Shape));
    }

    /// <summary>All moments, for a look at all of them at once.</summary>
    internal IEnumerable<Tensor> Moments => parts.SelectMany(part => (Tensor[])[part.M, part.V]);

    /// <summary>The moments under the names they are saved by: <c>adam.m.</c> and <c>adam.v.</c> before that of the parameter.</summary>
    internal IEnumerable<(string Name, Tensor Tensor)> NamedMoments(Parameter parameter)
    {
        (Tensor m, Tensor v) = MomentsOf(parameter);
        return [(M + parameter.Name, m), (V + parameter.Name, v)];
    }

    /// <summary>The names and shapes of <see cref="NamedMoments"/>, before there is an optimizer.</summary>
    internal static IEnumerable<(string Name, Shape Shape)> MomentShapes(Parameter parameter) =>
        [(M + parameter.Name, parameter.Shape), (V + parameter.Name, parameter.Shape)];

    /// <summary>
    /// Changes every parameter that is not frozen in place. One the loss did not depend on has gradient zero; it decays, too. It waits for nothing, so it
    /// does not look whether the gradients are numbers: <see cref="Gradients.IsFinite"/> tells, and a NaN stays in the weights.
    /// </summary>
    /// <param name="gradients">Of a loss, with respect to the parameters.</param>
    public void Step(Gradients gradients)
    {
        StepCount++;
        foreach (Part part in parts)
        {
            Tensor g = gradients.FlatOf(part.Set);
            for (int first = 0, next; first < part.Slots.Length; first = next)
            {
                Slot start = part.Slots[first];
                (double Rate, double Decay)? how = HowTo(start);
                for (next = first + 1; next < part.Slots.Length && part.Slots[next].Offset == part.Slots[next - 1].End && HowTo(part.Slots[next]) == how;)
                    next++;
                if (how is not { } run)
                    continue;
                long count = part.Slots[next - 1].End - start.Offset;
                Tensor w = part.Set.Flat.Part(start.Offset, count), dw = g.Part(start.Offset, count);
                Tensor m = part.M.Part(start.MomentOffset, count), v = part.V.Part(start.MomentOffset, count);
                AdamWKernels.Step(w, dw, m, v, new AdamWNumbers(run.Rate, Beta1, Beta2, Epsilon, run.Decay, StepCount));
            }
        }
    }

    // learning rate and decay of a parameter in this step; null if it is frozen
    (double Rate, double Decay)? HowTo(Slot slot) => !slot.Parameter.RequiresGrad ? null
        : (LearningRate * slot.Group.Rate, slot.Group.WeightDecay ?? (DecayAll || slot.Parameter.Decay ? WeightDecay : 0));

    /// <summary>Writes its moments and step count as safetensors, to go on from: the parameters are saved apart.</summary>
    /// <param name="path">The file, replaced if it is there.</param>
    /// <exception cref="MambaException">It cannot be written.</exception>
    public void Save(string path)
    {
        var writer = new SafetensorsWriter { Metadata = { ["format"] = Format, [StepKey] = FormattableString.Invariant($"{StepCount}") } };
        foreach ((string name, Tensor tensor) in Parameters.SelectMany(NamedMoments))
            writer.Add(name, tensor);
        writer.Save(path);
    }

    /// <summary>Takes over what <see cref="Save"/> wrote, of the same parameters. All of it changes or nothing.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="MambaException">The file is broken, or holds something else.</exception>
    public void Load(string path)
    {
        using WeightFiles file = WeightFiles.Open(path);
        if (file.Metadata.GetValueOrDefault("format") != Format || Numbers.Long(file.Metadata.GetValueOrDefault(StepKey)) is not { } step || step < 0)
            throw new MambaException($"{path}: this is not the state of an optimizer.");
        (string Name, Tensor Tensor)[] tensors = [.. Parameters.SelectMany(NamedMoments)];
        file.Expect(tensors.Select(t => (t.Name, t.Tensor.Shape)), "this optimizer");
        file.ExpectFloats();
        double[][] values = [.. tensors.Select(t => file.ReadDoubles(t.Name))];
        for (int i = 0; i < values.Length; i++)
            tensors[i].Tensor.WriteRounded(values[i]);
        StepCount = step;
    }

    /// <summary>Gives the memory of the moments back.</summary>
    public void Dispose()
    {
        foreach (Tensor moments in Moments)
            moments.Dispose();
    }
}
