using ILGPU;
using ILGPU.Runtime;
using Mamba.Checks;
using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>
/// Every kernel of <see cref="KernelCatalog"/> compiles for a GPU, without one; where ptxas is found, it also assembles them
/// and no hot one spills. A new kernel needs no line here.
/// </summary>
[Parallelizable(ParallelScope.All)]
public class CodeGenerationTests
{
    static readonly Ptxas? Assembler = Ptxas.Find(null, "sm_80");

    static IEnumerable<TestCaseData> Kernels =>
        KernelCatalog.Kernels.Select(kernel => new TestCaseData(kernel.Name, kernel.DType).SetArgDisplayNames(kernel.Name, kernel.DType.Name()));

    [TestCaseSource(nameof(Kernels))]
    public void Every_kernel_compiles_for_a_GPU_and_keeps_what_it_computes_with_in_registers(string name, DType dtype)
    {
        DeviceKernel kernel = KernelCatalog.Kernels.Single(k => k.Name == name && k.DType == dtype);
        var report = KernelReport.Of(kernel, "sm_80", Assembler);
        Assert.Multiple(() =>
        {
            Assert.That(report.Problem, Is.Null);
            Assert.That(report.LocalMemory, Is.False);
            Assert.That(report.Ptx, Does.Contain(".target sm_80").And.Contain(".entry"));
            Assert.That(report.Ptx, Does.Match(@"@!?%p\d+ bra\s").And.Not.Match(@"@!?%p\d+ \S+\.uni"), "threads of a warp may part; see PtxBranches");
            Assert.That(report.OpenCL, kernel.IsCudaOnly ? Is.Null : Does.Contain("kernel void"));
        });
    }

    [Test]
    public void The_catalog_holds_every_kernel_there_is_in_both_dtypes()
    {
        static bool IsKernel(Type type) => type.IsValueType && type.GetInterfaces().Any(i =>
            i == typeof(IKernel) || i.IsGenericType && i.GetGenericTypeDefinition() == typeof(ITeamKernel<,>));
        string[] expected = [.. typeof(ComputeDevice).Assembly.GetTypes().Where(IsKernel).Select(t => t.Name.Split('`')[0]), nameof(DeviceMatMul)];
        Assert.Multiple(() =>
        {
            Assert.That(KernelCatalog.Problems, Is.Empty);
            Assert.That(expected, Has.Length.GreaterThan(30));
            foreach (DType dtype in (DType[])[DType.Float32, DType.Float64])
                Assert.That(KernelCatalog.Kernels.Where(k => k.DType == dtype).Select(k => k.Family).Distinct(StringComparer.Ordinal),
                    Is.EquivalentTo(expected.Except(KernelCatalog.HostOnly.Keys, StringComparer.Ordinal)
                        .Concat(dtype == DType.Float32 ? [nameof(TensorCoreMatMul)] : [])));
            Assert.That(KernelCatalog.HostOnly.Keys, Is.SubsetOf(expected), "One that left the code leaves the list.");
            Assert.That(KernelCatalog.HostOnly.Values, Has.All.Not.Empty);
        });
    }

    [Test]
    public void The_catalog_varies_one_choice_at_a_time()
    {
        Assert.That(KernelCatalog.Kernels.Select(k => k.ToString()), Is.Unique);
        Assert.That(KernelCatalog.Kernels, Has.Count.InRange(100, 999));
        string[] scans = [.. KernelCatalog.Kernels.Where(k => k is { Family: "SelectiveScanForward", DType: DType.Float32 }).Select(k => k.Name)];
        Assert.Multiple(() =>
        {
            Assert.That(scans, Has.Some.Contains("16").And.Contains("PerToken, PerToken"), "the usual one");
            Assert.That(scans, Has.Some.Contains("16").And.Contains("PerToken, PerChannel"));
            Assert.That(scans, Has.Some.Contains("16").And.Contains("PerChannel, PerToken"));
            Assert.That(scans, Has.None.Contains("16").And.Contains("PerChannel, PerChannel"));
            Assert.That(scans, Has.Some.Contains("<1,").And.Contains("PerToken, PerToken"));
            Assert.That(scans, Has.Some.Contains("Trapezoidal Complex").And.Contains("PerChannel, PerChannel"), "the last choice of all");
        });
    }

    [Test]
    public void Every_word_for_hot_kernels_names_some() =>
        Assert.That(KernelCatalog.Hot, Has.All.Matches<string>(word =>
            KernelCatalog.Kernels.Any(k => k.IsHot && k.Family.Contains(word!, StringComparison.Ordinal))));

    [Test]
    public void The_same_kernel_is_the_same_text_every_time()
    {
        DeviceKernel kernel = KernelCatalog.Kernels.First(k => k.Family == "SoftmaxForward");
        KernelReport first = KernelReport.Of(kernel), second = KernelReport.Of(kernel);
        Assert.That(second.Ptx, Is.EqualTo(first.Ptx));
        Assert.That(second.OpenCL, Is.EqualTo(first.OpenCL));
    }

    [TestCase("sm_80", "sm_80")]
    [TestCase("sm_75", "sm_75")]
    [TestCase("sm_90", "sm_80")]
    [TestCase("sm_90a", "sm_80")]
    [TestCase("sm_120", "sm_80")]
    public void A_GPU_newer_than_sm_80_gets_PTX_for_sm_80(string architecture, string target) =>
        Assert.That(KernelCompiler.Target(architecture), Is.EqualTo(target));

    [Test]
    public void A_word_that_is_no_architecture_is_refused([Values("", "80", "sm_", "sm_8x", "sm_-80", "sm_35", "sm_99999999999", "compute_80")] string word) =>
        Assert.That(() => KernelCompiler.Target(word), Throws.TypeOf<MambaException>().With.Message.Contains($"'{word}'"));

    static void ThrowsAlways(Index1D index, ArrayView<int> view) => throw new NotSupportedException();

    static void IndexesALocalArray(Index1D index, ArrayView<int> view)
    {
        int[] local = new int[16];
        for (int i = 0; i < 16; i++)
            local[i] = view[i];
        view[index] = local[view[index] & 15];
    }

    static DeviceKernel Kernel(string name, string method) =>
        new(name, DType.Float32, typeof(CodeGenerationTests).GetMethod(method,
            System.Reflection.BindingFlags.Static | System.Reflection.BindingFlags.NonPublic)!, grouped: false);

    [Test]
    public void What_does_not_compile_is_reported_in_one_line()
    {
        var report = KernelReport.Of(Kernel("Broken", nameof(ThrowsAlways)));
        Assert.That(report.Problem, Does.StartWith("does not compile").And.Not.Contain("\n"));
        Assert.That(report.Ptx, Is.Null);
    }

    [Test]
    public void Local_memory_is_a_problem_of_hot_kernels()
    {
        KernelReport hot = KernelReport.Of(Kernel("SomeScan", nameof(IndexesALocalArray))), other = KernelReport.Of(Kernel("Some", nameof(IndexesALocalArray)));
        Assert.Multiple(() =>
        {
            Assert.That(hot.LocalMemory, Is.True);
            Assert.That(hot.Problem, Does.Contain("local memory"));
            Assert.That(other.LocalMemory, Is.True);
            Assert.That(other.Problem, Is.Null);
        });
    }

    // What ptxas 11.8 printed for a kernel, and for one with a function it calls.
    const string Verbose = """
        ptxas info    : 0 bytes gmem
        ptxas info    : Compiling entry function 'Kernel_RunTeam' for 'sm_80'
        ptxas info    : Function properties for Kernel_RunTeam
            0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
        ptxas info    : Used 92 registers, 1024 bytes smem, 680 bytes cmem[0], 8 bytes cmem[2]
        """;

    const string Spilling = """
        ptxas info    : 0 bytes gmem, 24 bytes cmem[3]
        ptxas info    : Compiling entry function 'Kernel_Run' for 'sm_80'
        ptxas info    : Function properties for Kernel_Run
            40 bytes stack frame, 36 bytes spill stores, 48 bytes spill loads
        ptxas info    : Function properties for Inner
            8 bytes stack frame, 4 bytes spill stores, 4 bytes spill loads
        ptxas info    : Used 255 registers, 680 bytes cmem[0]
        """;

    [Test]
    public void What_ptxas_says_is_read()
    {
        Assert.Multiple(() =>
        {
            Assert.That(Ptxas.ReadResources(Verbose), Is.EqualTo(new KernelResources(Registers: 92, SpillStores: 0, SpillLoads: 0, Stack: 0, Shared: 1024)));
            Assert.That(Ptxas.ReadResources(Spilling), Is.EqualTo(new KernelResources(Registers: 255, SpillStores: 40, SpillLoads: 52, Stack: 48, Shared: 0)));
            Assert.That(Ptxas.ReadResources("ptxas fatal   : Unresolved extern function 'f'"), Is.Null);
        });
    }
}
