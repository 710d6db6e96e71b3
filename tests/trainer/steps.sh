#!/bin/sh
# Train blocks of several steps, run: order, repetition, counters, draws, reports, stop, fresh optimizers.
work=$BUILD/tests/log/steps
rm -rf "$work" && mkdir -p "$work" || exit 1

# ran NAME FLAGS < PROGRAM: compiles and trains it; $work/NAME.json: a line per epoch
ran() {
  name=$1
  shift
  cat > "$work/$name.nn"
  if ! "$NNC" "$work/$name.nn" -o "$work/$name" > "$work/$name.log" 2>&1 ||
    ! "$work/$name" --log json --out "$work/$name.safetensors" "$@" > "$work/$name.json" 2> "$work/$name.log"; then
    echo "FAIL steps/$name: $(head -2 "$work/$name.log" | tr '\n' ' ')"
  fi
}
# figures NAME FIGURE: its values, a line per epoch, on one line
figures() { sed -n "s/.*\"$2\":\([-0-9.eE+]*\).*/\1/p" "$work/$1.json" | paste -sd' ' -; }
equal() { # equal WHAT GOT WANTED
  if [ "$2" = "$3" ]; then echo "PASS steps/$1"; else echo "FAIL steps/$1: $2, should be $3"; fi
}
differ() {
  if [ -n "$2" ] && [ "$2" != "$3" ]; then echo "PASS steps/$1"; else echo "FAIL steps/$1: both are $2"; fi
}

# Rule 8: in source order, each with the parameters of its moment; reports from before their step's
# update, those of the block from before the first step; `repeat`. A is what five updates a turn made.
ran order --steps 3 << 'EOF'
model A() -> f32 { param w: f32 = zeros; w }
model B() -> f32 { param w: f32 = zeros; w }
train T {
    let a = A()
    report before = a
    step up { maximize a over A with sgd(1.0); repeat 5; report w = a }
    step follow { minimize (B() - a) ^ 2 over B with sgd(0.5); report a = a, b = B() }
    steps 3; log every(1)
}
EOF
equal "the block's report is from before the first step" "$(sed -n 's/^{"step".*"before":\([0-9.]*\).*/\1/p' "$work/order.json" | paste -sd' ' -)" "0 5 10"
equal "a repeated step reports its last update" "$(sed -n 's/^{"step".*"up.w":\([0-9.]*\).*/\1/p' "$work/order.json" | paste -sd' ' -)" "4 9 14"
equal "a later step sees what the earlier made" "$(sed -n 's/^{"step".*"follow.a":\([0-9.]*\).*/\1/p' "$work/order.json" | paste -sd' ' -)" "5 10 15"
equal "a report is from before its step's update" "$(sed -n 's/^{"step".*"follow.b":\([0-9.]*\).*/\1/p' "$work/order.json" | paste -sd' ' -)" "0 5 10"
equal "maximize is reported as written" "$(sed -n 's/^{"step".*"up.loss":\([0-9.]*\).*/\1/p' "$work/order.json" | paste -sd' ' -)" "4 9 14"

# Rule 29: `step` counts the updates of its own optimizer, also in a schedule and in a train-level let.
# 1 + 2 + ... + 6 and 1 + 2.
ran counters << 'EOF'
model A() -> f32 { param w: f32 = zeros; w }
model B() -> f32 { param w: f32 = zeros; w }
train T {
    let rate = step
    step often { maximize A() over A with sgd(rate); repeat 3 }
    step once { maximize B() over B with sgd(step) }
    steps 2; log every(1)
}
train Look { minimize A() + B() with sgd(0.0); report a = A(), b = B(); steps 1 }
EOF
equal "step counts an optimizer's updates" "$(figures counters a) $(figures counters b)" "21 3"

# Rule 25: a report that applies a layer with a state shows it, from before the step, and leaves it.
ran state << 'EOF'
layer Counted()(x: f32) -> f32 { param w: f32 = zeros; state n: f32 = zeros; n = n + 1; w * x + n }
model M(x: f32) -> f32 { x |> Counted() }
train T { minimize M(1.0) with sgd(1.0); report n = M(0.0); steps 4; log every(1) }
EOF
equal "a state advances once in a step, not where it is reported" "$(figures state n)" "1 2 3 4 4"

# Rule 7: a let above the steps is the same draw in both; in a repeated step its own are fresh each time.
ran draws --epochs 2 << 'EOF'
data P { rows = generated(8); x: f32 = row }
model A() -> f32 { param w: f32 = ones; w }
model B() -> f32 { param w: f32 = ones; w }
train T on P {
    let z = normal[]
    step one { let n = normal[]; minimize (A() - x) ^ 2 over A with sgd(0.001); report z = z, n = n }
    step two { let n = normal[]; minimize (B() - x) ^ 2 over B with sgd(0.001); report z = z, n = n; repeat 4 }
    batch 8; epochs 2
}
EOF
equal "a let above the steps is one draw" "$(figures draws one.z)" "$(figures draws two.z)"
differ "two occurrences are two draws" "$(figures draws one.n)" "$(figures draws two.n)"
differ "an iteration draws anew" "$(figures draws one.z | cut -d' ' -f1)" "$(figures draws one.z | cut -d' ' -f2)"
# Fresh each time: the mean of four draws of eight examples is not the mean of the first eight.
sed 's/repeat 4/repeat 1/' "$work/draws.nn" > "$work/once.txt"
ran once --epochs 2 < "$work/once.txt"
differ "a repeated step draws fresh" "$(figures draws two.n | cut -d' ' -f1)" "$(figures once two.n | cut -d' ' -f1)"
equal "an unrelated edit leaves the draws" "$(figures draws one.n)" "$(figures once one.n)"

# Rule 18: blocks in source order share parameters; each starts with a fresh optimizer.
ran blocks << 'EOF'
model A() -> f32 { param w: f32 = zeros; w }
train One { maximize A() with sgd(1.0, momentum = 0.9); report w = A(); steps 2; log every(1) }
train Two { maximize A() with sgd(1.0, momentum = 0.9); report w = A(); steps 2; log every(1) }
EOF
# 0, 1, then 1 + 1.9; with the old speed the fourth would be 2.9 + 2.71
equal "each block has a fresh optimizer" "$(sed -n 's/.*"block":"\(...\)","step".*"w":\([0-9.]*\).*/\1 \2/p' "$work/blocks.json" | cut -c1-7 | paste -sd' ' -)" "One 0 One 1 Two 2.9 Two 3.9"

# Stop conditions name a step's figures; what is maximized stalls when it no longer rises.
ran stop << 'EOF'
data P { rows = generated(8); x: f32 = 1; validate = last(2) }
model A(x: f32) -> f32 { param w: f32 = zeros; w * x }
train T on P {
    step climb { maximize min(A(x), 3) over A with sgd(1.0) }
    step rest { minimize A(x) ^ 2 over A with sgd(0.0) }
    batch 6; epochs 50
    stop when stalled(val.climb.loss, 2) or rest.loss > 1000
}
EOF
equal "stop when a maximized figure stalls" "$(figures stop epoch | wc -w | tr -d ' ') $(figures stop val_climb.loss)" "5 1 2 3 3 3"
if "$work/stop" gradcheck --load "$work/stop.safetensors" > "$work/check.txt" 2>&1 ||
  grep -q "below the noise\|gradients agree" "$work/check.txt"; then echo "PASS steps/gradcheck of each step"
else echo "FAIL steps/gradcheck: $(tail -2 "$work/check.txt" | tr '\n' ' ')"; fi

# Several networks in one block, each with its optimizer: each is trained as it would be alone. Rule 31: mae of
# step plain is plain.mae.
compare() { # compare STEPS: the program around them
  cat << EOF
use std.layers: Dense
data P { rows = generated(64); let a = uniform[] * 6; x: f32[2] = [cos(a), sin(a)]; y: f32 = a; validate = last(16) }
model A(x: f32[2]) -> f32 { x |> Dense(8, activation = tanh) |> Dense(1) }
model B(x: f32[2]) -> f32 { x |> Dense(4, activation = relu) |> Dense(1) }
train Compare on P {
    $1
    $2
    batch 16; epochs 3
}
EOF
}
plain='step plain { minimize mse(A(x), y) with rmsprop(0.01); report mae(A(x), y) }'
small='step small { minimize mse(B(x), y) with adam(0.01); report mae(B(x), y) }'
compare "$plain" "$small" > "$work/both.txt"
compare "minimize mse(A(x), y) with rmsprop(0.01)" "report mae(A(x), y)" > "$work/alone.txt"
ran both < "$work/both.txt"
ran alone < "$work/alone.txt"
equal "a network beside another is trained as alone" "$(figures both val_plain.mae)" "$(figures alone val_mae)"
if [ "$("$work/both" profile --steps 20 2>&1 | grep -c '^step.Compare.')" = 2 ]; then echo "PASS steps/profile of each step"
else echo "FAIL steps/profile of each step: $("$work/both" profile --steps 20 2>&1 | head -2)"; fi
