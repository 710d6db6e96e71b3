#!/bin/sh
# Rows of csv and of texts: steps, names, vocabularies, windows, fitted transforms (rule 19), names counted in
# the file (rule 21), folds (rule 20), variable length (rule 32), forms of predict (rule 35); damaged files.
work=$BUILD/tests/log/data
rm -rf "$work" && mkdir -p "$work" || exit 1

compiled() { # compiled NAME < PROGRAM; the data lies beside it
  cat > "$work/$1.nn"
  "$NNC" "$work/$1.nn" -o "$work/$1" > "$work/$1.log" 2>&1 ||
    echo "FAIL data/$1: $(head -2 "$work/$1.log" | tr '\n' ' ')"
}
ran() { # ran NAME FLAGS: trains; output in NAME.out
  name=$1
  shift
  (cd "$work" && ./"$name" --log plain --out "$name.safetensors" "$@") > "$work/$name.out" 2>&1
}
predicted() { # predicted NAME FLAGS
  name=$1
  shift
  (cd "$work" && ./"$name" predict --log json --load "$name.safetensors" "$@") 2>&1 | paste -sd'|' -
}
equal() { # equal WHAT GOT WANTED
  if [ "$2" = "$3" ]; then echo "PASS data/$1"; else echo "FAIL data/$1: $2, should be $3"; fi
}
holds() { # holds WHAT TEXT PART: the text has this part
  case "$2" in *"$3"*) echo "PASS data/$1" ;; *) echo "FAIL data/$1: no \"$3\" in $2" ;; esac
}

# ---- row steps, recode, names
cat > "$work/pets.csv" << 'EOF'
Id,kind,height,likes fish,weight
1,cat,25,y,4.5
2,"dog",60,n,30
3,cat,NA,y,5
4,bird,10,n,
5,dog,50,"y",20
EOF
compiled pets << 'EOF'
data Pets {
    rows = csv("pets.csv", missing = "NA") |> drop("Id") |> drop_missing
    kind: index<kinds> = row.kind
    fish: f32 = row[2] |> recode(y = 1, n = 0)
    size: f32[2] = row |> without("kind", "likes fish")
    which: f32[_] = row.kind |> one_hot
}
model Net(x: f32[2]) -> f32[Pets.kinds] { param w: f32[2] = zeros; w * x }
train Fit on Pets { minimize sum(Net(size)) with sgd(0.1); epochs 0 }
predict Show on Pets { (kind, fish, size, which) }
EOF
ran pets
equal "rows without missing values, columns left out, recoded, named" "$(predicted pets)" \
  '{"row":0,"kind":"cat","fish":1,"size":[25,4.5],"which":[1,0]}|{"row":1,"kind":"dog","fish":0,"size":[60,30],"which":[0,1]}|{"row":2,"kind":"dog","fish":1,"size":[50,20],"which":[0,1]}'
sed 's/dog/whale/' "$work/pets.csv" > "$work/whales.csv"
holds "another name in the rows is an error with its line" "$(predicted pets whales.csv)" 'line 3, column 2 (kind): "whale"'
sed 's/,n,/,maybe,/' "$work/pets.csv" > "$work/maybe.csv"
holds "another word is no code" "$(predicted pets maybe.csv)" '"maybe", expected one of the words of recode'

# ---- several files
printf 'size,kind\n1,cat\n2,dog\n' > "$work/first.csv"
printf 'size,kind\n3,ant\n6,cat' > "$work/second.csv"
printf 'kind,size\nant,3\n' > "$work/other.csv"
compiled files << 'EOF'
data Files { rows = csv("first.csv", "second.csv"); size: f32 = row.size |> standardize; kind: index<kinds> = row.kind }
model Net(x: f32) -> f32[Files.kinds] { param w: f32[Files.kinds] = zeros; w * x }
train Fit on Files { minimize sum(Net(size)) with sgd(0.1); epochs 1 }
predict Show on Files { (unscaled(size, size), kind) }
EOF
ran files
equal "the rows of several csv files, one after the other" "$(predicted files | sed 's/"row"://g; s/"unscaled"://g')" \
  '{0,1,"kind":"cat"}|{1,2,"kind":"dog"}|{2,3,"kind":"ant"}|{3,6,"kind":"cat"}'
equal "predict on a file of its own" "$(predicted files second.csv | cut -c1-41)" '{"file":"second.csv","row":0,"unscaled":3'
holds "other columns are an error while compiling" \
  "$(sed 's/second/other/' "$work/files.nn" > "$work/unlike.nn"; "$NNC" check "$work/unlike.nn" 2>&1)" 'column 0 of'
mv "$work/other.csv" "$work/second.csv"
ran files
holds "and when they are read" "$(cat "$work/files.out")" "second.csv: its columns are not those of"

# ---- blanks, tabs, quotes
printf '  1.5   2\t"a b"\n -3e1 4  "c"\n' > "$work/blank.data"
compiled blank << 'EOF'
data B { rows = csv("blank.data", header = false, separator = " "); x: f32[2] = row[0..2]; name: index<_> = row[2] }
model Net(x: f32[2]) -> f32[2] { param w: f32[2] = zeros; w * x }
train Fit on B { minimize sum(Net(x)) with sgd(0.1); epochs 0 }
predict Show on B { (x, name) }
EOF
ran blank
equal "several blanks and tabs are one" "$(predicted blank)" \
  '{"row":0,"x":[1.5,2],"name":"a b"}|{"row":1,"x":[-30,4],"name":"c"}'

# ---- fitted transforms
printf 'x,y\n1,10\n2,20\n3,\n6,30\n100,1000\n' > "$work/fit.csv"
compiled fit << 'EOF'
data F {
    rows = csv("fit.csv")
    x: f32 = row.x |> standardize
    least: f32 = row.x |> min_max
    y: f32 = row.y |> fill(mean)
    validate = last(1)
}
model Net(x: f32) -> f32 { param w: f32 = zeros; w * x }
train Fit on F { minimize Net(x) + Net(y) + Net(least) with sgd(0.0); epochs 1 }
predict Show on F { (x, least, y, unscaled(x, x), y |> unscaled(x)) }
EOF
sed 's/unscaled(x, x)/unscaled(x, y)/' "$work/fit.nn" > "$work/unfit.nn"
holds "unscaled of what is not scaled is an error" "$("$NNC" check "$work/unfit.nn" 2>&1)" '`y` is not scaled'
ran fit
equal "estimates are of the training rows alone" "$(predicted fit --split validate | cut -c1-80)" \
  '{"row":0,"x":51.8486786,"least":19.7999992,"y":1000,"unscaled":100,"unscaled":18'
holds "missing values take the mean" "$(predicted fit --split train)" '"y":20,'
holds "the estimates are saved with the weights" "$(head -c 600 "$work/fit.safetensors" | tr -d '\0')" '"F.x.deviation"'

# ---- windows of a column and of a text
printf 'time,flow\na,0\nb,5\nc,10\nd,5\ne,20\n' > "$work/flow.csv"
compiled flow << 'EOF'
data Flow {
    rows = csv("flow.csv").flow |> min_max |> windows(past = 2, next = 1)
    past: f32[2] = row.past
    next: f32[1] = row.next
    validate = last(1)
}
model Net(x: f32[2]) -> f32[1] { param w: f32[2] = zeros; [sum(w * x)] }
train Fit on Flow { minimize sum(Net(past) * next) with sgd(0.0); epochs 1 }
predict Show on Flow { (past, next, unscaled(next, next)) }
EOF
ran flow
equal "windows of the scaled series" "$(predicted flow --split train)" \
  '{"row":0,"past":[0,0.5],"next":[1],"unscaled":[10]}|{"row":1,"past":[0.5,1],"next":[0.5],"unscaled":[5]}'
equal "the series is scaled by its training part" "$(predicted flow --split validate)" \
  '{"row":0,"past":[1,0.5],"next":[2],"unscaled":[20]}'
printf 'abca\303\251\nb' > "$work/letters.txt"
compiled letters << 'EOF'
data Text {
    rows = text("letters.txt") |> characters |> windows(3, step = 2)
    before: index<letters>[2] = row[..-1]
    after: index<letters> = row[-1]
}
model Net(x: index<V>[T]) -> f32[V] { param w: f32[V] = zeros; w + sum(one_hot(x), axis = 0) }
train Fit on Text { minimize cross_entropy(Net(before), after) with sgd(0.0); epochs 1 }
predict Show on Text { (before |> text, after) }
EOF
ran letters
equal "windows of characters, counted in the file" "$(predicted letters)" \
  '{"row":0,"text":"ab","after":"c"}|{"row":1,"text":"ca","after":"é"}|{"row":2,"text":"é\u000a","after":"b"}'
printf 'abcz' > "$work/letters.txt"
ran letters
holds "a character that was not counted is an error" "$(cat "$work/letters.out")" '"z" at byte 3 is not among'
printf 'ab' > "$work/letters.txt"
ran letters
holds "a text shorter than a window is an error" "$(cat "$work/letters.out")" 'less than a window of 3'

# ---- words
printf '1\tThe cat, the "dog" \303\240 the\n0\tcat\n1\t\n0\tthe end of a long line, longer\n' > "$work/words.tsv"
compiled words << 'EOF'
data W {
    rows = csv("words.tsv", header = false, separator = "\t", quotes = false)
    let tokens = row[1] |> lower |> words
    front: index<5>[3] = tokens |> vocabulary(5) |> pad(3, side = pre)
    back: index<5>[3]  = tokens |> vocabulary(5) |> pad(3, side = post)
    many: f32 = row.length
}
model Net(x: index<V>[T]) -> f32 { param w: f32[V] = zeros; sum(w[x]) }
train Fit on W { minimize Net(front) + Net(back) with sgd(0.0); epochs 1 }
predict Show on W { (front, back, many, front |> text) }
EOF
ran words
equal "words are numbered by frequency, padded or cut" "$(predicted words | sed 's/,"text":/:/g')" \
  '{"row":0,"front":[1,1,2],"back":[2,3,2],"many":3:"? ? the"}|{"row":1,"front":[0,0,3],"back":[3,0,0],"many":1:"cat"}|{"row":2,"front":[0,0,0],"back":[0,0,0],"many":0:""}|{"row":3,"front":[1,1,1],"back":[2,1,1],"many":3:"? ? ?"}'

# ---- folds, keep
compiled folds << 'EOF'
data Line { rows = generated(20); x: f32 = row / 20.0; y: f32 = 2 * x; validate = kfold(4) }
model Net(x: f32) -> f32 { param w: f32 = normal; w * x }
train Fit on Line { minimize (Net(x) - y) ^ 2 with sgd(0.1); report w = Net.w; epochs 3; batch 5 }
EOF
ran folds
equal "every fold, the mean, a last run on all rows" "$(sed 's/  .*//' "$work/folds.out" | paste -sd'|' -)" \
  'fold 1/4|fold 2/4|fold 3/4|fold 4/4|4 folds|last, on all rows:|epoch 1/3|epoch 2/3|epoch 3/3|weights saved to folds.safetensors'
compiled keep << 'EOF'
data Line { rows = [[1, 1], [1, 1], [1, 1]]; x: f32 = row[0]; validate = last(1) }
model Net(x: f32) -> f32 { param w: f32 = zeros; w * x }
train Fit on Line { minimize 0 - Net(x) with sgd(1.0); report off = abs(Net(x) - 3); keep best(val.off); epochs 6; batch 2 }
predict Show on Line { Net(x) }
EOF
ran keep
holds "the best epoch is named" "$(cat "$work/keep.out")" "kept: the weights after epoch 3"
equal "its weights are saved" "$(predicted keep --split validate)" '{"row":0,"Show":3}'

# ---- clip acts on the gradients together, before the optimizer
compiled clip << 'EOF'
model A() -> f32 { param w: f32 = zeros; w }
model B() -> f32 { param w: f32 = zeros; w }
train T { minimize 3 * A() + 4 * B() with sgd(1.0); report a = A.w, b = B.w; clip norm(0.5); steps 2; log every(1) }
train U { minimize 3 * A() + 0.1 * B() with sgd(1.0); report a = A.w, b = B.w; clip value(0.5); steps 2; log every(1) }
EOF
ran clip
equal "by norm, by value" "$(sed -n 's/^step 2.*  a \([-0-9.]*\)  b \([-0-9.]*\)$/\1 \2/p' "$work/clip.out" | paste -sd'|' -)" \
  '-0.3000 -0.4000|-1.1000 -0.9000'

# ---- damaged files
bad() { # bad WHAT FILE PART: predict on this file says so
  holds "$1" "$(predicted pets "$2")" "$3"
}
: > "$work/empty.csv"
printf 'Id,kind,height\n1,cat,2\n' > "$work/narrow.csv"
printf 'Id,kind,height,likes fish,weight\n1,cat,2\n' > "$work/short.csv"
printf 'Id,kind,height,likes fish,weight\n1,"cat,2,y,3\n' > "$work/open.csv"
printf 'Id,kind,height,likes fish,weight\n1,"cat"x,2,y,3\n' > "$work/after.csv"
printf 'Id,kind,height,likes fish,weight\n1,cat,tall,y,3\n' > "$work/tall.csv"
printf 'Id,kind,height,likes fish,weight\n1,cat,NA,y,3\n' > "$work/none.csv"
head -c 300 /dev/urandom > "$work/noise.csv"
bad "an empty file" empty.csv "is empty"
bad "a column that is not there" narrow.csv "has no column"
bad "a short line" short.csv "line 2 has 3 columns"
bad "a quote that stays open" open.csv "opened but not closed"
bad "text behind a quote" after.csv "text after the closing quote"
bad "text for a number" tall.csv '"tall", expected a number'
bad "all rows left out" none.csv "there are no rows"
bad "noise" noise.csv "error"

# ---- weight (rule 2): sum(w * l) / sum(w), also over an epoch
figure() { sed -n "s/^$2.*  $3 \([-0-9.]*\).*/\1/p" "$work/$1.out" | paste -sd' ' -; } # figure NAME LINE FIGURE
compiled weight << 'EOF'
data D { rows = [[1, 1], [2, 3], [6, 0]]; x: f32 = row[0]; w: f32 = row[1] }
model Net() -> f32 { param p: f32 = zeros; p }
train Fit on D { minimize x * (1 + 0.0 * Net()) + Net() * x with sgd(1.0); report p = Net.p, mean = x; weight w; epochs 1; batch 3 }
EOF
ran weight
equal "the loss is the weighted mean, reports are means" "$(figure weight epoch loss) $(figure weight epoch mean)" "1.7500 3.0000"
sed 's/batch 3/batch 2/' "$work/weight.nn" | sed 's/sgd(1.0)/sgd(0.0)/' | compiled weights
ran weights
equal "of an epoch, too, not of its batches" "$(figure weights epoch loss)" "1.7500"

# ---- accumulate (rule 28): as one batch
for how in "batch 6" "batch 2; accumulate 3" "batch 1; accumulate 6; clip norm(1.0)" "batch 6; clip norm(1.0)"; do
  compiled joined << EOF
data D { rows = generated(12); x: f32 = row / 12.0; w: f32 = select(row % 3 == 0, 2.0, 0.5) }
model Net(x: f32) -> f32 { param a: f32 = 0.5, b: f32 = 0; a * x + b }
train Fit on D { minimize (Net(x) - 3 * x) ^ 2 with adam(0.1); report a = Net.a, b = Net.b; weight w; epochs 3; $how }
predict Show(x: f32) { (Net(x), Net.a + 0 * x) }
EOF
  ran joined
  printf '1\n' > "$work/one.csv"
  result=$(predicted joined one.csv | cut -c1-70)
  case "$how" in
  "batch 6") plain=$result ;;
  "batch 2"*) equal "three batches of two are one of six" "$result" "$plain" ;;
  "batch 1"*) clipped=$result ;;
  *) equal "clip acts on the gradients of all" "$clipped" "$result" ;;
  esac
done

# ---- data from data (rule 33): the same rows, the same draws
compiled from << 'EOF'
data All { rows = generated(5); let a = row + 1.0; x: f32 = a; y: f32 = normal; validate = last(1) }
data Few from All { x: _; y: _; take = first(1) }
data Others from All { y: _; take = rest(1); let b = 2 * a; z: f32 = b }
model Net(x: f32) -> f32 { param w: f32 = zeros; w * x }
train Fit on Few { minimize Net(x) with sgd(0.0); report x = x; epochs 1 }
train More on Others { minimize Net(z) with sgd(0.0); report z = z; epochs 1 }
predict A on All { (x, y) }
predict F on Few { (x, y) }
predict O on Others { (y, z) }
EOF
ran from
equal "a part of the training rows, the validation rows of all" "$(figure from epoch x) $(figure from epoch val_x) $(figure from epoch z)" "1.0000 5.0000 6.0000"
equal "its draws are those of the rows" "$(predicted from --block F --split train)" "$(predicted from --block A --split train | sed 's/|.*//')"
equal "the rest" "$(predicted from --block O --split train | grep -o '"z":[0-9]*' | paste -sd' ' -)" '"z":4 "z":6 "z":8'

# ---- idx files one after the other
printf '\0\0\10\1\0\0\0\2\5\6' > "$work/a.idx"
printf '\0\0\10\1\0\0\0\3\7\10\11' | gzip > "$work/b.idx.gz"
printf '\0\0\10\2\0\0\0\1\0\0\0\2\7\10' > "$work/pair.idx"
compiled sets << 'EOF'
data Both { rows = idx("a.idx", "a.idx") + idx("b.idx.gz", "b.idx.gz") + idx("a.idx", "a.idx"); x: f32 = row[0]; y: index<10> = row[1] }
predict P on Both { (x, y) }
EOF
joined() { (cd "$work" && ./sets predict --log json) 2>&1 | grep -o '"x".*[0-9]' | paste -sd' ' - ; }
equal "the rows of several sets of idx files" "$(joined)" '"x":5,"y":5 "x":6,"y":6 "x":7,"y":7 "x":8,"y":8 "x":9,"y":9 "x":5,"y":5 "x":6,"y":6'
cp "$work/b.idx.gz" "$work/kept" && gzip -c "$work/pair.idx" > "$work/b.idx.gz"
equal "a set with other records is an error" "$(cd "$work" && ./sets predict 2>&1)" \
  'sets: error: b.idx.gz: each row is 2 of type 08, but in a.idx one number of type 08'
cp "$work/kept" "$work/b.idx.gz"

compiled unlabelled << 'EOF'
data D { train = idx("a.idx", "a.idx"); test = idx("b.idx.gz"); x: f32 = row[0]; y: f32 = row[1] }
model Net(x: f32) -> f32 { param w: f32 = zeros; w * x }
train Fit on D { minimize mse(Net(x), y) with sgd(0.0); epochs 1 }
predict P on D { x }
EOF
ran unlabelled
equal "test rows without labels are good for predict" "$(predicted unlabelled --split test | grep -o '"P":[0-9]*' | paste -sd' ' -)" '"P":7 "P":8 "P":9'
equal "eval says what they lack" "$(cd "$work" && ./unlabelled eval --load unlabelled.safetensors 2>&1)" \
  'unlabelled: error: b.idx.gz: a record has 1 file here, "y" is in number 2'

# Names in formulas are those of the file in which they stand.
cat > "$work/base.nn" << 'EOF'
const factor = 2
fn moved(x: f32) -> f32 { x + 1 }
data Base { rows = [[1], [2]]; let twice = row[0] * factor; x: f32 = moved(twice) }
EOF
compiled beside << 'EOF'
use "base.nn": Base
const factor = 10
fn moved(x: f32) -> f32 { x * factor }
data Own from Base { x: _; let more = moved(twice); y: f32 = more + x }
data Owner from Own { x: _ = x - factor; y: _ }
predict P on Own { (x, y) }
predict Q on Owner { (x, y) }
EOF
equal "formulas from another file mean what they mean there" "$(for b in P Q; do "$work/beside" predict --block $b --log json 2>&1; done | paste -sd'|' -)" \
  '{"row":0,"x":3,"y":23}|{"row":1,"x":5,"y":45}|{"row":0,"x":-7,"y":23}|{"row":1,"x":-5,"y":45}'
