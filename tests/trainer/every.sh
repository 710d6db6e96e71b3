#!/bin/sh
# Rule 31: reports of every few epochs: left out of the steps, computed after the epoch, in evaluation mode.
work=$BUILD/tests/log/every
rm -rf "$work" && mkdir -p "$work" || exit 1
equal() { # equal WHAT GOT WANTED
  if [ "$2" = "$3" ]; then echo "PASS every/$1"; else echo "FAIL every/$1: $2, should be $3"; fi
}
values() { sed -n "s/^{\"epoch\":\([0-9]*\).*\"$1\":\([-0-9.e]*\).*/\1:\2/p" "$work/t.json" | paste -sd' ' -; }

cat > "$work/t.nn" << 'EOF'
use std.layers: Dropout
const pause = 3
data D { rows = generated(20); let u = uniform; x: f32 = u; validate = last(5) }
model M(x: f32) -> f32 { param w: f32 = 0.0; w * (1 + 0 * x |> Dropout(0.5)) }
train A on D {
    minimize (M(x) - 7) ^ 2 with sgd(0.01)
    report   w = M(x), n = total(1) every pause epochs
    report   always = M(x)
    batch 4; epochs 7; log every(2)
    keep best(val.n)
    stop when val.w > 100 or stalled(w, 50)
}
EOF
if ! "$NNC" "$work/t.nn" -o "$work/t" > "$work/log" 2>&1 || ! "$work/t" --log json --history "$work/h.csv" \
  --out "$work/t.safetensors" > "$work/t.json" 2> "$work/log"; then
  echo "FAIL every: $(head -2 "$work/log" | tr '\n' ' ')"
  exit 0
fi
equal "each third epoch has them, of its training rows" "$(values n)" "3:15 6:15"
equal "of its validation rows too" "$(values val_n)" "3:5 6:5"
equal "they are of the weights after the epoch" "$(values w)" "$(values val_always | tr ' ' '\n' | sed -n '3p;6p' | paste -sd' ' -)"
equal "log lines don't have them" "$(grep '"step"' "$work/t.json" | grep -v epoch | grep -c '"w"')" "0"
equal "the history leaves its cell empty" "$(cut -d, -f6,7 "$work/h.csv" | sed -n '3p;5p' | paste -sd' ' -)" ", ,"
equal "keep best looks at those epochs only" "$(sed -n 's/^{"kept_epoch":\([0-9]*\).*/\1/p' "$work/t.json")" "3"
equal "eval has them" "$("$work/t" eval --load "$work/t.safetensors" --log json | sed -n 's/.*"n":\([0-9]*\).*/\1/p')" "5"
