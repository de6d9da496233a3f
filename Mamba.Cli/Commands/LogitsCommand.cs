using System.CommandLine;

namespace Mamba.Cli;

/// <summary><c>mamba logits</c>: what a model makes of given tokens, and the gradient of every parameter.</summary>
internal static class LogitsCommand
{
    static readonly Option<string?> Model = BridgeFiles.Required(Option.Text("--model", "MODEL",
        "A model's folder, state-spaces' or Hugging Face's, a run folder, a file of weights with config.json beside it, or a GGUF file."));
    static readonly Option<string?> Ids = BridgeFiles.Required(Option.Text("--ids", "FILE|1,2,3",
        "Token ids: a safetensors file with an int64 tensor 'ids' (batch, length), or one sequence with commas."));
    static readonly Option<string?> Output = BridgeFiles.Output();
    static readonly Option<bool> Grad = Option.Flag("--grad", "Also the loss and the gradient of every parameter.");
    static readonly Option<string?> Dtype = BridgeFiles.DTypeOption("float64 if the weights are F64, else float32");

    static readonly HelpWith.Section Tensors = new("Writes:",
    [
        ("logits", "(batch, length, vocabulary)", "padding of the vocabulary included"),
        ("hidden.layerI", "(batch, length, d_model)", "the residual stream after layer I, from 0"),
        ("conv_state.I", "(batch, d_inner, d_conv)", "the last d_conv raw inputs of layer I's convolution, oldest first"),
        ("ssm_state.I", "(batch, d_inner, d_state)", "h of layer I after the last token"),
        ("loss", "()", "with --grad, the mean over all tokens but the first of each sequence of -log softmax(logits)[token]"),
        ("grad.NAME", "as NAME", "with --grad, the gradient of the loss; NAME is state-spaces', also for a model of Hugging Face's"),
    ]);

    public static Command Create()
    {
        var command = new Command("logits", "Run a language model over given token ids: logits, hidden states, final states, gradients of every parameter.")
        {
            Model, Ids, Output, Grad, Dtype,
        };
        var device = new DeviceOptions();
        device.AddTo(command);
        HelpWith.AddTo(command, Tensors);
        command.SetAction(parsed => Run(parsed, device));
        return command;
    }

    static int Run(ParseResult parsed, DeviceOptions deviceOptions)
    {
        using var stop = new AtOnce();
        string folder = parsed.GetValue(Model)!;
        MambaConfig config = ModelFolder.ReadConfig(folder);
        (int[] ids, int b, int l) = ReadIds(parsed.GetValue(Ids)!, config.PaddedVocabSize);
        bool grad = parsed.GetValue(Grad);
        if (grad && l < 2)
            throw new MambaException("mamba logits --grad: the sequences have one token; the loss needs a next one.");
        DType? dtype = BridgeFiles.ParseDType(parsed.GetValue(Dtype));
        using Device device = deviceOptions.Open(parsed);
        using MambaLM model = ModelFolder.Load(folder, device, dtype);
        using MambaState state = model.NewState(b);
        using TensorScope scope = grad ? new Tape() : new TensorScope();

        var written = new List<(string, Tensor)>();
        Tensor logits = model.Forward(Tensor.From(ids, (b, l), device), state, observe: (i, hidden) => written.Add(($"hidden.layer{i}", hidden)));
        written.Insert(0, ("logits", logits));
        for (int i = 0; i < state.Layers.Count; i++)
            written.AddRange(state.Layers[i].Official().Select(tensor => ($"{tensor.Name}.{i}", tensor.Value)));
        if (scope is Tape tape)
        {
            int[] next = [.. ids.Select((_, i) => i % l == l - 1 ? SequenceTask.Ignore : ids[i + 1])];
            Tensor loss = Ops.CrossEntropy(logits, Tensor.From(next, (b, l), device), SequenceTask.Ignore);
            Gradients gradients = tape.Backward(loss);
            written.Add(("loss", loss));
            written.AddRange(model.Parameters.Select(parameter => ("grad." + parameter.Name, gradients[parameter])));
        }
        stop.Write(() => BridgeFiles.Save(parsed.GetValue(Output)!, written));
        return 0;
    }

    /// <summary>(b, l) token ids, all below <paramref name="vocabulary"/>.</summary>
    static (int[] Ids, int B, int L) ReadIds(string text, int vocabulary)
    {
        long[] ids;
        Shape shape;
        string source = "--ids";
        if (!File.Exists(text) && text.All(c => char.IsAsciiDigit(c) || c is ',' or ' '))
        {
            ids = Array.ConvertAll(text.Split(','), part => Numbers.Long(part.Trim(' '))
                ?? throw new MambaException($"--ids is '{text}'; expected whole numbers with commas between, or a file."));
            shape = (1, ids.Length);
        }
        else
        {
            source = text;
            using Safetensors file = Safetensors.Open(text);
            shape = file["ids"].Shape;
            if (shape.Rank != 2 || shape.Count == 0)
                throw new MambaException($"{text}: 'ids' has shape {shape}; expected (batch, length), none of them 0.");
            if (shape.Count > int.MaxValue)
                throw new MambaException($"{text}: 'ids' has shape {shape}; expected at most {int.MaxValue} tokens.");
            ids = file.ReadLongs("ids");
        }
        int wrong = Array.FindIndex(ids, id => id < 0 || id >= vocabulary);
        if (wrong >= 0)
        {
            string where = $"token {wrong % shape[1]} of sequence {wrong / shape[1]}";
            throw new MambaException($"{source}: {where} is {ids[wrong]}; the model knows 0 to {vocabulary - 1}.");
        }
        return (Array.ConvertAll(ids, id => (int)id), (int)shape[0], (int)shape[1]);
    }
}
