#!/bin/sh
# Texts in folders, one per class (rule 21: classes counted or said), as tokens (rule 32: their number); damaged ones.
work=$BUILD/tests/log/text-folders
rm -rf "$work" && mkdir -p "$work" || exit 1
unset NN_DATA

equal() { # equal WHAT GOT WANTED
  if [ "$2" = "$3" ]; then echo "PASS text-folders/$1"; else echo "FAIL text-folders/$1: $2, should be $3"; fi
}
holds() { # holds WHAT TEXT PART
  case "$2" in *"$3"*) echo "PASS text-folders/$1" ;; *) echo "FAIL text-folders/$1: no \"$3\" in $2" ;; esac
}
run() { (cd "$work" && "$@") 2>&1; }

for part in train test; do
  mkdir -p "$work/films/$part/pos" "$work/films/$part/neg" "$work/films/$part/unsup"
  for word in good great fine; do echo "A $word film, was it not" > "$work/films/$part/pos/$word.txt"; done
  for word in bad awful poor; do echo "A $word film" > "$work/films/$part/neg/$word"; done
  echo "of no class" > "$work/films/$part/unsup/1.txt"
  echo "beside the folders" > "$work/films/$part/urls.txt"
done
printf 'A caf\303\251, at night' > "$work/films/test/neg/poor"
gzip "$work/films/test/pos/fine.txt"
cat > "$work/t.nn" << 'EOF'
use std.layers: Embedding, LSTM, Dense
data Films {
    train = text_folders("films/train", classes = ["pos", "neg"]) |> shuffled(seed = 1)
    test  = text_folders("films/test")
    let tokens = row.text |> lower |> words
    review: index<20>[4] = tokens |> vocabulary(20) |> pad(4, side = pre)
    label: f32 = row.class
    kind: index<kinds> = row.class
    many: f32 = row.length
}
data Letters {
    rows = text_folders("films/train", classes = ["neg"])
    start: index<9>[3] = row.text |> characters |> vocabulary(9) |> pad(3, side = post)
    which: index<_> = row.class
}
model Net(review: index<V>[T]) -> f32 { review |> Embedding(8) |> LSTM(8) |> Dense(1) }
train Fit on Films {
    minimize bce(Net(review), label) with adam(0.02)
    report binary_accuracy(Net(review), label), kinds = 0 * label + Films.kinds
    batch 3; epochs 20
}
predict Show on Films { (review |> text, many, kind, label) }
predict Score on Films { Net(review) }
predict First on Letters { (start |> text, which) }
EOF
run "$NNC" t.nn -o t
holds "a network learns from texts" "$(run ./t --log plain)" "epoch 20/20  loss 0.0"
shown() { block=$1; shift; run ./t predict --log json --load t.safetensors --block "$block" "$@" | paste -sd'|' -; }
equal "rows by class as it is said, then by name; cut, padded, counted" "$(shown Show)" \
  '{"row":0,"text":"film was it not","many":4,"kind":"pos","label":0}|{"row":1,"text":"film was it not","many":4,"kind":"pos","label":0}|{"row":2,"text":"film was it not","many":4,"kind":"pos","label":0}|{"row":3,"text":"a awful film","many":3,"kind":"neg","label":1}|{"row":4,"text":"a bad film","many":3,"kind":"neg","label":1}|{"row":5,"text":"a ? ? ?","many":4,"kind":"neg","label":1}'
equal "characters, one class" "$(shown First)" \
  '{"row":0,"text":"A ?","which":"neg"}|{"row":1,"text":"A ?","which":"neg"}|{"row":2,"text":"A ?","which":"neg"}'
holds "predict takes one text" "$(shown Score films/test/pos/good.txt)" '{"file":"films/test/pos/good.txt","row":0,"Score":-'
holds "which has no class" "$(shown Show films/test/pos/good.txt)" 'one text has no class, but "kind" is read'

# ---- damaged folders and files: while compiling, and when they are read
check() { run "$NNC" check "$1"; } # check FILE
printf 'caf\351' > "$work/films/test/pos/zz.txt"
holds "no UTF-8" "$(run ./t eval)" "films/test/pos/zz.txt: is no UTF-8 text: byte 3 is e9"
mv "$work/films/test/pos/zz.txt" "$work/films/train/pos/zz.txt"
holds "no UTF-8 while compiling" "$(check t.nn)" '"films/train/pos/zz.txt" is no UTF-8 text: byte 3 is e9'
equal "is said once" "$(check t.nn | grep -c 'error\[')" "1"
rm "$work/films/train/pos/zz.txt"
: > "$work/films/test/pos/empty.txt"
holds "an empty text is padding" "$(shown Show)" '"text":"","many":0,"kind":"pos"'
mv "$work/films/train/neg" "$work/films/train/nag"
holds "a class that isn't there" "$(run ./t)" 'films/train: has no folder "neg"'
holds "while compiling" "$(check t.nn)" 'did you mean "nag"?'
mv "$work/films/train/nag" "$work/films/train/neg"
mkdir "$work/empty" "$work/hollow" "$work/hollow/a"
sed 's/films.train", classes = .*"\])/empty")/' "$work/t.nn" > "$work/e.nn"
holds "a folder without folders" "$(check e.nn)" '"empty" holds no folders'
sed 's/films.train", classes = .*"\])/hollow")/' "$work/t.nn" > "$work/e.nn"
holds "folders without files" "$(check e.nn)" 'the folders of "hollow" hold no files'
sed 's/films.train/nowhere/' "$work/t.nn" > "$work/e.nn"
holds "a folder that isn't there" "$(check e.nn)" 'file-needed'
mv "$work/films/train" "$work/films/gone"
holds "or is gone" "$(run ./t)" "films/train: no such data file"
