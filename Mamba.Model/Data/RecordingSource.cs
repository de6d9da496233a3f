namespace Mamba;

/// <summary>Recordings of a folder or an archive.</summary>
public static class RecordingSource
{
    /// <summary>All recordings (<c>*.wav</c>), in the ordinal order of their names.</summary>
    /// <param name="path">A folder, a <c>.tar</c>, <c>.tar.gz</c> or <c>.zip</c>, or one <c>.wav</c>.</param>
    /// <exception cref="MambaException">There is no recording, or one cannot be read.</exception>
    public static IEnumerable<(string Name, WavAudio Audio)> Read(string path) => throw new NotImplementedException();
}
