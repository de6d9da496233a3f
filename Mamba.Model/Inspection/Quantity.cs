using System.Globalization;

namespace Mamba;

/// <summary>
/// A number that a model's logits make, which gradients are asked of: a sum of what each token adds, so that a long sequence can be taken in pieces. Of
/// several sequences it is the sum.
/// </summary>
public sealed class Quantity
{
    readonly string name;
    readonly Func<Tensor, Part, Tensor?> part;

    Quantity(string name, bool takesPieces, Func<Tensor, Part, Tensor?> part) => (this.name, TakesPieces, this.part) = (name, takesPieces, part);

    /// <summary>Some tokens of a whole.</summary>
    /// <param name="Ids">All of them (b, l), row-major.</param>
    /// <param name="Length">l</param>
    /// <param name="First">The first of these.</param>
    /// <param name="Vocabulary">v without padding.</param>
    internal readonly record struct Part(int[] Ids, long Length, long First, int Vocabulary);

    /// <summary>The mean over all tokens but the first of −log p(token), in nats.</summary>
    public static Quantity Loss { get; } = new("loss", true, (logits, at) =>
    {
        if (at.Length < 2)
            throw new MambaException("Quantity: the loss of one token was asked for; it needs a next one.");
        long b = logits.Shape[0], count = logits.Shape[1], scored = Math.Min(count, at.Length - 1 - at.First);
        if (scored == 0)
            return null;
        int[] targets = new int[b * count];
        for (long i = 0; i < targets.Length; i++)
            targets[i] = i % count < scored ? at.Ids[i / count * at.Length + at.First + i % count + 1] : SequenceTask.Ignore;
        Tensor mean = Ops.CrossEntropy(logits, Tensor.From(targets, (b, count), logits.Device), SequenceTask.Ignore, at.Vocabulary);
        return mean * ((double)scored / (at.Length - 1));
    });

    /// <summary>The logit of a token.</summary>
    /// <param name="token">Its id.</param>
    /// <param name="position">After which token of the sequence, from 0; null: the last.</param>
    public static Quantity Logit(int token, long? position = null) =>
        At($"logit of {Text(token)}", position, [token], (logits, _) => Column(logits, token));

    /// <summary>The logarithm of the probability of a token, in nats.</summary>
    /// <inheritdoc cref="Logit"/>
    public static Quantity LogProbability(int token, long? position = null) =>
        At($"log probability of {Text(token)}", position, [token], (logits, v) => Column(Ops.LogSoftmax(Ops.Slice(logits, 1, 0, v)), token));

    /// <summary>By how much the logit of one token is above that of another.</summary>
    /// <param name="token">Its id.</param>
    /// <param name="other">The other's.</param>
    /// <param name="position">After which token of the sequence, from 0; null: the last.</param>
    public static Quantity LogitDifference(int token, int other, long? position = null) => At($"logit of {Text(token)} less that of {Text(other)}", position,
        [token, other], (logits, _) => Column(logits, token) - Column(logits, other));

    /// <summary>A number of your own. The sequence is not taken in pieces then.</summary>
    /// <param name="name">What it is, in words.</param>
    /// <param name="of">From logits (b, l, v), padding of the vocabulary included, to a tensor of one element, by ops.</param>
    public static Quantity Of(string name, Func<Tensor, Tensor> of) => new(name, false, (logits, _) => of(logits));

    /// <summary>Whether a sequence can be taken in pieces.</summary>
    internal bool TakesPieces { get; }

    /// <summary>What some tokens add: one element; null: nothing.</summary>
    internal Tensor? In(Tensor logits, Part at) => part(logits, at) is not { } value ? null
        : value.Count == 1 ? value
        : throw new MambaException($"Quantity '{name}' has shape {value.Shape}; expected one element.");

    static Quantity At(string name, long? position, int[] tokens, Func<Tensor, int, Tensor> of) =>
        new(name += position is { } p ? $" after position {Text(p)}" : " after the last position", true, (logits, at) =>
        {
            foreach (int token in tokens)
                if (token < 0 || token >= at.Vocabulary)
                    throw new MambaException($"Quantity '{name}': token {token}; the model knows 0 to {at.Vocabulary - 1}.");
            long where = position ?? at.Length - 1, b = logits.Shape[0], count = logits.Shape[1];
            if (where < 0 || where >= at.Length)
                throw new MambaException($"Quantity '{name}': position {where}; the sequence has 0 to {at.Length - 1}.");
            return where < at.First || where >= at.First + count ? null
                : Ops.Sum(of(Ops.Reshape(Ops.Slice(logits, 1, where - at.First, 1), (b, logits.Shape[2])), at.Vocabulary));
        });

    // (b, v) → (b, 1)
    static Tensor Column(Tensor logits, int token) => Ops.Slice(logits, 1, token, 1);

    static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>What it is, in words.</summary>
    public override string ToString() => name;
}
