// summary: layers with their shapes and parameters, totals, memory for the batch asked for,
// operations.
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "trainer.h"

static int64_t tensors_count(const NnrtTensor *tensor, uint32_t count) {
  int64_t sum = 0;
  for (uint32_t i = 0; i < count; i++)
    sum += type_elements(&tensor[i].type);
  return sum;
}

static int64_t tensors_bytes(const NnrtTensor *tensor, uint32_t count) {
  int64_t sum = 0;
  for (uint32_t i = 0; i < count; i++)
    sum += type_elements(&tensor[i].type) * (int64_t)elem_bytes(tensor[i].type.elem);
  return sum;
}

// Is `name` directly in layer `path`: "norm.mean" in "norm"?
static bool directly_in(const char *name, const char *path) {
  size_t length = strlen(path);
  return !strncmp(name, path, length) && name[length] == '.' && !strchr(name + length + 1, '.');
}

// Parameters that the layer made, and its moving statistics.
static int64_t layer_count(const NnrtProgram *program, const NnrtLayer *layer) {
  int64_t sum = 0;
  for (uint32_t i = 0; i < layer->n_param; i++)
    sum += type_elements(&program->param[layer->param[i]].type);
  for (uint32_t i = 0; i < program->n_state; i++)
    if (directly_in(program->state[i].name, layer->path))
      sum += type_elements(&program->state[i].type);
  return sum;
}

typedef struct {
  int64_t parameters, trainable;
} Totals;

// Estimates of the data's transforms are saved with the weights, but no part of the network.
static int64_t estimates(const NnrtProgram *program) {
  int64_t sum = 0;
  for (uint32_t i = 0; i < program->n_fit; i++)
    for (int k = 0; k < 2; k++)
      if (program->fit[i].state[k] != NNRT_NONE)
        sum += type_elements(&program->state[program->fit[i].state[k]].type);
  return sum;
}

static Totals totals_of(const NnrtProgram *program) {
  Totals totals = {tensors_count(program->param, program->n_param) +
                       tensors_count(program->state, program->n_state) - estimates(program),
                   0};
  for (uint32_t i = 0; i < program->n_param; i++)
    if (program->trainable && program->trainable[i])
      totals.trainable += type_elements(&program->param[i].type);
  return totals;
}

// Bytes of memory that training with this batch takes, without the data.
typedef struct {
  int64_t batch, weights, optimizer, arena, batch_rows;
} Memory;

static int64_t rows_bytes(const NnrtFunction *f, int64_t batch) {
  int64_t bytes = 0;
  for (uint32_t i = 0; i < f->n_arg; i++)
    if (f->arg[i].role == NNRT_COLUMN || f->arg[i].role == NNRT_EXAMPLE)
      bytes += nnrt_type_bytes(&f->arg[i].type, batch);
  return bytes;
}

// One arena and each thread's scratch serve all functions, each has rows of its own.
static bool add_functions(const Run *run, const NnrtTrain *train, Memory *memory,
                          Failure *failure) {
  uint32_t count, *function = train_functions(train, &count, failure);
  int64_t planned = 0, scratch = 0;
  bool good = function != NULL;
  for (uint32_t i = 0; good && i < count; i++) {
    const NnrtFunction *f = &run->program->function[function[i]];
    int64_t *offset = malloc((f->n_buffer + 1) * sizeof *offset);
    good = offset || failf(failure, "not enough memory");
    int64_t bytes = offset ? nnrt_plan(f, memory->batch, offset) : 0, own = nnrt_scratch(f);
    free(offset);
    planned = bytes > planned ? bytes : planned;
    scratch = own > scratch ? own : scratch;
    memory->batch_rows += rows_bytes(f, memory->batch);
  }
  memory->arena = planned + scratch * nnrt_pool_threads(run->pool);
  free(function);
  return good;
}

static bool memory_of(const Run *run, const NnrtTrain *train, Memory *memory, Failure *failure) {
  const NnrtProgram *program = run->program;
  *memory = (Memory){.batch = option_or(run->options->batch, train->batch > 0 ? train->batch : 1),
                     .weights = tensors_bytes(program->param, program->n_param) +
                                tensors_bytes(program->state, program->n_state),
                     .optimizer = tensors_bytes(program->slot, program->n_slot)}; // of all blocks
  return add_functions(run, train, memory, failure);
}

static void put_bytes(String *line, int64_t bytes) {
  static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double size = (double)bytes;
  int u = 0;
  for (; size >= 1024 && u < 4; u++)
    size /= 1024;
  string_printf(line, u ? "%.1f %s" : "%.0f %s", size, unit[u]);
}

static void put_operations(String *line, double operations) {
  if (operations >= 1e9)
    string_printf(line, "%.3g G", operations * 1e-9);
  else if (operations >= 1e6)
    string_printf(line, "%.3g M", operations * 1e-6);
  else
    string_put_count(line, (int64_t)operations);
}

// ---- Text -------------------------------------------------------------------------------------

// One row of the table; widths are those of the widest entries.
typedef struct {
  String name, shape, count;
} Line;

static void print_table(const Line *line, size_t count) {
  size_t name = 0, shape = 0, number = 0;
  for (size_t i = 0; i < count; i++) {
    name = line[i].name.length > name ? line[i].name.length : name;
    shape = line[i].shape.length > shape ? line[i].shape.length : shape;
    number = line[i].count.length > number ? line[i].count.length : number;
  }
  for (size_t i = 0; i < count; i++) {
    printf("%-*s  %-*s  %*s\n", (int)name, line[i].name.at, (int)shape, line[i].shape.at,
           (int)number, line[i].count.at);
    if (i == 0) {
      for (size_t k = 0; k < name + shape + number + 4; k++)
        putchar('-');
      putchar('\n');
    }
  }
}

// Is `name` "dense" or "dense_2" for the kind "Dense"? So the compiler calls parts that have no
// name.
static bool is_unnamed(const char *name, const char *kind) {
  size_t n = strlen(kind);
  return !strncasecmp(name, kind, n) &&
         (!name[n] || (name[n] == '_' && name[n + 1 + strspn(name + n + 1, "0123456789")] == 0));
}

// One of several parts of a layer that are told apart by their numbers alone (rule 16).
static bool is_numbered(const NnrtProgram *program, const NnrtLayer *layer) {
  const char *dot = strrchr(layer->path, '.'), *name = dot ? dot + 1 : layer->path;
  size_t block = (size_t)(name - layer->path);
  if (!dot || !is_unnamed(name, layer->kind))
    return false;
  for (uint32_t i = 0; i < program->n_layer; i++) {
    const NnrtLayer *other = &program->layer[i];
    if (strcmp(other->path, layer->path) != 0 && !strcmp(other->kind, layer->kind) &&
        !strncmp(other->path, layer->path, block) && is_unnamed(other->path + block, layer->kind))
      return true;
  }
  return false;
}

static void fill_line(Line *line, const NnrtProgram *program, const NnrtLayer *layer) {
  char shape[192];
  string_printf(&line->name, "%*s%s (%s)%s", (int)(2 * layer->depth), "", layer->path, layer->kind,
                is_numbered(program, layer) ? " *" : "");
  string_put(&line->shape, layer->type.rank ? shape_text(&layer->type, shape) : "1");
  string_put_count(&line->count, layer_count(program, layer));
}

static bool print_layers(const NnrtProgram *program, Failure *failure) {
  size_t count = (size_t)program->n_layer + 1;
  Line *line = calloc(count, sizeof *line);
  bool good = line != NULL;
  if (good) {
    string_put(&line[0].name, "layer");
    string_put(&line[0].shape, "output");
    string_put(&line[0].count, "parameters");
    for (uint32_t i = 0; i < program->n_layer; i++)
      fill_line(&line[i + 1], program, &program->layer[i]);
    for (size_t i = 0; i < count; i++)
      good =
          good && !line[i].name.no_memory && !line[i].shape.no_memory && !line[i].count.no_memory;
    if (good)
      print_table(line, count);
  }
  for (size_t i = 0; line && i < count; i++) {
    string_free(&line[i].name);
    string_free(&line[i].shape);
    string_free(&line[i].count);
  }
  free(line);
  return good || failf(failure, "not enough memory for the table");
}

static void print_numbered(const NnrtProgram *program) {
  for (uint32_t i = 0; i < program->n_layer; i++)
    if (is_numbered(program, &program->layer[i])) {
      puts("\n* numbered: one more of its kind before it changes the number; `as` gives it a name");
      return;
    }
}

static void print_totals(const NnrtProgram *program) {
  Totals totals = totals_of(program);
  String line = {0};
  string_put(&line, "\nparameters ");
  string_put_count(&line, totals.parameters);
  string_put(&line, " = ");
  string_put_count(&line, totals.trainable);
  string_put(&line, " trainable + ");
  string_put_count(&line, totals.parameters - totals.trainable);
  string_put(&line, " frozen");
  puts(line.at ? line.at : "");
  string_free(&line);
}

static bool print_block(const Run *run, const NnrtTrain *train, Failure *failure) {
  Memory memory;
  String line = {0};
  if (!memory_of(run, train, &memory, failure))
    return false;
  string_printf(&line, "\ntrain %s, batch %lld\n  operations per example: ", train->name,
                (long long)memory.batch);
  put_operations(&line, train->flops_forward);
  string_put(&line, " forward, ");
  put_operations(&line, train->flops_step);
  string_put(&line, " per training step\n  memory without the data: ");
  put_bytes(&line, memory.weights + memory.optimizer + memory.arena + memory.batch_rows);
  string_put(&line, " = weights ");
  put_bytes(&line, memory.weights);
  string_put(&line, " + optimizer ");
  put_bytes(&line, memory.optimizer);
  string_put(&line, " + values and gradients ");
  put_bytes(&line, memory.arena);
  string_put(&line, " + one batch of rows ");
  put_bytes(&line, memory.batch_rows);
  puts(line.at ? line.at : "");
  string_free(&line);
  return true;
}

// ---- JSON -------------------------------------------------------------------------------------

static void put_json_layer(String *json, const NnrtProgram *program, const NnrtLayer *layer) {
  string_put(json, "{\"name\":");
  string_put_json(json, layer->path);
  string_put(json, ",\"kind\":");
  string_put_json(json, layer->kind);
  string_printf(json, ",\"depth\":%u,\"output\":[", layer->depth);
  for (uint32_t i = 0; i < layer->type.rank; i++)
    string_printf(json, "%s%lld", i ? "," : "", (long long)layer->type.dim[i]);
  string_printf(json, "],\"parameters\":%lld}", (long long)layer_count(program, layer));
}

static bool put_json_block(String *json, const Run *run, const NnrtTrain *train, Failure *failure) {
  Memory memory;
  if (!memory_of(run, train, &memory, failure))
    return false;
  string_put(json, "{\"name\":");
  string_put_json(json, train->name);
  string_printf(json,
                ",\"batch\":%lld,\"operations_forward\":%.0f,\"operations_step\":%.0f,\"memory\":{"
                "\"weights\":%lld,\"optimizer\":%lld,\"arena\":%lld,\"batch\":%lld}}",
                (long long)memory.batch, train->flops_forward, train->flops_step,
                (long long)memory.weights, (long long)memory.optimizer, (long long)memory.arena,
                (long long)memory.batch_rows);
  return true;
}

static bool print_json(const Run *run, Failure *failure) {
  const NnrtProgram *program = run->program;
  Totals totals = totals_of(program);
  String json = {0};
  string_put(&json, "{\"program\":");
  string_put_json(&json, program->name);
  string_printf(&json, ",\"parameters\":%lld,\"trainable\":%lld,\"frozen\":%lld,\"layers\":[",
                (long long)totals.parameters, (long long)totals.trainable,
                (long long)(totals.parameters - totals.trainable));
  for (uint32_t i = 0; i < program->n_layer; i++) {
    string_put(&json, i ? "," : "");
    put_json_layer(&json, program, &program->layer[i]);
  }
  string_put(&json, "],\"train\":[");
  bool good = true;
  for (uint32_t i = 0; good && i < program->n_train; i++) {
    string_put(&json, i ? "," : "");
    good = put_json_block(&json, run, &program->train[i], failure);
  }
  string_put(&json, "]}");
  good = good && (!json.no_memory || failf(failure, "not enough memory for the summary"));
  if (good)
    puts(json.at);
  string_free(&json);
  return good;
}

bool command_summary(const Run *run, int *status, Failure *failure) {
  (void)status;
  const NnrtProgram *program = run->program;
  if (log_form(run->options) == LOG_JSON)
    return print_json(run, failure);
  if (!print_layers(program, failure))
    return false;
  print_numbered(program);
  print_totals(program);
  bool good = true;
  for (uint32_t i = 0; good && i < program->n_train; i++)
    good = print_block(run, &program->train[i], failure);
  return good;
}
