// does:   orders the groups, cuts them into tiles, and puts them into phases: groups of a phase
//         need no barrier between them
// needs:  groups in an order in which they could run
// leaves: the same groups sorted by phase, with attributes `tile` and `phase`; a scan's phases are
//         its own
// cost:   linear
//
// Groups that are cut alike, where a tile needs only its own tile of the other, share a phase too:
// each thread takes them one after the other.
#include "ops/op.h"
#include "pass/groups.h"
#include "pass/partition.h"

#include <string.h>

typedef struct {
  Region *body;
  const Function *f; // NULL: the body is a scan's
  Inst **item;       // groups and scans, in program order
  uint32_t n;
  Partition *part;        // by place in item[]
  int64_t *phase, *limit; // by place in item[]; limit: the last phase in which it may run
  uint32_t *place;        // by Value.id: the item that makes it, or NO_ITEM
  uint32_t *writer;       // by Value.id of an argument: the item that overwrites it, or NO_ITEM
} Schedule;

enum { NO_ITEM = UINT32_MAX };

static bool is_item(const Inst *inst) {
  return inst->op == OP_group || inst->op == OP_scan;
}

static uint32_t argument_id(const Function *f, const Port *port) {
  for (uint32_t i = 0; i < f->body->n_arg; i++)
    if (f->arg_port[i].role == port->role && f->arg_port[i].index == port->index)
      return f->body->arg[i]->id;
  return NO_ITEM;
}

// Reshapes between items are for scans: the same memory.
static uint32_t memory_id(const Value *v) {
  while (v->def && v->def->op == OP_reshape)
    v = v->def->arg[0];
  return v->id;
}

static void add_item(Schedule *s, Inst *inst) {
  for (uint32_t r = 0; r < inst->n_results; r++)
    s->place[inst->result[r]->id] = s->n;
  if (inst->op == OP_group)
    s->part[s->n] = partition_of(inst, !s->f);
  s->item[s->n++] = inst;
}

static void fill_tables(Schedule *s, Arena *arena) {
  uint32_t n = ir_number_region(s->body), items = 0;
  for (const Inst *i = s->body->first; i; i = i->next)
    items += is_item(i);
  s->item = arena_array(arena, Inst *, items + 1);
  s->part = arena_array(arena, Partition, items + 1);
  s->phase = arena_array(arena, int64_t, items + 1);
  s->limit = arena_array(arena, int64_t, items + 1);
  s->place = arena_array(arena, uint32_t, n + 1);
  s->writer = arena_array(arena, uint32_t, n + 1);
  memset(s->place, 0xff, sizeof *s->place * n);
  memset(s->writer, 0xff, sizeof *s->writer * n);
  for (Inst *i = s->body->first; i; i = i->next)
    if (is_item(i))
      add_item(s, i);
  for (uint32_t i = 0; s->f && i < s->f->n_result; i++) {
    uint32_t old = argument_id(s->f, &s->f->result_port[i]);
    if (old != NO_ITEM)
      s->writer[old] = s->place[s->body->last->arg[i]->id];
  }
}

// The phases between an item and one that reads its result as argument k: none, or one barrier.
static int64_t distance(const Schedule *s, uint32_t maker, uint32_t reader, uint32_t k) {
  bool own = partition_equal(&s->part[maker], &s->part[reader]) &&
             partition_reads_own(s->item[reader], &s->part[reader], k);
  return own ? 0 : 1;
}

static void not_before(Schedule *s, uint32_t item, int64_t phase) {
  s->phase[item] = phase > s->phase[item] ? phase : s->phase[item];
}

static void not_after(Schedule *s, uint32_t item, int64_t phase) {
  s->limit[item] = phase < s->limit[item] ? phase : s->limit[item];
}

// As early as what it reads allows, and after all readers of what it overwrites: these come before
// it in the program.
static void set_earliest(Schedule *s) {
  for (uint32_t g = 0; g < s->n; g++) {
    const Inst *item = s->item[g];
    for (uint32_t k = 0; k < item->n_args; k++) {
      uint32_t made = s->place[memory_id(item->arg[k])];
      if (made != NO_ITEM)
        not_before(s, g, s->phase[made] + distance(s, made, g, k));
    }
    for (uint32_t k = 0; k < item->n_args; k++) {
      uint32_t writer = s->writer[memory_id(item->arg[k])];
      if (writer == NO_ITEM || writer == g)
        continue;
      if (writer < g)
        ice("schedule: a group of %s overwrites what a later one reads", s->f->name);
      not_before(s, writer, s->phase[g] + 1);
    }
  }
}

// Before its readers, and before what it reads is overwritten.
static void set_limits(Schedule *s) {
  for (uint32_t g = 0; g < s->n; g++)
    s->limit[g] = INT64_MAX;
  for (uint32_t g = 0; g < s->n; g++)
    for (uint32_t k = 0; k < s->item[g]->n_args; k++) {
      uint32_t id = memory_id(s->item[g]->arg[k]), made = s->place[id], writer = s->writer[id];
      if (made != NO_ITEM)
        not_after(s, made, s->phase[g] - distance(s, made, g, k));
      if (writer != NO_ITEM && writer != g)
        not_after(s, g, s->phase[writer] - 1);
    }
}

static bool reads_only_arguments(const Schedule *s, const Inst *item) {
  for (uint32_t k = 0; k < item->n_args; k++)
    if (s->place[memory_id(item->arg[k])] != NO_ITEM)
      return false;
  return item->op == OP_group;
}

// What needs nothing waits until it is needed: masks of dropout, converted columns. Less memory is
// alive.
static void delay_sources(Schedule *s) {
  set_limits(s);
  for (uint32_t g = 0; g < s->n; g++)
    if (reads_only_arguments(s, s->item[g]) && s->limit[g] != INT64_MAX)
      not_before(s, g, s->limit[g]);
}

// ---- the order ----------------------------------------------------------------------------------

static void set_attr(Inst *inst, const char *name, Attr value) {
  const Attr *at = inst_attr(inst, name);
  inst->attr[at - inst->attr] = value;
}

static int64_t schedule_region(Arena *arena, Region *body, const Function *f, int64_t phase);

static void place_group(Arena *arena, const Schedule *s, uint32_t g, int64_t phase) {
  ir_move_before(s->item[g], s->body->last);
  set_attr(s->item[g], "phase", attr_int(phase));
  set_attr(s->item[g], "tile", attr_dims(arena, s->part[g].tile, s->part[g].n_tile));
}

// With phases of its own; the next phase.
static int64_t place_scan(Arena *arena, const Schedule *s, uint32_t g, int64_t phase) {
  Inst *scan = s->item[g];
  for (uint32_t k = 0; k < scan->n_args; k++)
    if (scan->arg[k]->def && scan->arg[k]->def->op == OP_reshape)
      ir_move_before(scan->arg[k]->def, s->body->last);
  ir_move_before(scan, s->body->last);
  return schedule_region(arena, scan->body, NULL, phase);
}

// The items by what was found as their phase, ties by program order; start[p] .. start[p + 1] are
// those of phase p. How many phases.
static int64_t sort_items(Arena *arena, const Schedule *s, uint32_t **order, uint32_t **start) {
  int64_t phases = 0;
  for (uint32_t g = 0; g < s->n; g++)
    phases = s->phase[g] >= phases ? s->phase[g] + 1 : phases;
  uint32_t *count = arena_array(arena, uint32_t, (size_t)phases + 2);
  for (uint32_t g = 0; g < s->n; g++)
    count[s->phase[g] + 1]++;
  for (int64_t p = 0; p < phases; p++)
    count[p + 1] += count[p];
  uint32_t *next = arena_array(arena, uint32_t, (size_t)phases + 1);
  memcpy(next, count, sizeof *next * (size_t)phases);
  *order = arena_array(arena, uint32_t, s->n + 1);
  for (uint32_t g = 0; g < s->n; g++)
    (*order)[next[s->phase[g]]++] = g;
  *start = count;
  return phases;
}

// From this phase on; returns the next one. The groups that may run at once are one phase, the
// scans among them come after it.
static int64_t schedule_region(Arena *arena, Region *body, const Function *f, int64_t phase) {
  Schedule s = {.body = body, .f = f};
  uint32_t *order, *start;
  fill_tables(&s, arena);
  set_earliest(&s);
  delay_sources(&s);
  int64_t steps = sort_items(arena, &s, &order, &start);
  for (int64_t step = 0; step < steps; step++) {
    bool any = false;
    for (uint32_t i = start[step]; i < start[step + 1]; i++)
      if (s.item[order[i]]->op == OP_group) {
        place_group(arena, &s, order[i], phase);
        any = true;
      }
    phase += any;
    for (uint32_t i = start[step]; i < start[step + 1]; i++)
      if (s.item[order[i]]->op == OP_scan)
        phase = place_scan(arena, &s, order[i], phase);
  }
  return phase;
}

void pass_schedule(Module *m) {
  for (uint32_t k = 0; k < m->fn.n; k++)
    schedule_region(m->arena, m->fn.at[k]->body, m->fn.at[k], 0);
}
