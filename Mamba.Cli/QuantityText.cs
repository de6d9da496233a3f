namespace Mamba.Cli;

/// <summary>
/// What gradients are of, as an option: <c>loss</c>, <c>logit:TOKEN</c>, <c>logprob:TOKEN</c>, <c>logit:TOKEN-TOKEN</c>, each with <c>@POSITION</c>.
/// </summary>
internal static class QuantityText
{
    public const string Forms = "loss|logit:TOKEN|logprob:TOKEN";

    /// <summary>Reads it.</summary>
    /// <param name="text">As it was given; a token is an id, or a text that is one token.</param>
    /// <param name="tokenizer">For texts.</param>
    public static Quantity Parse(string text, Tokenizer? tokenizer)
    {
        if (text == "loss")
            return Quantity.Loss;
        string[] parts = text.Split('@');
        long? position = parts.Length > 1 ? Numbers.Index(parts[^1]) : null;
        string what = position is null ? text : string.Join('@', parts[..^1]);
        if (what.Split(':', 2) is not [("logit" or "logprob") and var kind, { Length: > 0 } token])
            throw new MambaException($"--gradient is '{text}'; expected {Forms}, and perhaps @POSITION.");
        if (kind == "logprob")
            return Quantity.LogProbability(Id(token), position);
        return token.Split('-') is [var first, var second] && Numbers.Index(first) is { } id && Numbers.Index(second) is { } other
            ? Quantity.LogitDifference(id, other, position)
            : Quantity.Logit(Id(token), position);

        int Id(string token)
        {
            if (Numbers.Index(token) is { } id)
                return id;
            int[] ids = tokenizer?.Encode(token)
                ?? throw new MambaException($"--gradient is '{text}'; expected the id of a token, for the model has no tokenizer.");
            return ids.Length == 1 ? ids[0] : throw new MambaException($"--gradient is '{text}': '{token}' is {ids.Length} tokens; expected one.");
        }
    }
}
