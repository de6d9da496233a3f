namespace Mamba;

/// <summary>The kinds of mixers that <c>ssm_cfg.layer</c> of a config.json may name. A kind of your own is one line more.</summary>
public static class Mixers
{
    static readonly Lock Gate = new();
    static readonly Dictionary<string, Type> Settings = new(StringComparer.Ordinal)
    {
        [SsmConfig.Name] = typeof(SsmConfig),
        [BidirectionalConfig.Name] = typeof(BidirectionalConfig),
        [SelectionConfig.Name] = typeof(SelectionConfig),
        [AttentionConfig.Name] = typeof(AttentionConfig),
    };

    /// <summary>The names, in alphabetical order.</summary>
    public static IReadOnlyList<string> Names
    {
        get
        {
            lock (Gate)
                return [.. Settings.Keys.Order(StringComparer.Ordinal)];
        }
    }

    /// <summary>Makes a kind known under its <see cref="MixerConfig.Layer"/>, so that config.json may name it. Registering it again changes nothing.</summary>
    /// <typeparam name="C">Its settings.</typeparam>
    /// <exception cref="MambaException">Another kind has that name.</exception>
    public static void Register<C>() where C : MixerConfig, new()
    {
        string name = new C().Layer;
        lock (Gate)
            if (!Settings.TryAdd(name, typeof(C)) && Settings[name] != typeof(C))
                throw new MambaException($"Mixers: the name '{name}' of {typeof(C).Name} is taken by {Settings[name].Name}; expected another.");
    }

    /// <summary>The type of the settings of a kind.</summary>
    internal static Type SettingsOf(string layer)
    {
        lock (Gate)
            if (Settings.TryGetValue(layer, out Type? type))
                return type;
        throw new MambaException($"MambaConfig: ssm_cfg.layer is {Safetensors.Quote(layer)}; there is {string.Join(", ", Names)}. "
            + "Mixers.Register makes another kind known.");
    }
}
