namespace Mamba.Checks;

/// <summary>
/// One way to call one op: what <c>mamba gradcheck</c> differentiates and <c>mamba parity</c> runs on every device. A case of your own
/// is one of these, in a public static property <c>Cases</c> of any public class: <c>mamba gradcheck --assembly Mine.dll</c>.
/// </summary>
/// <param name="Op">The op's name.</param>
/// <param name="Variant">What is special in this case: flags and shapes.</param>
/// <param name="Inputs">Floats the op is a function of; ints are made by the function.</param>
/// <param name="Function">From inputs to outputs; the same values for the same inputs.</param>
public sealed record OpCase(string Op, string Variant, IReadOnlyList<CaseInput> Inputs, Func<Tensor[], Tensor[]> Function)
{
    /// <summary>Whether gradients are asked for.</summary>
    public bool Differentiable { get; init; } = true;

    /// <summary>What outputs and gradients in float32 may be off by, over the largest element of the same tensor.</summary>
    public double Float32Tolerance { get; init; } = 1e-5;

    /// <summary>The same for float64.</summary>
    public double Float64Tolerance { get; init; } = 1e-12;

    /// <summary>Whether each dtype has values of its own, as random draws do: float32 is then compared with float32 on the host.</summary>
    public bool OwnValues { get; init; }

    /// <summary>Small enough for ILGPU's simulator.</summary>
    public bool Small { get; init; } = true;

    /// <summary>Opens inputs that are not made here: a model's parameters.</summary>
    internal Func<Device, DType, OpenCase>? Opener { get; init; }

    /// <summary>The inputs on a device, watched, and the function of them.</summary>
    /// <param name="device">Where.</param>
    /// <param name="dtype">Element type.</param>
    /// <param name="rounded">Whether values are rounded to float32 first, so that both types compute with the same numbers.</param>
    internal OpenCase Open(Device device, DType dtype, bool rounded = false)
    {
        if (Opener is not null)
        {
            OpenCase open = Opener(device, dtype);
            if (rounded)
                foreach ((_, Tensor value) in open.Inputs)
                    value.WriteRounded(Array.ConvertAll(value.ToDoubles(), x => (double)(float)x));
            return open;
        }
        Tensor[] inputs = [.. Inputs.Select((input, i) =>
        {
            double[] values = input.Values(seed: (ulong)i);
            return Tape.Watch(Tensor.From(rounded ? Array.ConvertAll(values, x => (double)(float)x) : values, input.Shape, dtype, device));
        })];
        return new OpenCase([.. inputs.Select((x, i) => (Inputs[i].Name, x))], () => Function(inputs), null);
    }

    /// <summary>The op, and the variant if there is one.</summary>
    public override string ToString() => Variant.Length == 0 ? Op : $"{Op} {Variant}";
}
