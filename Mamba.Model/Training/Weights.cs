using System.Globalization;

namespace Mamba;

/// <summary>
/// Weights in a file, safetensors or PyTorch's: those of a <see cref="MambaLM"/> under their official names, Hugging Face's, which differ in one, being
/// read too; or any parameters under the names they have.
/// </summary>
public static class Weights
{
    const string TiedHead = "lm_head.weight", Embedding = "backbone.embedding.weight", HuggingFaceEmbedding = "backbone.embeddings.weight";

    /// <summary>Writes parameters of any class under their names.</summary>
    /// <param name="path">The file, replaced if it is there.</param>
    /// <param name="parameters">A <see cref="ParameterSet"/>, a module's parameters, or some of them.</param>
    /// <exception cref="MambaException">Two have one name, or the file cannot be written.</exception>
    public static void Save(string path, IEnumerable<Parameter> parameters)
    {
        var writer = new SafetensorsWriter { Metadata = { ["format"] = "pt" } };
        foreach (Parameter parameter in parameters)
            writer.Add(parameter.Name, parameter.Value);
        writer.Save(path);
    }

    /// <summary>Reads parameters of any class, rounded to their dtype. The file holds these and no other; either all of them change or none.</summary>
    /// <param name="path">The file, or the index of several.</param>
    /// <param name="parameters">What is to be filled.</param>
    /// <exception cref="MambaException">The file is broken, or its tensors are not those of the parameters.</exception>
    public static void Load(string path, IEnumerable<Parameter> parameters)
    {
        Parameter[] all = [.. parameters];
        using WeightFiles file = WeightFiles.Open(path);
        file.Expect(all.Select(p => (p.Name, p.Shape)), "these parameters");
        file.ExpectFloats();
        Fill(all, [.. all.Select(p => file.ReadDoubles(p.Name))]);
    }

    static void Fill(IReadOnlyList<Parameter> parameters, double[][] values)
    {
        for (int i = 0; i < values.Length; i++)
            parameters[i].Value.WriteRounded(values[i]);
    }

    /// <summary>Writes all weights. A tied head of a language model is written too, as the official code expects to find it.</summary>
    /// <param name="path">The file, replaced if it is there.</param>
    /// <param name="model">The model.</param>
    /// <param name="step">Steps of training, as metadata.</param>
    /// <exception cref="MambaException">The file cannot be written.</exception>
    public static void Save(string path, MambaModel model, long? step = null)
    {
        var writer = new SafetensorsWriter { Metadata = { ["format"] = "pt" } };
        if (step is not null)
            writer.Metadata["step"] = step.Value.ToString(CultureInfo.InvariantCulture);
        foreach (Parameter parameter in model.Parameters)
            writer.Add(parameter.Name, parameter.Value);
        if (model is MambaLM && !model.Parameters.Any(p => p.Name == TiedHead))
            writer.Add(TiedHead, model.Parameters[Embedding]);
        writer.Save(path);
    }

    /// <summary>Reads all weights, rounded to the model's dtype. Either all of them change or none.</summary>
    /// <param name="path">The file, or the index of several.</param>
    /// <param name="model">What is to be filled.</param>
    /// <exception cref="MambaException">The file is broken, or its tensors are not those of the model.</exception>
    public static void Load(string path, MambaModel model)
    {
        using WeightFiles file = WeightFiles.Open(path);
        ExpectParameters(file, model.Parameters);
        Fill(model.Parameters, [.. model.Parameters.Select(p => file.ReadDoubles(NameIn(file, p)))]);
    }

    /// <summary>
    /// A model of the given dimensions with the weights of a file, or of those of an index; nothing is allocated for it before the file is found to hold
    /// them.
    /// </summary>
    /// <param name="path">The file, or the index of several.</param>
    /// <param name="config">The model's dimensions.</param>
    /// <param name="device">Where it shall live.</param>
    /// <param name="dtype">float32 or float64, to which the weights are rounded.</param>
    /// <exception cref="MambaException">The file is broken, or its tensors are not those of the model.</exception>
    public static MambaLM Load(string path, MambaConfig config, Device device, DType dtype = DType.Float32) =>
        (MambaLM)LoadAny(path, MambaLM.Expect(config), device, dtype);

    /// <summary>The same of a model with or without a head.</summary>
    internal static MambaModel LoadAny(string path, MambaConfig config, Device device, DType dtype)
    {
        using WeightFiles file = WeightFiles.Open(path);
        return Load(file, config, device, dtype);
    }

    /// <summary>The same of files that are open.</summary>
    internal static MambaModel Load(WeightFiles file, MambaConfig config, Device device, DType dtype)
    {
        ExpectLayers(file, config);
        var model = MambaModel.Zeros(config, dtype, device, parameters => ExpectParameters(file, parameters));
        try
        {
            // one buffer for all: arrays for each would stay until they are collected, as much again as the model
            int most = checked((int)model.Parameters.Max(parameter => parameter.Shape.Count));
            if (dtype == DType.Float32)
                Fill(new float[most], (tensor, values) => tensor.Read(0, values.Span), (value, values) => value.Write<float>(values.Span));
            else
                Fill(new double[most], (tensor, values) => tensor.Read(0, values.Span), (value, values) => value.WriteRounded(values.Span));
            return model;

            void Fill<T>(T[] buffer, Action<StoredTensor, Memory<T>> read, Action<Tensor, ReadOnlyMemory<T>> write)
            {
                foreach (Parameter parameter in model.Parameters)
                {
                    Memory<T> values = buffer.AsMemory(0, (int)parameter.Shape.Count);
                    read(file[NameIn(file, parameter)], values);
                    write(parameter.Value, values);
                }
            }
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    // A config that asks for a billion layers costs nothing.
    static void ExpectLayers(WeightFiles file, MambaConfig config)
    {
        if (config.NLayer > file.Count)
            throw new MambaException($"{file.Path}: there are {file.Count} tensors in it; the model that config.json describes has {config.NLayer} layers.");
    }

    /// <summary>The tensors of a model by their official names, each found in the file with the shape that it needs, and nothing else in it.</summary>
    internal static IReadOnlyList<(string Name, StoredTensor Tensor)> TensorsOf(WeightFiles file, MambaConfig config)
    {
        ExpectLayers(file, config);
        IReadOnlyList<Parameter> parameters = MambaLM.ParametersOf(config);
        ExpectParameters(file, parameters);
        return [.. parameters.Select(p => (p.Name, file[NameIn(file, p)]))];
    }

    static string NameIn(WeightFiles file, Parameter parameter) =>
        parameter.Name == Embedding && !file.Contains(Embedding) && file.Contains(HuggingFaceEmbedding) ? HuggingFaceEmbedding : parameter.Name;

    static void ExpectParameters(WeightFiles file, IReadOnlyList<Parameter> parameters)
    {
        file.Expect(parameters.Select(p => (NameIn(file, p), p.Shape)), "the model that config.json describes", mayHave: TiedHead);
        file.ExpectFloats();
        if (parameters.FirstOrDefault(p => p.Name == Embedding) is not { } embedding)
            return;
        if (file.Contains(TiedHead) && file[TiedHead].Shape != embedding.Shape)
            throw new MambaException($"{file.Path}: '{TiedHead}' has shape {file[TiedHead].Shape}; "
                + $"expected {embedding.Shape}, as the embedding it is tied to.");
        // One of two matrices would be dropped, and which one differs from program to program.
        if (file.Contains(TiedHead) && !parameters.Any(p => p.Name == TiedHead) && !file.AreSame(TiedHead, NameIn(file, embedding)))
            throw new MambaException($"{file.Path}: '{TiedHead}' is another matrix than '{NameIn(file, embedding)}', but config.json says that they are one: "
                + "expected the same values, or tie_embeddings (tie_word_embeddings) false.");
    }
}
