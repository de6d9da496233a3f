using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary><see cref="SequenceSet"/>, <see cref="LabeledData"/> and the splits that runs keep.</summary>
public class LabeledDataTests
{
    static readonly SequenceOptions Plain = new() { Test = 0.2, Validation = 0.2 };
    static readonly MambaConfig Sizes = new() { DModel = 6, NLayer = 1, VocabSize = 1, SsmCfg = new SsmConfig { DState = 2 } };

    readonly DataFolder folder = new();

    [OneTimeTearDown]
    public void DeleteFolder() => folder.Dispose();

    static Device Cpu => TestDevices.Open("cpu");

    /// <summary>Sequences of 1 to 40 bases, two of three in class b.</summary>
    static string Csv(int rows, int seed = 1)
    {
        var random = new Random(seed);
        IEnumerable<string> lines = Enumerable.Range(0, rows).Select(i =>
            $"{string.Concat(Enumerable.Range(0, 1 + random.Next(40)).Select(_ => "ACGT"[random.Next(4)]))},{(i % 3 == 0 ? "a" : "b")}");
        return $"seq,label\n{string.Join('\n', lines)}\n";
    }

    LabeledData Data(int rows = 30, SequenceOptions? options = null, ulong seed = 1) =>
        new("classify", SequenceSet.Read(folder.Write($"{rows}.csv", Csv(rows)), options ?? Plain), options ?? Plain, seed);

    // ---- what is read ----------------------------------------------------------------------------

    [Test]
    public void Letters_and_their_labels_come_from_a_table()
    {
        SequenceSet set = SequenceSet.Read(folder.Write("letters.csv", "id,seq,label\n1,ACGT,yes\n2,nTa,no\n"), Plain);
        Assert.That(set.Examples.Select(one => one.Tokens), Is.EqualTo(new byte[][] { [0, 1, 2, 3], [4, 3, 0] }));
        Assert.That(set.Classes, Is.EqualTo(new[] { "no", "yes" }));
        Assert.That(set.Examples.Select(one => (one.Id, one.Label)), Is.EqualTo(new[] { ("2", 1), ("3", 0) }));
        Assert.That(set.VocabSize, Is.EqualTo(5));
    }

    [Test]
    public void Labels_that_are_numbers_are_in_the_order_of_numbers()
    {
        SequenceSet set = SequenceSet.Read(folder.Write("numbers.csv", "seq,label\nA,10\nC,9\nG,10\nT,-1\n"), Plain);
        Assert.That(set.Classes, Is.EqualTo(new[] { "-1", "9", "10" }));
        Assert.That(set.Examples.Select(one => one.Label), Is.EqualTo(new[] { 2, 1, 2, 0 }));
    }

    [Test]
    public void A_column_may_hold_numbers_with_spaces_between()
    {
        SequenceOptions options = Plain with { Alphabet = "numbers", SequenceColumn = "x" };
        SequenceSet set = SequenceSet.Read(folder.Write("values.tsv", "x\tlabel\n1 2.5 -3\ta\n7\tb\n"), options);
        Assert.That(set.Examples.Select(one => one.Values), Is.EqualTo(new float[][] { [1, 2.5f, -3], [7] }));
        Assert.That(set.VocabSize, Is.Zero);
    }

    [Test]
    public void Columns_may_be_the_steps_of_a_sequence()
    {
        SequenceOptions options = Plain with { Columns = ["t1", "t0"], LabelColumn = "kind" };
        SequenceSet set = SequenceSet.Read(folder.Write("columns.csv", "t0,t1,kind\n1,2,a\n3,4,b\n"), options);
        Assert.That(set.Examples.Select(one => one.Values), Is.EqualTo(new float[][] { [2, 1], [4, 3] }));
    }

    [Test]
    public void Letters_of_ones_own_are_an_alphabet()
    {
        SequenceSet set = SequenceSet.Read(folder.Write("own.csv", "sequence,label\nxyx,a\nzz,b\n"), Plain with { Alphabet = "xyz" });
        Assert.That(set.Examples[0].Tokens, Is.EqualTo(new byte[] { 0, 1, 0 }));
        Assert.That(set.VocabSize, Is.EqualTo(3));
    }

    [Test]
    public void Fasta_takes_its_labels_from_a_file()
    {
        string labels = folder.Write("labels.txt", "two\tb\none\ta\n");
        SequenceSet set = SequenceSet.Read(folder.Write("two.fa", ">one\nAC\nGT\n>two\nTT\n"), Plain with { Labels = labels });
        Assert.That(set.Examples.Select(one => (one.Id, set.Classes[one.Label], one.Tokens!.Length)), Is.EqualTo(new[] { ("one", "a", 4), ("two", "b", 2) }));
    }

    [Test]
    public void Recordings_have_their_labels_in_their_names([Values] bool muLaw)
    {
        foreach ((string name, float level) in new[] { ("7_ann_0.wav", 0.5f), ("1_bob_3.wav", -0.25f) })
            new WavAudio(8000, 1, [level, 0, -level]).Save(MakeIn("sounds", name), 32, isFloat: true);
        SequenceSet set = SequenceSet.Read(folder.In("sounds"), Plain with { MuLaw = muLaw });
        Assert.That(set.Examples.Select(one => set.Classes[one.Label]), Is.EqualTo(new[] { "1", "7" }));
        Assert.That(set.SampleRate, Is.EqualTo(8000));
        if (muLaw)
            Assert.That(set.Examples[1].Tokens, Is.EqualTo(new[] { MuLaw.Encode(0.5f), MuLaw.Encode(0), MuLaw.Encode(-0.5f) }));
        else
            Assert.That(set.Examples[1].Values, Is.EqualTo(new[] { 0.5f, 0, -0.5f }));
        SequenceSet named = SequenceSet.Read(folder.In("sounds"), Plain with { LabelPattern = "_([a-z]+)_" });
        Assert.That(named.Classes, Is.EqualTo(new[] { "ann", "bob" }));
    }

    string MakeIn(string part, string name)
    {
        Directory.CreateDirectory(folder.In(part));
        return Path.Combine(folder.In(part), name);
    }

    [TestCase("seq,label\nACGT,a\n,b\n", "line 3: column 'seq' is empty")]
    [TestCase("seq,label\nACGT,\n", "line 2: the label is missing")]
    [TestCase("letters,label\nACGT,a\n", "there is no column 'sequence' or 'seq'")]
    [TestCase("seq,kind\nACGT,a\n", "there is no column 'label'")]
    [TestCase("seq,label\nACGT,a\nAC?T,b\n", "line 3, column 'seq', letter 3: '?' is no letter")]
    public void What_is_wrong_in_a_table_is_said_with_its_place(string text, string expected) =>
        Assert.That(DataFolder.Refused(() => SequenceSet.Read(folder.Write("wrong.csv", text), Plain)), Does.Contain("wrong.csv").And.Contain(expected));

    [Test]
    public void What_does_not_belong_to_a_kind_of_file_is_refused()
    {
        string table = folder.Write("belongs.csv", "seq,label\nA,x\nC,y\n"), fasta = folder.Write("belongs.fa", ">a\nAC\n");
        string labels = folder.Write("belongs.txt", "x\n");
        Assert.That(DataFolder.Refused(() => SequenceSet.Read(table, Plain with { Labels = labels })), Does.Contain("in a column of it"));
        Assert.That(DataFolder.Refused(() => SequenceSet.Read(fasta, Plain with { Labels = labels, SplitColumn = "part" })), Does.Contain("column 'part'"));
        Assert.That(DataFolder.Refused(() => SequenceSet.Read(table, Plain with { SplitColumn = "a", TestPattern = "b" })), Does.Contain("one of them"));
        string huge = folder.Write("huge.csv", "a,b,label\n1,2,x\n1,1e39,y\n");
        Assert.That(DataFolder.Refused(() => SequenceSet.Read(huge, Plain with { Columns = ["a", "b"] })),
            Does.Contain("line 3, column 'b'").And.Contain("float32"));
    }

    [Test]
    public void One_class_and_a_patch_of_letters_are_refused()
    {
        string file = folder.Write("same.csv", $"seq,label\n{string.Concat(Enumerable.Repeat("ACG,x\n", 20))}");
        Assert.That(DataFolder.Refused(new LabeledData("classify", SequenceSet.Read(file, Plain), Plain, 1).Prepare), Does.Contain("every label is 'x'"));
        Assert.That(DataFolder.Refused(Data(options: Plain with { Patch = 2 }).Prepare), Does.Contain("a patch is of numbers"));
    }

    [Test]
    public void A_label_that_changed_is_noticed()
    {
        SequenceSet first = SequenceSet.Read(folder.Write("marked.csv", "seq,label\nA,x\nC,y\n"), Plain);
        SequenceSet second = SequenceSet.Read(folder.Write("marked.csv", "seq,label\nA,y\nC,y\n"), Plain);
        Assert.That(second.Keys[0], Is.Not.EqualTo(first.Keys[0]));
        Assert.That(second.Keys[1], Is.EqualTo(first.Keys[1]));
    }

    [Test]
    public void Columns_are_learned_from()
    {
        SequenceOptions options = Plain with { Columns = ["a", "b", "c"] };
        string file = folder.Write("learned.csv", $"a,b,c,label\n{string.Concat(Enumerable.Range(0, 20).Select(i => $"{i},1,2,{i % 2}\n"))}");
        var data = new LabeledData("classify", SequenceSet.Read(file, options), options, 1);
        using var model = new SequenceModel(data.ModelOf(Sizes), Cpu, seed: 1);
        using var scope = new TensorScope();
        Assert.That(data.LossOf(model, data.BatchOf(1, 0, new Stage(9, 4, 1))).Loss.Item(), Is.InRange(0.01, 5));
        Assert.That(data.Predict(model), Has.Length.EqualTo(20));
    }

    // ---- splits ----------------------------------------------------------------------------------

    [Test]
    public void A_column_splits()
    {
        SequenceOptions options = Plain with { SplitColumn = "part" };
        string file = folder.Write("parts.csv", "seq,label,part\nA,x,train\nC,y,train\nG,x,valid\nT,y,test\n");
        var data = new LabeledData("classify", SequenceSet.Read(file, options), options, 1);
        Assert.That(Enumerable.Range(0, 4).Select(i => data.Split[i]),
            Is.EqualTo(new[] { DataPart.Train, DataPart.Train, DataPart.Validation, DataPart.Test }));
    }

    [Test]
    public void A_pattern_names_the_test_and_the_rest_is_split_by_the_seed()
    {
        for (int i = 0; i < 20; i++)
            new WavAudio(8000, 1, [0.1f * (i % 5), 0.2f]).Save(MakeIn("pattern", $"{i % 2}_x_{i}.wav"));
        SequenceOptions options = Plain with { TestPattern = @"_1?[01]\.wav$" };
        var data = new LabeledData("audio", SequenceSet.Read(folder.In("pattern"), options), options, 1);
        Assert.That(data.Split.Indices(DataPart.Test).Select(i => data.Set.Examples[i].Id),
            Is.EquivalentTo(new[] { "0_x_0.wav", "1_x_1.wav", "0_x_10.wav", "1_x_11.wav" }));
        Assert.That(data.Split.Indices(DataPart.Validation), Has.Count.EqualTo(4).Or.Count.EqualTo(3));
        Assert.That(DataFolder.Refused(() => _ = new LabeledData("audio", data.Set, options with { TestPattern = "nothing" }, 1)),
            Does.Contain("none of the 20 names"));
    }

    [Test]
    public void A_label_of_the_test_part_alone_is_refused_with_its_line()
    {
        SequenceOptions options = Plain with { SplitColumn = "part" };
        string file = folder.Write("alone.csv", "seq,label,part\nA,x,train\nC,y,train\nG,z,test\n");
        var data = new LabeledData("classify", SequenceSet.Read(file, options), options, 1);
        Assert.That(DataFolder.Refused(data.Prepare),
            Does.EndWith("alone.csv: line 4: the label 'z' is only in the test part; no example of it is trained on."));
    }

    [Test]
    public void Another_seed_is_another_split_unless_the_split_has_its_own()
    {
        int[] Test(ulong seed, ulong? own = null) => [.. Data(options: Plain with { SplitSeed = own }, seed: seed).Split.Indices(DataPart.Test)];
        int[] first = Test(1), again = Test(1);
        Assert.That(again, Is.EqualTo(first).And.Not.EqualTo(Test(2)));
        Assert.That(Test(1, own: 5), Is.EqualTo(Test(2, own: 5)));
    }

    [Test]
    public void A_run_goes_on_with_the_split_it_began_with_and_notices_other_data()
    {
        string file = folder.Write("run.csv", Csv(30)), path = folder.In("run");
        TrainOptions options = TrainingTask.Named("classify").Preset() with { Data = file, Steps = 2, Sequence = Plain, Seed = 4 };
        MambaConfig config = TrainingTask.Named("classify").ModelOf!(options) with { DModel = 4, NLayer = 1 };
        var run = new RunFolder(path);
        run.Create(config, options);
        using (var trainer = new Trainer(options, config, Cpu))
        {
            // the split that is in the folder counts, not the one that the seed would give
            var data = (LabeledData)trainer.Data;
            DataSplit other = DataSplit.BySeed(data.Ids, seed: 99, 0.3, 0.3);
            other.Save(run.Split);
            using var training = new TrainingRun(run, trainer);
            Assert.That(data.Split.Indices(DataPart.Test), Is.EqualTo(other.Indices(DataPart.Test)));
            training.Run(_ => { }, CancellationToken.None);
            Assert.That(((LabeledData)run.OpenData()).Split.Indices(DataPart.Test), Is.EqualTo(other.Indices(DataPart.Test)));
        }
        folder.Write("run.csv", Csv(30, seed: 2));
        Assert.That(DataFolder.Refused(() => run.OpenData()), Does.Contain("split.csv"));
    }

    // ---- batches ---------------------------------------------------------------------------------

    [Test]
    public void Each_example_comes_once_in_an_epoch_and_in_another_order_in_the_next()
    {
        LabeledData data = Data();
        int[] train = [.. data.Split.Indices(DataPart.Train)];
        int[] Epoch(ulong seed, int epoch) =>
            [.. Enumerable.Range(0, train.Length).Select(i => ((SequenceBatch)data.BatchOf(seed, epoch * train.Length + i, new Stage(100, 1, 1))).Examples[0])];
        Assert.That(Epoch(1, 0), Is.EquivalentTo(train));
        Assert.That(Epoch(1, 1), Is.EquivalentTo(train).And.Not.EqualTo(Epoch(1, 0)));
        int[] first = Epoch(1, 0), again = Epoch(1, 0);
        Assert.That(again, Is.EqualTo(first).And.Not.EqualTo(Epoch(2, 0)));
    }

    [Test]
    public void The_loss_of_a_batch_is_the_mean_of_its_examples_alone([Values] bool bidirectional, [Values(7, 1000)] int longest)
    {
        LabeledData data = Data(options: Plain with { Bidirectional = bidirectional ? "untied" : null });
        using var model = new SequenceModel(data.ModelOf(Sizes), Cpu, seed: 1, DType.Float64);
        Batch batch = data.BatchOf(1, 0, new Stage(longest, 5, 1));
        using var scope = new TensorScope();
        double together = data.LossOf(model, batch).Loss.Item(), alone = 0;
        foreach (int i in ((SequenceBatch)batch).Examples)
        {
            SequenceExample example = data.Set.Examples[i];
            int[] tokens = [.. example.Tokens!.Take(longest).Select(token => (int)token)];
            Tensor scores = model.Forward(Tensor.From(tokens, (1, tokens.Length), Cpu));
            alone += Ops.CrossEntropy(scores, Tensor.From([example.Label], 1, Cpu)).Item() / 5;
        }
        Assert.That(together, Is.EqualTo(alone).Within(1e-12));
        Assert.That(batch.Positions, Is.EqualTo(((SequenceBatch)batch).Examples.Sum(i => Math.Min(longest, data.Set.Examples[i].Tokens!.Length))));
    }

    [Test]
    public void Numbers_are_standardized_by_those_that_are_trained_on_alone()
    {
        SequenceOptions options = Plain with { Alphabet = "numbers", SplitColumn = "part", Patch = 2 };
        string file = folder.Write("scale.csv", "seq,label,part\n1 3,a,train\n5 7,b,train\n1000 9,a,test\n");
        var data = new LabeledData("classify", SequenceSet.Read(file, options), options, 1);
        InputConfig input = data.ModelOf(Sizes).Input!;
        Assert.That((input.Mean![0], input.Deviation![0], input.Patch), Is.EqualTo((4.0, Math.Sqrt(5), 2)));
    }

    // ---- what a model says -----------------------------------------------------------------------

    [Test]
    public void Predictions_are_those_of_each_sequence_alone_in_the_order_of_the_file([Values] bool numbers)
    {
        SequenceOptions options = numbers ? Plain with { Alphabet = "numbers", Patch = 3 } : Plain;
        var random = new Random(1);
        IEnumerable<string> rows = Enumerable.Range(0, 11)
            .Select(i => $"{string.Join(' ', Enumerable.Range(0, 1 + random.Next(9)).Select(_ => random.Next(9)))},{i % 2}");
        string values = $"seq,label\n{string.Join('\n', rows)}\n";
        string file = folder.Write("said.csv", numbers ? values : Csv(11));
        SequenceSet set = SequenceSet.Read(file, options);
        var data = new LabeledData("classify", set, options, 1);
        using var model = new SequenceModel(data.ModelOf(Sizes), Cpu, seed: 1, DType.Float64);
        Prediction[] all = data.Predict(model);
        Assert.That(all.Select(p => p.Id), Is.EqualTo(set.Examples.Select(one => one.Id)));
        foreach ((SequenceExample example, Prediction said) in set.Examples.Zip(all))
        {
            using var scope = new TensorScope();
            int length = example.Tokens?.Length ?? (example.Values!.Length + 2) / 3 * 3;
            Tensor x = numbers
                ? Tensor.From([.. Enumerable.Range(0, length).Select(t => t < example.Values!.Length ? (double)example.Values[t] : 0)], (1, length, 1), Cpu)
                : Tensor.From([.. example.Tokens!.Select(token => (int)token)], (1, length), Cpu);
            Segments? one = numbers ? Segments.Padded([example.Values!.Length]) : null;
            double[] alone = Ops.LogSoftmax(model.Forward(x, one)).ToDoubles();
            Assert.That(TestData.RelativeError(said.Values, alone), Is.LessThan(1e-12));
            Assert.That(said.Values.Sum(Math.Exp), Is.EqualTo(1).Within(1e-12));
        }
    }

    [Test]
    public void A_sequence_longer_than_a_piece_is_read_in_pieces_and_said_the_same_of()
    {
        var random = new Random(1);
        string Long() => string.Concat(Enumerable.Range(0, 40_001).Select(_ => "ACGT"[random.Next(4)]));
        SequenceSet set = SequenceSet.Read(folder.Write("long.csv", $"seq,label\n{Long()},a\n{Long()},b\nACGT,a\n"), Plain);
        var data = LabeledData.ToPredict("classify", set, Plain);
        using var model = new SequenceModel(new LabeledData("classify", set, Plain, 1).ModelOf(Sizes), Cpu, seed: 1, DType.Float64);
        Prediction[] said = data.Predict(model);
        using var scope = new TensorScope();
        double[] whole = Ops.LogSoftmax(model.Forward(Tensor.From([.. set.Examples[1].Tokens!.Select(t => (int)t)], (1, 40_001), Cpu))).ToDoubles();
        Assert.That(TestData.RelativeError(said[1].Values, whole), Is.LessThan(1e-12));
    }

    [Test]
    public void New_data_need_no_labels_but_those_that_they_have_must_be_known()
    {
        SequenceSet set = SequenceSet.Read(folder.Write("new.csv", "seq\nACGT\nTT\n"), Plain, ["a", "b"]);
        Assert.That(set.Examples.Select(one => one.Label), Is.All.EqualTo(-1));
        Assert.That(set.Classes, Is.EqualTo(new[] { "a", "b" }));
        Assert.That(DataFolder.Refused(() => SequenceSet.Read(folder.Write("new2.csv", "seq,label\nACGT,c\n"), Plain, ["a", "b"])),
            Does.Contain("line 2: the label 'c' is none of the model's: a, b"));
    }

    [Test]
    public void A_language_model_is_refused()
    {
        LabeledData data = Data();
        using var model = new MambaLM(Sizes with { VocabSize = 5 }, Cpu);
        Assert.That(DataFolder.Refused(() => data.LossOf(model, data.BatchOf(1, 0, new Stage(9, 2, 1)))), Does.Contain("language model"));
    }

    [TestCase("a,c", "tells a, c apart")]
    [TestCase("b,a", "tells b, a apart")]
    [TestCase("a,b,c", "tells a, b, c apart")]
    public void A_model_of_other_classes_is_refused(string labels, string expected)
    {
        LabeledData data = Data();
        string[] names = labels.Split(',');
        MambaConfig config = data.ModelOf(Sizes);
        using var model = new SequenceModel(config with { Head = config.Head! with { Labels = names, Outputs = names.Length } }, Cpu);
        Assert.That(DataFolder.Refused(() => data.Predict(model)), Does.Contain(expected).And.Contain("has a, b"));
        using var regression = new SequenceModel(config with { Head = new HeadConfig { Kind = HeadConfig.Regression } }, Cpu);
        Assert.That(DataFolder.Refused(() => data.Predict(regression)), Does.Contain("has a head for regression"));
    }

    [TestCase(0.5, 0.5)]
    [TestCase(-0.1, 0.1)]
    [TestCase(0.1, double.NaN)]
    public void Parts_that_leave_nothing_to_train_on_are_refused(double validation, double test) =>
        Assert.That(DataFolder.Refused(() => Data(options: Plain with { Validation = validation, Test = test })), Does.Contain("together below 1"));
}
