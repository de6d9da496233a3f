namespace Mamba;

/// <summary>Parameters that an optimizer treats alike.</summary>
/// <param name="Parameters">Any choice of parameters, of one set or of several.</param>
public sealed record ParameterGroup(IEnumerable<Parameter> Parameters)
{
    /// <summary>Their learning rate, as a multiple of the optimizer's, so that a schedule moves all groups: 0 or more.</summary>
    public double Rate { get; init; } = 1;

    /// <summary>Their weight decay, whatever their marks; null: the optimizer's, for those that are marked for it.</summary>
    public double? WeightDecay { get; init; }
}
