using System.IO.Compression;
using System.Text;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary><c>pytorch_model.bin</c>: what PyTorch writes is read, strides and shared storages as they are, and nothing else is.</summary>
public class TorchFileTests
{
    static readonly string Official = Path.Combine(AppContext.BaseDirectory, "Fixtures", "lm");

    string folder = "";

    [SetUp]
    public void MakeFolder() => folder = Directory.CreateTempSubdirectory("mamba-torch-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(folder, recursive: true);

    string In(string name) => Path.Combine(folder, name);

    /// <summary>A pickle, opcode by opcode, as Python's protocol 2 writes one.</summary>
    sealed class Pickle
    {
        readonly List<byte> code = [0x80, 2];

        public byte[] Bytes => [.. code];

        public Pickle Op(params byte[] raw)
        {
            code.AddRange(raw);
            return this;
        }

        public Pickle Op(char c) => Op((byte)c);

        public Pickle Text(string text) => Op([(byte)'X', .. BitConverter.GetBytes(text.Length), .. Encoding.ASCII.GetBytes(text)]);

        public Pickle Int(int value) => Op([(byte)'J', .. BitConverter.GetBytes(value)]);

        public Pickle Long(long value) => Op([0x8a, 8, .. BitConverter.GetBytes(value)]);

        public Pickle Global(string module, string name) => Op([(byte)'c', .. Encoding.ASCII.GetBytes($"{module}\n{name}\n")]);

        public Pickle Tuple(params int[] values)
        {
            Op('(');
            foreach (int value in values)
                Int(value);
            return Op('t');
        }

        public Pickle View(string storage, long offset, int[] size, int[] stride, string type = "FloatStorage", long count = 6) =>
            Global("torch._utils", "_rebuild_tensor_v2").Op('(').Op('(').Text("storage").Global("torch", type).Text(storage).Text("cpu").Long(count).Op('t')
                .Op('Q').Long(offset).Tuple(size).Tuple(stride).Op(0x89).Global("collections", "OrderedDict").Op(')').Op('R').Op('t').Op('R');
    }

    string Save(string name, Pickle pickle, params (string Name, byte[] Bytes)[] storages) => Save(name, pickle.Bytes, storages);

    string Save(string name, byte[] pickle, params (string Name, byte[] Bytes)[] storages)
    {
        using var stream = new FileStream(In(name), FileMode.Create);
        using var zip = new ZipArchive(stream, ZipArchiveMode.Create);
        foreach ((string entry, byte[] bytes) in ((string, byte[])[])[("data.pkl", pickle), .. storages])
        {
            using Stream part = zip.CreateEntry("archive/" + entry, CompressionLevel.NoCompression).Open();
            part.Write(bytes);
        }
        return In(name);
    }

    static byte[] Floats(int count) => [.. Enumerable.Range(0, count).SelectMany(i => BitConverter.GetBytes((float)i))];

    static double[] Read(string path, string name)
    {
        using WeightFiles file = WeightFiles.Open(path);
        return file.ReadDoubles(name);
    }

    static void Refuse(string path, params string[] mentions)
    {
        MambaException e = Assert.Throws<MambaException>(() => WeightFiles.Open(path).Dispose())!;
        Assert.That(e.Message, Does.StartWith(path).And.Not.Contains("\n"));
        foreach (string mention in mentions)
            Assert.That(e.Message, Does.Contain(mention));
    }

    [Test]
    public void What_PyTorch_wrote_has_the_values_of_the_safetensors_file()
    {
        using WeightFiles torch = WeightFiles.Open(Path.Combine(Official, "pytorch_model.bin"));
        using WeightFiles safe = WeightFiles.Open(Path.Combine(Official, "model.safetensors"));
        Assert.That(torch.Tensors.Select(t => (t.Name, t.Type, t.Shape)), Is.SupersetOf(safe.Tensors.Select(t => (t.Name, t.Type, t.Shape))));
        foreach (StoredTensor tensor in safe.Tensors)
            Assert.That(torch[tensor.Name].HasSameValues(tensor), tensor.Name);
    }

    [Test]
    public void Strides_offsets_and_shared_storages_are_honoured()
    {
        string path = Save("views.bin", new Pickle().Op('}').Op('(')
            .Text("turned").View("0", 0, [3, 2], [1, 3])
            .Text("tail").View("0", 4, [2], [1])
            .Text("column").View("0", 1, [2, 1], [3, 1])
            .Text("scalar").View("0", 5, [], [])
            .Text("empty").View("0", 6, [0, 4], [4, 1])
            .Op('u').Op('.'), ("data/0", Floats(6)));
        Assert.That(Read(path, "turned"), Is.EqualTo((double[])[0, 3, 1, 4, 2, 5]));
        Assert.That(Read(path, "tail"), Is.EqualTo((double[])[4, 5]));
        Assert.That(Read(path, "column"), Is.EqualTo((double[])[1, 4]));
        Assert.That(Read(path, "scalar"), Is.EqualTo((double[])[5]));
        Assert.That(Read(path, "empty"), Is.Empty);
        using WeightFiles file = WeightFiles.Open(path);
        Assert.That(file["turned"].ReadFloats(), Is.EqualTo((float[])[0, 3, 1, 4, 2, 5]));
        float[] part = new float[3];
        file["turned"].Read(2, part);
        Assert.That(part, Is.EqualTo((float[])[1, 4, 2]));
    }

    [Test]
    public void Every_type_of_storage_that_is_known_is_read(
        [Values("FloatStorage", "DoubleStorage", "HalfStorage", "BFloat16Storage", "LongStorage", "IntStorage")] string type)
    {
        byte[] values = type switch
        {
            "FloatStorage" => [.. BitConverter.GetBytes(1.5f), .. BitConverter.GetBytes(-3f)],
            "DoubleStorage" => [.. BitConverter.GetBytes(1.5), .. BitConverter.GetBytes(-3.0)],
            "HalfStorage" => [.. BitConverter.GetBytes((Half)1.5), .. BitConverter.GetBytes((Half)(-3))],
            "BFloat16Storage" => [0xC0, 0x3F, 0x40, 0xC0],
            "LongStorage" => [.. BitConverter.GetBytes(2L), .. BitConverter.GetBytes(-3L)],
            _ => [.. BitConverter.GetBytes(2), .. BitConverter.GetBytes(-3)],
        };
        string path = Save("one.bin", new Pickle().Op('}').Text("x").View("0", 0, [2], [1], type, 2).Op('s').Op('.'), ("data/0", values));
        Assert.That(Read(path, "x"), Is.EqualTo((double[])[type.StartsWith('L') || type.StartsWith('I') ? 2 : 1.5, -3]));
    }

    [Test]
    public void A_file_is_what_is_in_it_whatever_its_name()
    {
        string path = Save("archive.x", new Pickle().Op('}').Text("x").View("0", 0, [6], [1]).Op('s').Op('.'), ("data/0", Floats(6)));
        Assert.That(Read(path, "x"), Has.Length.EqualTo(6));
        File.Copy(Path.Combine(Official, "model.safetensors"), In("weights.bin"));
        Assert.That(Read(In("weights.bin"), "backbone.norm_f.weight"), Has.Length.EqualTo(64));
    }

    [Test]
    public void A_parameter_and_the_metadata_of_a_state_dict_are_read_and_passed_over()
    {
        Pickle pickle = new Pickle().Global("collections", "OrderedDict").Op(')').Op('R').Text("w").Global("torch._utils", "_rebuild_parameter").Op('(')
            .View("0", 0, [6], [1]).Op(0x88).Global("collections", "OrderedDict").Op(')').Op('R').Op('t').Op('R').Op('s')
            .Op('}').Text("_metadata").Op('}').Op('s').Op('b').Op('.');
        Assert.That(Read(Save("state.bin", pickle, ("data/0", Floats(6))), "w"), Is.EqualTo((double[])[0, 1, 2, 3, 4, 5]));
    }

    [Test]
    public void A_pickle_that_calls_anything_is_refused_by_name()
    {
        foreach ((string module, string name) in ((string, string)[])[("posix", "system"), ("builtins", "eval"), ("torch.storage", "_load_from_bytes"),
            ("torch._utils", "_rebuild_tensor"), ("collections", "Counter"), ("os", "system")])
            Refuse(Save("bad.bin", new Pickle().Global(module, name).Op('(').Text("touch x").Op('t').Op('R').Op('.')),
                $"'{module}.{name}'", "nothing of it was");
        Refuse(Save("bad.bin", new Pickle().Text("posix").Text("system").Op(0x93).Op('.')), "'posix.system'");
        Refuse(Save("bad.bin", new Pickle().Op('(').Text("x").Op([(byte)'i', .. "posix\nsystem\n"u8]).Op('.')), "INST");
        Refuse(Save("bad.bin", new Pickle().Op('}').Op(')').Op(0x81).Op('.')), "NEWOBJ 0x81");
        Refuse(Save("bad.bin", new Pickle().Op('}').Op(0xFF).Op('.')), "0xFF");
        Refuse(Save("bad.bin", new Pickle().Op('}').Text("x").View("0", 0, [6], [1], "ByteStorage").Op('s').Op('.')), "torch.ByteStorage");
    }

    [Test]
    public void What_is_no_dictionary_of_tensors_is_refused()
    {
        Refuse(Save("bad.bin", new Pickle().Op('N').Op('.')), "no dictionary");
        Refuse(Save("bad.bin", new Pickle().Op('}').Text("step").Int(5).Op('s').Op('.')), "'step' in it is a number");
        Refuse(Save("bad.bin", new Pickle().Op('}').Int(1).Int(5).Op('s').Op('.')), "a key of it is a number");
        Refuse(Save("bad.bin", new Pickle().Op('}').Op('s').Op('.')), "stack");
        Refuse(Save("bad.bin", new Pickle().Op('}')), "ends");
        Refuse(Save("bad.bin", new Pickle().Op((byte)'h', 7).Op('.')), "recalls item 7");
        Refuse(Save("bad.bin", new Pickle().Op('}').Op('(').Text("x").View("0", 0, [1], [1]).Text("x").View("0", 0, [1], [1]).Op('u').Op('.'),
            ("data/0", Floats(6))), "twice");
        Assert.That(() => Read(Save("nothing.bin", new Pickle().Op('}').Op('.')), "x"), Throws.TypeOf<KeyNotFoundException>());
    }

    [Test]
    public void A_tensor_beyond_its_storage_is_refused()
    {
        void View(string mention, long offset, int[] size, int[] stride, long count = 6, string key = "0") =>
            Refuse(Save("bad.bin", new Pickle().Op('}').Text("x").View(key, offset, size, stride, count: count).Op('s').Op('.'), ("data/0", Floats(6))),
                mention);
        View("its storage has 6", 1, [6], [1]);
        View("its storage has 6", 0, [2, 3], [4, 1]);
        View("its storage has 6", long.MaxValue, [1], [1]);
        View("its storage has 6", 0, [1 << 20], [0]);                    // expanded: a small file would ask for much
        View("its storage has 6", 0, [int.MaxValue, int.MaxValue], [0, 0]);
        View("counted", 0, [int.MaxValue, int.MaxValue, int.MaxValue], [1, 1, 1]);
        View("offset -1", -1, [1], [1]);
        View("sizes [-1]", 0, [-1], [1]);
        View("strides [-1]", 0, [2], [-1]);
        View("strides []", 0, [2], []);
        View("24 bytes; 7", 0, [6], [1], count: 7);
        View("24 bytes; 5", 0, [5], [1], count: 5);
        View("data/1", 0, [6], [1], key: "1");
        Pickle many = new Pickle().Op('}').Op('(');
        for (int i = 0; i < 3; i++)
            many.Text($"w{i}").View("0", 0, [6], [1]);
        Refuse(Save("bad.bin", many.Op('u').Op('.'), ("data/0", Floats(6))), "72 bytes, of 24");
    }

    [Test]
    public void An_archive_that_is_broken_is_refused()
    {
        byte[] good = File.ReadAllBytes(Save("good.bin", new Pickle().Op('}').Text("x").View("0", 0, [6], [1]).Op('s').Op('.'), ("data/0", Floats(6))));
        void Bytes(byte[] bytes, string mention)
        {
            File.WriteAllBytes(In("bad.bin"), bytes);
            Refuse(In("bad.bin"), mention);
        }
        Bytes([], "zip");
        Bytes([.. "PK"u8], "zip");
        Bytes(good[..^1], "zip");
        Bytes(good[20..], "directory ends");
        using (var stream = new FileStream(In("bad.bin"), FileMode.Create))
        using (var zip = new ZipArchive(stream, ZipArchiveMode.Create))
        using (Stream part = zip.CreateEntry("a/data.pkl", CompressionLevel.Optimal).Open())
            part.Write(new byte[1000]);
        Refuse(In("bad.bin"), "compressed");
        Refuse(Save("bad.bin", new Pickle().Op('}').Op('.'), ("byteorder", [.. "big"u8])), "little-endian");
        Refuse(Save("bad.bin", new Pickle().Op('}').Op('.'), ("data.pkl", [])), "twice");
    }

    [Test]
    public void Broken_files_neither_crash_nor_allocate_what_is_not_there()
    {
        byte[] small = File.ReadAllBytes(Save("small.bin", new Pickle().Op('}').Op('(').Text("x").View("0", 0, [3, 2], [1, 3])
            .Text("y").View("1", 0, [2], [1], "HalfStorage", 2).Op('u').Op('.'), ("data/0", Floats(6)), ("data/1", [0, 1, 2, 3])));
        byte[] official = File.ReadAllBytes(Path.Combine(Official, "pytorch_model.bin"));
        int read = 0;
        for (int seed = 0; seed < 1000; seed++)
        {
            var random = new Random(seed);
            byte[] bytes = seed % 10 == 0 ? (byte[])official.Clone() : (byte[])small.Clone();
            for (int i = random.Next(1, 5); i > 0; i--)
                bytes[seed % 10 == 0 ? random.Next(2400) : random.Next(bytes.Length)] = random.Next(3) == 0 ? (byte)255 : (byte)random.Next(256);
            if (seed % 7 == 0)
                bytes = bytes[..random.Next(bytes.Length)];
            string path = In("fuzz.bin");
            File.WriteAllBytes(path, bytes);
            long before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                using WeightFiles file = WeightFiles.Open(path);
                foreach (StoredTensor tensor in file.Tensors)
                    tensor.ReadDoubles();
                read++;
            }
            catch (MambaException e)
            {
                Assert.That(e.Message, Does.Not.Contain("\n"), $"seed {seed}");
            }
            Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(1_500_000 + 8L * bytes.Length), $"seed {seed}");
        }
        Assert.That(read, Is.InRange(20, 900));
    }
}
