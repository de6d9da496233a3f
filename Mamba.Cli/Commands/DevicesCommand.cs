using System.CommandLine;
using Spectre.Console;

namespace Mamba.Cli;

/// <summary><c>mamba devices</c>: where kernels can run on this machine.</summary>
internal static class DevicesCommand
{
    public static Command Create()
    {
        var command = new Command("devices", "List the devices kernels can run on.");
        command.SetAction(_ => Run());
        return command;
    }

    static int Run()
    {
        string fastest;
        using (Device device = Device.Open("auto"))
            fastest = device.Name;
        if (Console.IsOutputRedirected)
        {
            foreach ((string name, string description, bool float64) in Devices.List())
                Console.WriteLine($"{name,-12}{(float64 ? "float32, float64" : "float32"),-18}{description}{(name == fastest ? " (auto)" : "")}");
            return 0;
        }
        Table table = new Table().Border(TableBorder.Rounded).AddColumns("device", "dtypes", "what it is");
        foreach ((string name, string description, bool float64) in Devices.List())
            table.AddRow(name == fastest ? $"[green]{name}[/] (auto)" : name, float64 ? "float32, float64" : "float32", description.EscapeMarkup());
        AnsiConsole.Write(table);
        return 0;
    }
}
