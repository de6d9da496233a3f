namespace Mamba;

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
