"""Ten steps of every optimizer on a perceptron equal PyTorch's, or a formula where PyTorch has none."""
import os
import sys

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print("SKIP torch optimizers: PyTorch is not installed (python3-torch)")
    sys.exit(0)

sys.dont_write_bytecode = True
from support.cases import Case, run  # noqa: E402


class ByFormula:
    """An optimizer as its paper has it: update(p, g, state, step) gives the new p."""

    def __init__(self, params, update):
        self.params, self.update, self.state, self.steps = params, update, [{} for _ in params], 0

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    def step(self):
        self.steps += 1
        with torch.no_grad():
            for p, state in zip(self.params, self.state):
                p.copy_(self.update(p, p.grad, state, self.steps))


def ftrl(lr, start=0.1, l1=0.0, l2=0.0):
    def update(p, g, s, step):
        n, z = s.get("n", torch.full_like(p, start)), s.get("z", torch.zeros_like(p))
        sigma = ((n + g * g).sqrt() - n.sqrt()) / lr
        s["n"], s["z"] = n + g * g, z + g - sigma * p
        moved = -(s["z"] - l1 * s["z"].sign()) / (s["n"].sqrt() / lr + 2 * l2)
        return torch.where(s["z"].abs() > l1, moved, torch.zeros_like(p))
    return lambda params: ByFormula(params, update)


def lion(lr, beta1=0.9, beta2=0.99, decay=0.0):
    def update(p, g, s, step):
        m = s.get("m", torch.zeros_like(p))
        s["m"] = beta2 * m + (1 - beta2) * g
        return p - lr * ((beta1 * m + (1 - beta1) * g).sign() + decay * p)
    return lambda params: ByFormula(params, update)


def nadam(lr, beta1=0.9, beta2=0.999, eps=1e-6, ramp=0.004):
    """As torch.optim.NAdam from version 2 on: 1.13 multiplies the next product by mu once too often."""
    def update(p, g, s, step):
        mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (k * ramp)) for k in (step, step + 1))
        s["product"] = s.get("product", 1) * mu
        s["m"] = beta1 * s.get("m", torch.zeros_like(p)) + (1 - beta1) * g
        s["v"] = beta2 * s.get("v", torch.zeros_like(p)) + (1 - beta2) * g * g
        size = (s["v"] / (1 - beta2**step)).sqrt() + eps
        return p - lr * ((1 - mu) / (1 - s["product"]) * g + mu_next / (1 - s["product"] * mu_next) * s["m"]) / size
    return lambda params: ByFormula(params, update)


def scheduled(make, factor):
    """PyTorch's optimizer with its rate multiplied by factor(step), from 1."""
    def build(params):
        optimizer = make(params)
        rate, steps, plain = optimizer.param_groups[0]["lr"], [0], optimizer.step

        def step():
            steps[0] += 1
            optimizer.param_groups[0]["lr"] = rate * factor(steps[0])
            plain()

        optimizer.step = step
        return optimizer
    return build


O = torch.optim
OPTIMIZERS = {
    "sgd(0.1)": lambda p: O.SGD(p, 0.1),
    "sgd(0.1, decay = 0.1)": lambda p: O.SGD(p, 0.1, weight_decay=0.1),
    "sgd(0.1, momentum = 0.9)": lambda p: O.SGD(p, 0.1, momentum=0.9),
    "sgd(0.1, momentum = friction)": lambda p: O.SGD(p, 0.1, momentum=0.9),
    "sgd(0.1, momentum = 0.9, nesterov = true)": lambda p: O.SGD(p, 0.1, momentum=0.9, nesterov=True),
    "rmsprop(0.01, rho = 0.9, eps = 1e-6)": lambda p: O.RMSprop(p, 0.01, alpha=0.9, eps=1e-6),
    "adagrad(0.05, eps = 1e-6)": lambda p: O.Adagrad(p, 0.05, eps=1e-6, initial_accumulator_value=0.1),
    "adam(0.01, eps = 1e-6)": lambda p: O.Adam(p, 0.01, eps=1e-6),
    "adam(0.02, beta1 = 0.8, beta2 = 0.9, eps = 1e-6)": lambda p: O.Adam(p, 0.02, (0.8, 0.9), eps=1e-6),
    "adam(0.01, beta2 = 0.5, eps = 1e-6, amsgrad = true)": lambda p: O.Adam(p, 0.01, (0.9, 0.5), 1e-6, amsgrad=True),
    "adamw(0.01, eps = 1e-6)": lambda p: O.AdamW(p, 0.01, eps=1e-6),
    "adamw(0.01, decay = 0.3, eps = 1e-6)": lambda p: O.AdamW(p, 0.01, eps=1e-6, weight_decay=0.3),
    "adamax(0.01, eps = 1e-6)": lambda p: O.Adamax(p, 0.01, eps=1e-6),
    "nadam(0.01, eps = 1e-6)": nadam(0.01),
    "nadam(0.01, eps = 1e-6, ramp = 0.1)": nadam(0.01, ramp=0.1),
    "adadelta(1, rho = 0.9, eps = 1e-6)": lambda p: O.Adadelta(p, 1.0, 0.9, 1e-6),
    "ftrl(0.1)": ftrl(0.1),
    "ftrl(0.1, l1 = 0.02, l2 = 0.1)": ftrl(0.1, l1=0.02, l2=0.1),
    "lion(0.003)": lion(0.003),
    "lion(0.003, decay = 0.1)": lion(0.003, decay=0.1),
    "adam(0.01 * warm_up(step, 4), eps = 1e-6)": scheduled(lambda p: O.Adam(p, 0.01, eps=1e-6), lambda k: min(1, k / 4)),
    "sgd(0.1 * steps_down(step, [(0, 1), (4, 0.5), (7, 0.1)]))": scheduled(
        lambda p: O.SGD(p, 0.1), lambda k: 1 if k < 4 else 0.5 if k < 7 else 0.1),
}

MODEL = "cross_entropy(x |> Dense(7, activation = tanh) |> Dense(3), label)"


def loss(w, d):
    h = torch.tanh(d["x"] @ w["dense.weight"] + w["dense.bias"])
    return F.cross_entropy(h @ w["dense_2.weight"] + w["dense_2.bias"], d["label"])


cases = [Case(f"torch optimizer {name}", MODEL, loss, name, make) for name, make in OPTIMIZERS.items()]
run(os.environ["NNC"], cases, "use std.layers: Dense\nconfig friction = 0.9\n")
