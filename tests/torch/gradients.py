"""Gradients inside a loss and batch normalisation equal PyTorch's, to 1e-5 relative (rules 6, 24, 25, 26).

Steps from equal weights on one full batch. Weights and state go both ways as .safetensors.
"""
import os
import subprocess
import sys
import tempfile

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print("SKIP torch gradients: PyTorch is not installed (python3-torch)")
    sys.exit(0)

sys.dont_write_bytecode = True
from support.weights import load, save  # noqa: E402

NNC = os.environ["NNC"]
ROWS, INPUTS, HIDDEN = 16, 5, 7


PROGRAM = """
use std.layers: Dense, BatchNorm
data Rows {{
    train = csv("rows.csv", header = false)
    x: f32[5] = row[0..5]
    fake: f32[5] = row[5..10]
    t: f32 = row[10]
}}
model D(x: f32[5]) -> f32 {{ {body} }}
train Fit on Rows {{
    {lets}
    minimize {loss} over D with sgd(0.1)
    batch 16; epochs {steps}
}}
"""


def norm(x, p):
    """Keras' batch normalisation, by PyTorch's: the moving variance is the biased one."""
    path = "D.batchnorm."
    x = x.double() # PyTorch's own variance is off by 1e-4 where the mean is 1000
    y = F.batch_norm(x, None, None, p[path + "gamma"].double(), p[path + "beta"].double(), True, 0, 1e-3).float()
    m, v = x.detach().mean(0).float(), x.detach().var(0, unbiased=False).float()
    for name, now in ("moving_mean", m), ("moving_variance", v):
        p[path + name] = 0.99 * p[path + name] + 0.01 * now
    return y


def dense(x, p, name):
    return x @ p[f"D.{name}.weight"] + p[f"D.{name}.bias"]


def plain(x, p):
    return dense(torch.tanh(dense(x, p, "dense")), p, "dense_2").squeeze(1)


def normed(x, p):
    return dense(torch.tanh(norm(dense(x, p, "dense"), p)), p, "dense_2").squeeze(1)


def normed_first(x, p):
    return dense(torch.tanh(dense(norm(x, p), p, "dense")), p, "dense_2").squeeze(1)


def slope(f, x, p):
    x = x.clone().requires_grad_()
    y = f(x, p)
    return torch.autograd.grad(y.sum(), x, create_graph=True)[0]


def penalised(f, d, p):
    between = d["t"][:, None] * d["x"] + (1 - d["t"][:, None]) * d["fake"]
    # In the order of the formula: the moving means are blended in that order.
    critic = f(d["fake"], p) - f(d["x"], p)
    return (critic + 10 * (slope(f, between, p).norm(dim=1) - 1) ** 2).mean()


def curved(f, d, p):
    x = d["x"].clone().requires_grad_()
    g = torch.autograd.grad(f(x, p).sum(), x, create_graph=True)[0]
    h = torch.autograd.grad((g * g).sum(), x, create_graph=True)[0]
    return (h ** 2).sum(1).mean()


PLAIN = "x |> Dense(7, activation = tanh) |> Dense(1)"
NORMED = "x |> Dense(7) |> BatchNorm |> tanh |> Dense(1)"
FIRST = "x |> BatchNorm |> Dense(7, activation = tanh) |> Dense(1)"
PENALTY = ("let between = t * x + (1 - t) * fake", "D(fake) - D(x) + 10 * (norm(grad(D(between), between)) - 1) ^ 2",
           penalised)
CURVED = ("", "sum(grad(sum(grad(D(x), x) ^ 2), x) ^ 2)", curved)
MSE = ("", "(D(x) - t) ^ 2", lambda f, d, p: F.mse_loss(f(d["x"], p), d["t"]))
TWICE = ("", "(D(x) - t) ^ 2 + D(fake) ^ 2",
         lambda f, d, p: F.mse_loss(f(d["x"], p), d["t"]) + (f(d["fake"], p) ** 2).mean())

# name: layers, in PyTorch, formula, steps, what is added to the inputs
CASES = {
    "gradient penalty": (PLAIN, plain, PENALTY, 3, 0),
    "gradient penalty with batch norm": (NORMED, normed, PENALTY, 3, 0),
    "third derivative": (PLAIN, plain, CURVED, 3, 0),
    "batch norm": (NORMED, normed, MSE, 10, 0),
    "batch norm of numbers with mean 1000 and deviation 1": (FIRST, normed_first, MSE, 1, 1000),
    "batch norm applied twice": (NORMED, normed, TWICE, 5, 0),
}


def make_data(folder, shift):
    g = torch.Generator().manual_seed(5)
    d = {"x": torch.randn(ROWS, INPUTS, generator=g) + shift, "fake": torch.randn(ROWS, INPUTS, generator=g) * 2,
         "t": torch.rand(ROWS, generator=g)}
    with open(os.path.join(folder, "rows.csv"), "w") as f:
        for r in range(ROWS):
            values = d["x"][r].tolist() + d["fake"][r].tolist() + [d["t"][r].item()]
            f.write(",".join("%.9g" % v for v in values) + "\n")
    return d


def start(paths, shapes):
    g = torch.Generator().manual_seed(9)
    out = {}
    for path in paths:
        out[path] = torch.randn(shapes[path], generator=g) * 0.5
        if "variance" in path:
            out[path] = out[path].abs() + 0.5
    return out


def check(folder, name, body, f, formula, steps, shift):
    lets, loss, torch_loss = formula
    d = make_data(folder, shift)
    program, exe = (os.path.join(folder, n) for n in ("p.nn", "p"))
    w0, w1 = (os.path.join(folder, n) for n in ("w0.safetensors", "w1.safetensors"))
    with open(program, "w") as out:
        out.write(PROGRAM.format(body=body, lets=lets, loss=loss, steps=steps))
    run = subprocess.run([NNC, program, "-o", exe], capture_output=True, text=True)
    if run.returncode:
        print(f"FAIL {name}: compiler: {run.stderr.strip()[:600]}")
        return
    run = subprocess.run([exe, "--epochs", "1", "--out", w1, "--data", folder], capture_output=True, text=True)
    if run.returncode:
        print(f"FAIL {name}: trainer: {run.stderr.strip()[:600]}")
        return
    shapes = {k: v.shape for k, v in load(w1).items()}
    p = start(sorted(shapes), shapes)
    save(w0, p)
    subprocess.run([exe, "--load", w0, "--out", w1, "--data", folder], capture_output=True, text=True, check=True)
    trained = [k for k in p if "moving" not in k]
    for _ in range(steps):
        for k in trained:
            p[k] = p[k].detach().requires_grad_()
        grads = torch.autograd.grad(torch_loss(f, d, p), [p[k] for k in trained], allow_unused=True)
        for k, g in zip(trained, grads):
            p[k] = p[k] if g is None else p[k] - 0.1 * g
    got, worst = load(w1), 0.0
    for k in p:
        worst = max(worst, ((got[k] - p[k]).abs().max() / p[k].abs().max()).item())
    most = 1e-4 if shift else 1e-5
    print(f"PASS {name}" if worst <= most else f"FAIL {name}: differs by {worst:.2e} relative")


def main():
    with tempfile.TemporaryDirectory() as folder:
        for name, case in CASES.items():
            try:
                check(folder, "torch gradients: " + name, *case)
            except Exception as e:  # a broken trainer must not hide the other cases
                print(f"FAIL {name}: {e}")


main()
