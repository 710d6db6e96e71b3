#!/bin/sh
# The pool and the loop over launches under ThreadSanitizer.
cd "$(dirname "$0")/../.." || exit 1
out=${BUILD:-build}/tests/pool_tsan
mkdir -p "$(dirname "$out")"
if ! gcc -fsanitize=thread -std=c11 -O1 -g -D_GNU_SOURCE -Iruntime/include tests/unit/pool.c runtime/core/*.c \
  -o "$out" -lpthread -lm > "$out.log" 2>&1; then
  echo "SKIP pool-tsan: no ThreadSanitizer: $(head -1 "$out.log")"
  exit 0
fi
# setarch: older sanitizers don't cope with much randomness of addresses
if TSAN_OPTIONS=halt_on_error=1 setarch -R "$out" > "$out.log" 2>&1; then
  echo "PASS pool-tsan"
else
  echo "FAIL pool-tsan: $(grep -m1 -E 'WARNING|FAIL|FATAL' "$out.log") (see $out.log)"
fi
