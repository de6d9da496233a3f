using System.Text;

namespace Mamba.Gpu;

/// <summary>
/// Watches the kernels of one device: guards its memory, so that a kernel that writes outside its tensors is an exception with
/// its name, and keeps the names of the kernels that ran. The device must not hold tensors yet.
/// </summary>
internal sealed class KernelWatch : IDisposable
{
    readonly ComputeDevice device;
    readonly FileStream? trace;
    readonly Dictionary<Type, string> names = [];
    readonly HashSet<string> kernels = new(StringComparer.Ordinal);
    string running = "";

    /// <param name="device">What to watch.</param>
    /// <param name="trace">A file that always holds the name of the kernel launched last, for whoever finds the process dead.</param>
    public KernelWatch(ComputeDevice device, string? trace = null)
    {
        this.device = device;
        this.trace = trace is null ? null : new FileStream(trace, FileMode.Create, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        device.Memory.Guard = new MemoryGuard(device);
        device.Watch = this;
    }

    /// <summary>Every kernel that ran, named as <c>mamba codegen</c> does.</summary>
    public IReadOnlyCollection<string> Kernels => kernels;

    public void Before(Type kernel)
    {
        if (!names.TryGetValue(kernel, out string? name))
            names[kernel] = name = KernelNames.Of(kernel);
        Before(name);
    }

    public void Before(string kernel)
    {
        running = kernel;
        kernels.Add(kernel);
        if (trace is null)
            return;
        trace.SetLength(0);
        trace.Position = 0;
        trace.Write(Encoding.UTF8.GetBytes(kernel));
    }

    /// <summary>Whether memory is looked at after each launch, which names the kernel, or only when a tensor is released and in <see cref="Check"/>.</summary>
    public bool EachLaunch { get; set; } = true;

    public void After()
    {
        if (EachLaunch)
            Check();
    }

    /// <summary>Looks at memory around every tensor.</summary>
    /// <exception cref="MambaException">Something was written there.</exception>
    public void Check() => device.Memory.Guard?.Check(EachLaunch ? running : "A kernel");

    public void Dispose()
    {
        device.Watch = null;
        device.Memory.Guard = null;
        trace?.Dispose();
    }
}
