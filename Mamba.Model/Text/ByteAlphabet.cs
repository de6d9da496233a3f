namespace Mamba;

/// <summary>The alphabet of GPT-2: bytes that are printable in Latin-1 are written as that character, the others as U+0100 and on. A space is Ġ.</summary>
internal static class ByteAlphabet
{
    static readonly char[] Letters = new char[256];
    static readonly short[] Bytes = new short[0x100 + 68];

    static ByteAlphabet()
    {
        Array.Fill(Bytes, (short)-1);
        int next = 0x100;
        for (int i = 0; i < 256; i++)
        {
            Letters[i] = (char)(i is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or >= 0xAE ? i : next++);
            Bytes[Letters[i]] = (short)i;
        }
    }

    public static char Letter(byte value) => Letters[value];

    /// <summary>The byte that a letter stands for; null for what is no letter of the alphabet.</summary>
    public static byte? Byte(char letter) => letter < Bytes.Length && Bytes[letter] >= 0 ? (byte)Bytes[letter] : null;

    public static string Write(ReadOnlySpan<byte> bytes) => string.Create(bytes.Length, bytes, static (letters, bytes) =>
    {
        for (int i = 0; i < bytes.Length; i++)
            letters[i] = Letters[bytes[i]];
    });
}
