#!/bin/sh
# The inner loops of products as compiled: no spill, no call left, at every CPU level. An inner loop is a
# basic block with at least 8 multiplications of vectors.
cd "$(dirname "$0")/../.." || exit 1
out=${BUILD:-build}/tests/gemm_asm
mkdir -p "$(dirname "$out")"
cat > "$out.c" <<'END'
#include "../../runtime/kernels/gemm.c"
KERNEL v16f bias(v16f acc, const NnrtArgs *args, int64_t row, int64_t col, int32_t lanes) {
  return acc + *(const v16f *)((const float *)args->buf[3] + col) + SPLAT(row + lanes);
}
#define PRODUCT(name, a_m, a_k, b_k, b_n, M, N, K)                                                       \
  void name(const NnrtArgs *x, int64_t from, int64_t to) {                                               \
    nnrt_gemm_f32(x, from, to, x->buf[0], 0, a_m, a_k, x->buf[1], 0, b_k, b_n, x->buf[2], N, M, N, K, 32, \
                  N < 64 ? (N + 15) / 16 * 16 : 64, 1024, b_n != 1, bias);                                               \
  }
PRODUCT(forward, 784, 1, 512, 1, x->n, 512, 784)
PRODUCT(weights, 1, 784, 512, 1, 784, 512, x->n)
PRODUCT(backward, 512, 1, 1, 512, x->n, 784, 512)
PRODUCT(narrow, 512, 1, 10, 1, x->n, 10, 512)
PRODUCT(odd, 37, 1, 100, 1, x->n, 100, 37)
END
for level in 2 3 4; do
  if ! clang-19 -std=gnu11 -O2 -ffp-contract=off -fno-math-errno -fno-trapping-math -mprefer-vector-width=512 \
    -w -DLATE=KERNEL -march=x86-64-v$level -Iruntime/include -I. -iquote tests/kernels -S "$out.c" -o "$out.s"; then
    echo "FAIL gemm-asm/v$level: doesn't compile"
    continue
  fi
  awk -v level=$level '
    function close_block() {
      if (multiplies >= 8) { loops++; if (stack) bad = bad " " name ":" first }
      multiplies = stack = 0
    }
    /^[a-z_0-9]+:/ { name = $1; close_block(); inside = name != "nnrt_gemm_f32:" }
    /^\.L/ { close_block(); first = NR }
    !inside { next }
    /vfmadd|mulps/ { multiplies++ }
    /\(%rsp\)/ { if (!/^[^#]*mov[a-z]*q/ || /xmm|ymm|zmm/) stack++ }
    /\tcall/ { calls++ }
    /\tj[a-z]+\t/ { close_block() }
    END {
      if (calls) print "FAIL gemm-asm/v" level ": " calls " calls are left"
      else if (bad) print "FAIL gemm-asm/v" level ": spills in inner loops of" bad
      else if (loops < 10) print "FAIL gemm-asm/v" level ": only " loops + 0 " inner loops found"
      else print "PASS gemm-asm/v" level " (" loops " inner loops)"
    }' "$out.s"
done
