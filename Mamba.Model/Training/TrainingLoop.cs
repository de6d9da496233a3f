namespace Mamba;

/// <summary>
/// Trains anything on anything: a step takes a function that computes a loss, and does the rest. It opens a tape, looks whether loss and gradients are
/// numbers, clips, sets the learning rate and updates.
/// <code>
/// using var optimizer = new AdamW(parameters, 1e-3);
/// var loop = new TrainingLoop(optimizer) { Clip = 1, Schedule = new Schedule.WarmupCosine(Warmup: 100, Total: 2000, Peak: 1e-3) };
/// foreach ((Tensor x, Tensor y) in batches)
///     Console.WriteLine(loop.Step(() => Ops.MeanSquaredError(model.Forward(x), y)).Loss);
/// </code>
/// <see cref="Trainer"/> adds to it what a language model in a run folder needs: stages, accuracy, checkpoints.
/// </summary>
/// <param name="optimizer">Holds what is trained, and counts the steps.</param>
public sealed class TrainingLoop(AdamW optimizer)
{
    /// <summary>Gradients are scaled down to this norm; 0: never.</summary>
    public double Clip { get; init; }

    /// <summary>The learning rate of each step, the first being step 0; null leaves the optimizer's as it is.</summary>
    public Schedule? Schedule { get; init; }

    /// <summary>What to try when training diverges, for the message.</summary>
    internal string Advice { get; init; } = "Try a smaller learning rate, clipping, or float64.";

    /// <summary>One step.</summary>
    /// <param name="loss">Computes the loss, a tensor of one element, on the tape that is open.</param>
    /// <param name="afterwards">Called after the update, while the tape is still open: what the loss was made of can be looked at.</param>
    /// <exception cref="MambaException">The loss or a gradient is infinite or NaN; the parameters and the optimizer are as before the step.</exception>
    public LoopStep Step(Func<Tensor> loss, Action? afterwards = null)
    {
        long step = optimizer.StepCount;
        using var tape = new Tape();
        Tensor l = loss();
        double value = l.Item();
        if (!double.IsFinite(value))
            throw Diverged($"The loss is {value} at step {step + 1}");
        Gradients gradients = tape.Backward(l);
        if (Clip > 0)
            gradients = gradients.ClipNorm(Clip);
        double norm = gradients.Norm;               // the one wait of the step for what follows the loss: before the update, so that a bad one is not made
        if (!double.IsFinite(norm))
            throw Diverged(gradients.NonFinite is { } parameter
                ? $"The gradient of {parameter.Name} is infinite or NaN at step {step + 1}"
                : $"The norm of the gradients is more than {l.DType.Name()} holds at step {step + 1}");
        if (Schedule is not null)
            optimizer.LearningRate = Schedule.LearningRate(step);
        optimizer.Step(gradients);
        if (afterwards is not null)
            using (Tape.NoGrad())
                afterwards();
        return new LoopStep(step + 1, value, norm, optimizer.LearningRate);
    }

    internal MambaException Diverged(string what) => new($"{what}: training stops, and what was saved last stays. {Advice}");
}
