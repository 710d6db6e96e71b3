#!/bin/sh
# Rule 31: figures that are formulas of totals, against their formulas over all rows as predict gives
# them; in eval, training, history, stop, keep, steps and folds.
work=$BUILD/tests/log/totals
rm -rf "$work" && mkdir -p "$work" || exit 1
equal() { # equal WHAT GOT WANTED
  if [ "$2" = "$3" ]; then echo "PASS totals/$1"; else echo "FAIL totals/$1: $2, should be $3"; fi
}

cat > "$work/t.nn" << 'EOF'
use std.layers: Dense
data D {
    rows = generated(1000)
    x: f32[3] = normal
    y: f32 = x[0] * 2 + x[1] + 0.3 * normal + 1
    let noise: f32 = normal
    t: f32 = select(x[0] + noise > 0.5, 1.0, 0.0)
    c: index<3> = argmax(x)
    validate = last(300)
}
model M(x: f32[3]) -> f32 { x |> Dense(1) }
model C(x: f32[3]) -> f32 { x |> Dense(1) }
model K(x: f32[3]) -> f32[3] { x |> Dense(3) }
config half = 0.5
train A on D {
    step numbers {
        minimize mse(M(x), y) over M with adam(0.02)
        report   r2(M(x), y), rmse(M(x), y), seen = total(1) * 2 * half
    }
    step classes {
        minimize bce(C(x), t) + cross_entropy(K(x), c) over C, K
        report   precision(C(x), t), recall(C(x), t), f1(C(x), t), auc(C(x), t), macro_f1(K(x), c)
    }
    batch 64; epochs 40
    keep best(val.numbers.r2)
    stop when val.numbers.r2 > 0.9
}
predict P on D { (M(x), y, C(x), t, K(x), c) }
EOF
if ! "$NNC" "$work/t.nn" -o "$work/t" > "$work/log" 2>&1 ||
  ! "$work/t" --out "$work/t.safetensors" --log json --history "$work/history.csv" > "$work/train.json" 2> "$work/log" ||
  ! "$work/t" eval --load "$work/t.safetensors" --log json > "$work/eval.json" 2> "$work/log" ||
  ! "$work/t" predict --load "$work/t.safetensors" --csv "$work/p.csv" > "$work/log" 2>&1; then
  echo "FAIL totals: $(head -2 "$work/log" | tr '\n' ' ')"
  exit 0
fi

python3 - "$work" << 'EOF'
import csv, json, sys
work = sys.argv[1]
rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(open(work + "/p.csv"))]
found = json.load(open(work + "/eval.json"))
y, m = [r["y"] for r in rows], [r["M"] for r in rows]
t, s = [r["t"] for r in rows], [r["C"] for r in rows]
k = [max(range(3), key=lambda j: r[f"K_{j}"]) for r in rows]
c = [r["c"] for r in rows]
error, mean = sum((a - b) ** 2 for a, b in zip(m, y)), sum(y) / len(y)
right = sum(a > 0 and b == 1 for a, b in zip(s, t))
taken, true = sum(a > 0 for a in s), sum(t)
def f1(j):
    return 2 * sum(a == j == b for a, b in zip(k, c)) / max(sum(a == j for a in k) + sum(b == j for b in c), 1)
yes, no = [a for a, b in zip(s, t) if b], [a for a, b in zip(s, t) if not b]
wanted = {
    "numbers.r2": 1 - error / sum((b - mean) ** 2 for b in y), "numbers.rmse": (error / len(y)) ** 0.5,
    "numbers.seen": 300, "classes.precision": right / taken, "classes.recall": right / true,
    "classes.f1": 2 * right / (taken + true), "classes.macro_f1": sum(map(f1, range(3))) / 3,
    "classes.auc": sum((a > b) + (a == b) / 2 for a in yes for b in no) / len(yes) / len(no),
}
for name, value in wanted.items():
    bound = 2e-3 if "auc" in name else 1e-5  # 200 thresholds
    good = abs(found[name] - value) <= bound * max(1, abs(value))
    print(("PASS" if good else "FAIL") + f" totals/{name} is its formula over all rows" + ("" if good else f": {found[name]}, should be {value}"))

epochs = [e for e in map(json.loads, open(work + "/train.json")) if "epoch" in e]
history = list(csv.DictReader(open(work + "/history.csv")))
def check(name, good, why=""):
    print(("PASS" if good else "FAIL") + f" totals/{name}" + ("" if good else f": {why}"))
check("training rows have their own", all(e["numbers.seen"] == 700 and e["val_numbers.seen"] == 300 for e in epochs), epochs[-1])
check("the history holds them", abs(float(history[-1]["val_classes.f1"]) - epochs[-1]["val_classes.f1"]) < 1e-6, history[-1])
r2 = [e["val_numbers.r2"] for e in epochs]
check("stop when reads them", r2[-1] > 0.9 and max(r2[:-1]) <= 0.9, r2)
check("keep best reads them", abs(found["numbers.r2"] - max(r2)) < 1e-5, found["numbers.r2"])
EOF

# Of folds; a repeated step counts its rows each time, log lines have them too.
cat > "$work/f.nn" << 'EOF'
data D { rows = generated(40); let u = uniform; x: f32 = u; y: f32 = 2 * u; validate = kfold(4) }
model M(x: f32) -> f32 { param w: f32 = 0; w * x }
train A on D {
    step fit { minimize mse(M(x), y) with sgd(0.01); report n = total(1.0); repeat 2 }
    report m = total(x) / total(1)
    batch 10; epochs 1; log every(1)
}
EOF
"$NNC" "$work/f.nn" -o "$work/f" > "$work/log" 2>&1 &&
  "$work/f" --out "$work/f.safetensors" --log json > "$work/f.json" 2> "$work/log" || echo "FAIL totals/folds: $(head -2 "$work/log")"
equal "each fold has its own" "$(sed -n 's/^{"fold":.*"val_fit.n":\([0-9]*\).*/\1/p' "$work/f.json" | paste -sd' ' -)" "10 10 10 10"
equal "a repeated step counts twice" "$(sed -n 's/^{"epoch":.*"fit.n":\([0-9]*\).*/\1/p' "$work/f.json")" "80"
equal "log lines have them" "$(sed -n 's/^{"step":.*"fit.n":\([0-9]*\).*/\1/p' "$work/f.json" | paste -sd' ' -)" "20 20 20 20"
