namespace Mamba;

/// <summary>
/// A backbone with something before it and something after it, its weights in one set: what <see cref="Trainer"/> trains and run folders hold. A
/// <see cref="MambaLM"/> reads tokens and foretells the next; a <see cref="SequenceModel"/> reads tokens or numbers and has a head of another kind.
/// </summary>
public abstract class MambaModel : Module, IDisposable
{
    private protected MambaModel(MambaConfig config)
    {
        Backbone = new MambaBackbone(config);       // it says so if no model can be built
        Config = config;
    }

    /// <summary>Sizes.</summary>
    public MambaConfig Config { get; }

    /// <summary>The stack of layers.</summary>
    public MambaBackbone Backbone { get; }

    /// <summary>All weights; those of a tied head are the embedding's.</summary>
    public new ParameterSet Parameters { get; private protected set; } = null!;

    /// <summary>The mixers of the layers, first to last: <see cref="MambaBlock"/>s, unless the config says otherwise.</summary>
    public IEnumerable<Mixer> Blocks => Backbone.Layers.Select(layer => layer.Mixer);

    /// <summary>The state before the first token, for <paramref name="batch"/> sequences.</summary>
    /// <param name="batch">b.</param>
    /// <returns>Zeros, in the dtype and on the device of the weights; disposed by the caller.</returns>
    public MambaState NewState(long batch) => Backbone.NewState(batch);

    /// <summary>A model of that config with freshly drawn weights: a <see cref="SequenceModel"/> where it has a head, else a <see cref="MambaLM"/>.</summary>
    internal static MambaModel Create(MambaConfig config, Device device, ulong seed, DType dtype) =>
        config.Head is null ? new MambaLM(config, device, seed, dtype) : new SequenceModel(config, device, seed, dtype);

    /// <summary>The same with weights of zero, to be filled; <paramref name="check"/> looks at its parameters before anything is allocated for them.</summary>
    internal static MambaModel Zeros(MambaConfig config, DType dtype, Device device, Action<IReadOnlyList<Parameter>>? check = null) =>
        config.Head is null ? new MambaLM(config, dtype, device, check) : new SequenceModel(config, dtype, device, check);

    /// <summary>Gives the memory of the weights back.</summary>
    public void Dispose()
    {
        Parameters.Dispose();
        GC.SuppressFinalize(this);
    }
}
