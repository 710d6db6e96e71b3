"""Recurrent layers, their cells, and Embedding equal PyTorch's in values and gradients: ten training steps."""
import os
import sys

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print("SKIP torch recurrent: PyTorch is not installed (python3-torch)")
    sys.exit(0)

sys.dont_write_bytecode = True
from support.cases import ROWS, Case, run  # noqa: E402

USE = """use std.layers: SimpleRNN, LSTM, GRU, SimpleRNNCell, LSTMCell, GRUCell, Bidirectional, Embedding
"""
T, IN, UNITS = 4, 3, 5


def swapped(w):
    """GRU gates: update, reset, new here; reset, update, new there."""
    z, r, n = w.chunk(3, -1)
    return torch.cat([r, z, n], -1)


def weights(w, path, kind):
    order = swapped if kind == "gru" else lambda v: v
    b = order(w[path + "b"])
    recurrent = order(w[path + "recurrent_b"]) if kind == "gru" else torch.zeros_like(b)
    return [order(w[path + "W"]).T.contiguous(), order(w[path + "U"]).T.contiguous(), b, recurrent]


def layer(kind, x, w, path):
    """All states of a layer of PyTorch over x: [rows, time, in]."""
    p = weights(w, path, kind)
    h = torch.zeros(1, ROWS, w[path + "U"].shape[0])
    start = (h, torch.zeros_like(h)) if kind == "lstm" else h
    f = {"rnn": torch._VF.rnn_tanh, "lstm": torch._VF.lstm, "gru": torch._VF.gru}[kind]
    return f(x, start, p, True, 1, 0.0, False, False, True)[0]


def sequence(d):
    return d["x"].reshape(ROWS, T, IN)


def fit(h, d):
    return ((h.mean(-1) - d["target"][:, 0]) ** 2).mean()


KINDS = {"SimpleRNN": "rnn", "LSTM": "lstm", "GRU": "gru"}
LOSS = "(mean(h) - target[0]) ^ 2"


def both(kind, other, x, w, last=False):
    forward = layer(kind, x, w, "bidirectional.forward.")
    backward = layer(other, x.flip(1), w, "bidirectional.backward.")
    return torch.cat([forward[:, -1], backward[:, -1]] if last else [forward, backward.flip(1)], -1)


def last_state(name, kind):
    return Case(f"torch {name}, last state", f"let h = x |> reshape([{T}, {IN}]) |> {name}({UNITS})\n{LOSS}",
                lambda w, d: fit(layer(kind, sequence(d), w, name.lower() + ".")[:, -1], d))


def all_states(name, kind):
    body = f"let h = x |> reshape([{T}, {IN}]) |> {name}({UNITS}, sequences = true)\nmean(h[1] * h[3]) + {LOSS}"

    def loss(w, d):
        h = layer(kind, sequence(d), w, name.lower() + ".")
        return (h[:, 1] * h[:, 3]).mean() + fit(h.mean(1), d)
    return Case(f"torch {name}, all states", body, loss)


def cell(name, kind):
    """The cell in a scan is the layer."""
    carries = "h = zeros[5], c = zeros[5]" if kind == "lstm" else "h = zeros[5]"
    names = "(h, c)" if kind == "lstm" else "h"
    arguments = "t, h, c" if kind == "lstm" else "t, h"
    body = f"""let cell = {name}Cell({UNITS})
let {"(h, _)" if kind == "lstm" else "h"} = scan t in reshape(x, [{T}, {IN}]) with {carries} {{ {names} = cell({arguments}) }}
{LOSS}"""
    return Case(f"torch {name}Cell in a scan", body, lambda w, d: fit(layer(kind, sequence(d), w, "cell.")[:, -1], d))


def stacked(w, d):
    h = layer("lstm", sequence(d), w, "lstm.")
    return fit(layer("gru", h, w, "gru.")[:, -1], d)


def backwards(w, d):
    return fit(layer("lstm", sequence(d).flip(1), w, "lstm.")[:, -1], d)


def two_ways(w, d):
    h = both("gru", "lstm", sequence(d), w)
    return (h[:, 0] * h[:, 2]).mean() + fit(h.mean(1), d)


def words(d):
    return sequence(d).argmax(-1)


def embedded(w, d):
    return fit(layer("lstm", F.embedding(words(d), w["embedding.weight"]), w, "lstm.")[:, -1], d)


def one_word(w, d):
    return fit(F.embedding(d["label"], w["embedding.weight"]), d)


def reset_first(w, path, x):
    """All states of GRU with the reset gate before the product, which PyTorch hasn't got."""
    U, h, states = w[path + "U"], torch.zeros(ROWS, w[path + "U"].shape[0]), []
    n = U.shape[0]
    for t in range(x.shape[1]):
        z, r, new = (x[:, t] @ w[path + "W"] + w[path + "b"]).chunk(3, -1)
        z = torch.sigmoid(z + h @ U[:, :n])
        r = torch.sigmoid(r + h @ U[:, n:2 * n])
        h = z * h + (1 - z) * torch.tanh(new + (r * h) @ U[:, 2 * n:])
        states.append(h)
    return torch.stack(states, 1)


X = f"x |> reshape([{T}, {IN}])"
cases = [make(name, kind) for name, kind in KINDS.items() for make in (last_state, all_states, cell)]
cases += [
    Case("torch LSTM and GRU, stacked", f"let h = {X} |> LSTM(4, sequences = true) |> GRU(5)\n{LOSS}", stacked),
    Case("torch GRU, reset before the product", f"let h = {X} |> GRU(5, reset_after = false)\n{LOSS}",
         lambda w, d: fit(reset_first(w, "gru.", sequence(d))[:, -1], d)),
    Case("torch GRUCell, reset before the product",
         f"let cell = GRUCell(5, reset_after = false)\n"
         f"let h = scan t in reshape(x, [{T}, {IN}]) with h = zeros[5] {{ h = cell(t, h) }}\n{LOSS}",
         lambda w, d: fit(reset_first(w, "cell.", sequence(d))[:, -1], d)),
    Case("torch LSTM, backwards", f"let h = reverse(reshape(x, [{T}, {IN}])) |> LSTM(5)\n{LOSS}", backwards),
    Case("torch Bidirectional, all states",
         f"let h = {X} |> Bidirectional(GRU(4, sequences = true), LSTM(3, sequences = true), sequences = true)\n"
         f"mean(h[0] * h[2]) + {LOSS}", two_ways),
    Case("torch Bidirectional, last states", f"let h = {X} |> Bidirectional(GRU(4), LSTM(3))\n{LOSS}",
         lambda w, d: fit(both("gru", "lstm", sequence(d), w, last=True), d)),
    Case("torch Embedding of a sequence",
         f"let h = argmax(reshape(x, [{T}, {IN}])) |> Embedding(4) |> LSTM(5)\n{LOSS}", embedded),
    Case("torch Embedding of one index", f"let h = label |> Embedding(4)\n{LOSS}", one_word),
]
run(os.environ["NNC"], cases, USE)
