using System.Globalization;
using System.Text.Json;
using LLama;
using LLama.Common;
using LLama.Native;

namespace Mamba.Peer;

/// <summary>
/// llama.cpp on a GGUF file, through LLamaSharp: logits, greedy tokens and token ids as JSON, to hold ours against.
/// <code>
/// logits FILE.gguf --ids 1,2,3            one row of logits for each position
/// generate FILE.gguf --ids 1,2,3 --count N    N greedy ids
/// tokenize FILE.gguf TEXTFILE             ids of the whole text, special tokens as such
/// </code>
/// </summary>
internal static class Program
{
    static int Main(string[] args)
    {
        if (args is not [("logits" or "generate" or "tokenize") and var what, var path, ..])
        {
            Console.Error.WriteLine("expected: logits FILE --ids 1,2,3 | generate FILE --ids 1,2,3 --count N | tokenize FILE TEXTFILE");
            return 1;
        }
        NativeLibraryConfig.All.WithLogCallback((level, message) =>
        {
            if (level >= LLamaLogLevel.Error)
                Console.Error.Write(message);
        });
        try
        {
            var parameters = new ModelParams(path)
            {
                ContextSize = 4096,
                BatchSize = 4096,
                UBatchSize = 4096,
                GpuLayerCount = 0,
                VocabOnly = what == "tokenize",
            };
            using LLamaWeights weights = LLamaWeights.LoadFromFile(parameters);
            object result = what switch
            {
                "logits" => Logits(weights, parameters, Ids(args)),
                "generate" => Generate(weights, parameters, Ids(args), int.Parse(After(args, "--count"), CultureInfo.InvariantCulture)),
                _ => weights.NativeHandle.Tokenize(File.ReadAllText(args[2]), false, true, System.Text.Encoding.UTF8).Select(token => (int)token).ToArray(),
            };
            Console.WriteLine(JsonSerializer.Serialize(result));
            return 0;
        }
        catch (Exception e)
        {
            Console.Error.WriteLine($"llama.cpp: {e.Message}");
            return 1;
        }
    }

    static string After(string[] args, string option) => Array.IndexOf(args, option) is >= 0 and int i && i + 1 < args.Length
        ? args[i + 1]
        : throw new ArgumentException($"{option} is missing");

    static int[] Ids(string[] args) => [.. After(args, "--ids").Split(',').Select(id => int.Parse(id, CultureInfo.InvariantCulture))];

    static float[] Decode(LLamaContext context, LLamaBatch batch, int row)
    {
        if (context.NativeHandle.Decode(batch) is not DecodeResult.Ok and var wrong)
            throw new InvalidOperationException($"decode: {wrong}");
        return context.NativeHandle.GetLogitsIth(row).ToArray();
    }

    static float[][] Logits(LLamaWeights weights, ModelParams parameters, int[] ids)
    {
        using LLamaContext context = weights.CreateContext(parameters);
        var batch = new LLamaBatch();
        for (int i = 0; i < ids.Length; i++)
            batch.Add(ids[i], i, LLamaSeqId.Zero, logits: true);
        Decode(context, batch, 0);
        return [.. ids.Select((_, i) => context.NativeHandle.GetLogitsIth(i).ToArray())];
    }

    static int[] Generate(LLamaWeights weights, ModelParams parameters, int[] ids, int count)
    {
        using LLamaContext context = weights.CreateContext(parameters);
        var batch = new LLamaBatch();
        for (int i = 0; i < ids.Length; i++)
            batch.Add(ids[i], i, LLamaSeqId.Zero, logits: i == ids.Length - 1);
        float[] logits = Decode(context, batch, ids.Length - 1);
        int[] found = new int[count];
        for (int i = 0; i < count; i++)
        {
            found[i] = Array.IndexOf(logits, logits.Max());
            if (i == count - 1)
                break;
            batch.Clear();
            batch.Add(found[i], ids.Length + i, LLamaSeqId.Zero, logits: true);
            logits = Decode(context, batch, 0);
        }
        return found;
    }
}
