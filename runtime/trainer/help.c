// --help, generated from the program: its commands, blocks, configs and flags.
#include <string.h>
#include "trainer.h"

static void print_line(const char *dashes, const char *name, const char *operand,
                       const char *help) {
  int width = printf("  %s%s%s%s", dashes, name, operand ? " " : "", operand ? operand : "");
  printf("%*s%s\n", width < 23 ? 23 - width : 1, "", help);
}

static void print_blocks(const NnrtProgram *program) {
  for (uint32_t i = 0; i < program->n_train; i++) {
    const NnrtTrain *train = &program->train[i];
    printf("  train %-14s ", train->name);
    if (train->data != NNRT_NONE)
      printf("on %s, ", program->data[train->data].name);
    printf("batch %lld, ", (long long)train->batch);
    if (train->steps)
      printf("%lld steps, ", (long long)train->steps);
    else
      printf("%lld epochs, ", (long long)train->epochs);
    printf("seed %lld\n", (long long)train->seed);
  }
  for (uint32_t i = 0; i < program->n_predict; i++) {
    const NnrtPredict *predict = &program->predict[i];
    if (predict->data != NNRT_NONE)
      printf("  predict %-12s on %s\n", predict->name, program->data[predict->data].name);
    else
      printf("  predict %s\n", predict->name);
  }
}

static void print_configs(const NnrtProgram *program) {
  if (!program->n_config)
    return;
  printf("\nconfigs of this program\n");
  for (uint32_t i = 0; i < program->n_config; i++) {
    const NnrtConfig *config = &program->config[i];
    char help[256];
    int length = snprintf(help, sizeof help, "%s%sdefault %g", config->help ? config->help : "",
                          config->help && *config->help ? "; " : "", config->value);
    if (config->min <= config->max && length > 0 && (size_t)length < sizeof help)
      snprintf(help + length, sizeof help - (size_t)length, ", from %g to %g", config->min,
               config->max);
    print_line("--", config->name, "X", help);
  }
}

void help_print(const NnrtProgram *program, const char *self) {
  printf("%s: a neural network compiled by nnc\n\n", program->name);
  printf("usage: %s [COMMAND] [FLAGS]\n\ncommands\n", self);
  if (program->n_train) {
    print_line("", "(none), train", NULL,
               "train, print the figures of every epoch, save the weights");
    print_line("", "eval", NULL, "figures of saved weights on the test split");
  }
  if (program->n_predict)
    print_line("", "predict [FILE ...]", NULL,
               "results for the test split, or for csv, idx, PNG and JPEG files");
  print_line("", "summary", NULL, "layers, shapes, parameters, memory, operations");
  if (program->n_train) {
    print_line("", "gradcheck", NULL, "this program's gradients against central differences");
    print_line("", "profile", NULL, "time and GFLOP/s of every kernel of a training step");
  }
  for (uint32_t i = 0; i < program->n_data; i++)
    if (program->data[i].preview != NNRT_NONE) {
      print_line("", "preview", NULL, "8 variants of the first training picture, as preview.png");
      break;
    }
  printf("\nblocks\n");
  print_blocks(program);
  print_configs(program);
  printf("\nflags\n");
  for (size_t i = 0; i < trainer_flag_count; i++)
    print_line("--", trainer_flags[i].name, trainer_flags[i].operand, trainer_flags[i].help);
  printf("\nWeights are %s.safetensors unless --out or --load say otherwise.\n", program->name);
}
