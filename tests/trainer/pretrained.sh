#!/bin/sh
# Rule 17: networks that others trained, from their files: the accuracies that a plain evaluation of these files has.
# PyTorch (ResNet-20, filters first, batch norm), CNTK by ONNX names, Keras (dense, convolutions, LSTM, GRU).
work=$BUILD/tests/log/pretrained
rm -rf "$work" && mkdir -p "$work" || exit 1
[ -f "$NN_DATA/pretrained/cifar10-resnet20.safetensors" ] || { echo "SKIP pretrained: no pretrained/ in NN_DATA"; exit 0; }

# figure NAME LEAST MOST "AWK" [FLAGS] < PROGRAM: what awk makes of the rows of `predict`
figure() {
  cat > "$work/p.nn"
  if ! "$NNC" "$work/p.nn" -o "$work/p" > "$work/log" 2>&1 ||
    ! "$work/p" predict $5 --csv "$work/p.csv" >> "$work/log" 2>&1; then
    echo "FAIL pretrained/$1: $(head -2 "$work/log" | tr '\n' ' ')"
    return
  fi
  got=$(awk -F, "NR > 1 { $4 } END { printf \"%.4f\", s / (NR - 1) }" "$work/p.csv")
  if awk -v x="$got" -v low="$2" -v high="$3" 'BEGIN { exit !(x >= low && x <= high) }'; then
    echo "PASS pretrained/$1 ($got)"
  else echo "FAIL pretrained/$1: $got, should be $2 to $3"; fi
}
right='s += $2 == $3'

figure "ResNet-20 is right about 91.6% of 2000 pictures" 0.915 0.917 "$right" << 'EOP'
use std.layers: Conv2D, BatchNorm, MaxPool2D, GlobalAveragePool2D, Dense
data Cifar {
    train = cifar("cifar10/test_2000.bin.gz")
    image: f32[32, 32, 3] = (row.image / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    label: index<10> = row.class
}
layer Block(filters: int, stride: int)(x: f32[H, W, C]) -> _ {
    let first = x |> Conv2D(filters, 3, stride = stride, padding = 1, bias = false) as conv1 |> BatchNorm(eps = 1e-5) as bn1 |> relu
    let y = first |> Conv2D(filters, 3, padding = 1, bias = false) as conv2 |> BatchNorm(eps = 1e-5) as bn2
    let side = div(filters, 4)
    relu(y + if stride > 1 { x |> MaxPool2D(1, stride = 2) |> pad([0, 0, side], [0, 0, side]) } else { x })
}
layer ResNet20(image: f32[32, 32, 3]) -> f32[10] {
    let x = image |> Conv2D(16, 3, padding = 1, bias = false) as conv1 |> BatchNorm(eps = 1e-5) as bn1 |> relu
    let a = for i in 0..3 with h = x { h = h |> Block(16, 1) as layer1 }
    let b = for i in 0..3 with h = a { h = h |> Block(32, if i == 0 { 2 } else { 1 }) as layer2 }
    let c = for i in 0..3 with h = b { h = h |> Block(64, if i == 0 { 2 } else { 1 }) as layer3 }
    c |> GlobalAveragePool2D |> Dense(10) as linear
}
let net = ResNet20(weights = renamed("pretrained/cifar10-resnet20.safetensors", layout = oihw,
    "*bn*.weight" = "*bn*.gamma", "*bn*.bias" = "*bn*.beta", "*.running_mean" = "*.moving_mean", "*.running_var" = "*.moving_variance"))
predict Of on Cifar { (label, argmax(net(image))) }
EOP

figure "a Keras network is right about 98.1% of 2000 digits" 0.9805 0.9815 "$right" << 'EOP'
use std.layers: Conv2D, MaxPool2D, Dropout, Flatten, Dense
data All {
    rows = idx("mnist/t10k-images-idx3-ubyte.gz", "mnist/t10k-labels-idx1-ubyte.gz")
    image: f32[28, 28, 1] = row[0] / 255
    label: index<10> = row[1]
}
data Mnist from All { image: _; label: _; take = first(2000) }
layer Net(image: f32[28, 28, 1]) -> f32[10] {
    image |> Conv2D(16, 3, relu) as conv2d |> MaxPool2D |> Conv2D(32, 3, relu) as conv2d_1 |> MaxPool2D
          |> Conv2D(64, 3, relu) as conv2d_2 |> MaxPool2D |> Dropout(0.25) |> Flatten |> Dense(10) as dense
}
let net = Net(weights = renamed("pretrained/mnist-cnn-keras.safetensors", "*/kernel" = "*.weight"))
predict Of on Mnist { (label, argmax(net(image))) }
EOP

# Its last matrix lies by channels, rows, columns and classes.
figure "a network by ONNX names is right about 98.6% of 500 digits" 0.985 0.987 "$right" << 'EOP'
use std.layers: Conv2D, MaxPool2D
const file = "pretrained/mnist-cnn-cntk.safetensors"
data All {
    rows = idx("mnist/t10k-images-idx3-ubyte.gz", "mnist/t10k-labels-idx1-ubyte.gz")
    image: f32[28, 28, 1] = row[0]
    label: index<10> = row[1]
}
data Mnist from All { image: _; label: _; take = first(500) }
layer Features(image: f32[28, 28, 1]) -> f32[4, 4, 16] {
    image |> Conv2D(8, 5, relu, padding = same) as conv1 |> MaxPool2D |> Conv2D(16, 5, relu, padding = same) as conv2 |> MaxPool2D(3)
}
layer Scores(x: f32[H, W, C]) -> f32[10] {
    param weight: f32[C, H, W, 10] = zeros, bias: f32[10] = zeros
    flatten(transpose(x, [2, 0, 1])) @ reshape(weight, [C * H * W, 10]) + bias
}
let features = Features(weights = renamed(file, "Parameter5" = "conv1.weight", "Parameter6" = "conv1.bias",
                                          "Parameter87" = "conv2.weight", "Parameter88" = "conv2.bias", layout = oihw))
let scores = Scores(weights = renamed(file, "Parameter193" = "weight", "Parameter194" = "bias"))
predict Of on Mnist { (label, argmax(image |> features |> scores)) }
EOP

figure "a weak network knows 68.8% of 250 cats and dogs" 0.68 0.696 "$right" << 'EOP'
use std.layers: Conv2D, MaxPool2D, Flatten, Dense
data Pets {
    rows = folders("images/cats-dogs/valid")
    image: f32[64, 64, 3] = row.image |> resize(64, 64)
    label: index<_> = row.class
}
layer Net(image: f32[64, 64, 3]) -> f32[2] {
    image |> Conv2D(32, 3, relu) as conv2d_1 |> MaxPool2D |> Conv2D(32, 3, relu) as conv2d_2 |> MaxPool2D
          |> Conv2D(64, 3, relu) as conv2d_3 |> MaxPool2D |> Flatten |> Dense(64, relu) as dense_1 |> Dense(2) as dense_2
}
let net = Net(weights = renamed("pretrained/dog-cat-cnn-keras.safetensors", "*/kernel" = "*.weight"))
predict Of on Pets { (label, argmax(net(image))) }
EOP

# Gates of old Keras: clip(0.2 x + 0.5, 0, 1). Flow from 0 to 197, the least and the greatest of the training file.
flow='data Flow {
    rows = csv("series/pems-flow-test.csv")[1] |> windows(history = 12, forecast = 1)
    past: f32[12] = row.history
    next: f32 = row.forecast
}
fn gate(x: f32[n]) -> f32[n] { clip(0.2 * x + 0.5, 0, 1) }
fn foretold(past: f32[12]) -> f32 { (reshape(past, [12, 1]) / 197 |> first |> second)[-1] |> last |> sigmoid |> times }
fn times(x: f32[1]) -> f32 { 197 * x[0] }'
error='d = $3 - $2; s += d < 0 ? -d : d'
(echo "$flow"; cat << 'EOP'
use std.layers: Dense
const file = "pretrained/traffic-lstm-keras.safetensors"
layer Lstm(units: int)(x: f32[T, in]) -> f32[T, units] {
    param kernel: f32[in, 4 * units] = zeros, recurrent_kernel: f32[units, 4 * units] = zeros, bias: f32[4 * units] = zeros
    let (_, _, all) = scan xt in x with h = zeros[units], c = zeros[units] {
        let (i, f, g, o) = split(xt @ kernel + h @ recurrent_kernel + bias, 4)
        c = gate(f) * c + gate(i) * tanh(g)
        h = gate(o) * tanh(c)
        yield h
    }
    all
}
let first = Lstm(64, weights = renamed(file, "lstm_1" = "")), second = Lstm(64, weights = renamed(file, "lstm_2" = ""))
let last = Dense(1, weights = renamed(file, "dense_1/kernel" = "weight", "dense_1" = ""))
predict Of on Flow { (next, foretold(past)) }
EOP
) | figure "an LSTM foretells traffic with a mean error of 7.22" 7.21 7.23 "$error"
(echo "$flow"; cat << 'EOP'
use std.layers: Dense
const file = "pretrained/traffic-gru-keras.safetensors"
layer Gru(units: int)(x: f32[T, in]) -> f32[T, units] {
    param kernel: f32[in, 3 * units] = zeros, recurrent_kernel: f32[units, 3 * units] = zeros, bias: f32[3 * units] = zeros
    let (_, all) = scan xt in x with h = zeros[units] {
        let (az, ar, an) = split(xt @ kernel + bias, 3)
        let z = gate(az + h @ recurrent_kernel[.., ..units])
        let r = gate(ar + h @ recurrent_kernel[.., units..2 * units])
        h = z * h + (1 - z) * tanh(an + (r * h) @ recurrent_kernel[.., 2 * units..])
        yield h
    }
    all
}
let first = Gru(64, weights = renamed(file, "gru_1" = "")), second = Gru(64, weights = renamed(file, "gru_2" = ""))
let last = Dense(1, weights = renamed(file, "dense_1/kernel" = "weight", "dense_1" = ""))
predict Of on Flow { (next, foretold(past)) }
EOP
) | figure "a GRU foretells traffic with a mean error of 7.20" 7.19 7.21 "$error"
figure "SqueezeNet tells cats from dogs in about 80% of 250 photographs" 0.77 0.83 's += ($3 == 1) == ($2 == "dog")' "--block Animal" \
  < examples/b8-squeezenet/squeezenet.nn
case $("$work/p" predict "$NN_DATA/images/cats-dogs/valid/dog/dog.4031.jpg" --block Class 2>&1) in
*"Cardigan Welsh corgi (8"*) echo "PASS pretrained/a photograph of a corgi is called so" ;;
*) echo "FAIL pretrained/a photograph of a corgi is called so" ;;
esac
