namespace Mamba;

/// <summary>
/// A folder that holds a model: <c>config.json</c> and <c>model.safetensors</c>, as state-spaces' or Hugging Face's code and
/// <c>mamba train</c> write them. The weights may be F32, F64, F16 or BF16, and in several files that a
/// <c>model.safetensors.index.json</c> names.
/// </summary>
public static class ModelFolder
{
    /// <summary>The model's dimensions.</summary>
    /// <param name="folder">Where it is.</param>
    /// <exception cref="MambaException">There is no config.json, or no model can be built from it.</exception>
    public static MambaConfig ReadConfig(string folder)
    {
        string path = Path.Combine(folder, "config.json");
        if (!Directory.Exists(folder))
            throw new MambaException($"{folder}: there is no such folder; a model is a folder with config.json and model.safetensors.");
        string json = InputFile.ReadText(path);
        try
        {
            return MambaConfig.FromJson(json);
        }
        catch (MambaException e)
        {
            throw new MambaException($"{path}: {e.Message}", e);
        }
    }

    /// <summary>The model with its weights.</summary>
    /// <param name="folder">Where it is.</param>
    /// <param name="device">Where it shall live.</param>
    /// <param name="dtype">What it shall compute in; the weights are rounded to it. Null: float64 if they are F64, else float32.</param>
    /// <exception cref="MambaException">A file is missing or broken, or the two do not fit each other.</exception>
    public static MambaLM Load(string folder, Device device, DType? dtype = null)
    {
        MambaConfig config = ReadConfig(folder);
        string path = WeightsOf(folder);
        if (dtype is null)
        {
            using WeightFiles file = WeightFiles.Open(path);
            dtype = file.Entries.Any(entry => entry.Type == "F64") ? DType.Float64 : DType.Float32;
        }
        device.Require(dtype.Value);
        return Weights.Load(path, config, device, dtype.Value);
    }

    /// <summary>The file of weights in a folder, or the index of several.</summary>
    internal static string WeightsOf(string folder)
    {
        string path = Path.Combine(folder, "model.safetensors"), index = Path.Combine(folder, WeightFiles.IndexName);
        string torch = Path.Combine(folder, "pytorch_model.bin");
        if (File.Exists(path))
            return path;
        if (!File.Exists(index) && File.Exists(torch))
            throw new MambaException($"{path}: there is no such file, only pytorch_model.bin: the weights must be saved as safetensors.");
        return File.Exists(index) ? index : path;
    }
}
