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
        var called = OpCatalog.Cases.SelectMany(c => Calls(c.Function).Where(m => m.Name == c.Op).Select(m => (Definition(m), c.Differentiable))).ToHashSet();
        Assert.Multiple(() =>
        {
            foreach (MethodInfo op in PublicOps)
                Assert.That(called, Does.Contain((op, !OpCatalog.NotDifferentiable.ContainsKey(op.Name))), $"{op} has no case in OpCatalog");
            Assert.That(OpCatalog.NotDifferentiable.Keys, Is.SubsetOf(PublicOps.Select(op => op.Name)));
        });

        static MethodBase Definition(MethodBase method) => method is MethodInfo { IsGenericMethod: true } closed ? closed.GetGenericMethodDefinition() : method;
    }

    [Test]
    public void No_two_cases_have_the_same_name() =>
        Assert.That(OpCatalog.Cases.Select(c => c.ToString()), Is.Unique);

    [Test]
    public void Every_kernel_is_launched_by_a_case()
    {
        string[] launched = [.. OnHost.Value.SelectMany(r => r.Kernels).Select(k => k.Split('<')[0]).Distinct(StringComparer.Ordinal)];
        // CheckCommandTests runs the first two on the simulator, MatMulTilesTests the last
        string[] deviceOnly = ["DeviceMatMul", "SelectiveScanForward", "TensorCoreMatMul"];
        IEnumerable<string> families = KernelCatalog.Kernels.Select(k => k.Family).Except(deviceOnly, StringComparer.Ordinal);
        Assert.That(launched, Is.EquivalentTo(families.Union(KernelCatalog.HostOnly.Keys, StringComparer.Ordinal)));
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

    [Test]
    public void Every_output_alone_gives_every_input_a_gradient([ValueSource(nameof(OpNames))] string op)
    {
        using Device device = new HostDevice(threads: 1);
        var missing = new List<string>();
        foreach (OpCase c in OpCatalog.Select("test", [op]).Where(c => c.Differentiable))
        {
            using var scope = new TensorScope();
            using OpenCase open = c.Open(device, DType.Float64);
            for (int k = 0, outputs = 1; k < outputs; k++)
            {
                using var tape = new Tape();
                Tensor[] ys = open.Function();
                outputs = ys.Length;
                Gradients gradients = tape.Backward([GradCheck.Seeds(ys)[k]]);
                bool Unreached(Tensor x) => !gradients.Contains(x) || !gradients[x].IsFinite();
                missing.AddRange(open.Inputs.Where(x => Unreached(x.Value)).Select(x => $"{c}: {x.Name} from output {k} of {outputs}"));
            }
        }
        Assert.That(missing, Is.Empty);
    }

    static readonly OpCase[] Empty =
    [
        new("CausalConv1d", "l 0", [new("x", (2, 0, 3)), new("weight", (3, 4)), new("bias", 3), new("state", (2, 4, 3))],
            x => [Ops.CausalConv1d(x[0], x[1], x[2], state: x[3])]),
        new("CausalConv1d", "b 0", [new("x", (0, 5, 3)), new("weight", (3, 4)), new("bias", 3)], x => [Ops.CausalConv1d(x[0], x[1], x[2])]),
        new("ConvState", "l 0", [new("x", (2, 0, 3)), new("previous", (2, 4, 3))], x => [Ops.ConvState(x[0], x[1])]),
        new("Reverse", "l 0", [new("x", (2, 0, 3))], x => [Ops.Reverse(x[0], Tensor.Zeros((2, 0), DType.Int32, x[0].Device))]),
        new("Reverse", "b 0", [new("x", (0, 5, 3))], x => [Ops.Reverse(x[0], Tensor.Zeros((0, 5), DType.Int32, x[0].Device))]),
        new("Reverse", "d 0", [new("x", (2, 5, 0))], x => [Ops.Reverse(x[0])]),
        new("LinearRecurrence", "l 0", [new("a", (2, 0, 3)), new("x", (2, 0, 3)), new("initial", (2, 3))], x => [Ops.LinearRecurrence(x[0], x[1], x[2])]),
        new("LinearRecurrence", "blelloch l 0", [new("a", (2, 0, 3)), new("x", (2, 0, 3)), new("initial", (2, 3))],
            x => [Ops.LinearRecurrence(x[0], x[1], x[2], LinearScan.Blelloch)]),
        new("LinearRecurrence", "kogge-stone l 0", [new("a", (2, 0, 3)), new("x", (2, 0, 3)), new("initial", (2, 3))],
            x => [Ops.LinearRecurrence(x[0], x[1], x[2], LinearScan.KoggeStone)]),
        new("SelectiveScan", "b 0",
            [new("u", (0, 2, 3)), new("delta", (0, 2, 3)), new("A", (3, 2)), new("B", (0, 2, 2)), new("C", (0, 2, 2)), new("D", 3)],
            x => [Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], x[5]).Y]),
        new("Linear", "no rows", [new("x", (0, 3)), new("weight", (5, 3)), new("bias", 5)], x => [Ops.Linear(x[0], x[1], x[2])]),
        new("Linear", "no inputs", [new("x", (2, 0)), new("weight", (5, 0)), new("bias", 5)], x => [Ops.Linear(x[0], x[1], x[2])]),
        new("LinearSplit", "an output of none", [new("x", (2, 3)), new("weight", (5, 3)), new("bias", 5)], x => Ops.LinearSplit(x[0], x[1], x[2], 2, 0, 3)),
        new("MatMul", "k 0", [new("a", (2, 0)), new("b", (0, 3))], x => [Ops.MatMul(x[0], x[1])]),
        new("MatMul", "m 0", [new("a", (0, 4)), new("b", (4, 3))], x => [Ops.MatMul(x[0], x[1])]),
        new("Embedding", "no tokens", [new("weight", (5, 3))], x => [Ops.Embedding(Tensor.Zeros((2, 0), DType.Int32, x[0].Device), x[0])]),
        new("CrossEntropy", "no rows", [new("logits", (0, 5))], x => [Ops.CrossEntropy(x[0], Tensor.Zeros(0, DType.Int32, x[0].Device))]),
        new("RmsNorm", "no rows", [new("x", (0, 3)), new("weight", 3)], x => [Ops.RmsNorm(x[0], x[1])]),
        new("AddRmsNorm", "no rows", [new("x", (0, 3)), new("residual", (0, 3)), new("weight", 3)], x =>
        {
            (Tensor y, Tensor sum) = Ops.AddRmsNorm(x[0], x[1], x[2]);
            return [y, sum];
        }),
        new("LayerNorm", "no rows", [new("x", (0, 3)), new("weight", 3), new("bias", 3)], x => [Ops.LayerNorm(x[0], x[1], x[2])]),
        new("Softmax", "no rows", [new("x", (0, 3))], x => [Ops.Softmax(x[0])]),
        new("Sum", "no rows", [new("x", (0, 3))], x => [Ops.Sum(x[0], 0)]),
        new("Max", "no columns", [new("x", (3, 0))], x => [Ops.Max(x[0], 0)]),
        new("Mul", "a repeated row", [new("a", (0, 3)), new("b", 3)], x => [Ops.Mul(x[0], x[1])]),
        new("Concat", "a part of none", [new("a", (2, 0)), new("b", (2, 3))], x => [Ops.Concat(1, x)]),
        new("Split", "into none", [new("x", (2, 3))], x => Ops.Split(x[0], 1, 0, 3)),
        new("MeanSquaredError", "of a sum of none", [new("x", (2, 0)), new("target", (2, 0))], x => [Ops.MeanSquaredError(x[0], x[1])]),
        new("BinaryCrossEntropy", "of none", [new("logits", (2, 0)), new("target", (2, 0))], x => [Ops.BinaryCrossEntropy(x[0], x[1])]),
        new("Dropout", "of none", [new("x", (2, 0))], x => [Ops.Dropout(x[0], 0.5, seed: 1)]),
        new("Where", "of none", [new("a", (2, 0)), new("b", (2, 0))], x => [Ops.Where(x[0] > 0, x[0], x[1])]),
        new("Slice", "of none", [new("x", (2, 3))], x => [Ops.Slice(x[0], 1, 1, 0)]),
    ];

    [TestCaseSource(nameof(Empty))]
    public void Nothing_at_all_gives_every_input_a_gradient_too(OpCase c)
    {
        using var device = new HostDevice(threads: 1);
        using var watch = new KernelWatch(device) { EachLaunch = false };      // fresh memory is full of NaN
        using var scope = new TensorScope();
        using OpenCase open = c.Open(device, DType.Float64);
        for (int k = 0, outputs = 1; k < outputs; k++)
        {
            using var tape = new Tape();
            Tensor[] ys = open.Function();
            outputs = ys.Length;
            Gradients gradients = tape.Backward([GradCheck.Seeds(ys)[k]]);
            foreach ((string name, Tensor value) in open.Inputs)
                Assert.That(gradients[value].IsFinite(), $"{name} from output {k}");
        }
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
            FieldInfo[] fields = target.GetType().GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic);
            foreach (object? held in fields.Select(f => f.GetValue(target)))
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
