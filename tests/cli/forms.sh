# Whatever name of the library or of the compiler a user takes, in whatever wrong form (no arguments, too many, of other
# kinds, as a value, where data or an optimizer belong): `nnc check` accepts it or says where it is wrong.
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# The forms: @ is the name. A program each of what is computed, trained, declared and read.
mkdir "$work/form"
n=0
while IFS= read -r value; do
  echo "predict P$n(x: f32[4], p: f32[2, 3], i: index<3>, image: f32[8, 8, 3], b: bool) { $value }"
  n=$((n + 1))
done > "$work/form/values" << 'VALUES'
@
@()
@(x)
@(x, x)
@(x, x, x)
@(x, x, x, x, x, x, x, x, x)
@("text")
@(true)
@(-1)
@(@)
@(b)
@(i, 3)
@(image, 3, 0)
@(p, nonsense = 1)
@(s = x, s = x)
@(zeros)
@((x, p))
@(for k in 0..2 { yield x })
x |> @
x |> @(3)
p |> @(2, relu)
image |> @
image |> @((2, 2), 3)
@(3)(x)
@(x)(x)
@([1, 2])(x)
@(1, 1)(image)
@(x).part
@[0]
@[3]
-@ + 1
x[@]
if @ { x } else { x }
grad(@(x), x)
VALUES

cat > "$work/form/training" << 'TRAINING'
data D { rows = [[1, 2, 3, 4, 1], [4, 3, 2, 1, 0]]; x: f32[4] = row[0..4]; y: index<2> = row[4] }
model M(x: f32[4]) -> f32[2] { param w: f32[4, 2] = zeros; x @@ w }
train A on D { minimize @ with sgd(0.1); steps 1 }
train B on D { minimize @(M(x), y) with sgd(0.1); steps 1 }
train C on D { minimize sum(@(2)(M(x))) with sgd(0.1); steps 1 }
train E on D { minimize sum(M(x)) with @; steps 1 }
train F on D { minimize sum(M(x)) with @(0.1); steps 1 }
train G on D { minimize sum(M(x)) with @("a", @); steps 1 }
train H on D { minimize sum(M(x)) with sgd(@); steps 1 }
train I on D { minimize sum(M(x)) with sgd(@(epoch, 3)); steps 1 }
train J on D { minimize sum(M(x)) over @ with sgd(0.1); steps 1 }
train K on D { minimize sum(M(x)) over M.@ with sgd(0.1); steps 1; report @ }
train L on D { minimize sum(M(x)) with sgd(0.1); steps 1; report @(M(x), y) }
train N on D { minimize sum(M(x)) with sgd(0.1); epochs @; stop when @ }
train O on D { minimize sum(M(x)) with sgd(0.1); steps @(3); batch @; report total(@(M(x), 2)) }
TRAINING

cat > "$work/form/declared" << 'DECLARED'
const a = @, b = @(3), c = [@, @(1)]
let d = @, e = @(4), f = @(4, 4)
config g = @
fn h(x: f32[4]) -> f32[@] { x }
fn j(x: f32[@(2)], @: f32) { @(@) }
fn k(x: f32[4], f: fn = @) { f(x) }
fn l(x: f32[4]) { scan v in x with h = @(x) { h = @(h); yield @(v) } }
layer M(f: layer = @)(x: f32[4]) { param w: f32[3] = @; state s: f32[3] = @(1); s = @(s); x |> f }
layer N(x: f32[4]) { param w: f32[3, 3] = @[3]; let @ = x; @ |> @ }
optimizer O(p, g) { state m = @; p - @(m) }
predict P(x: f32[4]) { (h(x), j(x, 1), k(x), l(x), x |> M, x |> N, d, x |> e, x |> f, a, b, c) }
predict Q(@: f32[4]) { @ }
DECLARED

n=0
while IFS= read -r items; do
  echo "data D$n { $items; y: f32 = 1 }"
  echo "predict P$n on D$n { x }"
  n=$((n + 1))
done > "$work/form/read" << 'READ'
rows = [[1, 2, 3, 4]]; x: _ = @
rows = [[1, 2, 3, 4]]; x: _ = @(row)
rows = [[1, 2, 3, 4]]; x: _ = row[0..4] |> @(2)
rows = [[1, 2, 3, 4]]; x: _ = @(row.image, row.@)
rows = [[1, 2, 3, 4]]; x: f32[4] = @
rows = [[1, 2, 3, 4]]; x: f32[4] = row |> @
rows = [[1, 2, 3, 4]]; x: f32[4] = @[4]; validate = @
rows = @; x: f32 = 1
rows = @(10); x: f32 = 1
rows = for k in 0..4 { yield @(k) }; x: f32 = 1
train = @; x: f32 = 1
train = @("none.csv", "none.csv"); validate = @(0.2); x: f32 = 1
train = csv("none.csv") |> @; x: f32 = 1
train = @(header = 1); x: _ = row
READ

# The names: of the library with what makes them known, of the compiler's functions, of operations, words of data.
for file in stdlib/*/*.nn; do
  module=$(basename "$(dirname "$file")")
  sed -n 's/^\(fn\|layer\|model\|optimizer\|let\|const\) \([A-Za-z_][A-Za-z_0-9]*\).*/\2/p' "$file" |
    if [ "$module" = prelude ]; then cat; else sed "s/.*/& use std.$module: &/"; fi
done > "$work/names"
sed -n 's/^  *{"\([a-z_0-9]*\)", .*/\1/p' compiler/pass/elaborate_builtin.c >> "$work/names"
awk '/^### / { name = $2 } /can be called by its name/ { print name }' lang/OPS.md >> "$work/names"
printf '%s\n' csv idx folders text_folders zip series words each row classes step epoch training count >> "$work/names"

sort -u "$work/names" | awk -v work="$work" '
  BEGIN {
    n = split("values training declared read", kind, " ")
    for (i = 1; i <= n; i++)
      while ((getline line < (work "/form/" kind[i])) > 0) text[i] = text[i] line "\n"
  }
  !($1 in seen) {
    seen[$1]
    for (i = 1; i <= n; i++) {
      program = text[i]
      gsub(/@@/, "\001", program)
      gsub(/@/, $1, program)
      gsub(/\001/, "@", program)
      file = work "/" $1 "." kind[i] ".nn"
      printf "%s\n%s", substr($0, length($1) + 2), program > file
      close(file)
    }
  }'

programs=0 wrong=0
for program in $(ls "$work"/*.nn | awk -v every="${SAN:+3}" 'NR % (every ? every : 1) == 0'); do
  "$NNC" check "$program" > "$program.err" 2>&1
  status=$?
  programs=$((programs + 1))
  case $status in
  0) continue ;;
  1) why="no error that says where" ;;
  *) why="exit status $status" ;;
  esac
  [ $status = 1 ] && grep -q "^$program:[0-9]*:[0-9]*: error\[" "$program.err" && continue
  echo "FAIL forms of $(basename "$program" .nn): $why: $(tail -1 "$program.err")"
  wrong=$((wrong + 1))
done
if grep -l -i 'internal error' "$work"/*.err > "$work/internal"; then
  echo "FAIL forms: internal error: $(sed 's|.*/||; s|\.nn\.err||' "$work/internal" | head -5 | tr '\n' ' ')"
elif [ $wrong = 0 ] && [ $programs -gt 400 ]; then echo "PASS forms: $programs programs in wrong forms"
else echo "FAIL forms: $wrong of $programs programs"; fi
