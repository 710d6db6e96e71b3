#!/bin/sh
# The programs that the language was designed by (tests/syntax/programs), on small data of the same kinds: each is
# checked, compiled, trained for a step and asked for a prediction. Those with faults of their own are corrected
# copies in tests/cli/programs, whose first line says what was wrong. Left out: soft-words.nn, which is syntax
# alone.
work=$BUILD/tests/log/programs
rm -rf "$work" && mkdir -p "$work" || exit 1
command -v python3 > /dev/null || { echo "SKIP programs: no python3"; exit 0; }
cp tests/syntax/programs/*.nn "$work" && cp tests/cli/programs/*.nn "$work" && python3 tests/cli/programs/data.py "$work" || exit 1
cd "$work" || exit 1
export NN_DATA=$work
[ "${NN_DATA#/}" = "$NN_DATA" ] && NN_DATA=$PWD

failed() { echo "FAIL programs/$1: $2: $(grep -v '^ ' "$1.log" | head -3 | tr '\n' ' ')"; }
checked() { # checked NAME [-D NAME=VALUE]...
  name=$1
  shift
  if "$NNC" check "$name.nn" "$@" > "$name.log" 2>&1; then echo "PASS programs/$name: check"; else failed "$name" check; fi
}
compiled() { # compiled NAME [-D NAME=VALUE]...
  name=$1
  checked "$@"
  shift
  if "$NNC" "$name.nn" -o "$name" "$@" > "$name.log" 2>&1; then return 0; fi
  failed "$name" compile
  return 1
}
trained() { # trained NAME [-D NAME=VALUE]...
  compiled "$@" || return 1
  if "./$name" --steps 1 --log plain --out "$name.safetensors" > "$name.log" 2>&1
  then echo "PASS programs/$name: train"; else failed "$name" train; fi
}
predicted() { # predicted NAME FLAGS
  name=$1
  shift
  if "./$name" predict --limit 2 "$@" > "$name.log" 2>&1; then echo "PASS programs/$name: predict $*"; else failed "$name" "predict $*"; fi
}

# Declarations alone.
for name in adam lstm c3-cells; do checked $name; done
# Networks of many millions of parameters.
for name in b9-transfer b10-features b14-dream; do checked $name; done

for name in a11-trial a13-houses a3-line a4-mlp-by-hand b4-ensemble b7-pets c2-traffic c1b-text d3-gan d5-pseudo regularised \
  wgan-batchnorm; do trained $name; done
for name in a1-logic a9-votes c4-reverse d2-vae digits; do trained $name && predicted $name --load $name.safetensors; done
trained c6-gpt -D layers=1 -D heads=2 -D width=8 -D context=16 && predicted c6-gpt --load c6-gpt.safetensors

compiled b1-filters && predicted b1-filters --block Maps && predicted b1-filters --block Worked --count 1
if compiled layers; then
  if ./layers summary > layers.log 2>&1; then echo "PASS programs/layers: summary"; else failed layers summary; fi
fi
compiled b15-explain && for block in Saliency GradCam Adversary OnePixel; do
  predicted b15-explain --block $block --load digits.safetensors
done
exit 0
