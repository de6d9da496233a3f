using Mamba.Pictures;
using MathNet.Numerics.LinearAlgebra;

namespace Mamba.Reproductions;

/// <summary>Four days of a transformer's loads and temperature from the four before, beside a line and the last value.</summary>
internal sealed class Forecasting : Reproduction
{
    /// <inheritdoc/>
    public override string Name => "forecast";

    /// <inheritdoc/>
    public override string Table => "beside S-Mamba (arXiv 2403.11144, Table 2)";

    /// <inheritdoc/>
    public override string Summary => "96 hours foretold from 96, on ETTh1, beside the last value and a linear map";

    /// <inheritdoc/>
    public override string Minutes => "3 minutes on one core, with other work beside";

    /// <inheritdoc/>
    public override string Full => "four times the steps";

    /// <inheritdoc/>
    public override string Data => "ETTh1.csv";

    /// <inheritdoc/>
    public override int Seeds => 3;

    /// <inheritdoc/>
    public override void Run(ReproductionRun run)
    {
        TrainingTask task = TrainingTask.Named("forecast");
        SequenceOptions sequence = task.Preset().Sequence! with
        {
            LookBack = run.Of(24, 96, 96),
            Horizon = run.Of(12, 96, 96),
            Rows = run.Of<int[]?>(null, [8640, 2880, 2880], [8640, 2880, 2880]),
        };
        var data = new ForecastData(run.Data!, sequence);
        long steps = run.Of(4, task.Preset().Stages[0].Steps, 4 * task.Preset().Stages[0].Steps);
        var found = new List<RegressionReport>();
        RegressionReport? last = null;
        foreach (ulong seed in run.Seeds)
        {
            TrainOptions options = task.Preset() with { Data = run.Data, Sequence = sequence, Seed = seed, Steps = steps, EvalEvery = Math.Max(1, steps / 10) };
            using Trainer trainer = BestWeights.Train(run, $"Mamba, seed {seed}", options, data, task.Model);
            SplitReport report = data.Evaluate(trainer.Network, DataPart.Test, null, run.Stop);
            found.Add(report.Regression!);
            last = report.LastValue;
            if (seed == run.Seeds[^1])
                run.Draw("forecast", () => Chart(data, trainer.Network));
        }
        RegressionReport line = Linear(run, data);
        double[] mse = [.. found.Select(report => report.Mse)], mae = [.. found.Select(report => report.Mae)];
        run.Table($"test rows, {data.Columns.Count} columns, standardized by the training rows", [new("", ""), new("MSE", "0.000"), new("MAE", "0.000"),
            new("MSE, least", "0.000"), new("most", "0.000")],
            [
                ["Mamba, ours", mse.Average(), mae.Average(), mse.Min(), mse.Max()],
                ["linear map, ours", line.Mse, line.Mae, null, null],
                ["last value", last!.Mse, last.Mae, null, null],
                ["S-Mamba, published", 0.386, 0.405, null, null],
            ]);
        run.Claim("Mamba foretells better than the last value, with every seed", mse.Max() < last.Mse,
            $"{ReproductionRun.Range(mse, "0.000")} below {last.Mse:0.000}");
        run.Say("  A linear map is a strong rival here: Zeng et al. 2023 (arXiv 2205.13504).");
    }

    // the best line by least squares: from the look-back less its last value to the horizon less it, one for all columns (Zeng et al. 2023, NLinear)
    static RegressionReport Linear(ReproductionRun run, ForecastData data)
    {
        int inputs = data.LookBack + 1;
        Matrix<double> products = Matrix<double>.Build.Dense(inputs, inputs), sums = Matrix<double>.Build.Dense(inputs, data.Horizon);
        foreach ((double[] x, double[] y) in data.Windows(DataPart.Train, every: run.Of(8, 1, 1)).Select(Centred))
        {
            for (int i = 0; i < inputs; i++)
            {
                for (int j = 0; j < inputs; j++)
                    products[i, j] += x[i] * x[j];
                for (int j = 0; j < data.Horizon; j++)
                    sums[i, j] += x[i] * y[j];
            }
            run.Progress(() => "the linear map");
        }
        for (int i = 0; i < inputs; i++)
            products[i, i] += 1e-3;
        Matrix<double> map = products.Cholesky().Solve(sums);
        var report = new RegressionReport();
        foreach ((double[] Read, double[] Next) window in data.Windows(DataPart.Test, every: 1))
        {
            (double[] x, double[] y) = Centred(window);
            Vector<double> said = map.LeftMultiply(Vector<double>.Build.Dense(x));
            for (int t = 0; t < y.Length; t++)
                report.Add(said[t], y[t]);
        }
        return report;

        static (double[] X, double[] Y) Centred((double[] Read, double[] Next) window)
        {
            double last = window.Read[^1];
            return ([.. window.Read.Select(value => value - last), 1], [.. window.Next.Select(value => value - last)]);
        }
    }

    static Sheet Chart(ForecastData data, MambaModel model)
    {
        (double[] history, double[] truth, double[] said) = data.Example(model, column: data.Columns.Count - 1);
        string name = data.Columns[^1];
        return ForecastChart.Of($"{name}: the first hours of the test", $"foretold from {history.Length} hours", "hours", name, history, truth,
            ("Mamba", said));
    }
}
