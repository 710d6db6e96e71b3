// A program made by hand for tests of the trainer: x f32[2, 2] and label index<3> to three scores,
// softmax cross-entropy, SGD with momentum. Its kernels are plain C. And the means to run commands
// of it.
#ifndef TRAINER_PROGRAM_H
#define TRAINER_PROGRAM_H

#include <stdio.h>
#include "nnrt.h"

typedef struct {
  NnrtProgram program;
  NnrtData data;
  NnrtTrain train;
  NnrtPredict predict[2];
  NnrtColumn column[2];
  const char *train_file[2], *test_file[2];
} ToyProgram;

// The tables; data: csv files train.csv and test.csv with five columns, the last 20 rows validate.
void toy_make(ToyProgram *toy);
// Two idx files per split instead: x.idx, label.idx, test-x.idx, test-label.idx.
void toy_use_idx(ToyProgram *toy);

typedef struct {
  int status;      // exit status, or -signal
  char out[20000]; // standard output and error, cut off
  char error[8000];
} Outcome;

// Runs the command in a process of its own, in the current folder. arguments: split at blanks.
void toy_run(const ToyProgram *toy, const char *arguments, Outcome *outcome);
// As above with standard output into this file; NULL: as above.
void toy_run_to(const ToyProgram *toy, const char *arguments, const char *out, Outcome *outcome);
// A fresh folder that becomes the current one.
void toy_enter_folder(char folder[64]);
void toy_leave_folder(const char *folder);
void toy_write(const char *path, const void *bytes, size_t size);
void toy_write_text(const char *path, const char *text);
char *toy_read(const char *path, size_t *size); // malloc'd, NUL-terminated; NULL if there is none
void toy_write_csv(const char *path, int rows, int seed);
void toy_write_idx(const char *x_path, const char *label_path, int rows, int seed);

void toy_check(bool good, const char *name, const char *why, ...)
    __attribute__((format(printf, 3, 4)));
extern int toy_failed;

#endif
