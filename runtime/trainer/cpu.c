// What this CPU can do: which program of the executable runs here, and how fast its FMA units are.
#include <cpuid.h>
#include <immintrin.h>
#include "trainer.h"

enum { XMM_YMM = 0x06, XMM_YMM_ZMM = 0xe6 };

// Vector registers that the operating system saves.
static uint64_t saved_registers(uint32_t leaf1_ecx) {
  uint32_t low, high;
  if (!(leaf1_ecx & bit_OSXSAVE))
    return 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

// The levels of the x86-64 psABI.
int cpu_level(void) {
  uint32_t a, b = 0, c = 0, d, b7 = 0, c7, ext = 0, unused;
  if (!__get_cpuid(1, &a, &b, &c, &d))
    return 1;
  if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d))
    b7 = 0;
  if (!__get_cpuid(0x80000001, &a, &unused, &ext, &d))
    ext = 0;
  uint64_t saved = saved_registers(c);
  uint32_t v2 = bit_SSE3 | bit_SSSE3 | bit_SSE4_1 | bit_SSE4_2 | bit_POPCNT | bit_CMPXCHG16B;
  uint32_t v3 = bit_AVX | bit_FMA | bit_F16C | bit_MOVBE;
  uint32_t v3_7 = bit_AVX2 | bit_BMI | bit_BMI2;
  uint32_t v4_7 = bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL;
  if ((c & v2) != v2 || !(ext & bit_LAHF_LM))
    return 1;
  if ((c & v3) != v3 || (b7 & v3_7) != v3_7 || !(ext & bit_ABM) || (saved & XMM_YMM) != XMM_YMM)
    return 2;
  return (b7 & v4_7) == v4_7 && (saved & XMM_YMM_ZMM) == XMM_YMM_ZMM ? 4 : 3;
}

const NnrtProgram *cpu_choose(const NnrtProgram *const *programs, Failure *failure) {
  int level = cpu_level();
  uint32_t least = UINT32_MAX;
  for (; *programs; programs++) {
    if ((*programs)->abi != NNRT_ABI || (*programs)->bytes != sizeof **programs) {
      failf(failure, "the program's tables are of version %u, its runtime is of version %d",
            (*programs)->abi, NNRT_ABI);
      return NULL;
    }
    if ((*programs)->cpu_level <= (uint32_t)level)
      return *programs;
    least = (*programs)->cpu_level < least ? (*programs)->cpu_level : least;
  }
  failf(failure,
        "this executable needs a CPU of level x86-64-v%u, this one is x86-64-v%d; compile the "
        "program with --cpu=x86-64-v%d or --cpu=all",
        least, level, level < 2 ? 2 : level);
  return NULL;
}

// ---- Peak: independent chains of multiply-adds in registers -----------------------------------

enum { CHAINS = 12, TURNS = 20000 };

__attribute__((target("avx512f"))) static float chains_v4(void) {
  __m512 x[CHAINS], factor = _mm512_set1_ps(0.999f);
  for (int i = 0; i < CHAINS; i++)
    x[i] = _mm512_set1_ps((float)i);
  for (int turn = 0; turn < TURNS; turn++) {
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++)
      x[i] = _mm512_fmadd_ps(x[i], factor, factor);
  }
  float sum = 0;
  for (int i = 0; i < CHAINS; i++)
    sum += _mm512_cvtss_f32(x[i]);
  return sum;
}

__attribute__((target("avx2,fma"))) static float chains_v3(void) {
  __m256 x[CHAINS], factor = _mm256_set1_ps(0.999f);
  for (int i = 0; i < CHAINS; i++)
    x[i] = _mm256_set1_ps((float)i);
  for (int turn = 0; turn < TURNS; turn++) {
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++)
      x[i] = _mm256_fmadd_ps(x[i], factor, factor);
  }
  float sum = 0;
  for (int i = 0; i < CHAINS; i++)
    sum += _mm256_cvtss_f32(x[i]);
  return sum;
}

static float chains_v2(void) {
  __m128 x[CHAINS], factor = _mm_set1_ps(0.999f);
  for (int i = 0; i < CHAINS; i++)
    x[i] = _mm_set1_ps((float)i);
  for (int turn = 0; turn < TURNS; turn++) {
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++)
      x[i] = _mm_add_ps(_mm_mul_ps(x[i], factor), factor);
  }
  float sum = 0;
  for (int i = 0; i < CHAINS; i++)
    sum += _mm_cvtss_f32(x[i]);
  return sum;
}

double cpu_peak_gflops(uint32_t level) {
  uint32_t lanes = level >= 4 ? 16 : level == 3 ? 8 : 4;
  double best = 0;
  volatile float keep;
  for (int attempt = 0; attempt < 20; attempt++) { // the best: other processes only slow it down
    double start = seconds_now();
    keep = level >= 4 ? chains_v4() : level == 3 ? chains_v3() : chains_v2();
    double rate = 2.0 * lanes * CHAINS * TURNS / (seconds_now() - start) * 1e-9;
    best = rate > best ? rate : best;
  }
  (void)keep;
  return best;
}
