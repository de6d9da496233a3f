using System.Text.Json;
using Mamba.Checks;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary><c>mamba gradcheck</c> and <c>mamba parity</c> as a user runs them.</summary>
public class CheckCommandTests
{
    static readonly string Here = typeof(CheckCommandTests).Assembly.Location;

    static (int Code, string Output, string Error) Mamba(params string[] args) => MambaProcess.Run(Path.GetTempPath(), args);

    static JsonElement[] Json(string output)
    {
        using var document = JsonDocument.Parse(output);
        return [.. document.RootElement.Clone().EnumerateArray()];
    }

    [Test]
    public void Gradcheck_prints_a_row_for_each_op()
    {
        (int code, string output, string error) = Mamba("gradcheck", "rms-norm", "neg", "softmax", "--device", "cpu");
        Assert.That((code, error), Is.EqualTo((0, "")), output);
        string[] rows = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(rows, Has.Length.EqualTo(4));
        Assert.That(rows[0], Does.Match("^op +device +cases +largest error +estimated +verdict$"));
        Assert.That(rows[1], Does.Match(@"^Neg +cpu +5 +\d\.\de-\d\d +\d\.\de-\d\d  agrees$"));
        Assert.That(rows[2..], Has.All.EndsWith("agrees"));
    }

    [Test]
    public void Gradcheck_json_has_every_input()
    {
        (int code, string output, string error) = Mamba("gradcheck", "RmsNorm", "--json", "--device", "cpu");
        Assert.That((code, error), Is.EqualTo((0, "")), output);
        JsonElement[] cases = Json(output);
        Assert.That(cases, Has.Length.EqualTo(OpCatalog.Cases.Count(c => c.Op == "RmsNorm")));
        foreach (JsonElement c in cases)
        {
            Assert.That(c.GetProperty("verdict").GetString(), Is.EqualTo("agrees"));
            Assert.That(c.GetProperty("inputs").EnumerateArray().Select(i => i.GetProperty("name").GetString()), Is.EqualTo(new[] { "x", "weight" }));
            Assert.That(c.GetProperty("relative_error").GetDouble(), Is.LessThan(1e-7));
        }
    }

    [Test]
    public void A_planted_wrong_gradient_is_exit_code_1_and_named()
    {
        (int code, string output, string error) = Mamba("gradcheck", "planted-right", "planted-wrong", "planted-kink", "--assembly", Here, "--device", "cpu");
        Assert.That(code, Is.EqualTo(1));
        Assert.That(output, Does.Match("PlantedRight .*agrees").And.Match("PlantedWrong .*1 wrong").And.Match("PlantedKink .*1 not smooth"));
        Assert.That(error, Does.Match(@"gradcheck: 2 of 3 cases failed; the first is PlantedWrong sign at \(1, 2\) on cpu: "
            + @"The derivative of a \(2, 3\) at \(1, 2\) is wrong: analytic \S+, numeric \S+; they differ by "));
    }

    [Test]
    public void Unknown_ops_devices_and_assemblies_are_one_line([Values("gradcheck", "parity")] string command)
    {
        foreach ((string[] arguments, string message) in new (string[], string)[]
        {
            (["rmsnrom"], $"{command}: no op is called 'rmsnrom'; there are "),
            ([command == "parity" ? "--devices" : "--device", "gpu9", "neg"], "Device 'gpu9' is unknown; there are: "),
            (["neg", "--assembly", "/no/such.dll"], "--assembly /no/such.dll: "),
        })
        {
            (int code, string output, string error) = Mamba([command, .. arguments]);
            Assert.That(code, Is.EqualTo(1), output);
            Assert.That(error, Does.StartWith(message));
            Assert.That(error.Count(c => c == '\n'), Is.EqualTo(1), error);
        }
    }

    [Test]
    public void Parity_prints_a_row_for_each_op_device_and_dtype()
    {
        (int code, string output, string error) = Mamba("parity", "rms-norm", "arg-max", "--devices", "cpu-128,cpu-512");
        Assert.That((code, error), Is.EqualTo((0, "")), output);
        string[] rows = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(rows, Has.Length.EqualTo(1 + 2 * 2 * 2));
        Assert.That(rows[0], Does.Match("^op +device +dtype +cases +relative +ulps +gradient +ulps +bits +verdict$"));
        Assert.That(rows[1..], Has.All.Match(@"^(RmsNorm|ArgMax) +cpu-(128|512) +float(32|64) +\d+ .* the same +agrees$"));
    }

    [Test]
    public void Parity_json_has_the_bits_of_every_output()
    {
        (_, string output, _) = Mamba("parity", "planted-bits", "--devices", "cpu-128,cpu-256", "--json", "--assembly", Here);
        Assert.Multiple(() =>
        {
            (string, byte[])[] known = [("float32", Bytes<float>(1, -0f, 0.5f, float.NaN)), ("float64", Bytes(1, -0d, 0.5, double.NaN))];
            foreach ((string dtype, byte[] expected) in known)
            {
                JsonElement[] results = [.. Json(output).Where(r => r.GetProperty("dtype").GetString() == dtype)];
                Assert.That(results, Has.Length.EqualTo(2));
                foreach (JsonElement[] outputs in results.Select(r => r.GetProperty("outputs").EnumerateArray().ToArray()))
                    Assert.That(outputs.Select(o => o.GetProperty("bits").GetString()), Is.EqualTo(new[] { Fnv1a(expected), Fnv1a(Bytes(3)) }));
            }
        });

        // the NaN that the hash counts every NaN as: quiet, positive, nothing else
        static byte[] Bytes<T>(params T[] values) where T : unmanaged => [.. values.SelectMany(x => x switch
        {
            float.NaN => BitConverter.GetBytes(0x7fc00000),
            double.NaN => BitConverter.GetBytes(0x7ff8000000000000),
            float f => BitConverter.GetBytes(f),
            double d => BitConverter.GetBytes(d),
            object i => BitConverter.GetBytes((int)i),
        })];

        static string Fnv1a(byte[] bytes) => bytes.Aggregate(0xcbf29ce484222325UL, (hash, b) => (hash ^ b) * 0x100000001b3UL).ToString("x16");
    }

    // .NET is told to do without instructions this processor may have. Without AVX2 there is no fused multiply-add either, and products of matrices,
    // powers and what uses them round otherwise: docs/same-bits.md.
    [TestCase("DOTNET_EnableAVX512", "exp", "softplus", "linear", "mat-mul", "block")]
    [TestCase("DOTNET_EnableAVX2", "exp", "softplus", "softmax", "cross-entropy", "layer-norm", "causal-conv1d", "linear-recurrence", "hidden-attention")]
    public void A_lesser_processor_gives_the_same_bits(string setting, params string[] ops)
    {
        string[] arguments = ["parity", .. ops, "--devices", "cpu-128,cpu-256,cpu-512", "--json"];
        (int code, string usual, string error) = MambaProcess.Run(Path.GetTempPath(), arguments);
        Assert.That((code, error), Is.EqualTo((0, "")));
        (code, string lesser, error) = MambaProcess.Run(Path.GetTempPath(), [(setting, "0")], arguments);
        Assert.That((code, error), Is.EqualTo((0, "")));
        Assert.That(Bits(lesser), Is.EqualTo(Bits(usual)));

        static string[] Bits(string output) => [.. Json(output).SelectMany(r => r.GetProperty("outputs").EnumerateArray().Select(o => string.Join(' ',
            (string[])[.. Strings(r, "op", "case", "device", "dtype"), .. Strings(o, "name", "bits")])))];

        static IEnumerable<string> Strings(JsonElement of, params string[] names) => names.Select(name => of.GetProperty(name).GetString()!);
    }

    [Test]
    public void Planted_faults_are_found_on_the_simulator_which_dies_and_goes_on()
    {
        (int code, string output, string error) = Mamba("parity", "planted", "--devices", "ilgpu-cpu", "--json", "--assembly", Here);
        Assert.That(code, Is.EqualTo(1), output);
        JsonElement[] results = Json(output);
        string? Failure(string variant, string property) => results.First(r => r.GetProperty("case").GetString() == variant).GetProperty(property).GetString();
        Assert.Multiple(() =>
        {
            Assert.That(error, Does.StartWith("parity: "));
            Assert.That(Failure("right", "problem"), Is.Null);
            Assert.That(Failure("unwritten", "problem"), Is.EqualTo("2 of 5 elements of output 0 were never written, or come from memory that was not"));
            Assert.That(Failure("out of range", "failure"), Does.StartWith("Writes ended the process: Index out of range"));
            Assert.That(Failure("reads scratch", "problem"), Is.EqualTo("5 of 5 elements of output 0 were never written, or come from memory that was not"));
            Assert.That(Failure("right again", "problem"), Is.Null);
        });
    }

    [Test]
    public void Planted_faults_are_found_on_the_host()
    {
        (int code, string output, _) = Mamba("parity", "planted", "--devices", "cpu-256", "--json", "--assembly", Here);
        Assert.That(code, Is.EqualTo(1), output);
        string?[] problems = [.. Json(output).Where(r => r.GetProperty("dtype").GetString() == "float32").Select(r => r.GetProperty("problem").GetString())];
        Assert.That(problems, Has.Length.EqualTo(5));
        Assert.Multiple(() =>
        {
            Assert.That(problems[0], Is.Null);
            Assert.That(problems[1], Is.EqualTo("2 of 5 elements of output 0 were never written, or come from memory that was not"));
            Assert.That(problems[2], Is.EqualTo("Writes wrote element 5 of a tensor float32 (5)"));
            Assert.That(problems[3], Is.EqualTo("5 of 5 elements of output 0 were never written, or come from memory that was not"));
            Assert.That(problems[4], Is.Null);
        });
    }

    [Test]
    public void The_kernels_only_devices_have_agree_on_the_simulator()
    {
        (int code, string output, string error) = Mamba("parity", "mat-mul", "embedding", "softmax", "--devices", "ilgpu-cpu", "--json");
        Assert.That((code, error), Is.EqualTo((0, "")), output);
        JsonElement[] results = Json(output);
        Assert.That(results, Has.Length.EqualTo(2 * OpCatalog.Cases.Count(c => c.Small && c.Op is "MatMul" or "Embedding" or "Softmax")));
        Assert.That(results.SelectMany(r => r.GetProperty("kernels").EnumerateArray()).Select(k => k.GetString()),
            Does.Contain("DeviceMatMul").And.Contain("SoftmaxBackward"));
    }
}
