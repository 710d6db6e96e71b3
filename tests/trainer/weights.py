"""Weights of files into instances and out again: names, layouts, element types, reports, damage. Run by weights.sh."""
import io, json, os, struct, subprocess, sys, zipfile, zlib
import numpy as np

work, nnc = sys.argv[1], os.path.abspath(os.environ["NNC"])
os.chdir(work)
random = np.random.default_rng(1)


def result(name, good, why=""):
    print(f"PASS weights/{name}" if good else f"FAIL weights/{name}: {' '.join(str(why).split())[:300]}")


def safetensors(path, tensors, kinds={}):
    """kinds: the dtype of a name, if it isn't that of the array (BF16)."""
    header, data = {}, b""
    names = {"float16": "F16", "float32": "F32", "float64": "F64", "int64": "I64"}
    for name, x in tensors.items():
        raw = np.ascontiguousarray(x).tobytes()
        header[name] = {"dtype": kinds.get(name, names.get(str(x.dtype))), "shape": list(x.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    open(path, "wb").write(struct.pack("<Q", len(text)) + text + data)


def read_safetensors(path):
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    return {k: np.frombuffer(raw[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]], "<f4").reshape(v["shape"])
            for k, v in json.loads(raw[8:8 + n]).items() if k != "__metadata__"}


def compiled(name, text):
    open(f"{name}.nn", "w").write(text)
    r = subprocess.run([nnc, f"{name}.nn", "-o", name], capture_output=True, text=True)
    if r.returncode:
        result(f"{name} compiles", False, r.stdout + r.stderr)


def run(name, *flags):
    r = subprocess.run([f"./{name}", *flags], capture_output=True, text=True)
    return r.returncode, r.stdout + r.stderr


def holds(name, got, part, status=0):
    result(name, got[0] == status and part in got[1], f"exit {got[0]}, no \"{part}\" in {got[1]}")


def begins(name, wanted, *flags, out="out.safetensors"):
    """The weights with which the program begins, written without training."""
    code, text = run(name, "--epochs", "0", "--log", "plain", "--out", out, *flags)
    got = read_safetensors(out) if code == 0 else {}
    bad = [k for k, x in wanted.items() if k not in got or not np.array_equal(got[k], x)]
    return not bad and code == 0, f"{bad} {text}"


# A network as PyTorch keeps it: filters and outputs first, other names, in four element types.
conv = random.standard_normal((5, 2, 3, 2)).astype("float16")
bias = random.standard_normal((5, 1, 1)).astype("float64")
head = random.standard_normal((3, 40)).astype("float32")
line = random.standard_normal((4, 5, 3)).astype("float32")
bf16 = (random.standard_normal(3).astype("float32").view("uint32") >> 16).astype("uint16")
theirs = {"features.0.weight": conv, "features.0.bias": bias, "classifier/W": head, "classifier/b": bf16,
          "steps": np.array([7]), "line.weight": line, "line.bias": np.zeros(4, "float32")}
safetensors("theirs.safetensors", theirs, {"classifier/b": "BF16"})
ours = {"net.conv.weight": conv.transpose(2, 3, 1, 0).astype("float32"), "net.conv.bias": bias.reshape(5).astype("float32"),
        "net.head.weight": head.T, "net.head.bias": (bf16.astype("uint32") << 16).view("float32")}

body = """
data D { rows = generated(8); x: f32 = normal }
layer Filters(x: f32) -> f32 {
    param weight: f32[3, 2, 2, 5] = normal, bias: f32[5] = zeros
    x * sum(weight) + sum(bias)
}
layer Line(classes: int)(x: f32) -> f32 {
    param weight: f32[40, classes] = normal, bias: f32[classes] = zeros
    x * sum(weight) + sum(bias)
}
layer Row(filters: int)(x: f32) -> f32 { param weight: f32[3, 5, filters] = normal, bias: f32[filters] = zeros; x * sum(weight) + sum(bias) }
layer Net(classes: int = 3)(x: f32) -> f32 { x |> Filters as conv |> Line(classes) as head }
train Fit on D { minimize net(x) ^ 2 with sgd(1e-9); epochs 1 }
"""
mapping = '"features.0" = "conv", "classifier.W" = "head.weight", "classifier/b" = "head.bias"'
compiled("torch", body + f'let net = Net(weights = renamed("theirs.safetensors", {mapping}, layout = oihw))')
result("filters first, F16, BF16, F64, other names", *begins("torch", ours))
holds("what was read is said", run("torch", "--epochs", "0", "--log", "plain"),
      "weights of net: 4 of 4 tensors, 188 numbers, from theirs.safetensors; 3 of the file left out: line.bias, line.weight, steps")
holds("as JSON too", run("torch", "--epochs", "0", "--log", "json"), '{"loaded":"theirs.safetensors","into":"net","tensors":4,"of":4')

compiled("stars", body + 'let net = Net(weights = renamed("npz/theirs.npz", "*/*:0" = "*.*", "a.*" = "conv.*", "b.*" = "head.*", scale = 0.5))')
os.makedirs("npz", exist_ok=True)
plain = {"a/weight:0": ours["net.conv.weight"], "a/bias:0": ours["net.conv.bias"].astype("float64"),
         "b/weight:0": np.asfortranarray(ours["net.head.weight"]), "b/bias:0": ours["net.head.bias"].astype("float16")}
half = {**ours, "net.head.bias": plain["b/bias:0"].astype("float32")}
for kind, save in ("stored", np.savez), ("deflated", np.savez_compressed):
    save("npz/theirs.npz", **plain)
    result(f"an npz, {kind}, f2 f4 f8, Fortran order, stars in names, scaled", *begins("stars", {k: x / 2 for k, x in half.items()}))

compiled("sequence", body +
         'let net = Row(4, weights = renamed("theirs.safetensors", "line" = "", layout = oihw))')
result("filters of a sequence", *begins("sequence", {"net.weight": line.transpose(2, 1, 0)}))

# Of instances inside each other the inner one's file counts.
extra = random.standard_normal((40, 2)).astype("float32")
np.savez("outer.npz", **{"net.conv.weight": 0 * ours["net.conv.weight"], "extra.weight": extra, "extra.bias": extra[0]})
compiled("nested", body.replace("net(x) ^", "whole(x) ^") + f"""
layer Whole(x: f32) -> f32 {{
    x |> Net(weights = renamed("theirs.safetensors", {mapping}, layout = oihw)) as net |> Line(2) as extra
}}
let whole = Whole(weights = "outer.npz")""")
result("instances inside each other", *begins("nested", {"whole.extra.weight": extra, **{"whole." + k: x for k, x in ours.items()}}))

# ---- what doesn't fit
compiled("wrong", body + 'let net = Net(weights = "theirs.safetensors")')
holds("nothing fits: how to rename", run("wrong"), '`weights = renamed(FILE, "theirs" = "ours")`', 1)
compiled("turned", body + f'let net = Net(weights = renamed("theirs.safetensors", {mapping}))')
holds("the layout is missing", run("turned"), "net.conv.weight: expected F32[3, 2, 2, 5], found F16[5, 2, 3, 2]; it fits with layout = oihw", 1)
compiled("key", body + f'let net = Net(weights = renamed("theirs.safetensors", {mapping}, "fc" = "head"))')
holds("a key that matches nothing", run("key"), 'no tensor is called "fc", which is to become "head"', 1)
compiled("both", body + 'let net = Net(weights = renamed("theirs.safetensors", "features.0" = "conv", "*.bias" = "conv.bias", "classifier/W" = "head.weight", layout = oihw))')
holds("two tensors for one", run("both"), "are both net.conv.bias", 1)
compiled("classes", body.replace("net(x) ^", "Five(x) ^") +
         f'let Five = Net(5, weights = renamed("theirs.safetensors", {mapping}, layout = oihw))')
holds("another number of classes", run("classes"), "Five.head.weight: expected F32[40, 5], found F32[3, 40] (filters first)", 1)
compiled("partial", open("classes.nn").read().replace("layout = oihw", "layout = oihw, partial = true"))
result("partial takes what fits", *begins("partial", {"Five.conv.weight": ours["net.conv.weight"]}))
holds("and says what doesn't", run("partial", "--epochs", "0", "--log", "plain"), "weights of Five: 2 of 4 tensors")
os.rename("theirs.safetensors", "away")
holds("no file", run("torch"), "theirs.safetensors", 1)
os.rename("away", "theirs.safetensors")

# ---- predict and eval: the program's own file, else files that give everything
result("predict needs no training where files give all", run("torch", "eval")[0] == 0, run("torch", "eval")[1])
os.remove("partial.safetensors")
holds("where they don't, it does", run("partial", "eval"), "no weights yet", 1)

# ---- written as npz, and loaded again
result("an npz is written", *begins("torch", {}, out="w.safetensors"))
run("torch", "--epochs", "1", "--out", "w.npz", "--seed", "3")
run("torch", "--epochs", "1", "--out", "w.safetensors", "--seed", "3")
try:
    got, same = np.load("w.npz"), read_safetensors("w.safetensors")
    result("numpy reads it", set(got.files) == set(same) and all(np.array_equal(got[k], same[k]) for k in same))
except Exception as e:
    result("numpy reads it", False, e)
result("--load of an npz", *begins("torch", same, "--load", "w.npz"))
few = dict(same)
del few["net.head.bias"]
np.savez("few.npz", **few, more=np.zeros(2))
holds("--load wants all of it", run("torch", "--load", "few.npz"), "net.head.bias: missing", 1)
holds("--partial is advised", run("torch", "--load", "few.npz"), "--partial takes those that fit", 1)
result("--partial", *begins("torch", few, "--load", "few.npz", "--partial"))

# ---- damaged and hostile archives: one clear error
np.savez_compressed("npz/theirs.npz", **plain)
good = open("npz/theirs.npz", "rb").read()


def hostile(name, raw, part):
    open("npz/theirs.npz", "wb").write(raw)
    code, text = run("stars", "--epochs", "0", "--out", "none.safetensors")
    result(name, code == 1 and part in text and text.count("error:") == 1 and not os.path.exists("none.safetensors"), text)


def archive(npy, method=zipfile.ZIP_STORED, name="a/weight:0.npy"):
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", method) as z:
        z.writestr(name, npy)
    return raw.getvalue()


def npy(header, data=b"", version=1):
    text = header.encode()
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text + data


def changed(raw, at, value):
    return raw[:at] + value + raw[at + len(value):]


central, end = good.index(b"PK\1\2"), good.rindex(b"PK\5\6")
head = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }"
hostile("cut off", good[:len(good) // 2], "has no directory")
hostile("empty", b"PK\3\4", "has no directory")
hostile("no member", b"PK\5\6" + bytes(18), "it has none")
hostile("a directory elsewhere", changed(good, end + 16, b"\xff\xff\xff\x7f"), "its directory lies outside")
hostile("more entries than room", changed(good, end + 10, b"\xff\xff"), "its directory")
hostile("a member elsewhere", changed(good, central + 42, b"\xff\xff\xff\x7f"), "is not where its directory says")
hostile("a member that is too long", changed(good, central + 20, b"\0\0\0\x70"), "claims more bytes than there are")
hostile("a bomb", changed(good, central + 24, b"\xff\xff\xff\x7f"), "can't be unpacked")
hostile("zip64", changed(good, central + 24, b"\xff\xff\xff\xff"), "larger than 4 GB")
hostile("encrypted", changed(good, central + 8, b"\1"), "is encrypted")
hostile("a wrong checksum", changed(good, central + 16, b"1234"), "its checksum is wrong")
hostile("another method", archive(npy(head % "2,"), zipfile.ZIP_LZMA), "packed in a way (14)")
hostile("no npy", archive(b"hello"), "is no .npy, or is cut off")
hostile("a header that is cut off", archive(b"\x93NUMPY\1\0\xff\xff{"), "is no .npy, or is cut off")
hostile("version 2", archive(npy(head % "2,", bytes(8), 2)), "no tensor is called")
hostile("no shape", archive(npy("{'descr': '<f4'}")), "lacks descr")
hostile("a shape that overflows", archive(npy(head % "4294967296, 4294967296, 4294967296")), "impossible shape")
hostile("nine axes", archive(npy(head % ("1, " * 9), bytes(4))), "impossible shape")
hostile("a negative axis", archive(npy(head % "-1,", bytes(4))), "impossible shape")
hostile("too few values", archive(npy(head % "3,", bytes(8))), "its shape and type need 12")
hostile("big-endian", archive(npy(head.replace("<f4", ">f4") % "2,", bytes(8))), "little-endian")
hostile("objects", archive(npy(head.replace("<f4", "|O") % "2,", bytes(8))), "elements of type '|O'")
state, sane = 7, 0
for _ in range(60):
    raw = bytearray(good)
    for _ in range(1 + state % 4):
        state = (state * 1103515245 + 12345) % 2 ** 31
        raw[(state >> 8) % len(raw)] = state >> 16 & 255
    open("npz/theirs.npz", "wb").write(raw)
    code, text = run("stars", "--epochs", "0", "--out", "some.safetensors")
    sane += code == 0 or (code == 1 and text.count("error:") == 1)
result("bytes changed at random", sane == 60, f"{60 - sane} of 60 ended otherwise")
