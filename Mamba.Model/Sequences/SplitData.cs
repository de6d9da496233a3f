namespace Mamba;

/// <summary>Data whose examples are parted in three: trained on, held out to choose by, and the test. A run keeps the parting in its folder.</summary>
public abstract class SplitData : TrainingData
{
    /// <summary>What the examples are called, in their order: the split is of these.</summary>
    public abstract IReadOnlyList<string> Ids { get; }

    /// <summary>Which example is in which part.</summary>
    public abstract DataSplit Split { get; set; }

    /// <summary>The model that fits the data: what it reads, its head, and sizes.</summary>
    /// <param name="sizes">Width, layers and blocks.</param>
    public abstract MambaConfig ModelOf(MambaConfig sizes);

    /// <summary>How a model does on a part.</summary>
    /// <param name="model">A model of these data.</param>
    /// <param name="part">Which examples.</param>
    /// <param name="progress">Told the share that is done.</param>
    /// <param name="stop">Ends the work with an <see cref="OperationCanceledException"/>.</param>
    public abstract SplitReport Evaluate(MambaModel model, DataPart part, Action<double>? progress = null, CancellationToken stop = default);

    /// <summary>The order of an epoch: each of the examples once.</summary>
    private protected sealed class Epochs(IReadOnlyList<int> examples)
    {
        (ulong Seed, long Epoch)? made;
        int[] order = [];

        public int this[ulong seed, long at]
        {
            get
            {
                long epoch = at / examples.Count;
                if (made != (seed, epoch))
                {
                    order = [.. examples];
                    var random = new PhiloxRandom(seed, 5UL << 60 | (ulong)epoch);
                    for (int i = order.Length - 1; i > 0; i--)
                    {
                        int j = random.Next(i + 1);
                        (order[i], order[j]) = (order[j], order[i]);
                    }
                    made = (seed, epoch);
                }
                return order[at % examples.Count];
            }
        }
    }
}
