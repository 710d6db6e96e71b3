// Random draws: the bits of nnrt_random.h, 64 numbers at a time. A lane is one Philox block, four
// neighbouring numbers; lanes run along the blocks of all rows, so narrow rows fill them too.
#include "kernel.h"
#include "nnrt_random.h"

typedef struct {
  v16u word[4];
} Blocks;

// High and low halves of 16 products by one factor.
KERNEL v16u multiply(v16u x, uint32_t by, v16u *high) {
  typedef uint64_t v8l __attribute__((vector_size(64)));
  const v8l factor = (v8l){0} + by;
  v8l even = ((v8l)x & 0xffffffff) * factor, odd = ((v8l)x >> 32) * factor;
  *high = (v16u)((even >> 32) | (odd & 0xffffffff00000000));
  return x * by;
}

KERNEL Blocks philox(uint32_t key0, uint32_t key1, Blocks c) {
  for (int round = 0; round < 10; round++) {
    v16u high0, high1;
    v16u low0 = multiply(c.word[0], 0xD2511F53u, &high0);
    v16u low1 = multiply(c.word[2], 0xCD9E8D57u, &high1);
    c = (Blocks){{high1 ^ c.word[1] ^ key0, low1, high0 ^ c.word[3] ^ key1, low0}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return c;
}

KERNEL v16f unit(v16u word) { // below 2^24: exact as i32
  return __builtin_convertvector((v16i)(word >> 8), v16f) * 0x1p-24f;
}

// `kind` is a constant where this is inlined.
KERNEL Blocks draw(NnrtRandomKind kind, Blocks w) {
  if (kind == NNRT_RANDOM_UNIFORM)
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++)
      w.word[i] = (v16u)unit(w.word[i]);
  if (kind == NNRT_RANDOM_NORMAL)
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i += 2) {
      v16f r = __builtin_elementwise_sqrt(-2.0f * nnrt_log_f32(unit(w.word[i]) + 0x1p-24f));
      v16f turn = unit(w.word[i + 1]);
      w.word[i] = (v16u)(r * nnrt_cos_turn_f32(turn));
      w.word[i + 1] = (v16u)(r * nnrt_sin_turn_f32(turn));
    }
  return w;
}

KERNEL v16u low(v16u x, v16u y) {
  return __builtin_shufflevector(x, y, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
KERNEL v16u high(v16u x, v16u y) {
  return __builtin_shufflevector(x, y, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
                                 31);
}

// Word j of lane i becomes number 4*i + j.
KERNEL void interleave(Blocks w, uint32_t *out) {
  v16u even_low = low(w.word[0], w.word[2]), odd_low = low(w.word[1], w.word[3]);
  v16u even_high = high(w.word[0], w.word[2]), odd_high = high(w.word[1], w.word[3]);
  *(v16u *)out = low(even_low, odd_low);
  *(v16u *)(out + 16) = high(even_low, odd_low);
  *(v16u *)(out + 32) = low(even_high, odd_high);
  *(v16u *)(out + 48) = high(even_high, odd_high);
}

typedef struct {
  uint32_t seed, step;
  uint64_t hash;
} Stream;

KERNEL Blocks blocks(NnrtRandomKind kind, const Stream *s, v16u quad, v16u example) {
  v16u zero = {0};
  Blocks counter = {{quad, example, zero + s->step, zero + (uint32_t)(s->hash >> 32)}};
  return draw(kind, philox(s->seed, (uint32_t)s->hash, counter));
}

// Numbers [from, to) of one row.
KERNEL void random_row(NnrtRandomKind kind, const Stream *s, uint32_t example, int64_t from,
                       int64_t to, uint32_t *out) {
  const v16u lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  for (int64_t i = from - from % 64; i < to; i += 64) {
    uint32_t part[64], *at = i >= from && i + 64 <= to ? out + i : part;
    interleave(blocks(kind, s, (uint32_t)(i / 4) + lane, (v16u){0} + example), at);
    if (at == part)
      for (int64_t j = i < from ? from - i : 0; j < 64 && i + j < to; j++)
        out[i + j] = part[j];
  }
}

// Whole narrow rows [row0, row1): 16 blocks at a time, across rows.
KERNEL void random_rows(NnrtRandomKind kind, const Stream *s, const int32_t *example, int64_t width,
                        int64_t row0, int64_t row1, uint32_t *out) {
  int64_t quads = (width + 3) / 4, end = row1 * quads;
  for (int64_t first = row0 * quads; first < end; first += LANES) {
    uint32_t quad[LANES], number[LANES], part[4 * LANES];
    for (int64_t i = 0; i < LANES; i++) {
      int64_t at = first + i < end ? first + i : end - 1;
      quad[i] = (uint32_t)(at % quads);
      number[i] = example ? (uint32_t)example[at / quads] : 0;
    }
    interleave(blocks(kind, s, *(const v16u *)quad, *(const v16u *)number), part);
    for (int64_t i = 0; i < LANES && first + i < end; i++)
      for (int64_t j = 0, row = (first + i) / quads; j < 4 && 4 * quad[i] + j < width; j++)
        out[row * width + 4 * quad[i] + j] = part[4 * i + j];
  }
}

EXPORT void nnrt_random_32(NnrtRandomKind kind, int32_t seed, uint64_t hash, int32_t step,
                           const int32_t *example, int64_t width, void *out, int64_t from,
                           int64_t to) {
  Stream s = {(uint32_t)seed, (uint32_t)step, hash};
  if (from >= to)
    return;
  int64_t row = from / width, last = (to - 1) / width;
  if (width < 128 && from % width == 0 && to % width == 0) {
    random_rows(kind, &s, example, width, row, last + 1, out);
    return;
  }
  for (; row <= last; row++) {
    int64_t start = row * width, end = to - start < width ? to - start : width;
    random_row(kind, &s, example ? (uint32_t)example[row] : 0, from > start ? from - start : 0, end,
               (uint32_t *)out + start);
  }
}

EXPORT v16u nnrt_random_lanes(NnrtRandomKind kind, int32_t seed, uint64_t hash, int32_t step,
                              v16u example, v16u element) {
  Stream s = {(uint32_t)seed, (uint32_t)step, hash};
  Blocks w = blocks(kind, &s, element >> 2, example);
  v16i low_bit = (element & 1) != 0, high_bit = (element & 2) != 0;
  v16f first = SELECT(low_bit, w.word[1], w.word[0]),
       second = SELECT(low_bit, w.word[3], w.word[2]);
  return (v16u)SELECT(high_bit, second, first);
}
