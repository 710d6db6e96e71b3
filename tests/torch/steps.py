"""Ten iterations of a small GAN, two steps each, equal PyTorch's from equal weights, to 1e-5 relative.

One full batch an iteration, so that the order of rows plays no part; the noise is data, so that both sides see the same.
"""
import os
import subprocess
import sys
import tempfile

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print("SKIP torch steps: PyTorch is not installed (python3-torch)")
    sys.exit(0)

sys.dont_write_bytecode = True
from support.weights import load, save  # noqa: E402

NNC = os.environ["NNC"]
ROWS, ITERATIONS = 24, 10

PROGRAM = """
use std.layers: Dense
data Rows {{
    train = csv("rows.csv", header = false)
    x: f32[2] = row[0..2]
    z: f32[3] = row[2..5]
}}
model G(z: f32[3]) -> f32[2] {{ z |> Dense(8, activation = tanh) |> Dense(2) }}
model D(x: f32[2]) -> f32 {{ x |> Dense(8, activation = leaky_relu(0.2)) |> Dense(1) }}
train Gan on Rows {{
    let fake = D(G(z))
{steps}
    batch 24; epochs 10
}}
"""

SHAPES = {
    "D.dense.weight": (2, 8), "D.dense.bias": (8,), "D.dense_2.weight": (8, 1), "D.dense_2.bias": (1,),
    "G.dense.weight": (3, 8), "G.dense.bias": (8,), "G.dense_2.weight": (8, 2), "G.dense_2.bias": (2,),
}


def apply(w, name, x, activation):
    h = activation(x @ w[f"{name}.dense.weight"] + w[f"{name}.dense.bias"])
    return h @ w[f"{name}.dense_2.weight"] + w[f"{name}.dense_2.bias"]


def of(w, name):
    return [w[k] for k in sorted(w) if k.startswith(name)]


class Gan:
    """The two losses, and updates of one network at a time."""

    def __init__(self, w, d):
        self.w, self.d = w, d

    def score(self, x):
        return apply(self.w, "D", x, lambda h: F.leaky_relu(h, 0.2)).squeeze(-1)

    def critic(self):
        real, fake = self.score(self.d["x"]), self.fake()
        return self.loss(real, 1.0) + self.loss(fake, 0.0)

    def fake(self):
        return self.score(apply(self.w, "G", self.d["z"], torch.tanh))

    def generator(self):
        return self.loss(self.fake(), 1.0)

    @staticmethod
    def loss(score, target):
        return F.binary_cross_entropy_with_logits(score, torch.full_like(score, target))

    def update(self, optimizer, loss, params):
        for p, g in zip(params, torch.autograd.grad(loss, params)):
            p.grad = g
        optimizer.step()


def alternating(gan, w):
    critic = torch.optim.Adam(of(w, "D"), 0.01, eps=1e-6)
    generator = torch.optim.Adam(of(w, "G"), 0.003, eps=1e-6)
    for _ in range(ITERATIONS):
        gan.update(critic, gan.critic(), of(w, "D"))
        gan.update(generator, gan.generator(), of(w, "G"))


def repeated(gan, w):
    critic = torch.optim.SGD(of(w, "D"), 0.05, momentum=0.9)
    generator = torch.optim.SGD(of(w, "G"), 0.1)
    updates = 0
    for iteration in range(1, ITERATIONS + 1):
        for _ in range(3):
            updates += 1
            critic.param_groups[0]["lr"] = 0.05 / (1 + 0.1 * updates)
            gan.update(critic, gan.critic(), of(w, "D"))
        generator.param_groups[0]["lr"] = 0.1 / iteration
        gan.update(generator, gan.generator(), of(w, "G"))


def together(gan, w):
    """Several minimize in one step: one forward, all gradients, then the updates."""
    critic = torch.optim.Adam(of(w, "D"), 0.01, eps=1e-6)
    generator = torch.optim.RMSprop(of(w, "G"), 0.003, alpha=0.9, eps=1e-6)
    for _ in range(ITERATIONS):
        d, g = of(w, "D"), of(w, "G")
        of_d, of_g = torch.autograd.grad(gan.critic(), d), torch.autograd.grad(gan.generator(), g)
        for p, x in list(zip(d, of_d)) + list(zip(g, of_g)):
            p.grad = x
        critic.step()
        generator.step()


CASES = {
    "critic then generator": (alternating, """
    step critic { minimize bce(D(x), 1) + bce(fake, 0) over D with adam(0.01, eps = 1e-6) }
    step generator { minimize bce(fake, 1) over G with adam(0.003, eps = 1e-6) }"""),
    "a critic three times, schedules": (repeated, """
    step critic {
        minimize bce(D(x), 1) + bce(fake, 0) over D with sgd(0.05 / (1 + 0.1 * step), momentum = 0.9)
        repeat 3
    }
    step generator { maximize -bce(fake, 1) over G with sgd(0.1 / step) }"""),
    "both in one step": (together, """
    step both {
        minimize bce(D(x), 1) + bce(fake, 0) over D with adam(0.01, eps = 1e-6)
        minimize bce(fake, 1) over G with rmsprop(0.003, rho = 0.9, eps = 1e-6)
    }"""),
}


def check(folder, name, reference, steps, start, d):
    path = os.path.join(folder, "gan")
    with open(path + ".nn", "w") as f:
        f.write(PROGRAM.format(steps=steps))
    save(path + ".start", start)
    for command in ([NNC, path + ".nn", "-o", path],
                    [path, "--load", path + ".start", "--out", path + ".end", "--data", folder, "--threads", "1"]):
        r = subprocess.run(command, capture_output=True, text=True)
        if r.returncode:
            print(f"FAIL torch steps {name}: {r.stderr.strip()[:300]}")
            return
    got = load(path + ".end")
    w = {k: v.clone().requires_grad_() for k, v in start.items()}
    reference(Gan(w, d), w)
    worst = max(((got[k] - v).abs().max() / v.abs().max()).item() for k, v in w.items())
    print(f"PASS torch steps {name}: {worst:.1e}" if worst < 1e-5 else f"FAIL torch steps {name}: differs by {worst:.1e}")


def main():
    g = torch.Generator().manual_seed(7)
    d = {"x": torch.randn(ROWS, 2, generator=g), "z": torch.randn(ROWS, 3, generator=g)}
    start = {k: torch.randn(s, generator=g) * 0.5 for k, s in SHAPES.items()}
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "rows.csv"), "w") as f:
            for r in range(ROWS):
                f.write(",".join("%.9g" % v for v in [*d["x"][r], *d["z"][r]]) + "\n")
        for name, (reference, steps) in CASES.items():
            check(folder, name, reference, steps, start, d)


main()
