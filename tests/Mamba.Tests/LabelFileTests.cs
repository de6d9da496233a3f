using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>A text of labels, with names and without.</summary>
public class LabelFileTests
{
    DataFolder folder = null!;

    [SetUp]
    public void MakeFolder() => folder = new DataFolder();

    [TearDown]
    public void DeleteFolder() => folder.Dispose();

    LabelFile Read(string text) => LabelFile.Read(folder.Write("y.txt", text));

    string Refused(string text, params string[] names)
    {
        string message = DataFolder.Refused(() => Read(text).LabelsOf(names));
        Assert.That(message, Does.StartWith(folder.In("y.txt")));
        return message[folder.In("y.txt").Length..];
    }

    [Test]
    public void Labels_come_in_the_order_of_the_sequences([Values("\n", "\r\n")] string end, [Values] bool closed)
    {
        LabelFile file = Read($"# digits{end}one{end}{end} two words {end}#x{end}one" + (closed ? end : ""));
        Assert.That((file.Count, file.HasNames), Is.EqualTo((3, false)));
        Assert.That(file.LabelsOf(["a", "b", "c"]), Is.EqualTo(new[] { "one", "two words", "one" }));
        Assert.That(file.LabelOf(1, "whatever"), Is.EqualTo("two words"));
    }

    [Test]
    public void Labels_go_by_the_names_of_the_sequences([Values("\t", ",", " , ")] string between)
    {
        LabelFile file = Read($"a{between}one\n#\n\nb{between}two, or three\n");
        Assert.That((file.Count, file.HasNames), Is.EqualTo((2, true)));
        Assert.That(file.LabelsOf(["b", "a"]), Is.EqualTo(new[] { "two, or three", "one" }));
        Assert.That(file.LabelOf(7, "a"), Is.EqualTo("one"));
    }

    [Test]
    public void A_tab_comes_before_a_comma_in_a_name() => Assert.That(Read("a,b\tone\n").LabelOf(0, "a,b"), Is.EqualTo("one"));

    [TestCase("", ": line 1: there is no label up to here, the end; expected one a line.")]
    [TestCase("# only\n\n", ": line 2: there is no label up to here, the end; expected one a line.")]
    [TestCase("a,1\nb\n", ": line 2: 'b' has neither a tab nor a comma; expected a name and its label, as on line 1.")]
    [TestCase("\n1\nb,2\n", ": line 3: 'b,2' has a name and a label; expected a label alone, as on line 2.")]
    [TestCase("a,1\n\na,2\n", ": line 3: 'a' has a label already, on line 1.")]
    [TestCase("a,1\n,2\n", ": line 2: ',2' has no name; expected both.")]
    [TestCase("a,1\nb, \n", ": line 2: 'b, ' has no label; expected both.")]
    public void What_is_wrong_is_told_with_its_line(string text, string says) => Assert.That(Refused(text), Is.EqualTo(says));

    [Test]
    public void A_compressed_text_is_read_and_one_that_is_no_utf8_is_not()
    {
        Assert.That(LabelFile.Read(folder.Write("y.gz", DataFolder.Gzip("\uFEFFé\nb"))).LabelsOf(["1", "2"]), Is.EqualTo(new[] { "é", "b" }));
        string path = folder.Write("y.txt", [(byte)'a', (byte)'\n', 0xE9, (byte)'\n']);
        Assert.That(DataFolder.Refused(() => LabelFile.Read(path)), Is.EqualTo($"{path}: line 1 or one behind it is no UTF-8."));
        Assert.That(DataFolder.Refused(() => LabelFile.Read(folder.In("none"))), Does.EndWith(": there is no such file."));
    }

    [Test]
    public void A_sequence_without_a_label_is_refused()
    {
        Assert.That(Refused("1\n2\n", "a", "b", "c"), Is.EqualTo(": line 2 has the last of 2 labels; sequence 3, 'c', has none."));
        Assert.That(Refused("a,1\n#\nb,2\n", "a", "c"), Is.EqualTo(": line 3, the last: no line up to here has a label for 'c', sequence 2."));
        Assert.That(DataFolder.Refused(() => Read("1").LabelOf(-1, "x")), Does.Contain("sequence 0"));
    }

    [Test]
    public void A_label_without_a_sequence_is_refused()
    {
        Assert.That(Refused("1\n2\n\n3\n", "a", "b"), Is.EqualTo(": line 4: label 3 has no sequence; there are 2."));
        Assert.That(Refused("a,1\nb,2\nc,3\n", "c", "a"), Is.EqualTo(": line 2: there is no sequence 'b'."));
    }
}
