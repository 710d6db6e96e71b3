# Rule 16: names of parameters don't change when something is added elsewhere, or when their own part
# is used once more; `summary` marks those that are numbers alone. Rule 18: train blocks run in order and share parameters.
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# names FILE: the parameters of a program, as init returns them
names() {
  "$NNC" "$1" --emit=ir > "$work/ir" 2> "$work/err" || echo "it has errors: $(head -1 "$work/err")"
  sed -n '/^func @init/,/^}/p' "$work/ir" | grep -oE 'param [0-9]+ "[^"]*"' | cut -d'"' -f2 | sort
}
cat > "$work/before.nn" << 'PROGRAM'
use std.layers: Dense
layer Block(units: int)(x: f32[n]) -> f32[units] { x |> Dense(units) as squeeze |> Dense(units) }
let heads = for i in 0..2 { yield Dense(2) }
model Base(x: f32[3]) -> f32[2] {
    let first = Block(4)
    x |> first |> Dense(3) |> Block(2) as last
}
predict P(x: f32[3]) { (Base(x), heads[1](x)) }
PROGRAM
cat > "$work/after.nn" << 'PROGRAM'
// Edited: a comment, a layer before and one between, another model, another use of `first`.
use std.layers: Dense
layer Before(x: f32[n]) -> f32[n] { param gain: f32[n] = ones; gain * x }
layer Block(units: int)(x: f32[n]) -> f32[units] {
    let h = x |> Dense(units) as squeeze
    h |> Before |> Dense(units)
}
let extra = Dense(1)
let heads = for i in 0..3 { yield Dense(2) }
model Other(x: f32[3]) -> f32[2] { x |> Dense(3) |> Block(2) as last }
model Base(x: f32[3]) -> f32[2] {
    let scale = Before
    let first = Block(4)
    let twice = first(x) + first(2 * x)
    x |> scale |> first |> Dense(3) |> Block(2) as last
}
predict P(x: f32[3]) { (extra(x), Other(x), Base(x), heads[1](x), heads[2](x)) }
PROGRAM
names "$work/before.nn" > "$work/before"
names "$work/after.nn" > "$work/after"
want='Base.dense.bias Base.dense.weight Base.first.dense.bias Base.first.dense.weight Base.first.squeeze.bias
Base.first.squeeze.weight Base.last.dense.bias Base.last.dense.weight Base.last.squeeze.bias Base.last.squeeze.weight
heads.1.bias heads.1.weight'
if [ "$(echo $want | tr ' ' '\n')" = "$(cat "$work/before")" ]; then echo "PASS names follow the source"
else echo "FAIL names follow the source: $(tr '\n' ' ' < "$work/before")"; fi
gone=$(comm -23 "$work/before" "$work/after" | tr '\n' ' ')
if [ -z "$gone" ]; then echo "PASS names are stable under edits elsewhere"
else echo "FAIL names are stable under edits elsewhere: gone are $gone"; fi

cat > "$work/marked.nn" << 'PROGRAM'
use std.layers: Dense, Flatten
model Net(x: f32[2]) -> f32[2] {
    for i in 0..2 with h = x |> Dense(2) |> Flatten |> Dense(2) { h = h |> Dense(2) as block }
}
predict P(x: f32[2]) { Net(x) }
PROGRAM
if "$NNC" "$work/marked.nn" -o "$work/marked" 2> "$work/err" && "$work/marked" summary > "$work/summary"; then
  marked=$(grep -F ') *' "$work/summary" | awk '{ print $1 }' | tr '\n' ' ')
  listed=$(grep -oE 'Net\.[a-z_.0-9]+' "$work/summary" | tr '\n' ' ')
  if [ "$marked" = "Net.dense Net.dense_2 " ]; then echo "PASS summary marks numbered names"
  else echo "FAIL summary marks numbered names: $marked"; fi
  if [ "$listed" = "Net.dense Net.flatten Net.dense_2 Net.block.0 Net.block.1 " ]; then echo "PASS summary lists the parts"
  else echo "FAIL summary lists the parts: $listed"; fi
else echo "FAIL summary marks numbered names: $(head -3 "$work/err" | tr '\n' ' ')"
fi

cat > "$work/phases.nn" << 'PROGRAM'
data One { rows = [[1], [1]]; x: f32 = row[0] }
model Net(x: f32) -> f32 { param w: f32 = zeros; w * x }
train First on One { minimize (Net(x) - 1) ^ 2 with sgd(0.5); steps 1; batch 2 }
train Second on One { minimize (Net(x) - 3) ^ 2 with sgd(0.25 * step); steps 1; batch 2 }
predict Value on One { Net(x) }
PROGRAM
# w: 0, then 1 = 0 + 0.5 * 2 * 1, then 2 = 1 + 0.25 * 2 * 2; step is 1 in the second block again.
if ! "$NNC" "$work/phases.nn" -o "$work/phases" 2> "$work/err"; then
  echo "FAIL train blocks run in order: compile: $(head -3 "$work/err" | tr '\n' ' ')"
else
  (cd "$work" && ./phases train --out w.safetensors > out 2>&1 && ./phases predict --block Value --load w.safetensors) > "$work/value" 2>&1
  case $(tr '\n' ' ' < "$work/value") in
  'row 0: 2.0000 row 1: 2.0000 ') echo "PASS train blocks run in order and share parameters" ;;
  *) echo "FAIL train blocks run in order and share parameters: $(tr '\n' ' ' < "$work/value")" ;;
  esac
fi
