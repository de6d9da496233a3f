using System.Text;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>FASTA: what a record is, plain and compressed, and what is refused, with its line.</summary>
public class FastaTests
{
    DataFolder folder = null!;

    [SetUp]
    public void MakeFolder() => folder = new DataFolder();

    [TearDown]
    public void DeleteFolder() => folder.Dispose();

    static string[] Shown(IEnumerable<FastaRecord> records) =>
        [.. records.Select(r => $"{r.Line}|{r.Name}|{r.Description}|{Alphabet.Dna.Decode(r.Tokens)}")];

    string[] Read(string text) => Shown(FastaReader.Read(folder.Write("x.fa", text), Alphabet.Dna));

    static string Letters(TokenSource source)
    {
        int[] tokens = new int[source.Count];
        source.Read(0, tokens);
        return string.Concat(tokens.Select(Alphabet.Dna.LetterOf));
    }

    [Test]
    public void Records_come_with_their_names_lines_and_letters([Values("\n", "\r\n", "\r")] string end, [Values] bool closed, [Values] bool gzip)
    {
        string text = $"; a comment{end}{end}>one  the first {end}AC{end}gt{end}; another > comment{end}{end}" +
            $">two{end}>{end}N r{end}>four\ta\tb{end}  A C\t{end}T" + (closed ? end : "");
        string path = folder.Write("x", gzip ? DataFolder.Gzip(text) : Encoding.UTF8.GetBytes(text));
        Assert.That(Shown(FastaReader.Read(path, Alphabet.Dna)), Is.EqualTo(new[] { "3|one|the first|ACGT", "8|two||", "9|||NN", "11|four|a\tb|ACT" }));
        using TokenSource source = TokenSource.OfFasta(path, Alphabet.Dna);
        Assert.That(Letters(source), Is.EqualTo("ACGTNNNNACT"));
        Assert.That((source.Count, source.Bytes), Is.EqualTo((11L, (long?)11)));
    }

    [Test]
    public void One_letter_is_a_sequence_and_a_byte_order_mark_is_none()
    {
        Assert.That(Read("\uFEFF>a\nC"), Is.EqualTo(new[] { "1|a||C" }));
        Assert.That(Read(">a>b\nC"), Is.EqualTo(new[] { "1|a>b||C" }));
        Assert.That(Read(">é\nC"), Is.EqualTo(new[] { "1|é||C" }));
    }

    [Test]
    public void Lines_of_any_length_meet_the_ends_of_buffers([Values(65_533, 65_534, 65_535, 65_536, 65_537, 200_000)] int length,
        [Values(1, 70, 1_000_000)] int width)
    {
        byte[] tokens = [.. TestData.Uniform(length, 3, 0, 4).Select(x => (byte)x)];
        string letters = Alphabet.Dna.Decode(tokens);
        string text = ">a\r\n" + string.Join("\r\n", letters.Chunk(width).Select(chunk => new string(chunk))) + "\r\n>b\r\n" + letters;
        string path = folder.Write("x.fa", text);
        FastaRecord[] records = [.. FastaReader.Read(path, Alphabet.Dna)];
        Assert.That(records, Has.Length.EqualTo(2));
        Assert.That(records[0].Tokens.AsSpan().SequenceEqual(tokens) && records[1].Tokens.AsSpan().SequenceEqual(tokens));
        Assert.That(records[1].Line, Is.EqualTo(2 + (length + width - 1) / width));
        using TokenSource source = TokenSource.OfFasta(path, Alphabet.Dna);
        Assert.That(Letters(source), Is.EqualTo($"{letters}N{letters}"));
    }

    [TestCase("", "line 1: there is no record in it; expected a line that starts with '>'.")]
    [TestCase("\n\n; only a comment\n", "line 3: there is no record in it; expected a line that starts with '>'.")]
    [TestCase("\n ACGT\n>a\n", "line 2, column 2: 'A' is before the first record; expected a line that starts with '>'.")]
    [TestCase(">a\nAC\nAJ\n", "line 3, column 2, record 'a': 'J' is no letter of dna (A, C, G, T, N; other codes of IUPAC are read as N).")]
    [TestCase(">a\r\nAC\r\nAC;\r\n", "line 3, column 3, record 'a': ';' is no letter of dna")]
    [TestCase(">a\n>b\nA-C\n", "line 3, column 2, record 'b': '-' is no letter")]
    [TestCase(">a\nACé\n", "line 2, column 3, record 'a': the byte 0xC3 is no letter")]
    [TestCase(">a\n >b\n", "line 2, column 2, record 'a': '>' is no letter")]
    public void What_is_wrong_is_told_with_its_place(string text, string says)
    {
        foreach (bool gzip in new[] { false, true })
        {
            string path = folder.Write("x.fa", gzip ? DataFolder.Gzip(text) : Encoding.UTF8.GetBytes(text));
            Assert.That(DataFolder.Refused(() => FastaReader.Read(path, Alphabet.Dna).Count()), Does.StartWith($"{path}: {says}"));
            Assert.That(DataFolder.Refused(() => TokenSource.OfFasta(path, Alphabet.Dna).Dispose()), Does.StartWith($"{path}: {says}"));
        }
    }

    [Test]
    public void A_wrong_letter_far_into_a_line_has_its_column()
    {
        string path = folder.Write("x.fa", ">a\n" + new string('A', 150_000) + "!");
        Assert.That(DataFolder.Refused(() => FastaReader.Read(path, Alphabet.Dna).Count()), Does.StartWith($"{path}: line 2, column 150001, record 'a': '!'"));
    }

    [Test]
    public void Two_sequences_need_an_unknown_letter_between_them_and_one_does_not()
    {
        var bases = Alphabet.OfLetters("ACGT");
        using (TokenSource one = TokenSource.OfFasta(folder.Write("1.fa", ">a\n>b\nACG\n>c"), bases))
            Assert.That(one.Count, Is.EqualTo(3));
        string path = folder.Write("2.fa", ">a\nA\n>b\nACG");
        Assert.That(DataFolder.Refused(() => TokenSource.OfFasta(path, bases)), Does.StartWith($"{path}: line 3: record 'b' is not the first"));
    }

    [Test]
    public void Records_without_a_letter_are_no_sequence_of_tokens()
    {
        string path = folder.Write("x.fa", ">a\n>b\n");
        Assert.That(Shown(FastaReader.Read(path, Alphabet.Dna)), Is.EqualTo(new[] { "1|a||", "2|b||" }));
        Assert.That(DataFolder.Refused(() => TokenSource.OfFasta(path, Alphabet.Dna)), Does.StartWith($"{path}: line 2: there is no letter in any record"));
    }

    [Test]
    public void A_file_that_is_not_there_or_a_folder_is_refused()
    {
        string none = folder.In("none.fa");
        Assert.That(DataFolder.Refused(() => FastaReader.Read(none, Alphabet.Dna).Count()), Is.EqualTo($"{none}: there is no such file."));
        Assert.That(DataFolder.Refused(() => TokenSource.OfFasta(folder.In(""), Alphabet.Dna)), Does.EndWith("is a folder; expected a file."));
    }

    [Test]
    public void A_compressed_file_that_is_cut_off_anywhere_is_refused()
    {
        byte[] whole = DataFolder.Gzip(">a\n" + Alphabet.Dna.Decode([.. TestData.Uniform(500, 3, 0, 4).Select(x => (byte)x)]));
        byte[] two = [.. DataFolder.Gzip(">a\nACGT\n"), .. whole];
        foreach (byte[] file in new[] { whole, two })
            for (int length = 2; length < file.Length; length++)
            {
                if (file == two && length == file.Length - whole.Length)
                    continue;       // the first of two, whole
                string path = folder.Write("cut.gz", file[..length]);
                string message = DataFolder.Refused(() => FastaReader.Read(path, Alphabet.Dna).Count());
                Assert.That(message, Does.StartWith($"{path}: what gzip compressed is damaged, cut off"), $"{length} bytes of {file.Length}");
            }
        Assert.That(FastaReader.Read(folder.Write("two.gz", two), Alphabet.Dna).Select(r => r.Tokens.Length), Is.EqualTo(new[] { 4, 500 }));
    }

    [Test]
    public void A_compressed_file_that_was_changed_or_is_followed_by_something_is_refused()
    {
        byte[] whole = DataFolder.Gzip(">a\nACGTACGTTT\n");
        foreach (byte[] wrong in new byte[][] { [.. whole[..^6], (byte)(whole[^6] ^ 1), .. whole[^5..]], [.. whole, 1, 2, 3], [.. whole, 0] })
        {
            string path = folder.Write("x.gz", wrong);
            Assert.That(DataFolder.Refused(() => FastaReader.Read(path, Alphabet.Dna).Count()), Does.StartWith($"{path}: what gzip compressed is damaged"));
        }
    }

    [Test]
    public void Compressed_members_of_any_size_are_read_whole([Values(8_190, 8_191, 8_192, 8_193, 65_520, 65_521, 70_000)] int size)
    {
        // what does not compress, so that the members end anywhere in the buffers
        byte[] bytes = new byte[size];
        new Random(size).NextBytes(bytes);
        byte[] compressed = DataFolder.Gzip(bytes);
        for (int tail = 0; tail < 3; tail++)
        {
            byte[] more = new byte[tail * 17];
            string path = folder.Write("x.gz", [.. compressed, .. DataFolder.Gzip(more)]);
            using var file = DataFile.Open(path);
            using Stream stream = file.OpenStream();
            using var read = new MemoryStream();
            stream.CopyTo(read);
            Assert.That(read.ToArray().AsSpan().SequenceEqual([.. bytes, .. more]));
        }
    }

    [Test]
    public void Tokens_may_be_stopped_while_they_are_made()
    {
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        Assert.Throws<OperationCanceledException>(() => TokenSource.OfFasta(folder.Write("x.fa", ">a\nA"), Alphabet.Dna, stop.Token));
    }

    [Test]
    public void Phage_lambda_has_48502_bases()
    {
        FastaRecord[] records = [.. FastaReader.Read(RealData.PathOf("dna/lambda-phage.fa.gz"), Alphabet.Dna)];
        Assert.That(records.Select(r => r.Tokens.Length), Is.EqualTo(new[] { 48_502 }));
        Assert.That(Alphabet.Dna.Decode(records[0].Tokens.AsSpan(0, 12)), Is.EqualTo("GGGCGGCGACCT"));
    }

    [Test]
    public void Escherichia_coli_536_has_4938920_bases()
    {
        using TokenSource source = TokenSource.OfFasta(RealData.PathOf("dna/ecoli-536.fna.gz"), Alphabet.Dna);
        Assert.That((source.Count, source.Bytes), Is.EqualTo((4_938_920L, (long?)4_938_920)));
        int[] start = new int[10];
        source.Read(0, start);
        Assert.That(string.Concat(start.Select(Alphabet.Dna.LetterOf)), Is.EqualTo("AGCTTTTCAT"));
    }
}
