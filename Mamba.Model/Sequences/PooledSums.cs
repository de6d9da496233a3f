namespace Mamba;

/// <summary>What pooling keeps of the pieces so far, (b, d_model) for each sum. In float64 on the host: there may be very many pieces.</summary>
internal sealed class PooledSums(SequenceModel model, long batch)
{
    readonly Shape shape = (batch, model.Config.DModel);
    double[][]? sums;

    /// <summary>Positions so far.</summary>
    public long Positions { get; private set; }

    /// <summary>Adds those of the next piece.</summary>
    public void Add(Tensor[] partial, long positions)
    {
        double[][] values = Array.ConvertAll(partial, sum => sum.ToDoubles());
        Positions += positions;
        if (sums is null || model.PoolKind == Pooling.Last)
            sums = values;
        else
            for (int k = 0; k < sums.Length; k++)
                for (int i = 0; i < sums[k].Length; i++)
                    sums[k][i] += values[k][i];
    }

    /// <summary>The sums, in the model's dtype.</summary>
    public Tensor[] Tensors() => Array.ConvertAll(
        sums ?? throw new InvalidOperationException("No piece was added."),
        values =>
        {
            var tensor = Tensor.Empty(shape, model.Parameters.DType, model.Parameters.Device);
            tensor.WriteRounded(values);
            return tensor;
        });
}
