namespace Mamba.Checks;

/// <summary>A case on a device.</summary>
internal sealed record OpenCase((string Name, Tensor Value)[] Inputs, Func<Tensor[]> Function, IDisposable? Model) : IDisposable
{
    public void Dispose()
    {
        Model?.Dispose();
        if (Model is null)
            foreach ((_, Tensor value) in Inputs)
                value.Dispose();
    }
}
