using System.Text.Json.Serialization;

namespace Mamba.Checks;

/// <summary>A case on a device in a dtype.</summary>
/// <param name="Op">The op.</param>
/// <param name="Case">Which case.</param>
/// <param name="Device">The device.</param>
/// <param name="DType">The dtype.</param>
/// <param name="Outputs">Outputs, then gradients.</param>
/// <param name="Repeatable">Whether three runs gave the same bits.</param>
/// <param name="Kernels">Kernels that ran.</param>
/// <param name="Failure">One line, if the op failed: a kernel wrote outside its tensors, or ended the process.</param>
public sealed record ParityResult(string Op, string Case, string Device, [property: JsonPropertyName("dtype")] string DType,
    IReadOnlyList<ParityOutput> Outputs, bool Repeatable, IReadOnlyList<string> Kernels, string? Failure = null)
{
    /// <summary>One line, if anything is wrong.</summary>
    public string? Problem =>
        Failure ?? Outputs.Select(o => o.Problem).FirstOrDefault(p => p is not null) ?? (Repeatable ? null : "three runs gave different bits");
}
