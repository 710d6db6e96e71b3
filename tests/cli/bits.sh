# Rule 7: the same seed gives the same bits: for 1, 2, 3, 5, 8 threads (oversubscribed too), for two runs,
# for batches of 1, 7, 32 and 33 rows, under each back end of products.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for blas in own openblas; do
  if ! "$NNC" tests/cli/bits.nn --blas=$blas -o "$work/t" 2> "$work/err"; then
    echo "FAIL bits $blas: compile: $(head -3 "$work/err")"
    continue
  fi
  for batch in 1 7 32 33; do
    want=
    for threads in 1 2 3 5 8 1; do
      if ! "$work/t" --data examples/digits --batch $batch --threads $threads --steps 40 --seed 5 --log plain \
        --out "$work/w" > "$work/out" 2>&1; then
        echo "FAIL bits $blas batch $batch threads $threads: $(tail -2 "$work/out")"
        continue
      fi
      got=$(cksum < "$work/w")
      [ -n "$want" ] || want=$got
      if [ "$got" = "$want" ]; then echo "PASS bits $blas batch $batch threads $threads"
      else echo "FAIL bits $blas batch $batch threads $threads: other weights than with 1 thread"; fi
    done
  done
done
