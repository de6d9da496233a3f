namespace Mamba;

/// <summary>A step of a <see cref="Sampler"/>.</summary>
/// <param name="logits">(v), the padding of the vocabulary included; to be changed in place. −∞ takes a token out.</param>
/// <param name="tokens">The sequence so far, the prompt included.</param>
public delegate void LogitsFilter(Span<double> logits, IReadOnlyList<int> tokens);
