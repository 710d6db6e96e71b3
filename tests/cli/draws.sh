# Rule 7: a draw is the same number whatever is edited elsewhere, however the rows are cut into batches, on any
# number of threads, computed once or again; another seed, step or example gives another.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# program LAYERS_BEFORE LAYERS_AFTER: the noise of `hum` stands between them
program() {
  cat << END
use std.layers: Dense, Dropout
layer Noisy(x: f32[4]) -> f32[4] {
    $1
    let z = normal
    x + z + 0.5 * z * uniform
}
data Rows { rows = generated(32); x: f32[4] = row * 0.0 + [0.0, 1, 2, 3] }
model Net(x: f32[4]) -> f32[4] { param a: f32 = 1; $2 let hum = Noisy; a * hum(x) $3 }
train Fit on Rows {
    $4
    let jitter = uniform[]
    minimize mse(Net(x), x) + 0 * jitter with sgd(0.0)
    report level = sum(Net(x)), jitter = jitter
    batch 16; steps 2
}
predict Noise on Rows { Net(x) }
END
}

build() { # NAME, then what program takes
  name=$1
  shift
  program "$@" > "$work/$name.nn"
  if ! "$NNC" "$work/$name.nn" -o "$work/$name" 2> "$work/err"; then
    echo "FAIL draws: compile $name: $(head -3 "$work/err" | tr '\n' ' ')"
    exit 1
  fi
  "$work/$name" --out "$work/$name.w" --log plain > "$work/$name.train" 2>&1 || echo "FAIL draws: train $name"
}

# noise PROGRAM FLAG...: what predict says, to standard output
noise() {
  exe=$work/$1
  shift
  "$exe" predict --load "$exe.w" --csv "$work/csv" "$@" > "$work/out" 2>&1 || cat "$work/out"
  cut -d, -f2- "$work/csv"
}

# figures PROGRAM FLAG...: the averages of eval, each to 5 digits
figures() {
  exe=$work/$1
  shift
  "$exe" eval --load "$exe.w" --log json "$@" 2>&1 | tr ',{}' '\n\n\n' | grep -E '"(level|jitter)"' |
    awk -F: '{ printf "%s %.5g ", $1, $2 }'
}

same() { # NAME GOT WANTED
  if [ "$2" = "$3" ] && [ -n "$2" ]; then echo "PASS draws $1"; else echo "FAIL draws $1: $2 and $3"; fi
}

build plain "" "" "" ""
build edited 'let more = normal[2] |> sum' 'let y = x |> Dense(4) |> Dropout(0.5) |> Noisy;' '+ 0 * y' \
  'let other = uniform[] * normal[]; report other = other'

noise plain > "$work/plain.csv"
noise edited > "$work/edited.csv"
same "are named by their place: an edit elsewhere changes nothing" "$(cat "$work/edited.csv")" "$(cat "$work/plain.csv")"
same "of train formulas as well" "$(figures edited)" "$(figures plain)"
same "by row, not by batch" "$(noise plain --batch 5)" "$(cat "$work/plain.csv")"
same "in batches of 32 and twice 16" "$(figures plain --batch 32)" "$(figures plain --batch 16)"
same "on one thread" "$(noise plain --threads 1)" "$(cat "$work/plain.csv")"
rows=$(sed 1d "$work/plain.csv" | sort -u | wc -l)
same "differ from row to row" "$rows" 32
if [ "$(figures plain --seed 5)" != "$(figures plain --seed 6)" ]; then echo "PASS draws differ from seed to seed"
else echo "FAIL draws differ from seed to seed"; fi
