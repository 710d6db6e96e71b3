"""Networks of the zoo equal PyTorch on random weights and small images; with FULL all of them, and ResNet50 at 224 x 224."""
import os
import re
import subprocess
import sys
import tempfile

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print("SKIP torch zoo: PyTorch is not installed (python3-torch)")
    sys.exit(0)

sys.dont_write_bytecode = True
from support.weights import save  # noqa: E402

relu6, IMAGES = F.relu6, 2


class Net:
    """Weights by their paths in the network, and layers that use them: images are [rows, C, H, W]."""

    def __init__(self, weights, eps=1e-3):
        self.w, self.eps = weights, eps

    def conv(self, x, at, stride=1, padding="same", groups=1):
        weight = self.w[at + ".weight"].permute(3, 2, 0, 1)
        if padding == "same":
            x, padding = F.pad(x, same(x, weight.shape[2:], stride)), 0
        elif isinstance(padding, tuple):
            x, padding = F.pad(x, padding * 2), 0
        return F.conv2d(x, weight, self.w.get(at + ".bias"), stride, padding, 1, groups)

    def depthwise(self, x, at, stride=1, padding="same"):
        return self.conv(x, at, stride, padding, x.shape[1])

    def norm(self, x, at):
        mean, variance, gamma, beta = (self.w.get(f"{at}.{n}") for n in ("moving_mean", "moving_variance", "gamma", "beta"))
        return F.batch_norm(x, mean, variance, gamma, beta, False, 0, self.eps)

    def dense(self, x, at):
        return x @ self.w[at + ".weight"] + self.w[at + ".bias"]


def same(x, kernel, stride):
    sides = []
    for size, k in ((x.shape[3], kernel[1]), (x.shape[2], kernel[0])):
        both = max((-(-size // stride) - 1) * stride + k - size, 0)
        sides += [both // 2, both - both // 2]
    return sides


def max_same(x, k, stride):
    return F.max_pool2d(F.pad(x, same(x, (k, k), stride), value=-1e9), k, stride)


def response_norm(x):
    return F.local_response_norm(x, 5, 5e-4, 0.75, 2.0)


def flat(x):
    return x.permute(0, 2, 3, 1).flatten(1)


def lenet(n, x):
    x = F.avg_pool2d(torch.tanh(n.conv(x, "conv1")), 2)
    x = F.avg_pool2d(torch.tanh(n.conv(x, "conv2", 1, 0)), 2)
    return n.dense(torch.tanh(n.dense(torch.tanh(n.dense(flat(x), "fc1")), "fc2")), "predictions")


def alexnet(n, x):
    x = F.max_pool2d(response_norm(F.relu(n.conv(x, "conv1", 4, 0))), 3, 2)
    x = F.max_pool2d(response_norm(F.relu(n.conv(x, "conv2", 1, 2, 2))), 3, 2)
    for at, groups in (("conv3", 1), ("conv4", 2), ("conv5", 2)):
        x = F.relu(n.conv(x, at, groups=groups))
    x = F.relu(n.dense(flat(F.max_pool2d(x, 3, 2)), "fc6"))
    return n.dense(F.relu(n.dense(x, "fc7")), "fc8")


def vgg(*blocks):
    def run(n, x):
        for b, convolutions in enumerate(blocks):
            for c in range(convolutions):
                x = F.relu(n.conv(x, f"block{b + 1}_conv{c + 1}"))
            x = F.max_pool2d(x, 2)
        if "fc1.weight" not in n.w:
            return flat(x)
        return n.dense(F.relu(n.dense(F.relu(n.dense(flat(x), "fc1")), "fc2")), "predictions")
    return run


def squeezenet(n, x):
    x = F.max_pool2d(F.relu(n.conv(x, "conv1", 2, 0)), 3, 2)
    for i in range(2, 10):
        few = F.relu(n.conv(x, f"fire{i}.squeeze"))
        x = torch.cat([F.relu(n.conv(few, f"fire{i}.expand{k}x{k}")) for k in (1, 3)], 1)
        if i in (3, 5):
            x = F.max_pool2d(x, 3, 2)
    return F.relu(n.conv(x, "conv10")).mean((2, 3))


def googlenet(n, x):
    def inception(x, at):
        def one(x, name):
            return F.relu(n.conv(x, f"inception{at}.{name}"))
        return torch.cat([one(x, "conv1x1"), one(one(x, "reduce3x3"), "conv3x3"), one(one(x, "reduce5x5"), "conv5x5"),
                          one(F.max_pool2d(x, 3, 1, 1), "project")], 1)
    x = response_norm(max_same(F.relu(n.conv(x, "conv1", 2, 3)), 3, 2))
    x = F.relu(n.conv(F.relu(n.conv(x, "conv2_reduce")), "conv2"))
    x = max_same(response_norm(x), 3, 2)
    for at in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        if at in ("4a", "5a"):
            x = max_same(x, 3, 2)
        x = inception(x, at)
    return n.dense(x.mean((2, 3)), "predictions")


def resnet(blocks, convolutions):
    """Blocks of two convolutions of 3 x 3, or of three whose first has the stride."""
    def block(n, x, at, stride):
        y = x
        for i in range(convolutions):
            padding = 1 if convolutions == 2 else "same"
            y = n.norm(n.conv(y, f"{at}.conv_{i + 1}", stride if i == 0 else 1, padding), f"{at}.bn_{i + 1}")
            y = F.relu(y) if i + 1 < convolutions else y
        if at + ".conv_0.weight" in n.w:
            x = n.norm(n.conv(x, at + ".conv_0", stride), at + ".bn_0")
        return F.relu(x + y)

    def run(n, x):
        n.eps = 1e-5 if convolutions == 2 else 1.001e-5
        x = F.relu(n.norm(n.conv(x, "conv1_conv", 2, 3), "conv1_bn"))
        x = F.max_pool2d(x, 3, 2, 1)
        for stage, many in enumerate(blocks):
            for i in range(many):
                x = block(n, x, f"conv{stage + 2}.block.{i}", 2 if stage and not i else 1)
        return n.dense(x.mean((2, 3)), "predictions")
    return run


def inception_v3(n, x):
    def one(x, at, stride=1, padding="same"):
        return F.relu(n.norm(n.conv(x, at + ".conv", stride, padding), at + ".bn"))

    def chain(x, at, *names):
        for name in names:
            x = one(x, f"{at}.{name}")
        return x

    def mean(x, at):
        return one(F.avg_pool2d(x, 3, 1, 1, count_include_pad=False), at + ".project")
    for at, stride, padding in (("conv1", 2, 0), ("conv2", 1, 0), ("conv3", 1, 1)):
        x = one(x, at, stride, padding)
    x = one(one(F.max_pool2d(x, 3, 2), "conv4", 1, 0), "conv5", 1, 0)
    x = F.max_pool2d(x, 3, 2)
    for i in range(11):
        at = f"mixed{i}"
        if i < 3:
            x = torch.cat([one(x, at + ".conv1x1"), chain(x, at, "reduce5x5", "conv5x5"),
                           chain(x, at, "reduce3x3", "conv3x3", "again3x3"), mean(x, at)], 1)
        elif i == 3:
            x = torch.cat([one(x, at + ".conv3x3", 2, 0), one(chain(x, at, "reduce3x3", "double3x3"), at + ".again3x3", 2, 0),
                           F.max_pool2d(x, 3, 2)], 1)
        elif i < 8:
            x = torch.cat([one(x, at + ".conv1x1"), chain(x, at, "reduce7x7", "conv1x7", "conv7x1"),
                           chain(x, at, "double7x7", "double7x1", "double1x7", "again7x1", "again1x7"), mean(x, at)], 1)
        elif i == 8:
            x = torch.cat([one(chain(x, at, "reduce3x3"), at + ".conv3x3", 2, 0),
                           one(chain(x, at, "reduce7x7", "conv1x7", "conv7x1"), at + ".again3x3", 2, 0), F.max_pool2d(x, 3, 2)], 1)
        else:
            b, c = one(x, at + ".reduce3x3"), chain(x, at, "double3x3", "again3x3")
            x = torch.cat([one(x, at + ".conv1x1"), one(b, at + ".conv1x3"), one(b, at + ".conv3x1"),
                           one(c, at + ".again1x3"), one(c, at + ".again3x1"), mean(x, at)], 1)
    return n.dense(x.mean((2, 3)), "predictions")


def mobilenet(n, x):
    x = relu6(n.norm(n.conv(x, "conv1", 2, (0, 1)), "conv1_bn"))
    for i in range(13):
        stride = 2 if i in (1, 3, 5, 11) else 1
        x = relu6(n.norm(n.depthwise(x, f"block.{i}.conv_dw", stride, 1 if stride == 1 else (0, 1)), f"block.{i}.conv_dw_bn"))
        x = relu6(n.norm(n.conv(x, f"block.{i}.conv_pw"), f"block.{i}.conv_pw_bn"))
    return n.dense(x.mean((2, 3)), "predictions")


def mobilenet_v2(n, x):
    def block(x, at, stride):
        y = x
        if at + ".expand.weight" in n.w:
            y = relu6(n.norm(n.conv(x, at + ".expand"), at + ".expand_bn"))
        y = relu6(n.norm(n.depthwise(y, at + ".depthwise", stride), at + ".depthwise_bn"))
        y = n.norm(n.conv(y, at + ".project"), at + ".project_bn")
        return x + y if x.shape == y.shape else y
    x = relu6(n.norm(n.conv(x, "conv1", 2), "conv1_bn"))
    x = block(x, "expanded", 1)
    for stage, (many, stride) in enumerate(((2, 2), (3, 2), (4, 2), (3, 1), (3, 2), (1, 1))):
        for i in range(many):
            x = block(x, f"block.{stage}.{i}", 1 if i else stride)
    return n.dense(relu6(n.norm(n.conv(x, "conv_1"), "conv_1_bn")).mean((2, 3)), "predictions")


def densenet(n, x):
    n.eps = 1.001e-5
    x = F.max_pool2d(F.relu(n.norm(n.conv(x, "conv1_conv", 2, 3), "conv1_bn")), 3, 2, 1)
    for stage, many in enumerate((6, 12, 24, 16)):
        if stage:
            x = F.relu(n.norm(x, f"pool{stage + 1}.bn"))
            x = F.avg_pool2d(n.conv(x, f"pool{stage + 1}.conv"), 2)
        for i in range(many):
            at = f"conv{stage + 2}.block.{i}"
            y = n.conv(F.relu(n.norm(x, at + ".bn_0")), at + ".conv_1")
            x = torch.cat([x, n.conv(F.relu(n.norm(y, at + ".bn_1")), at + ".conv_2")], 1)
    return n.dense(F.relu(n.norm(x, "bn")).mean((2, 3)), "predictions")


def xception(n, x):
    def separable(x, at):
        x = n.depthwise(x, at + ".sepconv.depthwise")
        return n.norm(n.conv(x, at + ".sepconv.pointwise"), at + ".bn")

    def entry(x, at, first=F.relu):
        y = separable(F.relu(separable(first(x), at + ".sepconv1")), at + ".sepconv2")
        return max_same(y, 3, 2) + n.norm(n.conv(x, at + ".residual", 2), at + ".residual_bn")
    x = F.relu(n.norm(n.conv(x, "block1_conv1", 2, 0), "block1_conv1_bn"))
    x = F.relu(n.norm(n.conv(x, "block1_conv2", 1, 0), "block1_conv2_bn"))
    x = entry(entry(entry(x, "block2", lambda x: x), "block3"), "block4")
    for i in range(8):
        y = x
        for k in range(3):
            y = separable(F.relu(y), f"middle.{i}.sepconv.{k}")
        x = x + y
    x = entry(x, "block13")
    x = F.relu(separable(F.relu(separable(x, "block14_sepconv1")), "block14_sepconv2"))
    return n.dense(x.mean((2, 3)), "predictions")


NETWORKS = [  # name, settings, image, PyTorch
    ("LeNet5", "", (28, 28, 1), lenet),
    ("AlexNet", "classes = 10", (67, 67, 3), alexnet),
    ("VGG16", "classes = 10", (32, 32, 3), vgg(2, 2, 3, 3, 3)),
    ("VGG19", "top = false", (32, 32, 3), vgg(2, 2, 4, 4, 4)),
    ("GoogLeNet", "classes = 10", (64, 64, 3), googlenet),
    ("ResNet18", "classes = 10", (64, 64, 3), resnet((2, 2, 2, 2), 2)),
    ("ResNet34", "classes = 10", (64, 64, 3), resnet((3, 4, 6, 3), 2)),
    ("ResNet50", "classes = 10", (64, 64, 3), resnet((3, 4, 6, 3), 3)),
    ("InceptionV3", "classes = 10", (75, 75, 3), inception_v3),
    ("MobileNet", "classes = 10", (64, 64, 3), mobilenet),
    ("MobileNetV2", "classes = 10", (64, 64, 3), mobilenet_v2),
    ("SqueezeNet", "classes = 10", (64, 64, 3), squeezenet),
    ("DenseNet121", "classes = 10", (64, 64, 3), densenet),
    ("Xception", "classes = 10", (71, 71, 3), xception),
]
QUICK = ("LeNet5", "ResNet18", "MobileNetV2", "SqueezeNet", "DenseNet121")
if os.environ.get("FULL"):
    NETWORKS.append(("ResNet50", "", (224, 224, 3), resnet((3, 4, 6, 3), 3)))


def weights_of(ir, g):
    """Random weights for every param and state of the program; statistics and norms near what they do in use."""
    w = {}
    for shape, name in re.findall(r'f32\[([0-9, ]*)\] (?:param|state) \d+ "net\.([^"]*)"', ir):
        shape = [int(n) for n in shape.split(",")]
        fan = max(torch.Size(shape[:-1]).numel(), 1)
        t = torch.randn(shape, generator=g)
        w[name] = (0.1 * t + 1).abs() if re.search("gamma|variance", name) else 0.1 * t if len(shape) == 1 else t * (2 / fan) ** 0.5
    return w


def answer(folder, name, settings, shape, images, g):
    """-> what the compiled network says, its weights"""
    source, exe = os.path.join(folder, "p.nn"), os.path.join(folder, "p")
    with open(source, "w") as f:
        f.write(f"use std.zoo: {name}\nlet net = {name}({settings})\n"
                f"predict P(image: f32[{', '.join(map(str, shape))}]) {{ flatten(net(image)) }}\n")
    def run(*command):
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder).stdout
    weights = weights_of(run(os.environ["NNC"], source, "--emit=ir"), g)
    save(os.path.join(folder, "w.safetensors"), {"net." + k: v for k, v in weights.items()})
    with open(os.path.join(folder, "images.csv"), "w") as f:
        for image in images:
            f.write(",".join("%.9g" % v for v in image.flatten().tolist()) + "\n")
    run(os.environ["NNC"], source, "-o", exe)
    run(exe, "predict", "images.csv", "--load", "w.safetensors", "--csv", "out.csv", "--threads", "2")
    with open(os.path.join(folder, "out.csv")) as f:
        rows = [line.split(",")[2:] for line in f.read().split("\n")[1:] if line]
    return torch.tensor([[float(v) for v in row] for row in rows]), weights


def check(name, settings, shape, network):
    g = torch.Generator().manual_seed(11)
    images = torch.randn(IMAGES, *shape, generator=g)
    with tempfile.TemporaryDirectory() as folder:
        got, weights = answer(folder, name, settings, shape, images, g)
    with torch.no_grad():
        want = network(Net(weights), images.permute(0, 3, 1, 2))
    title = f"torch zoo {name} of {shape[0]} x {shape[1]}"
    worst = ((got - want).abs().max() / want.abs().max()).item() if got.shape == want.shape else float("nan")
    print(f"PASS {title}" if worst < 1e-4 else f"FAIL {title}: {tuple(got.shape)}, {tuple(want.shape)}, differs by {worst:.1e}")


for case in NETWORKS:
    if case[0] in sys.argv[1:] or (len(sys.argv) < 2 and (os.environ.get("FULL") or case[0] in QUICK)):
        try:
            check(*case)
        except subprocess.CalledProcessError as e:
            print(f"FAIL torch zoo {case[0]}: {(e.stderr or e.stdout).strip()[:1000]}")
