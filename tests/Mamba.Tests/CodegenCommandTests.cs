using System.Text.Json;
using Mamba.Checks;
using NUnit.Framework;

namespace Mamba.Tests;

public class CodegenCommandTests
{
    string folder = "";

    [SetUp]
    public void MakeFolder() => folder = Directory.CreateTempSubdirectory("mamba-codegen-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(folder, recursive: true);

    // A ptxas that says of every kernel what it is told to say here.
    string FakePtxas(string stack)
    {
        string path = Path.Combine(folder, "ptxas");
        File.WriteAllText(path, $"""
            #!/bin/sh
            if [ "$1" = --version ]; then echo "Cuda compilation tools, release 11.8, V11.8.89"; exit 0; fi
            cat > /dev/null
            echo "    {stack}" >&2
            echo "ptxas info    : Used 77 registers, 512 bytes smem, 404 bytes cmem[0]" >&2
            """);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        return path;
    }

    [Test]
    public void One_kernel_is_shown_and_written()
    {
        (int code, string output, string error) = MambaProcess.Run(folder, "codegen", "fillkernel", "--output", "code");
        Assert.That((code, error), Is.EqualTo((0, "")), output);
        string[] rows = [.. output.Split('\n').Where(line => line.StartsWith("FillKernel ", StringComparison.Ordinal))];
        Assert.That(rows, Has.Length.EqualTo(2));
        Assert.That(rows[0], Does.Contain("float32").And.Contain(" no "));
        Assert.That(rows[1], Does.Contain("float64"));
        Assert.That(Directory.GetFiles(Path.Combine(folder, "code")).Select(Path.GetFileName).Order(StringComparer.Ordinal),
            Is.EqualTo(new[] { "FillKernel.float32.cl", "FillKernel.float32.ptx", "FillKernel.float64.cl", "FillKernel.float64.ptx" }));
        Assert.That(File.ReadAllText(Path.Combine(folder, "code", "FillKernel.float32.ptx")), Does.Contain(".entry"));
    }

    [Test]
    public void Json_is_JSON()
    {
        (int code, string output, string error) = MambaProcess.Run(folder, "codegen", "UnaryForward<Silu>", "FillKernel", "--json", "--arch", "sm_90");
        Assert.That((code, error), Is.EqualTo((0, "")), output);
        using JsonDocument json = JsonDocument.Parse(output);
        JsonElement[] kernels = [.. json.RootElement.EnumerateArray()];
        Assert.That(kernels.Select(k => (k.GetProperty("kernel").GetString(), k.GetProperty("dtype").GetString())), Is.EqualTo(new[]
        {
            ("FillKernel", "float32"), ("FillKernel", "float64"), ("UnaryForward<Silu>", "float32"), ("UnaryForward<Silu>", "float64"),
        }));
        Assert.That(kernels.Select(k => k.GetProperty("ptx_bytes").GetInt32()), Has.All.GreaterThan(500));
        Assert.That(kernels.Select(k => k.GetProperty("opencl_bytes").GetInt32()), Has.All.GreaterThan(500));
        Assert.That(kernels.Select(k => k.GetProperty("local_memory").GetBoolean()), Has.All.False);
    }

    [Test]
    public void A_kernel_of_newer_GPUs_is_left_out_for_older_ones()
    {
        (int code, string output, string error) = MambaProcess.Run(folder, "codegen", "TensorCoreMatMul", "--arch", "sm_75");
        Assert.That((code, output, error), Is.EqualTo((1, "", "codegen: the kernels with that name need a newer GPU than sm_75." + Environment.NewLine)));
        (code, output, error) = MambaProcess.Run(folder, "codegen", "TensorCoreMatMul", "FillKernel", "--arch", "sm_75");
        Assert.That((code, error), Is.EqualTo((0, "")), output);
        Assert.That(output, Does.Contain("FillKernel").And.Not.Contain("TensorCoreMatMul"));
    }

    [Test, Platform(Exclude = "Win")]
    public void What_ptxas_says_is_shown()
    {
        string ptxas = FakePtxas("0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads");
        (int code, string output, string error) = MambaProcess.Run(folder, "codegen", "RmsNormForward", "--ptxas", ptxas);
        Assert.That((code, error), Is.EqualTo((0, "")), output);
        Assert.That(output, Does.Contain("ptxas 11.8").And.Match(@"RmsNormForward +float32 +\d+ +\d+ +no +512 +77 +0 +0 +0\n"));
    }

    [Test, Platform(Exclude = "Win")]
    public void A_hot_kernel_that_spills_is_exit_code_1()
    {
        string ptxas = FakePtxas("24 bytes stack frame, 20 bytes spill stores, 16 bytes spill loads");
        (int code, string output, string error) = MambaProcess.Run(folder, "codegen", "RmsNormForward", "FillKernel", "--ptxas", ptxas);
        Assert.That(code, Is.EqualTo(1));
        Assert.That(error,
            Is.EqualTo("codegen: 2 of 4 kernels have a problem; the first is RmsNormForward in float32: a hot kernel spills registers." + Environment.NewLine));
        Assert.That(output, Does.Match(@"RmsNormForward +float32 +\d+ +\d+ +no +512 +77 +20 +16 +24  a hot kernel spills registers\n"));
        Assert.That(MambaProcess.Run(folder, "codegen", "FillKernel", "--ptxas", ptxas).Code, Is.Zero);
    }

    [Test, Platform(Exclude = "Win")]
    public void What_is_not_ptxas_is_refused()
    {
        (int code, string output, string error) = MambaProcess.Run(folder, "codegen", "FillKernel", "--ptxas", "/bin/echo");
        Assert.That((code, output), Is.EqualTo((1, "")));
        Assert.That(error, Does.Contain("/bin/echo is not ptxas").And.EndWith(Environment.NewLine));
        Assert.That(error.Count(c => c == '\n'), Is.EqualTo(1), error);
    }
}
