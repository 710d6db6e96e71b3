# Compile time and memory on generated programs: 5,000 lines are checked quickly, time is linear in
# the number of layers, equal layers share their kernels, any number of threads makes the same object.
# Limits are processor time, wide enough for a busy machine.
work=$BUILD/tests/log/speed-work
rm -rf "$work" && mkdir -p "$work" || exit 1
[ -z "$SAN" ] || { echo "SKIP speed: sanitizers"; exit 0; }
python3 - "$work" <<'PY'
import os, re, resource, subprocess, sys, time
nnc, work = os.environ["NNC"], os.path.abspath(sys.argv[1])

DATA = """use std.layers: Dense
data D {
    rows = generated(64)
    x: f32[32] = normal[32]
    y: f32 = x[0]
}
"""
TRAIN = """train M on D { minimize mse(M(x), y) with adam(0.001); batch 32; epochs 1 }
predict P on D { M(x) }
"""

def looped(n):
    return DATA + f"""model M(x: f32[32]) -> f32 {{
    let y = for i in 0..{n} with h = x {{ h = h |> Dense(32, activation = relu) }}
    y |> Dense(1)
}}
""" + TRAIN

def written(n):
    lines = "".join(f"    let h{i + 1} = h{i} |> Dense(32, activation = relu)\n" for i in range(n))
    return DATA + "model M(x: f32[32]) -> f32 {\n    let h0 = x\n" + lines + f"    h{n} |> Dense(1)\n}}\n" + TRAIN

def long(n):  # lines
    layers = (n - 20) // 9
    out = DATA
    for i in range(layers):
        out += f"""
/// Layer {i}.
layer Block{i}(units: int = 32)(x: f32[in]) -> f32[in] {{
    let a = x |> Dense(units, activation = relu)
    let c = tanh(a * 0.5) + select(a > 0, a, 0.1 * a)
    let d = sum(c * c) / (1 + mean(abs(c)))
    d * x
}}

"""
    chain = "".join(f"    |> Block{i}\n" for i in range(0, layers, 10))
    return out + "model M(x: f32[32]) -> f32 {\n    x\n" + chain + "    |> Dense(1)\n}\n" + TRAIN

def applied(n):  # layers of six lines, each applied
    out = DATA
    for i in range(n):
        out += f"""layer Block{i}(units: int = 32)(x: f32[in]) -> f32[in] {{
    let a = x |> Dense(units, activation = relu)
    let c = tanh(a * 0.5) + select(a > 0, a, 0.1 * a)
    c * x
}}

"""
    chain = "".join(f"    |> Block{i}\n" for i in range(n))
    return out + "model M(x: f32[32]) -> f32 {\n    x\n" + chain + "    |> Dense(1)\n}\n" + TRAIN

def run(name, text, *options, wrong=False):  # processor seconds, MB, output
    path = f"{work}/{name}.nn"
    if text:
        open(path, "w").write(text)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    p = subprocess.Popen([nnc, *options[:1], path, *options[1:]], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, cwd=work)
    out, err = p.communicate()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if p.returncode and not wrong:
        print(f"FAIL speed {name}: {err.strip().splitlines()[:2]}")
        sys.exit()
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, after.ru_maxrss / 1024, out

def verdict(name, ok, why):
    print(f"PASS speed {name}: {why}" if ok else f"FAIL speed {name}: {why}")

text = long(5000)
t, mb, _ = min(run("long", text, "check") for _ in range(3))
n = text.count("\n")
verdict("5,000 lines are checked", n >= 4900 and t < 0.5, f"{n} lines in {1e3 * t:.0f} ms")

# Lines of megabytes, and files of many declarations.
LONG = {
    "one line of numbers": (50000, lambda n: "const a = [" + ", ".join(["1"] * n) + "]\n"),
    "comments of C without end": (20000, lambda n: "/* a " * n + "\n"),
    "quotes without end": (20000, lambda n: 'a "b ' * n + "\n"),
    "declarations": (5000, lambda n: "".join(f"const a{i} = {i}\n" for i in range(n))),
    "applied layers": (200, applied),
    "calls": (5000, lambda n: "fn f(x: f32) -> f32 { x }\npredict P(x: f32) { sum([" + "f(x), " * n + "f(x)]) }\n"),
}
for kind, (n, make) in LONG.items():
    times = {k: min(run("long", make(k * n), "check", wrong=True)[0] for _ in range(2)) for k in (1, 4)}
    verdict(f"checking is linear in {kind}", times[4] < max(8 * times[1], 0.5),
            f"{n}: {1e3 * times[1]:.0f} ms, {4 * n}: {1e3 * times[4]:.0f} ms")

for kind, make in (("a loop", looped), ("lets", written)):
    times = {n: min(run(f"layers{n}", make(n), "--emit=schedule", "-o", "/dev/null")[0] for _ in range(2))
             for n in (100, 200, 400)}
    ratio = times[400] / times[100]
    verdict(f"passes are linear in layers of {kind}", ratio < 8,
            ", ".join(f"{n}: {1e3 * t:.0f} ms" for n, t in times.items()) + f", ratio {ratio:.1f} of 4")

def functions(n):
    out = run(f"kernels{n}", looped(n), "--emit=asm")[2]
    return len(re.findall(r"^\s*\.type\s+nnrt_k\d+_\w+,@function", out, re.M))
few, many = functions(4), functions(24)
verdict("24 equal layers make as many functions as 4", few == many, f"{few} and {many}")

for jobs in (1, 2, 5):
    run("jobs", looped(6), "--emit=obj", f"--jobs={jobs}", "-o", f"{work}/jobs{jobs}.o")
same = len({open(f"{work}/jobs{j}.o", "rb").read() for j in (1, 2, 5)}) == 1
verdict("objects are the same for 1, 2, 5 threads", same, "compared" if same else "they differ")
t, mb, _ = run("memory", looped(100), "--emit=obj", "-o", f"{work}/memory.o")
verdict("memory of 100 layers", mb < 500, f"{mb:.0f} MB")
PY
