using System.Text.Json;
using System.Text.Json.Serialization;

namespace Mamba;

/// <summary>Reads <c>ssm_cfg</c> as the settings of the kind its <c>layer</c> names; Mamba1 where it names none, as the official code.</summary>
internal sealed class MixerJson : JsonConverter<MixerConfig>
{
    public override MixerConfig? Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options)
    {
        using JsonDocument document = JsonDocument.ParseValue(ref reader);
        if (document.RootElement.ValueKind != JsonValueKind.Object)
            throw new JsonException("ssm_cfg is no object");
        string layer = document.RootElement.TryGetProperty("layer", out JsonElement name)
            ? name.ValueKind == JsonValueKind.String ? name.GetString()! : throw new JsonException("ssm_cfg.layer is no string")
            : SsmConfig.Name;
        return (MixerConfig?)document.RootElement.Deserialize(Mixers.SettingsOf(layer), options);
    }

    public override void Write(Utf8JsonWriter writer, MixerConfig value, JsonSerializerOptions options) =>
        JsonSerializer.Serialize(writer, value, value.GetType(), options);
}
