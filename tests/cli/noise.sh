# The noise of GaussianNoise, GaussianDropout and AlphaDropout: mean and variance from 120,000 draws.
# What is reported is per example in training mode only, so the report is a mean there, too.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$NNC" tests/cli/noise.nn -o "$work/t" && "$work/t" --log json --out "$work/w" > "$work/log" 2> "$work/err"
grep step "$work/log" | tail -1 | tr ',' '\n' | tr -d '"{}' | awk -F: '
  BEGIN { want["m1"] = 1; want["v1"] = 0.25; want["m2"] = 2; want["v2"] = 1; want["m3"] = 0; want["v3"] = 1 }
  $1 in want { n++; d = $2 - want[$1]; if (d < -0.02 || d > 0.02) bad = bad " " $1 " is " $2 ", wanted " want[$1] }
  END { print bad == "" && n == 6 ? "PASS noise in training" : "FAIL noise in training: " n " figures;" bad }'
"$work/t" predict --count 1 --load "$work/w" --csv "$work/csv" > /dev/null 2>&1
if [ "$(sed -n 2p "$work/csv")" = "0,0" ]; then echo "PASS no noise in predict"
else echo "FAIL no noise in predict: $(sed -n 2p "$work/csv")"; fi
