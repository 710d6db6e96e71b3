"""PyTorch's side of the benchmark: median time of a training step, data already in memory.

Prints one line per case: name, milliseconds. The best of what PyTorch offers here is taken: with and
without foreach optimizers, gradients set to None, threads as given; the caller sets the allocator's and
OpenMP's environment (see bench.py).
"""
import sys
import time

import torch
from torch import nn


def mlp(sizes, dropout=0.0):
    layers = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        layers.append(nn.Linear(a, b))
        if i + 2 < len(sizes):
            layers.append(nn.ReLU(inplace=True))
            if dropout:
                layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


CASES = {  # name: sizes, dropout, batch, regression
    "784-512-10 b128": ([784, 512, 10], 0.0, 128, False),
    "784-64-10 b32": ([784, 64, 10], 0.0, 32, False),
    "784-512-512-10 dropout b128": ([784, 512, 512, 10], 0.2, 128, False),
    "37-64x4-1 b32": ([37, 64, 64, 64, 64, 1], 0.0, 32, True),
}


def median_step(sizes, dropout, batch, regression, foreach, steps):
    torch.manual_seed(1)
    model = mlp(sizes, dropout)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.9, foreach=foreach)
    loss_of = nn.MSELoss() if regression else nn.CrossEntropyLoss()
    x = torch.rand(batch, sizes[0])
    y = torch.rand(batch, 1) if regression else torch.randint(0, sizes[-1], (batch,))
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss_of(model(x), y).backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
    times.sort()
    return 1e3 * times[len(times) // 2]


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
    times.sort()
    return 1e3 * times[len(times) // 2]


def main():
    torch.set_num_threads(int(sys.argv[1]))
    steps = int(sys.argv[2])
    for name, case in CASES.items():
        best = min(median_step(*case, foreach, steps) for foreach in (False, True))
        print(f"{name}\t{best:.4f}", flush=True)
    best = 1e9
    for threads in (1, int(sys.argv[1])):
        torch.set_num_threads(threads)
        best = min(best, predict_one(steps))
    print(f"predict one row 784-512-10\t{best:.4f}", flush=True)


if __name__ == "__main__":
    main()
