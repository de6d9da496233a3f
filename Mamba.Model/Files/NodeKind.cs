namespace Mamba;

/// <summary>What a path can lead to.</summary>
internal enum NodeKind
{
    File,
    Folder,
    Pipe,
    Device,
    Socket,
}
