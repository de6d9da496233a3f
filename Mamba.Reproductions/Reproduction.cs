namespace Mamba.Reproductions;

/// <summary>
/// One of the paper's results, made again: it trains, prints a table with the paper's figures beside ours, draws, and claims the order that the paper found.
/// </summary>
internal abstract class Reproduction
{
    /// <summary>Its name on the command line.</summary>
    public abstract string Name { get; }

    /// <summary>Where the paper has it: Table 1.</summary>
    public abstract string Table { get; }

    /// <summary>What it shows, in one line.</summary>
    public abstract string Summary { get; }

    /// <summary>How long the reduced size takes on two cores.</summary>
    public abstract string Minutes { get; }

    /// <summary>What is different at the full size.</summary>
    public abstract string Full { get; }

    /// <summary>What --data is; null: it makes its own.</summary>
    public virtual string? Data => null;

    /// <summary>Seeds of the reduced size, unless one says.</summary>
    public virtual int Seeds => 1;

    /// <summary>Does it.</summary>
    /// <param name="run">On what, with what, and who is told.</param>
    public abstract void Run(ReproductionRun run);
}
