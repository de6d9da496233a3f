using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>Falcon-Mamba's block: Mamba-1's with dt, B and C normed, each v / √(mean(v²) + ε), before dt_proj and the scan.</summary>
public class FalconMambaTests
{
    /// <summary>The same by the formula, op by op.</summary>
    sealed class Plain(MambaConfig config, double epsilon) : MambaBlock(config)
    {
        protected override (Tensor Dt, Tensor B, Tensor C) Refine(Tensor dt, Tensor B, Tensor C) => (Norm(dt), Norm(B), Norm(C));

        Tensor Norm(Tensor v) => v / (v.Square().Mean(-1, keepDim: true) + epsilon).Sqrt();
    }

    [Test]
    public void The_block_norms_what_x_proj_gives([Values(1e-6, 0.5)] double epsilon, [Values(1, 2, 3)] int rank, [Values(1, 4)] int states)
    {
        using Device device = Device.Open("cpu");
        var ssm = new SsmConfig { DState = states, DtRank = rank, DtMin = 0.5, DtMax = 1 };
        var config = new MambaConfig { DModel = 6, NLayer = 1, VocabSize = 5, SsmCfg = ssm with { MixerRmsEps = epsilon } };
        var block = new MambaBlock(config);
        var plain = new Plain(config with { SsmCfg = ssm }, epsilon);
        var without = new MambaBlock(config with { SsmCfg = ssm });
        using ParameterSet values = block.Initialize(device, DType.Float64, seed: 4), same = plain.Initialize(device, DType.Float64, seed: 4);
        using ParameterSet others = without.Initialize(device, DType.Float64, seed: 4);
        using var scope = new TensorScope();
        Tensor hidden = TestData.Random((2, 5, 6), DType.Float64, device, seed: 1);
        double[] expected = plain.Forward(hidden).ToDoubles();
        Assert.That(TestData.RelativeError(block.Forward(hidden).ToDoubles(), expected), Is.LessThan(1e-13));
        Assert.That(TestData.RelativeError(without.Forward(hidden).ToDoubles(), expected), Is.GreaterThan(1e-4));
    }
}
