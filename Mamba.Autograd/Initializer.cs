namespace Mamba;

/// <summary>Fills the values of a new parameter, row-major, from the next numbers of <paramref name="random"/>.</summary>
/// <param name="values">All values of the parameter, zero so far.</param>
/// <param name="random">One stream for all parameters of a <see cref="ParameterSet"/>, in the order they are listed in.</param>
public delegate void Initializer(Span<double> values, PhiloxRandom random);
