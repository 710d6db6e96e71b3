// does:   orders the groups, cuts them into tiles, and puts them into phases: groups of a phase
//         need no barrier between them
// needs:  groups in an order in which they could run
// leaves: the same groups sorted by phase, with attributes `tile` and `phase`
// cost:   linear
//
// Groups that are cut alike, where a tile needs only its own tile of the other, share a phase too:
// each thread takes them one after the other.
#include "ops/op.h"
#include "pass/groups.h"
#include "pass/partition.h"

#include <string.h>

// ---- phases -------------------------------------------------------------------------------------

typedef struct {
  uint32_t group, arg; // its place, and which of its arguments
} Reader;
typedef BUF(Reader) Readers;

typedef struct {
  Function *f;
  Inst **group;
  Partition *part; // by place in group[]
  uint32_t n;
  int64_t *phase;   // by place in group[]
  uint32_t *place;  // by Value.id: the group that makes it, or UINT32_MAX
  uint32_t *writer; // by Value.id of an argument: the group that overwrites it, or UINT32_MAX
  Readers *reader;  // by place: who reads what the group makes
  Readers *before;  // by place: who reads what the group overwrites
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
  s->part = arena_array(arena, Partition, s->n + 1);
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
      s->part[k] = partition_of(i, false);
      s->group[k++] = i;
    }
  for (uint32_t i = 0; i < f->n_result; i++) {
    uint32_t old = argument_id(f, &f->result_port[i]);
    if (old != UINT32_MAX)
      s->writer[old] = s->place[f->body->last->arg[i]->id];
  }
}

static void fill_readers(Schedule *s, Arena *arena) {
  s->reader = arena_array(arena, Readers, s->n + 1);
  s->before = arena_array(arena, Readers, s->n + 1);
  for (uint32_t g = 0; g < s->n; g++)
    for (uint32_t k = 0; k < s->group[g]->n_args; k++) {
      uint32_t id = s->group[g]->arg[k]->id, maker = s->place[id], writer = s->writer[id];
      if (maker != UINT32_MAX)
        buf_push(arena, &s->reader[maker], (Reader){g, k});
      if (writer != UINT32_MAX && writer != g)
        buf_push(arena, &s->before[writer], (Reader){g, k});
    }
}

// The phases between a group and one that reads its result as argument k: none, or one barrier.
static int64_t distance(const Schedule *s, uint32_t maker, uint32_t reader, uint32_t k) {
  bool own = partition_equal(&s->part[maker], &s->part[reader]) &&
             partition_reads_own(s->group[reader], &s->part[reader], k);
  return own ? 0 : 1;
}

// As early as what it reads allows, and after all readers of what it overwrites.
static void set_earliest(Schedule *s) {
  for (uint32_t g = 0; g < s->n; g++) {
    const Inst *group = s->group[g];
    for (uint32_t k = 0; k < group->n_args; k++) {
      uint32_t made = s->place[group->arg[k]->id];
      if (made == UINT32_MAX)
        continue;
      int64_t from = s->phase[made] + distance(s, made, g, k);
      s->phase[g] = from > s->phase[g] ? from : s->phase[g];
    }
    for (uint32_t i = 0; i < s->before[g].n; i++) {
      uint32_t r = s->before[g].at[i].group;
      if (r > g)
        ice("schedule: a group of %s overwrites what a later one reads", s->f->name);
      if (s->phase[r] >= s->phase[g])
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
  for (uint32_t i = 0; i < s->reader[g].n; i++) {
    Reader u = s->reader[g].at[i];
    int64_t before = s->phase[u.group] - distance(s, g, u.group, u.arg);
    last = before < last ? before : last;
  }
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

// The places of the groups by phase, ties by program order: a counting sort.
static uint32_t *by_phase(const Schedule *s, Arena *arena) {
  int64_t last = 0;
  for (uint32_t g = 0; g < s->n; g++)
    last = s->phase[g] > last ? s->phase[g] : last;
  uint32_t *start = arena_array(arena, uint32_t, last + 2);
  uint32_t *order = arena_array(arena, uint32_t, s->n + 1);
  for (uint32_t g = 0; g < s->n; g++)
    start[s->phase[g] + 1]++;
  for (int64_t phase = 0; phase < last; phase++)
    start[phase + 1] += start[phase];
  for (uint32_t g = 0; g < s->n; g++)
    order[start[s->phase[g]]++] = g;
  return order;
}

static void schedule_function(Function *f) {
  Arena *arena = f->module->arena;
  Schedule s = {.f = f};
  fill_tables(&s, arena);
  fill_readers(&s, arena);
  set_earliest(&s);
  delay_sources(&s);
  const uint32_t *order = by_phase(&s, arena);
  for (uint32_t i = 0; i < s.n; i++) {
    uint32_t g = order[i];
    ir_move_before(s.group[g], f->body->last);
    set_attr(s.group[g], "phase", attr_int(s.phase[g]));
    set_attr(s.group[g], "tile", attr_dims(arena, s.part[g].tile, s.part[g].n_tile));
  }
}

void pass_schedule(Module *m) {
  for (uint32_t k = 0; k < m->fn.n; k++)
    schedule_function(m->fn.at[k]);
}
