namespace Mamba.Reproductions;

/// <summary>A column of a table.</summary>
/// <param name="Name">What is in it, with its unit.</param>
/// <param name="Format">How its numbers are printed.</param>
internal readonly record struct Head(string Name, string Format = "0.0");
