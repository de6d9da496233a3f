namespace Mamba;

/// <summary>
/// Several sequences one behind another in one row, none seeing another: a batch of short ones without padding each to the
/// longest. The row's reset mask says where a sequence starts; outputs and gradients are those of the sequences run apart.
/// <code>
/// Tensor tokens = Tensor.From([5, 2, 7, 1, 1, 3, 9, 0], (1, 8), device);                  // a sequence of 3, one of 4, padding
/// Tensor targets = Tensor.From([2, 7, -100, 1, 3, 9, -100, -100], (1, 8), device);
/// Tensor reset = Packing.Resets(device, length: 8, [3, 4]);
/// Tensor loss = Ops.CrossEntropy(model.Forward(tokens, reset: reset), targets);
/// </code>
/// The last token of a sequence has no next one: its target is the loss's ignoreIndex, and so are those of padding.
/// </summary>
/// <remarks>
/// For a row taken in pieces, slice the mask as the tokens: a sequence may go on from one piece into the next. A NaN or an infinity stays in its
/// sequence too; but gradients of weights are sums over all tokens, and so not numbers if one token's part is none.
/// </remarks>
public static class Packing
{
    /// <summary>(b, l) int32: 1 at the first token of each sequence, 0 elsewhere. What a row has left is padding, a sequence of its own.</summary>
    /// <param name="device">Where the mask is to be.</param>
    /// <param name="length">l: tokens of a row.</param>
    /// <param name="lengths">For each row, the lengths of its sequences in order.</param>
    public static Tensor Resets(Device device, long length, params long[][] lengths)
    {
        if (length < 0)
            throw new MambaException($"Packing.Resets: the rows have length {length}; expected at least 0.");
        int[] reset = new int[checked(lengths.Length * length)];
        for (int row = 0; row < lengths.Length; row++)
        {
            long start = 0;
            foreach (long count in lengths[row])
            {
                if (count < 1)
                    throw new MambaException($"Packing.Resets: row {row} has a sequence of {count} tokens; expected at least 1.");
                if (count > length - start)
                    throw new MambaException($"Packing.Resets: the sequences of row {row} have {string.Join(" + ", lengths[row])} tokens; a row has {length}.");
                reset[row * length + start] = 1;
                start += count;
            }
            if (start < length)
                reset[row * length + start] = 1;
        }
        return Tensor.From(reset, (lengths.Length, length), device);
    }
}
