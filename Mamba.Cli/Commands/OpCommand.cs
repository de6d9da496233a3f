using System.CommandLine;

namespace Mamba.Cli;

/// <summary><c>mamba op NAME</c>: one op on tensors from a file, with gradients: the bridge to any other framework.</summary>
internal static class OpCommand
{
    public static Command Create()
    {
        var command = new Command("op",
            "Run one op, and its gradients, on the tensors of a safetensors file; 'mamba op NAME --help' tells their names and shapes.");
        foreach (BridgeOp op in BridgeOps.All)
            command.Add(Create(op));
        return command;
    }

    static Command Create(BridgeOp op)
    {
        Option<string?> input = BridgeFiles.Required(Option.Text("--input", "FILE",
            "The safetensors file to read; floats are F32, F64, F16 or BF16, integers I64 or I32."));
        Option<string?> output = BridgeFiles.Output(), dtype = BridgeFiles.DTypeOption("float64 if an input is F64, else float32");
        Option<bool> grad = Option.Flag("--grad", "Also compute the gradients of the inputs for the given gradients of the outputs.");
        var device = new DeviceOptions();
        var command = new Command(op.Name, op.Summary) { input, output, grad };
        foreach (System.CommandLine.Option option in op.Options)
            command.Add(option);
        command.Add(dtype);
        device.AddTo(command);
        HelpWith.AddTo(command, op.Tensors);
        command.SetAction(parsed =>
        {
            using var stop = new AtOnce();
            using Safetensors file = Safetensors.Open(parsed.GetValue(input)!);
            ExpectKnown(file, op);
            DType computed = BridgeFiles.ParseDType(parsed.GetValue(dtype))
                ?? (op.Inputs.Any(x => !x.Integers && file.Contains(x.Name) && file[x.Name].Type == "F64") ? DType.Float64 : DType.Float32);
            using Device on = device.Open(parsed);
            on.Require(computed);
            Run(op, file, parsed, parsed.GetValue(grad), computed, on, save: tensors => stop.Write(() => BridgeFiles.Save(parsed.GetValue(output)!, tensors)));
            return 0;
        });
        return command;
    }

    static void Run(BridgeOp op, Safetensors file, ParseResult parsed, bool grad, DType dtype, Device device,
        Action<IEnumerable<(string, Tensor)>> save)
    {
        using var tape = new Tape();
        var inputs = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        var call = new BridgeCall(file.Path, op, parsed, inputs);
        foreach (BridgeInput x in op.Inputs)
        {
            if (file.Contains(x.Name))
                inputs[x.Name] = x.Integers ? BridgeFiles.ReadInts(file, x.Name, device) : BridgeFiles.ReadFloats(file, x.Name, dtype, device);
            else if (!x.Optional)
                _ = call[x.Name];               // says what is missing
            if (grad && !x.Integers && inputs.TryGetValue(x.Name, out Tensor? tensor))
                Tape.Watch(tensor);
        }
        foreach (BridgeOutput y in op.Outputs)
            if (grad && y.DefaultGradient is null && !file.Contains("d" + y.Name))
                throw new MambaException($"{file.Path}: there is no tensor 'd{y.Name}' {y.Shape} in it, the gradient of '{y.Name}': --grad needs it.");

        Tensor[] outputs = op.Run(call);
        var written = new List<(string, Tensor)>();
        var seeds = new List<(Tensor, Tensor)>();
        for (int i = 0; i < outputs.Length; i++)
        {
            written.Add((op.Outputs[i].Name, outputs[i]));
            if (grad)
                seeds.Add((outputs[i], Seed(file, op.Outputs[i], outputs[i])));
        }
        if (grad)
        {
            Gradients gradients = tape.Backward(seeds);
            foreach (BridgeInput x in op.Inputs)
                if (!x.Integers && inputs.TryGetValue(x.Name, out Tensor? tensor))
                    written.Add(("d" + x.Name, gradients.Contains(tensor) ? gradients[tensor] : Tensor.Zeros(tensor.Shape, tensor.DType, device)));
        }
        save(written);
    }

    /// <summary>A misspelt name would be an optional input that silently counts for nothing.</summary>
    static void ExpectKnown(Safetensors file, BridgeOp op)
    {
        string[] known = [.. op.Inputs.Select(x => x.Name), .. op.Outputs.Select(y => "d" + y.Name)];
        string[] mayBe = [.. op.Inputs.Select(x => "d" + x.Name), .. op.Outputs.Select(y => y.Name)];      // what another framework found
        foreach (SafetensorsEntry entry in file.Entries)
            if (!known.Contains(entry.Name, StringComparer.Ordinal) && !mayBe.Contains(entry.Name, StringComparer.Ordinal))
                throw new MambaException($"{file.Path}: {op.Name} knows no tensor {entry.QuotedName}; it reads {string.Join(", ", known)}.");
    }

    static Tensor Seed(Safetensors file, BridgeOutput output, Tensor value)
    {
        string name = "d" + output.Name;
        if (!file.Contains(name))
            return Tensor.From(Enumerable.Repeat(output.DefaultGradient!.Value, checked((int)value.Count)).ToArray(), value.Shape, value.DType, value.Device);
        Tensor seed = BridgeFiles.ReadFloats(file, name, value.DType, value.Device);
        return seed.Shape == value.Shape || (seed.Count == 1 && value.Count == 1)
            ? seed.View(value.Shape)
            : throw new MambaException($"{file.Path}: '{name}' has shape {seed.Shape}; expected {value.Shape}, as '{output.Name}' {output.Shape}.");
    }
}
