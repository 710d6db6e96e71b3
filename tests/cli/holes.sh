# Rule 12: a side of `select` that was not taken sends exactly 0 through every layer, also where it is not a number: what is
# trained is the same, to the bit, as with 0 in place of those inputs.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for filled in 0 1; do
  "$NNC" tests/cli/holes.nn -D filled=$filled -o "$work/t" 2> "$work/err" || echo "FAIL holes: $(head -3 "$work/err")"
  "$work/t" --log json --out "$work/w.safetensors" 2>&1 | sed 's/,"seconds".*//' > "$work/$filled"
done
if ! grep -q '"epoch":4,' "$work/0"; then echo "FAIL holes are trained over: $(tail -1 "$work/0")"
elif cmp -s "$work/0" "$work/1"; then echo "PASS holes change no gradient"
else echo "FAIL holes change no gradient: $(diff "$work/0" "$work/1" | head -4 | tr '\n' ' ')"; fi
