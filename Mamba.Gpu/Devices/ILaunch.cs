namespace Mamba.Gpu;

/// <summary>
/// One launch of one kernel, before it is known where it runs. The device calls back with its own lane, memory and team
/// types, and the launch fills the kernel's fields in: so an op is written once.
/// </summary>
public interface ILaunch
{
    /// <typeparam name="V">Lane.</typeparam>
    /// <typeparam name="M">Memory of floats.</typeparam>
    /// <typeparam name="T">Element.</typeparam>
    /// <typeparam name="I">Memory of ints.</typeparam>
    /// <typeparam name="G">Team.</typeparam>
    void On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged, System.Numerics.INumberBase<T>
        where I : struct, IMemory<int>
        where G : struct, ITeam<V>;
}
