namespace Mamba.Cli;

/// <summary>A view of one evaluation; closing it leaves what it showed last.</summary>
internal interface IEvaluationView : IDisposable
{
    /// <summary>Sequences of this length come next.</summary>
    void Begin(int length);

    /// <summary>This share of them is done, 0 to 1.</summary>
    void Progress(double share);

    /// <summary>They are all done.</summary>
    void Show(EvalRow row);
}
