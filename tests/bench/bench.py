"""Side by side with PyTorch in one run: training steps, forward passes, start-up, memory, sizes.

Usage: make bench; CASE=LSTM make bench for the cases of that name; ONNXRUNTIME=PYTHON names a Python that has onnxruntime,
which then makes the forward passes too. Alternates the two sides over ROUNDS and prints the median of each and the
ratio. PyTorch gets what is best for it: Debian's python3-torch with its OpenMP BLAS, two pinned threads,
a malloc that keeps its memory, foreach optimizers where they are faster, frozen graphs for prediction.
"""
import gzip
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
NNC = os.path.join(ROOT, os.environ.get("BUILD", "build"), "nnc")
THREADS, ROUNDS = 2, int(os.environ.get("ROUNDS", "3"))

TORCH_ENV = dict(
    os.environ, OMP_NUM_THREADS=str(THREADS), OMP_PROC_BIND="close", OMP_PLACES="cores",
    MALLOC_TOP_PAD_=str(1 << 28), MALLOC_MMAP_THRESHOLD_=str(1 << 30), MALLOC_TRIM_THRESHOLD_=str(1 << 30))
for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    TORCH_ENV.pop(name, None)
    os.environ.pop(name, None)

PERCEPTRON = """
use std.layers: {imports}
data Rows {{
    train = idx("x.gz", "y.gz")
    x: f32[{inputs}] = row[0] / 255
    y: {target} = row[1]
}}
model Net(x: f32[{inputs}]) -> {result} {{ x {layers} }}
train Net on Rows {{
    minimize {loss}(Net(x), y) with rmsprop(0.001)
    batch {batch}; epochs 1
}}
predict Scores on Rows {{ Net(x) }}
"""

SERIES = """
use std.layers: {layer}, Dense
data Rows {{
    train = idx("x.gz", "y.gz")
    past: f32[6]    = row[0] / 255
    future: f32[24] = row[1] / 255
}}
model Net(past: f32[6]) -> f32[24] {{ reshape(past, [6, 1]) |> {layer}(16) |> Dense(24) }}
train Net on Rows {{ minimize mse(Net(past), future) with rmsprop(0.001); batch 32; epochs 1 }}
"""

REVIEWS = """
use std.layers: Embedding, LSTM, Dense
data Rows {
    train = idx("x.gz", "y.gz")
    review: index<20000>[80] = row[0]
    label: f32 = row[1]
}
model Net(review: index<20000>[80]) -> f32 { review |> Embedding(128) |> LSTM(128) |> Dense(1) }
train Net on Rows { minimize bce(Net(review), label) with adam(0.001); batch 32; epochs 1 }
"""

GPT = """
use std.layers: Dense, Embedding, LayerNorm
data Rows {
    train = idx("x.gz")
    let letters: index<65>[257] = row[0]
    input: index<65>[256]  = letters[..-1]
    target: index<65>[256] = letters[1..]
}
fn by_head(x: f32[T, d], heads: int) -> f32[heads, T, d / heads] {
    x |> reshape([T, heads, d / heads]) |> transpose([1, 0, 2])
}
layer Attention(heads: int)(x: f32[T, d]) -> f32[T, d] {
    let q = x |> Dense(d, bias = false) |> by_head(heads)
    let k = x |> Dense(d, bias = false) |> by_head(heads)
    let v = x |> Dense(d, bias = false) |> by_head(heads)
    let weights = q @ transpose(k, [0, 2, 1]) / sqrt(d / heads) |> causal |> softmax
    weights @ v |> transpose([1, 0, 2]) |> reshape([T, d]) |> Dense(d, bias = false)
}
layer Block(heads: int)(x: f32[T, d]) -> f32[T, d] {
    let y = x + (x |> LayerNorm |> Attention(heads))
    y + (y |> LayerNorm |> Dense(4 * d, activation = gelu) |> Dense(d))
}
model Gpt(input: index<V>[T]) -> f32[T, V] {
    param position: f32[T, 384] = normal * 0.02
    let start = Embedding(384)(input) + position
    let y = for i in 0..6 with x = start { x = x |> Block(6) }
    y |> LayerNorm |> Dense(V, bias = false)
}
train Gpt on Rows {
    minimize mean(cross_entropy(Gpt(input), target)) with adamw(0.001, decay = 0.1)
    batch 8; epochs 1
}
"""


def perceptron(inputs, layers, batch, regression=False):
    """The program, and its columns: shape of one row, IDX type, numbers below."""
    program = PERCEPTRON.format(
        imports="Dense, Dropout" if "Dropout" in layers else "Dense", inputs=inputs, layers=layers, batch=batch, target="f32" if regression else "index<10>",
        result="f32" if regression else "f32[10]", loss="mse" if regression else "cross_entropy")
    return program, [([inputs], "B", 256), ([], "B", 10)]


IMAGES = """
use std.{imports}
data Rows {{
    train = idx("x.gz", "y.gz")
    x: f32[{size}, {size}, {channels}] = row[0] / 255
    y: index<{classes}> = row[1]
}}
model Net(x: f32[{size}, {size}, {channels}]) -> f32[{classes}] {{ x {layers} }}
train Net on Rows {{
    minimize cross_entropy(Net(x), y) with {optimizer}
    batch {batch}; epochs 1
}}
predict Scores on Rows {{ Net(x) }}
"""
B2 = """|> Conv2D(32, 3, relu) |> Conv2D(64, 3, relu) |> MaxPool2D(2) |> Dropout(0.25) |> Flatten
       |> Dense(128, relu) |> Dropout(0.5) |> Dense(10)"""
B3 = "|> MaxPool2D(2) ".join(f"|> Conv2D({n}, 3, relu) " for n in (32, 64, 128)) + "|> Flatten |> Dense(10)"
B7 = "".join(f"|> Conv2D({n}, 3, relu) |> MaxPool2D(2) " for n in (32, 64, 128, 256, 512)) + "|> Flatten |> Dense(10)"


def images(size, channels, layers, optimizer, batch):
    """As perceptron; a layer of the zoo alone is a network of 1000 classes."""
    used = [n for n in ("Conv2D", "MaxPool2D", "Flatten", "Dense", "Dropout") if n in layers]
    imports = "layers: " + ", ".join(used) if used else "zoo: " + layers.split()[1]
    program = IMAGES.format(imports=imports, size=size, channels=channels, layers=layers, optimizer=optimizer,
                            batch=batch, classes=10 if used else 1000)
    return program, [([size, size, channels], "B", 256), ([], "B", 10)]


CASES = {
    "784-512-10 b128": perceptron(784, "|> Dense(512, relu) |> Dense(10)", 128),
    "784-64-10 b32": perceptron(784, "|> Dense(64, relu) |> Dense(10)", 32),
    "784-512-512-10 dropout b128": perceptron(
        784, "|> Dense(512, relu) |> Dropout(0.2) |> Dense(512, relu) |> Dropout(0.2) |> Dense(10)", 128),
    "37-64x4-1 b32": perceptron(37, "|> Dense(64, relu)" * 4 + " |> Dense(1)", 32, regression=True),
    "SimpleRNN 16, 6 steps b32": (SERIES.format(layer="SimpleRNN"), [([6], "B", 256), ([24], "B", 256)]),
    "LSTM 16, 6 steps b32": (SERIES.format(layer="LSTM"), [([6], "B", 256), ([24], "B", 256)]),
    "LSTM 128, 80 steps b32": (REVIEWS, [([80], "i", 20000), ([], "B", 2)]),
    "transformer 6x384, 256 b8": (GPT, [([257], "B", 65)]),
    **{f"B3 b{batch}": images(28, 1, B3, "rmsprop(0.001)", batch) for batch in (32, 64, 128)},
    **{f"B2 b{batch}": images(28, 1, B2, "adam(0.001)", batch) for batch in (32, 128)},
    "B7 deep b32": images(180, 3, B7, "rmsprop(0.001)", 32),
    "VGG16 b8": images(224, 3, "|> VGG16", "sgd(0.001, momentum = 0.9)", 8),
    "ResNet-50 b8": images(224, 3, "|> ResNet50", "sgd(0.001, momentum = 0.9)", 8),
}
WANTED = {"784-512-10 b128": 1.5, "784-64-10 b32": 6, "784-512-512-10 dropout b128": 2, "37-64x4-1 b32": 15,
          "SimpleRNN 16, 6 steps b32": 12, "LSTM 16, 6 steps b32": 12, "LSTM 128, 80 steps b32": 2.3,
          "transformer 6x384, 256 b8": 1.2, "B3 b32": 1.6, "B3 b64": 1.6, "B3 b128": 1.6, "B2 b32": 1.7, "B2 b128": 1.7,
          "B7 deep b32": 1.25, "VGG16 b8": 1.15, "ResNet-50 b8": 1.2}
FORWARD = {  # name: the case whose block Scores runs, rows, times PyTorch's speed, ms
    "784-512-10 forward 1": ("784-512-10 b128", 1, 1, 0.0174),
    "B3 forward 1": ("B3 b64", 1, 1, 0.030),
    "B2 forward 1": ("B2 b32", 1, 1, 0.111),
    **{f"{net} forward {rows}": (f"{net} b8", rows, 1.1, 0) for net in ("VGG16", "ResNet-50") for rows in (8, 1)},
}
ONNXRUNTIME = os.environ.get("ONNXRUNTIME", "")
ONLY = os.environ.get("CASE", "")  # part of a name: that case alone


def write_idx(path, dims, kind, values):
    with gzip.open(path, "wb", 1) as f:
        f.write(struct.pack(">BBBB", 0, 0, kind, len(dims)) + b"".join(struct.pack(">I", d) for d in dims) + values)


def build_data(folder, columns, rows):
    rng, code = random.Random(1), {"B": 8, "i": 12}
    for name, (dims, kind, below) in zip(("x.gz", "y.gz"), columns):
        count = rows
        for d in dims:
            count *= d
        values = struct.pack(f">{count}{kind}", *(rng.randrange(below) for _ in range(count)))
        write_idx(os.path.join(folder, name), [rows] + dims, code[kind], values)


def build(folder, name):
    """A folder with the executable and its data: its path."""
    folder = os.path.join(folder, name.replace(" ", "_"))
    os.mkdir(folder)
    program, columns = CASES[name]
    build_data(folder, columns, 64 if max(columns[0][0]) > 100 and len(columns[0][0]) == 3 else 1024)
    source = os.path.join(folder, "bench.nn")
    with open(source, "w") as f:
        f.write(program)
    exe = os.path.join(folder, "bench")
    subprocess.run([NNC, source, "-o", exe] + sys.argv[1:], check=True)
    return exe


def busy():
    with open("/proc/stat") as f:
        v = [int(x) for x in f.readline().split()[1:]]
    return sum(v) - v[3] - v[4], sum(v)


PATIENCE = [60.0]  # seconds that this run still waits for others


def wait_for_quiet():
    """Other processes spoil a measurement on all cores: waits until the machine is idle, or says so."""
    while PATIENCE[0] > 0:
        b0, t0 = busy()
        time.sleep(0.3)
        b1, t1 = busy()
        if (b1 - b0) < 0.05 * (t1 - t0):
            return
        PATIENCE[0] -= 0.3
        if PATIENCE[0] <= 0:
            print("(the machine is busy: these figures are not to be trusted)", flush=True)


def profile(exe, *options):
    """What `profile` says of the median step, or of the median pass of a block."""
    wait_for_quiet()
    out = subprocess.run([exe, "profile", "--log", "json", "--threads", str(THREADS), "--data", os.path.dirname(exe),
                          *options], check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[0])


def torch_side(*options):
    wait_for_quiet()
    return subprocess.run(["/usr/bin/python3", os.path.join(HERE, "torch_steps.py"), str(THREADS), *options],
                          check=True, capture_output=True, text=True, env=TORCH_ENV).stdout


def onnx_side(folder, name):
    """onnxruntime's time for this forward pass, or None."""
    if not ONNXRUNTIME or name not in FORWARD:
        return None
    path = os.path.join(folder, "model.onnx")
    passes = torch_side(name, "onnx", path).splitlines()[-1]
    wait_for_quiet()
    command = [ONNXRUNTIME, os.path.join(HERE, "onnx_passes.py"), path, str(THREADS), passes]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def median(values):
    values = sorted(values)
    return values[len(values) // 2]


def compare(folder, exes):
    """Prints the table of steps and forward passes: for each, the two sides in turns."""
    ways = {name: (exe, [], f"{WANTED[name]}x") for name, exe in exes.items() if ONLY in name}
    for name, (case, rows, times, ms) in FORWARD.items():
        if ONLY in name:
            ways[name] = (exes[case], ["--block", "Scores", "--batch", str(rows)], f"{times}x" + f", {ms} ms" * (ms > 0))
    print(f"{'training step, forward pass':32} {'nnc ms':>9} {'torch ms':>9} {'ratio':>7} {'bar':>16} {'of FMA peak':>12}")
    if not ONNXRUNTIME:
        print("(without onnxruntime: ONNXRUNTIME names no Python that has it)")
    for name, (exe, options, bar) in ways.items():
        figures, theirs, onnx = [], [], []
        for _ in range(ROUNDS):
            figures.append(profile(exe, *options))
            theirs += [float(line.split("\t")[1]) for line in torch_side(name).splitlines()]
            onnx.append(onnx_side(folder, name))
        ours = median([f["microseconds"] / 1e3 for f in figures])
        share = median([f["share_of_peak"] for f in figures])
        print(f"{name:32} {ours:9.4f} {median(theirs):9.4f} {median(theirs) / ours:6.2f}x {bar:>16} {100 * share:11.1f}%"
              + (f"  onnxruntime {median(onnx):.4f} ms, {median(onnx) / ours:.2f}x" if onnx[0] else ""), flush=True)


def compare_memory(folder, exes):
    """Peaks of whole processes with their data and libraries, and what the plan of a step holds."""
    print(f"{'peak memory':32} {'nnc MiB':>9} {'torch MiB':>9}")
    for name, exe in exes.items():
        if not any(name.startswith(n) for n in ("B", "VGG", "ResNet")):
            continue
        kib = peak_memory([exe, "--data", os.path.dirname(exe), "--steps", "2", "--out", os.path.join(folder, "w.safetensors")])
        print(f"{name:32} {kib / 1024:9.1f} {int(torch_side(name, 'memory')) / 1024:9.1f}", flush=True)


def wall(command, runs=11, **kw):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **kw)
        times.append(time.perf_counter() - start)
    return 1e3 * median(times)


def peak_memory(command):
    """Peak resident KiB of one process, as it says itself while it runs (getrusage counts this one's, too)."""
    child, peak = subprocess.Popen(command, stdout=subprocess.DEVNULL), 0
    while child.poll() is None:
        with open(f"/proc/{child.pid}/status") as f:
            peak = max([peak] + [int(line.split()[1]) for line in f if line.startswith("VmHWM")])
        time.sleep(0.005)
    return peak


def main():
    with tempfile.TemporaryDirectory() as folder:
        cases = [n for n in CASES if ONLY in n] + [case for name, (case, *_) in FORWARD.items() if ONLY in name]
        exes = {name: build(folder, name) for name in dict.fromkeys(cases)}
        compare(folder, exes)
        compare_memory(folder, exes)
        if ONLY:
            return
        exe784 = exes["784-512-10 b128"]
        data = os.path.dirname(exe784)
        print()
        weights = os.path.join(folder, "w.safetensors")
        data_bytes = 1024 * 785
        kib = peak_memory([exe784, "--data", data, "--steps", "1000", "--out", weights])
        print(f"peak memory 784-512-10 b128: {kib / 1024:.1f} MiB with {data_bytes / 2**20:.1f} MiB of data (bar 20 MB)")
        digits = os.path.join(ROOT, "examples/digits/digits.nn")
        exe = os.path.join(folder, "digits")
        subprocess.run([NNC, digits, "-o", exe], check=True)
        ms = wall([exe, "--steps", "1", "--out", weights], cwd=os.path.dirname(digits))
        print(f"start to first finished step, digits (whole process): {ms:.1f} ms (bar 20 ms)")
        mnist = os.path.join(ROOT, "examples/a5-mnist-mlp/mnist-mlp.nn")
        print(f"nnc check: {wall([NNC, 'check', mnist]):.1f} ms (bar 15 ms)")
        print(f"nnc -o: {wall([NNC, mnist, '-o', exe], runs=5):.0f} ms (bar 1000 ms)")
        subprocess.run([NNC, mnist, "--static", "--blas=own", "--strip", "-o", exe], check=True)
        print(f"static executable, stripped: {os.path.getsize(exe) / 1e6:.2f} MB (bar 1.5 MB)")


if __name__ == "__main__":
    main()
