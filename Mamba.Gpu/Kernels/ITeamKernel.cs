using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>A kernel whose rows are each shared by a team of threads that can sum among themselves.</summary>
/// <typeparam name="V">Lane type.</typeparam>
/// <typeparam name="G">Team type.</typeparam>
public interface ITeamKernel<V, G> where G : struct, ITeam<V>
{
    /// <summary>Does this team's rows: <c>for (long row = team.Index; row &lt; Rows; row += team.Count)</c>.</summary>
    void Run(G team);
}
