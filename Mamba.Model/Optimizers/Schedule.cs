namespace Mamba;

/// <summary>The learning rate of every step, the first being step 0.</summary>
public abstract record Schedule
{
    /// <summary>lr of one step.</summary>
    /// <param name="step">Its number, the first being 0.</param>
    public abstract double LearningRate(long step);

    /// <summary>The same rate always.</summary>
    /// <param name="Rate">lr of every step.</param>
    public sealed record Constant(double Rate) : Schedule
    {
        /// <inheritdoc/>
        public override double LearningRate(long step) => Rate;
    }

    /// <summary>
    /// Up in a straight line, reaching <paramref name="Peak"/> with step Warmup − 1; down along half a cosine, reaching
    /// <paramref name="Floor"/> at step Total, and there from then on. Loshchilov and Hutter 2017 (SGDR), eq. 5, without restarts.
    /// </summary>
    /// <param name="Warmup">Steps of the rise; 0 for none.</param>
    /// <param name="Total">Steps in all.</param>
    /// <param name="Peak">The highest rate.</param>
    /// <param name="Floor">The last rate.</param>
    public sealed record WarmupCosine(long Warmup, long Total, double Peak, double Floor = 0) : Schedule
    {
        /// <inheritdoc/>
        public override double LearningRate(long step)
        {
            if (step < Warmup)
                return Peak * (step + 1) / Warmup;
            if (step >= Total)
                return Floor;
            double progress = (double)(step - Warmup) / (Total - Warmup);
            return Floor + (Peak - Floor) * 0.5 * (1 + Math.Cos(Math.PI * progress));
        }
    }
}
