using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>What the reverse walk gathers over n at one step, beside the gradients of B and C.</summary>
internal struct StepSums<V>
{
    public V Decay;     // Σ ∂L/∂z · A: the part of dΔ through z = ΔA, in the units A arrives in
    public V Input;     // Σ ∂L/∂(Δ u B) · B; where steps look back Σ ∂L/∂p · B
    public V Direct;    // Σ g (γ p_t + β p_{t−1}): the part of dΔ beside z; only where steps look back
    public V Y;         // Σ C h
}
