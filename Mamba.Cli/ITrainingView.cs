namespace Mamba.Cli;

/// <summary>A view of one training; closing it leaves what it showed last.</summary>
internal interface ITrainingView : IDisposable
{
    /// <summary>A step was made.</summary>
    void Show(StepReport step);

    /// <summary>The loss on what is held out was measured; and what the model writes by now, or nothing.</summary>
    void Show(ValidationReport validation, string sample);
}
