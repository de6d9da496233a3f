using System.Globalization;
using System.Text;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>CSV: what a row is, the line of everything that is wrong, and that what is written is read.</summary>
public class CsvTests
{
    DataFolder folder = null!;

    [SetUp]
    public void MakeFolder() => folder = new DataFolder();

    [TearDown]
    public void DeleteFolder() => folder.Dispose();

    static string[] Shown(CsvTable table) => [.. table.Rows().Select(row => $"{row.Line}|{string.Join('|', row.Fields)}")];

    string[] Read(string text)
    {
        using var table = CsvTable.Open(folder.Write("x.csv", text));
        return Shown(table);
    }

    string Refused(string text, Action<CsvTable>? use = null)
    {
        string path = folder.Write("x.csv", text);
        string message = DataFolder.Refused(() =>
        {
            using var table = CsvTable.Open(path);
            foreach (CsvRow row in table.Rows())
                _ = row.Fields;
            use?.Invoke(table);
        });
        Assert.That(message, Does.StartWith(path));
        return message[path.Length..];
    }

    [Test]
    public void Rows_come_with_their_lines([Values("\n", "\r\n", "\r")] string end, [Values(',', ';', '\t')] char separator, [Values] bool closed,
        [Values] bool gzip, [Values] bool marked)
    {
        string text = (marked ? "\uFEFF" : "") + $"{end}seq, label {end}AC,1{end}{end}" +
            $"\"a,;\tb\",\"say \"\"x\"\"\"{end}\"over{end}two\",{end}G,3" + (closed ? end + end : "");
        text = text.Replace(",1", $"{separator}1").Replace("seq,", $"seq{separator}").Replace("\",", $"\"{separator}").Replace("G,", $"G{separator}");
        string path = folder.Write("x", gzip ? DataFolder.Gzip(text) : Encoding.UTF8.GetBytes(text));
        using var table = CsvTable.Open(path);
        Assert.That(table.Columns, Is.EqualTo(new[] { "seq", "label" }));
        string[] expected = ["3|AC|1", "5|a,;\tb|say \"x\"", $"6|over{end}two|", "8|G|3"];
        Assert.That(Shown(table), Is.EqualTo(expected));
        Assert.That(Shown(table), Is.EqualTo(expected), "again from the first");
    }

    [Test]
    public void One_column_and_an_empty_field_in_quotes_are_a_table() => Assert.That(Read("a\nx\n\"\"\n\ny"), Is.EqualTo(new[] { "2|x", "3|", "5|y" }));

    [Test]
    public void The_header_says_which_separator_it_is()
    {
        using var table = CsvTable.Open(folder.Write("x.csv", "\"a;b;c\",d\n1;2,3"));
        Assert.That(table.Columns, Is.EqualTo(new[] { "a;b;c", "d" }));
        Assert.That(Shown(table), Is.EqualTo(new[] { "2|1;2|3" }));
    }

    [Test]
    public void Numbers_have_a_point_whatever_the_culture([Values("en-US", "de-DE")] string culture)
    {
        CultureInfo before = CultureInfo.CurrentCulture;
        var other = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        other.NumberFormat.NumberDecimalSeparator = culture == "de-DE" ? "," : ".";
        CultureInfo.CurrentCulture = other;
        try
        {
            using var table = CsvTable.Open(folder.Write("x.csv", "a;b\n 1.5 ;-2e-3\n7;.5"));
            Assert.That(table.Rows().Select(row => (row.Number("a"), row.Number("b"))), Is.EqualTo(new[] { (1.5, -2e-3), (7, 0.5) }));
            Assert.That(DataFolder.Refused(() => table.Rows().First().Number("c")), Does.EndWith(": line 1: there is no column 'c'; there are a, b."));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [Test]
    public void What_is_no_finite_number_is_refused(
        [Values("", "x", "nan", "NaN", "inf", "-Infinity", "∞", "1e999", "1,5", "0x10", "1 2", "1.5.2")] string text) =>
        Assert.That(Refused($"a;OT\n1;2\n1;{text}\n", table => table.Rows().Last().Number("OT")),
            Is.EqualTo($": line 3, column 'OT': '{text}' is no number; expected a finite one, as 12, -0.5 or 1e-3."));

    [TestCase("", ": line 1: the file is empty; expected a header with the names of columns.")]
    [TestCase("\n\n", ": line 1: the file is empty; expected a header with the names of columns.")]
    [TestCase("a,b", ": line 1: there is no row behind the header.")]
    [TestCase("\na,b\n\n", ": line 2: there is no row behind the header.")]
    [TestCase("a,b,a\n", ": line 1: columns 1 and 3 have the same name, 'a'.")]
    [TestCase("a,,b\n1,2,3", ": line 1: column 2 has no name.")]
    [TestCase("a,b,\n1,2,3", ": line 1: column 3 has no name.")]
    [TestCase("a,b,c,d\n1,2,3,4\n\n1,2,3\n", ": line 4 has 3 fields; the header, line 1, has 4.")]
    [TestCase("a,b\n1\n", ": line 2 has 1 field; the header, line 1, has 2.")]
    [TestCase("a,b\n1,\"x\ny\"\n1,2,\n", ": line 4 has 3 fields; the header, line 1, has 2.")]
    [TestCase("\"a\n\",b\n1\n", ": line 3 has 1 field; the header, line 1, has 2.")]
    [TestCase("a,b\n1,2\n3,\"4\n5,6\n7,8\n", ": line 3: a quote is not closed up to the end of the file.")]
    [TestCase("a,\"b\n1,2\n", ": line 1: a quote is not closed up to the end of the file.")]
    public void What_is_wrong_is_told_with_its_line(string text, string says) => Assert.That(Refused(text), Is.EqualTo(says));

    [Test]
    public void A_column_that_is_not_there_is_refused_with_those_that_are()
    {
        using var table = CsvTable.Open(folder.Write("x.csv", "a,b\n1,2"));
        Assert.That(DataFolder.Refused(() => table.IndexOf("A")), Is.EqualTo($"{table.Path}: line 1: there is no column 'A'; there are a, b."));
        Assert.That(table.IndexOf("b"), Is.EqualTo(1));
    }

    [Test]
    public void A_message_has_one_line_and_no_million_letters()
    {
        string message = Refused($"\"a\r\nb\",c\n{new string('A', 1_000_000)},1\n", table => table.Rows().First().Number("a\r\nb"));
        Assert.That(message, Is.EqualTo($": line 3, column 'a  b': '{new string('A', 60)}…' is no number; expected a finite one, as 12, -0.5 or 1e-3."));
        Assert.That(Refused("\"a\nb\",c\n1,1\n", table => table.IndexOf("x")), Is.EqualTo(": line 1: there is no column 'x'; there are a b, c."));
    }

    [Test]
    public void What_is_no_utf8_is_refused()
    {
        string path = folder.Write("x.csv", [.. "a,b\n1,"u8, 0xE9, (byte)'\n']);
        Assert.That(DataFolder.Refused(() => CsvTable.Open(path).Rows().Count()), Does.StartWith($"{path}: line 1 or one behind it is no UTF-8"));
    }

    [Test]
    public void A_compressed_table_that_is_cut_off_is_refused()
    {
        byte[] whole = DataFolder.Gzip("a,b\n" + string.Concat(Enumerable.Range(0, 500).Select(i => $"{i},{i * i}\n")));
        string path = folder.Write("x.csv.gz", whole[..^20]);
        Assert.That(DataFolder.Refused(() => CsvTable.Open(path).Rows().Count()), Does.StartWith($"{path}: what gzip compressed is damaged, cut off"));
    }

    [Test]
    public void A_field_of_two_million_letters_is_read_and_one_of_twenty_million_refused()
    {
        using (var table = CsvTable.Open(folder.Write("x.csv", $"a,b\n{new string('A', 2_000_000)},1\n")))
            Assert.That(table.Rows().Single()["a"], Has.Length.EqualTo(2_000_000));
        Assert.That(Refused($"a,b\n1,2\n{new string('A', 20_000_000)},1\n"), Does.StartWith(": line 3: cannot be read: "));
    }

    [Test]
    public void A_letter_outside_the_alphabet_has_its_line_and_column()
    {
        using var table = CsvTable.Open(folder.Write("x.csv", "seq,y\nACGT,1\nACX,0"));
        Assert.That(table.Rows().Take(1).Select(row => Alphabet.Dna.Encode(row, "seq")), Is.EqualTo(new[] { new byte[] { 0, 1, 2, 3 } }));
        Assert.That(DataFolder.Refused(() => Alphabet.Dna.Encode(table.Rows().Last(), "seq")),
            Does.StartWith($"{table.Path}: line 3, column 'seq', letter 3: 'X' is no letter of dna"));
    }

    [Test]
    public void What_is_written_is_what_is_read()
    {
        string[][] rows = [["", "plain"], ["a,b", "c;d\te"], ["say \"x\"", "\"\""], ["two\nlines", "two\r\nlines"], [" blanks ", "é"], ["-1.5", ""]];
        CsvWriter.Save(folder.In("out.csv"), ["x", "the \"y\", all"], rows);
        using var table = CsvTable.Open(folder.In("out.csv"));
        Assert.That(table.Columns, Is.EqualTo(new[] { "x", "the \"y\", all" }));
        Assert.That(table.Rows().Select(row => row.Fields), Is.EqualTo(rows));
        CsvWriter.Save(folder.In("out.csv"), ["x"], [["1"], [""], ["2"]]);
        Assert.That(File.ReadAllText(folder.In("out.csv")), Is.EqualTo("x\n1\n\"\"\n2\n"));
    }

    [Test]
    public void A_row_that_cannot_be_written_leaves_the_old_file()
    {
        string path = folder.Write("out.csv", "old");
        Assert.That(DataFolder.Refused(() => CsvWriter.Save(path, ["a", "b"], [["1", "2"], ["3"]])),
            Is.EqualTo($"{path}: row 2 to write has 1 fields; the header has 2."));
        Assert.That(DataFolder.Refused(() => CsvWriter.Save(path, [], [])), Does.StartWith(path));
        Assert.That(File.ReadAllText(path), Is.EqualTo("old"));
    }

    [Test]
    public void Transformer_temperatures_have_17420_rows_of_seven_numbers()
    {
        using var table = CsvTable.Open(RealData.PathOf("series/ETTh1.csv"));
        Assert.That(table.Columns, Is.EqualTo(new[] { "date", "HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT" }));
        long count = 0, line = 1;
        foreach (CsvRow row in table.Rows())
        {
            Assert.That(row.Line, Is.EqualTo(++line));
            foreach (string column in table.Columns.Skip(1))
                Assert.That(double.IsFinite(row.Number(column)));
            count++;
        }
        Assert.That(count, Is.EqualTo(17_420));
    }

    [Test]
    public void Promoters_have_9034_sequences_of_251_bases()
    {
        using var table = CsvTable.Open(RealData.PathOf("dna/nontata_promoters_test.csv"));
        (int Length, string Label)[] rows = [.. table.Rows().Select(row => (Alphabet.Dna.Encode(row, "seq").Length, row["label"]))];
        Assert.That(rows, Has.Length.EqualTo(9_034));
        Assert.That(rows, Has.All.Matches<(int Length, string Label)>(row => row.Length == 251 && row.Label is "0" or "1"));
    }
}
