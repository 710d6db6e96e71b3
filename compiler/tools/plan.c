// --emit=plan: what the runtime will do for a given number of rows, as text: every launch with its
// phase, tiles, operations and bytes, every buffer with its life and place, and the exact peak.
#include "tools/tools.h"

static const char *buffer_name(Arena *arena, const NnrtFunction *f, uint32_t buffer) {
  for (uint32_t i = 0; i < f->n_arg; i++)
    if (f->arg[i].buffer == buffer && f->arg[i].name)
      return f->arg[i].name;
  for (uint32_t i = 0; i < f->n_result; i++)
    if (f->result[i].buffer == buffer && f->result[i].name)
      return f->result[i].name;
  return arena_printf(arena, "b%u", buffer);
}

static void put_count(Text *out, int64_t n) {
  if (n >= 1000) {
    put_count(out, n / 1000);
    text_printf(out, ",%03d", (int)(n % 1000));
  } else
    text_printf(out, "%d", (int)n);
}

static void put_quantity(Text *out, const char *before, double n, const char *after) {
  text_put(out, before);
  put_count(out, (int64_t)(n + 0.5));
  text_put(out, after);
}

static void put_launch(Text *out, const NnrtFunction *f, const NnrtLaunch *l, int64_t n) {
  text_printf(out, "  %4u  %-28s", l->phase, l->name);
  put_quantity(out, " tiles ", (double)nnrt_tiles(l, n), "");
  put_quantity(out, ", operations ", l->flops_fixed + l->flops_per_n * (double)n, "");
  put_quantity(out, ", bytes ", l->bytes_fixed + l->bytes_per_n * (double)n, "\n        ");
  for (uint32_t i = 0; i < l->n_buf; i++)
    text_printf(out, "%s%s",
                i == l->n_read ? " -> "
                : i            ? ", "
                               : "",
                buffer_name(out->arena, f, f->launch_buf[l->buf0 + i]));
  text_put(out, "\n");
}

static void put_buffer(Text *out, const NnrtFunction *f, uint32_t i, int64_t n, int64_t offset) {
  static const char *const kinds[] = {"arena", "argument", "result", "constant", "slice"};
  const NnrtBuffer *b = &f->buffer[i];
  text_printf(out, "  %-28s %-8s", buffer_name(out->arena, f, i), kinds[b->kind]);
  put_quantity(out, " bytes ", (double)(b->fixed + b->per_n * n), "");
  if (b->kind == NNRT_ARENA) {
    put_quantity(out, " at ", (double)offset, "");
    text_printf(out, ", phases %u..%u", b->first, b->last);
  }
  if (b->kind == NNRT_SLICE)
    text_printf(out, " of %s", buffer_name(out->arena, f, b->index));
  if (b->alias != NNRT_NONE)
    text_printf(out, ", in place of %s", buffer_name(out->arena, f, b->alias));
  text_put(out, "\n");
}

static void put_totals(Text *out, const NnrtFunction *f, int64_t n, int64_t peak) {
  double flops = 0, bytes = 0;
  for (uint32_t i = 0; i < f->n_launch; i++) {
    const NnrtLaunch *l = &f->launch[i];
    flops += l->flops_fixed + l->flops_per_n * (double)n;
    bytes += l->bytes_fixed + l->bytes_per_n * (double)n;
  }
  text_printf(out, "%s for %lld rows: %u launches in %u phases\n", f->name, (long long)n,
              f->n_launch, f->n_launch ? f->launch[f->n_launch - 1].phase + 1 : 0);
  put_quantity(out, "  peak ", (double)peak, " bytes");
  put_quantity(out, " and ", (double)nnrt_scratch(f), " for each thread;");
  put_quantity(out, " operations ", flops, ",");
  put_quantity(out, " bytes moved ", bytes, "\n");
}

static void put_function(Text *out, const NnrtFunction *f, int64_t n) {
  int64_t *offset = arena_array(out->arena, int64_t, f->n_buffer + 1);
  int64_t peak = nnrt_plan(f, n, offset);
  put_totals(out, f, n, peak);
  text_put(out, "launches, by phase:\n");
  for (uint32_t i = 0; i < f->n_launch; i++)
    put_launch(out, f, &f->launch[i], n);
  text_put(out, "buffers:\n");
  for (uint32_t i = 0; i < f->n_buffer; i++)
    put_buffer(out, f, i, n, offset[i]);
  text_put(out, "\n");
}

void print_plan(const Module *m, int64_t n, Text *out) {
  for (uint32_t i = 0; i < m->program->n_function; i++)
    put_function(out, &m->program->function[i], n);
}
