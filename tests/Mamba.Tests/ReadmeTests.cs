using System.Runtime.CompilerServices;
using NUnit.Framework;

namespace Mamba.Tests;

public class ReadmeTests
{
    // README.md shows the lines between the markers; this is where they are compiled and run.
    static double TrainInductionHeads(int steps)
    {
        // <readme>
        using Device device = Device.Open("cpu");                       // or "auto", "cuda:0", "opencl:0"
        var config = new MambaConfig { DModel = 64, NLayer = 2, VocabSize = 16 };
        using var model = new MambaLM(config, device, seed: 1);
        using var optimizer = new AdamW(model.Parameters, learningRate: 1e-3, weightDecay: 0);
        double last = 0;
        foreach ((Tensor tokens, Tensor targets) in InductionHeads.Batches(length: 64, batch: 8, seed: 1, device).Take(steps))
        {
            using var tape = new Tape();                                // owns every tensor made below
            Tensor logits = model.Forward(tokens);                      // (b, l, vocabulary)
            Tensor loss = Ops.CrossEntropy(logits, targets);            // the targets ignore all but the last position
            Gradients gradients = tape.Backward(loss);                  // a value: gradients[model.Parameters[0]]
            optimizer.Step(gradients.ClipNorm(1));
            last = loss.Item();
        }
        // </readme>
        return last;
    }

    [Test]
    public void The_code_in_the_README_is_this_code_and_it_trains()
    {
        string[] Trimmed(IEnumerable<string> lines) => [.. lines.Select(l => l.Trim())];
        string here = ThisFile();
        string[] source = Trimmed(File.ReadAllLines(here).SkipWhile(l => l.Trim() != "// <readme>").Skip(1).TakeWhile(l => l.Trim() != "// </readme>"));
        string page = Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "README.md");
        string[] readme = Trimmed(File.ReadAllLines(page).SkipWhile(l => l != "```csharp").Skip(1).TakeWhile(l => l != "```"));
        Assert.That(readme, Is.EqualTo(source));
        Assert.That(TrainInductionHeads(3), Is.InRange(1, 4));
    }

    static string ThisFile([CallerFilePath] string path = "") => path;
}
