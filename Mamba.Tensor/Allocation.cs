namespace Mamba;

/// <summary>One buffer a tensor held: what for, how large, from when to when. Times count allocations and returns, in order.</summary>
/// <param name="By">Who asked for it.</param>
/// <param name="Shape">The tensor's shape; null for scratch that is no tensor.</param>
/// <param name="Elements">Elements of the tensor; bytes of scratch.</param>
/// <param name="Bytes">Bytes the pool gave.</param>
/// <param name="Made">When it was allocated.</param>
/// <param name="Ended">When it was given back; null: it still lives.</param>
internal readonly record struct Allocation(string By, Shape? Shape, long Elements, long Bytes, long Made, long? Ended)
{
    public bool LivesAt(long time) => Made <= time && (Ended is null || Ended > time);
}
