namespace Mamba.Examples;

/// <summary>The state of a model: what it knows of the tokens so far. Cloned to try two continuations, saved, loaded into another process.</summary>
public static class States
{
    public static void Run(Device device)
    {
        using var model = new MambaLM(new MambaConfig { DModel = 16, NLayer = 2, VocabSize = 8 }, device, seed: 1);
        using MambaState state = model.NewState(1);
        using var scope = new TensorScope();
        model.Forward(Tensor.From([1, 5, 2], (1, 3), device), state);

        using MambaState other = state.Clone();
        Tensor a = model.Step(Tensor.From([3], device), state), b = model.Step(Tensor.From([4], device), other);
        Console.WriteLine($"two continuations differ by {(a - b).Abs().Max(-1).Item():0.000}");

        string path = Path.Combine(Path.GetTempPath(), $"mamba-state-{Environment.ProcessId}.safetensors");
        state.Save(path);
        other.Load(path);
        File.Delete(path);
        long position = other.Position;
        Tensor token = Tensor.From([6], device);
        Tensor difference = (model.Step(token, state) - model.Step(token, other)).Abs();
        Console.WriteLine($"loaded at position {position}; the next logits differ by {difference.Max(-1).Item()}");
    }
}
