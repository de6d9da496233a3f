using System.Globalization;
using System.Text.Json.Nodes;
using Mamba.Pictures;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>The page of a trace as a person has it: opened in Chromium, moved about in, read.</summary>
public class TracePageTests
{
    static readonly string[] Schemes = [.. Discretization.All.Select(d => d.Name)];

    readonly string folder = Directory.CreateTempSubdirectory("mamba-page-").FullName;
    Chromium? browser;

    [OneTimeTearDown]
    public async Task Close()
    {
        if (browser is not null)
            await browser.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    string In(string name) => Path.Combine(folder, name);

    // Writes the page of a trace and opens it.
    async Task<Chromium> Show(TestTrace made, TestTrace? against = null, int width = 1400, bool dark = false, int row = 0)
    {
        using TraceFile trace = made.Open(In("trace.safetensors"));
        using TraceFile? other = against?.Open(In("other.safetensors"));
        return await Show(trace, other, width, dark, row);
    }

    async Task<Chromium> Show(TraceFile trace, TraceFile? other = null, int width = 1400, bool dark = false, int row = 0)
    {
        browser ??= await Chromium.Start();
        TracePage.Write(In("trace.html"), trace, other, row);
        Assert.That(new FileInfo(In("trace.html")).Length, Is.LessThan(TracePage.MostBytes));
        await browser.Open(In("trace.html"), width, dark: dark);
        return browser;
    }

    static void HasNoComplaints(Chromium page) => Assert.That(page.Complaints, Is.Empty);

    // The number that follows some words of a text.
    static double After(string text, string words)
    {
        int at = text.IndexOf(words, StringComparison.Ordinal);
        Assert.That(at, Is.GreaterThanOrEqualTo(0), $"'{words}' in: {text}");
        string rest = text[(at + words.Length)..].Replace('−', '-');
        return Number(new string([.. rest.TakeWhile(c => char.IsAsciiDigit(c) || c is '.' or '-' or '+' or 'e')]).TrimEnd('.'));
    }

    static double Number(string text) => double.Parse(text.Replace('−', '-').Replace(" %", ""), CultureInfo.InvariantCulture);

    // A number as it is shown, five digits of it.
    static void Equal(string shown, double expected, string what, double absolute = 0) =>
        Assert.That(Number(shown), Is.EqualTo(expected).Within(6e-5 * Math.Abs(expected) + absolute), what);

    static Task<JsonNode?> Count(Chromium page, string selector) => page.Evaluate($"document.querySelectorAll('{selector}').length");

    static async Task<int> Selected(Chromium page) => int.Parse((await page.Text("#strip [aria-selected=true]")).Trim('#'), CultureInfo.InvariantCulture);

    // The ids of tokens are their places, so that the strip says which is selected.
    static TestTrace Numbered(int length, int batch = 1) =>
        new() { Length = length, Batch = batch, Ids = [.. Enumerable.Range(0, batch).SelectMany(_ => Enumerable.Range(0, length))] };

    // ---- what it looks like ------------------------------------------------------------------------------------------

    static readonly TestTrace Words = new()
    {
        Layers = [0, 1, 5],
        Length = 40,
        N = 16,
        Tokens = [.. Enumerable.Range(0, 40).Select(i => $" word{i}")],
        TopTexts = Enumerable.Range(0, 50).ToDictionary(i => i, i => $" next{i}"),
        Hooks = ["layer 1: h wiped at token 3"],
    };

    [Test]
    public async Task It_draws_without_a_complaint_and_fits_any_width([Values(360, 400, 768, 1400, 1920)] int width, [Values] bool dark, [Values] bool compared)
    {
        Chromium page = await Show(Words, compared ? Words with { Seed = 2, Length = 30, Tokens = null } : null, width, dark);
        for (int i = 0; i < 5; i++)
            await page.Press("ArrowLeft");
        Assert.Multiple(async () =>
        {
            HasNoComplaints(page);
            Assert.That((int)(await page.Evaluate("document.documentElement.scrollWidth"))!, Is.LessThanOrEqualTo(width), "no scrolling sideways");
            Assert.That(await page.Text("#theme"), Is.EqualTo(dark ? "Light colours" : "Dark colours"));
            JsonNode drawn = (await page.Evaluate("[...document.querySelectorAll('canvas')].filter(c => c.offsetWidth > 50 && c.offsetHeight > 20).length"))!;
            Assert.That((int)drawn, Is.EqualTo(3));
            Assert.That((string)(await page.Evaluate(Contrast))!, Is.Empty, "text that is hard to read");
            Assert.That((string)(await page.Evaluate(Nameless))!, Is.Empty, "controls and figures without a name");
        });
    }

    // Texts whose contrast with what is behind them is less than 4.5 to 1 (WCAG 2.2, 1.4.3).
    const string Contrast = """
        (() => {
          const parts = text => text.match(/[\d.]+/g).map(Number), poor = new Set(), linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
          const light = text => { const [r, g, b] = parts(text).map(v => linear(v / 255)); return .2126 * r + .7152 * g + .0722 * b + .05; };
          const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          while (walker.nextNode()) {
            const node = walker.currentNode.parentElement;
            if (!walker.currentNode.data.trim() || !node.checkVisibility() || node.closest('script, option')) continue;
            let behind = node;
            while (behind && (parts(getComputedStyle(behind).backgroundColor)[3] ?? 1) < 1) behind = behind.parentElement;
            const a = light(getComputedStyle(node).color), b = light(getComputedStyle(behind ?? document.body).backgroundColor);
            if (Math.max(a, b) / Math.min(a, b) < 4.5) poor.add(walker.currentNode.data);
          }
          return [...poor].join(' | ');
        })()
        """;

    const string Nameless = """
        [...document.querySelectorAll('select, input, button, [role=img], [role=region], [role=listbox], section')].filter(node => node.checkVisibility()
          && !(node.getAttribute('aria-label') || document.getElementById(node.getAttribute('aria-labelledby')) || node.labels?.length
          || node.matches('button') && node.textContent.trim())).map(node => node.outerHTML).join('\n')
        """;

    [Test]
    public async Task The_look_is_switched_by_a_button_and_follows_the_system_until_then()
    {
        const string Ground = "getComputedStyle(document.body).backgroundColor", Zero = "document.getElementById('matrix').toDataURL()";
        Chromium page = await Show(Words);
        string light = (string)(await page.Evaluate(Ground))!, lightZero = (string)(await page.Evaluate(Zero))!;
        await page.Evaluate("document.getElementById('theme').click()");
        string dark = (string)(await page.Evaluate(Ground))!, darkZero = (string)(await page.Evaluate(Zero))!;
        await page.Evaluate("document.getElementById('theme').click()");
        Assert.Multiple(async () =>
        {
            Assert.That(dark, Is.Not.EqualTo(light));
            Assert.That(darkZero, Is.Not.EqualTo(lightZero), "figures are drawn anew");
            Assert.That((string)(await page.Evaluate(Ground))!, Is.EqualTo(light));
            Assert.That(await page.Text("#theme"), Is.EqualTo("Dark colours"));
            HasNoComplaints(page);
        });
    }

    // ---- what it says ------------------------------------------------------------------------------------------------

    [Test]
    public async Task Every_number_is_that_of_the_trace([ValueSource(nameof(Schemes))] string scheme, [Values] bool stored)
    {
        TestTrace made = Words with { Discretization = Discretization.Named(scheme), Without = stored ? [] : ["Abar", "Bbar"], Batch = 2, Tokens = null };
        Chromium page = await Show(made, row: 1);
        using TraceFile trace = made.Open(In("again.safetensors"));
        using TraceFile full = (made with { Without = [] }).Open(In("full.safetensors"));
        int l = made.Length, d = made.D, n = made.N, layer = 5, t = 17, channel = 3;
        await page.Press("Home");
        for (int i = 0; i < t; i++)
            await page.Press("ArrowRight");
        await page.Choose("layer", "2");
        await page.Choose("channel", (string)(await page.Evaluate($"[...$('channel').options].find(o => o.text.startsWith('{channel} ')).value"))!);
        await page.Evaluate("for (const list of document.querySelectorAll('details')) list.open = true; new Promise(requestAnimationFrame)");

        double At(string name) => trace.Read(layer, name, (l + t) * d + channel, 1)[0];
        double[] States(string name, int token) => full.Read(layer, name, ((l + token) * d + channel) * n, n);
        double[] C = trace.Read(layer, "C", (l + t) * n, n), h = States("h", t), before = States("h", t - 1), dh = States("dh", t);
        double[] alpha = States("Abar", t), input = States("Bbar", t);
        string said = await page.Text("#said");
        string[][] steps = await page.Cells("#steps"), along = await page.Cells("#sequence-numbers");
        string[][] top = await page.Cells("#top"), layers = await page.Cells("#layers");
        int largest = Array.IndexOf(h, h.MaxBy(Math.Abs));
        Assert.Multiple(async () =>
        {
            Assert.That(said, Does.StartWith("Token 17 (of 0 to 39)").And.Contain("layer 5, channel 3"));
            Assert.That(After(said, "Δ = "), Is.EqualTo(At("delta")).Within(6e-5 * At("delta")));
            Assert.That(After(said, $"h[{largest}] = "), Is.EqualTo(h[largest]).Within(6e-5 * Math.Abs(h[largest])));
            Assert.That(After(said, "; layer 5, channel 3. Δ = 0"), Is.GreaterThan(0));
            Assert.That(steps, Has.Length.EqualTo(n));
            for (int s = 0; s < n; s++)
            {
                Equal(steps[s][2], before[s], "h of t-1");
                Equal(steps[s][3], alpha[s], "Abar", 1e-9);
                Equal(steps[s][4], alpha[s] * before[s], "kept", 1e-7);
                Equal(steps[s][5], input[s], "Bbar", 1e-9);
                Equal(steps[s][6], h[s] - alpha[s] * before[s], "added, of the token before, too", 2e-6 * h.Max(Math.Abs));
                Equal(steps[s][7], h[s], "h");
                Equal(steps[s][8], C[s], "C");
                Equal(steps[s][9], C[s] * h[s], "C h", 1e-9);
                Equal(steps[s][10], dh[s], "dh");
            }
            string formula = await page.Text("#formula");
            Assert.That(After(formula, ", u₁₇ = ".Replace(", ", "  ")), Is.EqualTo(At("u")).Within(6e-5 * Math.Abs(At("u"))));
            Assert.That(After(formula, "in the trace "), Is.EqualTo(At("y")).Within(6e-5 * Math.Abs(At("y"))));
            string sum = formula[formula.IndexOf("· h₁₇", StringComparison.Ordinal)..formula.IndexOf("; in the trace", StringComparison.Ordinal)];
            Equal(sum[(sum.LastIndexOf('=') + 2)..], At("y"), "C·h + D u", 1e-5);

            Assert.That(along, Has.Length.EqualTo(l));
            for (int token = 0; token < l; token++)
                foreach ((string name, int column) in new[] { ("delta", 2), ("ddelta", 3), ("u", 4), ("y", 5), ("z", 6) })
                    Equal(along[token][column], trace.Read(layer, name, (l + token) * d + channel, 1)[0], $"{name} of {token}");

            double[] p = trace.Read(layer, "top_p", (l + t) * 8, 8), ids = trace.Read(layer, "top_ids", (l + t) * 8, 8);
            for (int k = 0; k < 8; k++)
            {
                Assert.That(top[k][0], Is.EqualTo($"␣next{ids[k]}"));
                Equal(top[k][1], 100 * p[k], "probability");
            }
            for (int i = 0; i < 3; i++)
                Equal(layers[i][1], 100 * trace.Read(made.Layers[i], "next_p", l - 1 + t, 1)[0], "of the one that came next");
            HasNoComplaints(page);
        });
    }

    [Test]
    public async Task A_row_of_hidden_attention_is_that_of_the_op([ValueSource(nameof(Schemes))] string scheme, [Values("channel", "shown", "all")] string of)
    {
        TestTrace made = Words with { Discretization = Discretization.Named(scheme), Length = 20, Tokens = null, D = of == "all" ? 70 : 6 };
        Chromium page = await Show(made);
        using TraceFile trace = made.Open(In("again.safetensors"));
        double[] m;                                                                             // (1, d, l, l)
        using (new TensorScope())
        {
            Tensor Of(string name, Shape shape) => Tensor.From(trace.Read(1, name), shape, DType.Float64, TestDevices.Open("cpu"));
            m = Ops.HiddenAttention(Of("delta", (1, 20, made.D)), Of("A", (made.D, 16)), Of("B", (1, 20, 16)), Of("C", (1, 20, 16)), deltaSoftplus: false,
                discretization: made.Discretization).ToDoubles();
        }
        await page.Choose("layer", "1");
        await page.Choose("attention-of", of);
        await page.Evaluate("document.getElementById('attention-numbers').open = true; new Promise(requestAnimationFrame)");
        int channel = (int)(await page.Evaluate("run.layers[1].channels[state.channel]"))!;
        int[] shown = [.. ((JsonArray)(await page.Evaluate("run.layers[1].channels"))!).Select(c => (int)c!)];
        foreach (int t in new[] { 19, 18, 7, 0 })
        {
            await page.Evaluate($"choose({{ pin: {t} }})");
            string[][] row = await page.Cells("#attention-numbers");
            Assert.That(row, Has.Length.EqualTo(t + 1));
            Assert.Multiple(() =>
            {
                for (int j = 0; j <= t; j++)
                {
                    double[] each = [.. Enumerable.Range(0, made.D).Select(c => m[(c * 20 + t) * 20 + j])];
                    double expected = of switch
                    {
                        "channel" => each[channel],
                        "shown" => shown.Average(c => Math.Abs(each[c])),
                        _ => each.Average(Math.Abs),
                    };
                    Equal(row[j][2], expected, $"{t}, {j}", 2e-6);
                }
            });
        }
        Assert.That(await page.Text("#attention-words"), Does.StartWith("token 0 ").And.Contain("takes most from token 0"));
        HasNoComplaints(page);
    }

    [Test]
    public async Task Likely_tokens_and_the_one_that_came_are_told_apart()
    {
        int[] ids = [.. Enumerable.Range(0, 12).Select(i => i + 100)];
        Chromium page = await Show(new TestTrace
        {
            Ids = ids,
            Change = (_, name, values) => { if (name == "top_p") values[0] = 0.99f; },
            TopTexts = new() { [3] = " three" },
        });
        await page.Press("Home");
        Assert.That(await page.Text("#next-words"), Does.Contain("Really came next: “\u2068#101\u2069”"));
        await page.Press("End");
        Assert.That(await page.Text("#next-words"), Does.Contain("Nothing comes after"));
        Assert.That((await page.Cells("#layers"))[0][1], Is.EqualTo("–"));
        HasNoComplaints(page);
    }

    // ---- moving about ------------------------------------------------------------------------------------------------

    [Test]
    public async Task Keys_move_over_tokens_and_layers()
    {
        Chromium page = await Show(Numbered(30) with { Layers = [2, 4, 6] });
        async Task At(int token, int layer) => Assert.That(await page.Text("#said"), Does.StartWith($"Token {token} ").And.Contain($"layer {layer},"));
        await At(29, 2);                                     // the focus is in the strip from the start
        foreach ((string key, int token, int layer) in new[]
        {
            ("ArrowRight", 29, 2), ("ArrowLeft", 28, 2), ("Home", 0, 2), ("ArrowLeft", 0, 2), ("ArrowRight", 1, 2), ("ArrowDown", 1, 4), ("ArrowDown", 1, 6),
            ("ArrowDown", 1, 6), ("ArrowUp", 1, 4), ("PageUp", 1, 2), ("ArrowUp", 1, 2), ("PageDown", 1, 6), ("End", 29, 6),
        })
        {
            await page.Press(key);
            await At(token, layer);
        }
        await page.Press("Home", modifiers: 2);                 // with control, the browser's own
        await At(29, 6);
        await page.Evaluate("document.getElementById('channel').focus()");
        await page.Press("ArrowDown");                          // a list keeps its keys
        await At(29, 6);
        Assert.That((string)(await page.Evaluate("document.getElementById('channel').value"))!, Is.EqualTo("1"));
        await page.Evaluate("document.getElementById('token').focus()");
        await page.Press("ArrowLeft");
        await At(28, 6);
        Assert.That(await Selected(page), Is.EqualTo(28));
        HasNoComplaints(page);
    }

    [Test]
    public async Task Tab_comes_to_every_control_and_shows_where_it_is()
    {
        Chromium page = await Show(Words, Words with { Seed = 4 });
        var met = new HashSet<string>(StringComparer.Ordinal);
        for (int i = 0; i < 60; i++)
        {
            await page.Press("Tab");
            string id = (string)(await page.Evaluate("document.activeElement.id || document.activeElement.dataset.states || document.activeElement.tagName"))!;
            met.Add(id);
            if (id is not "BODY")
                Assert.That((string)(await page.Evaluate("getComputedStyle(document.activeElement).outlineStyle"))!, Is.Not.EqualTo("none"), id);
        }
        string[] all = ["theme", "layer", "channel", "token", "show", "strip", "h", "dh", "sequence-scroll", "attention-of", "back", "play", "forward"];
        Assert.That(met, Is.SupersetOf(all));
    }

    [Test]
    public async Task The_mouse_looks_and_a_click_stays()
    {
        Chromium page = await Show(Numbered(30));
        await page.Press("Home");
        async Task<(double X, double Y)> Middle(string selector, double part = 0.5)
        {
            JsonNode box = (await page.Evaluate($"document.querySelector('{selector}').getBoundingClientRect().toJSON()"))!;
            return ((double)box["x"]! + part * (double)box["width"]!, (double)box["y"]! + 0.5 * (double)box["height"]!);
        }
        (double x, double y) = await Middle("#token-5");
        await page.Mouse(x, y);
        Assert.That(await Selected(page), Is.EqualTo(5), "looked at");
        await page.Mouse(2, 2);
        Assert.That(await Selected(page), Is.Zero, "the mouse has left");
        await page.Mouse(x, y, click: true);
        await page.Mouse(2, 2);
        Assert.That(await Selected(page), Is.EqualTo(5), "stays");
        (x, y) = await Middle("#states", (12 + 0.5) / 30);
        await page.Mouse(x, y);
        Assert.That(await Selected(page), Is.EqualTo(12));
        await page.Mouse(2, 2);
        await page.Evaluate("document.getElementById('matrix').scrollIntoView({ block: 'center' })");
        (x, y) = await Middle("#matrix", (3 + 0.5) / 30);
        await page.Mouse(x, y + 1);
        Assert.That(await Selected(page), Is.EqualTo(15), "a row is an output");
        Assert.That(await page.Text("#attention-words"), Does.Contain("takes from token 3 "));
        HasNoComplaints(page);
    }

    [Test]
    public async Task It_plays_the_recurrence_step_by_step()
    {
        Chromium page = await Show(Numbered(6));
        await page.Press("Home");
        async Task Click(string id) => await page.Evaluate($"document.getElementById('{id}').click()");
        await Click("forward");
        await Click("forward");
        Assert.That(await Selected(page), Is.EqualTo(2));
        string[][] second = await page.Cells("#steps");
        await Click("back");
        Assert.That(await Selected(page), Is.EqualTo(1));
        string[][] first = await page.Cells("#steps");
        Assert.That(second.Select(row => row[2]), Is.EqualTo(first.Select(row => row[7])), "h of one step is the one before of the next");
        await page.Choose("speed", "8");
        await Click("play");
        Assert.That(await page.Text("#play"), Does.Contain("Pause"));
        Assert.That((string)(await page.Evaluate("document.getElementById('said').getAttribute('aria-live')"))!, Is.EqualTo("polite").Or.EqualTo("off"));
        await page.Evaluate("new Promise(done => { const wait = () => timer === null ? done() : setTimeout(wait, 20); wait(); })");
        Assert.That(await Selected(page), Is.EqualTo(5));
        Assert.That(await page.Text("#play"), Does.Contain("Play"));
        await Click("play");                                    // from the end it starts anew
        await Click("play");
        Assert.That(await Selected(page), Is.Zero);
        Assert.That(await page.Text("#play"), Does.Contain("Play"));
        Assert.That((await page.Cells("#steps")).Select(row => row[2]), Has.All.EqualTo("0"), "nothing before the first token");
        HasNoComplaints(page);
    }

    [Test]
    public async Task Gradients_are_shown_where_there_are_any()
    {
        Chromium page = await Show(Words);
        const string Pixels = "document.getElementById('states').toDataURL()";
        string states = (string)(await page.Evaluate(Pixels))!;
        await page.Evaluate("document.querySelector('[data-states=dh]').click()");
        Assert.That((string)(await page.Evaluate(Pixels))!, Is.Not.EqualTo(states));
        Assert.That(await page.Text("#states-title"), Does.StartWith("Gradients dh of the log probability"));
        page = await Show(Words with { Gradients = false });
        Assert.That((bool)(await page.Evaluate("document.getElementById('states-switch').hidden && document.getElementById('ddelta-row').hidden"))!);
        HasNoComplaints(page);
    }

    [Test]
    public async Task A_logarithmic_axis_shows_steps_of_all_sizes()
    {
        // 1e-1, 1e-2, …: on a logarithmic axis each bar is as much shorter than the one before
        Chromium page = await Show(new TestTrace
        {
            Length = 6,
            D = 1,
            Change = (_, name, values) => { for (int t = 0; name == "delta" && t < 6; t++) values[t] = t == 5 ? 0 : (float)Math.Pow(10, -1 - t); },
        });
        const string Heights = "[...document.querySelectorAll('#delta rect')].map(r => +r.getAttribute('height'))";
        async Task<double[]> Bars() => [.. (await page.Evaluate(Heights))!.AsArray().Select(height => (double)height!)];
        double[] linear = await Bars();
        await page.Choose("axis", "log");
        double[] logarithmic = await Bars(), gaps = [.. Enumerable.Range(0, 4).Select(t => logarithmic[t] - logarithmic[t + 1])];
        Assert.That(linear[1] / linear[0], Is.EqualTo(0.1).Within(1e-4));
        Assert.That(gaps, Is.All.EqualTo(gaps[0]).Within(1e-3).And.All.GreaterThan(10));
        Assert.That(logarithmic[0], Is.EqualTo(96).Within(1e-3), "the largest ends at the top");
        Assert.That(logarithmic[^1], Is.Zero);
        HasNoComplaints(page);
    }

    // ---- two runs ----------------------------------------------------------------------------------------------------

    [Test]
    public async Task Two_runs_are_compared_place_by_place()
    {
        TestTrace made = Words with { TopTexts = null, Hooks = [] };
        TestTrace against = made with
        {
            Layers = [0, 5],
            Tokens = [.. made.Tokens!.Select((text, t) => t == 7 ? " cat" : text)],
            Ids = [.. Enumerable.Range(0, 40).Select(t => t == 7 ? 49 : 1)],
            Change = (layer, name, values) => { if (name == "delta") values[10 * 6 + 2] += 0.25f; },
        };
        made = made with { Ids = [.. Enumerable.Repeat(1, 40)] };
        Chromium page = await Show(made, against);
        Assert.That(await page.Text("#compare-words"),
            Does.Contain("differ at 1 of 40 places: token 7: “\u2068␣word7\u2069” here, “\u2068␣cat\u2069” there").And.Contain("no layer 1"));
        string[][] table = await page.Cells("#compare-table");
        Assert.That(table.Select(row => row[1]), Is.EqualTo(new[] { "0.25000 at token 10", "–", "0.25000 at token 10" }));
        Assert.That(table[0][2], Is.EqualTo("0"));
        await page.Choose("channel", (string)(await page.Evaluate("String(run.layers[0].channels.indexOf(2))"))!);
        await page.Evaluate("document.getElementById('sequence-numbers').open = true; choose({ pin: 10 }); new Promise(requestAnimationFrame)");
        string[][] along = await page.Cells("#sequence-numbers");
        int columns = along[0].Length;
        int theirs = 2 + (columns - 2) / 2;
        Assert.That(Number(along[10][theirs]) - Number(along[10][2]), Is.EqualTo(0.25).Within(1e-4));
        Assert.That(along[9][theirs], Is.EqualTo(along[9][2]));
        Assert.That(along.Select(row => row[theirs]), Is.Not.EqualTo(along.Select(row => row[2])));
        foreach (string show in new[] { "difference", "other", "this" })
        {
            await page.Choose("show", show);
            foreach (string layer in new[] { "1", "2", "0" })
                await page.Choose("layer", layer);
        }
        await page.Choose("show", "difference");
        // |difference| of delta: nothing but one bar
        const string Bars = "[...document.querySelectorAll('#delta rect')].filter(r => +r.getAttribute('height') > 1).length";
        Assert.That((int)(await page.Evaluate(Bars))!, Is.EqualTo(1));
        Assert.That(await page.Text("#attention-words"), Does.StartWith("what token ").And.Contain(" takes differs most at token "));
        HasNoComplaints(page);
    }

    [TestCase(40, 25)]
    [TestCase(25, 40)]
    [TestCase(1, 40)]
    [TestCase(40, 1)]
    [TestCase(700, 30)]
    public async Task Runs_of_other_lengths_and_sizes_can_be_compared(int mine, int theirs)
    {
        var made = new TestTrace { Length = mine, D = 5, N = 3 };
        Chromium page = await Show(made, new TestTrace { Length = theirs, D = 4, N = 6, Layers = [1, 3], Seed = 3, Gradients = false, Without = ["top_ids"] });
        foreach (string show in new[] { "difference", "other", "this" })
        {
            await page.Choose("show", show);
            foreach (string layer in new[] { "1", "0" })
            {
                await page.Choose("layer", layer);
                foreach (string key in new[] { "Home", "End", "ArrowLeft" })
                    await page.Press(key);
            }
        }
        Assert.That(await page.Text("#compare-words"), Does.Contain($"{mine} tokens").Or.Contain("1 token").And.Contain("The other run has no layer 0"));
        HasNoComplaints(page);
    }

    [Test]
    public async Task The_trace_of_a_model_is_shown_with_its_predictions_and_with_what_a_hook_changes()
    {
        Device host = TestDevices.Open("cpu");
        using var model = MambaLM.Load(Path.Combine(TestData.Root, "learn", "models", "induction-heads"), host);
        // the special token, 3, others, and the special one again: 3 is to come
        int[] ids = [5, 9, InductionHeads.Special, 3, 7, 1, 12, 4, 8, 2, 2, 6, 11, InductionHeads.Special];
        var options = new TraceSettings { Quantity = Quantity.Loss };
        float[] logits;
        using (new TensorScope())
        {
            var tokens = Tensor.From(ids, (1, ids.Length), host);
            logits = model.Forward(tokens).ToArray<float>();
            model.Trace(tokens, In("model.safetensors"), options);
            model.Trace(tokens, In("wiped.safetensors"), options with { Hooks = [Hook.Wipe(Site.H, layers: 1, positions: 12)] });
        }
        using TraceFile trace = TraceFile.Open(In("model.safetensors")), wiped = TraceFile.Open(In("wiped.safetensors"));
        Chromium page = await Show(trace, wiped);
        await page.Choose("layer", "1");
        double[] last = [.. logits[^(logits.Length / ids.Length)..].Select(x => Math.Exp(x))];
        Assert.Multiple(async () =>
        {
            string[][] top = await page.Cells("#top");
            Assert.That(top[0][0], Is.EqualTo("#3"));
            Equal(top[0][1], 100 * last.Max() / last.Sum(), "the model's own prediction");
            Assert.That(await page.Text("#compare-words"), Does.Contain("There was changed: ").And.Contain("layer 1"));
            Assert.That((await page.Cells("#compare-table"))[0][2], Is.EqualTo("0"), "h before the hook");
            Assert.That((await page.Cells("#compare-table"))[1][2], Does.Contain(" at token "));
            HasNoComplaints(page);
        });
    }

    // ---- odd traces --------------------------------------------------------------------------------------------------

    [Test]
    public async Task No_text_of_a_trace_can_break_out_of_the_page()
    {
        string[] hostile =
        [
            "</script><img src=x onerror=\"document.title='taken'\">", "<!--<script>", "'\"`${1}\\", "\n", "\r\n", "a\u2028b\u2029c",
            "😀👩‍👩‍👧", "مرحبا بالعالم", "\u202eabc", "", " ", "\0\u0001", "&lt;b&gt;", "{{data}}", "__proto__",
            new string('x', 5000), string.Concat(Enumerable.Repeat("😀", 100)), "]]>",
        ];
        string all = string.Concat(hostile);
        Chromium page = await Show(new TestTrace
        {
            Length = hostile.Length,
            Tokens = hostile,
            Hooks = [.. Enumerable.Repeat(all, 50)],
            Model = all,
            Ids = [.. Enumerable.Range(0, hostile.Length)],
            TopTexts = Enumerable.Range(0, 50).ToDictionary(i => i, i => hostile[i % hostile.Length]),
        }, Words with { Model = "</script>" });
        for (int i = 0; i < hostile.Length; i++)
            await page.Press("ArrowLeft");
        JsonNode strip = (await page.Evaluate("[...document.querySelectorAll('#strip [role=option]')].map(o => o.textContent)"))!;
        string[] shown = [.. strip.AsArray().Select(text => (string)text!)];
        Assert.Multiple(async () =>
        {
            Assert.That((int)(await Count(page, "img, #strip b, #strip script"))!, Is.Zero);
            Assert.That((string)(await page.Evaluate("document.title"))!, Does.Not.Contain("taken"));
            Assert.That((int)(await Count(page, "script"))!, Is.EqualTo(2));
            Assert.That(shown[0], Is.EqualTo("</script><img␣src=x␣onerror=\"document.t…"));
            Assert.That(shown[1..9], Is.EqualTo(new[] { "<!--<script>", "'\"`${1}\\", "⏎", "⏎", "a⏎b⏎c", "😀👩‹200d›👩‹200d›👧", "مرحبا␣بالعالم", "‹202e›abc" }));
            Assert.That(shown[9..15], Is.EqualTo(new[] { "∅", "␣", "␀␁", "&lt;b&gt;", "{{data}}", "__proto__" }));
            Assert.That(shown[15], Is.EqualTo(new string('x', 39) + "…"));
            Assert.That(shown[16], Does.EndWith("😀…").And.Not.Contain("\ufffd"));
            HasNoComplaints(page);
        });
    }

    [Test]
    public async Task The_page_itself_forbids_the_network_and_other_scripts()
    {
        Chromium page = await Show(Words);
        HasNoComplaints(page);
        await page.Evaluate("fetch('https://example.org/').catch(() => {})");
        await page.Evaluate("document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.taken = true' }))");
        Assert.That((bool)(await page.Evaluate("window.taken === undefined"))!, "a script that is put in does not run");
        Assert.That(page.Complaints, Has.Some.Contains("Content Security Policy"));
        string html = await File.ReadAllTextAsync(In("trace.html"));
        Assert.That(html[..html.IndexOf("id=\"data\"", StringComparison.Ordinal)], Does.Not.Contain("http://").And.Not.Contain("https://"));
    }

    [TestCase(double.NaN)]
    [TestCase(double.PositiveInfinity)]
    [TestCase(0)]
    [TestCase(1e38)]
    public async Task Values_that_are_no_numbers_zero_or_huge_break_nothing(double value)
    {
        Chromium page = await Show(Words with
        {
            Without = ["Abar"],
            Change = (layer, name, values) =>
            {
                if (name != "A")
                    values.AsSpan(layer == 0 ? 0 : values.Length / 3).Fill((float)value);
            },
        }, Words);
        foreach (string key in new[] { "Home", "End", "ArrowDown", "Home", "ArrowRight", "End", "ArrowLeft" })
            await page.Press(key);
        foreach (string show in new[] { "difference", "other", "this" })
            await page.Choose("show", show);
        await page.Evaluate("for (const list of document.querySelectorAll('details')) list.open = true; new Promise(requestAnimationFrame)");
        string said = await page.Text("#said");
        Assert.That(said, Does.Contain(value switch { double.NaN => "Δ = NaN", double.PositiveInfinity => "Δ = ∞", 0 => "Δ = 0", _ => "Δ = 1.0000e+38" }));
        HasNoComplaints(page);
    }

    [TestCase("u delta z y B C A D Abar Bbar h dh ddelta top_ids top_p next_p")]
    [TestCase("delta")]
    [TestCase("h")]
    [TestCase("C D z")]
    [TestCase("A B")]
    [TestCase("y next_p")]
    [TestCase("top_ids")]
    [TestCase("u")]
    public async Task What_is_not_in_the_trace_is_left_out_and_said(string names)
    {
        Chromium page = await Show(Words with { Without = names.Split(' ') });
        foreach (string key in new[] { "Home", "ArrowDown", "End" })
            await page.Press(key);
        await page.Evaluate("for (const list of document.querySelectorAll('details')) list.open = true; new Promise(requestAnimationFrame)");
        if (names.Contains("delta"))
            Assert.That(await page.Text("#delta-title"), Does.StartWith("The trace has no delta"));
        if (names.Split(' ')[0] is "u" or "h")
            Assert.That(await page.Text("#recurrence-words"), Does.StartWith("The trace lacks"));
        if (names.StartsWith('C'))
            Assert.That(await page.Text("#attention-words"), Does.StartWith("The trace lacks"));
        HasNoComplaints(page);
    }

    [Test]
    public async Task A_single_token_of_one_channel_and_state_is_a_trace()
    {
        Chromium page = await Show(new TestTrace { Length = 1, D = 1, N = 1, K = 1, Layers = [7] }, width: 360);
        foreach (string key in new[] { "Home", "End", "ArrowLeft", "ArrowRight", "ArrowDown" })
            await page.Press(key);
        await page.Evaluate("document.getElementById('play').click()");
        Assert.That(await page.Text("#said"), Does.StartWith("Token 0 (of 0 to 0)"));
        Assert.That(await page.Cells("#steps"), Has.Length.EqualTo(1));
        HasNoComplaints(page);
    }

    [Test]
    public void What_cannot_be_shown_is_refused_in_a_line()
    {
        using TraceFile trace = (Words with { Batch = 2, Tokens = null }).Open(In("two.safetensors"));
        using TraceFile none = (Words with { Layers = [] }).Open(In("none.safetensors"));
        Assert.Multiple(() =>
        {
            Assert.That(() => TracePage.Write(In("no.html"), trace, row: 2),
                Throws.TypeOf<MambaException>().With.Message.EndsWith("sequence 2 was asked for; there are 2, counted from 0."));
            Assert.That(() => TracePage.Write(In("no.html"), trace, row: -1), Throws.TypeOf<MambaException>());
            Assert.That(() => TracePage.Write(In("no.html"), none), Throws.TypeOf<MambaException>().With.Message.Contains("0 layers"));
            Assert.That(() => TracePage.Write(In("no.html"), trace, none), Throws.TypeOf<MambaException>().With.Message.Contains("0 layers"));
            Assert.That(File.Exists(In("no.html")), Is.False);
        });
    }

    // ---- large traces ------------------------------------------------------------------------------------------------

    // A trace of zeros, which takes no room on the disk; a value of y is not zero.
    TraceFile Sparse(int layers, int l, int d, int n, string[] names)
    {
        var writer = new SafetensorsWriter();
        writer.Metadata["format"] = "mamba-trace";
        writer.Metadata["layers"] = string.Join(',', Enumerable.Range(0, layers));
        writer.Metadata["discretization"] = "exponential-euler";
        void Add(string name, Shape shape, string type = "F32") => writer.Add(name, type, shape, stream =>
        {
            long bytes = shape.Count * SafetensorsEntry.SizeOf(type);
            bool isY = name.EndsWith(".y", StringComparison.Ordinal);
            stream.Position += bytes - 4;
            stream.Write(BitConverter.GetBytes(isY ? 3f : 0f));
        });
        Add("ids", (1, l), "I64");
        for (int layer = 0; layer < layers; layer++)
            foreach (string name in names)
                Add(TraceFile.NameOf(layer, name), name switch
                {
                    "A" => (d, n),
                    "B" or "C" => (1, l, n),
                    "h" or "dh" or "Abar" or "Bbar" => (1, l, d, n),
                    "top_ids" or "top_p" => (1, l, 8),
                    "next_p" => (1, l - 1),
                    _ => (1, l, d),
                }, name == "top_ids" ? "I64" : "F32");
        string path = In($"sparse-{layers}-{l}.safetensors");
        writer.Save(path);
        return TraceFile.Open(path);
    }

    static readonly string[] Everything = ["u", "delta", "z", "y", "B", "C", "A", "h", "dh", "ddelta", "top_ids", "top_p", "next_p"];

    [TestCase(24, 60, 1536, 16, "channels of the 1,536 of each layer: those that move y most")]
    [TestCase(2, 20_000, 128, 16, "512 tokens of 20,000: those from 19488 to 19999")]
    [TestCase(64, 3000, 64, 256, "tokens of 3,000")]
    public async Task A_page_of_a_large_trace_is_small_and_says_what_it_leaves_out(int layers, int l, int d, int n, string said)
    {
        using TraceFile trace = Sparse(layers, l, d, n, Everything);
        Chromium page = await Show(trace, width: 1400);
        Assert.That(await page.Text("#left-out ul"), Does.Contain(said));
        await page.Press("ArrowLeft");
        await page.Press("ArrowDown");
        Assert.That(new FileInfo(In("trace.html")).Length, Is.GreaterThan(2_000_000), "what fits is there");
        Assert.That((int)(await page.Evaluate("run.layers[0].channels[0]"))!, Is.EqualTo(d - 1), "the one that moves y");
        Assert.That((int)(await page.Evaluate("document.documentElement.scrollWidth"))!, Is.LessThanOrEqualTo(1400));
        HasNoComplaints(page);
    }

    [Test]
    public async Task The_first_token_of_a_piece_knows_what_came_before_it([ValueSource(nameof(Schemes))] string scheme)
    {
        var made = new TestTrace { Length = 600, D = 5, N = 3, Layers = [0], Discretization = Discretization.Named(scheme), Without = ["Abar", "Bbar"] };
        Chromium page = await Show(made);
        using TraceFile trace = made.Open(In("again.safetensors"));
        await page.Press("Home");
        int channel = (int)(await page.Evaluate("run.layers[0].channels[0]"))!;
        string[][] steps = await page.Cells("#steps");
        double[] before = trace.Read(0, "h", (87 * 5 + channel) * 3, 3), h = trace.Read(0, "h", (88 * 5 + channel) * 3, 3);
        Assert.That(await page.Text("#said"), Does.StartWith("Token 88 (of 0 to 599)"));
        for (int s = 0; s < 3; s++)
        {
            Equal(steps[s][2], before[s], "h of t-1");
            Equal(steps[s][7], h[s], "h");
            Assert.That(Number(steps[s][4]) + Number(steps[s][6]), Is.EqualTo(h[s]).Within(2e-4 * h.Max(Math.Abs)), "kept and added");
        }
        Assert.That((bool)(await page.Evaluate("document.getElementById('step-note').hidden"))!, "the sum is the state");
        HasNoComplaints(page);
    }

    [Test]
    public async Task States_that_a_hook_changed_are_said_not_to_be_the_sum()
    {
        Chromium page = await Show(Words with { Change = (_, name, values) => { if (name == "h") values.AsSpan(^96..).Fill(9); } });
        Assert.That((bool)(await page.Evaluate("document.getElementById('step-note').hidden"))!, Is.False);
        Assert.That(await page.Text("#step-note"), Does.Contain("they were changed (layer 1: h wiped at token 3)"));
        await page.Press("ArrowLeft");
        Assert.That((bool)(await page.Evaluate("document.getElementById('step-note').hidden"))!);
    }
}
