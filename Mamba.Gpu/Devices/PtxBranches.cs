using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Backends.PTX;

namespace Mamba.Gpu;

/// <summary>
/// ILGPU 1.5.3 at O2 writes conditional branches as bra.uni, a promise that all threads of a warp go the same way, where they may not: Uniforms.Apply calls
/// every parameter of a kernel uniform, its index too, and so any value made of constants, however the threads came there. ptxas may rely on the promise:
/// the PTX is wrong, whatever a driver makes of it. So O2 is kept for all but the branches. A jump without a condition may stay bra.uni: it is one.
/// </summary>
internal static class PtxBranches
{
    /// <summary>Optimizes as far as ILGPU goes. Once the backend is there, <see cref="MayDiverge"/> takes back what is wrong about it.</summary>
    public static Context.Builder OptimizeForPtx(this Context.Builder builder) =>
        builder.EnableAlgorithms().Optimize(OptimizationLevel.O2).PTXBackend(PTXBackendMode.Enhanced);

    /// <summary>
    /// No branch of a kernel compiled from now on is called uniform. The backend took its passes and its mode at O2 when it was made; of the level it only asks
    /// again, for each kernel, whether to look for uniform branches.
    /// </summary>
    public static void MayDiverge(this Context context) => SetOptimizationLevel(context.Properties, OptimizationLevel.O1);

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "set_OptimizationLevel")]
    static extern void SetOptimizationLevel(ContextProperties properties, OptimizationLevel level);
}
