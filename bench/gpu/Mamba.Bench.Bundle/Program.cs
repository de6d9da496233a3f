using System.Reflection;

// mamba bench WHAT: the benchmarks; anything else is for the mamba command.
(string program, string[] rest) = args is ["bench", .. string[] what] ? ("Mamba.Bench", what) : ("mamba", args);
if (args is ["bench", "micro", ..])
{
    Console.Error.WriteLine("bench micro needs the .NET SDK; it is not part of this program.");
    return 1;
}
return (int)Assembly.Load(program).EntryPoint!.Invoke(null, BindingFlags.DoNotWrapExceptions, null, [rest], null)!;
