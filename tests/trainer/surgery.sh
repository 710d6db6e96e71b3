#!/bin/sh
# Example B11: a trained network's parts in new ones, by name; what was read, left out and stays as initialised is said.
work=$BUILD/tests/log/surgery
rm -rf "$work" && mkdir -p "$work" || exit 1
unset NN_DATA
for part in first surgery; do
  if ! "$NNC" examples/b11-surgery/$part.nn -o "$work/$part" > "$work/log" 2>&1 ||
    ! (cd "$work" && "./$part" --log plain) > "$work/$part.txt" 2>&1; then
    echo "FAIL surgery/$part: $(cat "$work/log" "$work/$part.txt" | head -3 | tr '\n' ' ')"
    exit 0
  fi
done
said() { # said WHAT TEXT
  if grep -qF "$2" "$work/surgery.txt"; then echo "PASS surgery/$1"; else echo "FAIL surgery/$1: no \"$2\""; fi
}
# reached WHAT BLOCK EPOCH FIGURE LEAST
reached() {
  got=$(sed -n "/^train $2/,/^epoch 5/s/^epoch $3\/.* $4 \([0-9.]*\).*/\1/p" "$work/surgery.txt")
  if awk -v x="$got" -v y="$5" 'BEGIN { exit !(x >= y) }'; then echo "PASS surgery/$1 ($got)"
  else echo "FAIL surgery/$1: $got, should be at least $5"; fi
}
said "all of a network" "weights of lighter: 6 of 6 tensors, 17,226 numbers, from first.safetensors"
said "a part of it, with something new" "weights of normed: 4 of 12 tensors, 16,576 numbers"
said "what stays as initialised" "normed.norm1.gamma: missing, expected F32[128]"
reached "it goes on where it was" Lighter 1 val_accuracy 0.96
reached "a new head on an old trunk" Head 5 val_binary_accuracy 0.96
reached "both together" All 5 val_binary_accuracy 0.97
