# Rules 12, 24, 27: gradients of any order, at places where they are easily NaN, and of neighbours in the batch.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! "$NNC" tests/cli/gradients.nn -o "$work/t" 2> "$work/err"; then
  echo "FAIL gradients: compile: $(head -3 "$work/err")"
  exit 1
fi
"$work/t" --out "$work/w.safetensors" > "$work/out" 2>&1 || echo "FAIL gradients: train: $(tail -1 "$work/out")"

# check BLOCK VALUE...: all outputs of a predict block, row after row, to 1e-5
check() {
  block=$1
  shift
  if ! "$work/t" predict --load "$work/w.safetensors" --block "$block" --csv "$work/csv" > "$work/out" 2>&1; then
    echo "FAIL gradients $block: $(tail -2 "$work/out")"
    return
  fi
  awk -F, -v want="$*" -v block="$block" '
    BEGIN { n = split(want, value, " ") }
    NR > 1 {
      for (i = 2; i <= NF; i++) {
        d = $i - value[++k]
        if (!((d < 0 ? -d : d) <= 1e-5) || $i ~ /nan|inf/)
          wrong = wrong sprintf(" row %d, output %d is %s, wanted %s;", NR - 1, i - 1, $i, value[k])
      }
    }
    END {
      if (k != n) wrong = wrong sprintf(" %d values, wanted %d", k, n)
      print wrong == "" ? "PASS gradients " block : "FAIL gradients " block ":" wrong
    }' "$work/csv"
}

check Orders  0 -6 0  -2 6 24  20 42 48  90 102 72
check Mixed   0 0  2 2  4 4  6 6
check Norm    1.414214 -0.7071068 0.7071068 0.3535534  0 0 0 0  4.123106 0.2425356 -0.9701425 0.2282688 \
              3.605551 0.5547002 -0.8320503 0.1920116
check Sides   0.25 0.125 0 0.25  0.2886751 0.1666667 0 0.3333333  0 0 1 0  0 0 1 0
check Through 0 1 0 1 0 1  14 5 -30 2.9391577 2.5 1  14 1.25 1.25 2.0782983 1.7677670 1  14 0.5555556 0 1.6969235 1.4433757 1
check Tap     -55.59815 0 0 8  -8.389056 0 2 6  -1.049787 0 4 -2  -1.049787 0 6 0

# pair: (0*1 + 1*2 + 2*3 + 3*0) / 4; before: y two rows back, (-1*0 + 0*1 + 4*2 + 3*3) / 4;
# slope: of 4 (sum of x_i x_{i+1}) along x, twice the sum as it is of degree two: 2 * 4 * 8.
got=$("$work/t" eval --load "$work/w.safetensors" --log json 2> "$work/err" | tr ',{}' '\n\n\n' |
  grep -E '"(pair|before|slope)"' | tr '\n' ' ')
if [ "$got" = '"pair":2 "before":4.25 "slope":64 ' ]; then echo "PASS gradients neighbours in the batch"
else echo "FAIL gradients neighbours in the batch: $got $(tail -1 "$work/err")"; fi

# differences FILE N: those of N results to formulas, in double, are 0
differences() {
  "$NNC" eval "tests/cli/$1.nn" --batch=3 > "$work/out" 2>&1
  wrong=$(sed 's/^[^=]*= //' "$work/out" | tr ' ' '\n' | awk '!($1 < 1e-11 && $1 > -1e-11)' | head -3 | tr '\n' ' ')
  if [ "$(wc -l < "$work/out")" = "$2" ] && [ -z "$wrong" ]; then echo "PASS gradients $1"
  else echo "FAIL gradients $1: $wrong $(tail -1 "$work/out" | cut -c1-200)"; fi
}
differences scan-gradients 5
differences outer-gradients 7
