"""PyTorch's side of the benchmark: median time of a training step or of a forward pass, data already in memory.

Usage: torch_steps.py THREADS [PART OF A NAME]. Prints one line per case: name, milliseconds. The best of
what PyTorch offers here is taken: with and without foreach optimizers, images with channels first and last,
frozen graphs for prediction on one thread and on all, gradients set to None; the caller sets the allocator's
and OpenMP's environment (see bench.py).
torch_steps.py THREADS NAME memory: peak resident KiB of a process that does two steps of this case.
torch_steps.py THREADS NAME onnx PATH: writes the model of this forward pass for onnxruntime, prints how many passes.
"""
import itertools
import math
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


def convolutions(channels, widths, pool, after):
    layers = []
    for a, b in zip([channels] + widths, widths):
        layers += [nn.Conv2d(a, b, 3), nn.ReLU(inplace=True)] + [nn.MaxPool2d(2)] * pool(b)
    return nn.Sequential(*layers, *after)


def b2():
    return convolutions(1, [32, 64], lambda n: n == 64, [
        nn.Dropout(0.25), nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(128, 10)])


def b3():
    return convolutions(1, [32, 64, 128], lambda n: n < 128, [nn.Flatten(), nn.Linear(1152, 10)])


def b7():
    return convolutions(3, [32, 64, 128, 256, 512], lambda n: True, [nn.Flatten(), nn.Linear(4608, 10)])


def vgg16():
    layers, channels = [], 3
    for width, count in zip((64, 128, 256, 512, 512), (2, 2, 3, 3, 3)):
        for _ in range(count):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(25088, 4096), nn.ReLU(inplace=True), nn.Linear(4096, 4096),
                         nn.ReLU(inplace=True), nn.Linear(4096, 1000))


class Bottleneck(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        sizes = (channels, width, 1, stride, 0), (width, width, 3, 1, 1), (width, 4 * width, 1, 1, 0)
        self.main = nn.Sequential(*(m for i, (a, b, kernel, step, pad) in enumerate(sizes) for m in (
            [nn.Conv2d(a, b, kernel, step, pad), nn.BatchNorm2d(b)] + [nn.ReLU(inplace=True)] * (i < 2))))
        short = channels != 4 * width
        self.short = nn.Sequential(*([nn.Conv2d(channels, 4 * width, 1, stride), nn.BatchNorm2d(4 * width)] * short))

    def forward(self, x):
        return torch.relu(self.main(x) + self.short(x))


def resnet50():
    layers, channels = [nn.Conv2d(3, 64, 7, 2, 3), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)], 64
    for i, (width, count) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for k in range(count):
            layers.append(Bottleneck(channels, width, 2 if i and not k else 1))
            channels = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))


def rmsprop(parameters, foreach):
    return torch.optim.RMSprop(parameters, lr=1e-3, alpha=0.9, foreach=foreach)


def adam(parameters, foreach):
    return torch.optim.Adam(parameters, lr=1e-3, foreach=foreach)


def adamw(parameters, foreach):
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.1, foreach=foreach)


def sgd(parameters, foreach):
    return torch.optim.SGD(parameters, lr=1e-3, momentum=0.9, foreach=foreach)


def classifier(sizes, batch, dropout=0.0):
    return (lambda: mlp(sizes, dropout), rmsprop, torch.rand(batch, sizes[0]),
            torch.randint(0, sizes[-1], (batch,)), nn.functional.cross_entropy, 300)


def images(model, optimizer, batch, size, channels, classes, steps):
    return (model, optimizer, torch.rand(batch, channels, size, size), torch.randint(0, classes, (batch,)),
            nn.functional.cross_entropy, steps)


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
    **{f"B3 b{batch}": images(b3, rmsprop, batch, 28, 1, 10, 60) for batch in (32, 64, 128)},
    **{f"B2 b{batch}": images(b2, adam, batch, 28, 1, 10, 20) for batch in (32, 128)},
    "B7 deep b32": images(b7, rmsprop, 32, 180, 3, 10, 4),
    "VGG16 b8": images(vgg16, sgd, 8, 224, 3, 1000, 2),
    "ResNet-50 b8": images(resnet50, sgd, 8, 224, 3, 1000, 3),
}
FORWARD = {  # name: model, inputs, passes
    "784-512-10 forward 1": (lambda: mlp([784, 512, 10]), (1, 784), 300),
    "B3 forward 1": (b3, (1, 1, 28, 28), 300),
    "B2 forward 1": (b2, (1, 1, 28, 28), 300),
    **{f"VGG16 forward {n}": (vgg16, (n, 3, 224, 224), 6) for n in (1, 8)},
    **{f"ResNet-50 forward {n}": (resnet50, (n, 3, 224, 224), 10) for n in (1, 8)},
}


FORMATS = {2: [torch.contiguous_format], 3: [torch.contiguous_format], 4: [torch.contiguous_format, torch.channels_last]}


def median(times):
    return 1e3 * sorted(times)[len(times) // 2]


def median_step(make, optimizer_of, x, y, loss_of, steps, foreach, layout):
    torch.manual_seed(1)
    model, x = make().to(memory_format=layout), x.to(memory_format=layout)
    optimizer = optimizer_of(model.parameters(), foreach)
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss_of(model(x), y).backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
    return median(times)


def best_step(case):
    return min(median_step(*case, *way) for way in itertools.product((False, True), FORMATS[case[2].dim()]))


def median_forward(make, shape, passes, threads, layout):
    torch.set_num_threads(threads)
    model, x = make().eval().to(memory_format=layout), torch.rand(shape).to(memory_format=layout)
    times = []
    with torch.inference_mode():
        traced = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, x)))
        for _ in range(passes):
            start = time.perf_counter()
            traced(x)
            times.append(time.perf_counter() - start)
    return median(times)


def best_forward(case, threads):
    layouts = FORMATS[len(case[1])]
    return min(median_forward(*case, *way) for way in itertools.product(sorted({1, threads}), layouts))


def peak_memory(case):
    median_step(*case[:-1], 2, False, FORMATS[case[2].dim()][-1])
    with open("/proc/self/status") as f:
        return next(line.split()[1] for line in f if line.startswith("VmHWM"))


def main():
    threads, only = int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
    torch.set_num_threads(threads)
    if "memory" in sys.argv[3:]:
        print(peak_memory(CASES[only]))
        return
    if "onnx" in sys.argv[3:]:
        make, shape, passes = FORWARD[only]
        torch.onnx.export(make().eval(), torch.rand(shape), sys.argv[4], opset_version=13)
        print(passes)
        return
    for name, case in CASES.items():
        if only in name:
            print(f"{name}\t{best_step(case):.4f}", flush=True)
    for name, case in FORWARD.items():
        if only in name:
            print(f"{name}\t{best_forward(case, threads):.4f}", flush=True)


if __name__ == "__main__":
    main()
