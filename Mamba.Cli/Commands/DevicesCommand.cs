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
            foreach (DeviceInfo device in Devices.List())
            {
                string auto = device.Name == fastest ? " (auto)" : "";
                Console.WriteLine($"{device.Name,-12}{DTypes(device),-18}{device.Description}, subnormals {Subnormals(device)}{auto}");
            }
            return 0;
        }
        Column[] columns =
        [
            new("device"), new("dtypes") { LeftOut = 1 }, new("subnormals") { LeftOut = 2 }, new("what it is") { IsProse = true },
        ];
        Rows.Write(AnsiConsole.Console, columns, [.. Devices.List().Select(device => (true,
            new[] { device.Name == fastest ? $"{device.Name} (auto)" : device.Name, DTypes(device), Subnormals(device), device.Description }))]);
        return 0;
    }

    static string DTypes(DeviceInfo device) => device.Float64 ? "float32, float64" : "float32";

    static string Subnormals(DeviceInfo device) => device.KeepsSubnormals ? "kept" : "flushed";
}
