namespace Mamba;

/// <summary>What an algorithm costs for u (b, l, d) and n states, forward.</summary>
/// <param name="Work">Operations, in updates of a state: one decay, one multiply-add.</param>
/// <param name="Depth">The longest chain of updates that wait for each other.</param>
/// <param name="Elements">Elements it stores beside inputs and outputs, for the backward pass or to work in.</param>
public readonly record struct ScanCost(double Work, double Depth, double Elements);
