// The command line: a command, flags that every program has, one flag per config of this program.
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "trainer.h"

const Flag trainer_flags[] = {
    {"epochs", "N", "train for N passes over the data"},
    {"steps", "N", "train for N updates (overrides --epochs)"},
    {"batch", "N", "examples per update"},
    {"seed", "N", "start of all random numbers"},
    {"threads", "N", "worker threads (default: the CPUs this process may use)"},
    {"out", "FILE", "where training writes the weights, preview its picture"},
    {"load", "FILE", "start from these weights (.safetensors, .npz)"},
    {"partial", NULL, "--load takes the weights that fit, and says which don't"},
    {"data", "DIR", "look for data files here first, then in $NN_DATA"},
    {"log", "FORM", "plain, json or bar (default: bar on a terminal, else plain)"},
    {"history", "FILE", "write the figures of every epoch as csv"},
    {"curves", "FILE", "draw the figures of every epoch as a PNG"},
    {"csv", "FILE", "predict: write the results as csv"},
    {"pictures", "DIR", "where pictures are written (default: beside the weights)"},
    {"split", "NAME", "eval, predict: train, validate or test"},
    {"limit", "N", "predict: at most N rows (of pictures 16)"},
    {"count", "N", "predict: N rows of a block that reads no data"},
    {"block", "NAME", "the train or predict block to use, where there are several"},
    {"set", "NAME=X", "set a config, the same as --NAME X"},
    {"help", NULL, "this text"},
    {"version", NULL, "the program, the compiler that made it, its CPU level"},
};
const size_t trainer_flag_count = sizeof trainer_flags / sizeof *trainer_flags;

static const char *const commands[] = {"train",     "eval",    "predict", "summary",
                                       "gradcheck", "profile", "preview", "help"};

// ---- Values of flags --------------------------------------------------------------------------

static bool set_count(const char *flag, const char *text, int64_t min, int64_t max, int64_t *to,
                      Failure *failure) {
  return parse_integer(text, min, max, to) ||
         failf(failure, "--%s: \"%s\" is not a whole number from %lld to %lld", flag, text,
               (long long)min, (long long)max);
}

static bool set_config(const NnrtProgram *program, Options *options, uint32_t index,
                       const char *text, Failure *failure) {
  const NnrtConfig *config = &program->config[index];
  double value;
  if (!parse_number(text, strlen(text), &value))
    return failf(failure, "--%s: \"%s\" is not a number", config->name, text);
  if (config->min <= config->max && !(value >= config->min && value <= config->max))
    return failf(failure, "--%s: %s is out of range, expected %g to %g", config->name, text,
                 config->min, config->max);
  options->config[index] = (float)value;
  return true;
}

// The part before '=' may be longer than the name: `length` bytes of it count; - and _ are the
// same.
static bool same_name(const char *name, const char *written, size_t length) {
  if (strlen(name) != length)
    return false;
  for (size_t i = 0; i < length; i++)
    if (name[i] != written[i] && !(name[i] == '_' && written[i] == '-'))
      return false;
  return true;
}

static uint32_t find_config(const NnrtProgram *program, const char *name, size_t length) {
  for (uint32_t i = 0; i < program->n_config; i++)
    if (same_name(program->config[i].name, name, length))
      return i;
  return NNRT_NONE;
}

static bool set_named(const NnrtProgram *program, Options *options, const char *text,
                      Failure *failure) {
  const char *equals = strchr(text, '=');
  if (!equals)
    return failf(failure, "--set: \"%s\", expected NAME=NUMBER", text);
  uint32_t index = find_config(program, text, (size_t)(equals - text));
  if (index != NNRT_NONE)
    return set_config(program, options, index, equals + 1, failure);
  String list = {0};
  for (uint32_t i = 0; i < program->n_config; i++)
    string_printf(&list, "%s%s", i ? ", " : "", program->config[i].name);
  failf(failure, "--set: this program has no config \"%.*s\"; it has %s", (int)(equals - text),
        text, list.length ? list.at : "none");
  string_free(&list);
  return false;
}

static bool set_word(const char *flag, const char *text, const char *const *words, int count,
                     int *to, Failure *failure) {
  String list = {0};
  for (*to = 0; *to < count; ++*to) {
    if (!strcmp(text, words[*to])) {
      string_free(&list);
      return true;
    }
    string_printf(&list, "%s%s", *to ? ", " : "", words[*to]);
  }
  failf(failure, "--%s: \"%s\", expected one of: %s", flag, text, list.at ? list.at : "");
  string_free(&list);
  return false;
}

static bool set_log(Options *options, const char *text, Failure *failure) {
  static const char *const words[] = {"auto", "plain", "json", "bar"};
  int word;
  if (!set_word("log", text, words, 4, &word, failure))
    return false;
  options->log = (LogForm)word;
  return true;
}

static bool set_split(Options *options, const char *text, Failure *failure) {
  static const char *const words[] = {"train", "validate", "test"};
  int word;
  if (!set_word("split", text, words, 3, &word, failure))
    return false;
  options->split = (SplitKind)word;
  return true;
}

static bool set_text(const char *flag, const char *text, const char **to, Failure *failure) {
  *to = text;
  return *text || failf(failure, "--%s: the name is empty", flag);
}

// One flag that every program has.
static bool set_flag(const NnrtProgram *program, Options *o, const char *flag, const char *text,
                     Failure *f) {
  if (!strcmp(flag, "epochs"))
    return set_count(flag, text, 0, INT32_MAX, &o->epochs, f);
  if (!strcmp(flag, "steps"))
    return set_count(flag, text, 0, INT32_MAX, &o->steps, f);
  if (!strcmp(flag, "batch"))
    return set_count(flag, text, 1, 1 << 24, &o->batch, f);
  if (!strcmp(flag, "seed"))
    return set_count(flag, text, INT32_MIN, INT32_MAX, &o->seed, f);
  if (!strcmp(flag, "threads"))
    return set_count(flag, text, 1, 1024, &o->threads, f);
  if (!strcmp(flag, "count") || !strcmp(flag, "limit"))
    return set_count(flag, text, 1, INT32_MAX, &o->count, f);
  if (!strcmp(flag, "log"))
    return set_log(o, text, f);
  if (!strcmp(flag, "split"))
    return set_split(o, text, f);
  if (!strcmp(flag, "set"))
    return set_named(program, o, text, f);
  const char **to = !strcmp(flag, "out")        ? &o->out
                    : !strcmp(flag, "load")     ? &o->load
                    : !strcmp(flag, "data")     ? &o->data
                    : !strcmp(flag, "history")  ? &o->history
                    : !strcmp(flag, "csv")      ? &o->csv
                    : !strcmp(flag, "curves")   ? &o->curves
                    : !strcmp(flag, "pictures") ? &o->pictures
                                                : &o->block;
  return set_text(flag, text, to, f);
}

// ---- The line ---------------------------------------------------------------------------------

static bool unknown_flag(const NnrtProgram *program, const char *flag, size_t length,
                         Failure *failure) {
  size_t count = trainer_flag_count + program->n_config;
  const char **names = malloc(count * sizeof *names);
  char written[65];
  snprintf(written, sizeof written, "%.*s", (int)length, flag);
  for (size_t i = 0; names && i < count; i++)
    names[i] = i < trainer_flag_count ? trainer_flags[i].name
                                      : program->config[i - trainer_flag_count].name;
  const char *near = names ? closest_name(written, names, count) : NULL;
  free(names);
  return near ? failf(failure, "unknown flag --%s; did you mean --%s? (--help lists all)", written,
                      near)
              : failf(failure, "unknown flag --%s; --help lists all", written);
}

static bool parse_flag(const NnrtProgram *program, int argc, char **argv, int *i, Options *options,
                       Failure *failure) {
  const char *flag = argv[*i] + 2, *equals = strchr(flag, '=');
  size_t length = equals ? (size_t)(equals - flag) : strlen(flag);
  const Flag *common = NULL;
  for (size_t k = 0; k < trainer_flag_count && !common; k++)
    if (same_name(trainer_flags[k].name, flag, length))
      common = &trainer_flags[k];
  uint32_t config = common ? NNRT_NONE : find_config(program, flag, length);
  if (!common && config == NNRT_NONE)
    return unknown_flag(program, flag, length, failure);
  if (common && !common->operand) {
    if (equals)
      return failf(failure, "--%s takes no value", common->name);
    if (!strcmp(common->name, "partial"))
      options->partial = true;
    else
      options->command = strcmp(common->name, "help") ? COMMAND_VERSION : COMMAND_HELP;
    return true;
  }
  const char *text = equals ? equals + 1 : *i + 1 < argc ? argv[++*i] : NULL;
  if (!text)
    return failf(failure, "--%.*s needs a value", (int)length, flag);
  return common ? set_flag(program, options, common->name, text, failure)
                : set_config(program, options, config, text, failure);
}

static bool parse_command(const char *word, Options *options, Failure *failure) {
  size_t count = sizeof commands / sizeof *commands;
  for (size_t i = 0; i < count; i++) {
    if (!strcmp(word, commands[i])) {
      options->command = (Command)i;
      return true;
    }
  }
  const char *near = closest_name(word, commands, count);
  return near ? failf(failure, "unknown command \"%s\"; did you mean \"%s\"?", word, near)
              : failf(failure,
                      "unknown command \"%s\", expected train, eval, predict, summary, "
                      "gradcheck, profile or preview",
                      word);
}

// The name of a predict block where a file is wanted: `predict Class`.
static bool is_block(const NnrtProgram *program, const char *word) {
  for (uint32_t i = 0; i < program->n_predict; i++)
    if (!strcmp(program->predict[i].name, word))
      return access(word, F_OK) != 0;
  return false;
}

static bool check_together(const NnrtProgram *program, const Options *options, Failure *failure) {
  if (options->n_file && options->command != COMMAND_PREDICT)
    return failf(failure, "\"%s\": this command takes no files", options->file[0]);
  if (options->n_file && is_block(program, options->file[0]))
    return failf(failure, "\"%s\" is a predict block and no file: write --block %s",
                 options->file[0], options->file[0]);
  if (options->csv && options->command != COMMAND_PREDICT)
    return failf(failure,
                 "--csv: only predict writes csv; --history FILE writes the figures of training");
  if (options->pictures && options->command != COMMAND_PREDICT && options->command != COMMAND_TRAIN)
    return failf(failure, "--pictures: only train and predict draw");
  if (options->curves && options->command != COMMAND_TRAIN)
    return failf(failure, "--curves: only training has them");
  if (options->history && options->command != COMMAND_TRAIN)
    return failf(failure, "--history: only training has one");
  if (options->partial && !options->load)
    return failf(failure, "--partial: it is about the file of --load, and there is none");
  if (options->out && options->load && options->command == COMMAND_EVAL)
    return failf(failure, "--out: eval writes no weights");
  if (options->command == COMMAND_TRAIN && !program->n_train)
    return failf(failure, "this program has no train block; --help lists its commands");
  return true;
}

bool options_parse(const NnrtProgram *program, int argc, char **argv, Options *options,
                   Failure *failure) {
  *options = (Options){.epochs = -1,
                       .steps = -1,
                       .batch = -1,
                       .seed = INT64_MIN,
                       .threads = -1,
                       .count = -1,
                       .split = SPLIT_NONE};
  options->config = malloc((program->n_config + 1) * sizeof *options->config);
  const char **files = malloc(((size_t)argc + 1) * sizeof *files);
  options->file = files;
  if (!options->config || !files)
    return failf(failure, "not enough memory for the command line");
  for (uint32_t i = 0; i < program->n_config; i++)
    options->config[i] = (float)program->config[i].value;
  bool command_given = false, only_files = false;
  for (int i = 1; i < argc; i++) {
    if (!only_files && !strcmp(argv[i], "--"))
      only_files = true;
    else if (!only_files && !strcmp(argv[i], "-h"))
      options->command = COMMAND_HELP;
    else if (!only_files && !strncmp(argv[i], "--", 2)) {
      if (!parse_flag(program, argc, argv, &i, options, failure))
        return false;
    } else if (!only_files && !command_given) {
      if (!parse_command(argv[i], options, failure))
        return false;
      command_given = true;
    } else {
      files[options->n_file++] = argv[i];
    }
    if (options->command >= COMMAND_HELP)
      return true;
  }
  return check_together(program, options, failure);
}

void options_free(Options *options) {
  free(options->config);
  free((void *)options->file);
}

int64_t option_or(int64_t given, int64_t otherwise) {
  return given >= 0 ? given : otherwise;
}
