# Executables for every CPU level that this machine runs train to the same quality, under each back end.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
accuracy() { sed -n 's/.*"accuracy": *\([0-9.]*\).*/\1/p' | tail -1; }
for cpu in native x86-64-v2 x86-64-v3 x86-64-v4 all; do
  for blas in own openblas auto; do
    case "$cpu $blas" in "x86-64-v4 "*) grep -q avx512f /proc/cpuinfo || { echo "SKIP level $cpu $blas: no AVX-512 here"; continue; } ;; esac
    if ! "$NNC" examples/digits/digits.nn --cpu=$cpu --blas=$blas -o "$work/t" 2> "$work/err"; then
      echo "FAIL level $cpu $blas: compile: $(head -3 "$work/err")"
      continue
    fi
    "$work/t" --out "$work/w" > "$work/out" 2>&1
    got=$("$work/t" eval --load "$work/w" --log json 2>&1 | accuracy)
    if [ -n "$got" ] && [ "$(echo "$got >= 0.96" | bc -l 2>/dev/null || awk "BEGIN{print ($got >= 0.96)}")" = 1 ]; then
      echo "PASS level $cpu $blas accuracy $got"
    else echo "FAIL level $cpu $blas: accuracy '$got', $(tail -2 "$work/out")"; fi
  done
done
