"""The library's activations, losses, layers, regularisers and constraints equal PyTorch's: ten training steps."""
import os
import sys

try:
    import torch
    import torch.nn.functional as F
    from torch.nn.utils.stateless import functional_call
except ImportError:
    print("SKIP torch library: PyTorch is not installed (python3-torch)")
    sys.exit(0)

sys.dont_write_bytecode = True
from support.cases import Case, run  # noqa: E402

# ---- activations: of a * x + b, which reaches both sides of every bend

ACTIVATIONS = {
    "linear": lambda x: x,
    "tanh": torch.tanh,
    "relu": F.relu,
    "leaky_relu(0.1)": lambda x: F.leaky_relu(x, 0.1),
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
    "sigmoid": torch.sigmoid,
    "softplus": F.softplus,
    "swish": F.silu,
    "softmax": lambda x: F.softmax(x, -1),
    "log_softmax": lambda x: F.log_softmax(x, -1),
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "mish": F.mish,
    "celu(0.7)": lambda x: F.celu(x, 0.7),
    "relu6": F.relu6,
    "hard_sigmoid": F.hardsigmoid,
    "hard_swish": F.hardswish,
    "hard_tanh": F.hardtanh,
    "softsign": F.softsign,
    "tanh_shrink": F.tanhshrink,
    "hard_shrink(0.4)": lambda x: F.hardshrink(x, 0.4),
    "soft_shrink(0.4)": lambda x: F.softshrink(x, 0.4),
    "threshold(0.2, 0.1)": lambda x: F.threshold(x, 0.2, 0.1),
    "exponential": torch.exp,
    "log_sigmoid": F.logsigmoid,
    "glu": F.glu,
}


def activation(name, f):
    model = f"param a: f32[12] = ones, b: f32[12] = zeros\nlet y = (a * x + b) |> {name}\nmean(y * y)"
    return Case(f"torch activation {name}", model, lambda w, d: (f(w["a"] * d["x"] + w["b"]) ** 2).mean())


# ---- losses: of z = x @ w + b

def kl(p, t):
    t = t.clamp(1e-7, 1)
    return (t * (t / p.clamp(1e-7, 1)).log()).sum(-1).mean()


def categorical_hinge(z, t):
    return F.relu(1 + ((1 - t) * z).max(-1).values - (t * z).sum(-1)).mean()


def focal(z, t, alpha=0.25, gamma=2.0):
    p = torch.sigmoid(z)
    q = p * t + (1 - p) * (1 - t)
    weight = (alpha * t + (1 - alpha) * (1 - t)) * (1 - q) ** gamma
    return (weight * F.binary_cross_entropy_with_logits(z, t, reduction="none")).mean()


def contrastive(d, same):
    return (same * d**2 + (1 - same) * F.relu(1 - d) ** 2).mean()


def near(t):  # -1 and 1 of 0 and 1
    return 2 * t - 1


LOSSES = {
    "cross_entropy(z, label)": lambda z, d: F.cross_entropy(z, d["label"]),
    "cross_entropy(z, target)": lambda z, d: F.cross_entropy(z, d["target"]),
    "cross_entropy_probability(softmax(z), label)": lambda z, d: F.cross_entropy(z, d["label"]),
    "-log(softmax(z)[label])": lambda z, d: F.cross_entropy(z, d["label"]),
    "mean(bce(z, target))": lambda z, d: F.binary_cross_entropy_with_logits(z, d["target"]),
    "mean(bce_probability(sigmoid(z), target))": lambda z, d: F.binary_cross_entropy_with_logits(z, d["target"]),
    "mse(z, positive)": lambda z, d: F.mse_loss(z, d["positive"]),
    "mae(z, positive)": lambda z, d: F.l1_loss(z, d["positive"]),
    "huber(z, positive)": lambda z, d: F.huber_loss(z, d["positive"]),
    "hinge(z, 2 * target - 1)": lambda z, d: F.relu(1 - z * near(d["target"])).mean(),
    "msle(softplus(z), positive)": lambda z, d: F.mse_loss(torch.log1p(F.softplus(z)), torch.log1p(d["positive"])),
    "mape(z, positive)": lambda z, d: 100 * ((z - d["positive"]).abs() / d["positive"]).mean() / 100,
    "log_cosh(z, positive)": lambda z, d: torch.log(torch.cosh(z - d["positive"])).mean(),
    "quantile(z, positive, 0.8)": lambda z, d: torch.maximum(
        0.8 * (d["positive"] - z), -0.2 * (d["positive"] - z)).mean(),
    "poisson(softplus(z), positive)": lambda z, d: F.poisson_nll_loss(
        F.softplus(z), d["positive"], log_input=False, eps=1e-7),
    "kl_divergence(softmax(z), softmax(positive))": lambda z, d: kl(z.softmax(-1), d["positive"].softmax(-1)),
    "cosine_loss(z, positive)": lambda z, d: F.cosine_embedding_loss(z, d["positive"], torch.ones(len(z))),
    "huber(z, positive, 0.3)": lambda z, d: F.huber_loss(z, d["positive"], delta=0.3),
    "squared_hinge(z, 2 * target - 1)": lambda z, d: (F.relu(1 - z * near(d["target"])) ** 2).mean(),
    "categorical_hinge(z, label)": lambda z, d: categorical_hinge(z, d["target"]),
    "categorical_hinge(z, target)": lambda z, d: categorical_hinge(z, d["target"]),
    "cross_entropy(z, label, smoothing = 0.1)": lambda z, d: F.cross_entropy(z, d["label"], label_smoothing=0.1),
    "mean(focal(z, target))": lambda z, d: focal(z, d["target"]),
    "mean(contrastive(softplus(z), target))": lambda z, d: contrastive(F.softplus(z), d["target"]),
    "triplet(z, positive, target)": lambda z, d: F.triplet_margin_loss(z, d["positive"], d["target"]),
}


def loss(text, f):
    scale = " / 100" if text.startswith("mape") else ""
    model = f"param w: f32[12, 3] = zeros, b: f32[3] = zeros\nlet z = x @ w + b\n{text}{scale}"
    return Case(f"torch loss {text}", model, lambda w, d: f(d["x"] @ w["w"] + w["b"], d))


# ---- layers

def sequence(d):
    return d["x"].reshape(-1, 3, 4)


def dense(w, path, x):
    y = x @ w[path + ".weight"]
    return y + w[path + ".bias"] if path + ".bias" in w else y


def attention(w, at, x, memory, heads, mask=None, causal=False):
    """By torch.nn.functional: the projections are ours transposed."""
    names = [at + n for n in ("query", "key", "value")]
    bias = torch.cat([w[n + ".bias"] for n in names]) if names[0] + ".bias" in w else None
    same = w[names[0] + ".weight"].shape[0] == w[names[1] + ".weight"].shape[0]
    q, k, v = (w[n + ".weight"].T for n in names)
    hidden = torch.ones(x.shape[1], memory.shape[1]).triu(1).bool() if causal else None
    y, _ = F.multi_head_attention_forward(
        x.transpose(0, 1), memory.transpose(0, 1), memory.transpose(0, 1), x.shape[2], heads,
        torch.cat([q, k, v]) if same else None, bias, None, None, False, 0.0,
        w[at + "output.weight"].T, w.get(at + "output.bias"), training=True,
        key_padding_mask=None if mask is None else ~mask, need_weights=False, attn_mask=hidden,
        use_separate_proj_weight=not same, q_proj_weight=q, k_proj_weight=k, v_proj_weight=v)
    return y.transpose(0, 1)


def norm(w, at, x, eps=1e-5):
    return F.layer_norm(x, x.shape[-1:], w[at + ".gamma"], w[at + ".beta"], eps)


def block(w, x, causal):
    """torch.nn.TransformerEncoderLayer with our weights."""
    layer = torch.nn.TransformerEncoderLayer(4, 2, 16, 0.0, F.gelu, 1e-5, True, True)
    own = {
        "self_attn.in_proj_weight": torch.cat([w[f"{PATH}.attention.{n}.weight"].T for n in ("query", "key", "value")]),
        "self_attn.in_proj_bias": torch.cat([w[f"{PATH}.attention.{n}.bias"] for n in ("query", "key", "value")]),
        "self_attn.out_proj.weight": w[PATH + ".attention.output.weight"].T,
        "self_attn.out_proj.bias": w[PATH + ".attention.output.bias"],
        "linear1.weight": w[PATH + ".inner.weight"].T, "linear1.bias": w[PATH + ".inner.bias"],
        "linear2.weight": w[PATH + ".outer.weight"].T, "linear2.bias": w[PATH + ".outer.bias"],
        "norm1.weight": w[PATH + ".norm1.gamma"], "norm1.bias": w[PATH + ".norm1.beta"],
        "norm2.weight": w[PATH + ".norm2.gamma"], "norm2.bias": w[PATH + ".norm2.beta"],
    }
    hidden = torch.ones(3, 3).triu(1).bool() if causal else None
    return functional_call(layer, own, (x,), {"src_mask": hidden})


PATH = "transformerblock"


def sinusoids(places, width):
    t = torch.arange(places).float()[:, None]
    f = torch.exp(torch.arange(0, width, 2).float() * (-torch.log(torch.tensor(10000.0)) / width))
    return torch.stack([torch.sin(t * f), torch.cos(t * f)], 2).reshape(places, width)


END = "mean(sin(y))"
LAYERS = {  # name: model, PyTorch's value, of whose sine the mean is taken
    "LayerNorm": ("x |> Dense(6) |> LayerNorm", lambda w, d: norm(w, "layernorm", dense(w, "dense", d["x"]), 1e-3)),
    "LayerNorm(eps = 1e-5, scale = false) of a sequence": (
        "reshape(x, [3, 4]) |> Dense(4) |> LayerNorm(eps = 1e-5, scale = false)",
        lambda w, d: F.layer_norm(dense(w, "dense", sequence(d)), (4,), None, w["layernorm.beta"], 1e-5)),
    "RMSNorm": (
        "x |> Dense(6) |> RMSNorm",
        lambda w, d: (lambda z: z / torch.sqrt((z * z).mean(-1, keepdim=True) + 1e-6) * w["rmsnorm.gamma"])(
            dense(w, "dense", d["x"]))),
    "UnitNormalization": ("x |> Dense(6) |> UnitNormalization", lambda w, d: F.normalize(dense(w, "dense", d["x"]), dim=-1)),
    "PReLU": ("x |> Dense(6) |> PReLU()", lambda w, d: (
        lambda z: torch.where(z > 0, z, w["prelu.alpha"] * z))(dense(w, "dense", d["x"]))),
    "Bilinear": ("[x[..6] |> Dense(4), x] |> pair", lambda w, d: torch.einsum(
        "bn,nmk,bm->bk", dense(w, "dense", d["x"][:, :6]), w["bilinear.weight"], d["x"]) + w["bilinear.bias"]),
    "Concatenate, Add, Multiply": (
        "let a = x |> Dense(4), b = x |> Dense(4)\n[[a, b] |> Add, [a, b] |> Multiply, a] |> Concatenate",
        lambda w, d: (lambda a, b: torch.cat([a + b, a * b, a], -1))(dense(w, "dense", d["x"]), dense(w, "dense_2", d["x"]))),
    "Maximum, Minimum, Average, Subtract": (
        "let a = x |> Dense(4), b = x |> Dense(4)\n"
        "concat([[a, b] |> Maximum, 2 * ([a, b] |> Minimum), [a, b, a] |> Average, [a, b] |> Subtract])",
        lambda w, d: (lambda a, b: torch.cat([torch.maximum(a, b), 2 * torch.minimum(a, b), (2 * a + b) / 3, a - b], -1))(
            dense(w, "dense", d["x"]), dense(w, "dense_2", d["x"]))),
    "Dot": (
        "let a = x |> Dense(4), b = x |> Dense(4)\n[[a, b] |> Dot, [a, b] |> Dot(normalize = true)]",
        lambda w, d: (lambda a, b: torch.stack([(a * b).sum(-1), F.cosine_similarity(a, b)], -1))(
            dense(w, "dense", d["x"]), dense(w, "dense_2", d["x"]))),
    "RepeatVector, Permute, Activation": (
        "x |> Dense(4) |> RepeatVector(3) |> Permute([1, 0]) |> Dense(2) |> Activation(tanh)",
        lambda w, d: torch.tanh(dense(w, "dense_2", dense(w, "dense", d["x"])[:, :, None].repeat(1, 1, 3)))),
    "Masking": (
        "let (z, mask) = select(x > 0, x, 0.0) |> reshape([6, 2]) |> Masking\nf32(mask)[.., _] * (z |> Dense(3))",
        lambda w, d: (lambda z: dense(w, "dense", z) * (z != 0).any(-1, keepdim=True))(F.relu(d["x"]).reshape(-1, 6, 2))),
    "PositionEmbedding": ("reshape(x, [3, 4]) |> PositionEmbedding", lambda w, d: sequence(d) + w["positionembedding.position"]),
    "SinusoidalPosition": (
        "reshape(x, [3, 4]) |> SinusoidalPosition |> Dense(2)",
        lambda w, d: dense(w, "dense", sequence(d) + sinusoids(3, 4))),
    "MultiHeadAttention": (
        "reshape(x, [3, 4]) |> MultiHeadAttention(2)",
        lambda w, d: attention(w, "multiheadattention.", sequence(d), sequence(d), 2)),
    "MultiHeadAttention(causal = true, bias = false)": (
        "reshape(x, [3, 4]) |> MultiHeadAttention(2, causal = true, bias = false)",
        lambda w, d: attention(w, "multiheadattention.", sequence(d), sequence(d), 2, causal=True)),
    "MultiHeadAttention to a memory of another width": (
        "let attend = MultiHeadAttention(2)\nattend(reshape(x, [3, 4]), reshape(x, [6, 2]))",
        lambda w, d: attention(w, "attend.", sequence(d), d["x"].reshape(-1, 6, 2), 2)),
    "MultiHeadAttention with a mask": (
        "let attend = MultiHeadAttention(2), s = reshape(x, [3, 4])\nattend(s, s, mask = iota(3) < 1 or x[..3] > 0)",
        lambda w, d: attention(w, "attend.", sequence(d), sequence(d), 2,
                               (torch.arange(3) < 1) | (d["x"][:, :3] > 0))),
    "attention": (
        "let s = reshape(x, [3, 4])\nattention(s |> Dense(4), s |> Dense(4), s |> Dense(5))",
        lambda w, d: (lambda q, k, v: (q @ k.transpose(1, 2) / 2).softmax(-1) @ v)(
            *(dense(w, n, sequence(d)) for n in ("dense", "dense_2", "dense_3")))),
    "ScaledDotProductAttention with a mask": (
        "let s = reshape(x, [3, 4]), find = ScaledDotProductAttention(0.0)\nfind(s |> Dense(4), s |> Dense(4), s, mask(2, 3))",
        lambda w, d: (lambda q, k: (q @ k.transpose(1, 2) / 2)[:, :, :2].softmax(-1) @ sequence(d)[:, :2])(
            *(dense(w, n, sequence(d)) for n in ("dense", "dense_2")))),
    "masked_mean": (
        "let y = x |> Dense(4)\n1 + masked_mean(y, y > 0) + [masked_mean(y, y > 1000), 0]",
        lambda w, d: (lambda z: 1 + (F.relu(z).sum(-1) / (z > 0).sum(-1).clamp(min=1))[:, None].repeat(1, 2))(
            dense(w, "dense", d["x"]))),
    "TransformerBlock": ("reshape(x, [3, 4]) |> TransformerBlock(2)", lambda w, d: block(w, sequence(d), False)),
    "TransformerBlock(causal = true)": (
        "reshape(x, [3, 4]) |> TransformerBlock(2, causal = true)", lambda w, d: block(w, sequence(d), True)),
}


def layer(name, model, f):
    *lets, last = model.split("\n")
    last = "let p = Bilinear(3)\nlet y = p(x[..6] |> Dense(4), x)" if "pair" in last else f"let y = {last}"
    if "pair" in model:
        g = f
        f = lambda w, d: g({k.replace("p.", "bilinear.") if k.startswith("p.") else k: v for k, v in w.items()}, d)
    return Case(f"torch layer {name}", "\n".join([*lets, last, END]), lambda w, d: torch.sin(f(w, d)).mean())


# ---- regularisers and constraints

FIT = "mse(x |> Dense(3), positive)"


def fit(w, d):
    return F.mse_loss(dense(w, "dense", d["x"]), d["positive"])


def columns(change):
    def after(w):
        k = w["dense.weight"]
        n = k.norm(dim=0, keepdim=True)
        k.mul_(change(n) / (n + 1e-7))
    return after


def not_negative(w):
    w["dense.weight"].clamp_(min=0)


REGULAR = [
    Case("torch regulariser l1", FIT, lambda w, d: fit(w, d) + 0.01 * w["dense.weight"].abs().sum(), extra=" + l1(0.01)(M)"),
    Case("torch regulariser l2", FIT, lambda w, d: fit(w, d) + 0.02 * (w["dense.weight"] ** 2).sum(), extra=" + l2(0.02)(M)"),
    Case("torch regulariser l1_l2 of a param", FIT,
         lambda w, d: fit(w, d) + 0.01 * w["dense.bias"].abs().sum() + 0.02 * (w["dense.bias"] ** 2).sum(),
         extra=" + l1_l2(0.01, 0.02)(M.dense.bias)"),
    Case("torch constraint max_norm", FIT, fit, "constrained(sgd(0.1), max_norm(0.8))", after=columns(lambda n: n.clamp(max=0.8))),
    Case("torch constraint unit_norm", FIT, fit, "constrained(adam(0.01), unit_norm)",
         lambda p: torch.optim.Adam(p, 0.01, eps=1e-7), after=columns(torch.ones_like)),
    Case("torch constraint min_max_norm", FIT, fit, "constrained(sgd(0.1), min_max_norm(0.9, 1.0, rate = 0.5))",
         after=columns(lambda n: 0.5 * n.clamp(0.9, 1.0) + 0.5 * n)),
    Case("torch constraint non_negative", FIT, fit, "constrained(sgd(0.1), non_negative)", after=not_negative),
]

USE = """use std.layers: Dense, LayerNorm, RMSNorm, UnitNormalization, PReLU, Bilinear, Concatenate, Add, Multiply, Maximum
use std.layers: Minimum, Average, Subtract, Dot, RepeatVector, Permute, Activation, Masking, PositionEmbedding
use std.layers: SinusoidalPosition, MultiHeadAttention, ScaledDotProductAttention, TransformerBlock
"""

cases = [activation(k, f) for k, f in ACTIVATIONS.items()]
cases += [loss(k, f) for k, f in LOSSES.items()]
cases += [layer(k, *v) for k, v in LAYERS.items()]
cases += REGULAR
run(os.environ["NNC"], cases, USE)
