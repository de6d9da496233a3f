using System.Runtime.CompilerServices;

namespace Mamba;

/// <summary>
/// What ops ask of their arguments besides the shape, which is <see cref="Shape.Expect"/>: floats or ints, all of one dtype and on one device, so many axes.
/// </summary>
internal static class Arguments
{
    /// <summary>Throws one clear line unless <paramref name="tensor"/> holds float32 or float64.</summary>
    public static void Floats(string op, Tensor tensor, [CallerArgumentExpression(nameof(tensor))] string name = "")
    {
        if (tensor.DType == DType.Int32)
            throw new MambaException($"{op}: {name} is int32 {tensor.Shape}; expected float32 or float64.");
    }

    /// <summary>
    /// Throws one clear line unless <paramref name="b"/> is absent or has the dtype and device of <paramref name="a"/>: two operands of one rank.
    /// </summary>
    public static void Operands(string op, Tensor a, Tensor? b,
        [CallerArgumentExpression(nameof(a))] string first = "", [CallerArgumentExpression(nameof(b))] string second = "")
    {
        if (b is not null && (a.DType != b.DType || a.Device != b.Device))
            throw new MambaException($"{op}: {second} is {b}; expected {a.DType.Name()} on {a.Device}, as {first}.");
    }

    /// <summary>Throws one clear line unless <paramref name="tensor"/> is absent or has the dtype and device of <paramref name="like"/>.</summary>
    public static void Alike(string op, Tensor like, Tensor? tensor,
        [CallerArgumentExpression(nameof(like))] string likeName = "", [CallerArgumentExpression(nameof(tensor))] string name = "")
    {
        if (tensor is null)
            return;
        if (tensor.DType != like.DType)
            throw new MambaException($"{op}: {name} is {tensor.DType.Name()}; expected {like.DType.Name()}, as {likeName}.");
        if (tensor.Device != like.Device)
            throw new MambaException($"{op}: {name} is on {tensor.Device}; expected {like.Device}, where {likeName} is.");
    }

    /// <summary>Throws one clear line unless <paramref name="tensor"/> holds int32 on <paramref name="device"/>.</summary>
    public static void Ints(string op, Tensor tensor, Device device, [CallerArgumentExpression(nameof(tensor))] string name = "")
    {
        if (tensor.DType != DType.Int32)
            throw new MambaException($"{op}: {name} is {tensor.DType.Name()}; expected int32.");
        if (tensor.Device != device)
            throw new MambaException($"{op}: {name} is on {tensor.Device}; expected {device}.");
    }

    /// <summary>
    /// Throws one clear line unless <paramref name="tensor"/> has the axes named in <paramref name="axes"/>, or at least one if it starts with "…".
    /// </summary>
    public static void Axes(string op, Tensor tensor, string axes, [CallerArgumentExpression(nameof(tensor))] string name = "")
    {
        int rank = axes.Split(',').Length;
        bool any = axes.StartsWith('…');
        if (any ? tensor.Shape.Rank < rank - 1 : tensor.Shape.Rank != rank)
            throw new MambaException($"{op}: {name} has shape {tensor.Shape}; expected ({axes}).");
    }
}
