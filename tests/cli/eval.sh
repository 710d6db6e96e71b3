# `nnc eval` on a program: its functions, gradients too, in double on a fixed pattern of arguments.
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cat > "$work/p.nn" << 'PROGRAM'
data D { rows = [[1, 2]]; x: f32 = row[0] }
model Net(x: f32) -> f32 { param w: f32 = ones; w * w * x }
train T on D { minimize Net(x) with sgd(0.1); epochs 1 }
predict Third(x: f32) { (x / x / 3, grad(sin(x), x) - cos(x)) }
PROGRAM
got=$("$NNC" eval "$work/p.nn" --function=predict.Third --batch=1 2>&1 | sed 's/.*= //' | tr '\n' ' ')
case $got in
"0.333333333 0 ") echo "PASS eval computes a program in double" ;;
*) echo "FAIL eval computes a program in double: $got" ;;
esac
if "$NNC" eval "$work/p.nn" --function=no.such > "$work/out" 2>&1; then echo "FAIL eval of a function that is not there: status 0"
else echo "PASS eval of a function that is not there"; fi
