using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>
/// Damaged files given to every command that reads any: each is one line and exit code 1, or harmless; nothing crashes, hangs, or
/// allocates what a header claims.
/// </summary>
public class MalformedFileTests
{
    static readonly string Official = Path.Combine(AppContext.BaseDirectory, "Fixtures", "lm");
    static readonly MambaConfig Config = new() { DModel = 8, NLayer = 2, VocabSize = 16, SsmCfg = new SsmConfig { DState = 4 } };

    string folder = "";

    [OneTimeSetUp]
    public void MakeFolder()
    {
        folder = Directory.CreateTempSubdirectory("mamba-malformed-").FullName;
        Directory.CreateDirectory(In("model"));
        File.WriteAllText(In("model/config.json"), Config.ToJson());
        using (var model = new MambaLM(Config, TestDevices.Open("cpu"), seed: 1))
            Weights.Save(In("model/model.safetensors"), model);
        // A finished run: eval and resume read it and have nothing to train.
        MambaInProcess.Succeed("train", "--out", In("run"), "--d-model", "8", "--n-layer", "1", "--d-state", "4", "--length", "12", "--batch", "2",
            "--steps", "1", "--max-eval-length", "0", "--device", "cpu");
    }

    [OneTimeTearDown]
    public void DeleteFolder() => Directory.Delete(folder, recursive: true);

    string In(string name) => Path.Combine(folder, name);

    // ---- files ------------------------------------------------------------------------------------

    /// <summary>A tensor of a file to be damaged.</summary>
    sealed record Part(string Name, string Type, long[] Shape, byte[] Data);

    static Part Floats(string name, params long[] shape)
    {
        float[] values = [.. TestData.Uniform(shape.Aggregate(1L, (x, y) => x * y), name.Length, -1, -0.1).Select(x => (float)x)];
        return new Part(name, "F32", shape, System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan()).ToArray());
    }

    static Part Longs(string name, params long[] shape)
    {
        long[] values = [.. Enumerable.Range(0, (int)shape.Aggregate(1L, (x, y) => x * y)).Select(i => i % 3L)];
        return new Part(name, "I64", shape, System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan()).ToArray());
    }

    static Part[] PartsOf(string path)
    {
        using Safetensors file = Safetensors.Open(path);
        byte[] all = File.ReadAllBytes(path);
        int start = 8 + (int)BinaryPrimitives.ReadUInt64LittleEndian(all);
        byte[] Data(SafetensorsEntry e) => all[(start + (int)e.Start)..(start + (int)e.Start + (int)e.Shape.Count * SafetensorsEntry.SizeOf(e.Type))];
        return [.. file.Entries.Select(e => new Part(e.Name, e.Type, e.Shape.ToArray(), Data(e)))];
    }

    static string Header(IEnumerable<(string Name, string Type, string Shape, string Offsets)> rows, string metadata = "") =>
        "{" + string.Join(',', rows.Select(Entry).Prepend(metadata).Where(x => x.Length > 0)) + "}";

    static string Entry((string Name, string Type, string Shape, string Offsets) row) =>
        $"{JsonSerializer.Serialize(row.Name)}:{{\"dtype\":\"{row.Type}\",\"shape\":{row.Shape},\"data_offsets\":{row.Offsets}}}";

    static byte[] Assemble(byte[] header, byte[] data, ulong? length = null) => [.. BitConverter.GetBytes(length ?? (ulong)header.Length), .. header, .. data];

    static readonly ulong[] Lengths =
    [
        100_000_001, int.MaxValue, uint.MaxValue, 1UL << 40, long.MaxValue - 8, long.MaxValue, 1UL << 63, ulong.MaxValue - 7, ulong.MaxValue,
    ];

    /// <summary>What can be wrong with a file; each takes the parts of a right one and a source of chance.</summary>
    static readonly (string What, Func<Part[], Random, byte[]> Make)[] Damages =
    [
        ("truncated", (parts, random) => Right(parts) is var file ? file[..random.Next(file.Length)] : []),
        ("a huge header length", (parts, random) => Assemble(JsonOf(parts), DataOf(parts), Lengths[random.Next(Lengths.Length)])),
        ("a negative header length", (parts, random) => Assemble(JsonOf(parts), DataOf(parts), (ulong)-random.NextInt64(1, long.MaxValue))),
        ("a wrong header length", (parts, random) =>
            Assemble(JsonOf(parts), DataOf(parts), (ulong)(JsonOf(parts).Length + (random.Next(2) == 0 ? -1 : 1) * random.Next(1, 20)))),
        ("overlapping offsets", (parts, random) => With(parts, random, (rows, i) => rows[i].Offsets = Shifted(rows[i].Offsets, -random.Next(1, 4)))),
        ("offsets beyond the end", (parts, random) =>
            With(parts, random, (rows, i) => rows[i].Offsets = Shifted(rows[i].Offsets, random.NextInt64(1, 1L << random.Next(2, 62))))),
        ("offsets turned round", (parts, random) => With(parts, random, (rows, i) => rows[i].Offsets = TurnedRound(rows[i].Offsets))),
        ("offsets of another kind", (parts, random) => With(parts, random, (rows, i) => rows[i].Offsets = Pick(random,
            "null", "[]", "[0]", "{}", "[0.5,1]", "[-4,4]", "[\"0\",\"4\"]", "[0,1e3]", "[9223372036854775808,9223372036854775812]"))),
        ("a dtype of the same size", (parts, random) =>
            With(parts, random, (rows, i) => rows[i].Type = rows[i].Type switch { "F32" => "I32", "I64" => "F64", _ => "I64" })),
        ("a dtype of another size", (parts, random) => With(parts, random, (rows, i) => rows[i].Type = rows[i].Type is "F32" ? "F64" : "F16")),
        ("an unknown dtype", (parts, random) => With(parts, random, (rows, i) => rows[i].Type = Pick(random,
            "", "f32", "F8_E4M3", "U64", "BOOL", "C64", "Q4", "\\u0000", new string('F', 1 << 14)))),
        ("a name that is there twice", (parts, random) => With(parts, random, (rows, i) => rows[i].Name = rows[(i + 1) % rows.Length].Name, ["again"])),
        ("a tensor that is there twice", (parts, random) => Right([.. parts, parts[random.Next(parts.Length)]])),
        ("invalid UTF-8", (parts, random) =>
        {
            byte[] json = JsonOf(parts);
            int quote = Array.IndexOf(json, (byte)'"');
            byte[] bad = [.. json[..(quote + 1)], .. Pick(random, [0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], (byte[])[0xE2, 0x82]),
                .. json[(quote + 1)..]];
            return Assemble(bad, DataOf(parts));
        }),
        ("a tensor of no elements", (parts, random) =>
            Right(Replace(parts, random, p => p with { Shape = [.. p.Shape.Select((x, k) => k == 0 ? 0 : x)], Data = [] }))),
        ("a tensor of no elements and huge extents", (parts, random) =>
            Right(Replace(parts, random, p => p with { Shape = [.. p.Shape.Select((x, k) => k == p.Shape.Length - 1 ? 0 : 1L << 20)], Data = [] }))),
        ("deep JSON", (parts, random) =>
        {
            string open = Pick(random, "[", "{\"a\":", "{\"__metadata__\":", "{\"x\":{\"shape\":[");
            return Assemble(Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat(open, random.Next(70, 20_000)))), DataOf(parts));
        }),
        ("JSON that is no object", (parts, random) =>
            Assemble(Encoding.ASCII.GetBytes(Pick(random, "[]", "null", "1", "\"x\"", "true", "", " ", "[{}]", "-0.5e3")), DataOf(parts))),
        ("extents that lie", (parts, random) => With(parts, random, (rows, i) => rows[i].Shape = $"[{1L << random.Next(20, 62)}]")),
        ("extents whose product overflows", (parts, random) => With(parts, random, (rows, i) => rows[i].Shape = Pick(random,
            "[4294967296,4294967296]", "[4611686018427387904,4]", "[9223372036854775807,9223372036854775807,9223372036854775807]",
            "[4294967296,4294967296,0]"))),
        ("extents of another kind", (parts, random) => With(parts, random, (rows, i) => rows[i].Shape = Pick(random,
            "null", "4", "[-1]", "[-2,-2]", "[1.5]", "[\"4\"]", "[[4]]", "{}", "[1e2]", "[9223372036854775808]"))),
        ("too many axes", (parts, random) =>
            Right(Replace(parts, random, p => p with { Shape = [.. Enumerable.Repeat(1L, random.Next(5, 2000)), .. p.Shape] }))),
        ("other extents", (parts, random) =>
            Right(Replace(parts, random, p => p with { Shape = p.Shape.Length > 1 ? [p.Shape.Aggregate(1L, (x, y) => x * y)] : [1, .. p.Shape, 1] }))),
        ("a row too many", (parts, random) => Right(Replace(parts, random, p => p.Shape.Length == 0 ? p : p with
        {
            Shape = [p.Shape[0] + 1, .. p.Shape[1..]],
            Data = [.. p.Data, .. new byte[p.Data.Length / p.Shape[0]]],
        }))),
        ("a missing tensor", (parts, random) => random.Next(parts.Length) is var gone ? Right([.. parts.Where((p, i) => i != gone)]) : []),
        ("a surplus tensor", (parts, random) =>
            Right([.. parts, Floats(Pick(random, "", "x\ny", "ünexpected", "weight ", new string('n', 5000), "\u0085", "\ud83d\ude00"), 2)])),
        ("bytes at the end", (parts, random) => [.. Right(parts), .. new byte[random.Next(1, 100)]]),
        ("bytes between", (parts, random) => Assemble(JsonOf(parts), [.. new byte[random.Next(1, 100)], .. DataOf(parts)])),
        ("metadata of another kind", (parts, random) =>
        {
            string metadata = "\"__metadata__\":" + Pick(random, "1", "[]", "null", "{\"a\":1}", "{\"a\":{}}", "{\"a\":null}");
            string header = Header(Rows(parts).Select(row => (row.Name, row.Type, row.Shape, row.Offsets)), metadata);
            return Assemble(Encoding.UTF8.GetBytes(header), DataOf(parts));
        }),
        ("an entry of another kind", (parts, random) => Assemble(Encoding.ASCII.GetBytes("{\"u\":" + Pick(random, "1", "null", "[]", "{}", "\"F32\"",
            "{\"dtype\":\"F32\"}", "{\"dtype\":null,\"shape\":[],\"data_offsets\":[0,0]}") + "}"), [])),
        ("noise", (parts, random) => Noise(random, random.Next(2000))),
        ("a header of noise", (parts, random) => Assemble(Noise(random, random.Next(1, 300)), DataOf(parts))),
        ("a byte of the header changed", (parts, random) =>
        {
            byte[] json = JsonOf(parts);
            json[random.Next(json.Length)] = (byte)random.Next(256);
            return Assemble(json, DataOf(parts));
        }),
        ("values that are no tokens", (parts, random) => Right([.. parts.Select(p => p.Type == "I64" ? p with { Data = Noise(random, p.Data.Length) } : p)])),
    ];

    sealed class Row(Part part, long start)
    {
        public string Name = part.Name, Type = part.Type, Shape = $"[{string.Join(',', part.Shape)}]", Offsets = $"[{start},{start + part.Data.Length}]";
    }

    static Row[] Rows(Part[] parts)
    {
        long start = 0;
        return [.. parts.Select(p => new Row(p, (start += p.Data.Length) - p.Data.Length))];
    }

    static byte[] JsonOf(Part[] parts) => Encoding.UTF8.GetBytes(Header(Rows(parts).Select(row => (row.Name, row.Type, row.Shape, row.Offsets))));
    static byte[] DataOf(Part[] parts) => [.. parts.SelectMany(p => p.Data)];
    static byte[] Right(Part[] parts) => Assemble(JsonOf(parts), DataOf(parts));
    static Part[] Replace(Part[] parts, Random random, Func<Part, Part> by) =>
        random.Next(parts.Length) is var chosen ? [.. parts.Select((p, i) => i == chosen ? by(p) : p)] : parts;
    static string Shifted(string offsets, long by) => $"[{string.Join(',', offsets.Trim('[', ']').Split(',').Select(x => long.Parse(x) + by))}]";
    static string TurnedRound(string offsets) =>
        $"[{string.Join(',', offsets.Trim('[', ']').Split(',').Reverse().Select((x, k) => k == 0 ? $"{long.Parse(x) + 1}" : x))}]";
    static T Pick<T>(Random random, params T[] choices) => choices[random.Next(choices.Length)];

    static byte[] Noise(Random random, int length)
    {
        byte[] bytes = new byte[length];
        random.NextBytes(bytes);
        return bytes;
    }

    static byte[] With(Part[] parts, Random random, Action<Row[], int> change, string[]? alone = null)
    {
        Row[] rows = Rows(parts.Length > 1 || alone is null ? parts : [.. parts, parts[0] with { Name = alone[0] }]);
        change(rows, random.Next(rows.Length));
        return Assemble(Encoding.UTF8.GetBytes(Header(rows.Select(row => (row.Name, row.Type, row.Shape, row.Offsets)))), DataOf(parts));
    }

    // ---- commands ---------------------------------------------------------------------------------

    /// <summary>A command, the file it is given, what that file should hold, and how often it gets each kind of damage.</summary>
    (string Name, string File, Part[] Parts, string[] Args, int Times)[] Commands()
    {
        string[] Op(string name) => ["op", name, "--input", In("op.safetensors"), "--output", In("out.safetensors"), "--grad"];
        string[] Tokens(string data, string init) => ["train", "tokens", "--data", data, "--init", init, "--out", In("new"), "--force", "--steps", "1"];
        string batches = In("batches.safetensors");
        File.WriteAllBytes(batches, Right([Longs("batches", 1, 2, 3)]));
        foreach (string copy in (string[])["evaluated", "resumed"])
        {
            Directory.CreateDirectory(In(copy));
            foreach (string path in Directory.GetFiles(In("run")))
                File.Copy(path, Path.Combine(In(copy), Path.GetFileName(path)), overwrite: true);
        }
        Directory.CreateDirectory(In("weights"));
        File.Copy(In("model/config.json"), In("weights/config.json"), overwrite: true);
        return
        [
            ("op selective-scan", In("op.safetensors"),
                [Floats("u", 1, 3, 2), Floats("delta", 1, 3, 2), Floats("A", 2, 4), Floats("B", 1, 3, 4), Floats("C", 2, 4), Floats("D", 2),
                    Floats("z", 1, 3, 2), Floats("delta_bias", 2), Floats("initial_state", 1, 2, 4), Longs("reset", 1, 3), Floats("dout", 1, 3, 2),
                    Floats("dlast_state", 1, 2, 4)],
                Op("selective-scan"), 7),
            ("op causal-conv1d", In("op.safetensors"),
                [Floats("x", 1, 3, 2), Floats("weight", 2, 4), Floats("bias", 2), Floats("dout", 1, 3, 2)], Op("causal-conv1d"), 3),
            ("op rms-norm", In("op.safetensors"), [Floats("x", 2, 3), Floats("weight", 3), Floats("dout", 2, 3)], Op("rms-norm"), 2),
            ("op cross-entropy", In("op.safetensors"), [Floats("logits", 2, 3), Longs("targets", 2), Floats("dout")], Op("cross-entropy"), 3),
            ("op matmul", In("op.safetensors"), [Floats("a", 2, 3), Floats("b", 3, 4), Floats("dout", 2, 4)], Op("matmul"), 3),
            ("logits, ids", In("ids.safetensors"), [Longs("ids", 2, 3)],
                ["logits", "--model", In("model"), "--ids", In("ids.safetensors"), "--output", In("out.safetensors")], 4),
            ("logits, weights", In("weights/model.safetensors"), PartsOf(In("model/model.safetensors")),
                ["logits", "--model", In("weights"), "--ids", "1,2,3", "--output", In("out.safetensors")], 4),
            ("train, batches", In("damaged.safetensors"), [Longs("batches", 1, 2, 3)], Tokens(In("damaged.safetensors"), In("model")), 3),
            ("train, weights", In("weights/model.safetensors"), PartsOf(In("model/model.safetensors")), Tokens(batches, In("weights")), 2),
            ("train, checkpoint", In("resumed/checkpoint.safetensors"), PartsOf(In("run/checkpoint.safetensors")), ["train", "--resume", In("resumed")], 1),
            ("eval, weights", In("evaluated/model.safetensors"), PartsOf(In("run/model.safetensors")),
                ["eval", In("evaluated"), "--max-eval-length", "64", "--sequences", "1"], 1),
        ];
    }

    /// <summary>Runs a command in this process and looks at how it ends; whether it refused.</summary>
    static bool Refused(string[] args, string what)
    {
        var time = Stopwatch.StartNew();
        (int code, string error) = MambaInProcess.Run([.. args, "--device", "cpu"]);
        Assert.That(time.Elapsed, Is.LessThan(TimeSpan.FromSeconds(30)), what);
        Assert.That(code, Is.Zero.Or.EqualTo(1), what);
        Assert.That(error.Count(c => c == '\n'), Is.EqualTo(code), $"{what}: {error}");
        Assert.That(error, Has.Length.LessThan(2000), what);
        Assert.That(error.TrimEnd('\n').Any(char.IsControl), Is.False, what);
        Assert.That(error, Does.Not.Contain("not enough memory").And.Not.Contain("Exception"), what);
        return code == 1;
    }

    [Test]
    public void Every_damaged_file_given_to_any_command_is_one_clear_line_or_harmless()
    {
        int files = 0, refused = 0;
        var harmless = new SortedSet<string>(StringComparer.Ordinal);
        foreach ((string name, string path, Part[] parts, string[] args, int times) in Commands())
        {
            File.WriteAllBytes(path, Right(parts));
            if (name != "train, checkpoint")        // its state is in the metadata
                Assert.That(Refused(args, name), Is.False, name);
            for (int i = 0; i < times * Damages.Length; i++)
            {
                (string what, Func<Part[], Random, byte[]> make) = Damages[i % Damages.Length];
                File.WriteAllBytes(path, make(parts, new Random(i)));
                files++;
                if (Refused(args, $"{name}: {what}, {i}"))
                    refused++;
                else
                    harmless.Add($"{name}: {what}");
            }
        }
        TestContext.Out.WriteLine($"{refused} of {files} refused; harmless: {string.Join("; ", harmless)}");
        Assert.That(files, Is.GreaterThanOrEqualTo(1000));
        Assert.That(refused, Is.GreaterThan(1000).And.GreaterThan(files * 9 / 10));
    }

    [Test]
    public void No_header_makes_a_reader_allocate_what_it_claims()
    {
        string path = In("claims.safetensors");
        for (int i = 0; i < 20 * Damages.Length; i++)
        {
            byte[] bytes = Damages[i % Damages.Length].Make([Floats("x", 2, 3), Longs("ids", 2, 3)], new Random(i));
            File.WriteAllBytes(path, bytes);
            long before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                using Safetensors file = Safetensors.Open(path);
                foreach (SafetensorsEntry entry in file.Entries)
                    file.ReadDoubles(entry.Name);
            }
            catch (MambaException)
            {
                // one line
            }
            Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(200_000 + 60L * bytes.Length), Damages[i % Damages.Length].What);
        }
    }

    // ---- config.json ------------------------------------------------------------------------------

    static readonly string[] WrongValues =
    [
        "-1", "0", "1.5", "1e400", "2147483647", "1073741824", "99999999999999999999", "\"64\"", "null", "[]", "{}", "true", "NaN",
    ];

    [Test]
    public void A_config_that_is_wrong_is_one_clear_line_and_allocates_no_model([Values] bool huggingFace)
    {
        string source = huggingFace ? Path.Combine(Official, "hf") : In("model");
        string name = huggingFace ? "hf-config" : "official-config";
        Directory.CreateDirectory(In(name));
        File.Copy(Path.Combine(source, "model.safetensors"), Path.Combine(In(name), "model.safetensors"), overwrite: true);
        JsonObject right = JsonNode.Parse(File.ReadAllText(Path.Combine(source, "config.json")))!.AsObject();
        string[] args = ["logits", "--model", In(name), "--ids", "1", "--output", In("out.safetensors")];
        bool Wrong(string json, string what)
        {
            File.WriteAllText(Path.Combine(In(name), "config.json"), json);
            return Refused(args, what);
        }

        Assert.That(Wrong(right.ToJsonString(), "right"), Is.False);
        string[] sizes = huggingFace
            ? ["hidden_size", "num_hidden_layers", "vocab_size", "state_size", "conv_kernel", "expand", "time_step_rank"]
            : ["d_model", "n_layer", "vocab_size", "pad_vocab_size_multiple", "d_state", "d_conv", "expand", "dt_rank"];
        foreach (string size in sizes)
            foreach (string value in WrongValues)
            {
                var changed = (JsonObject)right.DeepClone();
                JsonObject holder = changed["ssm_cfg"] is JsonObject block && block.ContainsKey(size) ? block : changed;
                holder[size] = "@";                                     // not every value is JSON: it is put in as text
                if (size == "expand")
                    changed.Remove("intermediate_size");
                bool automatic = value == "null" && size.EndsWith("rank", StringComparison.Ordinal);
                Assert.That(Wrong(changed.ToJsonString().Replace("\"@\"", value), $"{size}: {value}"), Is.EqualTo(!automatic), $"{size}: {value}");
            }
        string text = right.ToJsonString();
        for (int i = 0; i < text.Length; i += 7)
            Assert.That(Wrong(text[..i], $"first {i} characters"), Is.True);
        foreach (string json in (string[])["[]", "null", "1", "\"mamba\"", "{}{}", new string('[', 100_000),
            string.Concat(Enumerable.Repeat("{\"a\":", 100_000)), "\0", "{\"d_model\":64,"])
            Assert.That(Wrong(json, json[..1]), Is.True);
    }

    // ---- as a user runs it ------------------------------------------------------------------------

    [Test]
    public void The_process_ends_with_one_line_too([Values("op matmul --input bad --output out", "logits --model . --ids bad --output out",
        "train tokens --data bad --out run", "logits --model broken --ids 1 --output out")] string command)
    {
        string here = Directory.CreateTempSubdirectory("mamba-bad-").FullName;
        try
        {
            Part[] parts = [Longs("ids", 2, 3), Floats("a", 2, 2), Longs("batches", 1, 2, 3)];
            byte[] bad = With(parts, new Random(1), (rows, i) => rows[i].Shape = "[4611686018427387904]");
            File.WriteAllBytes(Path.Combine(here, "bad"), bad);
            foreach (string path in (string[])[here, Directory.CreateDirectory(Path.Combine(here, "broken")).FullName])
                File.WriteAllText(Path.Combine(path, "config.json"), Config.ToJson());
            File.Copy(In("model/model.safetensors"), Path.Combine(here, "model.safetensors"));
            File.WriteAllBytes(Path.Combine(here, "broken", "model.safetensors"), bad);
            string[] before = Directory.GetFileSystemEntries(here, "*", SearchOption.AllDirectories);
            (int code, string output, string error) = MambaProcess.Run(here, [.. command.Split(' '), "--device", "cpu"]);
            Assert.That((code, output), Is.EqualTo((1, "")));
            Assert.That(error.Count(c => c == '\n'), Is.EqualTo(1), error);
            Assert.That(error, Does.Contain("bad").Or.Contain("broken"));
            Assert.That(Directory.GetFileSystemEntries(here, "*", SearchOption.AllDirectories), Is.EqualTo(before));
        }
        finally
        {
            Directory.Delete(here, recursive: true);
        }
    }
}
