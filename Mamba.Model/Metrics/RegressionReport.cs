using System.Text.Json;

namespace Mamba;

/// <summary>
/// How far predicted values were from what came, gathered value by value. A prediction that is not finite makes the means NaN, and
/// <see cref="NotNumbers"/> says how many there were.
/// </summary>
public sealed class RegressionReport
{
    static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
        RespectRequiredConstructorParameters = true,
        AllowDuplicateProperties = false,
    };

    double mse, mae;

    /// <summary>Values.</summary>
    public long Count { get; private set; }

    /// <summary>Predictions that were not finite.</summary>
    public long NotNumbers { get; private set; }

    /// <summary>The mean squared error, in the unit of the values squared; NaN where there are none, or a prediction was not finite.</summary>
    public double Mse => Count > 0 && NotNumbers == 0 ? mse : double.NaN;

    /// <summary>The mean absolute error, in the unit of the values; NaN where there are none, or a prediction was not finite.</summary>
    public double Mae => Count > 0 && NotNumbers == 0 ? mae : double.NaN;

    /// <summary>One value more.</summary>
    /// <param name="prediction">What was predicted.</param>
    /// <param name="target">What came: finite.</param>
    /// <exception cref="MambaException">The target is not finite: then there is nothing to compare with.</exception>
    public void Add(double prediction, double target)
    {
        if (!double.IsFinite(target))
            throw new MambaException($"RegressionReport: target {Count} is {target}; expected a finite number.");
        Count++;
        if (!double.IsFinite(prediction))
        {
            NotNumbers++;
            return;
        }
        double error = Math.Abs(prediction - target);
        mse += (error * error - mse) / Count;         // running means: nothing grows with the count
        mae += (error - mae) / Count;
    }

    /// <summary>The report as JSON, names in snake case. JSON has no NaN and no infinity: these are null.</summary>
    public string ToJson() =>
        JsonSerializer.Serialize(new Stored(Count, NotNumbers, double.IsFinite(Mse) ? Mse : null, double.IsFinite(Mae) ? Mae : null), Json) + "\n";

    /// <summary>Reads what <see cref="ToJson"/> wrote; values can be added to it.</summary>
    /// <param name="json">The text.</param>
    /// <param name="source">Where it came from, for the message.</param>
    /// <exception cref="MambaException">It is no JSON, or not that of a report.</exception>
    public static RegressionReport FromJson(string json, string source = "report.json")
    {
        try
        {
            Stored stored = JsonSerializer.Deserialize<Stored>(json, Json) ?? throw new JsonException("it is null");
            if (stored.Count < 0 || stored.NotNumbers < 0 || stored.NotNumbers > stored.Count)
                throw new JsonException($"count is {stored.Count} and not_numbers {stored.NotNumbers}");
            return new RegressionReport
            {
                Count = stored.Count,
                NotNumbers = stored.NotNumbers,
                mse = stored.Mse ?? double.PositiveInfinity,
                mae = stored.Mae ?? double.PositiveInfinity,
            };
        }
        catch (Exception e) when (JsonText.IsMalformed(e))
        {
            throw new MambaException($"{source}: this is not a regression report: {InputFile.Sentence(e)}", e);
        }
    }

    sealed record Stored(long Count, long NotNumbers, double? Mse, double? Mae);
}
