using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>A choice made when a kernel is compiled.</summary>
internal interface IFlag
{
    static abstract bool On { get; }
}

internal struct Yes : IFlag
{
    public static bool On { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => true; }
}

internal struct No : IFlag
{
    public static bool On { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => false; }
}
