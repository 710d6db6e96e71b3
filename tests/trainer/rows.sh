#!/bin/sh
# State with one value per row of the batch (rule 25): order, full batches, a new beginning in each epoch; with
# accumulated gradients, without data, with a value that is the same for all rows.
work=$BUILD/tests/log/rows
rm -rf "$work" && mkdir -p "$work" || exit 1

trained() { # trained NAME FLAGS < PROGRAM: its output as lines joined by |
  cat > "$work/$1.nn"
  "$NNC" "$work/$1.nn" -o "$work/$1" > "$work/$1.log" 2>&1 || { head -3 "$work/$1.log"; return; }
  name=$1
  shift
  (cd "$work" && ./"$name" "$@" --out "$name.safetensors") > "$work/$name.out" 2>&1
}
figures() { # figures NAME FIGURE: its values in the order printed by --log json
  grep -o "\"step\":[0-9]*.*\"$2\":[-0-9.e+]*" "$work/$1.out" | sed "s/.*\"$2\"://" | paste -sd' ' -
}
equal() { # equal WHAT GOT WANTED
  if [ "$2" = "$3" ]; then echo "PASS rows/$1"; else echo "FAIL rows/$1: $2, should be $3"; fi
}

sums='layer Sum(x: f32) -> f32 {
    state kept: f32 = per_row(constant(10))
    param w: f32 = ones
    let sum = kept + x
    kept = sum
    sum * w
}
model Net(x: f32) -> f32 { Sum(x) }
train Fit on Numbers { let s = Net(x); minimize s with sgd(0.0); log every(1)'
numbers='data Numbers { rows = generated(11); x: f32 = row }'

# Batches {0, 1, 2, 3} and {4, 5, 6, 7}; 8, 9, 10 are left out.
trained sums --log json << EOF
$numbers
$sums; batch 4; epochs 2 }
predict P on Numbers { Net(x) }
EOF
equal "rows go on in the order of the data, each epoch anew" "$(figures sums loss)" "11.5 17 14.25 11.5 17 14.25"
trained plain --log plain << EOF
$numbers
$sums; batch 4; epochs 1 }
EOF
case "$(cat "$work/plain.out")" in
*"note: Fit keeps state for each of the 4 rows of a batch (Net.sum.kept)"*"the last 3 of 11 rows"*"left out"*)
  echo "PASS rows/a note says what it means" ;;
*) echo "FAIL rows/a note says what it means: $(cat "$work/plain.log" "$work/plain.out" | head -2)" ;;
esac
equal "predict begins with the initial value" \
  "$(cd "$work" && ./sums predict --load sums.safetensors --log json | tail -1)" '{"row":10,"P":20}'
case "$(cd "$work" && ./sums gradcheck 2>&1)" in
*"all gradients agree"*) echo "PASS rows/gradcheck" ;;
*) echo "FAIL rows/gradcheck: $(cd "$work" && ./sums gradcheck 2>&1)" ;;
esac
(cd "$work" && ./sums profile) > "$work/profile.out" 2>&1 && echo "PASS rows/profile" || echo "FAIL rows/profile"

# One batch of 11, and batches of 2 of which every second one makes an update.
(cd "$work" && ./sums --log json --batch 100 --out whole.safetensors) > "$work/whole.out" 2>&1
equal "a batch larger than the data is the data" "$(figures whole loss)" "15 15 15 15"
trained parts --log json << EOF
$numbers
$sums; batch 2; accumulate 2; epochs 1 }
EOF
equal "batches of one update go on too" "$(grep -o '"epoch":1.*' "$work/parts.out" | sed 's/.*"loss"://; s/,.*//; s/}.*//')" "19.5"

# Draws for data: rows of zeros, counted.
trained counts --log json << 'EOF'
layer Count(x: f32) -> f32 {
    state n: f32 = per_row(zeros)
    param w: f32 = ones
    let next = n + 1
    n = next
    next * w + 0 * x
}
model Net(x: f32) -> f32 { Count(x) }
train Fit { let z = normal[]; let c = Net(z); minimize c with sgd(0.0); batch 3; steps 4; log every(1) }
EOF
equal "without data it goes on to the end" "$(figures counts loss | cut -d' ' -f1-4)" "1 2 3 4"

# What is assigned may be the same for all rows.
trained constant --log json << EOF
$numbers
layer Last(x: f32) -> f32 {
    state kept: f32 = per_row(zeros)
    param w: f32 = ones
    let y = kept * w + 0 * x
    kept = 7.0
    y
}
model Net(x: f32) -> f32 { Last(x) }
train Fit on Numbers { let s = Net(x); minimize s with sgd(0.0); batch 5; epochs 1; log every(1) }
EOF
equal "an unbatched value is one for each row" "$(figures constant loss | cut -d' ' -f1-2)" "0 7"
