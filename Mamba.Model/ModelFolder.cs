namespace Mamba;

/// <summary>
/// Where a model is: a folder with <c>config.json</c> and weights, as state-spaces' or Hugging Face's code and <c>mamba train</c> write them; or a file of
/// weights with a <c>config.json</c> beside it; or a GGUF file, as llama.cpp's, which needs nothing beside it. The weights are <c>model.safetensors</c>
/// or <c>pytorch_model.bin</c>, or several such files that an index names, of F32, F64, F16 or BF16.
/// </summary>
public static class ModelFolder
{
    /// <summary>The model's dimensions.</summary>
    /// <param name="path">The folder, the file of weights, or the GGUF file.</param>
    /// <exception cref="MambaException">There is no config.json, or no model can be built from it.</exception>
    public static MambaConfig ReadConfig(string path)
    {
        if (!Directory.Exists(path) && !File.Exists(path))
            throw new MambaException($"{path}: there is no such folder or file; "
                + "a model is a folder with config.json and model.safetensors or pytorch_model.bin, or a GGUF file.");
        if (File.Exists(path) && GgufFile.IsGguf(path))
        {
            using GgufFile gguf = GgufFile.Open(path);
            return gguf.ReadConfig();
        }
        string folder = File.Exists(path) ? Path.GetDirectoryName(path)! : path;
        string config = Path.Combine(folder, "config.json");
        string json = InputFile.ReadText(config);
        try
        {
            return MambaConfig.FromJson(json);
        }
        catch (MambaException e)
        {
            throw new MambaException($"{config}: {e.Message}", e);
        }
    }

    /// <summary>The model with its weights.</summary>
    /// <param name="path">The folder, the file of weights, or the GGUF file.</param>
    /// <param name="device">Where it shall live.</param>
    /// <param name="dtype">What it shall compute in; the weights are rounded to it. Null: float64 if one of them is F64, else float32.</param>
    /// <exception cref="MambaException">A file is missing or broken, or the two do not fit each other.</exception>
    public static MambaLM Load(string path, Device device, DType? dtype = null)
    {
        MambaModel model = LoadAny(path, device, dtype);
        if (model is MambaLM language)
            return language;
        model.Dispose();
        throw new MambaException($"{path}: this model has a head for {model.Config.Head!.Kind}, and is no language model; SequenceModel.Load opens it.");
    }

    /// <summary>The same, whatever it has after its backbone.</summary>
    internal static MambaModel LoadAny(string path, Device device, DType? dtype = null)
    {
        MambaConfig config = ReadConfig(path);
        using WeightFiles file = WeightFiles.Open(WeightsOf(path));
        DType asked = dtype ?? (file.Tensors.Any(tensor => tensor.Type == "F64") ? DType.Float64 : DType.Float32);
        device.Require(asked);
        return Weights.Load(file, config, device, asked);
    }

    /// <summary>The file of weights in a folder, or the index of several; of a file, itself.</summary>
    internal static string WeightsOf(string path)
    {
        if (File.Exists(path))
            return path;
        string[] there = [.. WeightFiles.Names.Select(name => Path.Combine(path, name))];
        return Array.Find(there, File.Exists) ?? there[0];
    }
}
