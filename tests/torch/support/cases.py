"""Many small models in one program, each trained for ten steps on one full batch, as in PyTorch from equal weights.

A case is (name, body of a model of x: f32[12] that ends in a loss, the same loss in PyTorch). Losses get the
model's weights by their paths inside it and the data; optionally an optimizer for each side.
"""
import math
import os
import subprocess
import tempfile
from dataclasses import dataclass
from typing import Callable

import torch
import torch.nn.functional as F

from support.weights import load, save

ROWS, STEPS = 24, 10

HEAD = """
data Rows {
    train = csv("rows.csv", header = false)
    x: f32[12] = row[0..12]
    label: index<3> = row[12]
    target: f32[3] = row[13..16]
    positive: f32[3] = row[16..19]
}
"""


@dataclass
class Case:
    name: str
    model: str
    loss: Callable
    optimizer: str = "sgd(0.1)"
    torch_optimizer: Callable = lambda p: torch.optim.SGD(p, 0.1)
    after: Callable = lambda w: None  # what happens to the weights after a step
    extra: str = ""  # added to the minimized expression; M is the model
    tolerance: float = 1e-5


def make_data(folder):
    g = torch.Generator().manual_seed(5)
    x = torch.randn(ROWS, 12, generator=g)
    label = torch.randint(0, 3, (ROWS,), generator=g)
    target = F.one_hot(label, 3).float()
    positive = torch.rand(ROWS, 3, generator=g) + 0.1
    with open(os.path.join(folder, "rows.csv"), "w") as f:
        for r in range(ROWS):
            columns = [*x[r], label[r], *target[r], *positive[r]]
            f.write(",".join("%.9g" % float(v) for v in columns) + "\n")
    return {"x": x, "label": label, "target": target, "positive": positive}


def program(cases, head):
    text = head + HEAD
    for i, c in enumerate(cases):
        text += f"model M{i}(x: f32[12], label: index<3>, target: f32[3], positive: f32[3]) {{\n{c.model}\n}}\n"
        text += f"train T{i} on Rows {{\n    minimize M{i}(x, label, target, positive){c.extra.replace('M', f'M{i}')} with {c.optimizer}\n"
        text += f"    batch {ROWS}; epochs {STEPS}\n}}\n"
    return text


def start(shape, g):
    fan = math.prod(shape[:-1]) if len(shape) > 1 else 4
    return torch.randn(shape, generator=g) / math.sqrt(max(fan, 1))


def expected(case, w, d):
    w = {k: v.clone().requires_grad_() for k, v in w.items()}
    optimizer = case.torch_optimizer(list(w.values()))
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = case.loss(w, d)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            case.after(w)
    return w


def compare(case, got, want):
    worst, where = 0.0, ""
    for k in want:
        scale = max(want[k].abs().max().item(), 1e-3)
        d = (got[k] - want[k]).abs().max().item() / scale
        if not d <= worst:
            worst, where = d, k
    if worst <= case.tolerance:
        print(f"PASS {case.name}")
    else:
        print(f"FAIL {case.name}: {where} differs by {worst:.2e} relative")


def run(nnc, cases, head=""):
    with tempfile.TemporaryDirectory() as folder:
        d = make_data(folder)
        source = os.path.join(folder, "p.nn")
        with open(source, "w") as f:
            f.write(program(cases, head))
        exe, w0, w1 = (os.path.join(folder, n) for n in ("p", "w0.safetensors", "w1.safetensors"))
        built = subprocess.run([nnc, source, "-o", exe], capture_output=True, text=True)
        if built.returncode:
            print(f"FAIL {cases[0].name} and {len(cases) - 1} more: compiler: {built.stderr.strip()[:2000]}")
            return
        args = ["--data", folder, "--out", w1]
        subprocess.run([exe, "--epochs", "1", *args], capture_output=True, text=True, check=True)
        g = torch.Generator().manual_seed(9)
        begin = {k: start(v.shape, g) for k, v in load(w1).items()}
        save(w0, begin)
        trained = subprocess.run([exe, "--load", w0, *args], capture_output=True, text=True)
        if trained.returncode:
            print(f"FAIL {cases[0].name} and {len(cases) - 1} more: trainer: {trained.stderr.strip()[:600]}")
            return
        end = load(w1)
        for i, case in enumerate(cases):
            own = f"M{i}."
            w = {k[len(own):]: v for k, v in begin.items() if k.startswith(own)}
            try:
                compare(case, {k: end[own + k] for k in w}, expected(case, w, d))
            except Exception as e:
                print(f"FAIL {case.name}: {type(e).__name__}: {e}")
