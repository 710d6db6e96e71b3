# --emit=dot: the network by layers, and the IR, as Graphviz reads them.
work=$BUILD/tests/log/dot-work
rm -rf "$work" && mkdir -p "$work" || exit 1
command -v nop >/dev/null || echo "SKIP dot: no Graphviz here (apt-get install graphviz)"

# Without Graphviz: every box that an edge names is there, and braces pair.
sound() {
  awk '{ open += gsub(/\{/, "{"); closed += gsub(/\}/, "}") }
    $1 ~ /^[bf][0-9v]+$/ && $2 != "->" { box[$1] = 1 }
    $2 == "->" { from[$1] = 1; sub(/;$/, "", $3); to[$3] = 1 }
    END {
      for (b in from) if (!(b in box)) print "no box " b
      for (b in to) if (!(b in box)) print "no box " b
      if (open != closed) print "braces do not pair"
    }' "$1" | head -3 | tr '\n' ' '
}

for path in $(grep -lE '^(train|predict) ' examples/*/*.nn); do
  for stage in dot dot-ir dot-fuse; do
    if ! $NNC "$path" --emit=$stage -o "$work/out.dot" 2> "$work/said"; then
      wrong=$(head -2 "$work/said" | tr '\n' ' ')
      if [ -z "$NN_DATA" ] && grep -q 'error\[file-needed\]' "$work/said"; then
        echo "SKIP dot $path $stage: no NN_DATA"
        continue
      fi
    else
      wrong=$(sound "$work/out.dot")
      if command -v nop >/dev/null; then
        nop -p "$work/out.dot" > /dev/null 2> "$work/said" || wrong="$wrong nop: $(head -1 "$work/said")"
      fi
    fi
    if [ -z "$wrong" ]; then echo "PASS dot $path $stage"; else echo "FAIL dot $path $stage: $wrong"; fi
  done
done

cat > "$work/nested.nn" <<'NN'
use std.layers: Dense
layer Residual(units: int)(x: f32[n]) -> f32[n] { x + (x |> Dense(units, relu) |> Dense(n)) }
model Net(x: f32[8]) -> f32 { x |> Residual(16) |> Dense(1) }
predict P(x: f32[8]) { Net(x) }
NN
$NNC "$work/nested.nn" --emit=dot > "$work/nested.dot" 2>&1
for wanted in 'cluster Net.residual"' 'label="Dense\\ndense\\nf32\[16\]\\n144 parameters"' 'label="x + ' 'label="x\\nf32\[8\]"'; do
  if grep -q "$wanted" "$work/nested.dot"; then echo "PASS dot nested layers: $wanted"
  else echo "FAIL dot nested layers: no $wanted"; fi
done
