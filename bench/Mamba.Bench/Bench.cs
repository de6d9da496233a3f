using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>A device to measure on, with its ceilings, and the folder for files; benchmarks add tables to it.</summary>
/// <param name="device">The device.</param>
/// <param name="dtype">What to measure in.</param>
/// <param name="plan">How much to measure.</param>
/// <param name="folder">Where files go; null if none are to be written.</param>
/// <param name="added">Called after each table.</param>
internal sealed class Bench(Device device, DType dtype, Plan plan, string? folder, Action<Bench> added)
{
    readonly List<Table> tables = [];
    Ceilings? ceilings;

    public Device Device => device;
    public DType DType => dtype;
    public Plan Plan { get; } = plan with { Slow = device is IlgpuDevice { IsProcessor: true }, LeftOut = [] };
    public IReadOnlyList<Table> Tables => tables;

    /// <summary>Measured on first use, before anything is held against them.</summary>
    public Ceilings Ceilings
    {
        get
        {
            if (ceilings is null)
            {
                (ceilings, Table table) = Ceilings.Measure(this);
                Add(table);
            }
            return ceilings;
        }
    }

    /// <summary>Device memory a benchmark may fill.</summary>
    public long MemoryLimit { get; } = Math.Min(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 4, 4L << 30);

    /// <summary>Whether files are written.</summary>
    public bool Writes => folder is not null;

    public Table NewTable(string name, string title, params string[] columns) => new(name, title, device.Name, dtype.Name(), columns);

    /// <summary>Prints a finished table and keeps it.</summary>
    public void Add(Table table)
    {
        tables.Add(table);
        Console.WriteLine("\n" + table.ToConsole());
        added(this);
    }

    /// <summary>Times <paramref name="run"/>, as long as the plan has it.</summary>
    public Sample Time(Action run, int repeats = 15, double leastMilliseconds = 50, double mostMilliseconds = 2000)
    {
        (repeats, leastMilliseconds, mostMilliseconds) = Plan.Effort(repeats, leastMilliseconds, mostMilliseconds);
        return Timing.Measure(device, run, repeats, leastMilliseconds, mostMilliseconds);
    }

    /// <summary>Times <paramref name="run"/> as a row of <paramref name="table"/>, beside the time <paramref name="work"/> takes at least.</summary>
    public Sample Measure(Table table, string name, Action run, Work? work = null,
        Func<Sample, string[]>? cells = null, int repeats = 15, double leastMilliseconds = 50)
    {
        Sample sample = Time(run, repeats, leastMilliseconds);
        table.Rows.Add(RowOf(name, sample, work, cells?.Invoke(sample)));
        return sample;
    }

    /// <summary>A row with its fraction of the limiting ceiling.</summary>
    public Row RowOf(string name, Sample sample, Work? work, string[]? cells = null)
    {
        if (work is null)
            return new Row(name, cells ?? [], sample);
        (double least, string limit) = Ceilings.Bound(work);
        return new Row(name, cells ?? [], sample, least / sample.Median, limit, work);
    }

    /// <summary>Where a file of that name goes, this device's name in it; null if nothing is to be written.</summary>
    public string? FileFor(Table table, string name, string extension)
    {
        if (folder is null)
            return null;
        Directory.CreateDirectory(folder);
        string file = $"{name}-{device.Name.Replace(':', '-')}{(dtype == DType.Float64 ? "-float64" : "")}.{extension}";
        table.Files.Add(file);
        return Path.Combine(folder, file);
    }

    /// <summary>Numbers from <paramref name="low"/> to <paramref name="high"/>, the same ones for a seed on every device.</summary>
    public Tensor Draw(Shape shape, ulong seed, double low = -1, double high = 1) => Ops.Uniform(shape, dtype, device, seed, low: low, high: high);

    /// <summary>The pool's peak in bytes, over what lived before, while <paramref name="run"/> ran.</summary>
    public long PeakBytes(Action run)
    {
        device.Synchronize();
        device.Memory.ResetPeak();
        long before = device.Memory.LiveBytes;
        run();
        device.Synchronize();
        return device.Memory.PeakBytes - before;
    }
}
