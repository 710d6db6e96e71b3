# Groups that differ only in what their launch has (counts, lengths of rows, rows and columns of sums, terms of a
# product, numbers of a fill) are one kernel.
work=$BUILD/tests/log/kernels-work
rm -rf "$work" && mkdir -p "$work" || exit 1

# at_most COUNT NAME [KIND]: the program on standard input has no more kernels
at_most() {
  cat > "$work/p.nn"
  $NNC "$work/p.nn" --emit=asm > "$work/p.s" 2> "$work/err" || { echo "FAIL kernels $2: $(head -3 "$work/err")"; return; }
  n=$(grep -c "^nnrt_k[0-9]*_${3:-[a-z]*}:" "$work/p.s")
  if [ "$n" -gt 0 ] && [ "$n" -le "$1" ]; then echo "PASS kernels $2"; else echo "FAIL kernels $2: $n, at most $1"; fi
}

at_most 6 "three products and initial values of any shape: random numbers, a * x + b, zeros" <<'NN'
use std.layers: Dense
model M(x: f32[29]) -> f32[65] { x |> Dense(33) |> Dense(47) |> Dense(65) }
predict P(x: f32[29]) { M(x) }
NN

at_most 40 "DenseNet121" <<'NN'
use std.zoo: DenseNet121
let net = DenseNet121()
predict P(image: f32[224, 224, 3]) { net(image) }
NN

at_most 12 "statistics of three batch normalisations of other sizes: sums over rows" column <<'NN'
use std.layers: Conv2D, BatchNorm, GlobalAveragePool2D, Dense
data Rows { rows = generated(16); x: f32[26, 26, 3] = uniform; y: f32[10] = uniform }
model M(x: f32[26, 26, 3]) -> f32[10] {
    x |> Conv2D(64, 3, bias = false) |> BatchNorm |> relu |> Conv2D(128, 3, bias = false) |> BatchNorm |> relu
      |> Conv2D(192, 3, bias = false) |> BatchNorm |> relu |> GlobalAveragePool2D |> Dense(10)
}
train M on Rows { minimize mse(M(x), y) with sgd(0.1); batch 8; epochs 1 }
NN
