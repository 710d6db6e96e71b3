#!/bin/sh
# pick(p): an index as often as its probability says, in predict, in a scan and for each example (rule 7).
work=$BUILD/tests/log/pick
rm -rf "$work" && mkdir -p "$work" || exit 1
cat > "$work/t.nn" << 'EOF'
predict P {
    let p = [0.5, 0.3, 0.0, 0.2]
    let (last, all) = scan i in 0..4 with k: index<4> = 0 {
        k = pick(select(iota(4) == k, 0.0, 1.0))
        yield k
    }
    (pick(p), pick(3 * p), all)
}
EOF
"$NNC" "$work/t.nn" -o "$work/t" > "$work/log" 2>&1 &&
  "$work/t" predict --count 20000 --csv "$work/p.csv" > "$work/log" 2>&1 || { echo "FAIL pick: $(head -2 "$work/log")"; exit 0; }
awk -F, -v OFS=, 'NR > 1 { n++; a[$2]++; b[$3]++; both += $2 == $3; k = 0
    for (i = 4; i <= 7; i++) { again += $i == k; k = $i; turn[i - 4, $i]++ } }
  function near(x, y) { return x / n - y < 0.015 && y - x / n < 0.015 }
  function say(what, good) { print (good ? "PASS" : "FAIL") " pick/" what (good ? "" : ": not so, of " n " rows") }
  END {
    say("as often as p says", near(a[0], 0.5) && near(a[1], 0.3) && a[2] == 0 && near(a[3], 0.2))
    say("weights do as well", near(b[0], 0.5) && near(b[1], 0.3) && b[2] == 0 && near(b[3], 0.2))
    say("two are two draws", near(both, 0.25 + 0.09 + 0.04))
    say("never what has no chance, in a scan", again == 0)
    say("afresh in every turn", near(turn[3, 0], 7 / 27))
  }' "$work/p.csv"
