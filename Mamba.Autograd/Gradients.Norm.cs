using Mamba.Gpu;

namespace Mamba;

public sealed partial class Gradients
{
    Tensor? norm;       // (norm, root of the coefficient), left on the device by ClipNorm

    /// <summary>
    /// Scales the gradients of all parameters in place by min(1, max / (norm + 1e-6)), norm being their global L2 norm, as
    /// PyTorch's clip_grad_norm_ does, and returns them. It waits for nothing: the norm stays on the device until <see cref="Norm"/> asks.
    /// Where the norm is infinite or NaN nothing is scaled, which would make zeros of the finite gradients: ask <see cref="IsFinite"/>.
    /// </summary>
    public Gradients ClipNorm(double max)
    {
        if (!(max > 0))
            throw new MambaException($"ClipNorm: the largest norm is {max}; expected more than 0.");
        norm = NormAndCoefficient(max);
        if (norm is not null)
            foreach (Tensor flat in Flats)
                GradientNormKernels.Scale(flat, norm);
        return this;
    }

    /// <summary>
    /// The global L2 norm of the gradients of all parameters; after <see cref="ClipNorm"/>, what it was before. Waits for
    /// the device. Those of watched tensors do not count. NaN if a gradient is, infinite if one is; no square on the way to it overflows.
    /// </summary>
    public double Norm
    {
        get
        {
            if (norm is not null)
                return norm.ToDoubles()[0];
            using Tensor? result = NormAndCoefficient(double.MaxValue);
            return result?.ToDoubles()[0] ?? 0;
        }
    }

    /// <summary>
    /// Whether the norm is a finite number, and so is the gradient of every parameter: whether a step may be taken. Waits for the device, as
    /// <see cref="Norm"/> does.
    /// <code>
    /// Gradients gradients = tape.Backward(loss).ClipNorm(1);
    /// if (gradients.IsFinite)         // a step that would end in NaN is left out
    ///     optimizer.Step(gradients);
    /// </code>
    /// </summary>
    public bool IsFinite => double.IsFinite(Norm);

    /// <summary>
    /// A parameter with a gradient that is infinite or NaN somewhere, null if there is none. Of several the one listed last, the nearest to
    /// the loss: those before it may have theirs from there. Looks at each element on the host.
    /// </summary>
    public Parameter? NonFinite => bySet
        .Select(of => of.Key.LastOrDefault(parameter => !of.Value.Part(of.Key.OffsetOf(parameter.Value), parameter.Shape).IsFinite()))
        .FirstOrDefault(parameter => parameter is not null);

    Tensor? NormAndCoefficient(double max)
    {
        Tensor[] flats = [.. Flats];
        if (flats.Length == 0)
            return null;
        foreach (Tensor flat in flats)
            Arguments.Alike("ClipNorm", flats[0], flat, "the first set of parameters", "a set of parameters");
        Tensor result = flats[0].Like(2);
        GradientNormKernels.Norm(flats, max, result);
        return result;
    }
}
