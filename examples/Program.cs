using Mamba;
using Mamba.Examples;

// dotnet run -c Release --project examples -- [name …]
(string Name, Action<Device> Run)[] examples =
[
    ("parameters", OwnParameters.Run), ("blocks", BlocksAlone.Run), ("training", OwnTraining.Run),
    ("op", OwnOp.Run), ("kernel", OwnKernel.Run), ("discretization", OwnDiscretization.Run), ("algorithm", OwnAlgorithm.Run),
    ("text", TextModel.Run), ("mixer", OwnMixer.Run), ("variant", JambaMamba.Run), ("bidirectional", Bidirectional.Run), ("task", OwnTask.Run),
    ("state", States.Run),
    ("generate", Generate.Run), ("inspect", Inspect.Run), ("classify", Classify.Run), ("labels", OwnLabels.Run),
];
if (args.FirstOrDefault(name => !Array.Exists(examples, example => example.Name == name)) is { } unknown)
{
    Console.Error.WriteLine($"There is no example '{unknown}'; there are {string.Join(", ", examples.Select(example => example.Name))}.");
    return 1;
}
using Device device = Device.Open("cpu");
foreach ((string name, Action<Device> run) in examples)
{
    if (args.Length > 0 && !args.Contains(name))
        continue;
    Console.WriteLine($"--- {name}");
    run(device);
}
return 0;
