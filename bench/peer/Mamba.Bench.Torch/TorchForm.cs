namespace Mamba.Peer;

/// <summary>How the loop over tokens is written.</summary>
internal enum TorchForm
{
    /// <summary>exp(delta A) and delta B u of all tokens first, (l, b, n, d), then the loop over their slices, then one product with C.</summary>
    Unbound,

    /// <summary>Everything in the loop: more calls, but a slice stays in the cache and nothing of size (b, l, d, n) is made without gradients.</summary>
    InLoop,
}
