namespace Mamba;

/// <summary>
/// What a model remembers of the tokens so far: for each layer the last k inputs of the convolution and the n states of each
/// channel. Its size does not depend on how many tokens there were. Made by <see cref="MambaLM.NewState"/>.
/// </summary>
public sealed class MambaState : IDisposable
{
    internal MambaState(MambaConfig config, long batch, DType dtype, Device device)
    {
        Batch = batch;
        Layers = [.. Enumerable.Range(0, config.NLayer).Select(_ => new Layer(
            Tensor.Zeros((batch, config.SsmCfg.DConv, config.DInner), dtype, device).Unowned(),
            Tensor.Zeros((batch, config.SsmCfg.DState, config.DInner), dtype, device).Unowned()))];
    }

    /// <summary>Number of sequences.</summary>
    public long Batch { get; }

    /// <summary>The layers, first to last.</summary>
    public IReadOnlyList<Layer> Layers { get; }

    /// <summary>Tokens seen so far.</summary>
    public long Position { get; internal set; }

    /// <summary>Forgets everything: the state before the first token.</summary>
    public void Reset()
    {
        Position = 0;
        foreach (Layer layer in Layers)
        {
            layer.Conv.Clear();
            layer.Ssm.Clear();
        }
    }

    public void Dispose()
    {
        foreach (Layer layer in Layers)
        {
            layer.Conv.Dispose();
            layer.Ssm.Dispose();
        }
    }

    /// <summary>The state of one layer.</summary>
    /// <param name="Conv">(b, k, d): the last k raw inputs of the convolution, oldest first.</param>
    /// <param name="Ssm">(b, n, d): h.</param>
    public sealed record Layer(Tensor Conv, Tensor Ssm);
}
