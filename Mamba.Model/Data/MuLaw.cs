namespace Mamba;

/// <summary>
/// Samples as one of 256 tokens: f(x) = sgn(x) ln(1 + µ|x|) / ln(1 + µ) with µ = 255, and f(x) from −1..1 rounded to 0..255.
/// This is what WaveNet (van den Oord et al. 2016, section 2.2) and SampleRNN do, and torchaudio's <c>mu_law_encoding</c>. It is the curve that ITU-T G.711
/// follows, not its code of segments, which is what files of format 7 hold.
/// </summary>
public static class MuLaw
{
    const double Mu = 255;

    static readonly double LogMu = Math.Log(1 + Mu);

    /// <summary>How many tokens there are.</summary>
    public const int Count = 256;

    /// <summary>The token of a sample: 0 for −1, 128 for 0, 255 for 1. Encode(Decode(token)) is the token.</summary>
    /// <param name="sample">What is outside −1..1 is taken as −1 or 1.</param>
    /// <exception cref="MambaException">The sample is NaN.</exception>
    public static byte Encode(float sample)
    {
        if (float.IsNaN(sample))
            throw new MambaException("MuLaw: a sample is NaN; expected −1 to 1.");
        double x = Math.Clamp(sample, -1.0, 1.0);
        double curved = Math.Sign(x) * Math.Log(1 + Mu * Math.Abs(x)) / LogMu;
        return (byte)((curved + 1) / 2 * Mu + 0.5);
    }

    /// <summary>
    /// The sample of a token, −1 to 1: that in the middle of the curve's piece. There is no token of 0 itself: 128 is 0.00009, 127 is −0.00009.
    /// </summary>
    /// <param name="token">0 to 255.</param>
    /// <exception cref="MambaException">There is no such token.</exception>
    public static float Decode(int token)
    {
        if (token is < 0 or >= Count)
            throw new MambaException($"MuLaw: token {token} was asked for; expected 0 to 255.");
        double curved = token / Mu * 2 - 1;
        return (float)(Math.Sign(curved) * (Math.Exp(Math.Abs(curved) * LogMu) - 1) / Mu);
    }
}
