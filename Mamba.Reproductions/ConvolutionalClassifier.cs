namespace Mamba.Reproductions;

/// <summary>
/// A plain convolutional network over letters, the baseline: an embedding; three times a convolution of width 8, ReLU and the maximum of pairs; the mean over
/// the positions, a hidden layer, classes. tokens (b, l) → (b, classes).
/// </summary>
internal sealed class ConvolutionalClassifier : Module
{
    const int Taps = 8;

    readonly Embedding embedding;
    readonly Linear[] convolutions;
    readonly Linear hidden, output;

    public ConvolutionalClassifier(int letters, int classes, int width)
    {
        embedding = Add("embedding", new Embedding(letters, width, Initial.Normal(1)));
        convolutions = [.. Enumerable.Range(0, 3).Select(i => Add($"convolutions.{i}", new Linear(Taps * width, width)))];
        hidden = Add("hidden", new Linear(width, width));
        output = Add("output", new Linear(width, classes));
    }

    public Tensor Forward(Tensor tokens, Dropout? dropout = null)
    {
        Tensor x = embedding.Forward(tokens);
        foreach (Linear convolution in convolutions)
        {
            long l = x.Shape[1] - Taps + 1, pairs = l / 2;
            Tensor[] shifted = [.. Enumerable.Range(0, Taps).Select(j => Ops.Slice(x, 1, j, l))];
            x = Ops.Relu(convolution.Forward(Ops.Concat(2, shifted)));                          // a convolution: the taps side by side, one product
            x = Ops.Max(Ops.Reshape(Ops.Slice(x, 1, 0, 2 * pairs), (x.Shape[0], pairs, 2, x.Shape[2])), 2);
        }
        Tensor mean = Ops.Mean(x, 1);
        return output.Forward(Ops.Relu(hidden.Forward(dropout?.At(0, mean) ?? mean)));
    }
}
