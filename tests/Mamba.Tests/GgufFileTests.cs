using System.Text;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>GGUF files: what is written is read, and a header that lies is refused before anything is allocated for it.</summary>
public class GgufFileTests
{
    string folder = "";

    [SetUp]
    public void MakeFolder() => folder = Directory.CreateTempSubdirectory("mamba-gguf-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(folder, recursive: true);

    string In(string name) => Path.Combine(folder, name);

    static GgufWriter Writer(string architecture = "mamba")
    {
        var writer = new GgufWriter();
        writer.Add("general.architecture", architecture);
        return writer;
    }

    /// <summary>A header of some values and tensors, by hand.</summary>
    sealed class Header
    {
        readonly MemoryStream bytes = new();
        readonly BinaryWriter to;

        public Header(uint version = 3, ulong tensors = 1, ulong pairs = 1, string architecture = "mamba")
        {
            to = new BinaryWriter(bytes);
            to.Write("GGUF"u8);
            to.Write(version);
            to.Write(tensors);
            to.Write(pairs);
            Text("general.architecture").U32(8).Text(architecture);
        }

        public Header U32(uint value)
        {
            to.Write(value);
            return this;
        }

        public Header U64(ulong value)
        {
            to.Write(value);
            return this;
        }

        public Header Text(string text)
        {
            to.Write((ulong)text.Length);
            to.Write(Encoding.ASCII.GetBytes(text));
            return this;
        }

        public Header Tensor(string name, ulong offset, uint type = 0, params ulong[] extents)
        {
            Text(name).U32((uint)extents.Length);
            foreach (ulong extent in extents)
                U64(extent);
            return U32(type).U64(offset);
        }

        public byte[] With(int data)
        {
            to.Flush();
            byte[] header = bytes.ToArray();
            return [.. header, .. new byte[(32 - header.Length % 32) % 32], .. new byte[data]];
        }
    }

    void Refuse(byte[] bytes, params string[] mentions)
    {
        File.WriteAllBytes(In("bad.gguf"), bytes);
        MambaException e = Assert.Throws<MambaException>(() => GgufFile.Open(In("bad.gguf")).Dispose())!;
        Assert.That(e.Message, Does.StartWith(In("bad.gguf")).And.Not.Contains("\n"));
        foreach (string mention in mentions)
            Assert.That(e.Message, Does.Contain(mention));
    }

    [Test]
    public void Every_type_is_written_and_read([Values("F32", "F16", "BF16", "F64", "Q8_0")] string type)
    {
        double[] values = [.. Enumerable.Range(-16, 32).Select(i => i == -16 ? -127.0 : i), .. new double[32]];        // scales of 1 and 0
        byte[] bytes = new byte[ElementType.BytesOf(type, 64)];
        Assert.That(ElementType.Encode(type, values, bytes), Is.Null);
        GgufWriter writer = Writer();
        writer.Add("first", "F32", 3, stream => stream.Write(new byte[12]));        // the second starts on a multiple of 32
        writer.Add("x", type, (2, 32), stream => stream.Write(bytes));
        writer.Save(In("x.gguf"));
        using WeightFiles file = WeightFiles.Open(In("x.gguf"));
        Assert.That((file["x"].Type, file["x"].Shape), Is.EqualTo((type, (Shape)(2, 32))));
        Assert.That(file.ReadDoubles("x"), Is.EqualTo(values));
        Assert.That(file.ReadFloats("x"), Is.EqualTo(values.Select(x => (float)x)));
        Assert.That(file.ReadDoubles("first"), Is.EqualTo(new double[3]));
    }

    [Test]
    public void Blocks_of_bytes_are_within_half_a_step_of_the_values()
    {
        double[] values = TestData.Uniform(3200, seed: 1, -3, 3), read = new double[3200];
        byte[] bytes = new byte[ElementType.BytesOf("Q8_0", 3200)];
        ElementType.Encode("Q8_0", values, bytes);
        float[] floats = new float[3200];
        ElementType.FromQ8(bytes, floats);
        for (int i = 0; i < read.Length; i++)
            Assert.That(Math.Abs(floats[i] - values[i]), Is.LessThan(3.0 / 127 / 2 * 1.01 + 3 * 0.0005));
    }

    // 1 + 2^-8 is a half between two bfloat16; a double a little beyond it must not fall onto it on its way.
    [Test]
    public void Bfloat16_is_rounded_once()
    {
        double half = 1 + Math.Pow(2, -8), beyond = half + Math.Pow(2, -40), below = half - Math.Pow(2, -40);
        byte[] bytes = new byte[12];
        Assert.That(ElementType.Encode("BF16", [half, beyond, below, -beyond, double.NaN, 1e39], bytes), Is.EqualTo(1e39));
        ushort[] bits = [.. Enumerable.Range(0, 5).Select(i => BitConverter.ToUInt16(bytes, 2 * i))];
        Assert.That(bits[..4], Is.EqualTo((ushort[])[0x3F80, 0x3F81, 0x3F80, 0xBF81]));
        Assert.That(float.IsNaN(BitConverter.UInt32BitsToSingle((uint)bits[4] << 16)));
        Assert.That(ElementType.Encode("F16", [65504, 70000], new byte[4]), Is.EqualTo(70000));
    }

    [Test]
    public void Another_architecture_is_refused_by_name()
    {
        foreach (string other in (string[])["mamba2", "jamba", "llama", "Mamba", ""])
            Refuse(new Header(architecture: other, tensors: 0).With(0), $"'{other}'", "only 'mamba'");
        Refuse([.. "GGUF"u8, 3, 0, 0, 0, .. new byte[16]], "architecture");
    }

    [Test]
    public void A_wrong_header_is_one_clear_line()
    {
        Refuse([], "GGUF");
        Refuse([.. "GGUX"u8, .. new byte[60]], "GGUF");
        Refuse(new Header(version: 2).With(0), "version 2");
        Refuse(new Header(tensors: 1UL << 60).With(0), "no room");
        Refuse(new Header(pairs: ulong.MaxValue).With(0), "no room");
        Refuse(new Header().Text("x").With(0));
        Refuse(new Header().Tensor("x", 0, 0, 8).With(31), "truncated");
        Refuse(new Header().Tensor("x", 0, 0, 0).With(32), "extent");
        Refuse(new Header().Tensor("x", 0, 0, 1UL << 40).With(32), "no such tensor");
        Refuse(new Header().Tensor("x", 0, 0, 1UL << 32, 1UL << 32, 1UL << 32).With(32), "no such tensor");
        Refuse(new Header().Tensor("x", 0, 0).With(32), "0 axes");
        Refuse(new Header().Tensor("x", 0, 0, 1, 1, 1, 1, 1).With(32), "5 axes");
        Refuse(new Header().Tensor("x", 0, 12, 32).With(32), "Q4_K");
        Refuse(new Header().Tensor("x", 0, 99, 32).With(32), "type 99");
        Refuse(new Header().Tensor("x", 0, 8, 31).With(34), "multiple of 32");
        Refuse(new Header().Tensor("x", 32, 0, 8).With(64), "expected 0");
        Refuse(new Header().Tensor("x", 4, 0, 1).With(32), "expected 0");
        Refuse(new Header().Tensor("x", ulong.MaxValue, 0, 1).With(32), "expected 0");
        Refuse(new Header(tensors: 2).Tensor("x", 0, 0, 8).Tensor("y", 0, 0, 8).With(64), "expected 32");
        Refuse(new Header(tensors: 2).Tensor("x", 0, 0, 8).Tensor("x", 32, 0, 8).With(64), "'x' is in it twice");
        Refuse(new Header(pairs: 2).Text("general.architecture").U32(8).Text("mamba").With(32), "twice");
        Refuse(new Header(pairs: 2).Text("a").U32(13).With(32), "type 13");
        Refuse(new Header(pairs: 2).Text("a").U32(9).U32(9).U64(1).With(32), "array of type 9");
        Refuse(new Header(pairs: 2).Text("a").U32(9).U32(4).U64(1UL << 40).With(32), "elements");
        Refuse(new Header(pairs: 2).Text("a").U32(8).U64(1UL << 50).With(32), "text");
        Refuse(new Header(pairs: 2, tensors: 0).Text("general.alignment").U32(4).U32(24).With(32), "alignment");
        Refuse(new Header(pairs: 2, tensors: 0).Text("general.alignment").U32(4).U32(0).With(32), "alignment");
        Refuse(new Header(pairs: 2, tensors: 0).Text("split.count").U32(4).U32(3).With(32), "parts");
    }

    static readonly BpeVocabulary Small = new()
    {
        Tokens = ["<|endoftext|>", "a", "b", "ab", null, "  "],
        Merges = [("a", "b")],
        Added = new Dictionary<int, BpeVocabulary.AddedToken> { [0] = new("<|endoftext|>", true), [5] = new("  ", false) },
        EndOfText = 0,
        BeginOfText = 0,
    };

    [Test]
    public void A_vocabulary_is_written_and_read()
    {
        GgufWriter writer = Writer();
        ModelConverter.AddVocabulary(writer, Small, rows: 8);
        writer.Save(In("v.gguf"));
        using GgufFile file = GgufFile.Open(In("v.gguf"));
        BpeVocabulary read = file.Vocabulary!;
        Assert.That(read.Tokens, Is.EqualTo((string?[])["<|endoftext|>", "a", "b", "ab", null, "  ", null, null]));
        Assert.That(read.Merges, Is.EqualTo(Small.Merges));
        Assert.That(read.Added, Is.EquivalentTo(Small.Added));
        Assert.That((read.BeginOfText, read.EndOfText, read.Pre), Is.EqualTo((0, 0, "olmo")));
        Assert.That(() => ModelConverter.AddVocabulary(Writer(), Small, rows: 5),
            Throws.TypeOf<MambaException>().With.Message.Contains("6 tokens, the model 5"));
    }

    [Test]
    public void A_file_without_a_tokenizer_has_no_vocabulary_and_one_that_makes_no_sense_is_refused()
    {
        BpeVocabulary? Read(Action<GgufWriter> add)
        {
            GgufWriter writer = Writer();
            add(writer);
            writer.Save(In("v.gguf"));
            using GgufFile file = GgufFile.Open(In("v.gguf"));
            return file.Vocabulary;
        }
        void Refuse(string mention, Action<GgufWriter> add) =>
            Assert.That(() => Read(add), Throws.TypeOf<MambaException>().With.Message.Contains(mention));

        Assert.That(Read(_ => { }), Is.Null);
        Assert.That(Read(writer => ModelConverter.AddVocabulary(writer, null, 8)), Is.Null);
        Refuse("'llama'", writer => writer.Add("tokenizer.ggml.model", "llama"));
        Refuse("tokens is missing", writer => writer.Add("tokenizer.ggml.model", "gpt2"));
        Refuse("'llama-bpe'", writer =>
        {
            writer.Add("tokenizer.ggml.model", "gpt2");
            writer.Add("tokenizer.ggml.pre", "llama-bpe");
        });
        Refuse("another kind", writer => writer.Add("tokenizer.ggml.model", true));
        foreach (string merge in (string[])["", "ab", " ", "a ", " b"])
            Refuse("merges", writer =>
            {
                writer.Add("tokenizer.ggml.model", "gpt2");
                writer.Add("tokenizer.ggml.tokens", ["a", "b"]);
                writer.Add("tokenizer.ggml.merges", [merge]);
            });
        Refuse("token_type has 1", writer =>
        {
            writer.Add("tokenizer.ggml.model", "gpt2");
            writer.Add("tokenizer.ggml.tokens", ["a", "b"]);
            writer.Add("tokenizer.ggml.merges", ["a b"]);
            writer.Add("tokenizer.ggml.token_type", (int[])[1]);
        });
        Refuse("eos_token_id is 2", writer =>
        {
            writer.Add("tokenizer.ggml.model", "gpt2");
            writer.Add("tokenizer.ggml.tokens", ["a", "b"]);
            writer.Add("tokenizer.ggml.merges", ["a b"]);
            writer.Add("tokenizer.ggml.eos_token_id", 2u);
        });
    }

    [Test]
    public void Broken_files_neither_crash_nor_allocate_what_is_not_there()
    {
        GgufWriter writer = Writer();
        foreach (string size in (string[])["embedding_length", "block_count", "ssm.conv_kernel", "ssm.inner_size", "ssm.state_size", "ssm.time_step_rank"])
            writer.Add("mamba." + size, 2u);
        writer.Add("mamba.attention.layer_norm_rms_epsilon", 1e-5f);
        ModelConverter.AddVocabulary(writer, Small, rows: 8);
        writer.Add("token_embd.weight", "F32", (8, 2), stream => stream.Write(new byte[64]));
        writer.Add("blk.0.ssm_a", "Q8_0", (1, 32), stream => stream.Write(new byte[34]));
        writer.Save(In("good.gguf"));
        byte[] good = File.ReadAllBytes(In("good.gguf"));
        int read = 0;
        for (int seed = 0; seed < 1000; seed++)
        {
            var random = new Random(seed);
            byte[] bytes = (byte[])good.Clone();
            for (int i = random.Next(1, 5); i > 0; i--)
                bytes[random.Next(bytes.Length)] = random.Next(3) == 0 ? (byte)255 : (byte)random.Next(256);
            if (seed % 5 == 0)
                bytes = bytes[..random.Next(bytes.Length)];
            File.WriteAllBytes(In("fuzz.gguf"), bytes);
            long before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                using GgufFile file = GgufFile.Open(In("fuzz.gguf"));
                read++;
                _ = file.Vocabulary;
                file.ReadConfig();
                foreach (StoredTensor tensor in file.Tensors)
                    tensor.ReadDoubles();
            }
            catch (MambaException e)
            {
                Assert.That(e.Message, Does.Not.Contain("\n"), $"seed {seed}");
            }
            Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(300_000 + 32L * bytes.Length), $"seed {seed}");
        }
        Assert.That(read, Is.InRange(50, 900));
    }
}
