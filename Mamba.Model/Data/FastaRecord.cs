namespace Mamba;

/// <summary>A sequence of a FASTA file.</summary>
/// <param name="Name">The first word behind the <c>&gt;</c>; empty if there is none.</param>
/// <param name="Description">The rest of that line; often empty.</param>
/// <param name="Line">The line of the <c>&gt;</c>, from 1.</param>
/// <param name="Tokens">Of each letter; none in an empty record.</param>
public sealed record FastaRecord(string Name, string Description, long Line, byte[] Tokens);
