// does:   orders the groups, cuts them into tiles, and puts them into phases: what shares a phase
// needs
//         no barrier between
// needs:  groups in an order in which they could run
// leaves: the same groups sorted by phase, with attributes `tile` and `phase`
// cost:   quadratic in groups at worst (who overwrites what)
//
// Tiles follow from shapes alone, never from the number of threads: the same bits for any number.
#include "nnrt_gemm.h"
#include "ops/op.h"
#include "pass/groups.h"

#include <string.h>

enum {
  TYPICAL_ROWS = 128,
  LOOP_TILES = 16,    // enough for several threads
  LOOP_LEAST = 2048,  // elements: a tile that is worth being one
  LOOP_MOST = 16384,  // elements: a tile of a few arrays stays in L2
  ROW_WORK = 1024,    // elements of a tile of rows
  COLUMN_WORK = 4096, // elements of a tile of columns
  KERNEL_WORK = 4096,
};

static Dim estimate(Dim d) {
  return d < 0 ? -d * TYPICAL_ROWS : d;
}

static Dim round_up(Dim n, Dim to) {
  return (n + to - 1) / to * to;
}

// ---- tiles --------------------------------------------------------------------------------------

static Dim loop_tile(Dim count) {
  Dim tile = round_up(estimate(count) / LOOP_TILES, 64);
  return tile < LOOP_LEAST ? LOOP_LEAST : tile > LOOP_MOST ? LOOP_MOST : tile;
}

static Dim row_tile(Dim columns) {
  Dim rows = ROW_WORK / (estimate(columns) ? estimate(columns) : 1);
  return rows < 1 ? 1 : rows >= 16 ? rows / 16 * 16 : rows;
}

static Dim column_tile(Dim rows) {
  Dim columns = COLUMN_WORK / (estimate(rows) ? estimate(rows) : 1);
  return columns < 16 ? 16 : columns > 1024 ? 1024 : columns / 16 * 16;
}

// Whole rows of the result: gather and scatter_add work by row.
static Dim kernel_tile(const Type *result) {
  Dim width = result->rank > 1 ? result->dim[result->rank - 1] : 1;
  if (width <= 0)
    width = 1;
  return width >= KERNEL_WORK ? width : KERNEL_WORK / width * width;
}

// The product whose gradient of a weight this loop works on, if it is a loop over one: NULL if not.
// Such an update takes the product's tiles: a thread then updates what it has just made, and
// neither weights nor optimizer state wander from one core's cache to the other's.
static const Inst *product_before(const Inst *loop) {
  const Type *space = &loop->result[0]->type;
  if (space->rank != 2 || space->dim[0] < 0 || space->dim[1] < 0)
    return NULL;
  for (uint32_t i = 0; i < loop->n_results; i++)
    if (!type_same_shape(&loop->result[i]->type, space))
      return NULL;
  for (uint32_t i = 0; i < loop->n_args; i++) {
    const Inst *def = loop->arg[i]->def;
    if (def && def->op == OP_group && group_kind(def) == G_DOT &&
        type_same_shape(&loop->arg[i]->type, space))
      return def;
  }
  return NULL;
}

static Attr group_tile(Arena *arena, const Inst *group) {
  GroupShape s = group_shape(group);
  Dim tile[2] = {0, 0};
  switch (s.kind) {
  case G_LOOP: {
    const Inst *product = product_before(group);
    if (product)
      return group_tile(arena, product);
    tile[0] = loop_tile(s.rows);
    break;
  }
  case G_ROW:
    tile[0] = row_tile(s.columns);
    break;
  case G_COLUMN:
    tile[0] = column_tile(s.rows);
    break;
  case G_DOT: {
    NnrtGemmTile t = nnrt_gemm_tile(s.rows, s.columns, s.depth, s.packed);
    tile[0] = t.rows, tile[1] = t.cols;
    break;
  }
  case G_KERNEL:
    tile[0] = kernel_tile(&group->result[0]->type);
    break;
  }
  return attr_dims(arena, tile, s.kind == G_DOT ? 2 : 1);
}

// ---- phases -------------------------------------------------------------------------------------

typedef struct {
  Function *f;
  Inst **group;
  uint32_t n;
  int64_t *phase;   // by place in group[]
  uint32_t *place;  // by Value.id: the group that makes it, or UINT32_MAX
  uint32_t *writer; // by Value.id of an argument: the group that overwrites it, or UINT32_MAX
} Schedule;

static uint32_t argument_id(const Function *f, const Port *port) {
  for (uint32_t i = 0; i < f->body->n_arg; i++)
    if (f->arg_port[i].role == port->role && f->arg_port[i].index == port->index)
      return f->body->arg[i]->id;
  return UINT32_MAX;
}

static void fill_tables(Schedule *s, Arena *arena) {
  Function *f = s->f;
  ir_number(f);
  uint32_t n = f->body->n_arg;
  for (const Inst *i = f->body->first; i; i = i->next) {
    n += i->n_results;
    s->n += i->op == OP_group;
  }
  s->group = arena_array(arena, Inst *, s->n + 1);
  s->phase = arena_array(arena, int64_t, s->n + 1);
  s->place = arena_array(arena, uint32_t, n + 1);
  s->writer = arena_array(arena, uint32_t, n + 1);
  memset(s->place, 0xff, sizeof *s->place * n);
  memset(s->writer, 0xff, sizeof *s->writer * n);
  uint32_t k = 0;
  for (Inst *i = f->body->first; i; i = i->next)
    if (i->op == OP_group) {
      for (uint32_t r = 0; r < i->n_results; r++)
        s->place[i->result[r]->id] = k;
      s->group[k++] = i;
    }
  for (uint32_t i = 0; i < f->n_result; i++) {
    uint32_t old = argument_id(f, &f->result_port[i]);
    if (old != UINT32_MAX)
      s->writer[old] = s->place[f->body->last->arg[i]->id];
  }
}

// As early as what it reads allows, and after all readers of what it overwrites.
static void set_earliest(Schedule *s) {
  for (uint32_t g = 0; g < s->n; g++) {
    const Inst *group = s->group[g];
    for (uint32_t k = 0; k < group->n_args; k++) {
      uint32_t made = s->place[group->arg[k]->id];
      if (made != UINT32_MAX && s->phase[made] >= s->phase[g])
        s->phase[g] = s->phase[made] + 1;
    }
    for (uint32_t r = 0; r < s->n; r++)
      for (uint32_t k = 0; k < s->group[r]->n_args; k++) {
        bool before = r != g && s->writer[s->group[r]->arg[k]->id] == g;
        if (before && r > g)
          ice("schedule: a group of %s overwrites what a later one reads", s->f->name);
        if (before && s->phase[r] >= s->phase[g])
          s->phase[g] = s->phase[r] + 1;
      }
  }
}

static bool reads_only_arguments(const Schedule *s, const Inst *group) {
  for (uint32_t k = 0; k < group->n_args; k++)
    if (s->place[group->arg[k]->id] != UINT32_MAX)
      return false;
  return true;
}

// The last phase in which g may run: before its readers and before what it reads is overwritten.
static int64_t latest(const Schedule *s, uint32_t g) {
  int64_t last = INT64_MAX;
  for (uint32_t u = 0; u < s->n; u++)
    for (uint32_t k = 0; k < s->group[u]->n_args; k++)
      if (s->place[s->group[u]->arg[k]->id] == g && s->phase[u] - 1 < last)
        last = s->phase[u] - 1;
  for (uint32_t k = 0; k < s->group[g]->n_args; k++) {
    uint32_t w = s->writer[s->group[g]->arg[k]->id];
    if (w != UINT32_MAX && w != g && s->phase[w] - 1 < last)
      last = s->phase[w] - 1;
  }
  return last;
}

// What needs nothing waits until it is needed: masks of dropout, converted columns. Less memory is
// alive.
static void delay_sources(Schedule *s) {
  for (uint32_t g = 0; g < s->n; g++) {
    int64_t last = reads_only_arguments(s, s->group[g]) ? latest(s, g) : INT64_MAX;
    if (last != INT64_MAX && last > s->phase[g])
      s->phase[g] = last;
  }
}

static void set_attr(Inst *inst, const char *name, Attr value) {
  const Attr *at = inst_attr(inst, name);
  inst->attr[at - inst->attr] = value;
}

static void schedule_function(Function *f) {
  Arena *arena = f->module->arena;
  Schedule s = {.f = f};
  fill_tables(&s, arena);
  set_earliest(&s);
  delay_sources(&s);
  int64_t last = 0;
  for (uint32_t g = 0; g < s.n; g++)
    last = s.phase[g] > last ? s.phase[g] : last;
  for (int64_t phase = 0; phase <= last; phase++) // ties by program order
    for (uint32_t g = 0; g < s.n; g++)
      if (s.phase[g] == phase) {
        ir_move_before(s.group[g], f->body->last);
        set_attr(s.group[g], "phase", attr_int(phase));
        set_attr(s.group[g], "tile", group_tile(arena, s.group[g]));
      }
}

void pass_schedule(Module *m) {
  for (uint32_t k = 0; k < m->fn.n; k++)
    schedule_function(m->fn.at[k]);
}
