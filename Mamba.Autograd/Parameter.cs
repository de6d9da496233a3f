using System.Diagnostics.CodeAnalysis;

namespace Mamba;

/// <summary>
/// A weight of a model: a name, a shape, and a value that the optimizer changes in place. It is declared first; its value comes with the
/// <see cref="ParameterSet"/> it is put into.
/// <code>
/// var weight = new Parameter("head.weight", (2, 16), initial: Initial.Normal(0.02));
/// using var set = new ParameterSet([weight], DType.Float32, device, seed: 1);
/// weight.Value = tensor;                  // or weight.Value.Write&lt;float&gt;(array), weight.Value.Fill(1)
/// weight.RequiresGrad = false;            // frozen: no gradient, no step, no decay
/// </code>
/// </summary>
/// <param name="name">The name it is saved under: <c>backbone.layers.0.mixer.A_log</c>. A <see cref="Module"/> puts the path before it.</param>
/// <param name="shape">Extents, as in the official checkpoint.</param>
/// <param name="decay">Whether weight decay applies: not to A_log, D, biases and norm weights.</param>
/// <param name="initial">How its values start; 0 when null.</param>
public sealed class Parameter(string name, Shape shape, bool decay = true, Initializer? initial = null)
{
    Tensor? value;
    bool requiresGrad = true;

    /// <summary>The name it is saved under.</summary>
    public string Name { get; internal set; } = name;

    /// <summary>Extents.</summary>
    public Shape Shape { get; } = shape;

    /// <summary>Whether weight decay applies.</summary>
    public bool Decay { get; } = decay;

    /// <summary>How its values start.</summary>
    public Initializer Initial { get; } = initial ?? Mamba.Initial.Zeros;

    /// <summary>
    /// Whether gradients are wanted for it and optimizers change it. False freezes it: ops do not record it, and neither a step nor weight decay
    /// moves it. It may change at any time between two steps.
    /// </summary>
    public bool RequiresGrad
    {
        get => value?.RequiresGrad ?? requiresGrad;
        set
        {
            requiresGrad = value;
            if (this.value is not null)
                this.value.RequiresGrad = value;
        }
    }

    /// <summary>The values. They live in their <see cref="ParameterSet"/>; setting copies the given ones into it.</summary>
    /// <exception cref="InvalidOperationException">It is in no set yet.</exception>
    /// <exception cref="MambaException">What is set has another shape, dtype or device.</exception>
    public Tensor Value
    {
        get => value ?? throw new InvalidOperationException($"{Name} has no value yet: it is not in a ParameterSet.");
        set => Value.CopyFrom(value);
    }

    /// <summary>The set its values live in, if it is in one.</summary>
    public ParameterSet? Set => value?.Owner as ParameterSet;

    internal void Allocate(Tensor tensor, ParameterSet set)
    {
        tensor.RequiresGrad = requiresGrad;
        tensor.Owner = set;
        value = tensor;
    }

    internal void Release()
    {
        requiresGrad = RequiresGrad;
        value = null;
    }

    /// <summary>A parameter stands for its values in every op.</summary>
    [return: NotNullIfNotNull(nameof(parameter))]
    public static implicit operator Tensor?(Parameter? parameter) => parameter?.Value;

    /// <summary>head.weight (2, 16)</summary>
    public override string ToString() => $"{Name} {Shape}";
}
