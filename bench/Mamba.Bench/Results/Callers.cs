using System.Diagnostics;
using System.Reflection;

namespace Mamba.Bench;

/// <summary>Who allocates, read from the stack: the outermost op (or what else of the library it was), and whether it computes a gradient.</summary>
internal static class Callers
{
    /// <summary>"SelectiveScan", "Linear, backward", "AdamW".</summary>
    public static string Name()
    {
        string? op = null, other = null;
        foreach (StackFrame frame in new StackTrace(1).GetFrames())
        {
            if (frame.GetMethod() is not { DeclaringType: { } type } method)
                continue;
            Type outer = Outermost(type);
            if (outer == typeof(Tape) && method.Name == nameof(Tape.Backward))
                return $"{op ?? other ?? "tape"}, backward";
            if (outer == typeof(Ops))
                op = NameOf(method);
            else if (outer.Namespace == "Mamba" && !Ignored.Contains(outer.Name))
                other = outer.Name;
        }
        return op ?? other ?? "caller";
    }

    static readonly string[] Ignored = [nameof(Tensor), nameof(BufferPool), nameof(Ledger), nameof(MambaLM), nameof(MambaBlock)];

    static Type Outermost(Type type)
    {
        while (type.DeclaringType is { } outer)
            type = outer;
        return type;
    }

    // <RmsNorm>b__0 and <RmsNorm>g__Local|1 belong to RmsNorm
    static string NameOf(MethodBase method)
    {
        string name = method.Name;
        int end = name.IndexOf('>', StringComparison.Ordinal);
        return name.StartsWith('<') && end > 1 ? name[1..end] : name;
    }
}
