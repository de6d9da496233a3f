using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>One item of work: a strip of channels of one segment of one row.</summary>
internal struct ScanItem
{
    public int B, G, Strip, FirstChannel, EndChannel;
    public long Row;            // b · segments + segment
    public long Start, End;     // tokens
}
