namespace Mamba.Cli;

/// <summary>Run folders by name: those that are there, and names for new ones.</summary>
internal static class Runs
{
    const string Parent = "runs";

    /// <summary>A folder with a run in it.</summary>
    /// <exception cref="MambaException">There is none; the message says what is there.</exception>
    public static RunFolder Existing(string path)
    {
        var folder = new RunFolder(path);
        return folder.IsRun ? folder : throw new MambaException(
            File.Exists(path) ? $"{path} is a file; expected a run folder."
            : Directory.Exists(path) ? $"{path} is not a run folder: there is no train.json in it."
            : $"There is no folder {path}; expected a run folder.");
    }

    /// <summary>As <see cref="Existing"/>; where a run could be started instead, the message says how.</summary>
    public static RunFolder ToResume(string path)
    {
        try
        {
            return Existing(path);
        }
        catch (MambaException e) when (!File.Exists(path) && (!Directory.Exists(path) || Directory.EnumerateFileSystemEntries(path).All(IsOfNoRunYet)))
        {
            throw new MambaException($"{e.Message} The same command with --out {path} and without --resume starts a run there.", e);
        }
    }

    /// <summary>The newest run under <c>runs/</c>.</summary>
    /// <param name="task">Only of this task; null: of any.</param>
    public static string Newest(string? task)
    {
        string[] all = Directory.Exists(Parent) ? Directory.GetDirectories(Parent) : [];
        return all.Where(path => Path.GetFileName(path).StartsWith(task ?? "", StringComparison.Ordinal) && new RunFolder(path).IsRun)
            .MaxBy(path => File.GetLastWriteTimeUtc(new RunFolder(path).Log))
            ?? throw new MambaException(
                $"There is no run {(task is null ? "" : $"of {task} ")}to resume under {Parent}/; --resume FOLDER names another folder.");
    }

    /// <summary>A name for a new run of a task: <c>runs/task</c>, or that with a number.</summary>
    public static string Unused(string task)
    {
        string first = Path.Combine(Parent, task);
        for (int i = 1; ; i++)
        {
            string path = i == 1 ? first : $"{first}-{i}";
            if (!Directory.Exists(path) && !File.Exists(path))
                return path;
        }
    }

    // What a run leaves that was killed before it had begun.
    static bool IsOfNoRunYet(string entry) => RunLock.IsLock(entry) || AtomicFile.IsLeftover(entry) || Path.GetFileName(entry) == "config.json";
}
