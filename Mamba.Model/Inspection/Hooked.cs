using System.Runtime.InteropServices;

namespace Mamba;

/// <summary>
/// The selective scan of a layer with the hooks at work that the model was run with. <see cref="MambaBlock"/> calls it; a <see cref="Mixer"/> of your own
/// that does the same can be traced and intervened in, too.
/// </summary>
public static class Hooked
{
    [ThreadStatic] static HookedLayer? current;

    /// <summary>
    /// <see cref="Ops.SelectiveScan(ScanInputs, ScanAlgorithm?)"/>, looked at and changed by the hooks of the layer that runs on this thread.
    /// </summary>
    /// <param name="inputs">u, delta (b, l, d), A (d, n), B, C (b, l, n) and the rest.</param>
    /// <param name="algorithm">How to compute it; <see cref="ScanAlgorithm.Chunked"/>, the fused kernel, when null.</param>
    /// <exception cref="MambaException">A shape does not fit, or a hook chooses what is not there.</exception>
    public static ScanOutputs SelectiveScan(ScanInputs inputs, ScanAlgorithm? algorithm = null) => current is { } layer
        ? layer.Scan(inputs, algorithm)
        : Ops.SelectiveScan(inputs, algorithm);

    /// <summary>Throws one clear line if hooks or a trace are at work on this thread: they cannot follow what this layer is.</summary>
    /// <param name="what">What it is; and what was expected.</param>
    internal static void Refuse(string what)
    {
        if (current is { } layer)
            throw new MambaException($"Hooks: layer {layer.Index} is {what}");
    }

    /// <summary>What the mixer of a layer makes of hidden, with that layer's hooks at work.</summary>
    internal static Tensor Forward(HookedLayer layer, Mixer mixer, Tensor hidden, MixerState? state, Tensor? reset)
    {
        HookedLayer? outer = current;
        current = layer;
        try
        {
            Tensor output = mixer.Forward(hidden, state, reset);
            return layer.WasReached ? output
                : throw new MambaException($"Hooks: the mixer of layer {layer.Index} is a {mixer.GetType().Name}, which has no scan that a hook could reach; "
                    + "Hooked.SelectiveScan makes it one.");
        }
        finally
        {
            current = outer;
        }
    }
}

/// <summary>The hooks of one layer, for one pass over a run of tokens.</summary>
/// <param name="hooks">Those that work on this layer, in their order.</param>
/// <param name="index">Which layer, from 0.</param>
/// <param name="first">How many tokens came before these.</param>
/// <param name="record">Takes down what passes by; null: nobody does.</param>
internal sealed class HookedLayer(IReadOnlyList<Hook> hooks, int index, long first, ScanRecord? record)
{
    /// <summary>The layer's hooks; null if none works on it, and nobody records it.</summary>
    public static HookedLayer? Of(IReadOnlyList<Hook>? hooks, int index, long first, ScanRecord? record)
    {
        Hook[] own = hooks is null ? [] : [.. hooks.Where(hook => hook.Layers?.Contains(index) ?? true)];
        return own.Length > 0 || record is not null ? new(own, index, first, record) : null;
    }

    public int Index => index;

    /// <summary>Whether the layer's mixer has come to its scan.</summary>
    public bool WasReached { get; private set; }

    public ScanOutputs Scan(ScanInputs inputs, ScanAlgorithm? algorithm)
    {
        inputs.Check();
        WasReached = true;
        ScanInputs x = inputs with { U = Changed(Site.U, inputs.U), B = Changed(Site.B, inputs.B), C = Changed(Site.C, inputs.C) };
        if (x.Z is not null)
            x = x with { Z = Changed(Site.Z, x.Z) };
        if (record is not null || Works(Site.Delta))
        {
            Tensor raw = x.DeltaBias is null ? x.Delta : x.Delta + x.DeltaBias, delta = x.Softplus ? Ops.Softplus(raw) : raw;
            x = x with { Delta = Changed(Site.Delta, delta), DeltaBias = null, Softplus = false };
        }
        Tensor? z = null;
        if (record is not null || Works(Site.Y))
            (x, z) = (x with { Z = null }, x.Z);         // y comes before the gate
        record?.Begin(x, z);
        ScanOutputs scan = Works(Site.H) ? InPieces(x, algorithm) : Whole(x, algorithm);
        if (!Works(Site.Y) && record is null)
            return scan;
        Tensor y = Changed(Site.Y, scan.Y);
        record?.End(y);
        return scan with { Y = z is null ? y : y * Ops.Silu(z) };
    }

    bool Works(Site site) => hooks.Any(hook => hook.IsOf(site, index));

    ScanOutputs Whole(ScanInputs x, ScanAlgorithm? algorithm)
    {
        ScanOutputs scan = Ops.SelectiveScan(x, algorithm);
        record?.Add(x, scan, null);
        return scan;
    }

    /// <summary>
    /// The scan, cut after every token whose state is changed. From the changed state that token's y is read anew, and the next piece starts from it.
    /// </summary>
    ScanOutputs InPieces(ScanInputs x, ScanAlgorithm? algorithm)
    {
        Hook[] changes = [.. hooks.Where(hook => hook.Site == Site.H)];
        var ys = new List<Tensor>();
        long start = 0;
        bool isChanged = false;
        ScanInputs rest = x;
        foreach (long at in Positions(changes, x.Length))
        {
            ScanInputs piece = Tokens(rest, at + 1 - start, at + 1 - start);
            ScanOutputs scan = Ops.SelectiveScan(piece, algorithm);
            Tensor before = Ops.Reshape(scan.LastState, (x.Batch, 1, x.Rows, x.Channels)), state = Changed(Site.H, before, at);
            isChanged = isChanged || !AreSame(before, state);
            state = Ops.Reshape(state, x.StateShape);
            record?.Add(piece, scan, state);
            if (at > start)
                ys.Add(Ops.Slice(scan.Y, 1, 0, at - start));
            ys.Add(Read(Tokens(rest, at + 1 - start, 1), state, algorithm));
            rest = Tokens(rest, x.Length - start, x.Length - at - 1) with { InitialState = state, PreviousInput = scan.LastInput };
            start = at + 1;
        }
        ScanOutputs last;
        if (start < x.Length)
        {
            last = Whole(rest, algorithm);
            ys.Add(last.Y);
        }
        else
        {
            last = new ScanOutputs(x.U, rest.InitialState!, rest.PreviousInput);
        }
        var cut = last with { Y = ys.Count == 1 ? ys[0] : Ops.Concat(1, [.. ys]) };
        return isChanged ? cut : AsUncut(cut, x, algorithm);
    }

    /// <summary>
    /// Where every hook left what it found, the values are those of the scan in one piece, which a device that cuts a long row in its own way rounds
    /// differently. Gradients go through the pieces all the same: a state that was set to what it was has none.
    /// </summary>
    static ScanOutputs AsUncut(ScanOutputs cut, ScanInputs x, ScanAlgorithm? algorithm)
    {
        ScanOutputs plain;
        using (Tape.NoGrad())
            plain = Ops.SelectiveScan(x, algorithm);
        Tensor?[] pieces = [cut.Y, cut.LastState, cut.LastInput];
        Tape.Record("Hooks", plain.LastInput is null ? [plain.Y, plain.LastState] : [plain.Y, plain.LastState, plain.LastInput], pieces,
            dys => dys.Length == 3 ? dys : [.. dys, null]);
        return plain;
    }

    /// <summary>y of one token from its state: a step of length 0, after which a state is what it was, for every discretization.</summary>
    static Tensor Read(ScanInputs token, Tensor state, ScanAlgorithm? algorithm) => Ops.SelectiveScan(token with
    {
        Delta = Tensor.Zeros(token.Delta.Shape, token.Delta.DType, token.Delta.Device),
        DeltaBias = null,
        Softplus = false,
        InitialState = state,
        PreviousInput = null,
        Reset = null,
    }, algorithm).Y;

    /// <summary>The inputs of <paramref name="count"/> tokens, of which the last is token <paramref name="end"/>, not counted.</summary>
    static ScanInputs Tokens(ScanInputs x, long end, long count)
    {
        if (count == x.Length)
            return x;
        long start = end - count;
        return x with
        {
            U = Of(x.U),
            Delta = Of(x.Delta),
            Z = x.Z is null ? null : Of(x.Z),
            B = x.ConstantB ? x.B : Of(x.B),
            C = x.ConstantC ? x.C : Of(x.C),
            Reset = x.Reset is null ? null : Of(x.Reset),
        };

        Tensor Of(Tensor values) => Ops.Slice(values, 1, start, count);
    }

    /// <summary>The tokens after which a state is changed, counted within these.</summary>
    IEnumerable<long> Positions(Hook[] changes, long length) => Array.Exists(changes, hook => hook.Positions is null)
        ? Enumerable.Range(0, checked((int)length)).Select(t => (long)t)
        : changes.SelectMany(hook => hook.Positions!.Within(first, first + length)).Distinct().Order().Select(t => t - first);

    Tensor Changed(Site site, Tensor values, long at = 0)
    {
        foreach (Hook hook in hooks.Where(hook => hook.Site == site))
        {
            if (values.Shape.Rank != (site == Site.H ? 4 : 3))
                throw new MambaException($"Hook '{hook}': {site} of layer {index} is {values.Shape}; hooks work on values of every token, without groups.");
            hook.Expect(values.Shape);
            values = hook.Apply(values, new HookPoint(site, index, first + at, values.Shape[1]));
        }
        return values;
    }

    static bool AreSame(Tensor a, Tensor b) => ReferenceEquals(a, b) || (a.DType == DType.Float32
        ? Bytes(a.ToArray<float>()).SequenceEqual(Bytes(b.ToArray<float>()))
        : Bytes(a.ToArray<double>()).SequenceEqual(Bytes(b.ToArray<double>())));

    static ReadOnlySpan<byte> Bytes<T>(T[] values) where T : unmanaged => MemoryMarshal.AsBytes(values.AsSpan());
}
