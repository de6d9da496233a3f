namespace Mamba;

/// <summary>What llama.cpp calls the tensors of a Mamba-1 model, and what state-spaces' code does.</summary>
internal static class GgufNames
{
    const string Layer = "backbone.layers.", Block = "blk.";

    static readonly (string Official, string Gguf)[] OfModel =
    [
        ("backbone.embedding.weight", "token_embd.weight"), ("backbone.norm_f.weight", "output_norm.weight"), ("lm_head.weight", "output.weight"),
    ];

    static readonly (string Official, string Gguf)[] OfLayer =
    [
        ("norm.weight", "attn_norm.weight"),
        ("mixer.in_proj.weight", "ssm_in.weight"),
        ("mixer.in_proj.bias", "ssm_in.bias"),              // and that of ssm_out: ours, llama.cpp has none
        ("mixer.conv1d.weight", "ssm_conv1d.weight"),
        ("mixer.conv1d.bias", "ssm_conv1d.bias"),
        ("mixer.x_proj.weight", "ssm_x.weight"),
        ("mixer.dt_proj.weight", "ssm_dt.weight"),
        ("mixer.dt_proj.bias", "ssm_dt.bias"),
        ("mixer.A_log", "ssm_a"),
        ("mixer.D", "ssm_d"),
        ("mixer.out_proj.weight", "ssm_out.weight"),
        ("mixer.out_proj.bias", "ssm_out.bias"),
    ];

    /// <summary>llama.cpp's name; null where it has none.</summary>
    public static string? FromOfficial(string name) => Rename(name, Layer, Block, pair => pair.Official, pair => pair.Gguf);

    /// <summary>state-spaces' name; null where it has none.</summary>
    public static string? ToOfficial(string name) => Rename(name, Block, Layer, pair => pair.Gguf, pair => pair.Official);

    static string? Rename(string name, string prefix, string newPrefix, Func<(string Official, string Gguf), string> from,
        Func<(string Official, string Gguf), string> to)
    {
        if (Array.Find(OfModel, pair => from(pair) == name) is { Official: not null } whole)
            return to(whole);
        if (!name.StartsWith(prefix, StringComparison.Ordinal) || name.IndexOf('.', prefix.Length) is not (> 0 and int dot))
            return null;
        string rest = name[(dot + 1)..];
        return Array.Find(OfLayer, pair => from(pair) == rest) is { Official: not null } part ? $"{newPrefix}{name[prefix.Length..dot]}.{to(part)}" : null;
    }
}
