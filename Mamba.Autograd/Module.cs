namespace Mamba;

/// <summary>
/// A part of a model with parameters of its own, or with parts that have some: a layer, a block, a model. It declares what there is; the
/// values come with <see cref="Initialize"/>. Parameters are listed in the order they were added in, under the path that leads to them.
/// <code>
/// sealed class Classifier : Module
/// {
///     readonly MambaBackbone backbone;
///     readonly Linear head;
///
///     public Classifier(MambaConfig config, int classes)
///     {
///         backbone = Add("backbone", new MambaBackbone(config));          // backbone.layers.0.mixer.A_log …
///         head = Add("head", new Linear(config.DModel, classes));         // head.weight, head.bias
///     }
///
///     public Tensor Forward(Tensor x) => head.Forward(backbone.Forward(x).Mean(1));
/// }
/// </code>
/// </summary>
public abstract class Module
{
    readonly List<(Parameter? Own, Module? Part)> parts = [];
    string? path;       // under which it was added to another

    /// <summary>Every parameter, of its own and of its parts, in the order they were added in.</summary>
    public IEnumerable<Parameter> Parameters => parts.SelectMany(part => part.Own is { } own ? [own] : part.Part!.Parameters);

    /// <summary>Declares a parameter.</summary>
    /// <param name="name">Its name here: <c>weight</c>.</param>
    /// <param name="shape">Extents.</param>
    /// <param name="decay">Whether weight decay applies.</param>
    /// <param name="initial">How its values start; 0 when null.</param>
    protected Parameter Add(string name, Shape shape, bool decay = true, Initializer? initial = null)
    {
        var parameter = new Parameter(path is null ? name : $"{path}.{name}", shape, decay, initial);
        parts.Add((parameter, null));
        return parameter;
    }

    /// <summary>Makes another module a part of this one: its parameters are listed here, with <paramref name="name"/> and a dot before their names.</summary>
    /// <param name="name">The part's name: <c>mixer</c>; dots are allowed.</param>
    /// <param name="part">A module that is no part of another.</param>
    /// <returns><paramref name="part"/></returns>
    /// <exception cref="MambaException">It is a part of another module.</exception>
    protected T Add<T>(string name, T part) where T : Module
    {
        if (part.path is not null)
            throw new MambaException($"{GetType().Name}: '{name}' shall be a {part.GetType().Name} that is part '{part.path}' of another module; "
                + "expected one of its own.");
        part.Move(path is null ? name : $"{path}.{name}", name);
        parts.Add((null, part));
        return part;
    }

    // this module has gone to a path: everything in it is now below
    void Move(string to, string prefix)
    {
        path = to;
        foreach ((Parameter? own, Module? part) in parts)
        {
            if (own is not null)
                own.Name = $"{prefix}.{own.Name}";
            else
                part!.Move($"{prefix}.{part.path}", prefix);
        }
    }

    /// <summary>Gives every parameter its initial values.</summary>
    /// <param name="device">Where they shall live.</param>
    /// <param name="dtype">float32 or float64.</param>
    /// <param name="seed">The same seed gives the same values on every device.</param>
    /// <returns>The set that holds the values, to be disposed when they are not needed any more.</returns>
    public ParameterSet Initialize(Device device, DType dtype = DType.Float32, ulong seed = 0) => new(Parameters, dtype, device, seed);
}
