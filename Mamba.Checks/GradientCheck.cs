using Mamba.Gpu;

namespace Mamba.Checks;

/// <summary>Checks gradients of cases.</summary>
public static class GradientCheck
{
    /// <summary>Checks one case on an open device.</summary>
    public static GradientResult Run(OpCase c, Device device, GradCheckOptions? options = null)
    {
        try
        {
            using var scope = new TensorScope();
            using OpenCase open = c.Open(device, DType.Float64);
            GradReport report = GradCheck.Run(open.Function, open.Inputs, options);
            return new GradientResult(c, device.Name, report, report.Passed ? null : report.ToString());
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            return new GradientResult(c, device.Name, null, e.Message.ReplaceLineEndings(" "));
        }
    }

    /// <summary>Checks the cases that have gradients, in order; on the host several at a time, each on one of the cores that the device cpu uses.</summary>
    /// <param name="cases">What to check.</param>
    /// <param name="device">Name of the device.</param>
    /// <param name="options">How thoroughly.</param>
    public static IEnumerable<GradientResult> Run(IEnumerable<OpCase> cases, string device, GradCheckOptions? options = null)
    {
        OpCase[] differentiable = [.. cases.Where(c => c.Differentiable && (device != "ilgpu-cpu" || c.Small))];
        if (!device.StartsWith("cpu", StringComparison.Ordinal))
        {
            using Device one = CheckDevices.Open(device);
            one.Require(DType.Float64);
            foreach (OpCase c in differentiable)
                yield return Run(c, one, options);
            yield break;
        }
        using var devices = new ThreadLocal<Device>(() => CheckDevices.Open(device, threads: 1), trackAllValues: true);
        try
        {
            ParallelQuery<OpCase> all = differentiable.AsParallel().AsOrdered().WithDegreeOfParallelism(Math.Min(HostDevice.UsualThreads, 512));
            foreach (GradientResult result in all.WithMergeOptions(ParallelMergeOptions.NotBuffered).Select(c => Run(c, devices.Value!, options)))
                yield return result;
        }
        finally
        {
            foreach (Device one in devices.Values)
                one.Dispose();
        }
    }
}
