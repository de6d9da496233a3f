using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>Where a value of each n stands: at element Start + n·Stride.</summary>
internal struct Column(long start, long stride)
{
    public long Start = start, Stride = stride;
}
