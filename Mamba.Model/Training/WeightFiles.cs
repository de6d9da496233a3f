using System.Text.Json;

namespace Mamba;

/// <summary>
/// The tensors of one model: a safetensors file, or the several that a <c>model.safetensors.index.json</c> names, as Hugging Face
/// writes large models. It closes what it opened.
/// </summary>
internal sealed class WeightFiles : IDisposable
{
    internal const string IndexName = "model.safetensors.index.json";

    readonly List<Safetensors> files = [];
    readonly Dictionary<string, Safetensors> byName = new(StringComparer.Ordinal);

    WeightFiles(string path) => Path = path;

    /// <summary>The file, or the index.</summary>
    public string Path { get; }

    public IEnumerable<SafetensorsEntry> Entries => files.SelectMany(file => file.Entries);
    public int Count => byName.Count;
    public bool Contains(string name) => byName.ContainsKey(name);
    public SafetensorsEntry this[string name] => byName[name][name];
    public float[] ReadFloats(string name) => byName[name].ReadFloats(name);
    public double[] ReadDoubles(string name) => byName[name].ReadDoubles(name);

    /// <exception cref="MambaException">A file is missing or broken, or two hold a tensor of one name.</exception>
    public static WeightFiles Open(string path)
    {
        var result = new WeightFiles(path);
        try
        {
            foreach (string file in System.IO.Path.GetFileName(path) == IndexName ? Shards(path) : [path])
            {
                var opened = Safetensors.Open(file);
                result.files.Add(opened);
                foreach (SafetensorsEntry entry in opened.Entries)
                    if (!result.byName.TryAdd(entry.Name, opened))
                        throw new MambaException($"{file}: the tensor {entry.QuotedName} is in {result.byName[entry.Name].Path}, too.");
            }
            return result;
        }
        catch
        {
            result.Dispose();
            throw;
        }
    }

    static IEnumerable<string> Shards(string index)
    {
        string folder = System.IO.Path.GetDirectoryName(index) ?? "";
        string[] names;
        try
        {
            using JsonDocument document = JsonDocument.Parse(AtomicFile.ReadText(index));
            names = [.. document.RootElement.GetProperty("weight_map").EnumerateObject().Select(pair => pair.Value.GetString() ?? "").Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw new MambaException($"{index}: this is not an index of safetensors files: {e.Message.ReplaceLineEndings(" ")}", e);
        }
        foreach (string name in names)
            yield return name.Length > 0 && name == System.IO.Path.GetFileName(name) && !name.Any(char.IsControl)
                ? System.IO.Path.Combine(folder, name)
                : throw new MambaException($"{index}: {Safetensors.Quote(name)} is not the name of a file beside it.");
    }

    public void Dispose()
    {
        foreach (Safetensors file in files)
            file.Dispose();
    }
}
