#!/bin/sh
# Rule 33: rows put together of several sources, in order or by a key; what is not needed isn't read.
work=$BUILD/tests/log/zip
rm -rf "$work" && mkdir -p "$work" || exit 1
python3 tests/trainer/images.py "$work" || exit 1
unset NN_DATA

equal() { # equal WHAT GOT WANTED
  if [ "$2" = "$3" ]; then echo "PASS zip/$1"; else echo "FAIL zip/$1: $2, should be $3"; fi
}
holds() { # holds WHAT TEXT PART
  case "$2" in *"$3"*) echo "PASS zip/$1" ;; *) echo "FAIL zip/$1: no \"$3\" in $2" ;; esac
}
run() { (cd "$work" && "$@") 2>&1; }
shown() { program=$1; shift; run "./$program" predict --log json --load w "$@" | paste -sd'|' -; }
compiled() { # compiled NAME < PROGRAM
  cat > "$work/$1.nn"
  run "$NNC" "$1.nn" -o "$1" > "$work/$1.log" || echo "FAIL zip/$1: $(head -2 "$work/$1.log" | tr '\n' ' ')"
}

# ---- in order: csv, csv of other columns, rows of the program, numbers
printf 'size,kind\n1,cat\n2,dog\n6,cat\n' > "$work/a.csv"
printf 'kind,words\nx,one two\ny,two\nz,\n' > "$work/b.csv"
compiled order << 'EOF'
data Both {
    rows = zip(csv("a.csv"), csv("b.csv"), [[10], [20], [30]], generated(3)) |> shuffled(seed = 4)
    size: f32 = row[0].size |> standardize
    kind: index<kinds> = row[0].kind
    other: index<_> = row[1].kind
    said: index<5>[2] = row[1].words |> words |> vocabulary(5) |> pad(2, side = post)
    many: f32 = row[1].length
    both: f32 = row[2][0] + row[3]
    all: f32[1] = row[2]
}
data First from Both { both: _; kind: _; take = first(2) }
data Kept from Both { size: _; where size < 1 }
model Net(x: f32) -> f32[Both.kinds] { param w: f32[Both.kinds] = zeros; w * x }
train Fit on Both { minimize sum(Net(size)) + sum(all) with sgd(0.0); report n = total(1); epochs 1 }
train Few on First { minimize sum(Net(both)) with sgd(0.0); report n = total(1); epochs 1 }
train Keep on Kept { minimize sum(Net(size)) with sgd(0.0); report n = total(1); epochs 1 }
predict Show on Both { (unscaled(size, size), kind, other, said |> text, many, both) }
predict Size on Both { size }
EOF
equal "trains" "$(run ./order --log plain --out w | sed -n 's/^epoch.*  n \([0-9]\).*/\1/p' | paste -sd' ' -)" "3 2 2"
equal "row i of each, in one order" "$(shown order | sed 's/"row":.,//g' | tr '|' '\n' | sort | paste -sd'|' -)" \
  '{"unscaled":1,"kind":"cat","other":"x","text":"one two","many":2,"both":10}|{"unscaled":2,"kind":"dog","other":"y","text":"two","many":1,"both":21}|{"unscaled":6,"kind":"cat","other":"z","text":"","many":0,"both":32}'
holds "predict takes a file where one source is needed" "$(shown order --block Size a.csv)" '{"file":"a.csv","row":0,"Size":-0.9'
holds "and none where several are" "$(shown order a.csv)" "several sources at once"
mv "$work/b.csv" "$work/c.csv"
equal "what is not needed isn't read" "$(shown order --block Size | tr -cd '|' | wc -c | tr -d ' ')" "2"
printf 'kind,words\nx,one two\n' > "$work/b.csv"
holds "unequal counts" "$(shown order)" "Both: 3 rows of a.csv, but 1 of b.csv"

# ---- by a key: pictures and their prices
ls "$work/pets/train/red" | sed -n 's/[.]png$//p' | sort -r | awk 'BEGIN { print "id,price" } { print $1 "," NR }' > "$work/prices.csv"
compiled key << 'EOF'
use std.layers: Dense, Flatten
data Pets {
    train = zip(csv("prices.csv"), folders("pets/train", classes = ["red"]), key = "id")
    image: f32[4, 4, 3] = row[1].image |> resize(4, 4) |> f
    price: f32 = row[0].price
    both: f32 = row[0].id + price
    kind: index<kinds> = row[1].class
}
data Plain { train = folders("pets/train", classes = ["red"]); image: f32[4, 4, 3] = row.image |> resize(4, 4) |> f }
data Turned {
    train = zip(folders("pets/train", classes = ["red"]), csv("prices.csv"), key = "id")
    price: f32 = row[1].price
}
fn f(x: f32[..]) -> f32[..] { x / 255 }
model Net(image: f32[4, 4, 3]) -> f32 { image |> Flatten |> Dense(1) }
train Fit on Pets { minimize mse(Net(image), price) with sgd(0.01); epochs 2 }
predict Show on Pets { (both, kind) }
predict Red on Pets { mean(image) }
predict Redder on Plain { mean(image) }
predict Price on Turned { price }
EOF
run ./key --log plain --out w > "$work/key.out"
equal "rows of equal keys" "$(shown key | tr '|' '\n' | sed 's/"row":[0-9]*,//' | sort | uniq -c | sed 's/^ *//')" \
  '20 {"both":20,"kind":"red"}'
means() { shown key --block "$1" | tr '|' '\n' | sed 's/.*://'; } # means BLOCK
equal "pictures in the order of the keys" "$(means Red)" "$(means Redder | tac)"
equal "cells in the order of the files" "$(means Price | paste -sd' ' -)" \
  "20} 19} 18} 17} 16} 15} 14} 13} 12} 11} 10} 9} 8} 7} 6} 5} 4} 3} 2} 1}"
sed 's/^id.*/id,price/; 2s/^[^,]*/nobody/' "$work/prices.csv" > "$work/p2" && cp "$work/prices.csv" "$work/p1" && mv "$work/p2" "$work/prices.csv"
holds "a key that only one has" "$(run ./key)" 'has no row with the id "nobody", which prices.csv has'
sed '3s/^[^,]*/05/; 2s/^[^,]*/05/' "$work/p1" > "$work/prices.csv"
holds "a key twice" "$(run ./key)" 'prices.csv: two rows have the id "05"'
head -3 "$work/p1" > "$work/prices.csv"
holds "unequal counts with a key" "$(run ./key)" 'Pets: 2 rows of prices.csv, but'
sed 's/^id/number/' "$work/p1" > "$work/prices.csv"
holds "no such column" "$(run ./key)" 'has no column "id"'
