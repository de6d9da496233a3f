namespace Mamba.Examples;

/// <summary>Parameters of your own: made, set, frozen, grouped, saved and loaded, from a class that derives from nothing.</summary>
public sealed class OwnParameters : IDisposable
{
    readonly Parameter weight = new("projection.weight", (3, 2), initial: Initial.Normal(0.5));
    readonly Parameter bias = new("projection.bias", 3, decay: false);

    OwnParameters(Device device) => Parameters = new ParameterSet([weight, bias], DType.Float64, device, seed: 1);

    public ParameterSet Parameters { get; }

    Tensor Forward(Tensor x) => Ops.Linear(x, weight, bias);

    public void Dispose() => Parameters.Dispose();

    public static void Run(Device device)
    {
        using var scope = new TensorScope();
        using var mine = new OwnParameters(device);
        Console.WriteLine($"drawn:  {mine.weight.Value}");

        // setting, in three ways
        mine.weight.Value = Ops.Normal((3, 2), DType.Float64, device, 7);
        mine.weight.Value.Write<double>([1, 2, 3, 4, 5, 6]);
        mine.bias.Value.Fill(0.5);

        // freezing, and a learning rate and decay by group
        mine.bias.RequiresGrad = false;
        var slow = new ParameterGroup([mine.weight]) { Rate = 0.1, WeightDecay = 0 };
        using var optimizer = new AdamW([slow, new ParameterGroup([mine.bias])], learningRate: 0.01);
        using (var tape = new Tape())
        {
            Gradients gradients = tape.Backward(mine.Forward(Tensor.From(new double[,] { { 1, -1 } }, device)).Square().Sum());
            Console.WriteLine($"weight has a gradient: {gradients.Contains(mine.weight)}; bias: {gradients.Contains(mine.bias)}");
            optimizer.Step(gradients);
        }
        Console.WriteLine($"after a step of 0.001: {mine.weight.Value}");
        Console.WriteLine($"frozen:                {mine.bias.Value}");

        // saving and loading under the names they have
        string folder = Directory.CreateTempSubdirectory("mamba-").FullName;
        string weights = Path.Combine(folder, "mine.safetensors"), moments = Path.Combine(folder, "adam.safetensors");
        Weights.Save(weights, mine.Parameters);
        optimizer.Save(moments);
        mine.weight.Value.Fill(0);
        Weights.Load(weights, mine.Parameters);
        optimizer.Load(moments);
        Console.WriteLine($"loaded again:          {mine.weight.Value}");
        Directory.Delete(folder, recursive: true);
    }
}
