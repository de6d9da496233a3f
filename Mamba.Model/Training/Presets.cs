namespace Mamba;

/// <summary>Options that are known to work.</summary>
public static class Presets
{
    /// <summary><c>quick</c>: a minute or two on two cores. <c>paper</c>: the full hyper-parameters of arXiv 2312.00752.</summary>
    public static TrainOptions Named(string task, string preset) => (task, preset) switch
    {
        // Length 256 from the start is at chance for thousands of steps, and length 64 alone is not kept up beyond a few
        // thousand tokens. So: short ones until they are right, then length 256 for a good while longer, in small batches: it
        // is the number of updates that drives delta on tokens to be ignored towards 0, and so memory towards a million. A
        // last stretch at a tenth of the rate settles the weights.
        (InductionHeads.TaskName, "quick") => new TrainOptions
        {
            Task = task,
            Preset = preset,
            Stages = [new(64, 32, 1200, 0.99), new(256, 2, 5000), new(256, 8, 200, Rate: 0.1)],
            LearningRate = 5e-3,
            Beta2 = 0.95,
            Eps = 1e-12,        // the gradients that are left are far below 1e-8; they still point the right way
            Clip = 1,
            MaxEvalLength = 1 << 20,
        },
        // Table 11: 25 epochs of 8192 steps.
        (InductionHeads.TaskName, "paper") => new TrainOptions
        {
            Task = task,
            Preset = preset,
            Stages = [new(256, 8, 204_800)],
            MaxEvalLength = 1 << 20,
        },
        (SelectiveCopying.TaskName, "quick") => new TrainOptions
        {
            Task = task,
            Preset = preset,
            DataTokens = 8,
            Stages = [new(64, 32, 3200)],
            MaxEvalLength = 256,
        },
        // Table 1 and appendix E.1.
        (SelectiveCopying.TaskName, "paper") => new TrainOptions
        {
            Task = task,
            Preset = preset,
            DataTokens = 16,
            Stages = [new(4096, 64, 400_000)],
            LearningRate = 1e-4,
            MaxEvalLength = 4096,
        },
        (InductionHeads.TaskName or SelectiveCopying.TaskName, _) => throw new MambaException($"Preset '{preset}' is unknown; there are quick and paper."),
        _ => throw new MambaException($"Task '{task}' is unknown; there are {InductionHeads.TaskName}, {SelectiveCopying.TaskName} and {TokenBatches.TaskName}."),
    };

    /// <summary>The paper's model for both tasks: two layers of 64, 74 thousand weights.</summary>
    public static MambaConfig Model => new() { DModel = 64, NLayer = 2, VocabSize = 16 };
}
