using System.Globalization;
using System.Reflection;
using System.Text.Json;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>Numbers are read and written alike whatever the culture, and nothing but a number is one.</summary>
public class NumbersTests
{
    /// <summary>A culture with a decimal comma, dots between thousands and a minus sign of its own, as there are many.</summary>
    static CultureInfo Foreign()
    {
        var culture = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        culture.NumberFormat = new NumberFormatInfo
        {
            NumberDecimalSeparator = ",",
            NumberGroupSeparator = ".",
            NegativeSign = "−",
            PositiveSign = "§",
            NaNSymbol = "¤",
            PercentDecimalSeparator = ",",
        };
        return culture;
    }

    static void Abroad(Action run)
    {
        CultureInfo home = CultureInfo.CurrentCulture;
        CultureInfo.CurrentCulture = Foreign();
        try
        {
            Assert.That(0.5.ToString(), Is.EqualTo("0,5"), "the culture counts");
            run();
        }
        finally
        {
            CultureInfo.CurrentCulture = home;
        }
    }

    [TestCase("0.001", 0.001)]
    [TestCase("1e-3", 0.001)]
    [TestCase("-1E+3", -1000)]
    [TestCase("+2", 2)]
    [TestCase(".5", 0.5)]
    [TestCase("1e999", double.PositiveInfinity)]
    [TestCase("0,001", null)]
    [TestCase("1,000", null)]
    [TestCase("1.000,5", null)]
    [TestCase("1 000", null)]
    [TestCase(" 1", null)]
    [TestCase("1 ", null)]
    [TestCase("(1)", null)]
    [TestCase("1-", null)]
    [TestCase("−1", null)]
    [TestCase("$1", null)]
    [TestCase("0x10", null)]
    [TestCase("1_000", null)]
    [TestCase("٣", null)]
    [TestCase("", null)]
    public void A_number_is_digits_sign_point_and_exponent(string text, double? value)
    {
        Assert.That(Numbers.Real(text), Is.EqualTo(value));
        Abroad(() => Assert.That(Numbers.Real(text), Is.EqualTo(value)));
    }

    [Test]
    public void A_whole_number_has_neither_point_nor_marks()
    {
        foreach (string text in (string[])["", " 1", "1 ", "1,0", "1.0", "1e3", "0x1", "1 000", "1_0", "(1)", "1-", "−1", "९", "99999999999999999999"])
            Assert.That((Numbers.Int(text), Numbers.Long(text), Numbers.Natural(text), Numbers.Index(text)),
                Is.EqualTo(((int?)null, (long?)null, (ulong?)null, (int?)null)), text);
        Assert.That((Numbers.Int("-5"), Numbers.Long("-5"), Numbers.Natural("5"), Numbers.Index("5")), Is.EqualTo(((int?)-5, (long?)-5, (ulong?)5, (int?)5)));
        Assert.That((Numbers.Natural("+5"), Numbers.Natural("-5"), Numbers.Index("+5"), Numbers.Index("-0")),
            Is.EqualTo(((ulong?)null, (ulong?)null, (int?)null, (int?)null)));
    }

    [TestCase("cuda:+1")]
    [TestCase("cuda: 0")]
    [TestCase("cuda:0 ")]
    [TestCase("cuda:")]
    [TestCase("cuda:-1")]
    [TestCase("opencl: 0")]
    [TestCase("opencl:0x0")]
    [TestCase("opencl:1,000")]
    public void A_device_has_a_plain_number(string name) =>
        Assert.That(() => Device.Open(name), Throws.TypeOf<MambaException>().With.Message.StartsWith($"Device '{name}' is unknown"));

    [TestCase("train --lr 0,001", "'0,001'")]
    [TestCase("train --weight-decay 0,1", "'0,1'")]
    [TestCase("train --steps 1,000", "'1,000'")]
    [TestCase("train --seed +1", "'+1'")]
    [TestCase("train --length 12.0", "'12.0'")]
    [TestCase("train --eps 1e999", "eps")]
    [TestCase("train --beta1 nan", "beta1")]
    [TestCase("train --max-eval-length -1", "max-eval-length is -1")]
    [TestCase("train --data-tokens 4", "--data-tokens was given")]
    [TestCase("gradcheck rms-norm --tolerance 1,0e-7", "'1,0e-7'")]
    [TestCase("gradcheck rms-norm --tolerance nan", "--tolerance is NaN")]
    [TestCase("parity rms-norm --skip 1,0", "'1,0'")]
    public void Options_take_nothing_else_for_a_number(string command, string mention)
    {
        MambaInProcess.Refuse(command.Split(' '), mention);
        Abroad(() => MambaInProcess.Refuse(command.Split(' '), mention));
    }

    [TestCase("1,5")]
    [TestCase("+2")]
    [TestCase("-1")]
    [TestCase("two")]
    [TestCase("1025")]
    [TestCase("99999999999")]
    public void The_number_of_threads_in_the_environment_is_a_number(string value)
    {
        string folder = Path.GetTempPath();
        string dotnet = Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", mamba = Path.Combine(AppContext.BaseDirectory, "mamba.dll");
        string script = OperatingSystem.IsWindows() ? "" : $"MAMBA_THREADS='{value}' DOTNET_PROCESSOR_COUNT=3 '{dotnet}' '{mamba}' devices";
        using System.Diagnostics.Process process = Shell.Start(folder, script);
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.That((process.ExitCode, error.TrimEnd()),
            Is.EqualTo((1, $"The environment variable MAMBA_THREADS is '{value}'; expected 1 to 1024, or 0 for all cores.")));
    }

    [TestCase("", "", "on 3 cores")]
    [TestCase("0", "", "on 3 cores")]
    [TestCase("3", "", "on 3 cores")]
    [TestCase("2", "", "on 2 cores")]
    [TestCase("1", "3", "on 3 cores")]
    [TestCase("", "1", "on 1 core")]
    [TestCase("4", "", "4 threads on 3 cores")]
    [TestCase("", "100", "100 threads on 3 cores")]
    public void As_many_threads_are_used_as_were_asked_for_and_no_cores_are_invented(string environment, string option, string used)
    {
        string folder = Directory.CreateTempSubdirectory("mamba-threads-").FullName;
        try
        {
            string[] asked = option.Length > 0 ? ["--threads", option] : [];
            (int code, string output, string error) = MambaProcess.Run(folder, [("MAMBA_THREADS", environment), ("DOTNET_PROCESSOR_COUNT", "3")],
                ["train", "--steps", "0", "--max-eval-length", "0", "--d-model", "8", "--device", "cpu", .. asked]);
            Assert.That((code, error), Is.EqualTo((0, "")));
            Assert.That(output, Does.Contain($" {used})"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestCase("1025")]
    [TestCase("0")]
    [TestCase("-1")]
    public void A_number_of_threads_that_makes_no_sense_is_refused(string threads) =>
        MambaInProcess.Refuse(["train", "--out", "no-run-of-mamba", "--device", "cpu", "--threads", threads], $"--threads is {threads}; expected 1 to 1024.");

    [Test]
    public void Messages_and_files_are_the_same_abroad()
    {
        string folder = Directory.CreateTempSubdirectory("mamba-abroad-").FullName;
        try
        {
            Abroad(() =>
            {
                Assert.That(new MambaException($"lr is {0.001}, {-1}, {1234.5:N1}, {double.NaN,5}").Message, Is.EqualTo("lr is 0.001, -1, 1,234.5,   NaN"));
                Assert.That(() => (new MambaConfig { SsmCfg = new SsmConfig { DtMin = -0.5 } }).Validate(),
                    Throws.TypeOf<MambaException>().With.Message.Contains("dt_min is -0.5 and dt_max 0.1"));
                var sample = new GradSample { Analytic = 0.5, Numeric = -0.25, Scale = 1, Verdict = GradVerdict.Differs };
                Assert.That(new GradInputReport("x", 1, 1, 0, sample, sample, sample, 0).ToString(), Does.Contain("analytic 0.5, numeric -0.25"));
                MambaInProcess.Succeed("train", "--out", Path.Combine(folder, "run"), "--d-model", "8", "--n-layer", "1", "--d-state", "4",
                    "--length", "12", "--batch", "2", "--steps", "2", "--lr", "0.0015", "--max-eval-length", "64", "--device", "cpu");
            });
            using JsonDocument options = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "run", "train.json")));
            using JsonDocument eval = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "run", "eval.json")));
            Assert.That(options.RootElement.GetProperty("learning_rate").GetDouble(), Is.EqualTo(0.0015));
            Assert.That(eval.RootElement[0].GetProperty("accuracy").GetDouble(), Is.InRange(0, 1));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>The guard: no product assembly calls what reads or writes a number by the culture of the thread.</summary>
    [Test]
    public void Nothing_calls_what_parses_or_prints_by_the_culture([Values("Mamba.Tensor", "Mamba.Gpu", "Mamba.Autograd", "Mamba.Model", "mamba")] string name)
    {
        System.Reflection.Module module = Assembly.Load(name).ManifestModule;
        var found = new SortedSet<string>(StringComparer.Ordinal);
        int members = 0;
        const int FirstReference = 0x0A000001;
        for (int token = FirstReference; ; token++)
        {
            MemberBase? member;
            try
            {
                member = Resolve(module, token);
            }
            catch (ArgumentOutOfRangeException)
            {
                break;
            }
            members++;
            if (member is { } method && ByCulture(method))
                found.Add($"{method.Type.Name}.{method.Name}({string.Join(", ", method.Parameters.Select(p => p.Name))})");
        }
        Assert.That(members, Is.GreaterThan(20));
        Assert.That(found, Is.Empty);
    }

    sealed record MemberBase(Type Type, string Name, Type[] Parameters);

    // A reference that only has a meaning inside a generic type is none of these.
    static MemberBase? Resolve(System.Reflection.Module module, int token)
    {
        try
        {
            return module.ResolveMember(token) is MethodBase { DeclaringType: { } type } method
                ? new MemberBase(type, method.Name, [.. method.GetParameters().Select(p => p.ParameterType)])
                : null;
        }
        catch (Exception e) when (e is ArgumentException and not ArgumentOutOfRangeException or BadImageFormatException or TypeLoadException
            or FileNotFoundException or MissingMethodException or MissingFieldException)
        {
            return null;
        }
    }

    static bool ByCulture(MemberBase method)
    {
        Type type = method.Type;
        bool number = type.IsPrimitive && type != typeof(bool) && type != typeof(char)
            || type == typeof(decimal) || type == typeof(Half) || type == typeof(DateTime);
        bool provided = method.Parameters.Any(p => p.IsAssignableTo(typeof(IFormatProvider)));
        bool fractional = type == typeof(double) || type == typeof(float);
        return number && !provided && (method.Name is "Parse" or "TryParse" || (method.Name == "ToString" && (method.Parameters.Length > 0 || fractional)))
            || (type == typeof(Convert) && !provided && method.Name is "ToDouble" or "ToSingle" or "ToInt32" or "ToInt64"
                && method.Parameters is [{ } only] && only == typeof(string))
            || (type == typeof(string) && method.Name == "Format" && !provided);
    }

    [Test]
    public void The_guard_knows_what_to_look_for()
    {
        MemberBase Of(Type type, string name, params Type[] parameters) => new(type, name, parameters);
        Assert.Multiple(() =>
        {
            Assert.That(ByCulture(Of(typeof(int), "TryParse", typeof(string), typeof(int).MakeByRefType())), Is.True);
            Assert.That(ByCulture(Of(typeof(double), "Parse", typeof(string))), Is.True);
            Assert.That(ByCulture(Of(typeof(double), "ToString")), Is.True);
            Assert.That(ByCulture(Of(typeof(int), "ToString", typeof(string))), Is.True);
            Assert.That(ByCulture(Of(typeof(string), "Format", typeof(string), typeof(object))), Is.True);
            Assert.That(ByCulture(Of(typeof(double), "Parse", typeof(string), typeof(IFormatProvider))), Is.False);
            Assert.That(ByCulture(Of(typeof(string), "ToString")), Is.False);
        });
    }
}
