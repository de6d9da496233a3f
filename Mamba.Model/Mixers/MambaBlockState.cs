namespace Mamba;

/// <summary>What a <see cref="MambaBlock"/> remembers: the last k inputs of its convolution and the n states of each channel.</summary>
public sealed class MambaBlockState : MixerState
{
    internal MambaBlockState(long batch, int k, int n, int d, bool looksBack, DType dtype, Device device) : base(batch, dtype, device)
    {
        Conv = Add("conv", (k, d));
        Ssm = Add("ssm", (n, d));
        Input = looksBack ? Add("input", (n, d)) : null;
    }

    /// <summary>(b, k, d): the last k raw inputs of the convolution, oldest first.</summary>
    public StateTensor Conv { get; }

    /// <summary>(b, n, d): h.</summary>
    public StateTensor Ssm { get; }

    /// <summary>(b, n, d): B u of the last token, for a discretization that looks back; null otherwise.</summary>
    public StateTensor? Input { get; }

    /// <summary>conv_state (b, d, k) and ssm_state (b, d, n).</summary>
    public override IEnumerable<(string Name, Tensor Value)> Official()
    {
        yield return ("conv_state", Ops.Transpose(Conv.Value));
        yield return ("ssm_state", Ops.Transpose(Ssm.Value));
        if (Input is not null)
            yield return ("input_state", Ops.Transpose(Input.Value));
    }
}
