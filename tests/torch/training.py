"""Ten training steps from equal weights equal PyTorch's, to 1e-5 relative: every optimizer, activation and loss.

One full batch a step, so that the order of rows plays no part. Weights go both ways as .safetensors.
"""
import json
import os
import struct
import subprocess
import sys
import tempfile

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print("SKIP torch training: PyTorch is not installed (python3-torch)")
    sys.exit(0)

NNC = os.environ["NNC"]
ROWS, INPUTS, HIDDEN, CLASSES, STEPS = 24, 5, 7, 3, 10


def save(path, tensors):
    header, data = {}, b""
    for name, t in tensors.items():
        raw = t.detach().contiguous().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def load(path):
    with open(path, "rb") as f:
        raw = f.read()
    n = struct.unpack("<Q", raw[:8])[0]
    out = {}
    for name, d in json.loads(raw[8 : 8 + n]).items():
        if name != "__metadata__":
            a, b = d["data_offsets"]
            out[name] = torch.frombuffer(bytearray(raw[8 + n + a : 8 + n + b]), dtype=torch.float32).reshape(d["shape"])
    return out


PROGRAM = """
use std.layers: Dense
data Rows {{
    train = csv("rows.csv", header = false)
    x: f32[5] = row[0..5]
    label: index<3> = row[5]
    target: f32[3] = row[6..9]
    sign: f32[3] = 2 * target - 1
    weight: f32[3] = target * 0.5 + 0.25
}}
model Net(x: f32[5]) -> f32[3] {{ x |> Dense(7, activation = {activation}) |> Dense(3{head}) }}
train Net on Rows {{
    minimize {loss} with {optimizer}
    batch 24; epochs 10
}}
"""

ACTIVATIONS = {
    "tanh": torch.tanh,
    "relu": F.relu,
    "leaky_relu(0.1)": lambda x: F.leaky_relu(x, 0.1),
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
    "sigmoid": torch.sigmoid,
    "softplus": F.softplus,
    "swish": F.silu,
    "softmax": lambda x: F.softmax(x, -1),
    "log_softmax": lambda x: F.log_softmax(x, -1),
    "linear": lambda x: x,
}

# name: formula in .nn, activation of the last layer, the same in PyTorch (z: scores, d: data), over rows
LOSSES = {
    "cross_entropy": ("cross_entropy(Net(x), label)", "", lambda z, d: F.cross_entropy(z, d["label"])),
    "cross_entropy one-hot": (
        "cross_entropy(Net(x), target)", "",
        lambda z, d: -(F.log_softmax(z, -1) * d["target"]).sum(-1).mean()),
    "cross_entropy_probability": (
        "cross_entropy_probability(Net(x), label)", ", activation = softmax",
        lambda z, d: F.cross_entropy(z, d["label"])),
    "bce": ("mean(bce(Net(x), target))", "", lambda z, d: F.binary_cross_entropy_with_logits(z, d["target"])),
    "bce_probability": (
        "mean(bce_probability(Net(x), target))", ", activation = sigmoid",
        lambda z, d: F.binary_cross_entropy_with_logits(z, d["target"])),
    "mse": ("mse(Net(x), weight)", "", lambda z, d: F.mse_loss(z, d["weight"])),
    "mae": ("mae(Net(x), weight)", "", lambda z, d: F.l1_loss(z, d["weight"])),
    "huber": ("huber(Net(x), weight)", "", lambda z, d: F.huber_loss(z, d["weight"])),
    "hinge": ("hinge(Net(x), sign)", "", lambda z, d: F.relu(1 - z * (2 * d["target"] - 1)).mean()),
    "by hand": (
        "-log(softmax(Net(x))[label])", "", lambda z, d: F.cross_entropy(z, d["label"])),
}

OPTIMIZERS = {
    "sgd(0.1)": lambda p: torch.optim.SGD(p, 0.1),
    "sgd(0.1, momentum = 0.9)": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
    "sgd(0.1, momentum = 0.9, nesterov = true)": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    "rmsprop(0.01, rho = 0.9, eps = 1e-6)": lambda p: torch.optim.RMSprop(p, 0.01, alpha=0.9, eps=1e-6),
    "adagrad(0.05, eps = 1e-6)": lambda p: torch.optim.Adagrad(p, 0.05, eps=1e-6, initial_accumulator_value=0.1),
    "adam(0.01, eps = 1e-6)": lambda p: torch.optim.Adam(p, 0.01, eps=1e-6),
}


def make_data(folder):
    g = torch.Generator().manual_seed(5)
    x = torch.randn(ROWS, INPUTS, generator=g)
    label = torch.randint(0, CLASSES, (ROWS,), generator=g)
    target = F.one_hot(label, CLASSES).float()
    with open(os.path.join(folder, "rows.csv"), "w") as f:
        for r in range(ROWS):
            f.write(",".join(["%.9g" % v for v in x[r]] + [str(int(label[r]))] + ["%g" % v for v in target[r]]) + "\n")
    return {"x": x, "label": label, "target": target, "weight": target * 0.5 + 0.25}


def start_weights():
    g = torch.Generator().manual_seed(9)
    return {
        "dense.weight": torch.randn(INPUTS, HIDDEN, generator=g) * 0.5,
        "dense.bias": torch.randn(HIDDEN, generator=g) * 0.1,
        "dense_2.weight": torch.randn(HIDDEN, CLASSES, generator=g) * 0.5,
        "dense_2.bias": torch.randn(CLASSES, generator=g) * 0.1,
    }


def expected(d, activation, loss, optimizer):
    w = {k: v.clone().requires_grad_() for k, v in start_weights().items()}
    opt = optimizer(list(w.values()))
    for _ in range(STEPS):
        opt.zero_grad()
        h = activation(d["x"] @ w["dense.weight"] + w["dense.bias"])
        loss(h @ w["dense_2.weight"] + w["dense_2.bias"], d).backward()
        opt.step()
    return w


def check(folder, d, name, activation, loss, optimizer):
    formula, head, torch_loss = LOSSES[loss]
    program = os.path.join(folder, "p.nn")
    with open(program, "w") as f:
        f.write(PROGRAM.format(activation=activation, loss=formula, head=head, optimizer=optimizer))
    exe, w0, w1 = (os.path.join(folder, n) for n in ("p", "w0.safetensors", "w1.safetensors"))
    run = subprocess.run([NNC, program, "-o", exe], capture_output=True, text=True)
    if run.returncode:
        print(f"FAIL {name}: compiler: {run.stderr.strip()[:600]}")
        return
    # The paths of this program's parameters, in order, matched to ours by their ending.
    run = subprocess.run([exe, "--epochs", "1", "--out", w1, "--data", folder], capture_output=True, text=True)
    if run.returncode:
        print(f"FAIL {name}: trainer: {run.stderr.strip()[:600]}")
        return
    paths = {}
    for path in load(w1):
        ours = ".".join(path.split(".")[-2:])
        paths[ours] = path
    save(w0, {paths[k]: v for k, v in start_weights().items()})
    subprocess.run([exe, "--load", w0, "--out", w1, "--data", folder], capture_output=True, text=True, check=True)
    got, want = load(w1), expected(d, ACTIVATIONS[activation], torch_loss, OPTIMIZERS[optimizer])
    worst = 0.0
    for ours, path in paths.items():
        scale = want[ours].abs().max().item()
        worst = max(worst, (got[path] - want[ours]).abs().max().item() / scale)
    print(f"PASS {name}" if worst <= 1e-5 else f"FAIL {name}: differs by {worst:.2e} relative")


def main():
    with tempfile.TemporaryDirectory() as folder:
        d = make_data(folder)
        cases = [(f"torch optimizer {o}", "tanh", "cross_entropy", o) for o in OPTIMIZERS]
        cases += [(f"torch activation {a}", a, "cross_entropy", "sgd(0.1)") for a in ACTIVATIONS]
        cases += [(f"torch loss {l}", "tanh", l, "sgd(0.1)") for l in LOSSES]
        for case in cases:
            try:
                check(folder, d, *case)
            except Exception as e:  # a broken trainer must not hide the other cases
                print(f"FAIL {case[0]}: {e}")


main()
