namespace Mamba.Examples;

/// <summary>The library's block, backbone and layers by themselves, over vectors instead of tokens.</summary>
public static class BlocksAlone
{
    public static void Run(Device device)
    {
        using var scope = new TensorScope();
        var config = new MambaConfig { DModel = 16, NLayer = 2, DIntermediate = 64 };
        Tensor x = Ops.Normal((2, 5, 16), DType.Float32, device, 1);                    // (b, l, d_model)

        var block = new MambaBlock(config);
        using ParameterSet ofBlock = block.Initialize(device, seed: 1);
        Console.WriteLine($"block:    {string.Join(", ", block.Parameters.Select(p => p.Name))}");
        Console.WriteLine($"          {x.Shape} → {block.Forward(x).Shape}");

        // one position at a time gives the same
        using MambaBlockState state = block.NewState(2, DType.Float32, device);
        Tensor last = x;
        for (int t = 0; t < 5; t++)
            last = block.Step(x[.., t], state);
        Console.WriteLine($"          largest difference of the last step: {(last - block.Forward(x)[.., ^1]).Abs().Max(0).Max(0).Item():0.0e0}");

        var backbone = new MambaBackbone(config);                                       // with an MLP after each block
        using ParameterSet ofBackbone = backbone.Initialize(device, seed: 1);
        Console.WriteLine($"backbone: {ofBackbone.Count} parameters, {x.Shape} → {backbone.Forward(x).Shape}");

        var head = new Linear(16, 3);
        using ParameterSet ofHead = head.Initialize(device, seed: 2);
        Console.WriteLine($"head:     {head.Forward(backbone.Forward(x).Mean(1)).Shape}");
    }
}
