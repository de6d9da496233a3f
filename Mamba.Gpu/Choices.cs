namespace Mamba;

/// <summary>Things a user chooses by name: those there are, and those added since the program started. For any number of threads.</summary>
/// <param name="kind">What they are, for messages: "Discretization".</param>
/// <param name="builtIn">Those there are.</param>
/// <param name="nameOf">The name of one.</param>
internal sealed class Choices<T>(string kind, IEnumerable<T> builtIn, Func<T, string> nameOf) where T : class
{
    readonly Lock changing = new();
    volatile T[] all = [.. builtIn];

    /// <summary>All of them, in the order they were added in.</summary>
    public IReadOnlyList<T> All => all;

    /// <summary>Adds one; the same one again changes nothing.</summary>
    /// <exception cref="MambaException">There is another of its name already.</exception>
    public void Add(T item)
    {
        string name = nameOf(item);
        lock (changing)
        {
            if (Array.Find(all, x => nameOf(x) == name) is { } there)
            {
                if (there == item)
                    return;
                throw new MambaException($"{kind} '{name}' is registered already; there are {Names}.");
            }
            all = [.. all, item];
        }
    }

    /// <summary>The one called <paramref name="name"/>.</summary>
    /// <exception cref="MambaException">There is none.</exception>
    public T Find(string name) => Array.Find(all, x => nameOf(x) == name) ?? throw new MambaException($"{kind} '{name}' is unknown; there are {Names}.");

    string Names => string.Join(", ", all.Select(nameOf));
}
