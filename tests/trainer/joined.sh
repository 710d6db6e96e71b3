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

cat > "$work/none.nn" << 'EOF'
data All { rows = generated(20); x: f32 = row }
data None from All { x: _; where x > 100 }
model M() -> f32 { param w: f32 = 0; w }
train A on None { minimize (M() - x) ^ 2; epochs 1 }
EOF
"$NNC" "$work/none.nn" -o "$work/none" && "$work/none" > "$work/log" 2>&1
equal "no rows left is an error" "$(grep -c 'where. leaves no rows' "$work/log")" "1"
