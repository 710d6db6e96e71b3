#!/bin/sh
# What ends a convolution or a pooling (bias, activation, the mask of the backward pass) is inlined into its
# kernel, at every CPU level: the machine code calls nothing but moves of memory. And shapes are constants there:
# the inner loops of convolutions and their gradients keep all sums in registers.
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
out=$BUILD/tests/conv_asm
mkdir -p "$(dirname "$out")"
cat > "$out.nn" <<'END_OF_PROGRAM'
use std.layers: Conv2D, MaxPool2D, Flatten, Dense
data Pictures {
    train = idx("none-images", "none-labels")
    image: f32[13, 11, 3] = row[0] / 255
    label: index<10>      = row[1]
}
model Net(image: f32[13, 11, 3]) -> f32[10] {
    image
    |> Conv2D(20, kernel = 3, padding = "same", activation = relu)
    |> MaxPool2D(2)
    |> Conv2D(24, kernel = 2, stride = 2, activation = tanh)
    |> Flatten
    |> Dense(10)
}
train Fit on Pictures {
    minimize cross_entropy(Net(image), label) with sgd(0.01)
    batch 8
    epochs 1
}
END_OF_PROGRAM
for level in 2 3 4; do
  if ! "$BUILD/nnc" --emit=asm --cpu=x86-64-v$level "$out.nn" -o "$out.s" 2> "$out.err"; then
    echo "FAIL conv-asm/v$level: $(head -1 "$out.err")"
    continue
  fi
  awk -v level=$level '
    /\tcallq?\t/ { if ($2 !~ /^mem(cpy|set|move)/) { calls++; which = $2 } }
    /vfmadd|mulps/ { multiplies++ }
    END {
      if (calls) print "FAIL conv-asm/v" level ": " calls " calls are left, of " which
      else if (multiplies < 100) print "FAIL conv-asm/v" level ": hardly a multiplication is left"
      else print "PASS conv-asm/v" level
    }' "$out.s"
done
# Widths, strides and paddings of the loops of B7, VGG16 and ResNet-50, with fewer channels where that changes none.
cat > "$out-deep.nn" <<'END_OF_PROGRAM'
use std.layers: Conv2D, MaxPool2D, Flatten, Dense
data Pictures {
    train = idx("none-images", "none-labels")
    image: f32[112, 112, 3] = row[0] / 255
    label: index<10>        = row[1]
}
model Net(image: f32[112, 112, 3]) -> f32[10] {
    image
    |> Conv2D(64, kernel = 7, stride = 2, padding = "same", activation = relu)
    |> Conv2D(64, 3, relu, padding = "same")
    |> Conv2D(128, 3, relu, padding = "same", stride = 2)
    |> Conv2D(64, 3, relu, padding = "same")
    |> Conv2D(64, 3, relu)
    |> MaxPool2D(2)
    |> Conv2D(64, 3, relu, padding = "same")
    |> Conv2D(128, 3, relu)
    |> Conv2D(256, 3, relu, padding = "same", stride = 2)
    |> Flatten
    |> Dense(10)
}
train Fit on Pictures {
    minimize cross_entropy(Net(image), label) with sgd(0.01)
    batch 8
    epochs 1
}
END_OF_PROGRAM
# Blocks of machine code with many multiplications, and their vectors on the stack: one on its way there and back is
# lost among the multiplications of three taps.
loops() { # LEVEL PROGRAM
  "$BUILD/nnc" --emit=asm --cpu=x86-64-v$1 "$2" -o "$out.s" 2> "$out.err"
  awk -v what="conv-asm/v$1 loops of $(basename "$2" .nn)" '
    function close_block() {
      if (multiplies >= 8) { loops[name]++; if (stack * 16 > multiplies) spills[name] += stack }
      multiplies = stack = 0
    }
    /^[a-z_0-9]+:/ { close_block(); name = $1 }
    /^\.L/ { close_block() }
    name !~ /_kernel:/ { next }
    /vfmadd|mulps/ { multiplies++ }
    /pmul/ { random[name] = 1 } # numbers are drawn here: no convolution
    /\(%rsp\)/ && /[xyz]mm/ { stack++ }
    /\tj[a-z]+\t/ { close_block() }
    END {
      for (k in loops) if (!(k in random)) { n += loops[k]; if (spills[k]) bad = bad " " k spills[k] }
      if (bad) print "FAIL " what ": spills in" bad
      else if (n < 8) print "FAIL " what ": only " n + 0 " found"
      else print "PASS " what ": " n
    }' "$out.s"
}
for level in 2 3 4; do
  loops $level examples/b3-mnist-cnn/small-cnn.nn
  if [ $level -gt 2 ]; then loops $level "$out-deep.nn"; fi # level 2 spills where three taps have 16 registers
done
groups=$("$BUILD/nnc" --emit=plan "$out.nn" | grep -c -E ' (conv|pool_max)\+')
if [ "$groups" -ge 3 ]; then echo "PASS conv-asm/groups"; else echo "FAIL conv-asm/groups: only $groups convolutions end with more"; fi
