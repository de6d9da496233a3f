using System.Text.Json;
using NUnit.Framework;

namespace Mamba.Tests;

public class CliTests
{
    static readonly string[] Tiny =
    [
        "train", "--out", "run", "--d-model", "8", "--n-layer", "1", "--d-state", "4", "--length", "12", "--batch", "2",
        "--steps", "6", "--checkpoint-every", "2", "--threads", "1", "--max-eval-length", "128",
    ];

    string folder = "";

    [OneTimeSetUp]
    public void TrainOnce()
    {
        folder = Directory.CreateTempSubdirectory("mamba-cli-").FullName;
        (int code, string output, string error) = MambaProcess.Run(folder, Tiny);
        Assert.That((code, error), Is.EqualTo((0, "")), output);
    }

    [OneTimeTearDown]
    public void DeleteFolder() => Directory.Delete(folder, recursive: true);

    [TestCase("train --foo", "--foo")]
    [TestCase("train --lenght 3", "--lenght")]
    [TestCase("train --resume --foo", "--foo")]
    [TestCase("frain", "frain")]
    [TestCase("--bar", "--bar")]
    [TestCase("train juggling", "juggling")]
    [TestCase("train --length -5", "-5")]
    [TestCase("train --length 2", "at least 3")]
    [TestCase("train --length three", "three")]
    [TestCase("train --length 99999999999", "99999999999")]
    [TestCase("train --length", "--length")]
    [TestCase("train --steps -1", "-1")]
    [TestCase("train --batch 0", "batch is 0")]
    [TestCase("train --batch 1000000 --length 1000000", "too large")]
    [TestCase("train --seed -1", "-1")]
    [TestCase("train --lr 0", "lr is 0")]
    [TestCase("train --lr nan", "lr is NaN")]
    [TestCase("train --clip -1", "clip is -1")]
    [TestCase("train --weight-decay inf", "inf")]
    [TestCase("train --eps 1e400", "eps")]
    [TestCase("train --dtype float16", "float16")]
    [TestCase("train --vocab-size 15", "needs 16")]
    [TestCase("train --d-model 0", "d-model")]
    [TestCase("train --d-state 257", "256")]
    [TestCase("train --d-conv 9", "8")]
    [TestCase("train --n-layer -1", "n-layer")]
    [TestCase("train --expand 0", "expand")]
    [TestCase("train --dt-rank 0", "dt-rank")]
    [TestCase("train --preset huge", "huge")]
    [TestCase("train selective-copying --data-tokens 0", "data-tokens")]
    [TestCase("train selective-copying --data-tokens 100", "at least 100")]
    [TestCase("train --device cuda:99", "cuda:99")]
    [TestCase("train --device tpu", "tpu")]
    [TestCase("train --threads 0", "--threads")]
    [TestCase("train --max-eval-length 5", "--max-eval-length is 5; expected at least 64, or 0 for no evaluation")]
    [TestCase("train selective-copying --data-tokens 100 --length 200 --max-eval-length 100", "expected at least 128")]
    [TestCase("train --resume run --max-eval-length 63", "expected at least 64")]
    [TestCase("train --out run", "--resume")]
    [TestCase("train --out .", "not empty")]
    [TestCase("train --out run/log.jsonl", "is a file")]
    [TestCase("train --resume --force", "--force")]
    [TestCase("train --resume", "runs/")]
    [TestCase("train --resume induction-heads", "no run of induction-heads to resume under runs/")]
    [TestCase("train --resume nowhere", "no folder nowhere; expected a run folder. The same command with --out nowhere")]
    [TestCase("train --resume --out nowhere", "with --out nowhere and without --resume starts a run there")]
    [TestCase("train --out nowhere --resume nowhere --steps 3", "starts a run there")]
    [TestCase("train --resume selective-copyin", "no folder selective-copyin")]
    [TestCase("train selective-copying --resume", "no run of selective-copying to resume under runs/")]
    [TestCase("train --resume .", ". is not a run folder: there is no train.json in it.")]
    [TestCase("train --resume run/log.jsonl", "is a file; expected a run folder")]
    [TestCase("train --resume nowhere --init run", "starts a run there")]
    [TestCase("train --resume run --init run", "init")]
    [TestCase("train --resume run --lr 0.5", "learning_rate")]
    [TestCase("train --resume run --length 13", "stages")]
    [TestCase("train --resume run --d-model 16", "d_model")]
    [TestCase("train --resume run selective-copying", "task")]
    [TestCase("eval", "run")]
    [TestCase("eval nowhere", "no folder nowhere")]
    [TestCase("eval .", "no train.json")]
    [TestCase("eval run/log.jsonl", "is a file")]
    [TestCase("eval run another", "another")]
    [TestCase("eval --foo", "--foo")]
    [TestCase("eval run --max-eval-length 3", "64")]
    [TestCase("eval run --sequences 0", "--sequences")]
    [TestCase("devices --foo", "--foo")]
    [TestCase("op", "mamba op: one of its commands must follow; 'mamba op --help' lists them.")]
    [TestCase("parity neg --device cpu --devices cpu", "--device")]
    [TestCase("gradcheck neg --devices gpu9", "gpu9")]
    [TestCase("gradcheck neg --device ,", "--device is ','; expected names of devices")]
    [TestCase("parity neg --devices ,", "--devices is ','; expected names of devices")]
    [TestCase("gradcheck ", "op is ''")]
    [TestCase("codegen ", "name is ''")]
    [TestCase("eval ", "run is ''")]
    [TestCase("codegen --foo", "--foo")]
    [TestCase("codegen Transformer", "Transformer")]
    [TestCase("codegen FillKernel Transformer", "there are AdamWStep")]
    [TestCase("codegen FillKernel --arch h100", "h100")]
    [TestCase("codegen FillKernel --ptxas nowhere", "nowhere")]
    [TestCase("codegen FillKernel --ptxas run/config.json", "config.json")]
    [TestCase("codegen FillKernel --output run/log.jsonl", "run/log.jsonl is a file; expected the name of a folder")]
    [TestCase("codegen FillKernel --output run/log.jsonl/code", "run/log.jsonl/code")]
    public void Bad_input_is_one_line_and_exit_code_1_and_changes_nothing(string arguments, string mentions)
    {
        Dictionary<string, DateTime> before = Files();
        (int code, string output, string error) = MambaProcess.Run(folder, arguments.Split(' '));
        Assert.Multiple(() =>
        {
            Assert.That(code, Is.EqualTo(1));
            Assert.That(output, Is.Empty);
            Assert.That(error, Does.EndWith(Environment.NewLine).And.Contain(mentions));
            Assert.That(error.Count(c => c == '\n'), Is.EqualTo(1), error);
            Assert.That(Files(), Is.EqualTo(before));
        });
    }

    Dictionary<string, DateTime> Files() => Directory.GetFileSystemEntries(folder, "*", SearchOption.AllDirectories)
        .ToDictionary(path => path, File.GetLastWriteTimeUtc, StringComparer.Ordinal);

    static readonly (string What, string File, Func<byte[], byte[]?> Break, string[] Commands)[] Damage =
    [
        ("truncated checkpoint", "checkpoint.safetensors", bytes => bytes[..(bytes.Length / 2)], ["train --resume run"]),
        ("empty checkpoint", "checkpoint.safetensors", _ => [], ["train --resume run"]),
        ("checkpoint of another model", "checkpoint.safetensors", _ => Foreign("F32"), ["train --resume run"]),
        ("truncated weights", "model.safetensors", bytes => bytes[..^1], ["eval run"]),
        ("weights of another model", "model.safetensors", _ => Foreign("F32"), ["eval run"]),
        ("no weights", "model.safetensors", _ => null, ["eval run"]),
        ("config that is no JSON", "config.json", bytes => bytes[..(bytes.Length / 2)], ["eval run", "train --resume run"]),
        ("config of another model", "config.json", bytes => Replace(bytes, "\"d_model\": 8", "\"d_model\": 16"), ["eval run", "train --resume run"]),
        ("no config", "config.json", _ => null, ["eval run", "train --resume run"]),
        ("options that are no JSON", "train.json", _ => "{"u8.ToArray(), ["eval run", "train --resume run"]),
        ("options of another task", "train.json", bytes => Replace(bytes, "induction-heads", "counting"), ["eval run", "train --resume run"]),
        ("no options", "train.json", _ => null, ["eval run", "train --resume run"]),
        ("no evaluation", "train.json", bytes => Replace(bytes, "\"max_eval_length\": 128", "\"max_eval_length\": 0"), ["eval run"]),
    ];

    [Test]
    public void A_damaged_run_is_one_line_and_exit_code_1_and_changes_nothing([Range(0, 12)] int index)
    {
        (string what, string file, Func<byte[], byte[]?> damage, string[] commands) = Damage[index];
        string copy = Directory.CreateTempSubdirectory("mamba-damaged-").FullName, run = Path.Combine(copy, "run");
        try
        {
            Directory.CreateDirectory(run);
            foreach (string path in Directory.GetFiles(Path.Combine(folder, "run")))
                File.Copy(path, Path.Combine(run, Path.GetFileName(path)));
            byte[]? broken = damage(File.ReadAllBytes(Path.Combine(run, file)));
            File.Delete(Path.Combine(run, file));
            if (broken is not null)
                File.WriteAllBytes(Path.Combine(run, file), broken);
            Dictionary<string, byte[]> before = Directory.GetFiles(run).ToDictionary(path => path, File.ReadAllBytes, StringComparer.Ordinal);
            foreach (string command in commands)
            {
                (int code, string output, string error) = MambaProcess.Run(copy, command.Split(' '));
                Assert.Multiple(() =>
                {
                    Assert.That(code, Is.EqualTo(1), what);
                    Assert.That(output, Is.Empty, what);
                    Assert.That(error.Count(c => c == '\n'), Is.EqualTo(1), error);
                    Assert.That(Directory.GetFiles(run).ToDictionary(path => path, File.ReadAllBytes, StringComparer.Ordinal), Is.EqualTo(before), what);
                });
            }
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }

    static byte[] Replace(byte[] bytes, string old, string @new)
    {
        string text = System.Text.Encoding.UTF8.GetString(bytes);
        Assert.That(text, Does.Contain(old));
        return System.Text.Encoding.UTF8.GetBytes(text.Replace(old, @new));
    }

    static byte[] Foreign(string format)
    {
        string path = Path.GetTempFileName();
        var writer = new SafetensorsWriter { Metadata = { ["format"] = format } };
        writer.Add("transformer.wte.weight", (2, 2), new float[4]);
        writer.Save(path);
        byte[] bytes = File.ReadAllBytes(path);
        File.Delete(path);
        return bytes;
    }

    [Test]
    public void A_run_folder_holds_what_it_should()
    {
        string run = Path.Combine(folder, "run");
        Assert.That(Directory.GetFiles(run).Select(Path.GetFileName).Order(StringComparer.Ordinal),
            Is.EqualTo(new[] { "checkpoint.safetensors", "config.json", "eval.json", "eval.png", "log.jsonl", "loss.png", "model.safetensors", "train.json" }));
        using JsonDocument config = JsonDocument.Parse(File.ReadAllText(Path.Combine(run, "config.json")));
        Assert.That(config.RootElement.GetProperty("d_model").GetInt32(), Is.EqualTo(8));
        using JsonDocument eval = JsonDocument.Parse(File.ReadAllText(Path.Combine(run, "eval.json")));
        Assert.That(eval.RootElement.EnumerateArray().Select(row => row.GetProperty("length").GetInt32()), Is.EqualTo(new[] { 64, 128 }));
        Assert.That(eval.RootElement.EnumerateArray().Select(row => row.GetProperty("accuracy").GetDouble()), Is.All.InRange(0, 1));
        string[] log = File.ReadAllLines(Path.Combine(run, "log.jsonl"));
        Assert.That(log.Select(line => JsonDocument.Parse(line).RootElement.GetProperty("step").GetInt32()), Is.EqualTo(Enumerable.Range(1, 6)));
        using Safetensors model = Safetensors.Open(Path.Combine(run, "model.safetensors"));
        Assert.That(model["backbone.embedding.weight"].Shape, Is.EqualTo((Shape)(16, 8)));
        Assert.That(model.Contains("lm_head.weight"), Is.True);
    }

    [Test]
    public void A_run_killed_before_its_first_files_is_started_not_resumed()
    {
        string here = Directory.CreateTempSubdirectory("mamba-killed-").FullName, run = Path.Combine(here, "run");
        try
        {
            Directory.CreateDirectory(run);
            File.Copy(Path.Combine(folder, "run", "config.json"), Path.Combine(run, "config.json"));
            File.WriteAllText(Path.Combine(run, ".lock"), "");
            File.WriteAllText(Path.Combine(run, ".mamba-0123456789abcdef.tmp"), "{");
            (int code, string output, string error) = MambaProcess.Run(here, [.. Tiny, "--resume"]);
            Assert.That((code, output, error), Is.EqualTo((1, "", "run is not a run folder: there is no train.json in it. "
                + "The same command with --out run and without --resume starts a run there." + Environment.NewLine)));
            Assert.That(Directory.GetFiles(run), Has.Length.EqualTo(3));
            (code, output, error) = MambaProcess.Run(here, Tiny);
            Assert.That((code, error), Is.EqualTo((0, "")), output);
        }
        finally
        {
            Directory.Delete(here, recursive: true);
        }
    }

    [Test]
    public void A_run_killed_after_its_first_files_is_resumed_and_not_started_again()
    {
        string here = Directory.CreateTempSubdirectory("mamba-begun-").FullName, run = Path.Combine(here, "run");
        try
        {
            Directory.CreateDirectory(run);
            foreach (string file in (string[])["config.json", "train.json"])
                File.Copy(Path.Combine(folder, "run", file), Path.Combine(run, file));
            MambaProcess.Run(here, Tiny);
            Assert.That(Directory.GetFiles(run), Has.Length.EqualTo(2), "without --resume it is refused");
            (int code, string output, string error) = MambaProcess.Run(here, "train", "--resume", "run", "--threads", "1");
            Assert.That((code, error), Is.EqualTo((0, "")), output);
            byte[] weights = File.ReadAllBytes(Path.Combine(folder, "run", "model.safetensors"));
            Assert.That(File.ReadAllBytes(Path.Combine(run, "model.safetensors")), Is.EqualTo(weights));
        }
        finally
        {
            Directory.Delete(here, recursive: true);
        }
    }

    [Test]
    public void Eval_finds_what_train_found()
    {
        string run = Path.Combine(folder, "run");
        string trained = File.ReadAllText(Path.Combine(run, "eval.json"));
        (int code, string output, string error) = MambaProcess.Run(folder, "eval", "run");
        Assert.That((code, error), Is.EqualTo((0, "")), output);
        Assert.That(File.ReadAllText(Path.Combine(run, "eval.json")), Is.EqualTo(trained));
    }

    [Test]
    public void Devices_lists_the_cpu()
    {
        (int code, string output, string error) = MambaProcess.Run(folder, "devices");
        Assert.That((code, error), Is.EqualTo((0, "")));
        Assert.That(output, Does.Contain("cpu").And.Contain("ilgpu-cpu"));
    }

    [Test]
    public void Without_a_folder_each_run_gets_its_own()
    {
        string here = Directory.CreateTempSubdirectory("mamba-own-").FullName;
        string[] args = ["train", .. Tiny[3..], "--max-eval-length", "0"];
        args = [.. args.Take(args.Length - 4), "--max-eval-length", "0"];
        for (int i = 0; i < 2; i++)
            Assert.That(MambaProcess.Run(here, args).Code, Is.Zero);
        Assert.That(Directory.GetDirectories(Path.Combine(here, "runs")).Select(Path.GetFileName),
            Is.EquivalentTo(new[] { "induction-heads", "induction-heads-2" }));
        (int code, string output, string _) = MambaProcess.Run(here, "train", "--resume", "--steps", "8");
        Assert.That(code, Is.Zero);
        Assert.That(output, Does.Contain("induction-heads-2").And.Contain("step 6"));
        Directory.Delete(here, recursive: true);
    }
}
