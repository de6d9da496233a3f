namespace Mamba.Pictures;

/// <summary>All pictures of a trace.</summary>
internal static class TracePictures
{
    const double Steps = 2e9;           // of scans, for the hidden attention of all layers: a few seconds

    /// <summary>What was written.</summary>
    /// <param name="Files">The files.</param>
    /// <param name="LeftOut">A line for each picture that could not be made of what the trace has, and why.</param>
    internal sealed record Report(IReadOnlyList<string> Files, IReadOnlyList<string> LeftOut);

    /// <summary>Writes them, each as NAME.png and NAME.svg.</summary>
    /// <param name="trace">The trace.</param>
    /// <param name="folder">Where they go; it is made if need be.</param>
    /// <param name="formats">As what they are written.</param>
    /// <param name="row">Which sequence of the trace.</param>
    /// <exception cref="MambaException">There is no such sequence, the trace cannot be read, or a file not be written.</exception>
    public static Report WriteAll(TraceFile trace, string folder, PictureFormats formats = PictureFormats.Both, int row = 0)
    {
        if (row < 0 || row >= trace.Batch)
            throw new MambaException($"{trace.Path}: sequence {row} was asked for; there are {trace.Batch}, counted from 0.");
        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception e) when (InputFile.IsOfFiles(e))
        {
            throw new MambaException($"{folder}: cannot be written: {InputFile.Sentence(e)}", e);
        }
        if (trace.Length == 0)
            return new Report([], ["the trace has no tokens"]);
        var files = new List<string>();
        var leftOut = new List<string>();
        foreach ((string name, Func<Sheet> draw) in All(trace, row, leftOut))
        {
            Sheet sheet;
            try
            {
                sheet = draw();
            }
            catch (MambaException e)
            {
                leftOut.Add($"{name}: {e.Message}");
                continue;
            }
            foreach (PictureFormats format in (ReadOnlySpan<PictureFormats>)[PictureFormats.Png, PictureFormats.Svg])
                if (formats.HasFlag(format))
                {
                    files.Add(Path.Combine(folder, $"{name}.{(format == PictureFormats.Png ? "png" : "svg")}"));
                    sheet.Save(files[^1]);
                }
            foreach ((ScottPlot.Plot plot, _) in sheet.Parts)
                plot.Dispose();
        }
        return new Report(files, leftOut);
    }

    /// <summary>The pictures by name.</summary>
    /// <param name="trace">The trace.</param>
    /// <param name="row">Which sequence.</param>
    /// <param name="leftOut">Gets a line for each layer that is not in a picture of all layers.</param>
    internal static IEnumerable<(string Name, Func<Sheet> Draw)> All(TraceFile trace, int row, List<string> leftOut)
    {
        TraceLayer[] layers = [.. trace.Layers.Select(layer => new TraceLayer(trace, layer, row))];
        double budget = Steps / Math.Max(1, layers.Length);
        yield return ("delta", () => DeltaPictures.Of(With("delta", ["delta"])));
        yield return ("eigenvalues", () => ReachPictures.Eigenvalues(With("eigenvalues", ["A"])));
        yield return ("half-lives", () => ReachPictures.HalfLives(With("half-lives", ["delta"])));
        yield return ("mean-reach", () => ReachPictures.MeanReach(With("mean-reach", ["delta", "B", "C"]), budget));
        yield return ("receptive-field", () => ReachPictures.ReceptiveField(With("receptive-field", ["delta", "B", "C"]), budget));
        foreach (TraceLayer layer in layers)
        {
            yield return ($"delta.layer-{layer.Layer}", () => DeltaPictures.Of(layer));
            yield return ($"states.layer-{layer.Layer}", () => StatePicture.Of(layer));
            yield return ($"attention.layer-{layer.Layer}", () => AttentionPicture.Of(layer, budget));
        }

        // The layers that have what a picture needs: the others are told of, and are missing in it.
        TraceLayer[] With(string name, string[] arrays)
        {
            var able = new List<TraceLayer>();
            var why = new List<string>();
            foreach (TraceLayer layer in layers)
            {
                try
                {
                    layer.Need(arrays);
                    able.Add(layer);
                }
                catch (MambaException e)
                {
                    why.Add(e.Message);
                }
            }
            if (able.Count == 0)
                throw new MambaException(why.Count > 0 ? why[0] : "the trace has no layers");
            leftOut.AddRange(why.Select(line => $"{name}, of one layer: {line}"));
            return [.. able];
        }
    }
}
