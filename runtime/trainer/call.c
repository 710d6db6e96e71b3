// One function of the program with its arguments and results bound, and the batches gathered for
// it.
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

// Scalars and columns belong to the call; parameters, slots and state are shared by all calls.
static void *shared(const Values *values, const NnrtPort *port) {
  switch ((NnrtRole)port->role) {
  case NNRT_PARAM:
    return values->param[port->index];
  case NNRT_SLOT:
    return values->slot[port->index];
  case NNRT_STATE:
    return values->state[port->index];
  case NNRT_ROW_STATE:
    return values->row_state ? values->row_state[port->index] : NULL;
  case NNRT_CONFIG:
    return &values->config[port->index];
  default:
    return NULL;
  }
}

static bool bind(void **to, void **own, const NnrtPort *port, uint32_t count, const Values *values,
                 int64_t max_n, Failure *failure) {
  for (uint32_t i = 0; i < count; i++) {
    to[i] = port[i].role == NNRT_CONFIG ? NULL : shared(values, &port[i]);
    if (to[i])
      continue;
    int64_t bytes = nnrt_type_bytes(&port[i].type, max_n);
    own[i] = to[i] = allocate(bytes > 64 ? bytes : 64, 1, port[i].name, failure);
    if (!to[i])
      return false;
    if (port[i].role == NNRT_CONFIG)
      memcpy(to[i], shared(values, &port[i]), sizeof(float));
    if (port[i].role == NNRT_FRESH)
      *(int32_t *)to[i] = 1;
  }
  return true;
}

bool call_open(Call *call, NnrtModel *model, const Values *values, uint32_t function, int64_t max_n,
               Failure *failure) {
  const NnrtFunction *f = &values->program->function[function];
  *call = (Call){
      .model = model, .program = values->program, .index = function, .function = f, .max_n = max_n};
  call->row = calloc(2 * (size_t)max_n + 1, sizeof *call->row);
  call->place = call->row ? call->row + max_n : NULL;
  void **pointers = calloc(2 * ((size_t)f->n_arg + f->n_result) + 1, sizeof *pointers);
  if (!pointers || !call->row)
    return free(pointers), failf(failure, "not enough memory for the arguments of %s", f->name);
  call->arg = pointers;
  call->own_arg = call->arg + f->n_arg;
  call->result = call->own_arg + f->n_arg;
  call->own_result = call->result + f->n_result;
  return bind(call->arg, call->own_arg, f->arg, f->n_arg, values, max_n, failure) &&
         bind(call->result, call->own_result, f->result, f->n_result, values, max_n, failure);
}

void call_close(Call *call) {
  for (uint32_t i = 0; call->arg && i < call->function->n_arg; i++)
    free(call->own_arg[i]);
  for (uint32_t i = 0; call->arg && i < call->function->n_result; i++)
    free(call->own_result[i]);
  free(call->arg);
  free(call->row);
  *call = (Call){0};
}

void call_set(Call *call, int64_t step, int64_t epoch, int64_t seed) {
  for (uint32_t i = 0; i < call->function->n_arg; i++) {
    uint32_t role = call->function->arg[i].role;
    if (role == NNRT_STEP || role == NNRT_ITERATION)
      *(int32_t *)call->arg[i] = (int32_t)step;
    else if (role == NNRT_EPOCH)
      *(int32_t *)call->arg[i] = (int32_t)epoch;
    else if (role == NNRT_SEED)
      *(int32_t *)call->arg[i] = (int32_t)seed;
  }
}

void call_set_iteration(Call *call, int64_t iteration) {
  for (uint32_t i = 0; i < call->function->n_arg; i++)
    if (call->function->arg[i].role == NNRT_ITERATION)
      *(int32_t *)call->arg[i] = (int32_t)iteration;
}

void call_set_fresh(Call *call, bool fresh) {
  for (uint32_t i = 0; i < call->function->n_arg; i++)
    if (call->function->arg[i].role == NNRT_FRESH)
      *(int32_t *)call->arg[i] = fresh;
}

// ---- Shuffling --------------------------------------------------------------------------------

static uint64_t mix(uint64_t x) { // the finaliser of splitmix64
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

// A Feistel network over the least even number of bits that hold rows-1: any row of the epoch's
// order is computed on its own, from (seed, epoch) alone, and no order is stored.
Shuffle shuffle_make(int64_t rows, int64_t seed, int64_t epoch) {
  Shuffle shuffle = {.size = (uint64_t)rows, .bits = 1};
  while ((uint64_t)1 << 2 * shuffle.bits < shuffle.size)
    shuffle.bits++;
  uint64_t key =
      mix((uint64_t)seed * 0x9e3779b97f4a7c15u + 1) ^ (uint64_t)epoch * 0xd1342543de82ef95u;
  for (int i = 0; i < 4; i++)
    shuffle.key[i] = mix(key += 0x9e3779b97f4a7c15u);
  return shuffle;
}

int64_t shuffle_at(const Shuffle *shuffle, int64_t i) {
  uint64_t mask = ((uint64_t)1 << shuffle->bits) - 1, x = (uint64_t)i;
  do { // outside of the range: go on along the cycle, which comes back into it
    uint64_t left = x >> shuffle->bits, right = x & mask;
    for (int round = 0; round < 4; round++) {
      uint64_t next = left ^ (mix(right ^ shuffle->key[round]) & mask);
      left = right;
      right = next;
    }
    x = left << shuffle->bits | right;
  } while (x >= shuffle->size);
  return (int64_t)x;
}

// ---- Batches ----------------------------------------------------------------------------------

static const char *row_start(const TableColumn *column, int64_t row) {
  return (const char *)column->values + elem_bytes(column->elem) * (size_t)(row * column->step);
}

static void copy_row(char *to, uint32_t elem, const TableColumn *column, int64_t row) {
  size_t size = elem_bytes(column->elem) * (size_t)column->count;
  const char *from =
      column->pictures ? (const char *)pictures_row(column->pictures, row) : row_start(column, row);
  if (column->elem == elem) {
    memcpy(to, from, size);
    return;
  }
  float *number = (float *)(void *)to; // the only conversion left until now: bytes to f32
  for (int64_t i = 0; i < column->count; i++)
    number[i] = (float)(uint8_t)from[i];
}

int64_t split_row(const Split *split, int64_t i) {
  return split->order ? split->order[split->first + i] : split->first + i;
}

static int64_t row_of(const Split *split, const Shuffle *shuffle, int64_t i) {
  return split_row(split, shuffle ? shuffle_at(shuffle, i) : i);
}

// Rows lie far apart when shuffled: those of the next batch are on their way while this one is
// used.
static void prefetch_row(const TableColumn *column, int64_t row) {
  enum { LINE = 64, MOST = 4096 };
  size_t size = elem_bytes(column->elem) * (size_t)column->count;
  const char *from = row_start(column, row);
  for (size_t at = 0; at < size && at < MOST; at += LINE)
    __builtin_prefetch(from + at, 0, 2);
}

// Leaves out of call->row what this column has no picture for.
static bool only_pictures(Call *call, Table *table, Pictures *pictures, int64_t *n,
                          Failure *failure) {
  int64_t left = 0;
  for (int64_t i = 0; i < *n; i++) {
    if (pictures_has(pictures, call->row[i], failure)) {
      call->row[left] = call->row[i];
      call->place[left++] = call->place[i];
      continue;
    }
    if (!failure->text[0]) // said before
      continue;
    if (table->strict)
      return false;
    fprintf(stderr, "warning: left out (%lld so far): %s\n", (long long)++table->broken,
            failure->text);
    if (table->broken == table->rows)
      return failf(failure, "none of %lld pictures can be read", (long long)table->rows);
  }
  *n = left;
  return true;
}

// The rows of the batch, in order.
static int64_t gather_rows(Call *call, const Split *split, const Shuffle *shuffle, int64_t first,
                           int64_t n, Failure *failure) {
  for (int64_t i = 0; i < n; i++) {
    call->row[i] = row_of(split, shuffle, first + i);
    call->place[i] = first + i;
  }
  int64_t left = n; // the same for all functions over these rows, also those that see no picture
  for (uint32_t c = 0; c < split->table->n_column; c++) {
    Pictures *pictures = split->table->column[c].pictures;
    if (pictures && (!pictures_prepare(pictures, split, shuffle, first, n, failure) ||
                     !only_pictures(call, split->table, pictures, &left, failure)))
      return -1;
  }
  return left;
}

static void gather_column(char *to, const NnrtPort *port, const TableColumn *column,
                          const int64_t *row, int64_t n) {
  size_t stride = elem_bytes(port->type.elem) * (size_t)column->count;
  for (int64_t i = 0; i < n; i++)
    copy_row(to + (size_t)i * stride, port->type.elem, column, row[i]);
}

static void prefetch_column(const TableColumn *column, const Split *split, const Shuffle *shuffle,
                            int64_t first, int64_t end) {
  for (int64_t i = first; shuffle && !column->pictures && i < end && i < split->rows; i++)
    prefetch_row(column, row_of(split, shuffle, i));
}

int64_t call_gather(Call *call, const Split *split, const Shuffle *shuffle, int64_t first,
                    int64_t n, Failure *failure) {
  int64_t rows = gather_rows(call, split, shuffle, first, n, failure);
  for (uint32_t a = 0; rows > 0 && a < call->function->n_arg; a++) {
    const NnrtPort *port = &call->function->arg[a];
    if (port->role == NNRT_COLUMN) {
      const TableColumn *column = &split->table->column[port->index];
      gather_column(call->arg[a], port, column, call->row, rows);
      prefetch_column(column, split, shuffle, first + n, first + 2 * n);
    }
    if (port->role != NNRT_EXAMPLE)
      continue;
    int32_t *example = call->arg[a];
    for (int64_t i = 0; i < rows; i++)
      example[i] = (int32_t)(split->table->first_example + call->row[i]);
  }
  return rows;
}

void call_number_rows(Call *call, int64_t first, int64_t n) {
  for (uint32_t a = 0; a < call->function->n_arg; a++) {
    int32_t *example = call->arg[a];
    for (int64_t i = 0; call->function->arg[a].role == NNRT_EXAMPLE && i < n; i++)
      example[i] = (int32_t)(first + i);
  }
}

bool call_run(Call *call, int64_t n, Failure *failure) {
  NnrtStatus status = nnrt_run(call->model, call->index, n, call->arg, call->result);
  return status == NNRT_OK || failf(failure, "%s could not run with %lld rows (status %d)",
                                    call->function->name, (long long)n, (int)status);
}

const void *call_result(const Call *call, NnrtRole role, uint32_t index) {
  for (uint32_t i = 0; i < call->function->n_result; i++)
    if (call->function->result[i].role == role && call->function->result[i].index == index)
      return call->result[i];
  return NULL;
}
