using System.CommandLine;
using System.Text.Json;
using Mamba.Checks;
using Mamba.Gpu;
using Spectre.Console;

namespace Mamba.Cli;

/// <summary><c>mamba codegen</c>: compiles the kernels for GPUs, without one, and says what they take.</summary>
internal static class CodegenCommand
{
    static readonly Argument<string[]> Names = new Argument<string[]>("name")
    {
        Description = "Only kernels with one of these in their name; all by default.",
        Arity = ArgumentArity.ZeroOrMore,
    }.NoOption();
    static readonly Option<string?> Arch = Option.Text("--arch", "sm_NN", "The GPU: sm_80 (A100, default), sm_86, sm_89, sm_90 (H100), …");
    static readonly Option<string?> PtxasPath = Option.Text("--ptxas", "PATH",
        "ptxas, which tells registers and spills; by default $PTXAS, or what is on PATH or in a folder of the CUDA toolkit.");
    static readonly Option<string?> Output = Option.Text("--output", "FOLDER", "Write the code there: NAME.DTYPE.ptx and NAME.DTYPE.cl.");
    static readonly Option<bool> AsJson = Option.Flag("--json", "Print JSON, one kernel to a line.");

    static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static Command Create()
    {
        var command = new Command("codegen", "Compile the kernels to PTX and OpenCL C, without a GPU; with ptxas also count registers and spills.")
        {
            Names, Arch, PtxasPath, Output, AsJson,
        };
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        if (KernelCatalog.Problems.Count > 0)
            throw new MambaException($"codegen: {string.Join("; ", KernelCatalog.Problems)}");
        string arch = parsed.GetValue(Arch) ?? "sm_80";
        KernelCompiler.Target(arch);        // a word that names no architecture ends here
        DeviceKernel[] kernels = [.. Select(parsed.GetValue(Names)!).Where(kernel => kernel.RunsOn(arch))];
        if (kernels.Length == 0)
            throw new MambaException($"codegen: the kernels with that name need a newer GPU than {arch}.");
        var ptxas = Ptxas.Find(parsed.GetValue(PtxasPath), arch);
        string? folder = parsed.GetValue(Output);
        if (folder is not null)
            MakeFolder(folder);

        using var interrupt = new Interrupt();
        int problems = 0, done = 0;
        string? first = null;
        using (IRows rows = parsed.GetValue(AsJson) ? new JsonRows() : new TableRows(kernels, arch, ptxas))
        {
            ParallelQuery<DeviceKernel> all = kernels.AsParallel().AsOrdered().WithMergeOptions(ParallelMergeOptions.NotBuffered);
            foreach (KernelReport report in all.Select(kernel => KernelReport.Of(kernel, arch, ptxas)))
            {
                rows.Add(report);
                if (folder is not null)
                    Write(folder, report);
                done++;
                if (report.Problem is { } problem)
                {
                    problems++;
                    first ??= $"{report.Kernel}: {problem}";
                }
                if (interrupt.Token.IsCancellationRequested)
                    break;
            }
        }
        if (interrupt.Token.IsCancellationRequested)
            return Interrupt.Stopped(parsed, $"{done} of {kernels.Length} kernels{(folder is null ? "" : $"; their code is in {folder}")}");
        return problems == 0 ? 0 : throw new MambaException($"codegen: {problems} of {kernels.Length} kernels have a problem; the first is {first}.");
    }

    static DeviceKernel[] Select(string[] names)
    {
        bool Has(DeviceKernel kernel, string name) => kernel.Name.Contains(name, StringComparison.OrdinalIgnoreCase);
        if (names.FirstOrDefault(name => !KernelCatalog.Kernels.Any(kernel => Has(kernel, name))) is { } unknown)
        {
            IEnumerable<string> families = KernelCatalog.Kernels.Select(kernel => kernel.Family).Distinct(StringComparer.Ordinal);
            throw new MambaException($"codegen: no kernel has '{unknown}' in its name; there are {string.Join(", ", families)}.");
        }
        return [.. KernelCatalog.Kernels.Where(kernel => names.Length == 0 || names.Any(name => Has(kernel, name)))];
    }

    static void MakeFolder(string path)
    {
        if (File.Exists(path))
            throw new MambaException($"--output {path} is a file; expected the name of a folder.");
        try
        {
            Directory.CreateDirectory(path);
        }
        catch (Exception e) when (InputFile.IsOfFiles(e))
        {
            throw new MambaException($"--output {path}: there can be no such folder: {InputFile.Sentence(e)}", e);
        }
    }

    static void Write(string folder, KernelReport report)
    {
        // SelectiveScanForward<16, PerToken> becomes SelectiveScanForward_16_PerToken
        string name = report.Kernel.Name.Replace(", ", "_", StringComparison.Ordinal).Replace('<', '_').Replace(">", "", StringComparison.Ordinal);
        string path = Path.Combine(folder, $"{name}.{report.Kernel.DType.Name()}");
        if (report.Ptx is { } ptx)
            AtomicFile.WriteText(path + ".ptx", ptx);
        if (report.OpenCL is { } openCL)
            AtomicFile.WriteText(path + ".cl", openCL);
    }

    interface IRows : IDisposable
    {
        void Add(KernelReport report);
    }

    /// <summary>A line for each kernel as soon as it is compiled.</summary>
    sealed class TableRows : IRows
    {
        const string Between = "  ";

        readonly (int Index, int Width)[] shown;
        readonly Column[] columns;
        readonly Ptxas? ptxas;

        public TableRows(DeviceKernel[] kernels, string arch, Ptxas? ptxas)
        {
            this.ptxas = ptxas;
            // Without ptxas its columns have nothing to say, and are the first to be left out.
            columns =
            [
                new("kernel", -Math.Max(6, kernels.Max(kernel => kernel.Name.Length))) { MayBeCut = true }, new("dtype", -7) { LeftOut = 1 },
                new("PTX", 6) { LeftOut = 2 }, new("OpenCL", 6) { LeftOut = 3 }, new("local", 5) { LeftOut = 4 }, new("shared", 6) { LeftOut = 5 },
                new("registers", 9) { LeftOut = ptxas is null ? 6 : 1 }, new("spill stores", 12) { LeftOut = ptxas is null ? 7 : 1 },
                new("spill loads", 11) { LeftOut = 8 }, new("stack", 5) { LeftOut = 9 },
            ];
            (int, int)[] widths = [.. columns.Select(column => column.WidthOf([new string(' ', Math.Abs(column.Width))]))];
            shown = Column.Fit(columns, widths, Console.IsOutputRedirected ? int.MaxValue : AnsiConsole.Profile.Width, Between.Length, around: 0);
            string target = KernelCompiler.Target(arch);
            string from = target == arch ? "" : $", from PTX for {target}", with = ptxas is null ? "" : $", with ptxas {ptxas.Version}";
            Console.WriteLine($"{kernels.Length} kernels for {arch}{from}{with}; sizes in bytes");
            Line([.. columns.Select(column => column.Name)], problem: null);
        }

        public void Add(KernelReport report)
        {
            KernelResources? resources = report.Resources;
            string Known(int? value) => value is { } known ? known.ToString() : "–";
            Line(
            [
                report.Kernel.Name, report.Kernel.DType.Name(), Known(report.Ptx?.Length), Known(report.OpenCL?.Length),
                report.Ptx is null ? "–" : report.LocalMemory ? "yes" : "no", Known(report.Ptx is null ? null : resources?.Shared ?? report.SharedBytes),
                Known(resources?.Registers), Known(resources?.SpillStores), Known(resources?.SpillLoads), Known(resources?.Stack),
            ], report.Problem);
        }

        void Line(string[] cells, string? problem)
        {
            IEnumerable<string> padded = shown.Select(column => columns[column.Index].Width < 0
                ? Column.Cut(cells[column.Index], column.Width).PadRight(column.Width)
                : cells[column.Index].PadLeft(column.Width));
            Console.WriteLine($"{string.Join(Between, padded)}{Between}{problem}".TrimEnd());
        }

        public void Dispose()
        {
            if (Column.Absent(columns, shown) is { } absent)
                Console.WriteLine(absent);
            if (ptxas is null)
                Console.WriteLine("Registers, spills and stack come from ptxas, which was not found; "
                    + "it needs no GPU and no installation: see docs/codegen.md.");
        }
    }

    /// <summary>A JSON array.</summary>
    sealed class JsonRows : IRows
    {
        bool any;

        public void Add(KernelReport report)
        {
            Console.Write(any ? ",\n  " : "[\n  ");
            any = true;
            Console.Write(JsonSerializer.Serialize(new
            {
                Kernel = report.Kernel.Name,
                Dtype = report.Kernel.DType.Name(),
                Hot = report.Kernel.IsHot,
                PtxBytes = report.Ptx?.Length,
                OpenclBytes = report.OpenCL?.Length,
                report.LocalMemory,
                report.SharedBytes,
                report.Resources?.Registers,
                report.Resources?.SpillStores,
                report.Resources?.SpillLoads,
                report.Resources?.Stack,
                report.Problem,
            }, Json));
        }

        public void Dispose() => Console.WriteLine("\n]");
    }
}
