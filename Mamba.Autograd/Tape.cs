namespace Mamba;

/// <summary>
/// Remembers the ops run while it is open so that <see cref="Backward(Tensor, Gradients?)"/> can walk them in reverse, and
/// owns every tensor they make: closing it gives all of them back. Without an open tape nothing is remembered.
/// </summary>
public sealed class Tape : TensorScope
{
    [ThreadStatic] static Tape? recording;

    readonly List<Node> nodes = [];
    readonly Tape? outerTape;

    /// <summary>Opens a tape on this thread: from now on it records, and owns what is made.</summary>
    public Tape()
    {
        outerTape = recording;
        recording = this;
    }

    readonly record struct Node(string Name, Tensor[] Outputs, Tensor?[] Inputs, Func<Tensor?[], Tensor?[]> Backward);

    /// <summary>The tape that records on this thread, or null.</summary>
    public static Tape? Recording => recording;

    /// <summary>Number of ops remembered.</summary>
    public int Count => nodes.Count;

    /// <summary>
    /// Marks <paramref name="tensor"/> as something gradients are wanted for, and returns it. Parameters are marked already. What an op made may be
    /// marked too, until <see cref="Backward(Tensor, Gradients?)"/>: <c>gradients[h]</c> then has the gradient of an intermediate.
    /// </summary>
    /// <exception cref="MambaException">The tensor is int32.</exception>
    public static Tensor Watch(Tensor tensor) => tensor.RetainGrad();

    /// <summary>
    /// Pauses recording on this thread until the result is disposed: <c>using (Tape.NoGrad()) …</c>, PyTorch's no_grad. Tensors made meanwhile have no
    /// gradient; the innermost scope owns them as ever. Pauses nest, and a tape opened inside one records.
    /// </summary>
    public static IDisposable NoGrad() => new Pause();

    sealed class Pause : IDisposable
    {
        [ThreadStatic] static Pause? innermost;

        readonly Tape? paused = recording;
        readonly Pause? outer = innermost;
        bool over;

        public Pause()
        {
            recording = null;
            innermost = this;
        }

        public void Dispose()
        {
            if (over)
                return;
            if (innermost != this || recording is not null)
                throw new InvalidOperationException("A pause of recording ended before a pause or a tape that began inside it.");
            over = true;
            innermost = outer;
            recording = paused;
            while (recording is { IsOpen: false })
                recording = recording.outerTape;
        }
    }

    /// <summary>Remembers one op with one output.</summary>
    /// <param name="name">The op's name, for messages.</param>
    /// <param name="output">What it made.</param>
    /// <param name="inputs">What it read; null for an absent optional one.</param>
    /// <param name="backward">From ∂L/∂output to ∂L/∂input for each input, in order; null where there is none. It may return dy itself.</param>
    /// <returns><paramref name="output"/></returns>
    public static Tensor Record(string name, Tensor output, Tensor?[] inputs, Func<Tensor, Tensor?[]> backward)
    {
        Record(name, [output], inputs, dys => backward(dys[0]!));
        return output;
    }

    /// <summary>Remembers one op with several outputs; the gradient of an output nobody used comes as null.</summary>
    public static void Record(string name, Tensor[] outputs, Tensor?[] inputs, Func<Tensor?[], Tensor?[]> backward)
    {
        if (recording is null || !Array.Exists(inputs, x => x is { RequiresGrad: true }))
            return;
        foreach (Tensor output in outputs)
            output.SetRecorded(recording);
        recording.nodes.Add(new Node(name, outputs, inputs, backward));
    }

    /// <summary>
    /// What several ops made, as if one op had: an input that reaches no output of a loss through them, as A does not reach that of a first
    /// token, then has a gradient of zeros instead of none.
    /// </summary>
    /// <param name="name">The op's name, for messages.</param>
    /// <param name="outputs">What they made.</param>
    /// <param name="inputs">What they read; null for an absent optional one.</param>
    /// <param name="firstHasAll">Whether every input reaches the first output.</param>
    /// <returns>The outputs, as views.</returns>
    internal static Tensor[] AsOne(string name, Tensor[] outputs, Tensor?[] inputs, bool firstHasAll)
    {
        if (recording is null)
            return outputs;
        Tensor[] ys = Array.ConvertAll(outputs, y => y.View(y.Shape));
        Record(name, ys, [.. outputs, .. inputs], dys =>
        {
            bool reached = firstHasAll && dys[0] is not null;
            return [.. dys, .. inputs.Select(x => !reached && x is { RequiresGrad: true } ? Tensor.Zeros(x.Shape, x.DType, x.Device) : null)];
        });
        return ys;
    }

    /// <summary>Gradients of <paramref name="loss"/> (one element) with respect to every parameter and watched tensor that it depends on.</summary>
    /// <param name="loss">A tensor of one element.</param>
    /// <param name="into">Gradients to add to, for micro-batches; null makes new ones, which live as long as this tape.</param>
    public Gradients Backward(Tensor loss, Gradients? into = null)
    {
        if (loss.Count != 1)
            throw new MambaException($"Backward: the loss has shape {loss.Shape}; expected one element. Give Backward the outputs' gradients otherwise.");
        return Backward([(loss, Ops.Fill(loss.Like(), 1))], into);
    }

    /// <summary>Gradients of Σ output·gradient over the given pairs.</summary>
    public Gradients Backward(IReadOnlyList<(Tensor Output, Tensor Gradient)> seeds, Gradients? into = null)
    {
        var result = into ?? new Gradients();
        var pending = new PendingGradients();
        Tape? paused = recording;
        recording = null;
        try
        {
            foreach ((Tensor output, Tensor gradient) in seeds)
            {
                Shape.Expect("Backward", gradient, output.Shape);
                if (output.RequiresGrad)
                    pending.AddSeed(output, gradient);
            }
            for (int i = nodes.Count - 1; i >= 0; i--)
            {
                Node node = nodes[i];
                Tensor?[] dys = Array.ConvertAll(node.Outputs, pending.Take);
                if (Array.TrueForAll(dys, dy => dy is null))
                    continue;
                for (int k = 0; k < dys.Length; k++)
                    if (node.Outputs[k].RetainsGrad && dys[k] is { } dy)
                        result.Take(node.Outputs[k], dy, shared: true);
                using (var scratch = new TensorScope())
                {
                    Tensor?[] dxs = node.Backward(dys);
                    if (dxs.Length != node.Inputs.Length)
                        throw new InvalidOperationException($"{node.Name}: the gradient has {dxs.Length} parts; expected {node.Inputs.Length}, "
                            + "one for each input.");
                    for (int j = 0; j < dxs.Length; j++)
                    {
                        if (node.Inputs[j] is not { RequiresGrad: true } input || dxs[j] is not { } dx)
                        {
                            dxs[j] = null;
                            continue;
                        }
                        Shape.Expect(node.Name + " (gradient)", dx, input.Shape);
                        scratch.Keep(dx.Root);
                        pending.Hold(dx);       // they may be views of one tensor, which must outlive the first that is added up
                    }
                    for (int j = 0; j < dxs.Length; j++)
                    {
                        if (dxs[j] is not { } dx)
                            continue;
                        pending.Add(node.Inputs[j]!, dx, scratch);
                        pending.Done(dx);
                    }
                }
                foreach (Tensor? dy in dys)
                    pending.Done(dy);
            }
            foreach ((Tensor leaf, Tensor gradient) in pending.Rest)
                if (!result.Take(leaf, gradient, pending.IsShared(gradient)))
                    pending.Done(gradient);
            return result;
        }
        finally
        {
            recording = paused;
        }
    }

    /// <summary>Stops recording; the tape around, if there is one, goes on.</summary>
    /// <param name="disposing">True: from <see cref="TensorScope.Dispose()"/>.</param>
    protected override void Dispose(bool disposing)
    {
        if (recording == this)
            recording = outerTape;
        nodes.Clear();
        base.Dispose(disposing);
    }

    /// <summary>Gradients on their way down, each freed when nothing waits for it. One tensor may serve as several gradients, and a view as one.</summary>
    sealed class PendingGradients
    {
        readonly Dictionary<Tensor, Tensor> gradients = new(ReferenceEqualityComparer.Instance);
        readonly Dictionary<Tensor, int> uses = new(ReferenceEqualityComparer.Instance);

        public IEnumerable<KeyValuePair<Tensor, Tensor>> Rest => gradients;

        /// <param name="of">What it is the gradient of.</param>
        /// <param name="gradient">The gradient, or another part of it.</param>
        /// <param name="scratch">The scope open now, if it closes before the sum of two parts is used up.</param>
        public void Add(Tensor of, Tensor gradient, TensorScope? scratch = null)
        {
            if (gradients.Remove(of, out Tensor? already))
            {
                Tensor sum = Ops.AddUnrecorded(already, gradient);
                scratch?.Keep(sum);
                Use(gradient.Root, 1);
                Done(gradient);
                Done(already);
                gradient = sum;
            }
            gradients[of] = gradient;
            Use(gradient.Root, 1);
        }

        /// <summary>Keeps a gradient until <see cref="Done"/>.</summary>
        public void Hold(Tensor gradient) => Use(gradient.Root, 1);

        /// <summary>A gradient the caller owns: it is used but never freed here.</summary>
        public void AddSeed(Tensor of, Tensor gradient)
        {
            Hold(gradient);
            Add(of, gradient);
        }

        /// <summary>Whether others still look at the gradient's values: the caller, whose seed it is, or another tensor that has the same gradient.</summary>
        public bool IsShared(Tensor gradient) => uses.GetValueOrDefault(gradient.Root) > 1;

        public Tensor? Take(Tensor of) => gradients.Remove(of, out Tensor? gradient) ? gradient : null;

        public void Done(Tensor? gradient)
        {
            if (gradient is not null && Use(gradient.Root, -1) == 0)
                gradient.Root.Dispose();
        }

        int Use(Tensor gradient, int change)
        {
            int count = uses.GetValueOrDefault(gradient) + change;
            if (count == 0)
                uses.Remove(gradient);
            else
                uses[gradient] = count;
            return count;
        }
    }
}
