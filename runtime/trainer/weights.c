// The weights of a program: its parameters and moving statistics, written to and read from files of
// tensors whose names are the paths (rule 17). Nothing is copied before all of the file fits.
#include <stdlib.h>
#include <string.h>
#include "tensors.h"

// Parameters first, then moving statistics: one list for writing and for matching.
Weight *list_weights(const Values *values, size_t *count, Failure *failure) {
  const NnrtProgram *program = values->program;
  *count = (size_t)program->n_param + program->n_state;
  Weight *weight = calloc(*count + 1, sizeof *weight);
  if (!weight) {
    failf(failure, "not enough memory for the list of weights");
    return NULL;
  }
  for (size_t i = 0; i < *count; i++) {
    bool param = i < program->n_param;
    size_t k = param ? i : i - program->n_param;
    weight[i].tensor = param ? &program->param[k] : &program->state[k];
    weight[i].bytes = param ? values->param[k] : values->state[k];
    weight[i].size =
        (size_t)type_elements(&weight[i].tensor->type) * elem_bytes(weight[i].tensor->type.elem);
  }
  return weight;
}

char *weights_path(const NnrtProgram *program, const Options *options) {
  String path = {0};
  string_printf(&path, options->out ? "%s" : "%s.safetensors",
                options->out ? options->out : program->name);
  return path.at;
}

bool weights_save(const Values *values, const char *path, Failure *failure) {
  size_t count, length = strlen(path);
  Weight *weight = list_weights(values, &count, failure);
  bool npz = length > 4 && !strcmp(path + length - 4, ".npz");
  bool good = weight && (npz ? npz_write(weight, count, path, failure)
                             : safetensors_write(values->program, weight, count, path, failure));
  free(weight);
  return good;
}

// ---- Does a tensor fit? -----------------------------------------------------------------------

static uint32_t without_ones(const int64_t *dim, uint32_t rank, int64_t to[NNRT_MAX_RANK]) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < rank; i++)
    if (dim[i] != 1)
      to[n++] = dim[i];
  return n;
}

bool tensor_fits(const StoredTensor *tensor, uint32_t layout, const NnrtType *type, bool exact) {
  int64_t dim[NNRT_MAX_RANK], a[NNRT_MAX_RANK], b[NNRT_MAX_RANK];
  bool same = !strcmp(tensor->dtype, elem_text(type->elem));
  if (!same && (type->elem != NNRT_F32 || !dtype_is_float(tensor->dtype)))
    return false;
  tensor_shape(tensor, layout, dim);
  if (exact)
    return tensor->rank == type->rank && !memcmp(dim, type->dim, type->rank * sizeof *dim);
  uint32_t n = without_ones(dim, tensor->rank, a);
  return n == without_ones(type->dim, type->rank, b) && !memcmp(a, b, n * sizeof *a);
}

void tensor_take(const StoredTensor *tensor, uint32_t layout, double scale, const Weight *weight) {
  if (weight->tensor->type.elem == NNRT_F32)
    tensor_values(tensor, layout, scale, weight->bytes);
  else
    memcpy(weight->bytes, tensor->at, weight->size);
}

void put_stored_type(String *list, const StoredTensor *tensor) {
  string_printf(list, "%s[", tensor->dtype);
  for (uint32_t i = 0; i < tensor->rank; i++)
    string_printf(list, "%s%lld", i ? ", " : "", (long long)tensor->dim[i]);
  string_put(list, "]");
}

void put_weight_type(String *list, const NnrtType *type) {
  string_printf(list, "%s[", elem_text(type->elem));
  for (uint32_t i = 0; i < type->rank; i++)
    string_printf(list, "%s%lld", i ? ", " : "", (long long)type->dim[i]);
  string_put(list, "]");
}

// ---- --load -----------------------------------------------------------------------------------

enum { MOST_LISTED = 12 };

typedef struct {
  String list;
  size_t missing, differ, extra;
} Mismatch;

static size_t mismatches(const Mismatch *m) {
  return m->missing + m->differ + m->extra;
}

static void put_expected(Mismatch *m, const Weight *weight, size_t count, const TensorFile *file) {
  for (size_t i = 0; i < count; i++) {
    const NnrtTensor *wanted = weight[i].tensor;
    const StoredTensor *found = tensors_find(file, wanted->name);
    if (found && tensor_fits(found, NNRT_LAYOUT_HWIO, &wanted->type, true))
      continue;
    *(found ? &m->differ : &m->missing) += 1;
    if (mismatches(m) > MOST_LISTED)
      continue;
    string_printf(&m->list, found ? "\n  %s: expected " : "\n  %s: missing, expected ",
                  wanted->name);
    put_weight_type(&m->list, &wanted->type);
    if (found) {
      string_put(&m->list, ", found ");
      put_stored_type(&m->list, found);
    }
  }
}

static bool is_expected(const Weight *weight, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (!strcmp(weight[i].tensor->name, name))
      return true;
  return false;
}

// partial (--partial): what doesn't fit is told and left, unless nothing fits at all.
static bool match(const char *path, const NnrtProgram *program, const Weight *weight, size_t count,
                  const TensorFile *file, bool partial, Failure *failure) {
  Mismatch m = {{0}, 0, 0, 0};
  put_expected(&m, weight, count, file);
  for (size_t i = 0; i < file->n; i++)
    if (!is_expected(weight, count, file->at[i].name)) {
      m.extra++;
      if (mismatches(&m) <= MOST_LISTED)
        string_printf(&m.list, "\n  %.200s: not in this program", file->at[i].name);
    }
  if (mismatches(&m) > MOST_LISTED)
    string_printf(&m.list, "\n  and %zu more", mismatches(&m) - MOST_LISTED);
  const char *list = m.list.at ? m.list.at : " (no memory for the list)";
  bool good = !mismatches(&m);
  if (!good && partial && m.missing + m.differ < count) {
    good = true;
    printf("%s: %zu of %zu tensors loaded; left out:%s\n", path, count - m.missing - m.differ,
           count, list);
  } else if (!good) {
    if (m.missing + m.differ && m.extra)
      string_put(&m.list, "\n  layers may have been renumbered: name them with `as`");
    failf(failure, "%s: the weights don't fit program %s:%s%s", path, program->name,
          m.list.at ? m.list.at : list,
          partial || m.missing + m.differ == count ? "" : "\n  --partial takes those that fit");
  }
  string_free(&m.list);
  return good;
}

bool weights_load(const Values *values, const char *path, bool partial, Failure *failure) {
  TensorFile file;
  size_t count;
  Weight *weight = list_weights(values, &count, failure);
  bool good = weight != NULL;
  if (good) {
    good = tensors_open(&file, path, failure) &&
           match(path, values->program, weight, count, &file, partial, failure);
    for (size_t i = 0; good && i < count; i++) {
      const StoredTensor *found = tensors_find(&file, weight[i].tensor->name);
      if (found && tensor_fits(found, NNRT_LAYOUT_HWIO, &weight[i].tensor->type, true))
        tensor_take(found, NNRT_LAYOUT_HWIO, 1, &weight[i]);
    }
    tensors_close(&file);
  }
  free(weight);
  return good;
}

// ---- What a run begins with -------------------------------------------------------------------

// Initial values, and over them what `weights = ...` says. all: did files give every one of them?
static bool begin(const Values *values, NnrtPool *pool, int64_t seed, const Options *options,
                  FILE *report, bool *all, Failure *failure) {
  const NnrtProgram *program = values->program;
  size_t count;
  if (!values_initialise(values, pool, seed, failure))
    return false;
  Weight *weight = list_weights(values, &count, failure);
  bool *covered = calloc(count + 1, sizeof *covered);
  bool good = weight && (covered || failf(failure, "not enough memory for the list of weights"));
  good = good && imports_load(weight, count, program, options, covered, report, failure);
  *all = good;
  for (size_t i = 0; good && i < count; i++)
    *all &= covered[i];
  free(covered);
  free(weight);
  return good;
}

bool weights_begin(const Values *values, NnrtPool *pool, int64_t seed, const Options *options,
                   FILE *report, Failure *failure) {
  bool all;
  if (options->load && !options->partial)
    return weights_load(values, options->load, false, failure);
  return begin(values, pool, seed, options, report, &all, failure) &&
         (!options->load || weights_load(values, options->load, true, failure));
}

bool weights_load_default(const Values *values, NnrtPool *pool, const Options *options,
                          Failure *failure) {
  const NnrtProgram *program = values->program;
  if (options->load)
    return weights_begin(values, pool, 0, options, stderr, failure);
  if (!program->n_param && !program->n_state)
    return true;
  char *path = weights_path(program, options);
  bool good = path || failf(failure, "not enough memory"), all = false;
  if (good && file_exists(path))
    good = weights_load(values, path, false, failure);
  else if (good) {
    if (program->n_import)
      good = begin(values, pool, 0, options, stderr, &all, failure);
    if (good && !all)
      good = failf(failure, "%s: no weights yet; train first, or name a file with --load", path);
  }
  free(path);
  return good;
}
