using System.Reflection;

// mamba bench WHAT: the benchmarks; anything else is for the mamba command.
(string program, string[] rest) = args is ["bench", .. string[] what] ? ("Mamba.Bench", what) : ("mamba", args);
try
{
    return (int)Assembly.Load(program).EntryPoint!.Invoke(null, BindingFlags.DoNotWrapExceptions, null, [rest], null)!;
}
catch (FileNotFoundException e) when (e.FileName?.StartsWith("BenchmarkDotNet", StringComparison.Ordinal) == true)
{
    Console.Error.WriteLine("bench micro needs the .NET SDK; it is not part of this program.");
    return 1;
}
