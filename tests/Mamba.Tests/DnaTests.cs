using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>DNA as text: <see cref="TextData.OfDna"/>, its letters, and windows read in pieces.</summary>
public class DnaTests
{
    static readonly MambaConfig Tiny = new() { DModel = 6, NLayer = 2, VocabSize = 5, SsmCfg = new SsmConfig { DState = 2 } };

    readonly DataFolder folder = new();

    [OneTimeTearDown]
    public void DeleteFolder() => folder.Dispose();

    string Fasta(int bases)
    {
        var random = new Random(1);
        return folder.Write("some.fa", $">a\n{string.Concat(Enumerable.Range(0, bases).Select(_ => "ACGT"[random.Next(4)]))}\n");
    }

    [Test]
    public void Each_base_is_a_token_and_a_byte()
    {
        using TextData data = TextData.OfDna(Fasta(200));
        data.Prepare();
        Assert.That((data.Name, data.VocabSize), Is.EqualTo(("dna", 5)));
        using var model = new MambaLM(Tiny, TestDevices.Open("cpu"), seed: 1);
        Perplexity held = data.Validate(model, 8)!;
        Assert.That((held.Tokens, held.Bytes), Is.EqualTo((19L, 19L)));
        Assert.That(held.BitsPerByte, Is.EqualTo(held.NatsPerToken / Math.Log(2)).Within(1e-12));
    }

    [TestCase(4, 2, 1)]
    [TestCase(8, 4, 3)]
    [TestCase(12, 3, 2)]
    public void A_window_is_read_piece_by_piece_and_begins_with_its_first(int context, int length, int b)
    {
        using TextData pieces = TextData.OfDna(Fasta(203), context: context), whole = TextData.OfDna(Fasta(203));
        Assert.That((pieces.CarriesState, whole.CarriesState), Is.EqualTo((true, false)));
        int n = context / length;
        for (int window = 0; window < 40; window++)         // over the end of an epoch
        {
            Batch all = whole.BatchOf(7, window, new Stage(context, b, 1));
            Batch[] parts = [.. Enumerable.Range(0, n).Select(i => pieces.BatchOf(7, window * n + i, new Stage(length, b, 1)))];
            Assert.That(parts.Select(part => part.Begins), Is.EqualTo(Enumerable.Range(0, n).Select(i => i == 0)));
            for (int row = 0; row < b; row++)
            {
                Assert.That(parts.SelectMany(part => part.Tokens.Skip(row * length).Take(length)), Is.EqualTo(all.Tokens.Skip(row * context).Take(context)));
                Assert.That(parts.SelectMany(part => part.Targets.Skip(row * length).Take(length)), Is.EqualTo(all.Targets.Skip(row * context).Take(context)));
            }
        }
    }

    [Test]
    public void The_losses_of_the_pieces_are_that_of_the_window()
    {
        TrainOptions options = TextData.Dna.Preset() with
        {
            Data = Fasta(300),
            Context = 12,
            Stages = [new Stage(4, 2, 6)],
            Dtype = "float64",
            LearningRate = 1e-300,              // the weights stay
            WeightDecay = 0,
            EvalEvery = 0,
        };
        using var trainer = new Trainer(options, Tiny, TestDevices.Open("cpu"));
        using TextData whole = TextData.OfDna(options.Data!);
        for (int window = 0; window < 2; window++)
        {
            double pieces = Enumerable.Range(0, 3).Average(_ => trainer.Step().Loss);
            using var scope = new TensorScope();
            Assert.That(whole.LossOf(trainer.Model, whole.BatchOf(options.Seed, window, new Stage(12, 2, 1))).Loss.Item(), Is.EqualTo(pieces).Within(1e-12));
        }
    }

    [Test]
    public void A_new_stage_begins_from_nothing()
    {
        TrainOptions options = TextData.Dna.Preset() with
        {
            Data = Fasta(300),
            Context = 12,
            Stages = [new Stage(4, 2, 2), new Stage(4, 2, 2)],          // two of three pieces, and then another stage
            Dtype = "float64",
            LearningRate = 1e-300,
            WeightDecay = 0,
            EvalEvery = 0,
        };
        using var trainer = new Trainer(options, Tiny, TestDevices.Open("cpu"));
        trainer.Step();
        trainer.Step();
        Batch third = trainer.Data.BatchOf(options.Seed, 2, options.Stages[1]);
        double loss = trainer.Step().Loss;
        using var scope = new TensorScope();
        Assert.That(loss, Is.EqualTo(trainer.Data.LossOf(trainer.Network, third).Loss.Item()).Within(1e-12));
    }

    [TestCase(10, 4, false, "context is 10; expected a multiple of the length, 4")]
    [TestCase(0, 4, false, "context is 0")]
    [TestCase(8, 4, true, "context and tbptt")]
    public void A_context_that_pieces_do_not_fill_is_refused(int context, int length, bool tbptt, string expected)
    {
        TrainOptions options = TextData.Dna.Preset() with { Data = Fasta(100), Context = context, Tbptt = tbptt, Stages = [new Stage(length, 1, 1)] };
        Assert.That(DataFolder.Refused(() => options.Validate(Tiny)), Does.Contain(expected));
    }

    [Test]
    public void Held_out_windows_are_as_long_as_the_context()
    {
        using TextData data = TextData.OfDna(Fasta(400), context: 16), plain = TextData.OfDna(Fasta(400));
        using var model = new MambaLM(Tiny, TestDevices.Open("cpu"), seed: 1);
        Assert.That(data.Validate(model, 4)!.Nats, Is.EqualTo(plain.Validate(model, 16)!.Nats).And.Not.EqualTo(plain.Validate(model, 4)!.Nats));
        Assert.That(data.Validate(model, null)!.Nats, Is.EqualTo(plain.Validate(model, null)!.Nats));
    }

    [Test]
    public void Letters_are_tokens_and_back()
    {
        Tokenizer tokenizer = Tokenizer.Open("dna");
        Assert.That(tokenizer.Encode("AcgT\n N"), Is.EqualTo(new[] { 0, 1, 2, 3, 4 }));
        Assert.That(tokenizer.Decode([3, 2, 1, 0, 4, 5]), Is.EqualTo("TGCAN"));
        Assert.That(tokenizer.VocabSize, Is.EqualTo(5));
        Assert.That(DataFolder.Refused(() => tokenizer.Encode("AC!")), Does.Contain("'!', letter 3 of the text"));
    }
}
