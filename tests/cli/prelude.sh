# The prelude's functions on numbers whose results are known: at kinks, for scores of 1000, and the
# variance of initialisers. Training with them is compared with PyTorch in tests/torch.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! "$NNC" tests/cli/prelude.nn -o "$work/t" 2> "$work/err"; then
  echo "FAIL prelude: compile: $(head -3 "$work/err")"
  exit 1
fi

# check BLOCK TOLERANCE VALUE...: the outputs of a predict block, each to a part of max(1, |value|)
check() {
  block=$1 tolerance=$2
  shift 2
  if ! "$work/t" predict --block "$block" --count 1 --seed 7 --csv "$work/csv" > "$work/out" 2>&1; then
    echo "FAIL prelude $block: $(tail -2 "$work/out")"
    return
  fi
  awk -F, -v want="$*" -v tolerance="$tolerance" -v block="$block" '
    NR == 1 { split($0, name, ",") }
    NR == 2 {
      n = split(want, value, " ")
      if (n != NF - 1) { printf "FAIL prelude %s: %d values, wanted %d\n", block, NF - 1, n; exit }
      for (i = 1; i <= n; i++) {
        scale = value[i] < 0 ? -value[i] : value[i]
        if (scale < 1 && tolerance < 0.01) scale = 1
        d = $(i + 1) - value[i]
        if (!((d < 0 ? -d : d) <= tolerance * scale)) {
          printf "FAIL prelude %s: %s is %s, wanted %s\n", block, name[i + 1], $(i + 1), value[i]
          exit
        }
      }
      print "PASS prelude " block
    }' "$work/csv"
}

check Activations 1e-6 -0.2 0 3 -1.7293294 0 3 -1.5201665 0 3.1521030 -0.0455003 0 2.9959502 \
  -0.2384058 0 2.8577224 0 0 1 -2 0 3 0 0.4 1
check Softmax 1e-6 0.7310586 0.2689414 0 -0.3132617 -1.3132617 -1000.3132617
check Losses 1e-6 4.3333333 1.6666667 1.3333333 2 0.75 1000 0.6931472 1.3862944 1.3862944 \
  1000 0.6931472 1.3862944
check Metrics 0 1 0 1 1 0 0.75 0
# Limits sqrt(6/500), sqrt(6/200); variances 2/500, 2/200, 1/200, estimated from 60,000 draws.
check Initialisers 0.03 0.1095445 0.004 0.004 0.1732051 0.01 0.01 0.005 1
check Schedules 1e-6 1 1 0.1 0.1 0.01 0.01  0 0.25 0.5 0.75 1 1  1 0.8535534 0.5 0.1464466 0 0 \
  1 0.8828427 0.6 0.3171573 0.2 0.2  1 0.8535534 0.5 0.1464466 1 0.8535534  1 0.5 0.25 0.125 0.0625 0.03125 \
  1 1 0.25 0.25 0.0625 0.0625  1 0.5625 0.25 0.0625 0 0  1 0.8 0.6 0.4 0.2 0.2 \
  1 0.8 0.6666667 0.5714286 0.5 0.4444444  0.04 0.9944154 0.8117456 0.4626370 0.1334775 0.000004
check Scaling 1e-6 -1.5 0.5 -0.5 0.5 0.5 0.5 0 -1.6094379
check Orthogonal 1e-5 0 0 0 0 0 1
# The variance of a standard normal cut at 2 is 0.7737413; then 1/200, 2/360, 2/810, 1/200, 3/300, 2/500.
check Sizes 1e-6 0 0.5 1.5 2 4 4.5 5.5 6 1 1 2 3 4
check Variances 0.03 0.7737413 2 1 0.1934353 0.005 0.0055556 0.0024691 0.005 0.01 0.004 1 0.5
