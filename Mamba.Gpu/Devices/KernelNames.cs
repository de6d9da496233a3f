using System.Reflection;

namespace Mamba.Gpu;

/// <summary>What kernels are called in lists and messages.</summary>
internal static class KernelNames
{
    /// <summary>
    /// <c>UnaryForward&lt;Silu&gt;</c>, <c>CausalConv1dForward&lt;8&gt;</c>, <c>SelectiveScanForward&lt;16, PerToken, PerToken&gt;</c>: states say how they are
    /// discretized, and whether they are complex, where that is not the usual: <c>1 ZeroOrderHold</c>, <c>2 Complex</c>.
    /// </summary>
    public static string Of(Type type)
    {
        if (!type.IsGenericType)
            return Plain(type);
        string[] choices = [.. type.GetGenericTypeDefinition().GetGenericArguments().Zip(type.GetGenericArguments())
            .Where(p => p.First.Name is not ("V" or "M" or "T" or "I" or "G"))
            .Select(p => p.Second.GetProperty("Count", BindingFlags.Static | BindingFlags.Public) is { } count ? count.GetValue(null) + Unusual(p.Second)
                : Of(p.Second))];
        return choices.Length == 0 ? Plain(type) : $"{Plain(type)}<{string.Join(", ", choices)}>";
    }

    /// <summary>The name without what closes it.</summary>
    public static string Plain(Type type) => type.Name.Split('`')[0];

    /// <summary>The open form of a generic type; another type itself.</summary>
    public static Type Definition(Type type) => type.IsGenericType ? type.GetGenericTypeDefinition() : type;

    static string Unusual(Type states)
    {
        Type one = states;
        while (Definition(one) == typeof(Pair<,,,>))
            one = one.GetGenericArguments()[0];
        if (Definition(one) != typeof(One<,,,,>))
            return "";
        Type[] arguments = one.GetGenericArguments();
        return (arguments[0] == typeof(Schemes.ExponentialEuler) ? "" : " " + arguments[0].Name)
            + (Definition(arguments[1]) == typeof(Complex<,,>) ? " Complex" : "");
    }
}
