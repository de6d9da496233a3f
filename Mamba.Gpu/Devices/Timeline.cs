namespace Mamba.Gpu;

/// <summary>Every kernel that runs on a device while this is its <see cref="ComputeDevice.Timeline"/>.</summary>
internal sealed class Timeline(ComputeDevice device)
{
    readonly List<(string Name, Mark Start, Mark End, long Bytes, double Flops)> runs = [];
    readonly Mark origin = device.Mark();
    long bytes;
    Mark? started;

    /// <summary>What ran, in order. Waits for the device.</summary>
    public KernelRun[] Read()
    {
        device.Synchronize();
        return [.. runs.Select(r => new KernelRun(r.Name, r.Start.MillisecondsSince(origin), r.End.MillisecondsSince(r.Start), r.Bytes, r.Flops))];
    }

    internal void Touch(Tensor? tensor) => bytes += tensor is null ? 0 : tensor.Count * tensor.DType.Size();

    internal void Begin() => started = device.Mark();

    internal void End(Type kernel) => End(NameOf(kernel), 0);

    internal void End(in MatMulProblem p)
    {
        Touch(p.A);
        Touch(p.B);
        Touch(p.C);
        string batch = p.Batch > 1 ? $"{p.Batch} × " : "";
        End($"MatMul {batch}({p.M}, {p.K}){(p.TransposeA ? "ᵀ" : "")} ({p.K}, {p.N}){(p.TransposeB ? "ᵀ" : "")}", 2.0 * p.Batch * p.M * p.N * p.K);
    }

    void End(string name, double flops)
    {
        runs.Add((name, started!, device.Mark(), bytes, flops));
        bytes = 0;
    }

    /// <summary>UnaryForward&lt;Silu&gt;: a kernel's type with those of its type arguments that are not lanes, memory or teams.</summary>
    internal static string NameOf(Type type)
    {
        string name = type.Name.Split('`')[0];
        string[] arguments = [.. type.GetGenericArguments().Where(Tells).Select(NameOf)];
        return arguments.Length == 0 ? name : $"{name}<{string.Join(", ", arguments)}>";

        static bool Tells(Type t) => !t.IsPrimitive && t.Name.Split('`')[0] is not ("HostMemory" or "DeviceMemory" or "HostTeam" or "GroupTeam") && !IsLane(t);

        static bool IsLane(Type t) =>
            !t.IsGenericType && Array.Exists(t.GetInterfaces(), i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(ILane<,,>));
    }
}
