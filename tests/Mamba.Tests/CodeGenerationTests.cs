using System.Reflection;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>
/// Every kernel there is compiles for a GPU, without one: each struct of Mamba.Gpu that is an IKernel or an ITeamKernel is
/// closed with the types a device has, by the names of its type parameters, and compiled to PTX. A new kernel needs no line here.
/// </summary>
public class CodeGenerationTests
{
    /// <summary>Kernels that may use local memory, each with its reason.</summary>
    static readonly Dictionary<string, string> LocalMemoryAllowed = new(StringComparer.Ordinal);

    /// <summary>Kernels that never run on a device, each with its reason.</summary>
    static readonly Dictionary<string, string> HostOnly = new(StringComparer.Ordinal)
    {
        ["HostMatMul"] = "SIMD over host pointers; DeviceMatMul is its counterpart.",
    };

    /// <summary>
    /// Type parameters bound to one of these interfaces are closed with the structs given here: lists and trees of any depth.
    /// One bound to another interface of Mamba.Gpu is closed with every struct that implements it.
    /// </summary>
    static readonly Dictionary<Type, Func<Types, Type[]>> Trees = new()
    {
        [typeof(ITaps<,,>)] = t => [Taps(t, 1), Taps(t, 4), Taps(t, 8)],
        [typeof(IStates<,,,>)] = t => [States(t, 1), States(t, 16)],
    };

    /// <summary>What one element type stands for on a device.</summary>
    public sealed record Types(Type V, Type M, Type T, Type I, Type G);

    static readonly Types[] Elements =
    [
        new(typeof(Scalar32), typeof(DeviceMemory<float>), typeof(float), typeof(DeviceMemory<int>), typeof(GroupTeam<Scalar32, float>)),
        new(typeof(Scalar64), typeof(DeviceMemory<double>), typeof(double), typeof(DeviceMemory<int>), typeof(GroupTeam<Scalar64, double>)),
    ];

    static Type Taps(Types t, int count) => count == 1
        ? typeof(LastTap<,,>).MakeGenericType(t.V, t.M, t.T)
        : typeof(Tap<,,,>).MakeGenericType(Taps(t, count - 1), t.V, t.M, t.T);

    static Type States(Types t, int count) => count == 1
        ? typeof(One<,,,,>).MakeGenericType(typeof(Schemes.ExponentialEuler), t.V, t.V, t.M, t.T)
        : typeof(Pair<,,,>).MakeGenericType(States(t, count / 2), t.V, t.M, t.T);

    static IEnumerable<Type> Structs => typeof(ComputeDevice).Assembly.GetTypes().Where(t => t.IsValueType);

    static bool Implements(Type type, Type definition) => type.GetInterfaces().Any(i => i == definition || i.IsGenericType && i.GetGenericTypeDefinition() == definition);

    static bool IsKernel(Type type) => Implements(type, typeof(IKernel)) || Implements(type, typeof(ITeamKernel<,>));

    static IEnumerable<TestCaseData> Kernels()
    {
        foreach (Type definition in Structs.Where(t => IsKernel(t) && !HostOnly.ContainsKey(t.Name.Split('`')[0])).OrderBy(t => t.Name, StringComparer.Ordinal))
            foreach (Types types in Elements)
                foreach ((Type? closed, string? problem) in Close(definition, types))
                    yield return new TestCaseData(closed, problem).SetArgDisplayNames(closed is null ? NameOf(definition) : NameOf(closed), types.T.Name);
    }

    // Every way to close a definition; or one problem.
    static (Type? Closed, string? Problem)[] Close(Type definition, Types types)
    {
        if (!definition.IsGenericTypeDefinition)
            return [(definition, null)];
        IEnumerable<Type[]> ways = [[]];
        foreach (Type parameter in definition.GetGenericArguments())
        {
            Type[] choices = Choices(parameter, types);
            if (choices.Length == 0)
                return [(null, $"{NameOf(definition)}: nothing stands for the type parameter {parameter.Name}; say what does in CodeGenerationTests.Trees.")];
            ways = [.. ways.SelectMany(way => choices.Select(choice => (Type[])[.. way, choice]))];
        }
        return [.. ways.Select(way => ((Type?)definition.MakeGenericType(way), (string?)null))];
    }

    static Type[] Choices(Type parameter, Types types) => parameter.Name switch
    {
        "V" => [types.V],
        "M" => [types.M],
        "T" => [types.T],
        "I" => [types.I],
        "G" => [types.G],
        _ => [.. parameter.GetGenericParameterConstraints().Where(c => c.IsInterface).Select(c => c.IsGenericType ? c.GetGenericTypeDefinition() : c).SelectMany(c =>
            Trees.TryGetValue(c, out Func<Types, Type[]>? trees) ? trees(types)
            : c.Assembly != typeof(ComputeDevice).Assembly ? []
            : Structs.Where(s => Implements(s, c)).SelectMany(s => Close(s, types)).Where(s => s.Closed is not null).Select(s => s.Closed!))],
    };

    // UnaryForward<Silu>, CausalConv1dForward<8>
    static string NameOf(Type type)
    {
        string name = type.Name.Split('`')[0];
        if (!type.IsGenericType || type.IsGenericTypeDefinition)
            return name;
        string[] choices = [.. type.GetGenericTypeDefinition().GetGenericArguments().Zip(type.GetGenericArguments())
            .Where(p => p.First.Name is not ("V" or "M" or "T" or "I" or "G"))
            .Select(p => p.Second.GetProperty("Count", BindingFlags.Static | BindingFlags.Public) is { } count ? count.GetValue(null)!.ToString()! : NameOf(p.Second))];
        return choices.Length == 0 ? name : $"{name}<{string.Join(", ", choices)}>";
    }

    [TestCaseSource(nameof(Kernels))]
    public void Every_kernel_compiles_for_a_GPU(Type? kernel, string? problem)
    {
        Assert.That(problem, Is.Null);
        string ptx = CompilePtx(kernel!);
        Assert.That(ptx, Does.Contain(".entry"));
        if (!LocalMemoryAllowed.ContainsKey(kernel!.Name.Split('`')[0]))
            Assert.That(ptx, Does.Not.Contain(".local "), "A kernel keeps what it computes with in registers.");
    }

    [Test]
    public void There_are_kernels_of_both_kinds()
    {
        Assert.That(Structs.Count(t => Implements(t, typeof(IKernel))), Is.GreaterThan(5));
        Assert.That(Structs.Count(t => Implements(t, typeof(ITeamKernel<,>))), Is.GreaterThan(5));
    }

    [Test]
    public void The_matrix_product_compiles_for_a_GPU([Values] bool float64) =>
        Assert.That(CompilePtx(EntryPointDescription.FromExplicitlyGroupedKernel(typeof(DeviceMatMul).GetMethod(nameof(DeviceMatMul.Run))!
            .MakeGenericMethod(Elements[float64 ? 1 : 0].V, Elements[float64 ? 1 : 0].T))), Does.Contain(".entry").And.Not.Contain(".local "));

    static string CompilePtx(Type kernel)
    {
        Type? team = Array.Find(kernel.GetInterfaces(), i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(ITeamKernel<,>));
        if (team is null)
            return CompilePtx(EntryPointDescription.FromImplicitlyGroupedKernel(typeof(KernelEntry).GetMethod(nameof(KernelEntry.Run))!.MakeGenericMethod(kernel)));
        Types types = Array.Find(Elements, t => t.V == team.GetGenericArguments()[0])!;
        return CompilePtx(EntryPointDescription.FromExplicitlyGroupedKernel(typeof(KernelEntry).GetMethod("RunTeam")!.MakeGenericMethod(kernel, types.V, types.T)));
    }

    static string CompilePtx(EntryPointDescription entry)
    {
        // A failed compilation spoils its context for all that follow, so each kernel has its own.
        using Context context = Context.Create(b => b.EnableAlgorithms().Optimize(OptimizationLevel.O2));
        using var backend = new PTXBackend(context, CudaArchitecture.SM_80, new CudaInstructionSet(7, 8), null!);
        return ((PTXCompiledKernel)backend.Compile(entry, new KernelSpecialization())).PTXAssembly;
    }
}
