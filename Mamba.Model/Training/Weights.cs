using System.Globalization;

namespace Mamba;

/// <summary>A model's weights in a safetensors file, under their official names; Hugging Face's, which differ in one, are read too.</summary>
public static class Weights
{
    const string TiedHead = "lm_head.weight", Embedding = "backbone.embedding.weight", HuggingFaceEmbedding = "backbone.embeddings.weight";

    /// <summary>Writes all weights. A tied head is written too, as the official code expects to find it.</summary>
    public static void Save(string path, MambaLM model, long? step = null)
    {
        var writer = new SafetensorsWriter { Metadata = { ["format"] = "pt" } };
        if (step is not null)
            writer.Metadata["step"] = step.Value.ToString(CultureInfo.InvariantCulture);
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
        using WeightFiles file = WeightFiles.Open(path);
        ExpectParameters(file, model.Parameters);
        double[][] values = [.. model.Parameters.Select(p => file.ReadDoubles(NameIn(file, p)))];
        for (int i = 0; i < values.Length; i++)
            model.Parameters[i].Value.WriteRounded(values[i]);
    }

    /// <summary>A model of the given dimensions with the weights of a file, or of those of an index; nothing is allocated for it before the file is found to hold them.</summary>
    /// <exception cref="MambaException">The file is broken, or its tensors are not those of the model.</exception>
    public static MambaLM Load(string path, MambaConfig config, Device device, DType dtype = DType.Float32)
    {
        using WeightFiles file = WeightFiles.Open(path);
        if (config.NLayer > file.Count)
            throw new MambaException($"{path}: there are {file.Count} tensors in it; the model that config.json describes has {config.NLayer} layers.");
        var model = new MambaLM(config, dtype, device, parameters => ExpectParameters(file, parameters));
        try
        {
            foreach (Parameter parameter in model.Parameters)
            {
                string name = NameIn(file, parameter);
                if (dtype == DType.Float32)
                    parameter.Value.Write<float>(file.ReadFloats(name));
                else
                    parameter.Value.WriteRounded(file.ReadDoubles(name));
            }
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    static string NameIn(WeightFiles file, Parameter parameter) =>
        parameter.Name == Embedding && !file.Contains(Embedding) && file.Contains(HuggingFaceEmbedding) ? HuggingFaceEmbedding : parameter.Name;

    static void ExpectParameters(WeightFiles file, IReadOnlyList<Parameter> parameters)
    {
        ExpectNames(file, parameters.Select(p => (NameIn(file, p), p.Shape)), mayHave: TiedHead);
        Parameter embedding = parameters.First(p => p.Name == Embedding);
        if (file.Contains(TiedHead) && file[TiedHead].Shape != embedding.Shape)
            throw new MambaException($"{file.Path}: '{TiedHead}' has shape {file[TiedHead].Shape}; expected {embedding.Shape}, as the embedding it is tied to.");
        foreach (SafetensorsEntry entry in file.Entries)
            if (!entry.IsFloat)
                throw new MambaException($"{file.Path}: {entry.QuotedName} is {entry.Type}; weights are F32, F64, F16 or BF16.");
        // One of two matrices would be dropped, and which one differs from program to program.
        if (file.Contains(TiedHead) && !parameters.Any(p => p.Name == TiedHead) && !file.AreSame(TiedHead, NameIn(file, embedding)))
            throw new MambaException($"{file.Path}: '{TiedHead}' is another matrix than '{NameIn(file, embedding)}', but config.json says that they are one: expected the same values, or tie_embeddings (tie_word_embeddings) false.");
    }

    /// <summary>Throws one clear line unless the file holds exactly these tensors, and perhaps <paramref name="mayHave"/>.</summary>
    internal static void ExpectNames(WeightFiles file, IEnumerable<(string Name, Shape Shape)> expected, string? mayHave = null)
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
                throw new MambaException($"{file.Path}: the tensor {entry.QuotedName} is not part of the model that config.json describes.");
    }
}
