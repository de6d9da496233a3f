using System.Runtime.InteropServices;

namespace Mamba;

/// <summary>A function of the values of another stored tensor, computed in float64 and rounded to float32.</summary>
internal sealed class MappedTensor(StoredTensor inner, string name, Func<double, double> function) : StoredTensor(inner.File, name, "F32", inner.Shape)
{
    public override void ReadBytes(long start, Span<byte> target)
    {
        Span<float> values = MemoryMarshal.Cast<byte, float>(target);
        double[] wide = new double[values.Length];
        inner.Read(start / sizeof(float), wide);
        for (int i = 0; i < wide.Length; i++)
            values[i] = (float)function(wide[i]);
    }
}
