using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>What one worker gets of the items: start, start + step, … below end.</summary>
/// <param name="start">The first.</param>
/// <param name="end">Behind the last.</param>
/// <param name="step">From one to the next.</param>
public readonly struct Share(long start, long end, long step)
{
    /// <summary>The first item.</summary>
    public long Start { get; } = start;

    /// <summary>The item behind the last.</summary>
    public long End { get; } = end;

    /// <summary>From one item to the next.</summary>
    public long Step { get; } = step;
}
