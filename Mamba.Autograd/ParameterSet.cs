using System.Collections;

namespace Mamba;

/// <summary>
/// All parameters of a model in one run of memory, so that the optimizer and the gradient norm are one launch each.
/// Those with weight decay come first. A parameter starts on a cache line.
/// </summary>
public sealed class ParameterSet : IReadOnlyList<Parameter>, IDisposable
{
    const int Alignment = 16;       // elements

    readonly Parameter[] parameters;
    readonly Dictionary<string, Parameter> byName;
    readonly Dictionary<Tensor, long> offsets = new(ReferenceEqualityComparer.Instance);

    /// <param name="parameters">The parameters, in the order they are listed in; their values start at zero.</param>
    /// <param name="dtype">float32 or float64.</param>
    /// <param name="device">Where they live.</param>
    public ParameterSet(IEnumerable<Parameter> parameters, DType dtype, Device device)
    {
        this.parameters = [.. parameters];
        byName = this.parameters.ToDictionary(p => p.Name, StringComparer.Ordinal);
        long count = 0;
        var starts = new Dictionary<Parameter, long>();
        foreach (Parameter parameter in this.parameters.OrderBy(p => !p.Decay))     // OrderBy is stable
        {
            starts[parameter] = count;
            count += (parameter.Shape.Count + Alignment - 1) / Alignment * Alignment;
            if (parameter.Decay)
                DecayCount = count;
        }
        Flat = Tensor.Zeros(count, dtype, device).Unowned();
        foreach (Parameter parameter in this.parameters)
        {
            parameter.Value = Flat.Part(starts[parameter], parameter.Shape);
            parameter.Value.RequiresGrad = true;
            parameter.Value.Owner = this;
            offsets[parameter.Value] = starts[parameter];
        }
    }

    /// <summary>Every value, with the gaps of the alignment: (count).</summary>
    internal Tensor Flat { get; }

    /// <summary>The first so many elements of <see cref="Flat"/> have weight decay.</summary>
    internal long DecayCount { get; }

    public int Count => parameters.Length;
    public Parameter this[int index] => parameters[index];

    /// <summary>The parameter of that name.</summary>
    public Parameter this[string name] => byName.TryGetValue(name, out Parameter? parameter)
        ? parameter
        : throw new MambaException($"There is no parameter '{name}'.");

    /// <summary>Number of weights.</summary>
    public long ElementCount => parameters.Sum(p => p.Shape.Count);

    public DType DType => Flat.DType;
    public Device Device => Flat.Device;

    /// <summary>Where a parameter's values start in <see cref="Flat"/>, and in a gradient laid out like it.</summary>
    internal long OffsetOf(Tensor value) => offsets[value];

    public IEnumerator<Parameter> GetEnumerator() => ((IEnumerable<Parameter>)parameters).GetEnumerator();
    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public void Dispose() => Flat.Dispose();
}
