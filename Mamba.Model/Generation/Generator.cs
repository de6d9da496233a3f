using System.Runtime.InteropServices;

namespace Mamba;

/// <summary>
/// Prompts of any lengths, and what a model adds to them. All are read at once, as rows that end together: a shorter one has padding before it and a reset
/// at its first token, so that it sees nothing of that. Then one step of all of them gives a token for each; one that has ended is taken out.
/// </summary>
internal sealed class Generator : IDisposable
{
    const ulong SamplingStream = 0x73616d706c65;        // "sample"

    // Positions read at once, of all prompts together: few enough that activations stay small.
    const int MostPositions = 1 << 13;

    readonly MambaLM model;
    readonly Generation options;
    readonly List<Sequence> running = [];
    readonly int? end;
    readonly bool ownsState;
    MambaState? state;
    bool isStepDue;
    double[] logits = [];       // (running, v)

    public Generator(MambaLM model, IReadOnlyList<IReadOnlyList<int>> prompts, Generation options)
    {
        (this.model, this.options) = (model, options);
        int vocabulary = model.Config.PaddedVocabSize;
        if (prompts.Count == 0 || options.MaxTokens < 0)
            throw new MambaException($"Generate: {prompts.Count} prompts, {options.MaxTokens} tokens to add; expected at least one, and 0 or more.");
        if (options.State is { } given && (prompts.Count != 1 || given.Batch != 1 || options.Cache is not null))
        {
            string cached = options.Cache is null ? "" : ", and a cache";
            throw new MambaException($"Generate: a state of {given.Batch} sequences for {prompts.Count} prompts{cached}; expected one of one, and no cache.");
        }
        if (options.Cache is { } cache && (prompts.Count != 1 || cache.Model != model))
            throw new MambaException($"Generate: a cache of prefixes is for one prompt of its model; there are {prompts.Count} prompts.");
        if (options.Hooks.Count > 0 && (options.Cache is not null || (prompts.Count != 1 && options.Hooks.Any(hook => hook.Positions is not null))))
            throw new MambaException("Generate: hooks, and "
                + (options.Cache is null ? $"{prompts.Count} prompts; positions are for one" : "a cache of prefixes, whose states know nothing of them") + ".");
        if (options.Stop.Count > 0 && (options.Tokenizer is null || options.Stop.Any(string.IsNullOrEmpty)))
            throw new MambaException("Generate: stop strings need a tokenizer, and one character or more each.");
        end = options.IgnoreEndOfText ? null : options.EndOfText ?? options.Tokenizer?.EndOfText;
        for (int i = 0; i < prompts.Count; i++)
        {
            int[] prompt = [.. i == 0 ? options.State?.Pending ?? [] : [], .. prompts[i]];
            int wrong = Array.FindIndex(prompt, id => id < 0 || id >= vocabulary);
            if (wrong >= 0)
                throw new MambaException($"Generate: token {wrong} of prompt {i} is {prompt[wrong]}; the model knows 0 to {vocabulary - 1}.");
            if (prompt.Length == 0)
                throw new MambaException($"Generate: prompt {i} has no tokens; expected at least one.");
            running.Add(new Sequence(i, prompt, options));
        }
        ownsState = options.State is null;
        state = options.State;
    }

    /// <summary>Reads the prompts.</summary>
    public void Prefill(CancellationToken stop)
    {
        int b = running.Count, length = running.Max(sequence => sequence.Tokens.Count), start = 0;
        state ??= model.NewState(b);
        long before = state.Position;
        int[] tokens = new int[checked(b * length)], reset = new int[tokens.Length];
        for (int row = 0; row < b; row++)
        {
            List<int> own = running[row].Tokens;
            int padding = length - own.Count;
            CollectionsMarshal.AsSpan(own).CopyTo(tokens.AsSpan(row * length + padding));
            if (padding > 0)
                reset[row * length + padding] = 1;
            running[row].Before = before;
        }
        bool isPadded = Array.Exists(reset, x => x != 0);
        if (options.Cache is { } cache)
            start = cache.Find(tokens, state);
        int piece = Math.Max(1, MostPositions / b);
        for (int count; start < length; start += count)
        {
            stop.ThrowIfCancellationRequested();
            count = Math.Min(piece, length - start);
            using IDisposable plain = Tape.NoGrad();
            using var scope = new TensorScope();
            Tensor part = Columns(tokens, start, count);
            Tensor result = count == 1 && !isPadded
                ? Next(part.View(b))                        // as in an unbroken run
                : model.Forward(part, state, lastOnly: true, reset: isPadded ? Columns(reset, start, count) : null, hooks: options.Hooks);
            if (start + count == length)
                logits = result.ToDoubles();
        }
        options.Cache?.Add(tokens, state);
        state.Pending = [];

        Tensor Columns(int[] all, int first, int count) => Tensor.From(
            [.. Enumerable.Range(0, b).SelectMany(row => all.AsSpan(row * length + first, count).ToArray())], (b, count), model.Parameters.Device);
    }

    /// <summary>Chooses a token for each sequence, and computes the next logits unless all have ended. Nothing if none is left.</summary>
    public List<GeneratedToken> Next()
    {
        var made = new List<GeneratedToken>(running.Count);
        if (options.MaxTokens == 0)
            running.Clear();
        if (running.Count == 0)
            return made;
        int v = logits.Length / running.Count;
        var left = new List<int>();
        for (int row = 0; row < running.Count; row++)
        {
            GeneratedToken token = running[row].Choose(logits.AsSpan(row * v, v), end);
            made.Add(token);
            if (token.Finish == FinishReason.None)
                left.Add(row);
        }
        if (!ownsState)
            state!.Pending = [made[0].Id];
        if (left.Count == 0)
        {
            running.Clear();
            return made;
        }
        if (left.Count < running.Count)
        {
            MambaState all = state!;
            state = all.Gather([.. left]);
            all.Dispose();
            running.RemoveAll(sequence => sequence.HasEnded);
        }
        isStepDue = true;
        return made;
    }

    /// <summary>Lets the model read what was chosen.</summary>
    public void Step()
    {
        if (!isStepDue)
            return;
        isStepDue = false;
        using IDisposable plain = Tape.NoGrad();
        using var scope = new TensorScope();
        logits = Next(Tensor.From([.. running.Select(sequence => sequence.Tokens[^1])], running.Count, model.Parameters.Device)).ToDoubles();
        state!.Pending = [];
    }

    // The fused step knows no hooks.
    Tensor Next(Tensor tokens) => options.Hooks.Count == 0
        ? model.Step(tokens, state!)
        : model.Forward(tokens.View((tokens.Count, 1)), state, lastOnly: true, hooks: options.Hooks);

    public void Dispose()
    {
        if (ownsState)
            state?.Dispose();
    }

    /// <summary>One prompt and what follows.</summary>
    sealed class Sequence(int index, IEnumerable<int> prompt, Generation options)
    {
        readonly TextDecoder? decoder = options.Tokenizer is null ? null : new TextDecoder(options.Tokenizer);
        readonly StopStrings stops = new(options.Stop);
        int added;

        public List<int> Tokens { get; } = [.. prompt];
        public long Before { get; set; }        // tokens that a given state had read
        public bool HasEnded { get; private set; }

        public GeneratedToken Choose(Span<double> logits, int? end)
        {
            double largest = double.NegativeInfinity, sum = 0;
            foreach (double logit in logits)
                largest = Math.Max(largest, logit);
            foreach (double logit in logits)
                sum += Math.Exp(logit - largest);
            double[] plain = logits.ToArray();
            var random = new PhiloxRandom(options.Seed, SamplingStream, 2 * (ulong)(Before + Tokens.Count));        // a draw is two words
            int id = options.Sampler.Choose(logits, Tokens, random.NextDouble());
            Tokens.Add(id);
            added++;
            FinishReason finish = id == end ? FinishReason.EndOfText : added == options.MaxTokens ? FinishReason.Length : FinishReason.None;
            string text = "";
            if (decoder is not null)
            {
                text = finish == FinishReason.EndOfText ? "" : decoder.Add(id);
                if (finish != FinishReason.None)
                    text += decoder.Finish();
                (text, bool stopped) = stops.Add(text, finish != FinishReason.None);
                if (stopped)
                    finish = FinishReason.Stop;
            }
            HasEnded = finish != FinishReason.None;
            return new GeneratedToken(index, id, text, plain[id] - largest - Math.Log(sum), finish);
        }
    }
}
