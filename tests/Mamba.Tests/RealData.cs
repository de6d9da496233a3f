namespace Mamba.Tests;

/// <summary>
/// Texts and tokenizers that are not part of the project: in the folder that the variable <c>MAMBA_DATA</c> names, or in <c>shared/data</c> beside the
/// checkout. Tests that need them are skipped where they are not.
/// </summary>
internal static class RealData
{
    static readonly string Folder = Environment.GetEnvironmentVariable("MAMBA_DATA") ?? Beside() ?? "shared/data";

    public static string PathOf(string name) => Path.Combine(Folder, name);

    static string? Beside()
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
            if (Directory.Exists(Path.Combine(at.FullName, "shared", "data")))
                return Path.Combine(at.FullName, "shared", "data");
        return null;
    }
}
