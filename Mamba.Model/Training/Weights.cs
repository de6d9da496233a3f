namespace Mamba;

/// <summary>A model's weights in a safetensors file, under their official names.</summary>
public static class Weights
{
    const string TiedHead = "lm_head.weight", Embedding = "backbone.embedding.weight";

    /// <summary>Writes all weights. A tied head is written too, as the official code expects to find it.</summary>
    public static void Save(string path, MambaLM model, long? step = null)
    {
        var writer = new SafetensorsWriter { Metadata = { ["format"] = "pt" } };
        if (step is not null)
            writer.Metadata["step"] = step.Value.ToString();
        foreach (Parameter parameter in model.Parameters)
            writer.Add(parameter.Name, parameter.Value);
        if (!model.Parameters.Any(p => p.Name == TiedHead))
            writer.Add(TiedHead, model.Parameters[Embedding]);
        writer.Save(path);
    }

    /// <summary>Reads all weights, rounded to the model's dtype. Either all of them change or none.</summary>
    /// <exception cref="MambaException">The file is broken, or its tensors are not those of the model.</exception>
    public static void Load(string path, MambaLM model)
    {
        using Safetensors file = Safetensors.Open(path);
        ExpectNames(file, model.Parameters.Select(p => (p.Name, p.Shape)), mayHave: TiedHead);
        double[][] values = [.. model.Parameters.Select(p => file.ReadDoubles(p.Name))];
        for (int i = 0; i < values.Length; i++)
            model.Parameters[i].Value.WriteRounded(values[i]);
    }

    /// <summary>Throws one clear line unless the file holds exactly these tensors, and perhaps <paramref name="mayHave"/>.</summary>
    internal static void ExpectNames(Safetensors file, IEnumerable<(string Name, Shape Shape)> expected, string? mayHave = null)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach ((string name, Shape shape) in expected)
        {
            names.Add(name);
            if (!file.Contains(name))
                throw new MambaException($"{file.Path}: there is no tensor '{name}' in it; the model that config.json describes needs one of shape {shape}.");
            if (file[name].Shape != shape)
                throw new MambaException($"{file.Path}: '{name}' has shape {file[name].Shape}; the model that config.json describes needs {shape}.");
        }
        foreach (SafetensorsEntry entry in file.Entries)
            if (!names.Contains(entry.Name) && entry.Name != mayHave)
                throw new MambaException($"{file.Path}: the tensor {Safetensors.Quote(entry.Name)} is not part of the model that config.json describes.");
    }
}
