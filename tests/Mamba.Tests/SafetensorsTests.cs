using System.Buffers.Binary;
using System.Text;
using NUnit.Framework;

namespace Mamba.Tests;

public class SafetensorsTests
{
    string folder = "";

    [OneTimeSetUp]
    public void MakeFolder() => folder = Directory.CreateTempSubdirectory("mamba-safetensors-").FullName;

    [OneTimeTearDown]
    public void DeleteFolder() => Directory.Delete(folder, recursive: true);

    string In(string name) => Path.Combine(folder, name);

    string Written(string name)
    {
        var writer = new SafetensorsWriter { Metadata = { ["format"] = "pt", ["odd \"key\"\n"] = "é\t" } };
        writer.Add("ids", 3, new[] { 1, -2, int.MaxValue });
        writer.Add("weight", (2, 3), new[] { 0f, -1.5f, float.Epsilon, float.MaxValue, float.NegativeInfinity, 1f / 3 });
        writer.Add("empty", (0, 7), Array.Empty<double>());
        writer.Add("scalar", new Shape(), new[] { Math.PI });
        writer.Add("long ünicode \"name\"", 2, new[] { long.MinValue, long.MaxValue });
        writer.Save(In(name));
        return In(name);
    }

    [Test]
    public void What_is_written_is_read_back_bit_for_bit()
    {
        using Safetensors file = Safetensors.Open(Written("round.safetensors"));
        Assert.Multiple(() =>
        {
            Assert.That(file.ReadLongs("ids"), Is.EqualTo(new long[] { 1, -2, int.MaxValue }));
            Assert.That(file.ReadFloats("weight"), Is.EqualTo(new[] { 0f, -1.5f, float.Epsilon, float.MaxValue, float.NegativeInfinity, 1f / 3 }));
            Assert.That(file.ReadDoubles("scalar"), Is.EqualTo(new[] { Math.PI }));
            Assert.That(file.ReadDoubles("empty"), Is.Empty);
            Assert.That(file.ReadLongs("long ünicode \"name\""), Is.EqualTo(new[] { long.MinValue, long.MaxValue }));
            Assert.That(file["weight"].Shape, Is.EqualTo((Shape)(2, 3)));
            Assert.That(file["weight"].Type, Is.EqualTo("F32"));
            Assert.That(file["scalar"].Shape.Rank, Is.Zero);
            Assert.That(file["empty"].Shape, Is.EqualTo((Shape)(0, 7)));
            Assert.That(file.Metadata["odd \"key\"\n"], Is.EqualTo("é\t"));
            Assert.That(file.Entries, Has.Count.EqualTo(5));
        });
    }

    [Test]
    public void Every_tensor_starts_on_a_multiple_of_its_element_size()
    {
        using Safetensors file = Safetensors.Open(Written("aligned.safetensors"));
        Assert.That(BinaryPrimitives.ReadUInt64LittleEndian(File.ReadAllBytes(file.Path)) % 8, Is.Zero);
        foreach (SafetensorsEntry entry in file.Entries)
            Assert.That(entry.Start % SafetensorsEntry.SizeOf(entry.Type), Is.Zero, entry.Name);
    }

    [Test]
    public void Half_precision_widens_exactly()
    {
        // 1, -2, the smallest subnormal half, infinity; 1, -2, the smallest subnormal bfloat16, 3.140625
        byte[] data = [0x00, 0x3C, 0x00, 0xC0, 0x01, 0x00, 0x00, 0x7C, 0x80, 0x3F, 0x00, 0xC0, 0x01, 0x00, 0x49, 0x40];
        string path = Raw("half", """{"h":{"dtype":"F16","shape":[4],"data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[2,2],"data_offsets":[8,16]}}""", data);
        using Safetensors file = Safetensors.Open(path);
        Assert.Multiple(() =>
        {
            Assert.That(file.ReadFloats("h"), Is.EqualTo(new[] { 1f, -2f, MathF.Pow(2, -24), float.PositiveInfinity }));
            Assert.That(file.ReadDoubles("b"), Is.EqualTo(new[] { 1, -2, Math.Pow(2, -133), 3.140625 }));
        });
    }

    [Test]
    public void A_tensor_longer_than_one_piece_is_read_whole()
    {
        double[] values = TestData.Uniform(200_003, seed: 5);
        var writer = new SafetensorsWriter();
        writer.Add("x", values.Length, values);
        writer.Save(In("long.safetensors"));
        using Safetensors file = Safetensors.Open(In("long.safetensors"));
        Assert.That(file.ReadDoubles("x"), Is.EqualTo(values));
    }

    [Test]
    public void Writing_leaves_no_temporary_file_and_replaces_the_old_one()
    {
        string path = Written("twice.safetensors");
        Written("twice.safetensors");
        Assert.That(Directory.GetFiles(folder, "twice*"), Is.EqualTo(new[] { path }));
    }

    [Test]
    public void A_file_that_cannot_be_written_is_one_clear_line()
    {
        var writer = new SafetensorsWriter();
        string path = Path.Combine(folder, "absent", "x.safetensors");
        Assert.That(() => writer.Save(path), Throws.TypeOf<MambaException>().With.Message.Contains(path));
    }

    [Test]
    public void A_name_is_taken_once()
    {
        var writer = new SafetensorsWriter();
        writer.Add("x", 1, new[] { 1f });
        Assert.That(() => writer.Add("x", 1, new[] { 1f }), Throws.TypeOf<MambaException>());
        Assert.That(() => writer.Add("__metadata__", 1, new[] { 1f }), Throws.TypeOf<MambaException>());
        Assert.That(() => writer.Add("y", 2, new[] { 1f }), Throws.TypeOf<MambaException>());
    }

    [Test]
    public void Asking_for_what_is_not_there_is_one_clear_line()
    {
        using Safetensors file = Safetensors.Open(Written("asked.safetensors"));
        Assert.That(() => file.ReadFloats("nothing"), Throws.TypeOf<MambaException>().With.Message.Contains("'nothing'"));
        Assert.That(() => file.ReadLongs("weight"), Throws.TypeOf<MambaException>().With.Message.Contains("F32"));
        Assert.That(() => Safetensors.Open(In("no such file")), Throws.TypeOf<MambaException>().With.Message.Contains("no such file"));
        Assert.That(() => Safetensors.Open(folder), Throws.TypeOf<MambaException>());
    }

    string Raw(string name, string header, byte[] data, ulong? headerLength = null)
    {
        byte[] json = Encoding.UTF8.GetBytes(header);
        string path = In(name + ".safetensors");
        File.WriteAllBytes(path, [.. BitConverter.GetBytes(headerLength ?? (ulong)json.Length), .. json, .. data]);
        return path;
    }

    static readonly string[] WrongHeaders =
    [
        "", " ", "{", "}", "[]", "null", "1", "\"x\"", "{]", "{}{}", "{}x", "{\"x\"}", "{\"x\":}", "{\"x\":1}", "{\"x\":null}", "{\"x\":[]}", "{\"x\":{}}",
        "\0", "{\"x\":\"\\u",
        Entry("F32", "[2]", "[0,8]") + ",", "{\"__metadata__\":1}", "{\"__metadata__\":{\"a\":1}}", "{\"__metadata__\":{\"a\":null}}",
        // dtype
        Entry("F33", "[2]", "[0,8]"), Entry("f32", "[2]", "[0,8]"), Entry("", "[2]", "[0,8]"), Entry("U8", "[8]", "[0,8]"), Entry("F\\ud80032", "[2]", "[0,8]"),
        "{\"x\":{\"shape\":[2],\"data_offsets\":[0,8]}}", "{\"x\":{\"dtype\":1,\"shape\":[2],\"data_offsets\":[0,8]}}",
        // shape
        Entry("F32", "[3]", "[0,8]"), Entry("F32", "[1]", "[0,8]"), Entry("F32", "[]", "[0,8]"), Entry("F32", "[-2]", "[0,8]"),
        Entry("F32", "[-1,-2]", "[0,8]"), Entry("F32", "[2.5]", "[0,8]"), Entry("F32", "[2e0]", "[0,8]"), Entry("F32", "[\"2\"]", "[0,8]"),
        Entry("F32", "2", "[0,8]"), Entry("F32", "null", "[0,8]"), Entry("F32", "[[2]]", "[0,8]"),
        Entry("F32", "[9223372036854775807]", "[0,8]"), Entry("F32", "[9223372036854775808]", "[0,8]"), Entry("F32", "[4294967296,4294967296]", "[0,8]"),
        Entry("F32", "[4611686018427387904,4]", "[0,8]"), Entry("F32", "[4294967296,4294967296,0]", "[0,0]"), Entry("F64", "[2305843009213693954]", "[0,8]"),
        "{\"x\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}",
        // offsets
        Entry("F32", "[2]", "[8,0]"), Entry("F32", "[2]", "[0,9]"), Entry("F32", "[2]", "[1,9]"), Entry("F32", "[2]", "[-8,0]"), Entry("F32", "[2]", "[0]"),
        Entry("F32", "[2]", "[0,8,8]"), Entry("F32", "[2]", "[]"), Entry("F32", "[2]", "8"), Entry("F32", "[2]", "[0,\"8\"]"), Entry("F32", "[2]", "[0,1e1]"),
        Entry("F32", "[2]", "[null,8]"), Entry("F32", "[2]", "[0,18446744073709551624]"), Entry("F32", "[2]", "[9223372036854775800,9223372036854775808]"),
        Entry("F32", "[2]", "[9223372036854775799,9223372036854775807]"), Entry("F32", "[0]", "[9,9]"), Entry("F32", "[1]", "[0,4]"),
        Entry("F32", "[1]", "[4,8]"),
        "{\"x\":{\"dtype\":\"F32\",\"shape\":[2]}}", "{}",
        // two tensors: overlapping, the same place, a hole, the same name
        Two("a", "[0,8]", 2, "b", "[4,8]", 1), Two("a", "[0,8]", 2, "b", "[0,8]", 2), Two("a", "[0,4]", 1, "b", "[0,8]", 2),
        Two("a", "[0,2]", 1, "b", "[4,8]", 1), Two("a", "[0,4]", 1, "a", "[4,8]", 1), Two("a", "[0,4]", 1, "\\u0061", "[4,8]", 1),
        Two("a", "[4,4]", 0, "b", "[0,8]", 2),
        "{\"x\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"},\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
        new string('[', 5000), "{\"x\":" + string.Concat(Enumerable.Repeat("{\"x\":", 5000)), "{\"" + new string('y', 100_000) + "\":1}",
    ];

    static string Entry(string dtype, string shape, string offsets) => $"{{\"x\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":{offsets}}}}}";

    static string Two(string a, string offsetsA, int countA, string b, string offsetsB, int countB) =>
        $"{{\"{a}\":{{\"dtype\":\"F32\",\"shape\":[{countA}],\"data_offsets\":{offsetsA}}},"
        + $"\"{b}\":{{\"dtype\":\"F32\",\"shape\":[{countB}],\"data_offsets\":{offsetsB}}}}}";

    [Test]
    public void The_header_the_wrong_ones_differ_from_is_right()
    {
        using Safetensors file = Safetensors.Open(Raw("right", Entry("F32", "[2]", "[0,8]"), new byte[8]));
        Assert.That(file.ReadFloats("x"), Is.EqualTo(new float[2]));
    }

    [Test]
    public void Every_wrong_header_is_one_clear_line()
    {
        for (int i = 0; i < WrongHeaders.Length; i++)
            ExpectRefused(Raw("wrong", WrongHeaders[i], new byte[8]), $"header {i}: {WrongHeaders[i][..Math.Min(WrongHeaders[i].Length, 100)]}");
    }

    [Test]
    public void Every_wrong_header_length_is_one_clear_line()
    {
        string header = Entry("F32", "[2]", "[0,8]");
        ulong right = (ulong)header.Length;
        for (ulong length = 0; length < right + 40; length++)
            if (length != right)
                ExpectRefused(Raw("length", header, new byte[8], length), $"header length {length}");
        foreach (ulong length in (ulong[])[100_000_001, int.MaxValue, uint.MaxValue, 1UL << 40, long.MaxValue - 8, long.MaxValue,
            1UL << 63, ulong.MaxValue - 8, ulong.MaxValue])
            ExpectRefused(Raw("length", header, new byte[8], length), $"header length {length}");
    }

    [Test]
    public void Every_truncation_is_one_clear_line()
    {
        byte[] whole = File.ReadAllBytes(Written("whole.safetensors"));
        for (int length = 0; length < whole.Length; length++)
        {
            File.WriteAllBytes(In("cut.safetensors"), whole[..length]);
            ExpectRefused(In("cut.safetensors"), $"first {length} of {whole.Length} bytes");
        }
        File.WriteAllBytes(In("cut.safetensors"), [.. whole, 0]);
        ExpectRefused(In("cut.safetensors"), "a byte too many");
    }

    [Test]
    public void Random_damage_is_refused_in_one_clear_line_or_harmless()
    {
        byte[] whole = File.ReadAllBytes(Written("sound.safetensors"));
        int header = 8 + (int)BinaryPrimitives.ReadUInt64LittleEndian(whole), refused = 0;
        var random = new PhiloxRandom(seed: 17);
        for (int i = 0; i < 2000; i++)
        {
            byte[] damaged = [.. whole];
            for (int n = 1 + random.Next(3); n > 0; n--)
                damaged[random.Next(header)] = (byte)random.Next(256);
            File.WriteAllBytes(In("damaged.safetensors"), damaged);
            if (Refusal(In("damaged.safetensors"), $"damage {i}") is not null)
                refused++;
        }
        Assert.That(refused, Is.GreaterThan(1000));         // harmless: a letter of a name, a metadata string, padding
    }

    void ExpectRefused(string path, string what) => Assert.That(Refusal(path, what), Is.Not.Null, what);

    /// <summary>The message with which a file is refused; null if all its tensors could be read.</summary>
    static string? Refusal(string path, string what)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        string? message = null;
        try
        {
            using Safetensors file = Safetensors.Open(path);
            foreach (SafetensorsEntry entry in file.Entries)
                file.ReadDoubles(entry.Name);
        }
        catch (MambaException e)
        {
            message = e.Message;
        }
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(1_000_000 + 20 * new FileInfo(path).Length), what);
        if (message is not null)
            Assert.That(message, Does.StartWith(path).And.Not.Contain("\n").And.Length.LessThan(path.Length + 500), what);
        return message;
    }
}
