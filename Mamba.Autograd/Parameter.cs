using System.Diagnostics.CodeAnalysis;

namespace Mamba;

/// <summary>A weight of a model: a name, a shape, and a value the optimizer changes in place.</summary>
/// <param name="name">The official name: <c>backbone.layers.0.mixer.A_log</c>.</param>
/// <param name="shape">Extents, as in the official checkpoint.</param>
/// <param name="decay">Whether weight decay applies: not to A_log, D, biases and norm weights.</param>
public sealed class Parameter(string name, Shape shape, bool decay = true)
{
    Tensor? value;

    public string Name { get; } = name;
    public Shape Shape { get; } = shape;
    public bool Decay { get; } = decay;

    /// <summary>The values; they live in their <see cref="ParameterSet"/>.</summary>
    public Tensor Value
    {
        get => value ?? throw new InvalidOperationException($"{Name} has no value yet: it is not in a ParameterSet.");
        internal set => this.value = value;
    }

    [return: NotNullIfNotNull(nameof(parameter))]
    public static implicit operator Tensor?(Parameter? parameter) => parameter?.Value;

    public override string ToString() => $"{Name} {Shape}";
}
