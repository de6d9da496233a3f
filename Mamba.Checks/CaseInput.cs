namespace Mamba.Checks;

/// <summary>An input of an <see cref="OpCase"/>: floats drawn uniformly from [low, high).</summary>
/// <param name="Name">Its name in the op.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Low">The smallest value.</param>
/// <param name="High">Above the largest.</param>
/// <param name="EitherSign">Whether half of the values are negated: to stay away from 0.</param>
public sealed record CaseInput(string Name, Shape Shape, double Low = -1, double High = 1, bool EitherSign = false)
{
    /// <summary>The values, the same for the same seed.</summary>
    public double[] Values(ulong seed)
    {
        var random = new PhiloxRandom(seed, stream: 0x696e707574);
        double[] values = new double[Shape.Count];
        for (int i = 0; i < values.Length; i++)
        {
            double x = Low + (High - Low) * random.NextDouble();
            values[i] = EitherSign && random.NextUInt32() % 2 == 0 ? -x : x;
        }
        return values;
    }
}
