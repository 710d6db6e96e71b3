"""PyTorch's side of the benchmark: median time of a training step, data already in memory.

Usage: torch_steps.py THREADS [PART OF A NAME]. Prints one line per case: name, milliseconds. The best of
what PyTorch offers here is taken: with and without foreach optimizers, gradients set to None, threads as
given; the caller sets the allocator's and OpenMP's environment (see bench.py).
"""
import math
import sys
import time

import torch
from torch import nn

ROW = "predict one row 784-512-10"


def mlp(sizes, dropout=0.0):
    layers = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        layers.append(nn.Linear(a, b))
        if i + 2 < len(sizes):
            layers.append(nn.ReLU(inplace=True))
            if dropout:
                layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


class Recurrent(nn.Module):
    """The last state of a layer over [rows, time, inputs], then a dense layer."""

    def __init__(self, layer, units, outputs, embedding=None):
        super().__init__()
        self.embedding, self.layer, self.dense = embedding, layer, nn.Linear(units, outputs)

    def forward(self, x):
        h, _ = self.layer(self.embedding(x) if self.embedding else x)
        return self.dense(h[:, -1])


class Block(nn.Module):
    def __init__(self, width, heads, length):
        super().__init__()
        self.heads, self.norm, self.norm_2 = heads, nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.mix = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.register_buffer("mask", torch.full((length, length), -math.inf).triu(1))

    def forward(self, x):
        n, length, width = x.shape
        q, k, v = (t.view(n, length, self.heads, -1).transpose(1, 2)
                   for t in self.qkv(self.norm(x)).split(width, 2))
        weights = (q @ k.transpose(2, 3) / math.sqrt(width // self.heads) + self.mask).softmax(-1)
        x = x + self.mix((weights @ v).transpose(1, 2).reshape(n, length, width))
        return x + self.narrow(nn.functional.gelu(self.wide(self.norm_2(x))))


class Gpt(nn.Module):
    def __init__(self, letters=65, width=384, heads=6, layers=6, length=256):
        super().__init__()
        self.embedding, self.position = nn.Embedding(letters, width), nn.Parameter(torch.randn(length, width) * 0.02)
        self.blocks = nn.Sequential(*(Block(width, heads, length) for _ in range(layers)))
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, letters, bias=False)

    def forward(self, x):
        return self.out(self.norm(self.blocks(self.embedding(x) + self.position)))


def rmsprop(parameters, foreach):
    return torch.optim.RMSprop(parameters, lr=1e-3, alpha=0.9, foreach=foreach)


def adam(parameters, foreach):
    return torch.optim.Adam(parameters, lr=1e-3, foreach=foreach)


def adamw(parameters, foreach):
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.1, foreach=foreach)


def classifier(sizes, batch, dropout=0.0):
    return (lambda: mlp(sizes, dropout), rmsprop, torch.rand(batch, sizes[0]),
            torch.randint(0, sizes[-1], (batch,)), nn.functional.cross_entropy, 300)


def series(layer):
    return (lambda: Recurrent(layer(1, 16, batch_first=True), 16, 24), rmsprop, torch.rand(32, 6, 1),
            torch.rand(32, 24), nn.functional.mse_loss, 300)


def letters_loss(scores, target):
    return nn.functional.cross_entropy(scores.flatten(0, 1), target.flatten())


CASES = {  # name: model, optimizer, inputs, targets, loss, steps
    "784-512-10 b128": classifier([784, 512, 10], 128),
    "784-64-10 b32": classifier([784, 64, 10], 32),
    "784-512-512-10 dropout b128": classifier([784, 512, 512, 10], 128, 0.2),
    "37-64x4-1 b32": (lambda: mlp([37, 64, 64, 64, 64, 1]), rmsprop, torch.rand(32, 37), torch.rand(32, 1),
                      nn.functional.mse_loss, 300),
    "SimpleRNN 16, 6 steps b32": series(nn.RNN),
    "LSTM 16, 6 steps b32": series(nn.LSTM),
    "LSTM 128, 80 steps b32": (
        lambda: Recurrent(nn.LSTM(128, 128, batch_first=True), 128, 1, nn.Embedding(20000, 128)), adam,
        torch.randint(0, 20000, (32, 80)), torch.rand(32, 1).round(),
        nn.functional.binary_cross_entropy_with_logits, 60),
    "transformer 6x384, 256 b8": (Gpt, adamw, torch.randint(0, 65, (8, 256)), torch.randint(0, 65, (8, 256)),
                                  letters_loss, 8),
}


def median(times):
    return 1e3 * sorted(times)[len(times) // 2]


def median_step(make, optimizer_of, x, y, loss_of, steps, foreach):
    torch.manual_seed(1)
    model = make()
    optimizer = optimizer_of(model.parameters(), foreach)
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss_of(model(x), y).backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
    return median(times)


def predict_one(steps):
    model = mlp([784, 512, 10]).eval()
    x = torch.rand(1, 784)
    times = []
    with torch.inference_mode():
        traced = torch.jit.freeze(torch.jit.trace(model, x))
        for _ in range(steps):
            start = time.perf_counter()
            traced(x)
            times.append(time.perf_counter() - start)
    return median(times)


def main():
    only = sys.argv[2] if len(sys.argv) > 2 else ""
    torch.set_num_threads(int(sys.argv[1]))
    for name, case in CASES.items():
        if only in name:
            print(f"{name}\t{min(median_step(*case, foreach) for foreach in (False, True)):.4f}", flush=True)
    best = 1e9
    for threads in (1, int(sys.argv[1])):
        torch.set_num_threads(threads)
        best = min(best, predict_one(300))
    print(f"{ROW}\t{best:.4f}", flush=True)


if __name__ == "__main__":
    main()
