namespace Mamba;

/// <summary>
/// Philox4x32-10: four random words from a counter and a key, without any state, so every device draws the same stream and
/// any part of it can be drawn alone. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.
/// </summary>
public readonly struct Philox(uint a, uint b, uint c, uint d)
{
    public uint A { get; } = a;
    public uint B { get; } = b;
    public uint C { get; } = c;
    public uint D { get; } = d;

    /// <summary>The four words at position <paramref name="counter"/> of stream <paramref name="stream"/> under <paramref name="seed"/>. Runs inside kernels.</summary>
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

/// <summary>Draws one after another from a <see cref="Philox"/> stream, on the host. Its place in the stream is one number.</summary>
/// <param name="seed">The key.</param>
/// <param name="stream">Which of the seed's independent streams.</param>
/// <param name="position">How many words were drawn before.</param>
public sealed class PhiloxRandom(ulong seed, ulong stream = 0, ulong position = 0)
{
    Philox block;
    ulong blockIndex = ulong.MaxValue;

    /// <summary>Words drawn so far; give it to a new generator to go on from here.</summary>
    public ulong Position { get; private set; } = position;

    /// <summary>32 random bits.</summary>
    public uint NextUInt32()
    {
        ulong index = Position / 4;
        if (index != blockIndex)
        {
            block = Philox.At(seed, stream, index);
            blockIndex = index;
        }
        return (Position++ % 4) switch { 0 => block.A, 1 => block.B, 2 => block.C, _ => block.D };
    }

    /// <summary>Uniform in [0, 1), 53 bits.</summary>
    public double NextDouble() => ((ulong)(NextUInt32() >> 5) * 67108864 + (NextUInt32() >> 6)) * (1.0 / 9007199254740992);

    /// <summary>Uniform in 0 … bound − 1, without bias.</summary>
    public int Next(int bound)
    {
        uint threshold = (uint)(-bound) % (uint)bound;
        while (true)
        {
            ulong product = (ulong)NextUInt32() * (uint)bound;
            if ((uint)product >= threshold)
                return (int)(product >> 32);
        }
    }

    /// <summary>Standard normal, by Box and Muller.</summary>
    public double NextNormal() => Math.Sqrt(-2 * Math.Log(1 - NextDouble())) * Math.Cos(2 * Math.PI * NextDouble());
}
