#!/bin/sh
# The examples: parameter counts as stated, figures reached. Shortened runs; with FULL set (make
# check-full) the whole training of each, held against the figures of its README.
#   NNC, BUILD, NN_DATA as tests/run.sh sets them
work=$BUILD/tests/log/examples
rm -rf "$work" && mkdir -p "$work" || exit 1

number() { grep -o "\"$1\": *[-0-9.eE+]*" | head -1 | sed 's/.*: *//'; }
# at_least FIGURE BOUND; a bound "<30000" is one from above
at_least() {
  case "$2" in
  "<"*) awk -v x="$1" -v y="${2#<}" 'BEGIN { exit !(x != "" && x + 0 < y + 0) }' ;;
  *) awk -v x="$1" -v y="$2" 'BEGIN { exit !(x != "" && x + 0 >= y + 0) }' ;;
  esac
}

below() { awk -v x="$1" -v y="$2" 'BEGIN { exit !(x != "" && x + 0 < y + 0) }'; }
holds() { case $2 in "<"*) below "$1" "${2#<}" ;; *) at_least "$1" "$2" ;; esac }

# example PATH PARAMETERS SPLIT METRIC SHORT_BOUND "SHORT FLAGS" FULL_BOUND ["FLAGS OF NNC"]
# A bound is the least that is wanted, or "<x"; an untrained network misses it (looked at up to b3). SHORT FLAGS "-": only make check-full trains it.
example() {
  path=examples/$1.nn parameters=$2 split=$3 metric=$4 bound=$5 flags=$6
  name=${1##*/} exe=$work/${1##*/}
  if [ -n "$FULL" ]; then bound=$7 flags=; fi
  file=$(grep -o '"\(tabular\|series\|text\|images\|pretrained\)/[^"]*"' "$path" | tr -d '"' | head -1)
  if [ -n "$file" ] && [ ! -e "$NN_DATA/$file" ]; then
    echo "SKIP $path: no $file in NN_DATA"
    return
  fi
  if ! $NNC "$path" $8 -o "$exe" > "$exe.log" 2>&1; then
    echo "FAIL $path: $(head -2 "$exe.log" | tr '\n' ' ')"
    return
  fi
  got=$("$exe" summary --log json 2>> "$exe.log" | number parameters)
  if [ "$got" = "$parameters" ]; then echo "PASS $path has $parameters parameters"
  else echo "FAIL $path: $got parameters, should be $parameters"; fi
  if [ "$flags" = - ]; then return; fi
  if grep -q '"mnist/' "$path" && [ ! -f "$NN_DATA/mnist/train-images-idx3-ubyte.gz" ]; then
    echo "SKIP $path $metric: no MNIST in NN_DATA"
    return
  fi
  if ! "$exe" --log plain --out "$exe.safetensors" $flags >> "$exe.log" 2>&1; then
    echo "FAIL $path: training: $(tail -2 "$exe.log" | tr '\n' ' ')"
    return
  fi
  got=$("$exe" eval --log json --split $split --load "$exe.safetensors" 2>> "$exe.log" | number "$metric")
  wanted="at least $bound"
  case $bound in "<"*) wanted="below ${bound#<}" ;; esac
  if holds "$got" "$bound"; then echo "PASS $path $split $metric $got, $wanted"
  else echo "FAIL $path: $split $metric $got, should be $wanted"; fi
}

example a9-votes/votes               1089    train    binary_accuracy 0.95  ""            0.95
example a10-masses/masses            37      train    binary_accuracy 0.78  ""            0.78
example a13-houses/houses            14977   validate mae             "<30000" ""         "<30000"
example a11-trial/trial              302     train    accuracy        0.79  ""            0.79
example a12-weight/weight            658     train    loss            "<0.6885" ""        "<0.6885"
example c1-imdb/imdb                 2691713 test     binary_accuracy 0.65  "--epochs 1"  0.74
example c2-traffic/traffic           4096    validate long.mae        "<0.2" "--epochs 2" "<0.149"
example c3-tagger/tagger             8356    validate accuracy        0.98  ""            0.98
example c5-caption/caption           25603   validate exact           0.8   ""            0.8
example c4-reverse/reverse           166635  validate exact           0.1   "--epochs 2"  0.95
example digits/digits                4810    validate accuracy        0.97  ""            0.97
example a2-circle/circle             13      validate binary_accuracy 0.95  ""            0.95
example a3-line/line                 2       train    a               2.9   ""            2.9
example a7-multi-class/multi-class   6154    validate accuracy        0.3   ""            0.3
example a8-binary/binary             5569    validate binary_accuracy 0.75  ""            0.75
example a4-mlp-by-hand/mlp-by-hand   407050  test     accuracy        0.8   "--steps 300" 0.92
example a5-mnist-mlp/mnist-mlp       407050  test     accuracy        0.95  "--epochs 1"  0.98
example a5b-mnist-dropout/mnist-dropout 669706 test   accuracy        0.95  "--epochs 1"  0.982
example a6-small-mnist/small-mnist   50890   validate accuracy        0.93  "--epochs 1"  0.97
example a6-small-mnist/small-mnist-named 50890 validate accuracy      0.93  "--epochs 1"  0.97
example a15-linear-mnist/linear-mnist 7850   test     accuracy        0.9   "--epochs 2"  0.92
example b2-mnist-cnn/cnn             1199882 test     accuracy        0.88  "--steps 100" 0.99
example b3-mnist-cnn/small-cnn       104202  test     accuracy        0.85  "--steps 150" 0.993
example b4-vgg-mnist/vgg             601578  test     accuracy        0.5   "--batch 16 --steps 400" 0.995
example b4-vgg-mnist/ensemble        3609468 test     together        -     -             0.996
example b5-shapes/shapes             473890  validate accuracy        0.85  "--epochs 1"  0.97
(FULL=; example b5-shapes/shapes     559906  validate accuracy        -     - - "-D border=same")
example b6-batch-norm/vectors        834     validate accuracy        0.93  ""            0.93
example b7-cats-dogs/pets            1717634 validate loss            "<0.691" "--block Small --batch 4 --steps 250" "<0.66"
example b9-transfer/transfer         723522  validate accuracy        0.75  "--block Head --epochs 1" 0.92
example b10-features/features        920130  validate accuracy        0.92  "--epochs 10" 0.95
example b11-surgery/first            17226   validate accuracy        0.97  ""            0.97
example b16-mistakes/mistakes        12810   test     accuracy        0.9   "--steps 200" 0.985
example b15-explain/explain          50890   test     accuracy        0.92  "--epochs 1"  0.96
example d5-pseudo-labels/pseudo-labels 203530 test  accuracy        0.85  "--epochs 4"  0.885
example d1-autoencoder/autoencoder   50992   test     loss            "<0.17" "--epochs 1" "<0.0945"
example d1-autoencoder/denoising     209968  test     cleaned         "<0.05" "--epochs 1" "<0.025"
example d1-autoencoder/convolutional 3217    test     loss            "<0.12" "--steps 200" "<0.064"
example d4-toy-gan/ring              2467    train    generator.distance "<0.1" ""         "<0.1"
example b14-ascent/ascent            58730   test     brightest       1       "--epochs 1" 1
(FULL=; example c6-gpt/gpt           112000  validate loss            "<3"  "--steps 100" - \
  "-D layers=2 -D heads=2 -D width=64 -D context=64") # the whole training takes hours

# A6: the two ways of writing the network are the same network.
x=$work/small-mnist.safetensors y=$work/small-mnist-named.safetensors
if [ ! -f "$x" ] || [ ! -f "$y" ]; then echo "SKIP a6: equal weights either way: nothing was trained"
elif [ "$(tail -c 203560 "$x" | sha256sum)" = \
       "$(tail -c 203560 "$y" | sha256sum)" ]; then
  echo "PASS a6: equal weights either way"
else echo "FAIL a6: the pipeline and the named lets give different weights"; fi

# B15: one step of 0.1 along the sign of the gradient, and the network is wrong about most pictures.
if [ ! -f "$work/explain.safetensors" ]; then echo "SKIP b15: one adversarial step: nothing was trained"
elif ! "$work/explain" predict --block Adversary --split test --load "$work/explain.safetensors" \
    --csv "$work/adversary.csv" > "$work/adversary.log" 2>&1; then
  echo "FAIL b15: one adversarial step: $(tail -1 "$work/adversary.log")"
else
  awk -F, 'NR > 1 { n++; before += $2 == $3; after += $2 == $4 }
    END {
      figures = sprintf("b15: one adversarial step takes the accuracy from %.3f to %.3f", before / n, after / n)
      print (n == 10000 && before / n > 0.92 && after / n < 0.25 ? "PASS " : "FAIL ") figures
    }' "$work/adversary.csv"
fi

# D4: the points drawn lie all around the ring, not in one place of it.
if "$work/ring" predict --count 200 --log plain --load "$work/ring.safetensors" > "$work/points.txt" 2>&1; then
  sectors=$(awk '{ part[int((atan2($4, $3) + 3.14159265) / 0.7853982)] = 1 } END { for (i in part) n++; print n + 0 }' \
    "$work/points.txt")
  if [ "$sectors" = 8 ]; then echo "PASS d4: points in all eight parts of the ring"
  else echo "FAIL d4: points in $sectors of eight parts of the ring"; fi
else echo "FAIL d4: $(tail -1 "$work/points.txt")"; fi

# B16, B7: pictures of what is wrong, with the names of the classes.
drawn() { # drawn EXAMPLE SPLIT BLOCK "PREDICT'S FLAGS"
  if [ ! -f "$work/$1.safetensors" ]; then echo "SKIP $1 $3: nothing was trained"
  elif ! "$work/$1" predict --block "$3" --split "$2" --load "$work/$1.safetensors" --pictures "$work/pictures" \
      > "$work/drawn.log" 2>&1 || [ ! -s "$work/pictures/$3.png" ]; then
    echo "FAIL $1 $3: $(tail -1 "$work/drawn.log")"
  else echo "PASS $1 draws $3"; fi
}
drawn mistakes test Mistakes
drawn mistakes test Confusion
drawn pets validate Mistakes
drawn pets validate Confusion

# B3: what its layers make of a digit, and their filters.
for block in Maps1 Maps2 Filters; do
  if [ ! -f "$work/small-cnn.safetensors" ]; then echo "SKIP small-cnn $block: nothing was trained"
  elif "$work/small-cnn" predict --block $block --split test --limit 1 --load "$work/small-cnn.safetensors" \
      --pictures "$work/pictures" > "$work/drawn.log" 2>&1 && [ -s "$work/pictures/$block-0000.png" ]; then
    echo "PASS small-cnn draws $block"
  else echo "FAIL small-cnn $block: $(tail -1 "$work/drawn.log")"; fi
done

# B7: the class of a photograph by its name; in full length the deeper network is right more often.
photo=$(ls "$NN_DATA"/images/cats-dogs/valid/dog/*.jpg 2> /dev/null | head -1)
if [ -z "$photo" ] || [ ! -f "$work/pets.safetensors" ]; then echo "SKIP b7: the class of a photograph: no photographs"
elif "$work/pets" predict --block Class --load "$work/pets.safetensors" "$photo" 2>&1 | grep -q '\(cat\|dog\) (.*%), \(cat\|dog\) ('; then
  echo "PASS b7: the class of a photograph"
else echo "FAIL b7: the class of a photograph"; fi
if [ -n "$FULL" ] && [ -f "$work/pets.safetensors" ]; then
  figures=$("$work/pets" eval --split validate --load "$work/pets.safetensors" --log json 2> /dev/null |
    sed -n 's/.*"binary_accuracy": *\([0-9.]*\).*/\1/p' | paste -sd' ' -)
  if echo "$figures" | awk '{ exit !(NF == 2 && $2 > $1) }'; then echo "PASS b7: the deeper network is better: $figures"
  else echo "FAIL b7: the deeper network is no better: $figures"; fi
fi

# B1: the worked example: 1 - 1.4 before relu, 0 after it.
if $NNC examples/b1-edge-filters/filters.nn -o "$work/filters" > "$work/filters.log" 2>&1 &&
  [ "$("$work/filters" predict --block Worked)" = "row 0: before -0.4000; after 0.0000" ]; then
  echo "PASS b1: the worked example"
else echo "FAIL b1: the worked example"; fi
if [ ! -f "$NN_DATA/mnist/t10k-images-idx3-ubyte.gz" ]; then echo "SKIP b1: no MNIST in NN_DATA"
elif "$work/filters" predict --block Features --limit 1 --csv "$work/features.csv" > /dev/null 2>&1 &&
  [ "$(sed -n 2p "$work/features.csv" | awk -F, '{ print NF }')" = 129 ]; then
  echo "PASS b1: eight maps of 4 x 4 of a digit"
else echo "FAIL b1: eight maps of 4 x 4 of a digit"; fi

# B14: what is maximized rises from report to report.
if ! grep -q '^train Excite' "$work/ascent.log" 2> /dev/null; then echo "SKIP b14: nothing was trained"
elif sed -n '/^train Excite/,$s/^epoch [0-9]*  loss \([-0-9.e]*\) .*/\1/p' "$work/ascent.log" |
  awk 'NR > 1 && $1 <= last { bad = 1 } { last = $1 } END { exit !(NR == 10 && !bad && last > 10) }'; then
  echo "PASS b14: the ten outputs rise"
else echo "FAIL b14: the ten outputs don't rise: $(tail -3 "$work/ascent.log" | tr '\n' ' ')"; fi
