"""Rule 25: a recurrent network that keeps its state from batch to batch equals PyTorch's: two epochs of truncated
backpropagation through time, the state detached between batches, anew in each epoch, the short last batch left out."""
import os
import subprocess
import sys
import tempfile

try:
    import torch
except ImportError:
    print("SKIP torch stateful: PyTorch is not installed (python3-torch)")
    sys.exit(0)

sys.dont_write_bytecode = True
from support.weights import load, save  # noqa: E402

NNC = os.environ["NNC"]
ROWS, BATCH, T, IN, UNITS, EPOCHS = 14, 4, 3, 2, 5, 2

PROGRAM = """
use std.layers: GRUCell
data Series { train = csv("rows.csv", header = false); x: f32[6] = row[0..6]; y: f32 = row[6] }
layer Stateful(units: int)(x: f32[T, in]) -> f32[T, units] {
    state kept: f32[units] = per_row(constant(0.5))
    let cell = GRUCell(units)
    let (h, hs) = scan xt in x with h = kept { h = cell(xt, h); yield h }
    kept = h
    hs
}
model Net(x: f32[6]) -> f32 { x |> reshape([3, 2]) |> Stateful(5) as memory |> mean }
train Fit on Series { minimize mse(Net(x), y) with sgd(0.5); batch 4; epochs 2 }
predict Out on Series { Net(x) }
"""
PATH = "Net.memory.cell."
SHAPES = {"W": (IN, 3 * UNITS), "U": (UNITS, 3 * UNITS), "b": (3 * UNITS,), "recurrent_b": (3 * UNITS,)}


def cell(x, h, w):
    (xz, xr, xn), (hz, hr, hn) = (x @ w["W"] + w["b"]).chunk(3, -1), (h @ w["U"] + w["recurrent_b"]).chunk(3, -1)
    z, r = torch.sigmoid(xz + hz), torch.sigmoid(xr + hr)
    return z * h + (1 - z) * torch.tanh(xn + r * hn)


def forward(x, h, w):
    hs = []
    for t in range(T):
        h = cell(x[:, t], h, w)
        hs.append(h)
    return torch.stack(hs, 1).mean((1, 2)), h


def train(d, w):
    optimizer = torch.optim.SGD(list(w.values()), 0.5)
    for _ in range(EPOCHS):
        h = torch.full((BATCH, UNITS), 0.5)
        for first in range(0, ROWS - ROWS % BATCH, BATCH):
            rows = d[first : first + BATCH]
            y, h = forward(rows[:, :6].reshape(BATCH, T, IN), h.detach(), w)
            optimizer.zero_grad()
            ((y - rows[:, 6]) ** 2).mean().backward()
            optimizer.step()


def main(folder):
    torch.manual_seed(3)
    d = torch.randn(ROWS, 7)
    w = {k: torch.randn(s, requires_grad=True) for k, s in SHAPES.items()}
    with open(os.path.join(folder, "rows.csv"), "w") as f:
        f.writelines(",".join(f"{v:.9g}" for v in row) + "\n" for row in d.tolist())
    path = os.path.join(folder, "stateful")
    with open(path + ".nn", "w") as f:
        f.write(PROGRAM)
    save(path + ".start", {PATH + k: v for k, v in w.items()})
    for command in ([NNC, path + ".nn", "-o", path],
                    [path, "--load", path + ".start", "--out", path + ".end", "--data", folder]):
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        if done.returncode:
            print(f"FAIL torch stateful: {done.stderr.strip() or done.stdout.strip()}")
            return
    train(d, w)
    end = load(path + ".end")
    worst = max(((end[PATH + k] - v).abs().max() / v.abs().max()).item() for k, v in w.items())
    moved = max((w[k] - load(path + ".start")[PATH + k]).abs().max().item() for k in w)
    print(f"{'PASS' if worst < 1e-5 < moved else 'FAIL'} torch stateful: weights (error {worst:.1e})")
    print(f"{'PASS' if set(end) == {PATH + k for k in w} else 'FAIL'} torch stateful: the state is not saved")
    out = subprocess.run([path, "predict", "--load", path + ".end", "--data", folder, "--log", "json"],
                         capture_output=True, text=True, cwd=folder).stdout
    got = torch.tensor([float(line.split(":")[-1].strip(" }")) for line in out.splitlines()])
    want = forward(d[:, :6].reshape(ROWS, T, IN), torch.full((ROWS, UNITS), 0.5), w)[0].detach()
    same = got.shape == want.shape and torch.allclose(got, want, atol=1e-5)
    print(f"{'PASS' if same else 'FAIL'} torch stateful: predict begins with the initial value {'' if same else out}")


with tempfile.TemporaryDirectory() as folder:
    main(folder)
