using System.IO.Compression;
using System.Text;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>A folder of its own for the files that a test of readers writes; deleted with it.</summary>
internal sealed class DataFolder : IDisposable
{
    readonly string folder = Directory.CreateTempSubdirectory("mamba-data-").FullName;

    /// <summary>Where a file of this folder is.</summary>
    public string In(string name) => Path.Combine(folder, name);

    /// <summary>Writes a file and says where it is.</summary>
    public string Write(string name, string text) => Write(name, Encoding.UTF8.GetBytes(text));

    /// <summary>Writes a file and says where it is.</summary>
    public string Write(string name, byte[] bytes)
    {
        string path = In(name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, bytes);
        return path;
    }

    /// <summary>What gzip makes of bytes.</summary>
    public static byte[] Gzip(byte[] bytes)
    {
        using var compressed = new MemoryStream();
        using (var gzip = new GZipStream(compressed, CompressionLevel.Optimal))
            gzip.Write(bytes);
        return compressed.ToArray();
    }

    /// <summary>What gzip makes of a text.</summary>
    public static byte[] Gzip(string text) => Gzip(Encoding.UTF8.GetBytes(text));

    /// <summary>The one line that something is refused with.</summary>
    public static string Refused(Action read)
    {
        string message = Assert.Throws<MambaException>(() => read())!.Message;
        Assert.That(message, Does.Not.Contain("\n").And.Not.Contain("\r"));
        return message;
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);
}
