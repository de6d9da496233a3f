using System.Text.Json;
using System.Text.Json.Serialization;

namespace Mamba;

/// <summary>"auto" or a number, null being "auto": the rank of delta's projection in a config.json of either dialect.</summary>
internal sealed class AutoRank : JsonConverter<int?>
{
    public override bool HandleNull => true;

    public override int? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => reader.TokenType switch
    {
        JsonTokenType.Null => null,
        JsonTokenType.Number => reader.GetInt32(),
        JsonTokenType.String when reader.GetString() == "auto" => null,
        _ => throw new JsonException("the rank of delta must be a number or 'auto'"),
    };

    public override void Write(Utf8JsonWriter writer, int? value, JsonSerializerOptions options)
    {
        if (value is { } rank)
            writer.WriteNumberValue(rank);
        else
            writer.WriteStringValue("auto");
    }
}
