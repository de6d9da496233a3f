namespace Mamba;

/// <summary>Held by the one process that writes to a run folder; the system lets go of it however that process ends.</summary>
internal sealed class RunLock : IDisposable
{
    readonly FileStream file;

    public RunLock(RunFolder folder)
    {
        try
        {
            file = new FileStream(Path.Combine(folder.Path, ".lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (IOException e) when (e is not (DirectoryNotFoundException or FileNotFoundException))
        {
            throw new MambaException($"{folder.Path} is in use: another process trains there.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new MambaException($"{folder.Path}: cannot be written: {e.Message}", e);
        }
    }

    public void Dispose() => file.Dispose();
}
