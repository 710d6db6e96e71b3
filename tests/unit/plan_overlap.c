// The memory plan, checked by other means than it is made with: no two buffers that are alive in
// one phase share a byte, slack included; every place is aligned and inside the arena; the same
// input gives the same plan; and the arena is hardly larger than what is alive at once. On random
// sets of buffers and on the tables of random functions.
#include "llvm/codegen.h"
#include "optest.h"
#include "random_graph.h"

#include <stdio.h>
#include <string.h>

enum { PHASES = 20 };

static int64_t bytes_of(const NnrtBuffer *b, int64_t n) {
  return b->fixed + b->per_n * n;
}

static bool is_placed(const NnrtBuffer *b) {
  return b->kind == NNRT_ARENA && b->alias == NNRT_NONE;
}

// Paints every byte (in units of 64) phase by phase: a byte painted twice is shared.
static const char *check_shared(Arena *arena, const NnrtFunction *f, int64_t n,
                                const int64_t *offset, int64_t peak) {
  uint32_t *owner = arena_array(arena, uint32_t, peak / NNRT_ALIGN + 1);
  for (uint32_t phase = 0; phase < PHASES; phase++) {
    memset(owner, 0, sizeof *owner * (size_t)(peak / NNRT_ALIGN));
    for (uint32_t i = 0; i < f->n_buffer; i++) {
      const NnrtBuffer *b = &f->buffer[i];
      if (!is_placed(b) || b->first > phase || b->last < phase)
        continue;
      int64_t end =
          offset[i] + bytes_of(b, n) + NNRT_ALIGN; // the slack is readable: it may not be freed
      for (int64_t line = offset[i] / NNRT_ALIGN; line * NNRT_ALIGN < end; line++) {
        if ((line + 1) * NNRT_ALIGN > peak)
          return "a buffer and its slack end behind the arena";
        if (owner[line])
          return arena_printf(arena, "buffers %u and %u share a byte in phase %u", owner[line] - 1,
                              i, phase);
        owner[line] = i + 1;
      }
    }
  }
  return NULL;
}

static const char *check_places(const NnrtFunction *f, const int64_t *offset) {
  for (uint32_t i = 0; i < f->n_buffer; i++) {
    const NnrtBuffer *b = &f->buffer[i];
    if (is_placed(b) ? offset[i] < 0 || offset[i] % NNRT_ALIGN
                     : b->alias == NNRT_NONE && offset[i] != -1)
      return "a place that is not aligned, or of a buffer outside the arena";
    if (b->alias != NNRT_NONE && offset[i] != offset[b->alias])
      return "a buffer in place is elsewhere";
  }
  return NULL;
}

// What is alive in one phase, at its most.
static int64_t least_peak(const NnrtFunction *f, int64_t n) {
  int64_t most = 0;
  for (uint32_t phase = 0; phase < PHASES; phase++) {
    int64_t sum = 0;
    for (uint32_t i = 0; i < f->n_buffer; i++)
      if (is_placed(&f->buffer[i]) && f->buffer[i].first <= phase && f->buffer[i].last >= phase)
        sum += (bytes_of(&f->buffer[i], n) + NNRT_ALIGN - 1) / NNRT_ALIGN * NNRT_ALIGN + NNRT_ALIGN;
    most = sum > most ? sum : most;
  }
  return most;
}

typedef struct {
  double peak, least; // sums over all plans
} Quality;

static const char *check_plan(Arena *arena, const NnrtFunction *f, int64_t n, Quality *quality) {
  int64_t *offset = arena_array(arena, int64_t, f->n_buffer + 1);
  int64_t *again = arena_array(arena, int64_t, f->n_buffer + 1);
  memset(again, 0x5a, sizeof *again * f->n_buffer); // the plan may not depend on what was there
  int64_t peak = nnrt_plan(f, n, offset);
  if (nnrt_plan(f, n, again) != peak || memcmp(offset, again, sizeof *offset * f->n_buffer))
    return "two plans of the same buffers differ";
  quality->peak += (double)peak;
  quality->least += (double)least_peak(f, n);
  const char *wrong = check_places(f, offset);
  return wrong ? wrong : check_shared(arena, f, n, offset, peak);
}

static uint32_t below(Draw *d, uint32_t n) {
  return (uint32_t)(draw_unit(d) * n);
}

static NnrtFunction random_buffers(Arena *arena, Draw *d) {
  uint32_t n = 1 + below(d, 60);
  NnrtBuffer *buffer = arena_array(arena, NnrtBuffer, n);
  for (uint32_t i = 0; i < n; i++) {
    uint32_t first = below(d, PHASES), last = first + below(d, below(d, 4) ? 4 : PHASES);
    uint32_t scale = 1u << below(d, 15);
    buffer[i] = (NnrtBuffer){.fixed = below(d, 2) ? below(d, scale) : 0,
                             .per_n = below(d, 3) ? below(d, scale / 16 + 1) : 0,
                             .kind = below(d, 6) ? NNRT_ARENA : below(d, 4),
                             .first = first,
                             .last = last < PHASES ? last : PHASES - 1,
                             .alias = NNRT_NONE};
    if (i && below(d, 8) == 0 && buffer[i - 1].alias == NNRT_NONE) {
      buffer[i] = buffer[i - 1];
      buffer[i].alias = i - 1;
    }
  }
  return (NnrtFunction){.name = "random", .buffer = buffer, .n_buffer = n};
}

static void test_random_sets(void) {
  Draw draw = {42};
  Quality quality = {0, 0};
  const char *wrong = NULL;
  char why[256] = "";
  for (int i = 0; i < 500 && !wrong; i++) {
    Arena *arena = arena_create();
    NnrtFunction f = random_buffers(arena, &draw);
    for (int64_t n = 1; n < 200 && !wrong; n = n * 5 + 2)
      wrong = check_plan(arena, &f, n, &quality);
    if (wrong)
      snprintf(why, sizeof why, "set %d: %s", i, wrong);
    arena_destroy(arena);
  }
  report(!wrong, "plan_overlap", "random sets", why);
  snprintf(why, sizeof why, "%.3f of what is alive at once", quality.peak / quality.least);
  report(quality.peak < 1.1 * quality.least, "plan_overlap", "tight", why);
}

static void test_functions(void) {
  Quality quality = {0, 0};
  const char *wrong = NULL;
  char why[256] = "";
  for (uint64_t seed = 1; seed <= 60 && !wrong; seed++) {
    Session *s = session_create();
    Module *m = module_create(s);
    CodegenOptions options = {0};
    random_graph(m, "f", seed, (RandomGraph){.operations = 30, .updates = true});
    pass_layout(m);
    pass_fuse(m);
    pass_schedule(m);
    codegen_tables(m, &options);
    const int64_t rows[] = {1, 7, 32, 33};
    for (int i = 0; i < 4 && !wrong; i++)
      wrong = check_plan(s->perm, &m->program->function[0], rows[i], &quality);
    if (wrong)
      snprintf(why, sizeof why, "seed %llu: %s", (unsigned long long)seed, wrong);
    session_destroy(s);
  }
  report(!wrong, "plan_overlap", "functions", why);
}

// What the runtime adds up by itself: sizes of types, numbers of tiles.
static void test_sizes(void) {
  NnrtType type = {.elem = NNRT_BF16, .rank = 3, .dim = {3, -2, 5}};
  report(nnrt_type_bytes(&type, 7) == 2 * 3 * 14 * 5, "plan_overlap", "type bytes", NULL);
  NnrtLaunch rows = {.tiles_fixed = 4, .tiles_per_n = 3, .rows_per_tile = 16},
             fixed = {.tiles_fixed = 9};
  bool right =
      nnrt_tiles(&rows, 5) == 4 && nnrt_tiles(&rows, 6) == 8 && nnrt_tiles(&fixed, 100) == 9;
  report(right, "plan_overlap", "tiles", NULL);
}

int main(void) {
  test_random_sets();
  test_functions();
  test_sizes();
  return report_status();
}
