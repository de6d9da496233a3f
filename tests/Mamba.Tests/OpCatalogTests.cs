using System.Reflection;
using Mamba.Checks;
using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>The catalog names every op, its cases reach every kernel, and all of them pass.</summary>
public class OpCatalogTests
{
    static readonly MethodInfo[] PublicOps = typeof(Ops).GetMethods(BindingFlags.Public | BindingFlags.Static | BindingFlags.DeclaredOnly);

    static readonly string[] OpNames = [.. OpCatalog.Cases.Where(c => c.Differentiable).Select(c => c.Op).Distinct(StringComparer.Ordinal)];

    static readonly Lazy<ParityResult[]> OnHost = new(() => [.. Parity.Run(OpCatalog.Cases, "cpu-256")]);

    [Test]
    public void Every_public_op_has_a_case_that_calls_it()
    {
        var called = OpCatalog.Cases.SelectMany(c => Calls(c.Function).Where(m => m.Name == c.Op).Select(m => (m, c.Differentiable))).ToHashSet();
        Assert.Multiple(() =>
        {
            foreach (MethodInfo op in PublicOps)
                Assert.That(called, Does.Contain((op, !OpCatalog.NotDifferentiable.ContainsKey(op.Name))), $"{op} has no case in OpCatalog");
            Assert.That(OpCatalog.NotDifferentiable.Keys, Is.SubsetOf(PublicOps.Select(op => op.Name)));
        });
    }

    [Test]
    public void No_two_cases_have_the_same_name() =>
        Assert.That(OpCatalog.Cases.Select(c => c.ToString()), Is.Unique);

    [Test]
    public void Every_kernel_is_launched_by_a_case()
    {
        string[] launched = [.. OnHost.Value.SelectMany(r => r.Kernels).Select(k => k.Split('<')[0]).Distinct(StringComparer.Ordinal)];
        string[] deviceOnly = ["DeviceMatMul", "SelectiveScanForward", "TensorCoreMatMul"];      // CheckCommandTests runs the first two on the simulator, MatMulTilesTests the last
        Assert.That(launched, Is.EquivalentTo(KernelCatalog.Kernels.Select(k => k.Family).Except(deviceOnly, StringComparer.Ordinal).Union(KernelCatalog.HostOnly.Keys, StringComparer.Ordinal)));
    }

    [Test]
    public void Every_case_agrees_on_the_host_with_guarded_memory_and_gives_the_same_bits_again()
    {
        Assert.That(OnHost.Value, Has.Length.EqualTo(2 * OpCatalog.Cases.Count));
        Assert.That(OnHost.Value.Where(r => r.Problem is not null).Select(r => $"{r.Op} {r.Case} in {r.DType}: {r.Problem}"), Is.Empty);
    }

    [Test]
    public void Gradients_agree_with_differences_to_1e7([ValueSource(nameof(OpNames))] string op)
    {
        GradientResult[] results = [.. GradientCheck.Run(OpCatalog.Select("test", [op]), "cpu")];
        Assert.That(results, Is.Not.Empty);
        Assert.That(results.Where(r => r.Problem is not null).Select(r => $"{r.Case}: {r.Problem}"), Is.Empty);
        Assert.That(results.Max(r => r.Report!.RelativeError), Is.LessThan(1e-7));
    }

    // ---- what a function calls: its IL, that of what it calls here, and the delegates it holds --------------------------

    static HashSet<MethodBase> Calls(Delegate function)
    {
        var seen = new HashSet<MethodBase>();
        var targets = new HashSet<object>(ReferenceEqualityComparer.Instance);
        Follow(function.Method);
        FollowTarget(function.Target);
        return seen;

        void Follow(MethodBase method)
        {
            if (!seen.Add(method) || method.DeclaringType?.Namespace != "Mamba.Checks" || method.GetMethodBody()?.GetILAsByteArray() is not { } il)
                return;
            for (int i = 0; i + 5 <= il.Length; i++)
            {
                if (il[i] is 0x28 or 0x6F || (il[i] == 0x06 && i > 0 && il[i - 1] == 0xFE))      // call, callvirt, ldftn
                    if (Resolve(method, BitConverter.ToInt32(il, i + 1)) is { } other)
                        Follow(other);
            }
        }

        void FollowTarget(object? target)
        {
            if (target?.GetType().Namespace != "Mamba.Checks" || !targets.Add(target))
                return;
            foreach (object? held in target.GetType().GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic).Select(f => f.GetValue(target)))
            {
                if (held is Delegate inner)
                {
                    Follow(inner.Method);
                    FollowTarget(inner.Target);
                }
                else if (held is not null && held.GetType().Name.Contains("DisplayClass", StringComparison.Ordinal))
                {
                    FollowTarget(held);
                }
            }
        }
    }

    // a byte that looks like a call need not be one
    static MethodBase? Resolve(MethodBase from, int token)
    {
        try
        {
            return from.Module.ResolveMethod(token, from.DeclaringType!.GetGenericArguments(), from.IsGenericMethod ? from.GetGenericArguments() : null);
        }
        catch (Exception e) when (e is ArgumentException or BadImageFormatException)
        {
            return null;
        }
    }
}
