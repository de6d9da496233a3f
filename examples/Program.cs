using Mamba;
using Mamba.Examples;

// dotnet run -c Release --project examples -- [name …]
(string Name, Action<Device> Run)[] examples =
[
    ("parameters", OwnParameters.Run), ("blocks", BlocksAlone.Run), ("training", OwnTraining.Run), ("op", OwnOp.Run), ("discretization", OwnDiscretization.Run),
    ("algorithm", OwnAlgorithm.Run), ("mixer", OwnMixer.Run), ("variant", FalconMamba.Run), ("task", OwnTask.Run), ("state", States.Run),
];
foreach (string name in args)
    if (!Array.Exists(examples, example => example.Name == name))
        throw new ArgumentException($"There is no example '{name}'; there are {string.Join(", ", examples.Select(example => example.Name))}.");
using Device device = Device.Open("cpu");
foreach ((string name, Action<Device> run) in examples)
{
    if (args.Length > 0 && !args.Contains(name))
        continue;
    Console.WriteLine($"--- {name}");
    run(device);
}
