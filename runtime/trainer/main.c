// The program in every executable: picks the tables for this CPU, reads the command line, runs one
// command. What goes wrong is one message on standard error and exit status 1.
#include <errno.h>
#include <string.h>
#include "trainer.h"

// Of OpenBLAS, if the program was compiled with it. The threads are ours; its own would fight with
// them for the cores.
void openblas_set_num_threads(int n) __attribute__((weak));

static bool run_command(Run *run, int *status, Failure *failure) {
  const Options *options = run->options;
  if (options->command == COMMAND_HELP) {
    help_print(run->program, run->self);
    return true;
  }
  if (options->command == COMMAND_VERSION) {
    printf("%s, compiled by %s for %s, source %s\n", run->program->name, run->program->compiler,
           run->program->cpu, run->program->source_hash);
    return true;
  }
  run->pool = nnrt_pool_open((int)option_or(options->threads, 0));
  if (!run->pool)
    return failf(failure, "the worker threads could not be started: %s", strerror(errno));
  bool good = drawings_open(&run->drawings, run->program, options, failure);
  switch (options->command) {
  case COMMAND_SUMMARY:
    good = good && command_summary(run, status, failure);
    break;
  case COMMAND_EVAL:
    good = good && command_eval(run, status, failure);
    break;
  case COMMAND_PREDICT:
    good = good && command_predict(run, status, failure);
    break;
  case COMMAND_GRADCHECK:
    good = good && command_gradcheck(run, status, failure);
    break;
  case COMMAND_PREVIEW:
    good = command_preview(run, status, failure);
    break;
  case COMMAND_PROFILE:
    good = good && command_profile(run, status, failure);
    break;
  default:
    good = good && command_train(run, status, failure);
  }
  drawings_close(&run->drawings);
  nnrt_pool_close(run->pool);
  return good;
}

int nnrt_trainer_main(const NnrtProgram *const *programs, int argc, char **argv) {
  Failure failure = {{0}};
  Options options = {0};
  const char *self = argc > 0 ? argv[0] : "trainer", *slash = strrchr(self, '/');
  Run run = {.program = cpu_choose(programs, &failure), .options = &options, .self = self};
  int status = 0;
  if (openblas_set_num_threads)
    openblas_set_num_threads(1);
  bool good = run.program && options_parse(run.program, argc, argv, &options, &failure) &&
              run_command(&run, &status, &failure);
  if (run.program)
    options_free(&options);
  if (fflush(stdout) || ferror(stdout)) { // a full disk, or a reader that went
    if (good)
      good = failf(&failure, "the output can't be written: %s", strerror(errno));
  }
  if (!good) {
    fprintf(stderr, "%s: error: %s\n", slash ? slash + 1 : self, failure.text);
    return 1;
  }
  return status;
}
