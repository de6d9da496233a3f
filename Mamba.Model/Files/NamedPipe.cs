namespace Mamba;

/// <summary>Opens a pipe that has a name. The system lets that wait for whoever opens the other end; here the wait has an end.</summary>
internal static class NamedPipe
{
    /// <summary>How long the other end is waited for.</summary>
    public static TimeSpan Patience { get; set; } = TimeSpan.FromSeconds(30);

    /// <exception cref="IOException">Nobody opened the other end.</exception>
    public static FileStream Open(string path, FileAccess access)
    {
        FileStream End(FileAccess which) => new(path, FileMode.Open, which, FileShare.ReadWrite, bufferSize: 0);
        var opening = Task.Run(() => End(access));
        if (Task.WaitAny([opening], Patience) >= 0)
            return opening.GetAwaiter().GetResult();
        // The other end, opened here, ends the wait.
        using (End(access == FileAccess.Read ? FileAccess.Write : FileAccess.Read))
            opening.GetAwaiter().GetResult().Dispose();
        throw new IOException($"it is a pipe, and for {Patience.TotalSeconds:0} s nobody opened its other end");
    }
}
