namespace Mamba;

/// <summary>
/// Owns every tensor made on this thread while it is the innermost open scope, and gives their buffers back to the
/// device's pool when it closes. Scopes nest; <see cref="Keep"/> carries one tensor out to the scope around.
/// </summary>
public class TensorScope : IDisposable
{
    [ThreadStatic] static TensorScope? current;

    readonly HashSet<Tensor> owned = new(ReferenceEqualityComparer.Instance);
    readonly TensorScope? outer;
    bool closed;

    /// <summary>Opens a scope on this thread, inside the one that is open.</summary>
    public TensorScope()
    {
        outer = current;
        current = this;
    }

    /// <summary>The innermost open scope of this thread, or null: then a tensor lives until it is disposed.</summary>
    public static TensorScope? Current => current;

    /// <summary>Whether it is not closed yet.</summary>
    internal bool IsOpen => !closed;

    /// <summary>The scope around this one.</summary>
    protected TensorScope? Outer => outer;

    /// <summary>Hands <paramref name="tensor"/> to the scope around this one, or to the caller if there is none. Of a view, what it looks into.</summary>
    public Tensor Keep(Tensor tensor)
    {
        Tensor root = tensor.Root;
        if (owned.Remove(root))
        {
            root.Scope = outer;
            outer?.owned.Add(root);
        }
        return tensor;
    }

    internal void Add(Tensor tensor)
    {
        owned.Add(tensor);
        tensor.Scope = this;
    }

    internal void Remove(Tensor tensor) => owned.Remove(tensor);

    /// <summary>Closes the scope: its tensors are released. Scopes opened inside it are closed before.</summary>
    /// <exception cref="InvalidOperationException">One is still open.</exception>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Closes the scope.</summary>
    /// <param name="disposing">True: from <see cref="Dispose()"/>.</param>
    protected virtual void Dispose(bool disposing)
    {
        if (closed)
            return;
        if (current != this)
            throw new InvalidOperationException("A TensorScope was closed before a scope opened inside it.");
        closed = true;
        current = outer;
        foreach (Tensor tensor in owned)
            tensor.Release();
        owned.Clear();
    }
}
