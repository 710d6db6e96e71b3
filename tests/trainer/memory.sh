#!/bin/sh
# Peak memory: the arena that --emit=plan announces, the one in `summary` and what training allocates are equal to the
# byte; what `summary` adds up is what the process takes, but for 8 MiB: the executable, libraries, stacks, tables.
work=$BUILD/tests/log/memory
rm -rf "$work" && mkdir -p "$work" || exit 1
unset NN_DATA

# program NAME "USE" "TYPE OF X" "LAYERS" OPTIMIZER BATCH
program() {
  cat > "$work/$1.nn" << EOP
use $2
data D { rows = generated(256); x: $3 = uniform; y: f32[10] = uniform; validate = last(128) }
model Net(x: $3) -> f32[10] { x $4 }
train Fit on D { minimize mse(Net(x), y) with $5; batch $6; epochs 1 }
EOP
}
program mlp "std.layers: Dense" "f32[784]" "|> Dense(1024, relu) |> Dense(1024, relu) |> Dense(10)" "adam(0.001)" 128
program conv "std.layers: Conv2D, BatchNorm, MaxPool2D, Flatten, Dense, Dropout" "f32[28, 28, 1]" "
    |> Conv2D(32, 3, relu) |> BatchNorm |> Conv2D(32, 3, relu) |> MaxPool2D(2) |> BatchNorm
    |> Conv2D(64, 3, relu) |> BatchNorm |> Conv2D(64, 3, relu) |> MaxPool2D(2)
    |> Flatten |> Dense(512, relu) |> Dropout(0.5) |> Dense(10)" "rmsprop(0.001)" 64
program lstm "std.layers: LSTM, Dense" "f32[80, 128]" "|> LSTM(256) |> Dense(10)" "adam(0.001)" 64
program resnet "std.zoo: ResNet50" "f32[224, 224, 3]" "|> ResNet50(classes = 10)" "sgd(0.001, momentum = 0.9)" 8
program vgg "std.zoo: VGG16" "f32[224, 224, 3]" "|> VGG16(classes = 10)" "sgd(0.001, momentum = 0.9)" 1

exec python3 tests/trainer/memory.py "$work"
