namespace Mamba.Bench;

/// <summary>b sequences of l tokens with d channels, and n states for each channel.</summary>
internal readonly record struct Size(long B, long L, long D, long N = Size.UsualStates)
{
    /// <summary>The paper's n.</summary>
    public const long UsualStates = 16;

    public override string ToString() => $"b {B}, l {L}, d {D}{States(N)}";

    /// <summary>", n 32", and nothing for the usual 16: so rows have the names they always had.</summary>
    public static string States(long n) => n == UsualStates ? "" : $", n {n}";
}
