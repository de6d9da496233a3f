return Mamba.Cli.CommandLine.Run(args);
