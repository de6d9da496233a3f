using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>One of the workers a kernel runs on: a core of the host, a thread of a device.</summary>
/// <param name="index">Which one, from 0.</param>
/// <param name="count">How many there are.</param>
/// <param name="slot">Where its scratch is: no two workers that run at the same time have the same.</param>
/// <param name="strided">
/// True on a device, where neighbouring threads take neighbouring items so that loads coalesce; false on the host, where a
/// core takes one run of items so that cache lines are not shared.
/// </param>
public readonly struct Worker(int index, int count, int slot, bool strided)
{
    readonly bool strided = strided;

    /// <summary>Which worker, from 0.</summary>
    public int Index { get; } = index;

    /// <summary>How many workers there are.</summary>
    public int Count { get; } = count;

    /// <summary>Where its scratch is, from 0: no two workers that run at the same time have the same.</summary>
    public int Slot { get; } = slot;

    /// <summary>This worker's part of <paramref name="items"/> items, taken <paramref name="width"/> at a time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Share Share(long items, int width = 1)
    {
        if (strided)
            return new Share((long)Index * width, items, (long)Count * width);
        long unit = width == 1 ? 1 : 64, units = (items + unit - 1) / unit;     // 64 elements: whole cache lines
        long start = units * Index / Count * unit, end = Math.Min(items, units * (Index + 1) / Count * unit);
        return new Share(start, end, width);
    }
}
