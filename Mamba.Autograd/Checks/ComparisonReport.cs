namespace Mamba;

/// <summary>What <see cref="GradCheck.Compare"/> found.</summary>
/// <param name="Differences">Every output, then the gradient of every input.</param>
public sealed record ComparisonReport(IReadOnlyList<Difference> Differences)
{
    /// <summary>Whether everything is the same within the tolerance.</summary>
    public bool Passed => Differences.All(d => d.Passed);

    /// <summary>The one farthest off; null if there is nothing to compare.</summary>
    public Difference? Worst => Differences.MaxBy(d => d.Relative);

    /// <exception cref="MambaException">Something differs; the message says what, where, and by how much.</exception>
    public void ThrowIfFailed()
    {
        if (!Passed)
            throw new MambaException($"Compare: {Worst}");
    }

    /// <summary>One line: what is farthest off.</summary>
    public override string ToString() => Worst?.ToString() ?? "There is nothing to compare.";
}
