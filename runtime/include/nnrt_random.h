// The bits of every random draw, defined once for the compiler's evaluator and for the kernels.
//
// A draw is named by (seed, stream, step, example, element): `stream` is the text that elaborate
// gives each draw (path of the instance + name in the source), `example` the row's number in the
// whole data (0 for draws without rows), `element` counts inside one row, row-major. Its 32 bits
// are word (element % 4) of Philox 4x32-10 (Salmon et al., SC 2011) with
//   key     = { seed, low half of hash(stream) }
//   counter = { element / 4, example, step, high half of hash(stream) }
// bits:    the word as i32.
// uniform: (word >> 8) * 2^-24, in [0, 1).
// normal:  elements 2k and 2k+1 come from words a (even) and b (odd) of the same block:
//          u = ((a >> 8) + 1) * 2^-24 in (0, 1], v = (b >> 8) * 2^-24, r = sqrt(-2 log u);
//          the even one is r cos(2 pi v), the odd one r sin(2 pi v).
#ifndef NNRT_RANDOM_H
#define NNRT_RANDOM_H

#include <stdint.h>

typedef struct {
  uint32_t word[4];
} NnrtRandomBlock;

// FNV-1a, 64 bits.
static inline uint64_t nnrt_stream_hash(const char *stream) {
  uint64_t h = 14695981039346656037ull;
  for (; *stream; stream++)
    h = (h ^ (unsigned char)*stream) * 1099511628211ull;
  return h;
}

static inline NnrtRandomBlock nnrt_philox(uint32_t key0, uint32_t key1, NnrtRandomBlock c) {
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)0xD2511F53u * c.word[0], p1 = (uint64_t)0xCD9E8D57u * c.word[2];
    c = (NnrtRandomBlock){{(uint32_t)(p1 >> 32) ^ c.word[1] ^ key0, (uint32_t)p1,
                           (uint32_t)(p0 >> 32) ^ c.word[3] ^ key1, (uint32_t)p0}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return c;
}

// The block that holds elements 4*quad .. 4*quad+3.
static inline NnrtRandomBlock nnrt_random_block(int32_t seed, uint64_t stream_hash, int32_t step,
                                                int32_t example, uint32_t quad) {
  NnrtRandomBlock counter = {
      {quad, (uint32_t)example, (uint32_t)step, (uint32_t)(stream_hash >> 32)}};
  return nnrt_philox((uint32_t)seed, (uint32_t)stream_hash, counter);
}

#endif
