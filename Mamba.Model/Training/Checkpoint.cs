using System.Text.Json;

namespace Mamba;

/// <summary>
/// Everything that resuming needs in one file, so that no two parts of it can be of different steps: weights under their
/// official names, the optimizer's moments under <c>adam.m.</c> and <c>adam.v.</c> and those names, and the
/// <see cref="TrainState"/> as metadata. It replaces the one before in a single rename.
/// </summary>
internal static class Checkpoint
{
    const string Format = "mamba-checkpoint", State = "state", Carried = "carried.";

    static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, AllowDuplicateProperties = false };

    public static void Save(string path, Trainer trainer)
    {
        var writer = new SafetensorsWriter { Metadata = { ["format"] = Format, [State] = JsonSerializer.Serialize(trainer.State, Json) } };
        foreach ((string name, Tensor tensor) in Tensors(trainer))
            writer.Add(name, tensor);
        writer.Save(path);
    }

    /// <summary>Puts the trainer where the checkpoint was made; leaves it as it is when the checkpoint is not its own.</summary>
    public static void Load(string path, Trainer trainer)
    {
        using Safetensors file = Safetensors.Open(path);
        if (file.Metadata.GetValueOrDefault("format") != Format || !file.Metadata.TryGetValue(State, out string? json))
            throw new MambaException($"{path}: this is not a checkpoint of a training.");
        using WeightFiles all = WeightFiles.Open(path);
        Shape? carried = all.Tensors.FirstOrDefault(tensor => tensor.Name.StartsWith(Carried, StringComparison.Ordinal))?.Shape;
        if (trainer.Data.CarriesState && carried is { Rank: > 0 } shape)
            trainer.Carried = trainer.Network.NewState(shape[0]);
        (string Name, Tensor Tensor)[] tensors = [.. Tensors(trainer)];
        all.Expect(tensors.Select(t => (t.Name, t.Tensor.Shape)), Whose);
        string type = trainer.Options.DType == DType.Float64 ? "F64" : "F32";
        foreach (SafetensorsEntry entry in file.Entries)
            if (entry.Type != type)
                throw new MambaException($"{path}: {Safetensors.Quote(entry.Name)} is {entry.Type}; a training in {trainer.Options.Dtype} needs {type}.");
        TrainState state = ReadState(path, json, trainer.Options);
        double[][] values = [.. tensors.Select(t => file.ReadDoubles(t.Name))];
        for (int i = 0; i < values.Length; i++)
            tensors[i].Tensor.WriteRounded(values[i]);
        trainer.Optimizer.StepCount = state.Step;
        trainer.State = state;
    }

    /// <summary>Throws one clear line unless the file holds these weights, before there is a trainer to load it.</summary>
    public static void ExpectParameters(string path, IReadOnlyList<Parameter> parameters)
    {
        using WeightFiles file = WeightFiles.Open(path);
        IEnumerable<(string, Shape)> carried = file.Tensors.Where(e => e.Name.StartsWith(Carried, StringComparison.Ordinal)).Select(e => (e.Name, e.Shape));
        file.Expect(parameters.SelectMany(p => AdamW.MomentShapes(p).Prepend((p.Name, p.Shape))).Concat(carried), Whose);
    }

    const string Whose = "the model that config.json describes";

    static TrainState ReadState(string path, string json, TrainOptions options)
    {
        try
        {
            TrainState state = JsonSerializer.Deserialize<TrainState>(json, Json) ?? throw new JsonException("it is null");
            bool steps = state.Step >= 0 && state.StageStep >= 0 && state.StageStep <= state.Step;
            bool stages = state.Stage >= 0 && state.Stage <= options.Stages.Count;
            return steps && stages && state.Tokens >= 0 && state.Accuracy is >= 0 and <= 1
                ? state
                : throw new JsonException("a count in it makes no sense");
        }
        catch (Exception e) when (JsonText.IsMalformed(e))
        {
            throw new MambaException($"{path}: the state of the training cannot be read: {InputFile.Sentence(e)}", e);
        }
    }

    /// <summary>What it holds: each weight and its two moments, and the state that the next batch goes on from.</summary>
    internal static IEnumerable<(string Name, Tensor Tensor)> Tensors(Trainer trainer) =>
        trainer.Network.Parameters.SelectMany(parameter => trainer.Optimizer.NamedMoments(parameter).Prepend((parameter.Name, parameter.Value)))
            .Concat(trainer.Carried?.Named().Select(tensor => (Carried + tensor.Name, tensor.Tensor.Value)) ?? []);
}
