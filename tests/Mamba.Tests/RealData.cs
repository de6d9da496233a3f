using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>
/// Texts and tokenizers that are not part of the project: in the folder that the variable <c>MAMBA_DATA</c> names, or in <c>shared/data</c> beside the
/// checkout. Where they are not, tests that need them are skipped; where the variable names a folder, they fail.
/// </summary>
internal static class RealData
{
    static readonly string? Named = Environment.GetEnvironmentVariable("MAMBA_DATA");

    static readonly string Folder = Named ?? Beside() ?? "shared/data";

    /// <summary>Where a file is: <c>text/alice29.txt</c>.</summary>
    public static string PathOf(string name)
    {
        if (Find(name) is not { } path)
            Assert.Ignore($"{path = Path.Combine(Folder, name)} is not here.");
        return path;
    }

    /// <summary>The same for a test that has something else to go on with: null where it is not.</summary>
    public static string? Find(string name)
    {
        string path = Path.Combine(Folder, name);
        if (!File.Exists(path) && Named is not null)
            Assert.Fail($"{path} is not there, where MAMBA_DATA says.");
        return File.Exists(path) ? path : null;
    }

    static string? Beside()
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
            if (Directory.Exists(Path.Combine(at.FullName, "shared", "data")))
                return Path.Combine(at.FullName, "shared", "data");
        return null;
    }
}
