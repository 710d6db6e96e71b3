# Plain gradient descent of a large table touches only the rows that occur: they become what an update of the
# whole of a small table makes of them, the others keep their numbers, and threads make no difference.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
numbers() { tail -c $(($2 * 8)) "$work/$1" | od -An -v -w4 -tf4; } # the last rows of two, which are all, of weights
for words in 100 50000; do
  sed "s/WORDS/$words/" tests/cli/rows.nn > "$work/rows.nn"
  if ! "$NNC" "$work/rows.nn" -o "$work/t" 2> "$work/err"; then
    echo "FAIL rows $words: compile: $(head -3 "$work/err")"
    exit
  fi
  for threads in 1 2 5; do
    "$work/t" --threads $threads --seed 5 --log plain --out "$work/$words.$threads" > /dev/null 2>&1
    if cmp -s "$work/$words.1" "$work/$words.$threads"; then echo "PASS rows $words threads $threads"
    else echo "FAIL rows $words threads $threads: other weights than with 1 thread"; fi
  done
done
numbers 100.1 100 > "$work/small"
numbers 50000.1 50000 > "$work/large"
wrong=$(paste "$work/small" "$work/large" | awk '
  NR <= 200 { d = $1 - $2; if (d > 1e-6 || d < -1e-6) wrong++; if ($1 != 0.5) moved++ }
  NR > 200 && $1 != 0.5 { wrong++ }
  END { if (NR != 100000 || wrong || moved < 150) print NR " numbers, " moved + 0 " moved, " wrong + 0 " wrong" }')
if [ -z "$wrong" ]; then echo "PASS rows that occur"; else echo "FAIL rows that occur: $wrong"; fi
