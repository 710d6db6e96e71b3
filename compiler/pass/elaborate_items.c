// Items of train blocks and of their steps, one by one, and the settings: batch, epochs, steps,
// seed, log; repeat of a step.
#include "foreign.h"
#include "pass/elaborate_program.h"

#include <string.h>

static const char *const settings[] = {"batch", "epochs", "steps",  "seed",      "log",
                                       "clip",  "keep",   "weight", "accumulate"};
enum { N_SETTINGS = sizeof settings / sizeof *settings };
static const char *const later_settings[] = {"shuffle", "loss_scale", "precision", "balance",
                                             "workers"};

// ---- items -------------------------------------------------------------------------------------

static Node **setting_slot(Train *t, const char *name) {
  Node **slot[N_SETTINGS] = {&t->batch_node, &t->epochs_node, &t->steps_node,
                             &t->seed_node,  &t->log_node,    &t->clip_node,
                             &t->keep_node,  &t->weight_node, &t->accumulate_node};
  for (size_t i = 0; i < N_SETTINGS; i++)
    if (strcmp(name, settings[i]) == 0)
      return slot[i];
  return NULL;
}

static void add_setting(Elab *e, Train *t, Node *item) {
  Node **slot = setting_slot(t, item->name);
  if (slot && *slot) {
    Diagnostic *d =
        diag_error(e->s, item->name_span, "duplicate-setting", "`%s` is given twice", item->name);
    diag_note(e->s, d, (*slot)->span, "first here");
    return;
  }
  if (slot) {
    *slot = item;
    return;
  }
  for (size_t i = 0; i < sizeof later_settings / sizeof *later_settings; i++)
    if (strcmp(item->name, later_settings[i]) == 0) {
      not_yet(e, item->span, "the setting `%s` of a train block", item->name);
      return;
    }
  t->incomplete = true;
  Diagnostic *d = diag_error(e->s, item->name_span, "unknown-setting",
                             "a train block has no setting `%s`", item->name);
  const char *near = nearest_name(item->name, settings, N_SETTINGS),
             *advice = strcmp(item->name, "repeat") == 0
                           ? "it belongs into a step: `step NAME { ...; repeat 5 }`"
                           : foreign_setting(item->name);
  if (advice)
    diag_note(e->s, d, (Span){0}, "%s", advice);
  else
    diag_note(e->s, d, (Span){0},
              near ? "did you mean `%s`?"
                   : "settings are batch, epochs, steps, seed, "
                     "log, clip, keep, weight and accumulate",
              near);
}

// The name of a report that has none: that of the function called or the value named (rule 31).
const char *value_name(const Node *n) {
  switch ((int)n->kind) {
  case N_NAME:
  case N_MEMBER:
    return n->name;
  case N_CALL:
    return value_name(n->a);
  case N_PIPE:
    return value_name(n->b);
  default:
    return NULL;
  }
}

static void add_report(Elab *e, Step *step, Node *arg, int64_t every) {
  Report r = {.node = arg, .name = arg->name ? arg->name : value_name(arg->a), .every = every};
  if (!r.name) {
    bool text = arg->a->kind == N_STRING;
    Diagnostic *d =
        diag_error(e->s, arg->span, "report-name",
                   text ? "a report is computed, found a text" : "this report needs a name");
    if (text)
      diag_note(e->s, d, (Span){0}, "write `report accuracy(scores, label)`");
    else
      diag_note(e->s, d, (Span){0}, "write `report NAME = %s`", node_source(e, arg));
    return;
  }
  if (strcmp(r.name, "loss") == 0) {
    Diagnostic *d = diag_error(e->s, arg->span, "duplicate-report", "`loss` is reported always");
    diag_note(e->s, d, (Span){0},
              "it is what is minimised; give this another name: `report NAME = ...`");
    return;
  }
  for (uint32_t i = 0; i < step->report.n; i++)
    if (strcmp(step->report.at[i].name, r.name) == 0) {
      Diagnostic *d =
          diag_error(e->s, arg->span, "duplicate-report", "two reports are called `%s`", r.name);
      diag_note(e->s, d, step->report.at[i].node->span, "the other one");
      diag_note(e->s, d, (Span){0}, "give one another name: `report NAME = ...`");
      return;
    }
  buf_push(e->m->arena, &step->report, r);
}

// `every 4 epochs`, `every 100 steps`.
bool read_every(Elab *e, const Train *t, const Node *item, int64_t *epochs, int64_t *steps) {
  int64_t n = 0;
  *epochs = *steps = 0;
  if (!item->a)
    return true;
  e->target = NULL;
  Val v = elab_expr(e, t->scope, item->a, NULL);
  if (!elab_int(e, v, "`every`", item->a->span, &n))
    return false;
  bool of_epochs = strcmp(item->unit, "epochs") == 0 || strcmp(item->unit, "epoch") == 0;
  bool of_steps = strcmp(item->unit, "steps") == 0 || strcmp(item->unit, "step") == 0;
  if (n < 1 || n > INT32_MAX)
    diag_note(e->s,
              diag_error(e->s, item->a->span, "setting-value",
                         "`every` is %lld, but at least 1 is wanted", (long long)n),
              (Span){0}, "every 1 epochs is after each of them");
  else if (!of_epochs && !of_steps)
    diag_note(e->s,
              diag_error(e->s, item->span, "setting-value",
                         "every %lld `%s`: expected epochs or steps", (long long)n, item->unit),
              (Span){0}, "every 5 epochs, every 100 steps");
  else if (of_epochs && !t->node->a)
    diag_error(e->s, item->span, "train-length", "without data there are no epochs: say steps");
  else {
    *(of_epochs ? epochs : steps) = n;
    return true;
  }
  return false;
}

static void add_reports(Elab *e, const Train *t, Step *step, Node *item) {
  int64_t epochs, steps;
  if (item->a && !t->node->a) {
    diag_note(e->s,
              diag_error(e->s, item->span, "train-length",
                         "without data there are no epochs for a report to wait for"),
              (Span){0}, "leave `every` out: figures are shown by `log every(100)`");
    return;
  }
  if (!read_every(e, t, item, &epochs, &steps))
    return;
  if (steps) {
    Diagnostic *d = diag_error(e->s, item->span, "setting-value", "a report is of whole epochs");
    diag_note(e->s, d, (Span){0},
              "`report ... every 5 epochs`; `log every(100)` prints the figures of each 100 steps");
    return;
  }
  for (uint32_t i = 0; i < item->list.n; i++)
    add_report(e, step, item->list.at[i], epochs);
}

static void add_stop(Elab *e, Train *t, Node *item) {
  if (t->stop) {
    Diagnostic *d = diag_error(e->s, item->span, "duplicate-setting", "`stop when` is given twice");
    diag_note(e->s, d, t->stop->span, "first here");
    diag_note(e->s, d, (Span){0}, "join the conditions with `or`");
    return;
  }
  t->stop = item;
}

// ---- steps -------------------------------------------------------------------------------------

static Step *new_step(Elab *e, Node *node, const char *name) {
  Step *step = arena_new(e->m->arena, Step);
  *step = (Step){.node = node, .name = name, .table = {.name = name, .repeat = 1}};
  return step;
}

static bool step_name_free(Elab *e, const Train *t, const Node *item) {
  for (uint32_t i = 0; i < t->step.n; i++)
    if (strcmp(t->step.at[i]->name, item->name) == 0) {
      Diagnostic *d = diag_error(e->s, item->name_span, "duplicate-name",
                                 "two steps are called `%s`", item->name);
      diag_note(e->s, d, t->step.at[i]->node->name_span, "the other one");
      return false;
    }
  if (strcmp(item->name, "val") != 0)
    return true;
  Diagnostic *d =
      diag_error(e->s, item->name_span, "duplicate-name", "a step can't be called `val`");
  diag_note(e->s, d, (Span){0}, "`val.loss` is the loss of the validation rows");
  return false;
}

static void add_step_setting(Elab *e, Train *t, Step *step, Node *item) {
  if (strcmp(item->name, "repeat") == 0 && step->repeat_node) {
    Diagnostic *d =
        diag_error(e->s, item->name_span, "duplicate-setting", "`repeat` is given twice");
    diag_note(e->s, d, step->repeat_node->span, "first here");
  } else if (strcmp(item->name, "repeat") == 0) {
    step->repeat_node = item;
  } else {
    Diagnostic *d = diag_error(e->s, item->name_span, "unknown-setting",
                               "a step has no setting `%s`", item->name);
    diag_note(e->s, d, (Span){0}, "move it into the train block `%s`: a step has `repeat n` alone",
              t->name);
    t->incomplete = true;
  }
}

static void add_step_item(Elab *e, Train *t, Step *step, Node *item) {
  switch ((int)item->kind) {
  case N_SETTING:
    add_step_setting(e, t, step, item);
    break;
  case N_MINIMIZE:
    buf_push(e->m->arena, &step->minimize, (Minimize){.node = item});
    break;
  case N_REPORT:
    add_reports(e, t, step, item);
    break;
  case N_STOP:
  case N_DRAW:
  case N_STEP:
    diag_note(e->s,
              diag_error(e->s, item->span, "misplaced",
                         "this belongs into the train block `%s`, not into a step", t->name),
              (Span){0}, "move it behind the `}` of the step");
    break;
  default: // N_LET: formulas; N_ERROR: the parser said so
    break;
  }
}

static void nothing_minimized(Elab *e, Span span, const char *name) {
  Diagnostic *d = diag_error(e->s, span, "nothing-minimized", "`%s` minimizes nothing", name);
  diag_note(e->s, d, (Span){0}, "add `minimize LOSS with OPTIMIZER`");
}

static void add_step(Elab *e, Train *t, Node *item) {
  Step *step = new_step(e, item, item->name);
  if (step_name_free(e, t, item))
    buf_push(e->m->arena, &t->step, step);
  for (uint32_t i = 0; i < item->list.n; i++)
    add_step_item(e, t, step, item->list.at[i]);
  if (!step->minimize.n)
    nothing_minimized(e, item->name_span, item->name);
}

// ---- the block ---------------------------------------------------------------------------------

static void add_item(Elab *e, Train *t, Node *item) {
  switch ((int)item->kind) {
  case N_SETTING:
    add_setting(e, t, item);
    break;
  case N_MINIMIZE:
    buf_push(e->m->arena, &t->whole->minimize, (Minimize){.node = item});
    break;
  case N_REPORT:
    add_reports(e, t, t->whole, item);
    break;
  case N_STOP:
    add_stop(e, t, item);
    break;
  case N_DRAW:
    add_drawings(e, t, item);
    break;
  case N_STEP:
    add_step(e, t, item);
    break;
  default: // N_LET: formulas; N_ERROR: the parser said so
    break;
  }
}

void train_add_items(Elab *e, Train *t) {
  NodeList items = t->node->list;
  bool steps = false;
  for (uint32_t i = 0; i < items.n; i++)
    steps |= items.at[i]->kind == N_STEP;
  t->whole = new_step(e, t->node, "");
  if (!steps)
    buf_push(e->m->arena, &t->step, t->whole);
  for (uint32_t i = 0; i < items.n; i++)
    add_item(e, t, items.at[i]);
  if (steps && t->step.n && t->whole->minimize.n) {
    Node *item = t->whole->minimize.at[0].node;
    Diagnostic *d = diag_error(e->s, item->span, "misplaced",
                               "a train block with steps minimizes in them only");
    diag_note(e->s, d, t->step.at[0]->node->name_span, "a step");
    diag_note(e->s, d, (Span){0}, "put it into a step of its own: `step NAME { ... }`");
  }
  if (!steps && !t->whole->minimize.n && !t->incomplete)
    nothing_minimized(e, t->node->name_span, t->name);
}

// ---- settings ----------------------------------------------------------------------------------

static const char *setting_means(const char *name) {
  static const char *const table[][2] = {
      {"batch", "so many examples make one update: batch 32"},
      {"epochs", "so often all rows are gone through; 0 trains nothing"},
      {"steps", "so many updates are made"},
      {"seed", "another number gives other draws: seed 1"},
      {"every", "`log every(100)` prints a line each 100 steps"},
      {"accumulate", "so many batches make one update; 1 is each by itself"},
      {"repeat", "so often the step is made for each batch"}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (strcmp(name, table[i][0]) == 0)
      return table[i][1];
  return "leave it out for what is usual";
}

static int64_t whole_setting(Elab *e, Train *t, Node *item, int64_t least, int64_t otherwise) {
  if (!item)
    return otherwise;
  int64_t n = otherwise;
  e->target = NULL;
  Val v = elab_expr(e, t->scope, item->a, NULL);
  if (elab_int(e, v, format(e, "the setting `%s`", item->name), item->a->span, &n) && n < least)
    diag_note(e->s,
              diag_error(e->s, item->a->span, "setting-value",
                         "`%s` is %lld, but at least %lld is wanted", item->name, (long long)n,
                         (long long)least),
              (Span){0}, "%s", setting_means(item->name));
  return n;
}

static int64_t log_setting(Elab *e, Train *t) {
  Node *item = t->log_node, *call = item ? item->a : NULL;
  if (!item)
    return 0;
  if (call->kind != N_CALL || !name_is(call->a, "every") || call->list.n != 1) {
    Diagnostic *d = diag_error(e->s, call->span, "setting-value", "expected `log every(n)`");
    diag_note(e->s, d, (Span){0}, "`log every(100)` prints a line each 100 steps");
    return 0;
  }
  Node every = *item;
  every.a = call->list.at[0]->a;
  return whole_setting(e, t, &every, 1, 0);
}

// Rule 37: how long it goes.
static void check_length(Elab *e, Train *t) {
  Node *decl = t->node;
  if (t->epochs_node && t->steps_node) {
    Diagnostic *d =
        diag_error(e->s, t->steps_node->span, "train-length", "both epochs and steps are given");
    diag_note(e->s, d, t->epochs_node->span, "the other one");
    diag_note(e->s, d, (Span){0},
              "keep one: `epochs` counts passes over the data, `steps` updates");
  } else if (t->epochs_node && !decl->a) {
    Diagnostic *d =
        diag_error(e->s, t->epochs_node->span, "train-length", "without data there are no epochs");
    diag_note(e->s, d, (Span){0}, "say `steps n`, or `train %s on DATA`", decl->name);
  } else if (!t->epochs_node && !t->steps_node && !t->incomplete) {
    Diagnostic *d = diag_error(e->s, decl->name_span, "train-length",
                               "`%s` doesn't say how long to train", decl->name);
    diag_note(e->s, d, (Span){0}, decl->a ? "add `epochs n` or `steps n`" : "add `steps n`");
  }
}

void train_read_settings(Elab *e, Train *t) {
  check_length(e, t);
  NnrtTrain *n = &t->table;
  n->batch = whole_setting(e, t, t->batch_node, 1, t->data ? 32 : 1);
  n->epochs = whole_setting(e, t, t->epochs_node, 0, t->steps_node ? 0 : 1);
  n->steps = whole_setting(e, t, t->steps_node, 1, 0);
  n->seed = whole_setting(e, t, t->seed_node, 0, 0);
  n->log_every = log_setting(e, t);
  n->accumulate = whole_setting(e, t, t->accumulate_node, 1, 1);
  if (t->accumulate_node && !t->data)
    diag_error(e->s, t->accumulate_node->span, "setting-value",
               "accumulate joins batches of data; without data, say a greater batch");
  for (uint32_t i = 0; i < t->step.n; i++)
    t->step.at[i]->table.repeat = (uint32_t)whole_setting(e, t, t->step.at[i]->repeat_node, 1, 1);
}
