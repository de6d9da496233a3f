using Mamba.Bench;

// dotnet run -c Release --project bench/Mamba.Bench -- all
return BenchCommand.Run(args);
