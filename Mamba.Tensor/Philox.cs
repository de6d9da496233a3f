namespace Mamba;

/// <summary>
/// Philox4x32-10: four random words from a counter and a key, without any state, so every device draws the same stream and
/// any part of it can be drawn alone. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.
/// </summary>
/// <param name="a">The first word.</param>
/// <param name="b">The second.</param>
/// <param name="c">The third.</param>
/// <param name="d">The fourth.</param>
public readonly struct Philox(uint a, uint b, uint c, uint d)
{
    /// <summary>The first word.</summary>
    public uint A { get; } = a;

    /// <summary>The second word.</summary>
    public uint B { get; } = b;

    /// <summary>The third word.</summary>
    public uint C { get; } = c;

    /// <summary>The fourth word.</summary>
    public uint D { get; } = d;

    /// <summary>
    /// The four words at position <paramref name="counter"/> of stream <paramref name="stream"/> under <paramref name="seed"/>. Runs inside kernels.
    /// </summary>
    public static Philox At(ulong seed, ulong stream, ulong counter)
    {
        uint c0 = (uint)counter, c1 = (uint)(counter >> 32), c2 = (uint)stream, c3 = (uint)(stream >> 32);
        uint k0 = (uint)seed, k1 = (uint)(seed >> 32);
        for (int round = 0; round < 10; round++)
        {
            ulong p0 = 0xD2511F53UL * c0, p1 = 0xCD9E8D57UL * c2;
            c0 = (uint)(p1 >> 32) ^ c1 ^ k0;
            c1 = (uint)p1;
            c2 = (uint)(p0 >> 32) ^ c3 ^ k1;
            c3 = (uint)p0;
            k0 += 0x9E3779B9;
            k1 += 0xBB67AE85;
        }
        return new Philox(c0, c1, c2, c3);
    }
}
