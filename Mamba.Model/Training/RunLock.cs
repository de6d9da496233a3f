namespace Mamba;

/// <summary>
/// Held by the one process that writes to a run folder; the system lets go of it however that process ends. Who gets it clears
/// away what a process before it left half written.
/// </summary>
internal sealed class RunLock : IDisposable
{
    const string Name = ".lock";

    readonly FileStream file;

    public RunLock(RunFolder folder)
    {
        try
        {
            file = new FileStream(Path.Combine(folder.Path, Name), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (IOException e) when (e is not (DirectoryNotFoundException or FileNotFoundException))
        {
            throw new MambaException($"{folder.Path} is in use: another process trains there.", e);
        }
        catch (Exception e) when (InputFile.IsOfFiles(e))
        {
            throw new MambaException($"{folder.Path}: cannot be written: {InputFile.Sentence(e)}", e);
        }
        AtomicFile.DeleteLeftovers(folder.Path);
    }

    /// <summary>Whether a file is such a lock: it has nothing in it.</summary>
    public static bool IsLock(string path) => Path.GetFileName(path) == Name && new FileInfo(path) is { Exists: true, Length: 0 };

    public void Dispose() => file.Dispose();
}
