using System.Collections;

namespace Mamba;

/// <summary>
/// The values of some parameters, a model's usually, in one run of memory, so that the optimizer and the gradient norm are one launch each.
/// Those with weight decay come first. A parameter starts on a cache line. It owns the memory: a parameter is in one set.
/// </summary>
public sealed class ParameterSet : IReadOnlyList<Parameter>, IDisposable
{
    internal const int Alignment = 16;                          // elements
    const ulong InitializationStream = 0x77656967687473;        // "weights": apart from the streams data are drawn from

    readonly Parameter[] parameters;
    readonly Dictionary<string, Parameter> byName = new(StringComparer.Ordinal);
    readonly Dictionary<Tensor, long> offsets = new(ReferenceEqualityComparer.Instance);

    /// <summary>Makes room for the parameters and draws their initial values, in the order they are listed in.</summary>
    /// <param name="parameters">The parameters, none of which is in a set.</param>
    /// <param name="dtype">float32 or float64.</param>
    /// <param name="device">Where they live.</param>
    /// <param name="seed">The same seed gives the same values on every device.</param>
    /// <exception cref="MambaException">Two have one name, or one is in a set already.</exception>
    public ParameterSet(IEnumerable<Parameter> parameters, DType dtype, Device device, ulong seed = 0) : this(parameters, dtype, device) =>
        Initialize(new PhiloxRandom(seed, InitializationStream));

    ParameterSet(IEnumerable<Parameter> parameters, DType dtype, Device device)
    {
        this.parameters = [.. parameters];
        foreach (Parameter parameter in this.parameters)
        {
            if (!byName.TryAdd(parameter.Name, parameter))
                throw new MambaException($"ParameterSet: two parameters have the name '{parameter.Name}'; expected names of their own.");
            if (parameter.Set is not null)
                throw new MambaException($"ParameterSet: {parameter} is in a set already, which holds its values. "
                    + "An optimizer takes any choice of parameters as it is: new AdamW(set.Where(…), …).");
        }
        long count = 0;
        var starts = new Dictionary<Parameter, long>();
        foreach (Parameter parameter in this.parameters.OrderBy(p => !p.Decay))     // OrderBy is stable
        {
            starts[parameter] = count;
            count += Padded(parameter.Shape);
        }
        Flat = Tensor.Zeros(count, dtype, device).Unowned();
        foreach (Parameter parameter in this.parameters)
        {
            Tensor value = Flat.Part(starts[parameter], parameter.Shape);
            parameter.Allocate(value, this);
            offsets[value] = starts[parameter];
        }
    }

    /// <summary>The same with all values zero, to be filled.</summary>
    internal static ParameterSet OfZeros(IEnumerable<Parameter> parameters, DType dtype, Device device) => new(parameters, dtype, device);

    void Initialize(PhiloxRandom random)
    {
        foreach (Parameter parameter in parameters)
        {
            if (parameter.Initial == Initial.Zeros)
                continue;
            double[] values = new double[parameter.Shape.Count];
            parameter.Initial(values, random);
            parameter.Value.WriteRounded(values);
        }
    }

    /// <summary>Elements of a parameter and of the gap behind it.</summary>
    internal static long Padded(Shape shape) => (shape.Count + Alignment - 1) / Alignment * Alignment;

    /// <summary>Every value, with the gaps of the alignment: (count).</summary>
    internal Tensor Flat { get; }

    /// <summary>Number of parameters.</summary>
    public int Count => parameters.Length;

    /// <summary>The parameter at a place of the list.</summary>
    /// <param name="index">0 to <see cref="Count"/> − 1.</param>
    public Parameter this[int index] => parameters[index];

    /// <summary>The parameter of that name.</summary>
    /// <param name="name">Its whole name.</param>
    /// <exception cref="MambaException">There is none.</exception>
    public Parameter this[string name] => byName.TryGetValue(name, out Parameter? parameter)
        ? parameter
        : throw new MambaException($"There is no parameter '{name}'.");

    /// <summary>Number of weights.</summary>
    public long ElementCount => parameters.Sum(p => p.Shape.Count);

    /// <summary>Element type of the values.</summary>
    public DType DType => Flat.DType;

    /// <summary>Where the values are.</summary>
    public Device Device => Flat.Device;

    /// <summary>Where a parameter's values start in <see cref="Flat"/>, and in a gradient laid out like it.</summary>
    internal long OffsetOf(Tensor value) => offsets[value];

    /// <inheritdoc/>
    public IEnumerator<Parameter> GetEnumerator() => ((IEnumerable<Parameter>)parameters).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>Gives the memory back. The parameters have no values then, and may be put into another set.</summary>
    public void Dispose()
    {
        foreach (Parameter parameter in parameters)
            if (parameter.Set == this)
                parameter.Release();
        Flat.Dispose();
    }
}
