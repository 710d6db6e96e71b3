#!/bin/sh
# Pictures: predict gives them row by row (rule 35), draw while training (rule 36); the files and their pixels.
work=$BUILD/tests/log/pictures
rm -rf "$work" && mkdir -p "$work" || exit 1
here=$PWD
command -v python3 > /dev/null || { echo "SKIP pictures: no python3"; exit 0; }

equal() { # equal WHAT GOT WANTED
  if [ "$2" = "$3" ]; then echo "PASS pictures/$1"; else echo "FAIL pictures/$1: $2, should be $3"; fi
}
png() { # png FILE [X Y ...]
  python3 "$here/tests/trainer/png.py" "$work/$@" 2>&1 | paste -sd, -
}
compiled() { # compiled NAME < PROGRAM
  cat > "$work/$1.nn"
  "$NNC" "$work/$1.nn" -o "$work/$1" > "$work/$1.log" 2>&1 ||
    echo "FAIL pictures/$1: $(head -2 "$work/$1.log" | tr '\n' ' ')"
}
cd_run() { # cd_run NAME FLAGS
  name=$1
  shift
  (cd "$work" && ./"$name" "$@") 2>&1 | paste -sd'|' -
}

# Rows whose pixels are known: row r has r / 10 everywhere but 1 at the top left and 0 at the bottom right.
compiled known << 'EOF'
data D {
    rows = generated(12)
    validate = last(4)
    level: f32 = f32(row) / 10
    image: f32[3, 2] = [[1, level], [level, level], [level, 0]]
    kind: index<2> = select(level > 0.5, 1, 0)
}
model Net(level: f32) -> f32 { param w: f32 = 0; w * level }
model At(z: f32[2]) -> f32[2, 1, 3] { reshape([z[0], z[1], 0, 1, 1, 1], [2, 1, 3]) }
train T on D {
    minimize (Net(level) - 1) ^ 2 with sgd(0)
    draw rows    = grid(image, 2, 3, scale = 4)                      every 2 epochs
    draw pairs   = grid([image, 1 - image], 2, 2, scale = 1)         every 3 steps
    draw planes  = grid(At(plane(0, 1)), 2, 3, scale = 1)
    draw noise   = grid(uniform[4, 4], 1, 2, scale = 1)              every 1 epochs
    draw classes = scatter([level, 1 - level], colour = kind)
    batch 4; epochs 4
}
predict Own on D { (picture(image, scale = 2), kind) }
predict Heat on D { picture(image, over_image = zeros[3, 2, 3]) }
predict Stretched(x: f32[1, 3]) { picture(normalized(x)) }
predict Several on D { grid([image, image], 1, 2, scale = 1) }
EOF
equal "training goes on" "$(cd_run known --log plain --pictures drawn | sed 's/.*|//')" "weights saved to known.safetensors"
equal "files are named by epoch and step" "$(ls "$work/drawn" | paste -sd' ' -)" \
  "classes-0004.png noise-0001.png noise-0002.png noise-0003.png noise-0004.png pairs-0003.png pairs-0006.png planes-0004.png rows-0002.png rows-0004.png"
equal "a grid is as large as its pictures and the gaps between them" "$(png drawn/rows-0004.png)" "32 30 1"
equal "the first rows of validation, in order, and no others" "$(png drawn/rows-0004.png 2 2 6 2 16 2 12 16 0 0)" "255,204,230,128,128"
equal "what is beyond 0 and 1 is cut" "$(png drawn/rows-0004.png 6 16)" "255"
equal "a list gives each example's pictures in turn" "$(png drawn/pairs-0003.png 2 2 6 2 3 2 7 2)" "255,0,204,51"
equal "plane gives each picture its point" "$(png drawn/planes-0004.png) $(png drawn/planes-0004.png 2 2 5 2 8 2 2 6 8 6 8 7)" \
  "11 10 3 0 255 0,128 255 0,255 255 0,0 0 0,255 0 0,255 255 255"
equal "draws are the same each time" "$(cmp "$work/drawn/noise-0001.png" "$work/drawn/noise-0004.png" && echo so)" "so"
equal "a scatter has axes and keys" "$(png drawn/classes-0004.png)" "668 548 3"
equal "classes have colours" "$(png drawn/classes-0004.png 562 38 562 56)" "31 119 180,230 110 10"

# ---- predict
equal "predict names its files" "$(cd_run known predict --limit 2)" \
  "row 0: Own.0 Own.0-0000.png; kind 1|row 1: Own.0 Own.0-0001.png; kind 1"
equal "a picture is as large as it is" "$(png Own.0-0001.png) $(png Own.0-0001.png 0 0 2 0 3 5)" "4 6 1 255,230,0"
equal "sixteen at most if nothing is said" "$(cd_run known predict --split train --log json | tr '|' '\n' | wc -l)" "8"
equal "heat over a picture" "$(cd_run known predict --block Heat --limit 1)" "row 0: Heat-0000.png"
equal "heat is red" "$(png Heat-0000.png) $(png Heat-0000.png 0 0 1 2)" "2 3 3 179 36 0,0 0 0"
printf '2,4,3\n' > "$work/row.csv"
equal "pictures of files bear their names" "$(cd_run known predict --block Stretched --csv out.csv row.csv)" "1 rows written to out.csv"
equal "and csv names them" "$(paste -sd'|' "$work/out.csv")" "file,row,Stretched|row.csv,0,Stretched-row-0000.png"
equal "normalized stretches" "$(png Stretched-row-0000.png 0 0 1 0 2 0)" "0,255,128"
equal "a grid for each row" "$(cd_run known predict --block Several --limit 1 --pictures more) $(png more/Several-0000.png)" \
  "row 0: more/Several-0000.png 10 7 1"
equal "no folder for pictures" "$(cd_run known predict --pictures none/such | sed 's/.*error: //')" \
  "--pictures: none/such: No such file or directory"
equal "a picture that can't be written costs the training nothing" \
  "$(mkdir -p "$work/full/rows-0002.png"; cd_run known --log plain --epochs 2 --pictures full | grep -o 'warning: draw rows' ; ls "$work/known.safetensors" | wc -l)" \
  "$(printf 'warning: draw rows\n1')"

# ---- pictures of many rows: of twelve, in turn truly 0 and 1, every third is said to be 1
compiled wrong << 'EOF'
data D {
    rows = generated(12)
    image: f32[2, 3] = [[1, 0, 0], [0, 0, 0]]
    truth: index<2> = select(row % 2 == 1, 1, 0)
    said: index<2> = select(row % 3 == 0, 1, 0)
    point: f32[2] = [f32(row), 1]
}
model Net(x: f32[2]) -> f32 { param w: f32 = 0; w * sum(x) }
train T on D { minimize Net(point) ^ 2 with sgd(0); draw table = confusion(said, truth); epochs 1 }
predict Table on D { confusion(said, truth) }
predict Wrong on D { misclassified(image, said, truth, rows = 2, columns = 3, scale = 10) }
predict Scores on D { confusion(one_hot(said), truth) }
predict Points on D { scatter(point, colour = truth) }
EOF
cd_run wrong --log plain > "$work/log"
cells() { png "$1" 42 39 152 39 42 149 152 149; }
equal "a confusion matrix of all rows" "$(cd_run wrong predict --block Table)" "Table.png: 12 rows"
shares=$(cells Table.png) # two thirds and one third of the rows of either
equal "shares of each row have their colours" "$(echo "$shares" | awk -F, '{ print ($1 == $3) ($2 == $4) ($1 == $2) }')" "110"
equal "scores are as good as classes" "$(cd_run wrong predict --block Scores > "$work/log"; cells Scores.png)" "$shares"
equal "training draws the same" "$(cells table-0001.png)" "$shares"
equal "what was wrong, side by side" "$(cd_run wrong predict --block Wrong) $(png Wrong.png) $(png Wrong.png 15 38 15 48 200 38)" \
  "Wrong.png: 12 rows 400 127 3 255 255 255,0 0 0,255 255 255"
equal "a scatter of the rows" "$(cd_run wrong predict --block Points --limit 5) $(png Points.png)" "Points.png: 5 rows 668 548 3"
equal "no files for a picture of many rows" "$(cd_run wrong predict row.csv | sed 's/.*error: //')" \
  "predict Table draws one picture of the rows of its data: no files, no csv"

# ---- curves
equal "curves of the figures" "$(cd_run known --log plain --curves curves.png > /dev/null; png curves.png)" "430 300 3"
equal "the key of the curves has their colours" "$(png curves.png 252 17 332 17)" "31 119 180,230 110 10"
equal "curves are of training" "$(cd_run known predict --curves c.png | sed 's/.*error: //')" "--curves: only training has them"
