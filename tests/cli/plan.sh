#!/bin/sh
# --emit=plan for two numbers of rows, against tests/cli/plan.out: launches by phase, buffers, the peak.
program=tests/count/a-training-step-of-a-perceptron-is-twelve-launches.nn
expected=tests/cli/plan.out
got=${BUILD:-build}/tests/log/plan.got
mkdir -p "$(dirname "$got")"
for rows in 2 33; do
  "$NNC" $program --emit=plan --batch=$rows | sed -n '/^step/,/^$/p' || exit 1
done > "$got" 2>&1
[ -n "$BLESS" ] && cp "$got" $expected
if diff -u $expected "$got"; then echo "PASS cli/plan text"; else echo "FAIL cli/plan text: differs"; fi

# The peak is where the last buffer ends, rounded up, and its slack.
awk '/rows:/ { rows = $3 } / peak / { gsub(",", ""); peak = $2; most = 0 }
  / arena / { gsub(",", ""); for (i = 1; i < NF; i++) { if ($i == "bytes") n = $(i + 1); if ($i == "at") at = $(i + 1) }
    end = at + int((n + 63) / 64) * 64 + 64; if (end > most) most = end }
  /^$/ { if (most == peak && peak > 0) print "PASS cli/plan peak for " rows
         else print "FAIL cli/plan peak for " rows ": " peak ", the last buffer ends at " most }' "$got"

# In a loop, a piece of a sequence is a slice of the whole one.
loop=tests/count/an-lstm-has-one-product-for-all-inputs-and-one-for-each-weight.nn
slices=$("$NNC" $loop --emit=plan | grep -cE '^  [^ ]+ +slice    bytes [0-9,]+ of [^ ]+$')
if [ "$slices" -gt 0 ]; then echo "PASS cli/plan slices"; else echo "FAIL cli/plan slices: none"; fi
