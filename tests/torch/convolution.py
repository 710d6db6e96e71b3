"""Convolution and pooling equal PyTorch's in values and gradients: ten training steps."""
import os
import sys

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print("SKIP torch convolution: PyTorch is not installed (python3-torch)")
    sys.exit(0)

sys.dont_write_bytecode = True
from support.cases import Case, run  # noqa: E402

USE = """use std.layers: Conv1D, Conv2D, ConvTranspose1D, ConvTranspose2D, DepthwiseConv2D, SeparableConv2D
use std.layers: MaxPool1D, MaxPool2D, AveragePool1D, AveragePool2D, GlobalMaxPool1D, GlobalMaxPool2D
use std.layers: GlobalAveragePool1D, GlobalAveragePool2D, ZeroPadding2D, Cropping2D, UpSampling2D, Dense
"""
# The twelve columns as an image of H x W x C by a small table, so that odd sizes and gradients to what
# lies before the layer are seen: x @ lift, with `lift` trained.
H, W, C = 7, 5, 4


def lifted(w, d, shape=(H, W, C)):
    """[rows, C, H, W] as PyTorch has it."""
    y = torch.tanh(d["x"] @ w["lift"]).reshape(-1, *shape)
    return y.movedim(-1, 1)


def begin(shape=(H, W, C)):
    size = 1
    for n in shape:
        size *= n
    return f"param lift: f32[12, {size}] = normal(0, 0.3)\nlet image = reshape(tanh(x @ lift), {list(shape)})\n"


def fit(y, d):
    """Of [rows, C, ...]: each element counts with a factor of its own, so that its place matters."""
    y = y.movedim(1, -1).reshape(len(y), -1)
    by = torch.cos(torch.arange(y.shape[1]) * 0.7)
    return ((y * by).sum(-1) - d["target"][:, 0]).pow(2).mean()


END = "(sum(flatten(y) * cos(iota(size(y)) * 0.7)) - target[0]) ^ 2"


def same_sides(size, k, stride, dilation):
    reach = dilation * (k - 1) + 1
    both = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return both // 2, both - both // 2


def pair(n):
    return n if isinstance(n, tuple) else (n, n)


def padded(x, padding, kernel, stride, dilation, value=0.0):
    """x [rows, C, H, W] with the padding that the word or number stands for."""
    sides = []
    for i in (1, 0):  # PyTorch's F.pad begins with the last axis
        if padding == "same":
            sides += same_sides(x.shape[2 + i], kernel[i], stride[i], dilation[i])
        elif padding == "valid":
            sides += [0, 0]
        else:
            p = pair(padding)[i]
            sides += pair(p)
    return F.pad(x, sides, value=value)


def text(v):
    return f"({', '.join(map(text, v))})" if isinstance(v, tuple) else str(v)


def conv_weight(w, at, name="weight"):
    return w[f"{at}.{name}"].permute(3, 2, 0, 1)


def conv(kernel, filters=3, stride=1, padding="valid", dilation=1, groups=1):
    k, s, dl = pair(kernel), pair(stride), pair(dilation)
    body = (begin() + f"let y = image |> Conv2D({filters}, {text(kernel)}, tanh, stride = {text(stride)}, "
            f"padding = {text(padding)}, dilation = {text(dilation)}, groups = {groups})\n" + END)

    def loss(w, d):
        x = padded(lifted(w, d), padding, k, s, dl)
        y = F.conv2d(x, conv_weight(w, "conv2d"), w["conv2d.bias"], s, 0, dl, groups)
        return fit(torch.tanh(y), d)
    name = f"torch Conv2D {text(kernel)}, stride {text(stride)}, {text(padding)}, dilation {text(dilation)}, groups {groups}"
    return Case(name, body, loss, "sgd(0.002)", SGD)


def wide(size, channels, filters, padding):
    """Large and wide enough for Winograd's form, forward and both ways back."""
    shape = (*size, channels)
    body = (begin(shape) + f"let y = image |> Conv2D({filters}, 3, tanh, padding = {text(padding)})\n" + END)

    def loss(w, d):
        x = padded(lifted(w, d, shape), padding, (3, 3), (1, 1), (1, 1))
        y = F.conv2d(x, conv_weight(w, "conv2d"), w["conv2d.bias"])
        return fit(torch.tanh(y), d)
    return Case(f"torch Conv2D 3, {size[0]} x {size[1]} x {channels} to {filters}, {text(padding)}", body, loss,
                "sgd(0.00001)", lambda p: torch.optim.SGD(p, 0.00001))


def SGD(p):
    return torch.optim.SGD(p, 0.002)


def transposed(kernel, stride=1, padding="valid", groups=1, extra=0, dilation=1):
    body = (begin() + f"let y = image |> ConvTranspose2D(6, {kernel}, tanh, stride = {stride}, padding = {padding}, "
            f"groups = {groups}, output_padding = {extra}, dilation = {dilation})\n" + END)

    def loss(w, d):
        weight = w["convtranspose2d.weight"].permute(3, 2, 0, 1)
        p = 0 if isinstance(padding, str) else padding
        y = F.conv_transpose2d(lifted(w, d), weight, None, stride, p, extra, groups, dilation)
        if padding == "same":  # of what PyTorch makes the part that Keras keeps
            low = max(kernel - stride, 0) // 2
            y = F.pad(y, (0, max(stride - kernel, 0)) * 2)
            y = y[:, :, low:low + H * stride, low:low + W * stride]
        elif padding == "valid":
            y = F.pad(y, (0, max(stride - kernel, 0)) * 2)
        return fit(torch.tanh(y + w["convtranspose2d.bias"].reshape(1, -1, 1, 1)), d)
    name = f"torch ConvTranspose2D {kernel}, stride {stride}, {padding}, groups {groups}, output padding {extra}, dilation {dilation}"
    return Case(name, body, loss, "sgd(0.002)", SGD)


def conv1(kernel, stride=1, padding="valid", dilation=1, groups=1, causal=False):
    shape = (9, 4)
    body = (begin(shape) + f"let y = image |> Conv1D(6, {kernel}, tanh, stride = {stride}, padding = {text(padding)}, "
            f"dilation = {dilation}, groups = {groups}, causal = {str(causal).lower()})\n" + END)

    def loss(w, d):
        x = lifted(w, d, shape)
        sides = {"valid": (0, 0), "same": same_sides(9, kernel, stride, dilation)}.get(padding, padding)
        x = F.pad(x, (dilation * (kernel - 1), 0) if causal else pair(sides))
        y = F.conv1d(x, w["conv1d.weight"].permute(2, 1, 0), w["conv1d.bias"], stride, 0, dilation, groups)
        return fit(torch.tanh(y), d)
    name = f"torch Conv1D {kernel}, stride {stride}, {text(padding)}, dilation {dilation}, groups {groups}{', causal' * causal}"
    return Case(name, body, loss, "sgd(0.002)", SGD)


def layer(name, code, f, shape=(H, W, C)):
    return Case(f"torch {name}", begin(shape) + f"let y = image |> {code}\n{END}",
                lambda w, d: fit(f(lifted(w, d, shape), w), d), "sgd(0.002)", SGD)


def depthwise(x, w, at, stride, padding, bias=True):
    weight = conv_weight(w, at)
    x = padded(x, padding, (3, 3), pair(stride), (1, 1))
    return F.conv2d(x, weight, w[at + ".bias"] if bias else None, stride, 0, 1, x.shape[1])


def separable(x, w):
    y = depthwise(x, w, "separableconv2d.depthwise", 1, "same", False)
    return F.conv2d(y, conv_weight(w, "separableconv2d.pointwise"), w["separableconv2d.pointwise.bias"])


def max_pool(window, stride=None, padding="valid"):
    k, s = pair(window), pair(stride or window)

    def f(x, w):
        return F.max_pool2d(padded(x, padding, k, s, (1, 1), -1e9), k, s)
    return layer(f"MaxPool2D {text(window)}, stride {text(stride)}, {text(padding)}",
                 f"MaxPool2D({text(window)}, stride = {text(stride or window)}, padding = {text(padding)})", f)


def average_pool(window, stride=None, padding="valid"):
    k, s = pair(window), pair(stride or window)

    def f(x, w):
        there = padded(torch.ones_like(x), padding, k, s, (1, 1))
        return F.avg_pool2d(padded(x, padding, k, s, (1, 1)), k, s) / F.avg_pool2d(there, k, s)
    return layer(f"AveragePool2D {text(window)}, stride {text(stride)}, {text(padding)}",
                 f"AveragePool2D({text(window)}, stride = {text(stride or window)}, padding = {text(padding)})", f)


def network(w, d):
    x = lifted(w, d)
    x = F.relu(F.conv2d(x, conv_weight(w, "conv2d"), w["conv2d.bias"], padding=1))
    x = F.max_pool2d(x, 2)
    x = F.relu(F.conv2d(x, conv_weight(w, "conv2d_2"), w["conv2d_2.bias"]))
    x = x.permute(0, 2, 3, 1).flatten(1)
    return F.cross_entropy(x @ w["dense.weight"] + w["dense.bias"], d["label"])


SEQUENCE = (9, 4)
cases = [
    *[conv(3, stride=s, padding=p) for s in (1, 2, 3) for p in ("valid", "same", 1)],
    conv(1), conv(1, stride=2), conv((3, 2), stride=(2, 1), padding="same"), conv(2, 5, padding="same"),
    conv(3, 17, padding="same"), conv(3, 33, stride=2, padding=1), conv((7, 5), 4), conv(5, 2, padding=((1, 2), (3, 0))),
    conv(3, 4, padding="same", dilation=2), conv(3, 4, 2, (2, 1), (2, 1), 2), conv(3, 6, padding="same", groups=2),
    conv(3, 4, groups=4), conv(3, 8, 2, 1, groups=4),
    wide((12, 13), 32, 64, "same"), wide((13, 15), 64, 32, "valid"), wide((10, 11), 48, 32, ((1, 0), (2, 1))),
    *[transposed(k, s, p) for k, s, p in ((3, 1, "valid"), (3, 2, "same"), (5, 2, "same"), (2, 2, "valid"), (4, 2, 1),
                                          (2, 3, "valid"), (1, 2, "same"))],
    transposed(3, 2, 1, extra=1), transposed(3, 2, "same", groups=2), transposed(3, 1, 1, dilation=2),
    conv1(3), conv1(3, 2, "same"), conv1(4, 1, "same"), conv1(3, 1, (2, 1)), conv1(3, causal=True), conv1(2, dilation=3, causal=True),
    conv1(3, 2, 1, groups=2), conv1(1),
    layer("ConvTranspose1D", "ConvTranspose1D(3, 4, stride = 2, padding = 1)", lambda x, w: F.conv_transpose1d(
        x, w["convtranspose1d.weight"].permute(2, 1, 0), w["convtranspose1d.bias"], 2, 1), SEQUENCE),
    layer("DepthwiseConv2D", "DepthwiseConv2D(3, stride = 2, padding = same)",
          lambda x, w: depthwise(x, w, "depthwiseconv2d", 2, "same")),
    layer("DepthwiseConv2D, two for each channel", "DepthwiseConv2D(3, multiplier = 2)",
          lambda x, w: depthwise(x, w, "depthwiseconv2d", 1, "valid")),
    layer("DepthwiseConv2D of 20 channels", "DepthwiseConv2D(3, padding = 1)",
          lambda x, w: depthwise(x, w, "depthwiseconv2d", 1, 1), (4, 3, 20)),
    layer("SeparableConv2D", "SeparableConv2D(6, 3, padding = same)", separable),
    max_pool(2), max_pool(3, 1), max_pool(3, 2, "same"), max_pool((2, 3), (3, 1), "same"), max_pool(3, 2, 1), max_pool((1, 5)),
    average_pool(2), average_pool(3, 1), average_pool(3, 2, "same"), average_pool((2, 3), (3, 1), "same"), average_pool(3, 2, 1),
    layer("MaxPool1D", "MaxPool1D(3, stride = 2)", lambda x, w: F.max_pool1d(x, 3, 2), SEQUENCE),
    layer("AveragePool1D", "AveragePool1D(2)", lambda x, w: F.avg_pool1d(x, 2), SEQUENCE),
    layer("GlobalMaxPool2D", "GlobalMaxPool2D", lambda x, w: x.amax((2, 3))),
    layer("GlobalAveragePool2D", "GlobalAveragePool2D", lambda x, w: x.mean((2, 3))),
    layer("GlobalMaxPool1D", "GlobalMaxPool1D", lambda x, w: x.amax(2), SEQUENCE),
    layer("GlobalAveragePool1D", "GlobalAveragePool1D", lambda x, w: x.mean(2), SEQUENCE),
    layer("ZeroPadding2D", "ZeroPadding2D(((1, 2), 3))", lambda x, w: F.pad(x, (3, 3, 1, 2))),
    layer("Cropping2D", "Cropping2D(((1, 2), 1))", lambda x, w: x[:, :, 1:-2, 1:-1]),
    layer("UpSampling2D", "UpSampling2D((3, 2))", lambda x, w: F.interpolate(x, scale_factor=(3, 2))),
    layer("UpSampling2D, bilinear", "UpSampling2D((3, 2), bilinear = true)",
          lambda x, w: F.interpolate(x, scale_factor=(3, 2), mode="bilinear", align_corners=False)),
    Case("torch a small network of convolutions", begin() + "let z = image |> Conv2D(6, 3, relu, padding = same) |> MaxPool2D(2)"
         " |> Conv2D(9, 2, relu) |> reshape([-1]) |> Dense(3)\ncross_entropy(z, label)", network),
]
run(os.environ["NNC"], cases, USE)
