using System.Text.Json;
using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>A timeline as a file that chrome://tracing and ui.perfetto.dev open.</summary>
internal static class ChromeTrace
{
    public static string Write(string process, IEnumerable<KernelRun> runs)
    {
        object name = new { name = "process_name", ph = "M", pid = 1, tid = 1, args = new { name = process } };
        IEnumerable<object> events = runs.Select(r => (object)new
        {
            name = r.Name,
            cat = "kernel",
            ph = "X",
            ts = r.Start * 1e3,         // microseconds
            dur = r.Milliseconds * 1e3,
            pid = 1,
            tid = 1,
            args = new { bytes = r.Bytes, flops = r.Flops },
        });
        return JsonSerializer.Serialize(new { traceEvents = events.Prepend(name).ToArray(), displayTimeUnit = "ms" }, JsonSerializerOptions.Web) + "\n";
    }
}
