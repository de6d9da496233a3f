#!/usr/bin/env python3
"""The selective scan by PyTorch, in its strongest sequential form and by the official kernels where they are installed.

    python3 torch_peer.py                                   # on cuda if there is one
    python3 torch_peer.py --device cpu --threads 2
    python3 torch_peer.py --ours FOLDER_OR_FILE             # our times, from `bench scan`: its text, or results.json

Prints a table, and with --json FILE ('-' for standard output) the same as JSON. Shapes are those of `bench scan`: (b, l, d) =
(8, 1024, 256) and (1, 2048, 1536), n = 16, float32, softplus, D, z, delta bias. Times are medians in milliseconds, the device waited for.
"""

import argparse
import json
import math
import os
import re
import statistics
import sys
import time

SHAPES = [(8, 1024, 256), (1, 2048, 1536)]
N = 16
THREADS = 1         # on the cpu at most; set by main


# Our numbers.

OLD_ROW = re.compile(r"^\s*(\d+)\s+([\d,]+)\s+([\d,]+)\s+([\d.,]+) ms\s+[\d.]+ %\s+([\d.,]+) ms")
NEW_ROW = re.compile(r"^\s*b (\d+), l (\d+), d (\d+)(, and back)?\s")
HEADER = re.compile(r"^(cpu|cuda:\d+|opencl:\d+|ilgpu-cpu) \(|^Selective scan, n = 16.*, (cpu|cuda:\d+|opencl:\d+|ilgpu-cpu), float32")
MILLISECONDS = re.compile(r"([\d.,]+) ms\b")


def number(text):
    return float(text.replace(",", ""))


def ours_from_text(text):
    """{(device, b, l, d, 'forward' | 'both'): ms} of what `bench scan` printed."""
    found, device = {}, None
    for line in text.splitlines():
        if header := HEADER.match(line):
            device = header[1] or header[2]
        elif row := OLD_ROW.match(line):
            shape = tuple(int(number(row[i])) for i in (1, 2, 3))
            found[(device, *shape, "forward")] = number(row[4])
            found[(device, *shape, "both")] = number(row[5])
        elif (row := NEW_ROW.match(line)) and (ms := MILLISECONDS.search(line)):
            found[(device, int(row[1]), int(row[2]), int(row[3]), "both" if row[4] else "forward")] = number(ms[1])
    return found


def ours_from_json(report):
    """The same of a results.json."""
    found = {}
    for table in report.get("tables", []):
        if table.get("name") != "scan" or table.get("d_type", table.get("dtype")) not in (None, "float32"):
            continue
        for row in table.get("rows", []):
            match = NEW_ROW.match(row["name"] + " ")
            sample = row.get("sample") or {}
            if match and sample.get("unit") == "ms":
                found[(table["device"], int(match[1]), int(match[2]), int(match[3]), "both" if match[4] else "forward")] = sample["median"]
    return found


def ours_from(path):
    files = [path]
    if os.path.isdir(path):
        files = [os.path.join(folder, name) for folder, _, names in sorted(os.walk(path)) for name in sorted(names)
                 if name == "results.json" or (name.endswith(".txt") and "scan" in name)]
    found = {}
    for file in files:
        with open(file, encoding="utf-8", errors="replace") as f:
            text = f.read()
        if file.endswith(".json"):
            try:
                found.update(ours_from_json(json.loads(text)))
            except (ValueError, KeyError, TypeError, AttributeError) as e:
                print(f"{file}: not a result of a benchmark: {e}", file=sys.stderr)
        else:
            found.update(ours_from_text(text))
    return found


# PyTorch's.

def scan_unbound(torch, u, delta, A, B, C, D, z, bias):
    """Exponentials of all tokens first, then one fused multiply-add a token over unbound slices; states (b, n, d)."""
    step = torch.nn.functional.softplus(delta + bias).transpose(0, 1)                       # (l, b, d)
    a = torch.exp_(step.unsqueeze(2) * A.t())                                               # (l, b, n, d)
    b = (step * u.transpose(0, 1)).unsqueeze(2) * B.transpose(0, 1).unsqueeze(3)
    slices, states = a.unbind(0), list(b.unbind(0))
    if a.requires_grad:
        for t in range(1, len(states)):
            states[t] = torch.addcmul(states[t], slices[t], states[t - 1])
        b = torch.stack(states)
    else:
        for t in range(1, len(states)):
            states[t].addcmul_(slices[t], states[t - 1])
    y = torch.matmul(C.transpose(0, 1).unsqueeze(2), b).squeeze(2).transpose(0, 1)
    return (y + D * u) * torch.nn.functional.silu(z)


def scan_in_loop(torch, u, delta, A, B, C, D, z, bias):
    """Everything in the loop: more calls, nothing of size (b, l, d, n) without gradients."""
    step = torch.nn.functional.softplus(delta + bias)
    x, At, h, ys = step * u, A.t(), None, []
    for s, xt, b, c in zip(step.unsqueeze(2).unbind(1), x.unsqueeze(2).unbind(1), B.unsqueeze(3).unbind(1), C.unsqueeze(2).unbind(1)):
        new = xt * b
        h = new if h is None else torch.addcmul(new, torch.exp_(s * At), h)
        ys.append(torch.bmm(c, h))
    return (torch.cat(ys, 1) + D * u) * torch.nn.functional.silu(z)


def official_scan(selective_scan_fn):
    def scan(torch, u, delta, A, B, C, D, z, bias):
        flip = [x.transpose(1, 2).contiguous() for x in (u, delta, B, C, z)]                # the official layout is (b, d, l)
        return selective_scan_fn(flip[0], flip[1], A, flip[2], flip[3], D, z=flip[4], delta_bias=bias, delta_softplus=True).transpose(1, 2)
    return scan


def official_scan_native(selective_scan_fn):
    """Without the copies between layouts: u, delta, B, C, z come as (b, d, l)."""
    def scan(torch, u, delta, A, B, C, D, z, bias):
        return selective_scan_fn(u, delta, A, B, C, D, z=z, delta_bias=bias, delta_softplus=True)
    return scan


def draw(torch, b, l, d, device):
    g = torch.Generator(device="cpu").manual_seed(1)
    def uniform(*shape, low=-1.0, high=1.0):
        return (torch.rand(*shape, generator=g) * (high - low) + low).to(device)
    return [uniform(b, l, d), uniform(b, l, d, low=-4.0), uniform(d, N, low=-16.0, high=-1.0), uniform(b, l, N), uniform(b, l, N),
            uniform(d), uniform(b, l, d), uniform(d)], uniform(b, l, d)


def evaluate(torch, scan, inputs, dy, gradients):
    if not gradients:
        with torch.no_grad():
            return [scan(torch, *inputs)]
    leaves = [x.detach().requires_grad_() for x in inputs]
    y = scan(torch, *leaves)
    return [y.detach(), *torch.autograd.grad(y, leaves, dy)]


def measure(torch, device, run, seconds):
    def wait():
        if device == "cuda":
            torch.cuda.synchronize()
    run()
    if device == "cpu":
        fewest_waits(torch, run)
    run()
    wait()
    times, start = [], time.perf_counter()
    while len(times) < 3 or (time.perf_counter() - start < seconds and len(times) < 200):
        wait()
        before = time.perf_counter()
        run()
        wait()
        times.append((time.perf_counter() - before) * 1e3)
    return statistics.median(times), min(times), len(times)


def fewest_waits(torch, run):
    """One thread where that is faster: operations on a slice are short, and threads wait for each other after each."""
    def trial(count):
        torch.set_num_threads(count)
        before = time.perf_counter()
        run()
        return time.perf_counter() - before
    torch.set_num_threads(min({1, THREADS}, key=trial))


def apart(a, b):
    """The largest over outputs of max |a - b| / max |b|."""
    each = [float((x.double() - y.double()).abs().max() / y.double().abs().max()) for x, y in zip(a, b)]
    if not all(math.isfinite(x) for x in each):
        raise ArithmeticError("values are not finite")
    return max(each)


def conv_rows(torch, device, seconds, b, l, d, rows):
    """The causal convolution, k = 4, with bias and silu: PyTorch's own, and the official kernel."""
    x, w, bias = torch.rand(b, d, l, device=device) * 2 - 1, torch.rand(d, 1, 4, device=device) - 0.5, torch.rand(d, device=device)
    def plain(x, w, bias):
        return torch.nn.functional.silu(torch.nn.functional.conv1d(x, w, bias, padding=3, groups=d)[..., :l])
    forms = [("torch conv1d", plain)]
    try:
        from causal_conv1d import causal_conv1d_fn
        if device == "cuda":
            forms.append(("causal_conv1d", lambda x, w, bias: causal_conv1d_fn(x, w.squeeze(1), bias, activation="silu")))
    except ImportError as e:
        print(f"causal_conv1d is not installed: {e}")
    expected = None
    for name, form in forms:
        def run(form=form):
            with torch.no_grad():
                return form(x, w, bias)
        row = {"op": "causal-conv1d", "form": name, "b": b, "l": l, "d": d, "what": "forward"}
        add(rows, row, lambda: [run()], lambda: expected, lambda: measure(torch, device, run, seconds))
        expected = expected or row.get("values")
        row.pop("values", None)


def add(rows, row, values, expected, timing):
    """One row: a form that fails says so, and the others go on."""
    try:
        row["values"] = values()
        row["difference"] = apart(row["values"], expected()) if expected() else 0.0
        row["ms"], row["best_ms"], row["runs"] = timing()
    except Exception as e:      # out of memory, an unsupported GPU: this row's result
        row["error"] = f"{type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}"
    rows.append(row)


def measure_all(torch, device, seconds):
    rows = []
    forms = [("unbound slices", scan_unbound), ("all in the loop", scan_in_loop)]
    official = None
    try:
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn as official
    except Exception as e:      # its import also fails where its extension was built for another PyTorch
        print(f"mamba_ssm is not installed: {type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}")
    if official and device == "cuda":
        forms += [("mamba_ssm", official_scan(official)), ("mamba_ssm, in (b, d, l)", None)]
    for b, l, d in SHAPES:
        inputs, dy = draw(torch, b, l, d, device)
        for gradients in (False, True):
            expected = None
            for name, scan in forms:
                given, seed = inputs, dy
                if scan is None:
                    scan = official_scan_native(official)
                    given = [x.transpose(1, 2).contiguous() if x.dim() == 3 else x for x in inputs]
                    seed = dy.transpose(1, 2).contiguous()
                def run(scan=scan, given=given, seed=seed):
                    return evaluate(torch, scan, given, seed, gradients)
                def values(name=name, run=run):
                    out = run()
                    return [x.transpose(1, 2) if x.dim() == 3 else x for x in out] if "(b, d, l)" in name else out
                row = {"op": "selective-scan", "form": name, "b": b, "l": l, "d": d, "what": "both" if gradients else "forward"}
                add(rows, row, values, lambda: expected, lambda run=run: measure(torch, device, run, seconds))
                expected = expected or row.get("values")
                row.pop("values", None)
        conv_rows(torch, device, seconds, b, l, d, rows)
    return rows


def with_ratios(rows, ours):
    """Adds to each scan's row our time on every device and PyTorch's over it."""
    for row in rows:
        if row["op"] != "selective-scan" or "ms" not in row:
            continue
        mine = {key[0] or "?": ms for key, ms in ours.items() if key[1:] == (row["b"], row["l"], row["d"], row["what"]) and ms > 0}
        if mine:
            row["ours_ms"] = mine
            row["ratio"] = {device: row["ms"] / ms for device, ms in mine.items()}
    return rows


def table(rows):
    lines = [f"{'op':16}{'form':26}{'b':>3}{'l':>7}{'d':>6}  {'what':8}{'ms':>10}{'best':>10}{'apart':>10}   ours: ms, PyTorch / ours"]
    for row in rows:
        head = f"{row['op']:16}{row['form']:26}{row['b']:>3}{row['l']:>7}{row['d']:>6}  {row['what']:8}"
        if "error" in row:
            lines.append(head + "  " + row["error"])
            continue
        mine = ", ".join(f"{device} {ms:.2f}, {row['ratio'][device]:.2f}" for device, ms in row.get("ours_ms", {}).items())
        lines.append((head + f"{row['ms']:>10.3f}{row['best_ms']:>10.3f}{row['difference']:>10.1e}   {mine}").rstrip())
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--threads", type=int, default=0, help="on the cpu at most; as many as PyTorch takes when 0")
    parser.add_argument("--seconds", type=float, default=1.0, help="about so long for each row")
    parser.add_argument("--ours", help="what `bench scan` printed or wrote: a file, or a folder of them")
    parser.add_argument("--json", help="also write JSON to this file; '-' prints it")
    args = parser.parse_args()
    try:
        import torch
    except ImportError as e:
        print(f"PyTorch is not here: {e}", file=sys.stderr)
        return 3
    device = ("cuda" if torch.cuda.is_available() else "cpu") if args.device == "auto" else args.device
    if device == "cuda" and not torch.cuda.is_available():
        print("this PyTorch sees no CUDA device: measuring on the cpu", file=sys.stderr)
        device = "cpu"
    global THREADS
    THREADS = args.threads or torch.get_num_threads()
    torch.set_num_threads(THREADS)
    torch.backends.cuda.matmul.allow_tf32 = False
    where = torch.cuda.get_device_name() if device == "cuda" else f"cpu, {THREADS} threads at most"
    print(f"PyTorch {torch.__version__} on {where}")
    rows = with_ratios(measure_all(torch, device, args.seconds), ours_from(args.ours) if args.ours else {})
    print(table(rows))
    report = json.dumps({"torch": torch.__version__, "device": where, "rows": rows}, indent=1)
    if args.json == "-":
        print(report)
    elif args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            f.write(report + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
