namespace Mamba.Gpu;

/// <summary>Where elements live, seen from inside a kernel.</summary>
public interface IMemory<T> where T : unmanaged
{
    /// <summary>One element, for kernels that move values without computing.</summary>
    T this[long i] { get; set; }
}
