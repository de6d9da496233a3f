namespace Mamba;

/// <summary>Facts about a <see cref="DType"/>.</summary>
public static class DTypeExtensions
{
    /// <summary>Bytes of one element.</summary>
    public static int Size(this DType dtype) => dtype == DType.Float64 ? 8 : 4;

    /// <summary>The name researchers know: float32, float64, int32.</summary>
    public static string Name(this DType dtype) => dtype.ToString().ToLowerInvariant();
}
