namespace Mamba.Reproductions;

/// <summary>Trains on examples and ends with the weights that did best on what is held out, as <c>mamba train</c> does with a run folder.</summary>
internal static class BestWeights
{
    /// <summary>From fresh weights to the best.</summary>
    /// <param name="run">Who is told.</param>
    /// <param name="what">What is trained.</param>
    /// <param name="options">How; how often it is looked what is best.</param>
    /// <param name="data">On what.</param>
    /// <param name="sizes">Width, layers, blocks.</param>
    /// <returns>The trainer, which is the caller's.</returns>
    public static Trainer Train(ReproductionRun run, string what, TrainOptions options, SplitData data, MambaConfig sizes)
    {
        double[]? best = null;
        double least = double.PositiveInfinity;
        Trainer trainer = run.Train(what, options, data.ModelOf(sizes), data, (now, _) =>
        {
            if (now.State.Step % options.EvalEvery != 0 && !now.IsDone)
                return;
            if (data.Score(now.Network, null, run.Stop) is { } held && held.Loss < least)
                (least, best) = (held.Loss, now.Network.Parameters.Flat.ToDoubles());
        });
        if (best is not null)
            trainer.Network.Parameters.Flat.WriteRounded(best);
        return trainer;
    }
}
