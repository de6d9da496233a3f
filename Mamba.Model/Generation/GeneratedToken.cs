namespace Mamba;

/// <summary>A token that a model chose.</summary>
/// <param name="Sequence">Which prompt it goes on from, from 0.</param>
/// <param name="Id">The token.</param>
/// <param name="Text">
/// What it adds to the text: whole characters, and nothing that may become a stop string, so that several tokens' text may come with the last of them.
/// Empty without a tokenizer.
/// </param>
/// <param name="LogProb">ln of its probability under the model, before the sampler: log softmax over the padded vocabulary.</param>
/// <param name="Finish">Why it is the last one of its sequence; <see cref="FinishReason.None"/> while it is not.</param>
public readonly record struct GeneratedToken(int Sequence, int Id, string Text, double LogProb, FinishReason Finish);
