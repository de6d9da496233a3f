namespace Mamba;

/// <summary>Derivatives of one function by all its inputs, from the tape and from differences: the work behind <see cref="GradCheck"/>.</summary>
internal sealed class Differentiation
{
    const double FirstStep = 1.0 / 256;     // powers of two, so that x + h is exact
    const double Finer = 1.0 / 8;
    const int Steps = 5;                    // 2⁻⁸ to 2⁻²⁰
    const double Safety = 4;                // a numeric derivative may be off by so many times what is estimated

    readonly Func<Tensor[]> function;
    readonly (string Name, Tensor Tensor)[] inputs;
    readonly GradCheckOptions options;
    readonly PhiloxRandom random;
    readonly double[][] values, gradients;
    readonly double[] outputs, weights, noise;
    readonly double largest;                // gradient of all inputs

    public Differentiation(Func<Tensor[]> function, (string Name, Tensor Tensor)[] inputs, GradCheckOptions options)
    {
        (this.function, this.inputs, this.options) = (function, inputs, options);
        random = new PhiloxRandom(options.Seed, stream: 0x67726164);
        values = [.. inputs.Select(i => i.Tensor.ToDoubles())];
        using (var tape = new Tape())
        {
            Tensor[] ys = function();
            if (ys.FirstOrDefault(y => y.DType != DType.Float64) is { } y)
                throw new MambaException($"GradCheck: an output is {y.DType.Name()} {y.Shape}; expected float64.");
            Gradients found = tape.Backward(GradCheck.Seeds(ys));
            gradients = [.. inputs.Select(i => found.Contains(i.Tensor) ? found[i.Tensor].ToDoubles() : new double[i.Tensor.Count])];
            weights = [.. ys.SelectMany((y, k) => Enumerable.Range(0, (int)y.Count).Select(j => GradCheck.Weight(k, j)))];
        }
        outputs = Evaluate();
        noise = Noise();
        largest = gradients.Select(Largest).DefaultIfEmpty().Max();
    }

    public GradReport Report() => new([.. inputs.Select((_, i) => Report(i))]);

    GradInputReport Report(int input)
    {
        (string name, Tensor tensor) = inputs[input];
        int count = values[input].Length;
        var samples = new List<GradSample>();
        int elements = count <= options.Elements ? count : options.Elements / 4, directions = count <= options.Elements ? 0 : options.Directions;
        try
        {
            foreach (int j in Picked(count, elements))
                samples.Add(Sample(input, tensor.Shape, [j], null));
            for (int k = 0; k < directions; k++)
            {
                int[] all = [.. Enumerable.Range(0, count)];
                double[] signs = [.. all.Select(_ => random.NextUInt32() % 2 == 0 ? 1.0 : -1.0)];
                GradSample sample = Sample(input, tensor.Shape, all, signs);
                samples.Add(sample);
                if (sample.Verdict is GradVerdict.Differs or GradVerdict.NotSmooth && Narrowed(input, tensor.Shape, all, signs) is { } single)
                    samples.Add(single);
            }
        }
        finally
        {
            tensor.Write<double>(values[input]);
        }
        GradSample? worst = samples.OrderByDescending(s => s.Verdict).ThenByDescending(s => s.Index is not null)
            .ThenByDescending(s => s.RelativeError).FirstOrDefault();
        return new GradInputReport(name, tensor.Shape, elements, directions, samples.MaxBy(s => s.AbsoluteError), samples.MaxBy(s => s.RelativeError), worst,
            samples.Select(s => s.EstimatedError).DefaultIfEmpty().Max());
    }

    // the first, the last, and others at random
    IEnumerable<int> Picked(int count, int wanted)
    {
        if (wanted == count)
            return Enumerable.Range(0, count);
        var picked = new SortedSet<int>();
        if (wanted > 0)
            picked.Add(0);
        if (wanted > 1)
            picked.Add(count - 1);
        while (picked.Count < wanted)
            picked.Add(random.Next(count));
        return picked;
    }

    // A direction that is wrong has a half that is wrong: an element in log₂ n steps. Null if the halves agree.
    GradSample? Narrowed(int input, Shape shape, int[] elements, double[] signs)
    {
        while (elements.Length > 1)
        {
            int half = elements.Length / 2;
            (int[] Elements, double[] Signs)[] halves = [(elements[..half], signs[..half]), (elements[half..], signs[half..])];
            GradSample[] samples = [.. halves.Select(half => Sample(input, shape, half.Elements, half.Signs))];
            int worse = samples[1].Verdict > samples[0].Verdict
                || (samples[1].Verdict == samples[0].Verdict && samples[1].AbsoluteError > samples[0].AbsoluteError) ? 1 : 0;
            if (samples[worse].Verdict < GradVerdict.NotSmooth)
                return null;
            (elements, signs) = halves[worse];
        }
        return Sample(input, shape, elements, null);
    }

    // ---- one derivative ----------------------------------------------------------------------------------------------

    /// <summary>By one element (signs null), or along the direction with these signs at these elements.</summary>
    GradSample Sample(int input, Shape shape, int[] elements, double[]? signs)
    {
        double[] x = values[input], g = gradients[input];
        double scale = Math.Max(Largest(g), 1e-6 * largest), unit = 1, analytic = 0, squares = 0;
        for (int i = 0; i < elements.Length; i++)
        {
            analytic += (signs?[i] ?? 1) * g[elements[i]];
            squares += g[elements[i]] * g[elements[i]];
        }
        if (signs is null)
            unit = Math.ScaleB(1, Math.Max(0, double.IsFinite(x[elements[0]]) && x[elements[0]] != 0 ? Math.ILogB(x[elements[0]]) : 0));
        else
            scale = Math.Max(Math.Sqrt(squares), scale);

        var line = new Line(this, input, elements, signs);
        double good = 1e-2 * options.Tolerance * Math.Max(Math.Abs(analytic), 1e-3 * scale);
        Estimate best = line.At(unit * FirstStep);
        Estimate current = best;
        if (best.Rounding > good && best.Truncation < best.Rounding)
        {
            Estimate coarser = line.At(unit * FirstStep / Finer);
            if (coarser.Error < best.Error)
                best = coarser;
        }
        for (int step = 1; step < Steps && current.Error > good && !(current.Truncation <= current.Rounding); step++)
        {
            current = line.At(unit * FirstStep * Math.Pow(Finer, step));
            if (!(current.Error >= best.Error))
                best = current;
        }
        var sample = new GradSample
        {
            Index = signs is null ? Difference.IndexOf(elements[0], shape) : null,
            Analytic = analytic,
            Numeric = best.Value,
            Step = best.Step,
            Truncation = best.Truncation,
            Rounding = best.Rounding,
            Slopes = (best.Value - best.Jump / 2, best.Value + best.Jump / 2),
            Scale = Math.Max(scale, Math.Abs(best.Value)),
        };
        return sample with { Verdict = Judge(sample, IsKink(line, best)) };
    }

    GradVerdict Judge(GradSample s, bool kink)
    {
        double estimated = Safety * (s.Truncation + s.Rounding);
        double allowed = options.Tolerance * Math.Max(Math.Max(Math.Abs(s.Analytic), Math.Abs(s.Numeric)), 1e-3 * s.Scale) + estimated;
        if (!double.IsFinite(s.Analytic) || !double.IsFinite(s.Numeric))
            return GradVerdict.Differs;
        if (kink)
        {
            double low = Math.Min(s.Slopes.Left, s.Slopes.Right), high = Math.Max(s.Slopes.Left, s.Slopes.Right);
            return options.AllowKinks && s.Analytic >= low - allowed && s.Analytic <= high + allowed ? GradVerdict.Agrees : GradVerdict.NotSmooth;
        }
        return s.AbsoluteError > allowed ? GradVerdict.Differs : estimated > options.Tolerance * s.Scale ? GradVerdict.Inconclusive : GradVerdict.Agrees;
    }

    // The one-sided slopes differ by more than noise, and still do with a smaller step, where a smooth function's would be closer.
    static bool IsKink(Line line, Estimate estimate)
    {
        if (!Suspicious(estimate))
            return false;
        Estimate finer = line.At(estimate.Step * Finer);
        return Suspicious(finer) && Math.Abs(finer.Jump) > 0.5 * Math.Abs(estimate.Jump);

        static bool Suspicious(Estimate e) => Math.Abs(e.Jump) > 1e-3 * Math.Abs(e.Value) && Math.Abs(e.Jump) > 100 * e.Rounding;
    }

    /// <summary>A derivative by differences, and what may be wrong with it.</summary>
    /// <param name="Value">The derivative.</param>
    /// <param name="Step">The smallest step it is made of.</param>
    /// <param name="Truncation">What higher derivatives may contribute.</param>
    /// <param name="Rounding">What noise contributes.</param>
    /// <param name="Jump">The derivative to the right less that to the left, extrapolated to step 0.</param>
    readonly record struct Estimate(double Value, double Step, double Truncation, double Rounding, double Jump)
    {
        public double Error => Truncation + Rounding;
    }

    /// <summary>L along a line through the inputs: x + t v in one input, v having the given signs at the given elements.</summary>
    sealed class Line(Differentiation of, int input, int[] elements, double[]? signs)
    {
        readonly double[] at = [.. of.values[input]];

        double[] Outputs(double t)
        {
            for (int i = 0; i < elements.Length; i++)
                at[elements[i]] = of.values[input][elements[i]] + (signs?[i] ?? 1) * t;
            of.inputs[input].Tensor.Write<double>(at);
            return of.Evaluate();
        }

        /// <summary>From central differences at h, 2h and 4h, extrapolated twice (Richardson); the error is of order h⁶.</summary>
        public Estimate At(double h)
        {
            Span<double> central = stackalloc double[3], second = stackalloc double[3];     // Σ w (y₊ − y₋) / 2kh, Σ w (y₊ − 2y + y₋) / kh
            Span<double[]> up = new double[3][], down = new double[3][];
            for (int i = 0; i < 3; i++)
            {
                double step = h * (1 << i);
                (up[i], down[i]) = (Outputs(step), Outputs(-step));
                double odd = 0, even = 0;
                for (int j = 0; j < of.outputs.Length; j++)
                {
                    odd += of.weights[j] * (up[i][j] - down[i][j]);
                    even += of.weights[j] * (up[i][j] - of.outputs[j] + (down[i][j] - of.outputs[j]));
                }
                (central[i], second[i]) = (odd / (2 * step), even / step);
            }
            double squares = 0;                                     // noise of those outputs that depend on t
            for (int j = 0; j < of.outputs.Length; j++)
                if (up[2][j] != of.outputs[j] || down[2][j] != of.outputs[j] || up[0][j] != down[0][j])
                    squares += of.weights[j] * of.noise[j] * (of.weights[j] * of.noise[j]);
            double fourth = (4 * central[0] - central[1]) / 3, fourthBefore = (4 * central[1] - central[2]) / 3, sixth = (16 * fourth - fourthBefore) / 15;
            // slope right − slope left = jump + a h + b h³ + …
            double jump = (16 * second[0] - 10 * second[1] + second[2]) / 7;
            double rounding = Math.Sqrt(squares) / h;
            double truncation = Math.Abs(sixth - fourth);
            return new Estimate(sixth, h, double.IsNaN(truncation) ? double.PositiveInfinity : truncation, rounding, jump);
        }
    }

    double[] Evaluate()
    {
        using var scope = new TensorScope();
        return [.. function().SelectMany(y => y.ToDoubles())];
    }

    /// <summary>
    /// The noise of each output: what is random in values at points so close that the function is a straight line. The fourth difference of
    /// five values leaves only that. Moré and Wild 2011, "Estimating Computational Noise". Five points to either side, so that a kink
    /// in the middle does not count as noise; at least half a unit in the last place.
    /// </summary>
    double[] Noise()
    {
        const double Apart = 1.0 / (1 << 24), Gamma = 1.0 / 70;      // (4!)² / 8!
        double[][] signs = [.. values.Select(v => v.Select(_ => random.NextDouble() * 2 - 1).ToArray())];
        double[] squares = new double[outputs.Length];
        foreach (int side in new[] { -1, 1 })
        {
            double[] fourth = new double[outputs.Length];
            foreach ((int k, int binomial) in new[] { (1, 1), (2, -4), (3, 6), (4, -4), (5, 1) })
            {
                for (int i = 0; i < inputs.Length; i++)
                    inputs[i].Tensor.Write<double>([.. values[i].Select((x, j) => x + side * k * Apart * signs[i][j])]);
                double[] at = Evaluate();
                for (int j = 0; j < fourth.Length; j++)
                    fourth[j] += binomial * at[j];
            }
            for (int j = 0; j < fourth.Length; j++)
                squares[j] += fourth[j] * fourth[j];
        }
        for (int i = 0; i < inputs.Length; i++)
            inputs[i].Tensor.Write<double>(values[i]);
        return [.. squares.Select((s, j) =>
        {
            double least = 1.1e-16 * Math.Abs(outputs[j]);
            return double.IsFinite(s) ? Math.Max(Math.Sqrt(Gamma * s / 2), least) : least;
        })];
    }

    static double Largest(double[] x) => x.Select(Math.Abs).Where(double.IsFinite).DefaultIfEmpty().Max();
}
