using System.Text.Json;

namespace Mamba;

/// <summary>
/// The tensors of one model: a file of safetensors, PyTorch's or GGUF, or the several that a <c>model.safetensors.index.json</c> or
/// <c>pytorch_model.bin.index.json</c> names, as Hugging Face writes large models. It closes what it opened.
/// </summary>
internal sealed class WeightFiles : IDisposable
{
    /// <summary>What a folder's weights may be called, the first ones first.</summary>
    internal static readonly string[] Names = ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];

    static readonly Dictionary<string, string> NoMetadata = new(StringComparer.Ordinal);

    readonly List<ITensorFile> files = [];
    readonly Dictionary<string, StoredTensor> byName = new(StringComparer.Ordinal);

    WeightFiles(string path) => Path = path;

    /// <summary>The file, or the index.</summary>
    public string Path { get; }

    public IEnumerable<StoredTensor> Tensors => files.SelectMany(file => file.Tensors);
    public int Count => byName.Count;

    /// <summary>The metadata of a single safetensors file, of the first of several.</summary>
    public IReadOnlyDictionary<string, string> Metadata => files[0] is Safetensors file ? file.Metadata : NoMetadata;

    public bool Contains(string name) => byName.ContainsKey(name);
    public StoredTensor this[string name] => byName[name];
    public float[] ReadFloats(string name) => byName[name].ReadFloats();
    public double[] ReadDoubles(string name) => byName[name].ReadDoubles();
    public bool AreSame(string name, string other) => byName[name].HasSameValues(byName[other]);

    /// <exception cref="MambaException">A file is missing or broken, or two hold a tensor of one name.</exception>
    public static WeightFiles Open(string path)
    {
        var result = new WeightFiles(path);
        try
        {
            (string Tensor, string File)[] map = path.EndsWith(".index.json", StringComparison.Ordinal) ? Shards(path) : [];
            string[] paths = map.Length == 0 ? [path] : [.. map.Select(pair => pair.File).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
            foreach (string file in paths)
            {
                InputFile.ExpectFile(file);
                ITensorFile opened = OpenFile(file);
                result.files.Add(opened);
                foreach (StoredTensor tensor in opened.Tensors)
                    if (!result.byName.TryAdd(tensor.Name, tensor))
                        throw new MambaException($"{file}: the tensor {tensor.QuotedName} is in {result.byName[tensor.Name].File}, too.");
            }
            foreach ((string tensor, string file) in map)
                if (!result.byName.TryGetValue(tensor, out StoredTensor? holder) || holder.File != file)
                    throw new MambaException($"{path}: the tensor {Safetensors.Quote(tensor)} is not in {file}, where this says it is.");
            return result;
        }
        catch
        {
            result.Dispose();
            throw;
        }
    }

    // By what is in it; by its name where that says nothing, or where it is named as only one kind is.
    static ITensorFile OpenFile(string path)
    {
        string name = System.IO.Path.GetFileName(path);
        bool isTorch = name.StartsWith("pytorch_model", StringComparison.Ordinal) || StoredZip.IsZip(path)
            || (System.IO.Path.GetExtension(name) is ".bin" or ".pt" or ".pth" && !RandomFile.Has(path, "{"u8, at: sizeof(ulong)));
        return isTorch ? TorchFile.Open(path)
            : GgufFile.IsGguf(path) ? GgufFile.Open(path)
            : Safetensors.Open(path);
    }

    /// <summary>What the file calls a tensor of that official name, for messages.</summary>
    public string Spell(string name) => files is [GgufFile] ? GgufNames.FromOfficial(name) ?? name : name;

    /// <summary>Throws one clear line unless it holds exactly these tensors, and perhaps <paramref name="mayHave"/>.</summary>
    /// <param name="expected">Names and shapes.</param>
    /// <param name="whose">What they are the tensors of, for the message.</param>
    /// <param name="mayHave">A name that is allowed too.</param>
    public void Expect(IEnumerable<(string Name, Shape Shape)> expected, string whose, string? mayHave = null)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach ((string name, Shape shape) in expected)
        {
            names.Add(name);
            if (!Contains(name))
                throw new MambaException($"{Path}: there is no tensor '{Spell(name)}' in it; {whose} needs one of shape {shape}.");
            if (this[name].Shape != shape)
                throw new MambaException($"{Path}: '{Spell(name)}' has shape {this[name].Shape}; {whose} needs {shape}.");
        }
        foreach (StoredTensor entry in Tensors)
            if (!names.Contains(entry.Name) && entry.Name != mayHave)
                throw new MambaException($"{Path}: the tensor {entry.QuotedName} is not part of {whose}.");
    }

    /// <summary>Throws one clear line unless all its tensors are floating-point numbers.</summary>
    public void ExpectFloats()
    {
        foreach (StoredTensor entry in Tensors)
            if (!entry.IsFloat)
                throw new MambaException($"{Path}: {entry.QuotedName} is {entry.Type}; weights are F32, F64, F16 or BF16.");
    }

    /// <summary>Every tensor that an index names, and the file it says the tensor is in.</summary>
    static (string Tensor, string File)[] Shards(string index)
    {
        string folder = System.IO.Path.GetDirectoryName(index) ?? "", json = InputFile.ReadText(index);
        try
        {
            using JsonDocument document = JsonDocument.Parse(json, JsonText.NamesOnce);
            JsonElement all = document.RootElement.GetProperty("weight_map");
            (string, string)[] map = [.. all.EnumerateObject().Select(pair => (pair.Name, Beside(pair.Value.GetString() ?? "")))];
            return map.Length > 0 ? map : throw new MambaException($"{index}: its weight_map is empty.");
        }
        catch (Exception e) when (JsonText.IsMalformed(e))
        {
            throw new MambaException($"{index}: this is not an index of files of weights: {InputFile.Sentence(e)}", e);
        }

        string Beside(string name) => name.Length > 0 && name == System.IO.Path.GetFileName(name) && !name.Any(char.IsControl)
            ? System.IO.Path.Combine(folder, name)
            : throw new MambaException($"{index}: {Safetensors.Quote(name)} is not the name of a file beside it.");
    }

    public void Dispose()
    {
        foreach (ITensorFile file in files)
            file.Dispose();
    }
}
