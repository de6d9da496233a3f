using System.Text.Json;
using NUnit.Framework;

namespace Mamba.Tests;

public class MambaConfigTests
{
    static readonly MambaConfig Small = new() { DModel = 24, NLayer = 2, VocabSize = 50 };

    [Test]
    public void An_official_file_is_read_as_it_is_meant()
    {
        MambaConfig config = MambaConfig.FromJson(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Fixtures", "lm", "config.json")));
        Assert.Multiple(() =>
        {
            Assert.That((config.DModel, config.NLayer, config.VocabSize, config.PaddedVocabSize), Is.EqualTo((64, 2, 93, 96)));
            Assert.That((config.RmsNorm, config.ResidualInFp32, config.FusedAddNorm, config.TieEmbeddings), Is.EqualTo((true, true, true, true)));
            Assert.That(config.SsmCfg, Is.EqualTo(new SsmConfig()));
            Assert.That((config.DInner, config.DtRank), Is.EqualTo((128, 4)));
        });
    }

    [Test]
    public void What_a_file_lacks_has_the_official_default()
    {
        MambaConfig config = MambaConfig.FromJson("""{ "d_model": 24, "n_layer": 2 }""");
        Assert.Multiple(() =>
        {
            Assert.That((config.DModel, config.DIntermediate, config.NLayer, config.VocabSize, config.PadVocabSizeMultiple), Is.EqualTo((24, 0, 2, 50277, 8)));
            Assert.That((config.RmsNorm, config.ResidualInFp32, config.FusedAddNorm, config.TieEmbeddings, config.NormEpsilon),
                Is.EqualTo((true, true, true, true, 1e-5)));
            Assert.That(config.AttnLayerIdx, Is.Empty);
            SsmConfig ssm = config.SsmCfg;
            Assert.That((ssm.DState, ssm.DConv, ssm.Expand, ssm.DtRank, ssm.ConvBias, ssm.Bias), Is.EqualTo((16, 4, 2, (int?)null, true, false)));
            Assert.That((ssm.DtMin, ssm.DtMax, ssm.DtInit, ssm.DtScale, ssm.DtInitFloor), Is.EqualTo((0.001, 0.1, "random", 1.0, 1e-4)));
        });
    }

    [Test]
    public void Every_field_survives_json()
    {
        var config = new MambaConfig
        {
            DModel = 10,
            NLayer = 3,
            VocabSize = 77,
            RmsNorm = false,
            ResidualInFp32 = false,
            FusedAddNorm = false,
            PadVocabSizeMultiple = 16,
            TieEmbeddings = false,
            NormEpsilon = 1e-6,
            SsmCfg = new SsmConfig
            {
                DState = 5,
                DConv = 3,
                Expand = 3,
                DtRank = 7,
                DtMin = 0.01,
                DtMax = 0.2,
                DtInit = "constant",
                DtScale = 0.5,
                DtInitFloor = 1e-3,
                ConvBias = false,
                Bias = true,
            },
        };
        MambaConfig read = MambaConfig.FromJson(config.ToJson());
        Assert.That(read with { AttnLayerIdx = config.AttnLayerIdx }, Is.EqualTo(config));
        Assert.That(read.ToJson(), Is.EqualTo(config.ToJson()));
        using JsonDocument json = JsonDocument.Parse(config.ToJson());
        Assert.That(json.RootElement.EnumerateObject().Select(p => p.Name), Is.EquivalentTo(new[]
        {
            "d_model", "d_intermediate", "n_layer", "vocab_size", "ssm_cfg", "attn_layer_idx", "rms_norm", "residual_in_fp32",
            "fused_add_norm", "pad_vocab_size_multiple", "tie_embeddings", "norm_epsilon",
        }));
        Assert.That(json.RootElement.GetProperty("ssm_cfg").EnumerateObject().Select(p => p.Name), Is.EquivalentTo(new[]
        {
            "layer", "d_state", "d_conv", "expand", "dt_rank", "dt_min", "dt_max", "dt_init", "dt_scale", "dt_init_floor", "conv_bias", "bias",
        }));
    }

    [TestCase("\"auto\"", null, 2)]
    [TestCase("null", null, 2)]
    [TestCase("3", 3, 3)]
    public void The_rank_is_a_number_or_auto(string json, int? rank, int effective)
    {
        MambaConfig config = MambaConfig.FromJson($$"""{ "d_model": 24, "n_layer": 1, "vocab_size": 9, "ssm_cfg": { "dt_rank": {{json}} } }""");
        Assert.That((config.SsmCfg.DtRank, config.DtRank), Is.EqualTo((rank, effective)));
        Assert.That(MambaConfig.FromJson(config.ToJson()).SsmCfg, Is.EqualTo(config.SsmCfg));
        if (rank is null)
            Assert.That(config.ToJson(), Does.Contain("\"dt_rank\": \"auto\""));
    }

    [Test]
    public void Fields_nobody_knows_are_passed_over() =>
        Assert.That(MambaConfig.FromJson("""
            { "d_model": 24, "attn_cfg": {}, "model_type": "mamba", "ssm_cfg": { "layer": "Mamba1", "use_fast_path": true } }
            """).DModel, Is.EqualTo(24));

    [TestCase(1, 1)]
    [TestCase(16, 1)]
    [TestCase(17, 2)]
    [TestCase(768, 48)]
    public void The_automatic_rank_is_a_sixteenth_of_the_width_rounded_up(int dModel, int rank) =>
        Assert.That((Small with { DModel = dModel }).DtRank, Is.EqualTo(rank));

    [TestCase(50277, 8, 50280)]
    [TestCase(16, 8, 16)]
    [TestCase(1, 8, 8)]
    [TestCase(10, 1, 10)]
    public void The_vocabulary_is_padded(int size, int multiple, int padded) =>
        Assert.That((Small with { VocabSize = size, PadVocabSizeMultiple = multiple }).PaddedVocabSize, Is.EqualTo(padded));

    static IEnumerable<TestCaseData> Wrong()
    {
        TestCaseData Case(MambaConfig config, string message) => new TestCaseData(config, message).SetArgDisplayNames(message);
        SsmConfig ssm = new();
        yield return Case(Small with { DModel = 0 }, "MambaConfig: d_model is 0; expected 1 or more.");
        yield return Case(Small with { DModel = -3 }, "MambaConfig: d_model is -3; expected 1 or more.");
        yield return Case(Small with { NLayer = 0 }, "MambaConfig: n_layer is 0; expected 1 or more.");
        yield return Case(Small with { VocabSize = 0 }, "MambaConfig: vocab_size is 0; expected 1 or more.");
        yield return Case(Small with { PadVocabSizeMultiple = 0 }, "MambaConfig: pad_vocab_size_multiple is 0; expected 1 or more.");
        yield return Case(Small with { DIntermediate = -1 }, "MambaConfig: d_intermediate is -1; expected 0 to 1073741695.");
        yield return Case(Small with { AttnLayerIdx = [1, 3] }, "MambaConfig: attn_layer_idx is [1, 3]; attention layers are not implemented, expected [].");
        yield return Case(Small with { SsmCfg = ssm with { Expand = 0 } }, "MambaConfig: expand is 0; expected 1 or more.");
        yield return Case(Small with { SsmCfg = ssm with { DtRank = 0 } }, "MambaConfig: dt_rank is 0; expected 1 or more.");
        yield return Case(Small with { SsmCfg = ssm with { DState = 0 } }, "MambaConfig: d_state is 0; expected 1 to 256.");
        yield return Case(Small with { SsmCfg = ssm with { DState = 257 } }, "MambaConfig: d_state is 257; expected 1 to 256.");
        yield return Case(Small with { SsmCfg = ssm with { DConv = 0 } }, "MambaConfig: d_conv is 0; expected 1 to 8.");
        yield return Case(Small with { SsmCfg = ssm with { DConv = 9 } }, "MambaConfig: d_conv is 9; expected 1 to 8.");
        yield return Case(Small with { SsmCfg = ssm with { DtInit = "zero" } }, "MambaConfig: dt_init is 'zero'; expected 'random' or 'constant'.");
        yield return Case(Small with { SsmCfg = ssm with { DtMin = 0 } }, "MambaConfig: dt_min is 0 and dt_max 0.1; expected 0 < dt_min <= dt_max.");
        yield return Case(Small with { SsmCfg = ssm with { DtMin = 0.2 } }, "MambaConfig: dt_min is 0.2 and dt_max 0.1; expected 0 < dt_min <= dt_max.");
        yield return Case(Small with { SsmCfg = ssm with { DtMax = double.NaN } },
            "MambaConfig: dt_min is 0.001 and dt_max NaN; expected 0 < dt_min <= dt_max.");
    }

    [TestCaseSource(nameof(Wrong))]
    public void What_no_model_can_be_is_one_clear_line(MambaConfig config, string message)
    {
        Assert.That(config.Validate, Throws.TypeOf<MambaException>().With.Message.EqualTo(message));
        Assert.That(() => new MambaLM(config, TestDevices.Open("cpu")),
            Throws.TypeOf<MambaException>().With.Message.EqualTo(message), "before anything is allocated");
    }

    [TestCase("")]
    [TestCase("{")]
    [TestCase("null")]
    [TestCase("[]")]
    [TestCase("{ \"d_model\": \"wide\" }")]
    [TestCase("{ \"d_model\": 1.5 }")]
    [TestCase("{ \"d_model\": 99999999999 }")]
    [TestCase("{ \"d_model\": 0 }")]
    [TestCase("{ \"ssm_cfg\": null }")]
    [TestCase("{ \"attn_layer_idx\": null }")]
    [TestCase("{ \"ssm_cfg\": { \"layer\": null } }")]
    [TestCase("{ \"ssm_cfg\": { \"dt_rank\": \"some\" } }")]
    [TestCase("{ \"ssm_cfg\": { \"dt_rank\": 1.5 } }")]
    [TestCase("{ \"ssm_cfg\": { \"dt_rank\": [] } }")]
    [TestCase("{ \"ssm_cfg\": { \"d_state\": 999 } }")]
    public void A_file_that_is_wrong_is_one_clear_line(string json) =>
        Assert.That(() => MambaConfig.FromJson(json), Throws.TypeOf<MambaException>().With.Message.StartsWith("MambaConfig: ").And.Message.Not.Contains("\n"));
}
