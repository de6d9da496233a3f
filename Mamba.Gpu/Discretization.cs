using Mamba.Gpu;

namespace Mamba;

/// <summary>
/// How the continuous system h′ = A h + B u becomes steps h_t = α h_{t−1} + Δ_t (γ B_t u_t + β B_{t−1} u_{t−1}); α, β, γ depend on Δ_t A.
/// <see cref="IDiscretization"/> says how to write another; <c>new Discretization&lt;Mine&gt;("mine")</c> is then a choice like these.
/// </summary>
public abstract class Discretization
{
    static readonly Lazy<Choices<Discretization>> Choices = new(() => new Choices<Discretization>("Discretization", All!, d => d.Name));

    private protected Discretization(string name) => Name = name;

    /// <summary>α = e^{ΔA}, γ = 1: what the released code of Mamba computes, and the default.</summary>
    public static Discretization ExponentialEuler { get; } = new Discretization<Schemes.ExponentialEuler>("exponential-euler");

    /// <summary>α = e^{ΔA}, γ = (e^{ΔA} − 1)/ΔA: zero-order hold, eq. 4 of the paper.</summary>
    public static Discretization ZeroOrderHold { get; } = new Discretization<Schemes.ZeroOrderHold>("zoh");

    /// <summary>α = 1 + ΔA, γ = 1.</summary>
    public static Discretization Euler { get; } = new Discretization<Schemes.ForwardEuler>("euler");

    /// <summary>α = γ = 1/(1 − ΔA).</summary>
    public static Discretization BackwardEuler { get; } = new Discretization<Schemes.BackwardEuler>("backward-euler");

    /// <summary>α = (1 + ΔA/2)/(1 − ΔA/2), γ = 1/(1 − ΔA/2).</summary>
    public static Discretization Bilinear { get; } = new Discretization<Schemes.Bilinear>("bilinear");

    /// <summary>α = e^{ΔA}, γ = ½, β = ½ e^{ΔA}: Mamba-3's rule with λ = ½.</summary>
    public static Discretization ExponentialTrapezoidal { get; } = new Discretization<Schemes.ExponentialTrapezoidal>("exponential-trapezoidal");

    /// <summary>Those above. What was registered is found by <see cref="Named"/> alone.</summary>
    public static IReadOnlyList<Discretization> All { get; } = [ExponentialEuler, ZeroOrderHold, Euler, BackwardEuler, Bilinear, ExponentialTrapezoidal];

    /// <summary>Its name on the command line.</summary>
    public string Name { get; }

    /// <summary>Whether a step looks at the token before, so that a piece of a sequence must be told what came before it.</summary>
    public abstract bool LooksBack { get; }

    /// <summary>Calls <paramref name="user"/> with the struct that does the arithmetic.</summary>
    internal abstract void Choose<U>(U user) where U : IDiscretizationUser;

    /// <summary>The discretization called <paramref name="name"/>: one of <see cref="All"/>, or one that was registered.</summary>
    /// <exception cref="MambaException">There is none.</exception>
    public static Discretization Named(string name) => Choices.Value.Find(name);

    /// <summary>Makes one of your own known to <see cref="Named"/>, and so to configurations and commands. For any thread.</summary>
    /// <exception cref="MambaException">There is one of that name.</exception>
    public static void Register(Discretization discretization) => Choices.Value.Add(discretization);

    /// <inheritdoc/>
    public override string ToString() => Name;
}

/// <summary>The discretization that <typeparamref name="D"/> computes, called <paramref name="name"/>.</summary>
/// <param name="name">For messages, and for <see cref="Discretization.Named"/> once it is registered.</param>
/// <typeparam name="D">α, γ and β, and their derivatives.</typeparam>
public sealed class Discretization<D>(string name) : Discretization(name) where D : struct, IDiscretization
{
    /// <inheritdoc/>
    public override bool LooksBack => D.LooksBack;

    internal override void Choose<U>(U user) => user.With<D>();
}
