using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>
/// A page in headless Chromium, driven by the DevTools protocol over a web socket: what it shows is read, keys are pressed, and whatever the console
/// is told is kept. Without Chromium tests are ignored, unless MAMBA_REQUIRE_CHROMIUM is 1.
/// </summary>
internal sealed class Chromium : IAsyncDisposable
{
    static readonly string[] Names = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    readonly Process process;
    readonly string profile;
    readonly ClientWebSocket socket = new();
    readonly ConcurrentDictionary<int, TaskCompletionSource<JsonNode>> waiting = new();
    readonly SemaphoreSlim sending = new(1);
    readonly ConcurrentQueue<string> complaints = new();
    int last;
    string session = "";
    volatile TaskCompletionSource loaded = new();
    Task reading = Task.CompletedTask, said = Task.CompletedTask;

    Chromium(Process process, string profile) => (this.process, this.profile) = (process, profile);

    /// <summary>Errors and warnings on the console, exceptions nobody caught, what the browser remarks, requests for anything but the page.</summary>
    public IReadOnlyCollection<string> Complaints => complaints;

    static string? Installed() => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .SelectMany(folder => Names.Select(name => Path.Combine(folder, name))).FirstOrDefault(File.Exists);

    /// <summary>Starts a browser.</summary>
    public static async Task<Chromium> Start()
    {
        string? program = Installed();
        if (program is null && Environment.GetEnvironmentVariable("MAMBA_REQUIRE_CHROMIUM") == "1")
            Assert.Fail("There is no Chromium, and MAMBA_REQUIRE_CHROMIUM is 1.");
        if (program is null)
            Assert.Ignore("There is no Chromium.");
        string own = Directory.CreateTempSubdirectory("mamba-chromium-").FullName;
        var start = new ProcessStartInfo(program!) { UseShellExecute = false, RedirectStandardError = true, RedirectStandardOutput = true };
        foreach (string argument in (string[])["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
            "--remote-debugging-port=0", $"--user-data-dir={own}", "about:blank"])
            start.ArgumentList.Add(argument);
        var chromium = new Chromium(Process.Start(start)!, own);
        try
        {
            await chromium.Connect();
            return chromium;
        }
        catch
        {
            await chromium.DisposeAsync();
            throw;
        }
    }

    async Task Connect()
    {
        const string Said = "DevTools listening on ";
        using var patience = new CancellationTokenSource(Patience);
        string? line;
        do
            line = await process.StandardError.ReadLineAsync(patience.Token) ?? throw new InvalidOperationException("Chromium ended before it listened.");
        while (!line.StartsWith(Said, StringComparison.Ordinal));
        said = Task.WhenAll(process.StandardError.ReadToEndAsync(), process.StandardOutput.ReadToEndAsync());       // a full pipe would stop it
        await socket.ConnectAsync(new Uri(line[Said.Length..]), patience.Token);
        reading = Task.Run(Read);
        JsonNode target = await Send("Target.createTarget", new JsonObject { ["url"] = "about:blank" });
        JsonNode attached = await Send("Target.attachToTarget", new JsonObject { ["targetId"] = (string)target["targetId"]!, ["flatten"] = true });
        session = (string)attached["sessionId"]!;
        foreach (string domain in new[] { "Page", "Runtime", "Log", "Network" })
            await Send(domain + ".enable");
    }

    /// <summary>Opens a file in a window of a size in CSS pixels and waits until it is loaded. Complaints are those about this page.</summary>
    public async Task Open(string path, int width = 1400, int height = 1000, bool dark = false)
    {
        await Size(width, height);
        await Send("Emulation.setEmulatedMedia", new JsonObject
        {
            ["features"] = new JsonArray(new JsonObject { ["name"] = "prefers-color-scheme", ["value"] = dark ? "dark" : "light" }),
        });
        complaints.Clear();
        loaded = new TaskCompletionSource();
        await Send("Page.navigate", new JsonObject { ["url"] = new Uri(path).AbsoluteUri });
        await loaded.Task.WaitAsync(Patience);
    }

    /// <summary>Makes the window another size.</summary>
    public Task Size(int width, int height) => Send("Emulation.setDeviceMetricsOverride", new JsonObject
    {
        ["width"] = width,
        ["height"] = height,
        ["deviceScaleFactor"] = 1,
        ["mobile"] = false,
    });

    /// <summary>The value of an expression, awaited where it is a promise.</summary>
    public async Task<JsonNode?> Evaluate(string expression)
    {
        JsonNode answer = await Send("Runtime.evaluate",
            new JsonObject { ["expression"] = expression, ["returnByValue"] = true, ["awaitPromise"] = true, ["userGesture"] = true });
        return answer["exceptionDetails"] is { } thrown
            ? throw new InvalidOperationException($"{expression}: {thrown["exception"]?["description"] ?? thrown["text"]}")
            : answer["result"]!["value"];
    }

    /// <summary>The text of an element.</summary>
    /// <param name="selector">As in CSS.</param>
    public async Task<string> Text(string selector) => (string)(await Evaluate($"document.querySelector({JsonValue.Create(selector).ToJsonString()}).textContent"))!;

    /// <summary>The texts of the cells of a table's body, row by row.</summary>
    public async Task<string[][]> Cells(string selector)
    {
        JsonNode rows = (await Evaluate($"[...document.querySelectorAll('{selector} tbody tr')].map(row => [...row.cells].map(cell => cell.textContent))"))!;
        return [.. rows.AsArray().Select(row => row!.AsArray().Select(cell => (string)cell!).ToArray())];
    }

    /// <summary>Chooses from a list as a person does.</summary>
    public Task Choose(string id, string value) =>
        Evaluate($"{{ const list = document.getElementById('{id}'); list.value = '{value}'; list.dispatchEvent(new Event('change')); }}");

    /// <summary>Presses a key, named as in KeyboardEvent.key, as a person does.</summary>
    public async Task Press(string key, int modifiers = 0)
    {
        int code = key switch
        {
            "Tab" => 9,
            "Enter" => 13,
            _ => 32 + Array.IndexOf([" ", "PageUp", "PageDown", "End", "Home", "ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown"], key),
        };
        foreach (string type in new[] { "keyDown", "keyUp" })
        {
            var press = new JsonObject
            {
                ["type"] = type,
                ["key"] = key,
                ["code"] = key == " " ? "Space" : key,
                ["windowsVirtualKeyCode"] = code,
                ["modifiers"] = modifiers,
            };
            if (type == "keyDown" && (key is "Enter" or " "))
                press["text"] = key == " " ? " " : "\r";
            await Send("Input.dispatchKeyEvent", press);
        }
    }

    /// <summary>Moves the mouse to a place of the window, and clicks there.</summary>
    public async Task Mouse(double x, double y, bool click = false)
    {
        foreach (string type in click ? new[] { "mouseMoved", "mousePressed", "mouseReleased" } : ["mouseMoved"])
            await Send("Input.dispatchMouseEvent", new JsonObject
            {
                ["type"] = type,
                ["x"] = x,
                ["y"] = y,
                ["button"] = type == "mouseMoved" ? "none" : "left",
                ["clickCount"] = type == "mouseMoved" ? 0 : 1,
                ["pointerType"] = "mouse",
            });
    }

    /// <summary>A picture of the page as PNG, of all of it or of what is in the window.</summary>
    public async Task<byte[]> Screenshot(bool all = false) =>
        Convert.FromBase64String((string)(await Send("Page.captureScreenshot", new JsonObject { ["captureBeyondViewport"] = all }))["data"]!);

    async Task<JsonNode> Send(string method, JsonObject? parameters = null)
    {
        int id = Interlocked.Increment(ref last);
        TaskCompletionSource<JsonNode> answer = waiting[id] = new(TaskCreationOptions.RunContinuationsAsynchronously);
        var message = new JsonObject { ["id"] = id, ["method"] = method, ["params"] = parameters ?? [] };
        if (session.Length > 0)
            message["sessionId"] = session;
        await sending.WaitAsync();
        try
        {
            await socket.SendAsync(Encoding.UTF8.GetBytes(message.ToJsonString()), WebSocketMessageType.Text, true, CancellationToken.None);
        }
        finally
        {
            sending.Release();
        }
        JsonNode got = await answer.Task.WaitAsync(Patience);
        return got["error"] is { } error ? throw new InvalidOperationException($"{method}: {error["message"]}") : got["result"]!;
    }

    async Task Read()
    {
        byte[] piece = new byte[1 << 16];
        using var message = new MemoryStream();
        try
        {
            while (socket.State == WebSocketState.Open)
            {
                WebSocketReceiveResult got = await socket.ReceiveAsync(piece, CancellationToken.None);
                message.Write(piece, 0, got.Count);
                if (!got.EndOfMessage)
                    continue;
                JsonNode node = JsonNode.Parse(message.ToArray())!;
                message.SetLength(0);
                if (node["id"] is { } id && waiting.TryRemove((int)id, out TaskCompletionSource<JsonNode>? answer))
                    answer.SetResult(node);
                else
                    Hear((string?)node["method"] ?? "", node["params"]);
            }
        }
        catch (Exception e) when (e is WebSocketException or OperationCanceledException or IOException or ObjectDisposedException)
        {
            foreach (TaskCompletionSource<JsonNode> answer in waiting.Values)
                answer.TrySetException(new InvalidOperationException("Chromium is gone.", e));
        }
    }

    void Hear(string method, JsonNode? said)
    {
        switch (method)
        {
            case "Page.loadEventFired":
                loaded.TrySetResult();
                break;
            case "Runtime.exceptionThrown":
                complaints.Enqueue($"exception: {said!["exceptionDetails"]!["exception"]?["description"] ?? said["exceptionDetails"]!["text"]}");
                break;
            case "Runtime.consoleAPICalled" when (string)said!["type"]! is "error" or "warning" or "assert":
                complaints.Enqueue($"console: {said["args"]!.ToJsonString()}");
                break;
            case "Log.entryAdded" when (string)said!["entry"]!["level"]! is not "verbose":
                complaints.Enqueue($"log: {said["entry"]!["text"]}");
                break;
            case "Network.requestWillBeSent" when (string)said!["type"]! != "Document":
                complaints.Enqueue($"request: {said["request"]!["url"]}");
                break;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited)
            process.Kill(entireProcessTree: true);
        await process.WaitForExitAsync();
        socket.Abort();
        await reading;
        await said;
        socket.Dispose();
        process.Dispose();
        sending.Dispose();
        for (int i = 0; Directory.Exists(profile) && i < 20; i++)
        {
            try
            {
                Directory.Delete(profile, recursive: true);
            }
            catch (IOException)
            {
                await Task.Delay(50);           // its processes are still writing
            }
        }
    }
}
