namespace Mamba;

/// <summary>y = x Wᵀ + b: x (…, in) → (…, out). Parameters <c>weight</c> (out, in) and <c>bias</c> (out).</summary>
public sealed class Linear : Module
{
    /// <param name="inputs">in: width of x.</param>
    /// <param name="outputs">out: width of y.</param>
    /// <param name="bias">Whether there is a bias; it starts at 0.</param>
    /// <param name="initial">How the weight starts; Kaiming-uniform, PyTorch's default, when null.</param>
    public Linear(int inputs, int outputs, bool bias = true, Initializer? initial = null)
    {
        Weight = Add("weight", (outputs, inputs), initial: initial ?? Initial.Kaiming(inputs));
        Bias = bias ? Add("bias", outputs, decay: false) : null;
    }

    /// <summary>W: (out, in).</summary>
    public Parameter Weight { get; }

    /// <summary>b: (out), or null.</summary>
    public Parameter? Bias { get; }

    /// <summary>x (…, in) → (…, out).</summary>
    /// <param name="x">(…, in)</param>
    /// <exception cref="MambaException">The innermost extent is another.</exception>
    public Tensor Forward(Tensor x) => Ops.Linear(x, Weight, Bias);
}
