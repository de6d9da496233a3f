using Mamba.Pictures;

namespace Mamba.Reproductions;

/// <summary>The paper's small results, each by its name.</summary>
public static class Reproduce
{
    /// <summary>All there are, in the order they are listed.</summary>
    internal static IReadOnlyList<Reproduction> All { get; } =
    [
        new Selection(), new Induction(), new Ablations(), new DnaContext(), new Promoters(), new Digits(), new ComplexAudio(), new Forecasting(),
    ];

    /// <summary>The names there are.</summary>
    public static IReadOnlyList<string> Names => [.. All.Select(reproduction => reproduction.Name)];

    /// <summary>Makes a result again: prints it, and writes it into a folder.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="device">What it runs on.</param>
    /// <param name="folder">Where the results go.</param>
    /// <param name="size">How large it is.</param>
    /// <param name="seeds">How many trainings of each kind; null: what it says itself.</param>
    /// <param name="data">The file it is trained on, where it needs one.</param>
    /// <param name="stop">Ends it with an <see cref="OperationCanceledException"/>; no results are then written.</param>
    /// <returns>Whether all that was claimed holds.</returns>
    /// <exception cref="MambaException">There is no such result, or what it needs is missing.</exception>
    public static bool Run(string name, Device device, string folder, Size size = Size.Reduced, int? seeds = null, string? data = null,
        CancellationToken stop = default) => Run(Named(name), device, folder, size, seeds, data, new Screen(), stop);

    internal static Reproduction Named(string name) => All.FirstOrDefault(known => known.Name == name)
        ?? throw new MambaException($"reproduce: there is no '{name}'; expected one of {string.Join(", ", Names)}.");

    internal static bool Run(Reproduction reproduction, Device device, string folder, Size size, int? seeds, string? data,
        Screen screen, CancellationToken stop)
    {
        Expect(reproduction, folder, seeds, data);
        var run = new ReproductionRun(device, folder, screen, stop)
        {
            Size = size,
            Seeds = [.. Enumerable.Range(0, seeds ?? (size == Size.Quick ? 1 : reproduction.Seeds)).Select(seed => (ulong)seed)],
            Data = data,
        };
        run.Say($"{reproduction.Name}, {reproduction.Table}: {reproduction.Summary}");
        run.Say($"on {device.Name} ({device.Description}), size {$"{size}".ToLowerInvariant()}, "
            + $"{(run.Seeds.Count == 1 ? "one seed" : $"{run.Seeds.Count} seeds")}, into {folder}");
        try
        {
            reproduction.Run(run);
            run.Save(reproduction);
            return run.Holds;
        }
        catch (OperationCanceledException e)
        {
            screen.Clear();
            throw new OperationCanceledException($"{TraceLayer.Words(run.Trained, "training")}; no results were written", e, stop);
        }
    }

    /// <summary>Throws one clear line if what a reproduction needs is missing.</summary>
    internal static void Expect(Reproduction reproduction, string folder, int? seeds, string? data)
    {
        if (seeds is < 1 or > 100)
            throw new MambaException($"seeds is {seeds}; expected 1 to 100.");
        if (File.Exists(folder))
            throw new MambaException($"{folder} is a file; expected the name of a folder.");
        if (reproduction.Data is { } expected && data is null)
            throw new MambaException($"reproduce {reproduction.Name}: data is missing; expected {expected}.");
        if (reproduction.Data is null && data is not null)
            throw new MambaException($"reproduce {reproduction.Name}: data was given; it makes its own.");
        if (data is not null)
            InputFile.ExpectFile(data);
    }
}
