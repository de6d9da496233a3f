namespace Mamba;

/// <summary>A file of named tensors: safetensors, PyTorch's, GGUF. Its header was checked in full when it was opened.</summary>
internal interface ITensorFile : IDisposable
{
    string Path { get; }

    IReadOnlyList<StoredTensor> Tensors { get; }
}
