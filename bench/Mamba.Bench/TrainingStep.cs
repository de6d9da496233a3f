namespace Mamba.Bench;

/// <summary>A model, its optimizer and a batch, to step again and again.</summary>
internal sealed class TrainingStep : IDisposable
{
    readonly MambaLM model;
    readonly AdamW optimizer;
    readonly int[] tokens;
    readonly Shape shape;

    public TrainingStep(Bench bench, MambaConfig config, int batch, int length)
    {
        model = new MambaLM(config, bench.Device, seed: 1, bench.DType);
        optimizer = new AdamW(model.Parameters, 1e-3);
        var random = new PhiloxRandom(1);
        shape = (batch, length);
        tokens = [.. Enumerable.Range(0, batch * length).Select(_ => random.Next(config.VocabSize))];
    }

    public MambaLM Model => model;

    public void Run() => Run(scale: 1);

    /// <summary>A step whose gradients are scaled.</summary>
    public void Run(double scale)
    {
        using var tape = new Tape();
        Tensor x = Tensor.From(tokens, shape, model.Parameters.Device);
        Tensor loss = Ops.CrossEntropy(model.Forward(x), x);
        if (scale != 1)
            loss = Ops.Mul(loss, scale);
        optimizer.Step(tape.Backward(loss).ClipNorm(1));
    }

    public void Dispose()
    {
        optimizer.Dispose();
        model.Dispose();
    }
}
