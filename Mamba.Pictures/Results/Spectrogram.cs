using System.Numerics;
using MathNet.Numerics;
using MathNet.Numerics.IntegralTransforms;

namespace Mamba.Pictures;

/// <summary>How loud each frequency is at each time: the short-time Fourier transform under Hann's window, in decibels below the loudest.</summary>
internal sealed class Spectrogram
{
    /// <summary>What is quieter, and silence, counts as this, in dB.</summary>
    public const double Floor = -80;

    const double WindowSeconds = 0.032;
    const int MostFrames = 1000;

    /// <summary>(frequencies, frames): dB, 0 the loudest; the first row is the frequency 0.</summary>
    public double[,] Decibels { get; }

    /// <summary>Samples of the window, a power of two.</summary>
    public int Window { get; }

    /// <summary>Samples from the middle of one frame to the middle of the next; the first is in the middle of the first frame.</summary>
    public int Hop { get; }

    /// <summary>From one row to the next, in Hz.</summary>
    public double HertzOfRow { get; }

    /// <param name="samples">Amplitudes, of any scale; at least one, all finite.</param>
    /// <param name="rate">Samples a second.</param>
    /// <exception cref="MambaException">There are none, one is not finite, or the rate is not positive.</exception>
    public Spectrogram(IReadOnlyList<float> samples, int rate)
    {
        if (samples.Count == 0 || rate < 1)
            throw new MambaException($"Spectrogram: there are {samples.Count} samples, {rate} a second; expected at least one of each.");
        for (int i = 0; i < samples.Count; i++)
            if (!float.IsFinite(samples[i]))
                throw new MambaException($"Spectrogram: sample {i} is {samples[i]}; expected a finite number.");
        Window = (int)Math.Max(16, BitOperations.RoundUpToPowerOf2((uint)Math.Ceiling(WindowSeconds * rate)));
        Hop = Math.Max(Window / 8, (samples.Count + MostFrames - 1) / MostFrames);
        HertzOfRow = (double)rate / Window;
        double[] hann = MathNet.Numerics.Window.HannPeriodic(Window);
        int frames = (samples.Count + Hop - 1) / Hop, rows = Window / 2 + 1;
        double[,] power = new double[rows, frames];
        double loudest = 0;
        var frame = new Complex[Window];
        for (int f = 0; f < frames; f++)
        {
            int start = f * Hop - Window / 2;                  // beyond the ends there is silence
            for (int i = 0; i < Window; i++)
                frame[i] = start + i >= 0 && start + i < samples.Count ? hann[i] * samples[start + i] : 0;
            Fourier.Forward(frame, FourierOptions.AsymmetricScaling);
            for (int row = 0; row < rows; row++)
            {
                power[row, f] = frame[row].MagnitudeSquared();
                loudest = Math.Max(loudest, power[row, f]);
            }
        }
        Decibels = power;
        for (int row = 0; row < rows; row++)
            for (int f = 0; f < frames; f++)
                power[row, f] = power[row, f] > 0 ? Math.Max(Floor, 10 * Math.Log10(power[row, f] / loudest)) : Floor;
    }
}
