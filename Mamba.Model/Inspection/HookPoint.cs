namespace Mamba;

/// <summary>Where and when a <see cref="Hook"/> is called.</summary>
/// <param name="Site">Which value.</param>
/// <param name="Layer">Of which layer, from 0.</param>
/// <param name="Position">Of which token the first of the values is, counted from the beginning of the sequence.</param>
/// <param name="Count">How many tokens' values: axis 1 of the tensor. States come a token at a time.</param>
public readonly record struct HookPoint(Site Site, int Layer, long Position, long Count);
