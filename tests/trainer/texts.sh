#!/bin/sh
# `draw text(...)` (rule 36): a sequence of letters as it is read, of the first validation row, in a
# file and on the terminal; sampled by the network it is the same for the same weights (rule 7).
work=$BUILD/tests/log/texts
rm -rf "$work" && mkdir -p "$work" || exit 1

equal() { # equal WHAT GOT WANTED
  if [ "$2" = "$3" ]; then echo "PASS texts/$1"; else echo "FAIL texts/$1: $2, should be $3"; fi
}
lines() { paste -sd'|' -; }

cd "$work" || exit 1
i=0
while [ $i -lt 60 ]; do printf 'abc\ndb'; i=$((i + 1)); done > letters.txt
cat > t.nn << 'EOF'
use std.layers: Embedding, GRU, Dense
data Letters {
    rows = text("letters.txt") |> characters |> windows(13)
    input:  index<letters>[12] = row[..-1]
    target: index<letters>[12] = row[1..]
    validate = last(100)
}
model Next(input: index<V>[T]) -> f32[T, V] { input |> Embedding(8) |> GRU(16, sequences = true) |> Dense(V) }
fn continued(prompt: index<V>[T]) -> index<V>[24] {
    let (_, letters) = scan i in 0..24 with seen = prompt {
        let next = pick(softmax(Next(seen)[-1] * 4))
        seen = concat([seen[1..], [next]])
        yield next
    }
    letters
}
train Next on Letters {
    minimize mean(cross_entropy(Next(input), target)) with adam(0.02)
    draw seen = text(input)
    draw text(continued(input))     every 20 steps
    draw early = continued(input) |> text every 1 epochs
    batch 8; steps 60
}
EOF
"$NNC" t.nn -o t 2> err || { echo "FAIL texts/compiles: $(head -3 err | lines)"; exit 1; }
./t --log plain --pictures drawn > out 2>&1 || echo "FAIL texts/trains: $(tail -2 out | lines)"
equal "files" "$(ls drawn | lines)" "early-0001.txt|early-0002.txt|seen-0002.txt|text-0020.txt|text-0040.txt|text-0060.txt"
# The last 100 of 348 windows: the first of them begins at letter 248, 2 behind a multiple of 6.
equal "a row is written as it is" "$(cat drawn/seen-0002.txt)" "$(tail -c +249 letters.txt | head -c 12)"
equal "the network goes on with it" "$(cat drawn/text-0060.txt)" "$(tail -c +261 letters.txt | head -c 24)"
equal "the terminal shows it" "$(grep -A 5 'text-0060.txt:' out | lines)" "drawn/text-0060.txt:|$(lines < drawn/text-0060.txt)"
cp drawn/text-0020.txt first.txt
./t --log json --pictures drawn > out 2>&1
equal "the same weights write the same" "$(cmp drawn/text-0020.txt first.txt && echo same)" same
equal "a line of JSON" "$(grep -c '^{"file":"drawn/text-0060.txt","text":".*\\u000a.*"}$' out)" 1
