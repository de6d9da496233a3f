using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>
/// A kernel: a struct whose fields are its arguments and whose one method is its body, over any lanes and memory. It is launched by an
/// <see cref="ILaunch"/>. ILGPU's simulator, <c>ilgpu-cpu</c>, must see the struct: it is public, or its assembly has
/// <c>[assembly: InternalsVisibleTo("ILGPURuntime")]</c>.
/// </summary>
public interface IKernel
{
    /// <summary>Does this worker's share of the work; <see cref="Worker.Share(long, int)"/> says which that is.</summary>
    void Run(Worker worker);
}
