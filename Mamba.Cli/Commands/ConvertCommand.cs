using System.CommandLine;

namespace Mamba.Cli;

/// <summary><c>mamba convert IN OUT</c>: the same model in another program's words.</summary>
internal static class ConvertCommand
{
    static readonly Argument<string> From = new Argument<string>("in")
    {
        Description = "A model's folder, state-spaces' or Hugging Face's, a run folder, a file of weights with config.json beside it, or a GGUF file.",
    }.NoOption();

    static readonly Argument<string> Output = new Argument<string>("out") { Description = "A folder for hf and state-spaces, a file for gguf." }.NoOption();

    static readonly Option<string?> To = BridgeFiles.Required(Option.Text("--to", "hf|state-spaces|gguf",
        "Hugging Face's words, state-spaces' words, or a GGUF file for llama.cpp."));

    static readonly Option<string?> Dtype = Option.Text("--dtype", "TYPE",
        "float32, float16, bfloat16, float64, or, for gguf, q8_0 (matrices; all else is float32 there). By default types are kept.");

    public static Command Create()
    {
        var command = new Command("convert", "Write a model as another program reads it.") { From, Output, To, Dtype };
        command.SetAction(parsed =>
        {
            using var stop = new AtOnce();
            string target = parsed.GetValue(Output)!;
            IReadOnlyList<string> notes = [];
            stop.Write(() => notes = ModelConverter.Convert(parsed.GetValue(From)!, target, parsed.GetValue(To)!, parsed.GetValue(Dtype)));
            foreach (string note in notes)
                Console.Error.WriteLine($"note: {note}");
            Console.WriteLine($"{target} holds the model");
            return 0;
        });
        return command;
    }
}
