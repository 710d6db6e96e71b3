// Files of named tensors, as the parts that read and write weights share them: .safetensors
// (safetensors.c) and .npz (npz.c). What a file claims is checked before anything is made of it.
#ifndef NNRT_TENSORS_H
#define NNRT_TENSORS_H

#include "trainer.h"

// One tensor of a file.
typedef struct {
  char *name;
  char dtype[16]; // as .safetensors calls it: "F32"
  uint32_t rank;
  int64_t dim[NNRT_MAX_RANK];
  const uint8_t *at; // its values, one after the other
  size_t size;       // bytes
  bool columns;      // the first axis runs fastest (npy's Fortran order)
} StoredTensor;

typedef struct {
  Bytes file;
  StoredTensor *at; // by name
  size_t n;
  void **unpacked; // what was inflated
  size_t n_unpacked;
  uint64_t unpacked_bytes;
} TensorFile;

// By its content. To be closed in any case.
bool tensors_open(TensorFile *tensors, const char *path, Failure *failure);
void tensors_close(TensorFile *tensors);
const StoredTensor *tensors_find(const TensorFile *tensors, const char *name);
// The tensors of the bytes in tensors->file.
bool safetensors_list(TensorFile *tensors, const char *path, Failure *failure);
bool npz_is(const Bytes *bytes);
bool npz_list(TensorFile *tensors, const char *path, Failure *failure);
// Sorts by name; a name that is there twice is an error.
bool tensors_sort(TensorFile *tensors, const char *path, Failure *failure);

size_t dtype_bytes(const char *dtype); // 0: unknown
// Can it become f32? F16, BF16, F32, F64.
bool dtype_is_float(const char *dtype);
// All values as f32, in the order of the axes (layout: NnrtLayout), each times scale.
void tensor_values(const StoredTensor *tensor, uint32_t layout, double scale, float *to);
// The shape in that layout.
void tensor_shape(const StoredTensor *tensor, uint32_t layout, int64_t dim[NNRT_MAX_RANK]);

// What is written: the program's parameters and moving statistics.
typedef struct {
  const NnrtTensor *tensor;
  void *bytes;
  size_t size;
} Weight;

bool safetensors_write(const NnrtProgram *program, const Weight *weight, size_t count,
                       const char *path, Failure *failure);
bool npz_write(const Weight *weight, size_t count, const char *path, Failure *failure);

// ---- Into a program (weights.c, imports.c) ----------------------------------------------------

Weight *list_weights(const Values *values, size_t *count, Failure *failure);
// Is it the weight's type, axes of length 1 apart? `exact`: those too, and the element type.
bool tensor_fits(const StoredTensor *tensor, uint32_t layout, const NnrtType *type, bool exact);
void tensor_take(const StoredTensor *tensor, uint32_t layout, double scale, const Weight *weight);
void put_stored_type(String *list, const StoredTensor *tensor);
void put_weight_type(String *list, const NnrtType *type);
// What `weights = ...` of instances says. covered: per weight; set where a file gave it.
bool imports_load(const Weight *weight, size_t count, const NnrtProgram *program,
                  const Options *options, bool *covered, FILE *report, Failure *failure);

#endif
