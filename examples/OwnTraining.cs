namespace Mamba.Examples;

/// <summary>A model, data and a loss of your own in the training loop: the next value of a wave, from a backbone fed with numbers.</summary>
public static class OwnTraining
{
    /// <summary>A backbone between two linear layers: (b, l, 1) → (b, l, 1).</summary>
    sealed class Forecaster : Module
    {
        readonly Linear input, output;
        readonly MambaBackbone backbone;

        public Forecaster(MambaConfig config)
        {
            input = Add("input", new Linear(1, config.DModel));
            backbone = Add("backbone", new MambaBackbone(config));
            output = Add("output", new Linear(config.DModel, 1));
        }

        public Tensor Forward(Tensor x) => output.Forward(backbone.Forward(input.Forward(x)));
    }

    public static void Run(Device device) => Train(device, steps: 60);

    /// <summary>The first and the last loss.</summary>
    public static (double First, double Last) Train(Device device, int steps)
    {
        var model = new Forecaster(new MambaConfig { DModel = 16, NLayer = 2 });
        using ParameterSet parameters = model.Initialize(device, seed: 1);
        using var optimizer = new AdamW(parameters, learningRate: 3e-3, weightDecay: 0);
        var loop = new TrainingLoop(optimizer) { Clip = 1, Schedule = new Schedule.WarmupCosine(Warmup: 10, Total: steps, Peak: 3e-3) };
        LoopStep first = default, last = default;
        for (int step = 0; step < steps; step++)
        {
            float[] wave = Wave(step, count: 8, length: 33);                            // 8 waves of 33 samples
            last = loop.Step(() =>
            {
                Tensor whole = Tensor.From(wave, (8, 33, 1), device);
                return Ops.MeanSquaredError(model.Forward(whole[.., ..32]), whole[.., 1..]);
            });
            if (step == 0)
                first = last;
            if (step % 20 == 0 || step == steps - 1)
                Console.WriteLine($"step {last.Step,3}  loss {last.Loss:0.0000}  gradient {last.GradientNorm:0.000}  lr {last.LearningRate:0.00e0}");
        }
        return (first.Loss, last.Loss);
    }

    static float[] Wave(int seed, int count, int length)
    {
        var random = new PhiloxRandom((ulong)seed);
        float[] samples = new float[count * length];
        for (int i = 0; i < count; i++)
        {
            double frequency = 0.2 + 0.4 * random.NextDouble(), phase = 6 * random.NextDouble();
            for (int t = 0; t < length; t++)
                samples[i * length + t] = (float)Math.Sin(frequency * t + phase);
        }
        return samples;
    }
}
