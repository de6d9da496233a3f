using System.Reflection;
using Mamba.Gpu;

namespace Mamba.Checks;

/// <summary>
/// Every kernel a device can be given, found by reflection: each struct of Mamba.Gpu that is an <see cref="IKernel"/> or
/// an <see cref="ITeamKernel{V, G}"/>, closed for float32 and for float64. A new kernel needs no line here.
/// </summary>
/// <remarks>
/// The type parameters V, M, T, I and G get what a device has. Any other gets every struct that implements the interface it
/// is bound to (a unary function, a way to read B and C, a discretization, a tree of states). A kernel with several such
/// parameters is not closed in all ways, of which there would be thousands: there is one usual way, the first choice of each;
/// then each other choice of one parameter, the rest as usual; and last, the last choice of all of them at once. The first
/// choice is the struct declared first in the source, and of trees the size named first in <see cref="Depths"/>.
/// </remarks>
internal static class KernelCatalog
{
    /// <summary>
    /// Words in the names of the kernels that take nearly all the time of training and generation. They have to keep what
    /// they compute with in registers: local memory or spills in one of them count as a failure.
    /// </summary>
    public static IReadOnlyList<string> Hot { get; } = ["Scan", "MatMul", "Conv1d", "RmsNorm", "LayerNorm"];

    /// <summary>Kernels that never run on a device, each with its reason.</summary>
    public static IReadOnlyDictionary<string, string> HostOnly { get; } = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["SelectiveScanForwardStrip"] = "The shape for a core; SelectiveScanForward is its counterpart.",
        ["HostMatMul"] = "SIMD over host pointers; DeviceMatMul is its counterpart.",
    };

    /// <summary>How deep the structs are nested that make a list or a tree of any size, the usual depth first.</summary>
    static readonly Dictionary<Type, int[]> Depths = new()
    {
        [typeof(ITaps<,,>)] = [3, 0, 7],                // 4, 1 and 8 taps
        [typeof(IStates<,,,>)] = [4, 3, 2, 1, 0],       // 16, 8, 4, 2 and 1 states
    };

    static readonly int[] DepthsOfOthers = [2, 1, 0];

    /// <summary>What one element type stands for on a device.</summary>
    sealed record Elements(DType DType, Type V, Type M, Type T, Type I, Type G);

    static readonly Elements[] DTypes =
    [
        new(DType.Float32, typeof(Scalar32), typeof(DeviceMemory<float>), typeof(float), typeof(DeviceMemory<int>), typeof(GroupTeam<Scalar32, float>)),
        new(DType.Float64, typeof(Scalar64), typeof(DeviceMemory<double>), typeof(double), typeof(DeviceMemory<int>), typeof(GroupTeam<Scalar64, double>)),
    ];

    static readonly Type[] Structs = [.. typeof(IKernel).Assembly.GetTypes().Where(t => t.IsValueType).OrderBy(t => t.MetadataToken)];   // as declared

    static readonly Lazy<(DeviceKernel[] Kernels, string[] Problems)> Found = new(Find);

    /// <summary>Every kernel, in alphabetical order, float32 before float64.</summary>
    public static IReadOnlyList<DeviceKernel> Kernels => Found.Value.Kernels;

    /// <summary>Kernels that could not be closed, each in a line; none in a healthy build.</summary>
    public static IReadOnlyList<string> Problems => Found.Value.Problems;

    static (DeviceKernel[] Kernels, string[] Problems) Find()
    {
        var kernels = new List<DeviceKernel>();
        var problems = new List<string>();
        foreach (Elements elements in DTypes)
        {
            foreach (Type definition in Structs.Where(t => IsKernel(t) && !HostOnly.ContainsKey(KernelNames.Plain(t))))
            {
                try
                {
                    kernels.AddRange(Close(definition, elements).Select(kernel => Kernel(kernel, elements)));
                }
                catch (Exception e) when (e is MambaException or ArgumentException)
                {
                    problems.Add($"{KernelNames.Plain(definition)} in {elements.DType.Name()}: {e.Message}");
                }
            }
            kernels.AddRange(MatMuls(elements));
        }
        foreach (Type form in (Type[])[typeof(TF32), typeof(BF16)])
            kernels.Add(new DeviceKernel($"{nameof(TensorCoreMatMul)}<{form.Name}>", DType.Float32,
                typeof(TensorCoreMatMul).GetMethod(nameof(TensorCoreMatMul.Run))!.MakeGenericMethod(form), grouped: true)
            { OldestGpu = "sm_80" });
        return ([.. kernels.OrderBy(k => k.Name, StringComparer.Ordinal).ThenBy(k => k.DType)], [.. problems]);
    }

    // The tiles a matrix product is cut into, the usual one first.
    static readonly (Type Sums, Type Side, int Tile)[] MatMulTiles =
        [(typeof(Sums8<,>), typeof(Side16), 128), (typeof(Sums4<,>), typeof(Side16), 64), (typeof(Sums4<,>), typeof(Side8), 32),
            (typeof(Sums4<,>), typeof(Side4), 16)];

    static IEnumerable<DeviceKernel> MatMuls(Elements elements) => MatMulTiles.Select(t => new DeviceKernel($"{nameof(DeviceMatMul)}<{t.Tile}>", elements.DType,
        typeof(DeviceMatMul).GetMethod(nameof(DeviceMatMul.Run))!.MakeGenericMethod(elements.V, elements.T, t.Sums.MakeGenericType(elements.V, elements.T),
            t.Side), grouped: true));

    static DeviceKernel Kernel(Type kernel, Elements elements)
    {
        bool team = Implements(kernel, typeof(ITeamKernel<,>));
        MethodInfo entry = team
            ? typeof(KernelEntry).GetMethod(nameof(KernelEntry.RunTeam))!.MakeGenericMethod(kernel, elements.V, elements.T)
            : typeof(KernelEntry).GetMethod(nameof(KernelEntry.Run))!.MakeGenericMethod(kernel);
        return new DeviceKernel(KernelNames.Of(kernel), elements.DType, entry, team);
    }

    static bool IsKernel(Type type) => Implements(type, typeof(IKernel)) || Implements(type, typeof(ITeamKernel<,>));

    static bool Implements(Type type, Type definition) => type.GetInterfaces().Any(i => KernelNames.Definition(i) == definition);

    // The usual way to close a definition, then the others: see the remarks above.
    static IEnumerable<Type> Close(Type definition, Elements elements)
    {
        if (!definition.IsGenericTypeDefinition)
            return [definition];
        Type[][] choices = [.. definition.GetGenericArguments().Select(parameter => Choices(parameter, elements))];
        Type[] usual = [.. choices.Select(c => c[0])];
        IEnumerable<Type[]> others = choices.SelectMany((c, i) => c.Skip(1).Select(choice => (Type[])[.. usual[..i], choice, .. usual[(i + 1)..]]));
        return ((IEnumerable<Type[]>)[usual, .. others, [.. choices.Select(c => c[^1])]]).Select(way => definition.MakeGenericType(way)).Distinct();
    }

    // What may stand for a type parameter, the usual choice first.
    static Type[] Choices(Type parameter, Elements elements)
    {
        switch (parameter.Name)
        {
            case "V": return [elements.V];
            case "M": return [elements.M];
            case "T": return [elements.T];
            case "I": return [elements.I];
            case "G": return [elements.G];
            case "N": return [elements.V, typeof(Complex<,,>).MakeGenericType(elements.V, elements.M, elements.T)];
        }
        Type[] roles = Roles(parameter);
        Type[] players = roles.Length == 0 ? [] : [.. Structs.Where(s => roles.All(role => Implements(s, role)))];
        Type[] nests = [.. players.Where(s => s.IsGenericTypeDefinition && s.GetGenericArguments().Any(p => Roles(p).Intersect(roles).Any()))];
        Type[] leaves = [.. players.Except(nests).SelectMany(s => Close(s, elements))];
        if (leaves.Length == 0)
            throw new MambaException($"nothing stands for its type parameter {parameter.Name}; KernelCatalog closes V, M, T, I, G, and what is bound to an "
                + $"interface that structs of Mamba.Gpu implement.");
        if (parameter.Name == "L")          // one state: the kernel makes trees of it itself
            return leaves;
        int[] depths = roles.Select(role => Depths.GetValueOrDefault(role)).FirstOrDefault(d => d is not null) ?? DepthsOfOthers;
        return [.. nests.SelectMany(nest => depths.Select(depth => Nest(nest, leaves[0], depth))).Concat(leaves).Distinct()];

        Type Nest(Type nest, Type inner, int depth) => depth == 0 ? inner : Nest(nest, nest.MakeGenericType(
            [.. nest.GetGenericArguments().Select(p => Roles(p).Intersect(roles).Any() ? inner : Choices(p, elements)[0])]), depth - 1);
    }

    // The interfaces of Mamba.Gpu a type parameter is bound to.
    static Type[] Roles(Type parameter) =>
        [.. parameter.GetGenericParameterConstraints().Where(c => c.IsInterface && c.Assembly == typeof(IKernel).Assembly).Select(KernelNames.Definition)];
}
