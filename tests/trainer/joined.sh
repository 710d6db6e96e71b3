#!/bin/sh
# Rules 18, 33: data joined and chosen: which rows, in what order, with the weights of which moment.
work=$BUILD/tests/log/joined
rm -rf "$work" && mkdir -p "$work" || exit 1
equal() { # equal WHAT GOT WANTED
  if [ "$2" = "$3" ]; then echo "PASS joined/$1"; else echo "FAIL joined/$1: $2, should be $3"; fi
}
value() { sed -n "s/^{.*\"block\":\"$1\",\"epoch\":1,.*\"$2\":\([-0-9.e]*\).*/\1/p" "$work/t.json"; }

cat > "$work/t.nn" << 'EOF'
data All { rows = generated(20); x: f32 = row; even: f32 = select(row % 2 == 0, 1.0, 0.0); validate = last(4) }
data Other { rows = [[100, 7, 1], [200, 8, 0]]; x: f32 = row[0]; even: f32 = row[2]; more: f32 = row[1] }
model M() -> f32 { param w: f32 = 0; w }
data Few from All { x: _; even: _; take = first(6) }
data Even from All {
    let here = M() + 0 * x
    x: _
    even: _
    seen: f32 = here
    where (x < 10 or x > 15) and even > 0.5
}
data Union = Few + Even + Other
data Again = Union + Union
train Before on Even { minimize (M() - x) ^ 2 with sgd(0.0); report n = total(1), sum = total(x), seen = total(seen); epochs 1 }
train Moves on All { minimize (M() - 3) ^ 2 + 0 * x with sgd(0.5); batch 16; epochs 1 }
train After on Even { minimize (M() - x) ^ 2 with sgd(0.0); report n = total(1), seen = total(seen); batch 2; epochs 1 }
train All on Union { minimize (M() - x) ^ 2 with sgd(0.0); report n = total(1), sum = total(x), even = total(even); epochs 1 }
train Twice on Again { minimize (M() - x) ^ 2 with sgd(0.0); report n = total(1), sum = total(x); epochs 1 }
EOF
if ! "$NNC" "$work/t.nn" -o "$work/t" > "$work/log" 2>&1 ||
  ! "$work/t" --log json --out "$work/w" > "$work/t.json" 2> "$work/log"; then
  echo "FAIL joined: $(head -3 "$work/log" | tr '\n' ' ')"
  exit 0
fi
equal "where chooses rows" "$(value Before n) $(value Before sum)" "5 20"
equal "and validation rows" "$(value Before val_n)" "2"
equal "computed before any training" "$(value Before seen)" "0"
equal "computed again with the weights of the moment" "$(value After seen)" "15"
equal "rows of all parts" "$(value All n) $(value All sum) $(value All even)" "13 335 9"
equal "parts may be joined themselves" "$(value Twice n) $(value Twice sum)" "26 670"
equal "validation rows are those of the first" "$(value All val_n) $(value All val_sum)" "4 70"
"$work/t" eval --load "$work/w" --block All --split train --log json > "$work/eval.json" 2>&1
equal "eval computes them too" "$(sed -n 's/.*"sum":\([0-9]*\).*/\1/p' "$work/eval.json")" "335"

# ---- folds (rule 20), fitted transforms (rule 19), predict, data from computed data, kept data
cat > "$work/more.nn" << 'EOF'
data All {
    rows = generated(20)
    x: f32 = row
    scaled: f32 = x |> standardize
    even: f32 = select(row % 2 == 0, 1.0, 0.0)
    validate = kfold(4)
}
data Plain { rows = generated(3); y: f32 = row }
model M() -> f32 { param w: f32 = 0; w }
data Few from All { x: _; scaled: _; even: _; take = first(6) }
data Rest from All { x: _; scaled: _; even: _; take = rest(6); let (a, _, b) = (x, 7, x + 1) }
data Even from Rest { x: _; scaled: _; even: _; sum: f32 = a + b; where even > 0.5 }
data Union = Few + Even
data Again from Union { x: _; z: f32 = x |> standardize; where x < 18 }
data Kept from All { x: _; seen: f32 = M() + 0 * x; cache = true }
train A on Union { minimize (M() - x) ^ 2 with sgd(0.0); report n = total(1), sum = total(x); epochs 1 }
train B on Again { minimize (M() - x) ^ 2 with sgd(0.0); report n = total(1), z = total(z); epochs 1 }
train C on Kept { minimize (M() - x) ^ 2 with sgd(0.5); report n = total(1), seen = total(seen); batch 20; epochs 2 }
train D on Plain { minimize M() ^ 2 + 0 * y; report n = total(1); epochs 1 }
predict P on Again { (x, z) }
predict Q on Even { (x, sum, unscaled(scaled, scaled)) }
EOF
"$NNC" "$work/more.nn" -o "$work/more" > "$work/log" 2>&1 || head -3 "$work/log"
"$work/more" --log plain --out "$work/w" > "$work/more.out" 2>&1
lines() { grep "$1" "$work/more.out" | sed "$2" | paste -sd' ' -; } # lines PATTERN SCRIPT
equal "each fold of the parts validates once" "$(lines '^fold .*  A' 's/.*val_n \([0-9]*\).*/\1/')" "5 5 5 5"
equal "all rows do" "$(lines '^4 folds  A' 's/.*val_sum \([0-9.]*\).*/\1/')" "47.500"
equal "the last run has the rows of all parts" "$(lines '^epoch 1/1.*sum' 's/.*  n \([0-9.]*\)  sum \([0-9.]*\).*/\1 \2/')" "13.000 99.000"
equal "kept data are computed once" "$(lines '^epoch 2/2' 's/.*  n \([0-9.]*\)  seen \([0-9.]*\).*/\1 \2/')" "20.000 0.0000"
equal "data without folds train beside those with" "$(grep -c '^4 folds  D' "$work/more.out") $(lines '^epoch 1/1.*n 3' 's/.*  n \([0-9.]*\).*/\1/')" "0 3.0000"
shown() { # shown BLOCK
  "$work/more" predict --load "$work/w" --block "$1" --split train --log json 2>&1 | head -2 | paste -sd'|' -
}
equal "predict computes the rows; scalers of data from computed data" "$(shown P)" \
  '{"row":0,"x":0,"z":-1.33808219}|{"row":1,"x":1,"z":-1.1623745}'
equal "scalers of the parts; names of a tuple" "$(shown Q)" \
  '{"row":0,"x":6,"sum":13,"unscaled":6}|{"row":1,"x":8,"sum":17,"unscaled":8}'
"$work/more" gradcheck > "$work/log" 2>&1
equal "gradcheck" "$(grep -c 'all gradients agree' "$work/log")" "3"
"$work/more" profile > "$work/log" 2>&1
equal "profile" "$?" "0"

cat > "$work/none.nn" << 'EOF'
data All { rows = generated(20); x: f32 = row }
data None from All { x: _; where x > 100 }
model M() -> f32 { param w: f32 = 0; w }
train A on None { minimize (M() - x) ^ 2; epochs 1 }
EOF
"$NNC" "$work/none.nn" -o "$work/none" && "$work/none" > "$work/log" 2>&1
equal "no rows left is an error" "$(grep -c 'where. leaves no rows' "$work/log")" "1"
