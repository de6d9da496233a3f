using System.Runtime.Versioning;
using System.Text;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>What is at the end of a path stays what it is: a file is replaced whole, everything else is written to.</summary>
[NonParallelizable]         // some of them shorten the wait for pipes
public class OutputFileTests
{
    string folder = "";

    [SetUp]
    public void MakeFolder() => folder = Directory.CreateTempSubdirectory("mamba-output-").FullName;

    [TearDown]
    public void DeleteFolder()
    {
        NamedPipe.Patience = TimeSpan.FromSeconds(30);
        Directory.Delete(folder, recursive: true);
    }

    string In(string name) => Path.Combine(folder, name);

    string[] Names => [.. Directory.GetFileSystemEntries(folder).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    void Refuse(string name, params string[] mentions)
    {
        MambaException? e = Assert.Throws<MambaException>(() => AtomicFile.WriteText(In(name), "new"));
        Assert.That(e!.Message, Does.StartWith(In(name)).And.Not.Contain("\n"));
        foreach (string mention in mentions)
            Assert.That(e.Message, Does.Contain(mention));
    }

    [Test]
    public void A_file_is_made_and_replaced_and_nothing_is_left_beside_it()
    {
        AtomicFile.WriteText(In("x"), "old");
        Assert.That(File.ReadAllText(In("x")), Is.EqualTo("old"));
        AtomicFile.WriteText(In("x"), "new");
        Assert.That(File.ReadAllText(In("x")), Is.EqualTo("new"));
        Assert.That(Names, Is.EqualTo(new[] { "x" }));
    }

    [Test]
    public void A_write_that_fails_leaves_the_old_file_and_nothing_else()
    {
        AtomicFile.WriteText(In("x"), "old");
        Exception[] failures = [new IOException("No space left on device"), new MambaException("no"), new InvalidOperationException("a fault")];
        foreach (Exception failure in failures)
        {
            Assert.That(() => AtomicFile.Write(In("x"), stream =>
            {
                stream.Write(new byte[100_000]);
                throw failure;
            }), failure is IOException
                ? Throws.TypeOf<MambaException>().With.Message.EqualTo($"{In("x")}: cannot be written: No space left on device.")
                : Throws.TypeOf(failure.GetType()));
            Assert.That(File.ReadAllText(In("x")), Is.EqualTo("old"));
            Assert.That(Names, Is.EqualTo(new[] { "x" }));
        }
    }

    [Test]
    public void Files_of_somebodys_beside_it_are_neither_used_nor_deleted()
    {
        string[] theirs = ["x.tmp", "x.new", "x~", ".x.tmp", ".mamba-x.tmp", ".mamba-0123456789ABCDEF.tmp"];
        foreach (string name in theirs)
            File.WriteAllText(In(name), "mine");
        AtomicFile.WriteText(In("x"), "new");
        AtomicFile.DeleteLeftovers(folder);
        Assert.That(theirs.Select(name => File.ReadAllText(In(name))), Is.All.EqualTo("mine"));
    }

    [Test]
    public void A_name_as_long_as_names_can_be_is_no_trouble()
    {
        string name = new('n', 255);
        AtomicFile.WriteText(In(name), "new");
        Assert.That(File.ReadAllText(In(name)), Is.EqualTo("new"));
        Refuse(name + "n");
    }

    [Test]
    public void Only_what_was_left_over_is_cleared_away()
    {
        File.WriteAllText(In(".mamba-0123456789abcdef.tmp"), "half of something");
        AtomicFile.Write(In("x"), _ =>
        {
            Assert.That(Names, Has.Length.EqualTo(2));
            AtomicFile.DeleteLeftovers(folder);         // as a process would that comes now
            Assert.That(Names, Has.Length.EqualTo(1));
        });
        Assert.That(Names, Is.EqualTo(new[] { "x" }));
    }

    [Test]
    public void What_a_killed_run_leaves_keeps_its_folder_free_and_goes_when_the_next_one_begins()
    {
        var config = new MambaConfig { DModel = 8, NLayer = 1, VocabSize = 16 };
        var run = new RunFolder(folder);
        File.WriteAllText(run.Config, config.ToJson());
        File.WriteAllText(In(".mamba-0123456789abcdef.tmp"), "half of train.json");
        File.WriteAllText(In(".lock"), "");
        Assert.That(run.IsFree(config), Is.True);
        run.Create(config, new TrainOptions { Task = "induction-heads", Stages = [new(12, 2, 1)] });
        Assert.That(Names, Is.EqualTo(new[] { "config.json", "train.json" }));
        using (new RunLock(run))
            Assert.That(run.IsFree(config), Is.False);
        string other = In("other");
        foreach (string theirs in (string[])["config.json.tmp", ".mamba-.tmp", ".lock"])
        {
            Directory.CreateDirectory(other);
            File.WriteAllText(Path.Combine(other, theirs), "theirs");
            Assert.That(new RunFolder(other).IsFree(config), Is.False, theirs);
            Directory.Delete(other, recursive: true);
        }
    }

    [Test]
    public void What_cannot_be_written_is_one_clear_line()
    {
        Directory.CreateDirectory(In("folder"));
        Refuse("folder", "is a folder");
        Refuse("folder/", "name of a file");
        Refuse("folder/..", "name of a file");
        Refuse("nowhere/x", "there is no folder");
        File.WriteAllText(In("x"), "old");
        Refuse("x/y", "there is no folder");
        Assert.That(() => AtomicFile.WriteText("a\0b", ""), Throws.TypeOf<MambaException>().With.Message.Contains("cannot be written"));
        Assert.That(() => AtomicFile.WriteText("", ""), Throws.TypeOf<MambaException>().With.Message.Contains("cannot be written"));
        Assert.That(Names, Is.EqualTo(new[] { "folder", "x" }));
    }

    [Test]
    public void A_file_may_be_written_over_what_is_read()
    {
        var writer = new SafetensorsWriter();
        writer.Add("a", (2, 2), new[] { 1f, 2, 3, 4 });
        writer.Add("b", (2, 2), new[] { 1f, 0, 0, 1 });
        writer.Save(In("x"));
        MambaInProcess.Succeed("op", "matmul", "--input", In("x"), "--output", In("x"), "--device", "cpu");
        using Safetensors product = Safetensors.Open(In("x"));
        Assert.That(product.ReadFloats("out"), Is.EqualTo(new[] { 1f, 2, 3, 4 }));
    }

    // ---- links ------------------------------------------------------------------------------------

    [Test, Platform(Exclude = "Win")]
    public void Links_are_written_through_wherever_they_lead([Values("real", "sub/real", "../{0}/real", "ABSOLUTE", "second", "linked/../real")] string target)
    {
        Directory.CreateDirectory(In("sub/deep"));
        Directory.CreateSymbolicLink(In("linked"), "sub/deep");         // ".." after it is sub
        File.CreateSymbolicLink(In("second"), "sub/real");
        string text = target == "ABSOLUTE" ? In("real") : string.Format(null, target, Path.GetFileName(folder));
        File.CreateSymbolicLink(In("link"), text);
        string real = target is "sub/real" or "second" or "linked/../real" ? In("sub/real") : In("real");
        for (int there = 0; there < 2; there++)         // where the link leads nothing is yet, and then a file
        {
            AtomicFile.WriteText(In("link"), $"text {there}");
            Assert.That(File.ReadAllText(real), Is.EqualTo($"text {there}"));
            Assert.That(new FileInfo(real).LinkTarget, Is.Null);
            Assert.That(new FileInfo(In("link")).LinkTarget, Is.EqualTo(text));
            Assert.That(new FileInfo(In("second")).LinkTarget, Is.EqualTo("sub/real"));
        }
        Assert.That(Directory.GetFiles(folder, ".mamba-*", SearchOption.AllDirectories), Is.Empty);
    }

    [Test, Platform(Exclude = "Win")]
    public void A_link_in_a_linked_folder_leads_from_where_the_folder_is()
    {
        Directory.CreateDirectory(In("sub/deep"));
        Directory.CreateSymbolicLink(In("linked"), "sub/deep");
        File.CreateSymbolicLink(In("sub/deep/link"), "../real");
        AtomicFile.WriteText(In("linked/link"), "new");
        Assert.That(File.ReadAllText(In("sub/real")), Is.EqualTo("new"));
        Assert.That(File.Exists(In("real")), Is.False);
    }

    [Test, Platform(Exclude = "Win")]
    public void Links_that_lead_nowhere_or_in_a_circle_are_one_clear_line()
    {
        File.CreateSymbolicLink(In("a"), "b");
        File.CreateSymbolicLink(In("b"), "a");
        Refuse("a", "in a circle");
        File.CreateSymbolicLink(In("lost"), "nowhere/x");
        Refuse("lost", "there is no folder", "nowhere");
        Directory.CreateDirectory(In("folder"));
        File.CreateSymbolicLink(In("to-folder"), "folder");
        Refuse("to-folder", "is a folder");
        Assert.That(Names, Is.EqualTo(new[] { "a", "b", "folder", "lost", "to-folder" }));
    }

    [Test, Platform(Exclude = "Win")]
    public void Another_name_of_the_same_file_keeps_what_it_was()
    {
        File.WriteAllText(In("x"), "old");
        Shell.Succeed(folder, "ln x y");
        AtomicFile.WriteText(In("x"), "new");
        Assert.That((File.ReadAllText(In("x")), File.ReadAllText(In("y"))), Is.EqualTo(("new", "old")));
    }

    // ---- modes and owners -------------------------------------------------------------------------

    [Test, Platform(Exclude = "Win"), UnsupportedOSPlatform("windows")]
    public void A_file_keeps_its_mode_and_is_never_open_to_more_people_meanwhile([Values("600", "640", "755", "666")] string mode)
    {
        File.WriteAllText(In("x"), "old");
        Shell.Succeed(folder, $"chmod {mode} x");
        UnixFileMode before = File.GetUnixFileMode(In("x"));
        AtomicFile.Write(In("x"), _ =>
        {
            string unfinished = Directory.GetFiles(folder, ".mamba-*").Single();
            Assert.That(File.GetUnixFileMode(unfinished) & ~before, Is.EqualTo(UnixFileMode.None));
        });
        Assert.That(File.GetUnixFileMode(In("x")), Is.EqualTo(before));
    }

    [Test, Platform(Exclude = "Win"), UnsupportedOSPlatform("windows")]
    public void A_new_file_has_the_mode_that_every_new_file_has()
    {
        File.WriteAllText(In("usual"), "");
        AtomicFile.WriteText(In("x"), "new");
        Assert.That(File.GetUnixFileMode(In("x")), Is.EqualTo(File.GetUnixFileMode(In("usual"))));
    }

    /// <summary>As root the owner is kept; as anybody else a file that may not be written is not replaced.</summary>
    [Test, Platform(Exclude = "Win")]
    public void A_file_stays_with_its_owner_and_one_that_may_not_be_written_is_not_replaced()
    {
        File.WriteAllText(In("x"), "old");
        if (Environment.IsPrivilegedProcess)
        {
            Shell.Succeed(folder, "chown 12345:23456 x && chmod 640 x");
            AtomicFile.WriteText(In("x"), "new");
            Assert.That(Encoding.ASCII.GetString(Shell.Run(folder, "stat -c %u:%g:%a x || stat -f %u:%g:%Lp x").Output).Trim(), Is.EqualTo("12345:23456:640"));
        }
        else
        {
            Shell.Succeed(folder, "chmod 400 x");
            Refuse("x", "denied");
            Assert.That(File.ReadAllText(In("x")), Is.EqualTo("old"));
        }
        Assert.That(Names, Is.EqualTo(new[] { "x" }));
    }

    // ---- pipes, devices, descriptors --------------------------------------------------------------

    [Test, Platform(Exclude = "Win")]
    public void A_pipe_is_written_to_and_stays_one()
    {
        Shell.Succeed(folder, "mkfifo pipe && ln -s pipe link");
        foreach (string name in (string[])["pipe", "link"])
        {
            using System.Diagnostics.Process reader = Shell.Start(folder, "cat pipe");
            Task<string> read = reader.StandardOutput.ReadToEndAsync();
            AtomicFile.Write(In(name), stream => stream.Write(Encoding.ASCII.GetBytes(new string('x', 300_000))));
            Assert.That(read.GetAwaiter().GetResult(), Is.EqualTo(new string('x', 300_000)));
            reader.WaitForExit();
            Shell.Succeed(folder, "test -p pipe && test -L link");
        }
        Assert.That(Names, Is.EqualTo(new[] { "link", "pipe" }));
    }

    [Test, Platform(Exclude = "Win")]
    public void A_pipe_that_nobody_reads_is_one_clear_line_and_stays_one()
    {
        NamedPipe.Patience = TimeSpan.FromMilliseconds(50);
        Shell.Succeed(folder, "mkfifo pipe");
        Refuse("pipe", "nobody opened its other end");
        Shell.Succeed(folder, "test -p pipe");
    }

    /// <summary>Of a node made here: the machine's own would be gone if this failed.</summary>
    [Test, Platform("Linux")]
    public void A_device_is_written_to_and_stays_one()
    {
        if (Shell.Run(folder, "mknod null c 1 3 && mknod full c 1 7").Code != 0 || Shell.Run(folder, "echo > null").Code != 0)
        {
            Assert.That(FileNode.Of("/dev/null")?.Kind, Is.EqualTo(NodeKind.Device));       // only root makes nodes; what decides is at least this
            return;
        }
        AtomicFile.WriteText(In("null"), "new");
        Refuse("full", "No space left");
        Shell.Succeed(folder, "test -c null && test -c full");
        Assert.That(Names, Is.EqualTo(new[] { "full", "null" }));
    }

    [Test, Platform("Linux")]
    public void Data_for_the_standard_output_are_not_mixed_with_what_is_said_of_them()
    {
        var writer = new SafetensorsWriter();
        writer.Add("a", (2, 2), new[] { 1f, 2, 3, 4 });
        writer.Add("b", (2, 2), new[] { 1f, 0, 0, 1 });
        writer.Save(In("in"));
        string dotnet = Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";
        string mamba = $"\"{dotnet}\" \"{Path.Combine(AppContext.BaseDirectory, "mamba.dll")}\" op matmul --device cpu";
        byte[] expected = [];
        foreach ((string script, string file) in ((string, string)[])[
            ($"{mamba} --input in --output out > said", "out"),
            ($"{mamba} --input in --output /dev/stdout | cat > piped", "piped"),
            ($"{mamba} --input in --output /dev/stdout > whole", "whole"),
            ($"{mamba} --input in --output /dev/fd/3 3> third >said", "third"),
            ($"mkfifo pipe; cat pipe > through & {mamba} --input in --output pipe > pipe; wait", "through"),
            ($"cat in | {mamba} --input /dev/stdin --output again > said", "again")])
        {
            (int code, _, string error) = Shell.Run(folder, script);
            Assert.That(code, Is.Zero, error);
            if (expected.Length == 0)
                expected = File.ReadAllBytes(In(file));
            Assert.That(File.ReadAllBytes(In(file)), Is.EqualTo(expected), script);
            bool said = script.Contains("> said", StringComparison.Ordinal) || script.Contains(">said", StringComparison.Ordinal);
            Assert.That(error, said ? Is.Empty : Does.Contain("holds out (2, 2)"), script);
        }
        // What others write to the same file stands before and after it.
        Shell.Run(folder, $"(echo before; {mamba} --input in --output /dev/stdout; echo after) > shared");
        Assert.That(File.ReadAllBytes(In("shared")), Is.EqualTo((byte[])[.. "before\n"u8, .. expected, .. "after\n"u8]));
    }

    [Test, Platform("Linux")]
    public void A_link_to_a_descriptor_is_not_replaced()
    {
        File.CreateSymbolicLink(In("link"), "/proc/self/fd/1");
        Refuse("link", "/dev/fd/1");
        Assert.That(new FileInfo(In("link")).LinkTarget, Is.EqualTo("/proc/self/fd/1"));
    }
}
