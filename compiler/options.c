// Reads the command line: every option once, numbers and words checked.
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// -------------------------------------------------------------------------------------

// The value of "--name=value" or of "--name value"; NULL if arg is another option.
static const char *option_value(const char *name, int argc, char **argv, int *i) {
  size_t n = strlen(name);
  if (strncmp(argv[*i], name, n) != 0)
    return NULL;
  if (argv[*i][n] == '=')
    return argv[*i] + n + 1;
  if (argv[*i][n] != 0)
    return NULL;
  if (*i + 1 >= argc) {
    fprintf(stderr, "nnc: %s needs a value\n", name);
    exit(EXIT_USER);
  }
  return argv[++*i];
}

static int64_t positive(const char *name, const char *text) {
  char *end;
  errno = 0;
  long long v = strtoll(text, &end, 10);
  if (errno || *end || end == text || v < 1 || v > INT32_MAX) {
    fprintf(stderr, "nnc: %s wants a whole number from 1, not `%s`\n", name, text);
    exit(EXIT_USER);
  }
  return v;
}

static const char *one_of(const char *name, const char *text, const char *const *words,
                          uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    if (strcmp(words[i], text) == 0)
      return words[i];
  fprintf(stderr, "nnc: %s can't be `%s`; it is one of", name, text);
  for (uint32_t i = 0; i < n; i++)
    fprintf(stderr, "%s %s", i ? "," : "", words[i]);
  fputc('\n', stderr);
  exit(EXIT_USER);
}

static void set_cpu(Options *o, const char *text) {
  static const char *const words[] = {"native", "x86-64-v2", "x86-64-v3", "x86-64-v4", "all"};
  o->cpu = one_of("--cpu", text, words, 5);
}

static void set_blas(Options *o, const char *text) {
  static const char *const words[] = {"auto", "own", "openblas"};
  const char *w = one_of("--blas", text, words, 3);
  o->codegen.blas = w == words[0] ? BLAS_AUTO : w == words[1] ? BLAS_OWN : BLAS_OPENBLAS;
}

static void unknown_option(const char *arg) {
  static const char *const known[] = {
      "--emit",        "--cpu",    "--blas",     "--static", "--strip",   "--batch",   "--jobs",
      "--time-passes", "--passes", "--function", "--help",   "--version", "--list-ops"};
  const char *near = nearest_name(arg, known, sizeof known / sizeof *known);
  fprintf(stderr, "nnc: unknown option `%s`%s%s%s\n", arg, near ? "; did you mean `" : "",
          near ? near : "", near ? "`?" : "; see nnc --help");
  exit(EXIT_USER);
}

static void set_input(Options *o, const char *arg) {
  if (o->input) {
    fprintf(stderr, "nnc: one input file at a time: `%s` and `%s`\n", o->input, arg);
    exit(EXIT_USER);
  }
  o->input = arg;
}

static void add_define(Options *o, const char *arg) {
  if (!strchr(arg, '=') || o->n_define == MAX_DEFINES) {
    fprintf(stderr, "nnc: -D wants NAME=VALUE, not `%s`\n", arg);
    exit(EXIT_USER);
  }
  o->define[o->n_define++] = arg;
}

Options read_options(int argc, char **argv) {
  Options o = {.cpu = "native", .codegen = {.cpu = "native", .jobs = 2}, .n = 32};
  for (int i = 0; i < argc; i++) {
    const char *v;
    if (strcmp(argv[i], "--") == 0) {
      o.rest = argv + i + 1;
      o.n_rest = argc - i - 1;
      break;
    } else if (argv[i][0] != '-')
      set_input(&o, argv[i]);
    else if (strncmp(argv[i], "-D", 2) == 0 && argv[i][2])
      add_define(&o, argv[i] + 2);
    else if ((v = option_value("-D", argc, argv, &i)))
      add_define(&o, v);
    else if ((v = option_value("-o", argc, argv, &i)))
      o.output = v;
    else if ((v = option_value("--emit", argc, argv, &i)))
      o.emit = v;
    else if ((v = option_value("--passes", argc, argv, &i)))
      o.passes = v;
    else if ((v = option_value("--function", argc, argv, &i)))
      o.function = v;
    else if ((v = option_value("--cpu", argc, argv, &i)))
      set_cpu(&o, v);
    else if ((v = option_value("--blas", argc, argv, &i)))
      set_blas(&o, v);
    else if ((v = option_value("--batch", argc, argv, &i)))
      o.n = positive("--batch", v);
    else if ((v = option_value("--jobs", argc, argv, &i)))
      o.codegen.jobs = (int)positive("--jobs", v);
    else if (strcmp(argv[i], "--static") == 0)
      o.is_static = true;
    else if (strcmp(argv[i], "--strip") == 0)
      o.strip = true;
    else if (strcmp(argv[i], "--time-passes") == 0)
      o.time_passes = true;
    else
      unknown_option(argv[i]);
  }
  return o;
}
