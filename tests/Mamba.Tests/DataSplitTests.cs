using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>What is trained on, validated and tested by.</summary>
public class DataSplitTests
{
    DataFolder folder = null!;

    [SetUp]
    public void MakeFolder() => folder = new DataFolder();

    [TearDown]
    public void DeleteFolder() => folder.Dispose();

    static string[] Ids(int count) => [.. Enumerable.Range(0, count).Select(i => $"s{i}")];

    static (int Train, int Validation, int Test) Sizes(DataSplit split) =>
        (split.Indices(DataPart.Train).Count, split.Indices(DataPart.Validation).Count, split.Indices(DataPart.Test).Count);

    static string Shown(DataSplit split) => string.Concat(Enumerable.Range(0, split.Count).Select(i => ".vt"[(int)split[i]]));

    [Test]
    public void A_seed_makes_the_same_split_on_every_machine()
    {
        // as a Philox4x32-10 and a shuffle written in Python have it
        Assert.That(Shown(DataSplit.BySeed(Ids(20), 1, 0.2, 0.3)), Is.EqualTo("v.t..tvt.tvvt....t.."));
        Assert.That(Shown(DataSplit.BySeed(Ids(20), 2, 0.2, 0.3)), Is.EqualTo("...t....vvtttt.tvv.."));
        string[] labels = [.. Enumerable.Range(0, 20).Select(i => i % 3 == 0 ? "x" : "y")];
        Assert.That(Shown(DataSplit.Stratified(Ids(20), labels, 1, 0.2, 0.3)), Is.EqualTo(".tv....vt..vt.tvt.t."));
    }

    [Test]
    public void Parts_have_their_shares_and_each_example_is_in_one([Values(0, 1, 2, 3, 4, 7, 10, 101)] int count,
        [Values(0, 0.1, 0.3)] double validation, [Values(0, 0.1, 0.4, 0.64)] double test)
    {
        var split = DataSplit.BySeed(Ids(count), 5, validation, test);
        (int train, int validated, int tested) = Sizes(split);
        Assert.That(train + validated + tested, Is.EqualTo(count));
        int asked = 1 + (validation > 0 ? 1 : 0) + (test > 0 ? 1 : 0);
        if (count >= asked)
            Assert.That((train > 0, validated > 0, tested > 0), Is.EqualTo((true, validation > 0, test > 0)));
        else
        {
            int spare = Math.Max(0, count - 1);
            Assert.That((train, validated, tested), Is.EqualTo((count - spare, validation > 0 && test == 0 ? spare : 0, test > 0 ? spare : 0)));
        }
        if (count >= 10)
            Assert.That((validated, tested), Is.EqualTo(((int)Math.Round(validation * count), (int)Math.Round(test * count))));
        foreach (DataPart part in Enum.GetValues<DataPart>())
            Assert.That(split.Indices(part), Is.Ordered.And.All.Matches<int>(i => split[i] == part));
    }

    [Test]
    public void Every_example_is_tested_by_some_seed()
    {
        int[] tested = new int[10];
        for (ulong seed = 0; seed < 200; seed++)
            foreach (int i in DataSplit.BySeed(Ids(10), seed, 0.2, 0.2).Indices(DataPart.Test))
                tested[i]++;
        Assert.That(tested, Is.All.InRange(20, 60));        // 40 expected, of a spread of 5.7
    }

    [Test]
    public void Each_label_is_split_in_the_same_shares_and_trained_on()
    {
        string[] labels = [.. Enumerable.Range(0, 130).Select(i => i < 100 ? "often" : i < 127 ? "seldom" : i < 129 ? "twice" : "once")];
        var split = DataSplit.Stratified(Ids(130), labels, 3, 0.1, 0.2);
        (int, int, int) Of(string label) => (Count(label, DataPart.Train), Count(label, DataPart.Validation), Count(label, DataPart.Test));
        int Count(string label, DataPart part) => split.Indices(part).Count(i => labels[i] == label);
        Assert.That((Of("often"), Of("seldom"), Of("twice"), Of("once")), Is.EqualTo(((70, 10, 20), (19, 3, 5), (1, 0, 1), (1, 0, 0))));
    }

    [TestCase(-0.1, 0.1)]
    [TestCase(0.1, -0.1)]
    [TestCase(0.5, 0.5)]
    [TestCase(double.NaN, 0.1)]
    [TestCase(0.1, double.NaN)]
    public void Shares_that_are_none_are_refused(double validation, double test)
    {
        Assert.That(DataFolder.Refused(() => DataSplit.BySeed(Ids(9), 1, validation, test)), Does.StartWith("DataSplit: shares of "));
        Assert.That(DataFolder.Refused(() => DataSplit.Stratified(Ids(1), ["a"], 1, validation, test)), Does.StartWith("DataSplit: shares of "));
    }

    [Test]
    public void A_column_says_which_part_in_any_case()
    {
        var split = DataSplit.ByNames(Ids(8), ["train", "VALID", "validation", "Val", "dev", "Test", " TRAIN ", "test"]);
        Assert.That(split.Indices(DataPart.Train), Is.EqualTo(new[] { 0, 6 }));
        Assert.That(split.Indices(DataPart.Validation), Is.EqualTo(new[] { 1, 2, 3, 4 }));
        Assert.That(split.Indices(DataPart.Test), Is.EqualTo(new[] { 5, 7 }));
    }

    [Test]
    public void What_is_no_part_is_refused_with_its_row()
    {
        Assert.That(DataFolder.Refused(() => DataSplit.ByNames(Ids(2), ["train", "tset"])),
            Is.EqualTo("DataSplit: row 2: 's1' is for 'tset'; expected train, valid, validation, val, dev or test."));
        Assert.That(DataFolder.Refused(() => DataSplit.ByNames(Ids(1), [""], i => "x.csv: line 9")), Does.StartWith("x.csv: line 9: 's0' is for ''"));
        Assert.That(DataFolder.Refused(() => DataSplit.ByNames(Ids(2), ["train"])), Does.Contain("1 names of parts; expected 2"));
        Assert.That(DataFolder.Refused(() => DataSplit.Stratified(Ids(2), ["a"], 1, 0, 0)), Does.Contain("1 labels; expected 2"));
    }

    [Test]
    public void A_split_that_is_saved_is_the_same_when_loaded()
    {
        string[] ids = [.. Ids(30), "with, comma", "with \"quotes\"", "s0"];        // a name twice is told by its place
        var split = DataSplit.BySeed(ids, 1, 0.2, 0.2);
        split.Save(folder.In("split.csv"));
        Assert.That(Shown(DataSplit.Load(folder.In("split.csv"), ids)), Is.EqualTo(Shown(split)));
        Assert.That(File.ReadLines(folder.In("split.csv")).First(), Is.EqualTo("id,part"));
    }

    [Test]
    public void A_split_of_other_data_is_refused_at_the_first_that_differs()
    {
        string path = folder.In("split.csv");
        string Refused(params string[] ids)
        {
            string message = DataFolder.Refused(() => DataSplit.Load(path, ids));
            Assert.That(message, Does.StartWith(path));
            return message[path.Length..];
        }
        DataSplit.BySeed(Ids(3), 1, 0, 0).Save(path);
        Assert.That(Refused("s0", "t1", "t2"), Is.EqualTo(": line 3: the split has 's1'; example 2 of the data is 't1'. It is of other data."));
        Assert.That(Refused("s0", "s1"), Is.EqualTo(": line 4: the split goes on with 's2'; the data have 2 examples only."));
        Assert.That(Refused("s0", "s1", "s2", "s3"), Is.EqualTo(": line 4: the split ends after 3 examples; the data go on with 's3'."));
        folder.Write("split.csv", "id,part\ns0,train\ns1,tset\n");
        Assert.That(Refused("s0", "s1"), Does.StartWith(": line 3: 's1' is for 'tset'"));
        folder.Write("split.csv", "id,set\ns0,train\n");
        Assert.That(Refused("s0"), Is.EqualTo(": line 1: there is no column 'part'; there are id, set."));
        folder.Write("split.csv", "");
        Assert.That(Refused("s0"), Does.StartWith(": line 1: the file is empty"));
    }
}
