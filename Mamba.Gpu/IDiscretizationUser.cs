using Mamba.Gpu;

namespace Mamba;

/// <summary>Code that is compiled for each discretization.</summary>
internal interface IDiscretizationUser
{
    void With<D>() where D : struct, IDiscretization;
}
