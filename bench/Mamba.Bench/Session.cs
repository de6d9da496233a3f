using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Mamba.Bench;

/// <summary>One run: its devices, what they measured so far, and where that is saved after every table, should the run be cut short.</summary>
internal sealed class Session : IDisposable
{
    const int Interrupted = 130;        // as shells have it

    readonly List<Device> devices = [];
    readonly List<Table> tables = [];
    readonly DType dtype;
    readonly Plan plan;
    readonly Machine machine;
    readonly Stopwatch time = Stopwatch.StartNew();
    readonly Lock saving = new();
    readonly PosixSignalRegistration[] signals;
    string now = "the start";
    string? folder;
    int saved;

    /// <summary>Opens the devices.</summary>
    public Session(string[] deviceNames, string dtypeName, Plan plan, string command)
    {
        (this.plan, dtype) = (plan, dtypeName == "float64" ? DType.Float64 : DType.Float32);
        Mamba.Devices.Events = true;
        try
        {
            foreach (string name in deviceNames)
            {
                devices.Add(Device.Open(name));
                devices[^1].Require(dtype);
                if (devices[..^1].Any(other => other.Name == devices[^1].Name))
                    throw new MambaException($"--devices is '{string.Join(',', deviceNames)}', with {devices[^1].Name} twice; expected each once.");
            }
        }
        catch
        {
            Dispose();
            throw;
        }
        machine = Facts.Of(devices, command);
        signals = [PosixSignalRegistration.Create(PosixSignal.SIGINT, Interrupt), PosixSignalRegistration.Create(PosixSignal.SIGTERM, Interrupt)];
    }

    /// <summary>Measures one part or all on every device.</summary>
    public void Run(string what, string? folderGiven)
    {
        folder = folderGiven ?? (what == Part.AllOfThem && plan.Whole ? Path.Combine("bench", "results", Facts.FolderName(machine)) : null);
        if (folder is not null)
            ExpectWritable(folder);
        Console.WriteLine($"{machine.Processor}, {machine.Cores} cores, {machine.Memory}, {machine.Runtime}, commit {machine.Commit}, {machine.Date}");
        foreach (Device device in devices)
        {
            var bench = new Bench(device, dtype, plan, folder, Save);
            Begin(device, "ceilings");
            _ = bench.Ceilings;
            foreach (Part part in Part.Of(what).Where(part => part.Name != "ceilings"))
            {
                Begin(device, part.Name);
                part.Run(bench, folder);
            }
            Figures.Roofline(bench.FileFor(bench.Tables[0], "roofline", "png"), $"Roofline, {device.Name}, {dtype.Name()}", bench.Ceilings, bench.Tables);
            Save(bench);
            tables.AddRange(bench.Tables);
            if (bench.Plan.LeftOut.Count > 0)
                Console.WriteLine($"Left out on {device.Name} to be quick: {string.Join(", ", bench.Plan.LeftOut)}.");
        }
        Console.WriteLine(folder is null
            ? $"{time.Elapsed.TotalSeconds:F0} s; nothing was saved: --out FOLDER keeps the tables, and makes pictures and traces."
            : $"{Path.Combine(folder, Report.PageName)}, {time.Elapsed.TotalSeconds:F0} s");
    }

    // so that nobody sits before silence
    void Begin(Device device, string part)
    {
        now = $"{part} on {device.Name}";
        Console.Error.WriteLine($"[{time.Elapsed.TotalSeconds,3:F0} s] {now}");
    }

    void Save(Bench bench)
    {
        if (folder is null)
            return;
        lock (saving)
        {
            new Report(machine, [.. tables, .. bench.Tables]).Save(folder);
            saved = tables.Count + bench.Tables.Count;
        }
    }

    // Before anything is measured: an hour's work must not end at a folder that takes no files.
    static void ExpectWritable(string folder)
    {
        string trial = Path.Combine(folder, $".mamba-bench-{Environment.ProcessId}");
        try
        {
            Directory.CreateDirectory(folder);
            File.WriteAllText(trial, "");
            File.Delete(trial);
        }
        catch (Exception e) when (InputFile.IsOfFiles(e))
        {
            throw new MambaException($"--out {folder}: no file can be written there: {InputFile.Sentence(e)}", e);
        }
    }

    void Interrupt(PosixSignalContext context)
    {
        context.Cancel = true;
        lock (saving)           // a report is whole or not begun
        {
            string kept = folder is null ? "nothing was saved: --out FOLDER keeps what is measured"
                : saved == 0 ? $"nothing was saved yet in {folder}"
                : $"{saved} {(saved == 1 ? "table is" : "tables are")} saved in {Path.Combine(folder, Report.PageName)}";
            Console.Error.WriteLine($"Interrupted in {now} after {time.Elapsed.TotalSeconds:F0} s; {kept}.");
            Environment.Exit(Interrupted);
        }
    }

    public void Dispose()
    {
        foreach (PosixSignalRegistration signal in signals ?? [])
            signal.Dispose();
        devices.ForEach(device => device.Dispose());
    }
}
