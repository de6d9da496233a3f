using System.CommandLine;

namespace Mamba.Cli;

/// <summary>Tensors in from a file and out to one, for the commands that other frameworks are compared with.</summary>
internal static class BridgeFiles
{
    public static Option<string?> Output() => Required(Option.Text("--output", "FILE", "The safetensors file to write."));

    public static Option<string?> DTypeOption(string otherwise) => Option.Text("--dtype", "float32|float64", $"What to compute in ({otherwise}).");

    public static Option<string?> Required(Option<string?> option)
    {
        option.Required = true;
        return option;
    }

    /// <summary>The dtype asked for; null if none is.</summary>
    public static DType? ParseDType(string? text) => text switch
    {
        null => null,
        "float32" => DType.Float32,
        "float64" => DType.Float64,
        _ => throw new MambaException($"--dtype is '{text}'; expected float32 or float64."),
    };

    /// <summary>A floating-point tensor of the file, rounded to <paramref name="dtype"/>.</summary>
    public static Tensor ReadFloats(Safetensors file, string name, DType dtype, Device device)
    {
        SafetensorsEntry entry = NotEmpty(file, name);
        if (!entry.IsFloat)
            throw new MambaException($"{file.Path}: '{name}' is {entry.Type}; expected F32, F64, F16 or BF16.");
        return dtype == DType.Float32
            ? Tensor.From(file.ReadFloats(name), entry.Shape, device)
            : Tensor.From(file.ReadDoubles(name), entry.Shape, dtype, device);
    }

    /// <summary>An integer tensor of the file as int32.</summary>
    public static Tensor ReadInts(Safetensors file, string name, Device device)
    {
        SafetensorsEntry entry = NotEmpty(file, name);
        long[] values = file.ReadLongs(name);
        int wrong = Array.FindIndex(values, value => value != (int)value);
        if (wrong >= 0)
            throw new MambaException($"{file.Path}: '{name}' holds {values[wrong]}, which is beyond 32 bits.");
        return Tensor.From(Array.ConvertAll(values, value => (int)value), entry.Shape, device);
    }

    static SafetensorsEntry NotEmpty(Safetensors file, string name) => file[name].Shape.Count > 0
        ? file[name]
        : throw new MambaException($"{file.Path}: '{name}' has shape {file[name].Shape}: there is nothing in it.");

    /// <summary>Writes the file and says what is in it.</summary>
    public static void Save(string path, IEnumerable<(string Name, Tensor Tensor)> tensors)
    {
        var writer = new SafetensorsWriter();
        var said = new List<string>();
        foreach ((string name, Tensor tensor) in tensors)
        {
            writer.Add(name, tensor);
            said.Add($"{name} {tensor.Shape}");
        }
        TextWriter where = AtomicFile.IsStandardOutput(path) ? Console.Error : Console.Out;         // not among the data
        writer.Save(path);
        const int Most = 12;
        where.WriteLine($"{path} holds {string.Join(", ", said.Take(Most))}{(said.Count > Most ? $" and {said.Count - Most} more" : "")}");
    }
}
