"""The character transformer of exercise C6, small: its loss and weights over ten AdamW steps equal PyTorch's."""
import json
import os
import subprocess
import sys
import tempfile

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print("SKIP torch gpt: PyTorch is not installed (python3-torch)")
    sys.exit(0)

sys.dont_write_bytecode = True
from support.weights import load, save  # noqa: E402

LAYERS, HEADS, WIDTH, CONTEXT, LETTERS, ROWS, STEPS = 2, 2, 32, 16, 11, 8, 10

PROGRAM = """
use std.layers: Dense, Dropout, LayerNorm

const layers = 2, heads = 2, width = 32, context = 16
config lr = 0.01, dropout = 0.0

data Letters {
    train = csv("letters.csv", header = false)
    input:  index<11>[context] = row[0..16]
    target: index<11>[context] = row[1..17]
}

layer Embedding(width: int)(x: index<V>[T]) -> f32[T, width] {
    param weight: f32[V, width] = normal * 0.02
    one_hot(x) @ weight
}

fn by_head(x: f32[T, d], heads: int) -> f32[heads, T, d / heads] {
    x |> reshape([T, heads, d / heads]) |> transpose([1, 0, 2])
}

layer Attention(heads: int)(x: f32[T, d]) -> f32[T, d] {
    assert(d % heads == 0, "the width must be a multiple of the number of heads")
    let q = x |> Dense(d, bias = false) as query |> by_head(heads)
    let k = x |> Dense(d, bias = false) as key   |> by_head(heads)
    let v = x |> Dense(d, bias = false) as value |> by_head(heads)
    let weights = q @ transpose(k, [0, 2, 1]) / sqrt(d / heads)
        |> causal |> softmax |> Dropout(dropout)
    weights @ v
        |> transpose([1, 0, 2]) |> reshape([T, d])
        |> Dense(d, bias = false) as mix |> Dropout(dropout)
}

layer Block(heads: int)(x: f32[T, d]) -> f32[T, d] {
    let y = x + (x |> LayerNorm |> Attention(heads))
    y + (y |> LayerNorm |> Dense(4 * d, activation = gelu) |> Dense(d) |> Dropout(dropout))
}

model Gpt(input: index<V>[T]) -> f32[T, V] {
    param position: f32[T, width] = normal * 0.02
    let start = (Embedding(width)(input) + position) |> Dropout(dropout)
    let y = for i in 0..layers with x = start { x = x |> Block(heads) }
    y |> LayerNorm |> Dense(V, bias = false)
}

train Gpt on Letters {
    minimize mean(cross_entropy(Gpt(input), target))
        with adamw(lr * warm_up(step, 4) * cosine(step, 50), decay = 0.1)
    batch 8
    steps 10
}
"""


def norm(w, at, x):
    return F.layer_norm(x, (WIDTH,), w[at + ".gamma"], w[at + ".beta"], 1e-3)


def heads(x):
    return x.reshape(-1, CONTEXT, HEADS, WIDTH // HEADS).transpose(1, 2)


def attention(w, at, x):
    q, k, v = (heads(x @ w[f"{at}.{n}.weight"]) for n in ("query", "key", "value"))
    scores = q @ k.transpose(2, 3) / (WIDTH // HEADS) ** 0.5
    scores = scores.masked_fill(torch.ones(CONTEXT, CONTEXT).triu(1).bool(), float("-inf"))
    return (scores.softmax(-1) @ v).transpose(1, 2).reshape(-1, CONTEXT, WIDTH) @ w[at + ".mix.weight"]


def gpt(w, rows):
    x = w["Gpt.embedding.weight"][rows] + w["Gpt.position"]
    for at in ("Gpt.block", "Gpt.block_2"):
        x = x + attention(w, at + ".attention", norm(w, at + ".layernorm", x))
        h = F.gelu(norm(w, at + ".layernorm_2", x) @ w[at + ".dense.weight"] + w[at + ".dense.bias"])
        x = x + h @ w[at + ".dense_2.weight"] + w[at + ".dense_2.bias"]
    return norm(w, "Gpt.layernorm", x) @ w["Gpt.dense.weight"]


def rate(step):
    return 0.01 * min(step / 4, 1) * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * step / 50)).item())


def expected(start, rows):
    w = {k: v.clone().requires_grad_() for k, v in start.items()}
    optimizer, losses = torch.optim.AdamW(list(w.values()), eps=1e-7, weight_decay=0.1), []
    for step in range(1, STEPS + 1):
        optimizer.param_groups[0]["lr"] = rate(step)
        optimizer.zero_grad()
        loss = F.cross_entropy(gpt(w, rows[:, :-1]).reshape(-1, LETTERS), rows[:, 1:].reshape(-1))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return w, losses


def verdict(name, worst, most):
    print(f"PASS {name}" if worst <= most else f"FAIL {name}: differs by {worst:.2e} relative")


def main():
    g = torch.Generator().manual_seed(3)
    rows = torch.randint(0, LETTERS, (ROWS, CONTEXT + 1), generator=g)
    with tempfile.TemporaryDirectory() as folder:
        program, exe, w0, w1 = (os.path.join(folder, n) for n in ("p.nn", "p", "w0.safetensors", "w1.safetensors"))
        with open(program, "w") as f:
            f.write(PROGRAM)
        with open(os.path.join(folder, "letters.csv"), "w") as f:
            f.writelines(",".join(str(int(v)) for v in row) + "\n" for row in rows)
        subprocess.run([os.environ["NNC"], program, "-o", exe], check=True)
        subprocess.run([exe, "--data", folder, "--out", w1, "--steps", "1"], check=True, capture_output=True)
        start = {k: v + 0.2 * torch.randn(v.shape, generator=g) for k, v in load(w1).items()}
        save(w0, start)
        run = subprocess.run([exe, "--data", folder, "--load", w0, "--out", w1, "--log", "json"],
                             check=True, capture_output=True, text=True)
        losses = [json.loads(line).get("loss") for line in run.stdout.splitlines() if '"loss"' in line]
        want, curve = expected(start, rows)
        got = load(w1)
        verdict("torch gpt loss of ten steps",
                max(abs(a - b) / b for a, b in zip(losses, curve)) if len(losses) == STEPS else 1.0, 1e-5)
        verdict("torch gpt weights after ten steps",
                max(((got[k] - want[k]).abs().max() / want[k].abs().max()).item() for k in want), 1e-4)
        print("PASS torch gpt learns" if losses[-1] < 0.9 * losses[0] else f"FAIL torch gpt learns: {losses}")


main()
