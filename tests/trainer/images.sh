#!/bin/sh
# Pictures: folders of any size, resized; classes (rule 21); broken files; CIFAR records; augment in
# training alone (rule 34), preview; JPEG only where pictures are read.
work=$BUILD/tests/log/images
rm -rf "$work" && mkdir -p "$work" || exit 1
python3 tests/trainer/images.py "$work" || exit 1
unset NN_DATA

compiled() { # compiled NAME < PROGRAM
  cat > "$work/$1.nn"
  "$NNC" "$work/$1.nn" -o "$work/$1" > "$work/$1.log" 2>&1 ||
    echo "FAIL images/$1: $(head -2 "$work/$1.log" | tr '\n' ' ')"
}
run() { # run NAME FLAGS: in the folder of the data
  name=$1
  shift
  (cd "$work" && "./$name" "$@") 2>&1
}
equal() { # equal WHAT GOT WANTED
  if [ "$2" = "$3" ]; then echo "PASS images/$1"; else echo "FAIL images/$1: $2, should be $3"; fi
}
holds() { # holds WHAT TEXT PART
  case "$2" in *"$3"*) echo "PASS images/$1" ;; *) echo "FAIL images/$1: no \"$3\" in $2" ;; esac
}

# ---- folders: classes in order, any size, a loop that learns, the same for any threads
compiled net << 'EOP'
use std.layers: Dense, Flatten
data Pets {
    train    = folders("pets/train")
    validate = folders("pets/valid")
    let photo = row.image |> resize(4, 4)
    image: f32[4, 4, 3] = photo / 255
    label: index<kinds> = row.class
}
model Net(image: f32[4, 4, 3]) -> f32[Pets.kinds] { image |> Flatten |> Dense(Pets.kinds) }
train Fit on Pets { minimize cross_entropy(Net(image), label) with sgd(0.1); report accuracy(Net(image), label); batch 7; epochs 5 }
predict Class on Pets { (label, top(softmax(Net(image)), 1)) }
predict Of on Pets { softmax(Net(image)) |> top(1) }
EOP
holds "a network learns from folders" "$(run net --log plain)" "val_accuracy 1.0000"
cp "$work/net.safetensors" "$work/first"
run net --log plain --threads 1 > /dev/null
cmp -s "$work/first" "$work/net.safetensors" && same=yes
equal "the same weights with one thread" "$same" yes
holds "classes are named, in order" "$(run net predict --limit 1)" "label blue"
holds "predict takes a PNG of any size" "$(run net predict --block Of pets/valid/red/05.png)" "red ("
cp tests/trainer/colour.jpg "$work/one.jpg"
holds "predict takes a JPEG" "$(run net predict --block Of one.jpg)" "one.jpg: "
compiled kept << 'EOP'
use std.layers: Dense
data Pets {
    train = folders("pets/train")
    image: f32[4, 4, 3] = row.image |> resize(4, 4)
    label: index<kinds> = row.class
}
fn colour(image: f32[4, 4, 3]) -> f32[3] { mean(image / 255, axes = [0, 1]) }
data Kept from Pets { colour_of: f32[3] = colour(image); label: _; cache = true }
model Net(x: f32[3]) -> f32[2] { x |> Dense(2) }
train Fit on Kept { minimize cross_entropy(Net(colour_of), label) with sgd(1); epochs 30 }
predict Of on Pets { image |> colour |> Net |> softmax |> top(1) }
EOP
run kept > /dev/null
holds "classes are named where only kept data use them" "$(run kept predict pets/valid/red/05.png)" "05.png: red ("
mv "$work/pets/valid/red" "$work/pets/valid/green"
holds "a class that was not counted is an error" "$(run net eval)" 'pets/valid/green: "green" is none of the 2 classes'
mv "$work/pets/valid/green" "$work/pets/valid/red"

# ---- what comes out: pixels as they are, resized with a triangle filter, grey or in colour
compiled pixels << 'EOP'
data Ramp { train = folders("ramp"); image: f32[6, 8, 3] = row.image }
data Half { train = folders("ramp"); image: f32[3, 4, 3] = row.image |> resize(3, 4) }
data Grey { train = folders("ramp"); image: f32[2, 2] = row.image |> resize(2, 2) }
data Wrong { train = folders("ramp"); image: f32[5, 5, 3] = row.image }
data Colour { train = folders("colour"); image: f32[12, 16, 3] = row.image }
data Grey2 { train = folders("grey"); image: f32[12, 16, 3] = row.image }
predict OfRamp on Ramp { (image[0, 7], image[5, 0]) }
predict OfHalf on Half { (image[.., 0, 1], image[0, .., 0]) }
predict OfGrey on Grey { image }
predict OfWrong on Wrong { image }
predict OfColour on Colour { (image[0, 0], image[11, 15]) }
predict OfGrey2 on Grey2 { (image[0, 0], image[11, 15]) }
EOP
show() { run pixels predict --log json --block "$1"; }
equal "pixels are as they are in the file" "$(show OfRamp)" '{"row":0,"OfRamp.0":[70,0,255],"OfRamp.1":[0,100,255]}'
# Rows 0..5 to 3: 3/8 of each of the two in the middle, 1/8 of their neighbours; 3/7, 3/7, 1/7 at the border.
equal "resize is a triangle filter" "$(show OfHalf)" '{"row":0,"OfHalf.0":[14,50,86],"OfHalf.1":[7,25,45,63]}'
holds "a picture of another size needs resize" "$(show OfWrong)" 'error: ramp/a/ramp.png: the picture is 6 x 8 pixels, expected "image", which is 5x5x3'
equal "JPEG in colour" "$(show OfColour)" '{"row":0,"OfColour.0":[42,22,241],"OfColour.1":[219,214,150]}'
holds "grey JPEG as colour" "$(show OfGrey2)" '{"row":0,'
equal "colour as grey" "$(show OfGrey)" '{"row":0,"OfGrey":[52,59,82,85]}'

# ---- broken pictures
compiled some << 'EOP'
data Bad { train = folders("bad"); image: f32[4, 4, 3] = row.image; label: f32 = row.class }
data Strict { train = folders("bad", strict = true); image: f32[4, 4, 3] = row.image; label: f32 = row.class }
data Worse { train = folders("worse"); image: f32[4, 4, 3] = row.image; label: f32 = row.class }
data Flipped { train = folders("flipped"); image: f32[4, 4, 3] = row.image |> resize(4, 4); label: f32 = row.class }
model Net(image: f32[4, 4, 3]) -> f32 { param w: f32[3] = zeros; mean(image) / 255 + sum(w) }
train A on Bad { minimize mse(Net(image), label) with sgd(0.0); batch 5; epochs 2 }
predict P on Bad { mean(image) }
predict S on Strict { mean(image) }
predict W on Worse { mean(image) }
predict F on Flipped { mean(image) }
EOP
trained=$(run some --log plain)
equal "a broken picture is named once and left out" "$(echo "$trained" | grep -c 'left out')" 6
holds "the others are trained with" "$trained" "epoch 2/2  loss 0.1538"
for what in 'x-cut.png: the PNG is damaged' 'x-empty.jpg: is empty' 'x-text.png: is neither a PNG nor a JPEG' \
  'x-cut.jpg: the JPEG is damaged' 'x-head.jpg: the JPEG is damaged' 'x-huge.png: ' '(6 so far)'; do
  holds "broken: $what" "$trained" "$what"
done
equal "how long training waits for pictures" "$(run some --log json 2> /dev/null |
  sed -n 's/.*"seconds":\([0-9.]*\),"waited":\([0-9.]*\)}.*/\1 \2/p' | awk '$2 <= $1 { n++ } END { print n }')" 2
equal "rows keep their numbers" "$(run some predict --block P --log json 2> /dev/null | tail -1)" '{"row":5,"P":100}'
holds "strict fails the run" "$(run some predict --block S)" "error: bad/a/x-cut"
holds "nothing but broken pictures is an error" "$(run some predict --block W)" "none of 6 pictures can be read"
holds "flipped bits end in a result or a message" "$(run some predict --block F --log json | tail -1)" '"F":2}'

# ---- CIFAR
compiled ten << 'EOP'
data Ten { train = cifar("ten.bin.gz"); image: f32[32, 32, 3] = row.image; label: index<kinds> = row.class }
data Small { train = cifar("ten.bin.gz"); image: f32[4, 4] = row.image |> resize(4, 4) }
data Short { train = cifar("short.bin"); image: f32[32, 32, 3] = row.image }
data Class { train = cifar("class.bin"); label: index<10> = row.class }
predict P on Ten { (image[0, 3], label) }
predict Q on Small { image[0] }
predict R on Short { image }
predict S on Class { label }
EOP
equal "planes become channels, classes have names" "$(run ten predict --block P --log json | sed -n 4p)" \
  '{"row":3,"P.0":[3,103,3],"label":"cat"}'
holds "records are resized, grey" "$(run ten predict --block Q --log json | tail -1)" '{"row":9,'
holds "a cut record is an error" "$(run ten predict --block R)" "3072 bytes, no multiple of the 3073"
holds "a class that is none is an error" "$(run ten predict --block S)" "record 0 has class 11"

# ---- rule 34: augment
compiled augment << 'EOP'
data D {
    train = folders("ramp")
    image: f32[6, 8, 3] = row.image / 255 |> augment(rotate = 20, shift = 0.1, zoom = 0.1, shear = 0.1,
        crop = 0.1, flip = both, channel_shift = 0.1, brightness = (0.5, 1.5), contrast = 0.3)
    turned: f32[6, 8, 3] = row.image |> augment(flip = horizontal)
}
model Net(image: f32[6, 8, 3]) -> f32 { param w: f32 = zeros; sum(image) + 0 * w }
train Fit on D { minimize Net(image) with sgd(0.0); report sum(turned[0, 0]); epochs 12 }
predict P on D { (image[0, 7], turned[0, 0]) }
EOP
run augment --log json --seed 4 > "$work/a.json"
losses() { sed -n 's/.*"loss":\([^,]*\),.*/\1/p' "$1"; }
equal "every draw is another one" "$(losses "$work/a.json" | sort -u | wc -l)" 12
run augment --log json --seed 4 --threads 1 > "$work/b.json"
equal "the same for the same seed" "$(losses "$work/b.json")" "$(losses "$work/a.json")"
equal "off in predict" "$(run augment predict --log json)" '{"row":0,"P.0":[0.274509817,0,1],"P.1":[0,0,0]}'
equal "mirrored half of the time, exactly" "$(sed -n 's/.*"sum":\([^,}]*\).*/\1/p' "$work/a.json" | sort -nu | paste -sd' ' -)" "0 325"
holds "preview writes a PNG" "$(run augment preview --out eight.png)" "8 variants"
equal "of 4 x 2 pictures" "$(od -An -tu1 -j16 -N8 "$work/eight.png" | tr -s ' ')" " 0 0 0 38 0 0 0 14"
compiled from << 'EOP'
data D { train = folders("ramp"); image: f32[6, 8, 3] = row.image / 255 }
data A from D { image: _ = image |> augment(rotate = 90) }
data B from A { image: _; twice: f32[6, 8, 3] = 2 * image }
model Net(image: f32[6, 8, 3]) -> f32 { param w: f32 = zeros; sum(image) + 0 * w }
train Fit on B { minimize Net(image) with sgd(0.0); report half = sum(twice) / 2; epochs 3 }
predict P on B { (image[0, 7], twice[0, 7]) }
EOP
equal "a field over the one of its name in other data" "$(run from --log json | sed -n 's/.*"loss":\([^,]*\),"half":\([^,}]*\).*/\1 \2/p' | awk '$1 == $2' | sort -u | wc -l)" 3
equal "off in predict there too" "$(run from predict --log json)" '{"row":0,"P.0":[0.274509817,0,1],"P.1":[0.549019635,0,2]}'
holds "preview wants something to show" "$(run net preview)" "no data of this program"

# ---- what published networks want: (255, 127.5, 0) red, green, blue, less and by the means of ImageNet
echo "255,127.5,0" > "$work/pixel.csv"
echo 'predict P(p: f32[1, 1, 3]) { (preprocess.caffe(p)[0, 0], p |> preprocess.imagenet |> flatten, preprocess.signed(p)[0, 0]) }' |
  compiled pixel
equal "preprocess" "$(run pixel predict --log json pixel.csv | grep -o '[[].*' | sed 's/"[^"]*"://g; s/}//')" \
  "[-103.939003,10.7210007,131.320007],[2.24890828,0.196428567,-1.80444443],[1,0,-1]"

# ---- the library is there only where it is used
if command -v ldd > /dev/null; then
  equal "programs of pictures are linked with libjpeg" "$(ldd "$work/net" | grep -c libjpeg)" 1
  printf 'data D { rows = [[1]]; x: f32 = row[0] }\npredict P on D { x }\n' | compiled none
  equal "others aren't" "$(ldd "$work/none" | grep -c libjpeg)" 0
fi
