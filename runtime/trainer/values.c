// What lives between calls: parameters, moving statistics, optimizer state, configs; and models.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

static int64_t room(const NnrtTensor *tensor) {
  int64_t bytes = type_elements(&tensor->type) * (int64_t)elem_bytes(tensor->type.elem);
  return (bytes + 2 * NNRT_ALIGN - 1) / NNRT_ALIGN * NNRT_ALIGN; // with slack behind it
}

static int64_t room_of_all(const NnrtTensor *tensor, uint32_t count) {
  int64_t bytes = 0;
  for (uint32_t i = 0; i < count; i++)
    bytes += room(&tensor[i]);
  return bytes;
}

static char *place(void **to, const NnrtTensor *tensor, uint32_t count, char *at) {
  for (uint32_t i = 0; i < count; i++) {
    to[i] = at;
    at += room(&tensor[i]);
  }
  return at;
}

bool values_open(Values *values, const NnrtProgram *program, const Options *options,
                 Failure *failure) {
  *values = (Values){.program = program, .config = options->config};
  size_t count = (size_t)program->n_param + program->n_slot + program->n_state;
  int64_t bytes = room_of_all(program->param, program->n_param) +
                  room_of_all(program->slot, program->n_slot) +
                  room_of_all(program->state, program->n_state);
  values->pointers = calloc(count + 1, sizeof *values->pointers);
  values->block = allocate(bytes, 1, "the weights", failure);
  if (!values->pointers || !values->block)
    return values->block ? failf(failure, "not enough memory for the weights") : false;
  values->param = values->pointers;
  values->slot = values->param + program->n_param;
  values->state = values->slot + program->n_slot;
  char *at = place(values->param, program->param, program->n_param, values->block);
  at = place(values->slot, program->slot, program->n_slot, at);
  place(values->state, program->state, program->n_state, at);
  return true;
}

void values_close(Values *values) {
  values_close_rows(values);
  free(values->pointers);
  free(values->block);
  *values = (Values){0};
}

static int64_t room_of_rows(const NnrtTensor *tensor, int64_t rows) {
  NnrtTensor all = *tensor;
  all.type.dim[all.type.rank++] = rows;
  return room(&all);
}

bool values_open_rows(Values *values, int64_t batch, Failure *failure) {
  const NnrtProgram *program = values->program;
  int64_t bytes = 0;
  for (uint32_t i = 0; i < program->n_row_state; i++)
    bytes += room_of_rows(&program->row_state[i], batch);
  if (!bytes)
    return true;
  values->row_state = calloc(program->n_row_state, sizeof *values->row_state);
  values->row_block = allocate(bytes, 1, "the states of the rows", failure);
  if (!values->row_state || !values->row_block)
    return values->row_block ? failf(failure, "not enough memory for the states of the rows")
                             : false;
  char *at = values->row_block;
  for (uint32_t i = 0; i < program->n_row_state; i++) {
    values->row_state[i] = at;
    at += room_of_rows(&program->row_state[i], batch);
  }
  return true;
}

void values_close_rows(Values *values) {
  free(values->row_state);
  free(values->row_block);
  values->row_state = NULL;
  values->row_block = NULL;
}

void values_clear_slots(Values *values, const NnrtTrain *train) {
  for (uint32_t i = 0; i < train->n_slot; i++) {
    const NnrtTensor *slot = &values->program->slot[train->slot[i]];
    memset(values->slot[train->slot[i]], 0, (size_t)room(slot));
  }
}

uint32_t *train_functions(const NnrtTrain *train, uint32_t *count, Failure *failure) {
  const uint32_t maybe[] = {train->eval, train->stop, train->figures};
  uint32_t *function = calloc(2 * train->n_step + train->n_draw + 3, sizeof *function), n = 0;
  for (uint32_t i = 0; function && i < train->n_step; i++) {
    function[n++] = train->step[i].step;
    if (train->accumulate > 1)
      function[n++] = train->step[i].part;
  }
  for (uint32_t i = 0; function && i < 3; i++)
    if (maybe[i] != NNRT_NONE)
      function[n++] = maybe[i];
  for (uint32_t i = 0; function && i < train->n_draw; i++)
    function[n++] = train->draw[i].function;
  *count = n;
  if (!function)
    failf(failure, "not enough memory");
  return function;
}

bool model_open(NnrtModel **model, const NnrtProgram *program, NnrtPool *pool, int64_t max_n,
                const uint32_t *functions, uint32_t count, Failure *failure) {
  *model = NULL;
  switch (nnrt_open(program, pool, max_n, functions, count, model)) {
  case NNRT_OK:
    return true;
  case NNRT_NO_MEMORY:
    return failf(failure,
                 "not enough memory for a batch of %lld rows; a smaller --batch needs less",
                 (long long)max_n);
  case NNRT_BAD_ABI:
    return failf(failure, "the program's tables are of another version than its runtime");
  case NNRT_BAD_CALL:
    break;
  }
  return failf(failure, "the program's tables are inconsistent (batch %lld)", (long long)max_n);
}

bool values_initialise(const Values *values, NnrtPool *pool, int64_t seed, Failure *failure) {
  const NnrtProgram *program = values->program;
  NnrtModel *model = NULL;
  Call call = {0};
  if (!program->n_param && !program->n_state)
    return true;
  bool good = model_open(&model, program, pool, 1, &program->init, 1, failure) &&
              call_open(&call, model, values, program->init, 1, failure);
  if (good) {
    call_set(&call, 1, 1, seed);
    good = call_run(&call, 1, failure);
  }
  call_close(&call);
  nnrt_close(model);
  return good;
}

static char *copy_all(const Values *values, char *kept, bool back) {
  const NnrtProgram *program = values->program;
  for (uint32_t i = 0; i < program->n_param + program->n_state; i++) {
    bool param = i < program->n_param;
    uint32_t k = param ? i : i - program->n_param;
    size_t bytes = (size_t)room(param ? &program->param[k] : &program->state[k]);
    void *value = param ? values->param[k] : values->state[k];
    memcpy(back ? value : kept, back ? kept : value, bytes);
    kept += bytes;
  }
  return kept;
}

bool values_keep(const Values *values, char **kept, Failure *failure) {
  const NnrtProgram *program = values->program;
  int64_t bytes =
      room_of_all(program->param, program->n_param) + room_of_all(program->state, program->n_state);
  if (!*kept)
    *kept = allocate(bytes, 1, "the best weights", failure);
  if (*kept)
    copy_all(values, *kept, false);
  return *kept != NULL;
}

void values_take_back(Values *values, const char *kept) {
  if (kept)
    copy_all(values, (char *)(uintptr_t)kept, true);
}
