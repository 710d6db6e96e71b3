// The driver: options, then the pipeline, read straight down.
#include "ast.h"
#include "ir/ir.h"
#include "options.h"
#include "ops/op.h"
#include "pass/elaborate.h"
#include "tools/tools.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_LEVELS = 3 };

typedef struct {
  const char *name, *doc;
  void (*run)(Module *m);
} Pass;
static const Pass passes[] = {
#define PASS(name, doc) {#name, doc, pass_##name},
#include "passes.def"
#undef PASS
};
enum { N_PASSES = sizeof passes / sizeof *passes };

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void print_usage(FILE *out) {
  fputs(
      "usage: nnc FILE.nn -o TRAINER        compile to an executable\n"
      "       nnc check FILE.nn             report errors and warnings only\n"
      "       nnc run FILE.nn -- ARGS       compile, then run the trainer with ARGS\n"
      "       nnc fmt [--check] FILE...     format sources in place (- for stdin to stdout)\n"
      "       nnc doc [--html] [-o PAGE] [FILE.nn | std.layers]   documentation from /// comments\n"
      "       nnc explain [CODE]            tell more about an error code; without it, list them\n"
      "       nnc opt --passes=A,B FILE.ir  run passes on IR text\n"
      "       nnc eval FILE                 run a program or IR in double, for comparison\n"
      "\n"
      "  -o FILE           where the result goes (default: the source's name without .nn)\n"
      "  -D NAME=VALUE     set a const of the program\n"
      "  --emit=STAGE      print that stage instead (with -o into a file): tokens, ast, ir,\n"
      "                    a pass (below), plan, llvm, asm, obj; for Graphviz dot (the\n"
      "                    network by layers), dot-ir and dot-PASS (the IR)\n"
      "  --cpu=LEVEL       native (default), x86-64-v2, x86-64-v3, x86-64-v4, all\n"
      "  --blas=WHICH      products by auto (default), own, openblas\n"
      "  --static          an executable that runs where nothing is installed\n"
      "  --strip           without symbols\n"
      "  --batch=N         rows for --emit=plan and `nnc eval` (default 32)\n"
      "  --function=NAME   `nnc eval`: which function (default: the first)\n"
      "  --jobs=N          compile threads (default 2); the result is the same for any number\n"
      "  --time-passes     print the time of each stage to stderr\n"
      "  --list-ops        print the operations of the IR\n"
      "  --help, --version\n"
      "\npasses, in order:\n",
      out);
  for (size_t i = 0; i < N_PASSES; i++)
    fprintf(out, "  %-10s %s\n", passes[i].name, passes[i].doc);
}

// ---- output -------------------------------------------------------------------------------------

static int fail(const char *format, const char *a, const char *b) {
  fputs("nnc: ", stderr);
  fprintf(stderr, format, a, b);
  fputc('\n', stderr);
  return EXIT_USER;
}

// Text to -o FILE (whole or not at all) or to stdout.
static int write_text(const Options *o, const Text *text) {
  if (!o->output || strcmp(o->output, "-") == 0) {
    fwrite(text->at ? text->at : "", 1, text->n, stdout);
    return 0; // main looks whether it arrived
  }
  const char *temp = arena_printf(text->arena, "%s.part", o->output);
  FILE *f = fopen(temp, "wb");
  bool ok = f && fwrite(text->at ? text->at : "", 1, text->n, f) == text->n;
  ok = f && fclose(f) == 0 && ok && rename(temp, o->output) == 0;
  if (ok)
    return 0;
  int why = errno;
  unlink(temp);
  return fail("can't write %s: %s", o->output, strerror(why));
}

// ---- the pipeline -------------------------------------------------------------------------------

static void verify(Session *s, const Module *m, const char *after) {
  const char *wrong = ir_verify(m);
  if (!wrong)
    return;
  Text text = {.arena = s->perm};
  ir_print(m, &text);
  const char *path = "nnc-failed.ir";
  FILE *f = fopen(path, "w");
  if (f) {
    fputs(text.at, f);
    fclose(f);
  }
  ice("after pass %s: %s (the IR is in %s)", after, wrong, path);
}

static void run_pass(Session *s, const Options *o, const Pass *pass, Module *m) {
  double start = seconds();
  size_t bytes = arena_bytes(m->arena);
  pass->run(m);
  if (o->time_passes)
    fprintf(stderr, "%-10s %8.3f ms %8zu KiB\n", pass->name, 1e3 * (seconds() - start),
            (arena_bytes(m->arena) - bytes) / 1024);
  if (s->n_error == 0)
    verify(s, m, pass->name);
}

// Runs the passes up to and including the last one called `until` (NULL: all).
static bool run_passes(Session *s, const Options *o, Module *m, const char *until) {
  size_t end = N_PASSES;
  if (until)
    for (size_t i = 0; i < N_PASSES; i++)
      if (strcmp(passes[i].name, until) == 0)
        end = i + 1;
  for (size_t i = 0; i < end && s->n_error == 0; i++)
    run_pass(s, o, &passes[i], m);
  return s->n_error == 0;
}

static const Pass *find_pass(const char *name, size_t n) {
  for (size_t i = 0; i < N_PASSES; i++)
    if (strncmp(passes[i].name, name, n) == 0 && passes[i].name[n] == 0)
      return &passes[i];
  return NULL;
}

static uint32_t read_source(Session *s, const char *path) {
  struct stat st;
  if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
    fail("%s is a folder, not a .nn file%s", path, "");
    return 0;
  }
  uint32_t file = source_read(s, path);
  if (!file)
    fail("can't read %s: %s", path, strerror(errno));
  return file;
}

static Module *front(Session *s, const Options *o, uint32_t file, bool check) {
  double start = seconds();
  ElabOptions eo = {o->define, o->n_define, check};
  Module *m = elaborate(s, file, &eo);
  if (o->time_passes)
    fprintf(stderr, "%-10s %8.3f ms\n", "elaborate", 1e3 * (seconds() - start));
  if (m && s->n_error == 0 && !check)
    verify(s, m, "elaborate");
  return s->n_error ? NULL : m;
}

// ---- back end, loaded when code is generated ----------------------------------------------------

typedef struct {
  const char *(*emit)(Module *, const CodegenOptions *, const char *, const char *, const char *,
                      Text *);
  const char *(*index)(Session *, const char *const *, uint32_t, const char *);
  bool (*uses_openblas)(const Module *, const CodegenOptions *);
} Backend;

static const char *load_backend(Session *s, Backend *b) {
  char self[4096];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  if (n < 0)
    return "can't find the folder of the nnc executable (/proc/self/exe)";
  self[n] = 0;
  char *slash = strrchr(self, '/');
  const char *path = arena_printf(s->perm, "%.*s/nnc-llvm.so", (int)(slash - self), self);
  void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!lib)
    return arena_printf(s->perm, "can't load the code generator: %s", dlerror());
  *(void **)&b->emit = dlsym(lib, "codegen_emit");
  *(void **)&b->index = dlsym(lib, "codegen_emit_index");
  *(void **)&b->uses_openblas = dlsym(lib, "codegen_uses_openblas");
  return b->emit && b->index && b->uses_openblas ? NULL : "nnc-llvm.so is of another version";
}

// What is known before any work is done; a full disk shows later.
static const char *check_output(Session *s, const char *path) {
  const char *slash = strrchr(path, '/');
  const char *folder = slash ? arena_printf(s->perm, "%.*s/", (int)(slash - path), path) : ".";
  struct stat st;
  if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
    return arena_printf(s->perm, "can't write %s: it is a folder", path);
  if (access(folder, W_OK | X_OK) != 0)
    return arena_printf(s->perm, "can't write %s: %s", path, strerror(errno));
  return NULL;
}

static bool has_pictures(const NnrtSource *source) {
  bool any = source->kind == NNRT_FOLDERS || source->kind == NNRT_CIFAR;
  for (uint32_t k = 0; k < source->n_side; k++)
    any |= has_pictures(&source->side[k]);
  return any;
}

// Pictures of any format: in the data, or in colour as the input of a predict block.
static bool reads_pictures(const NnrtProgram *program) {
  bool any = false;
  for (uint32_t i = 0; i < program->n_data; i++)
    any |= has_pictures(&program->data[i].train);
  for (uint32_t i = 0; i < program->n_predict; i++)
    for (uint32_t k = 0; k < program->predict[i].n_input; k++) {
      const NnrtType *type = &program->predict[i].input[k].type;
      any |= type->rank == 3 && type->dim[2] == 3;
    }
  return any;
}

// One object per CPU level plus the index, linked. Objects lie beside the output while it is made.
static const char *make_executable(Session *s, const Options *o, Module *m, const char *output) {
  static const char *const all[] = {"x86-64-v4", "x86-64-v3", "x86-64-v2"};
  Backend backend;
  const char *why = check_output(s, output);
  if (!why)
    why = load_backend(s, &backend);
  uint32_t n = strcmp(o->cpu, "all") == 0 ? MAX_LEVELS : 1;
  const char *object[MAX_LEVELS + 1] = {0}, *suffix[MAX_LEVELS];
  for (uint32_t i = 0; i < n && !why; i++) {
    double start = seconds();
    CodegenOptions options = o->codegen;
    options.cpu = n > 1 ? all[i] : o->cpu;
    suffix[i] = n > 1 ? arena_printf(s->perm, "_v%c", all[i][8]) : "";
    object[i] = arena_printf(s->perm, "%s%s.%d.o", output, suffix[i], (int)getpid());
    codegen_tables(m, &options);
    why = backend.emit(m, &options, suffix[i], "obj", object[i], NULL);
    if (o->time_passes)
      fprintf(stderr, "%-10s %8.3f ms\n", "codegen", 1e3 * (seconds() - start));
  }
  double start = seconds();
  object[n] = arena_printf(s->perm, "%s.index.%d.o", output, (int)getpid());
  if (!why)
    why = backend.index(s, suffix, n, object[n]);
  if (!why) {
    LinkOptions link = {object,
                        n + 1,
                        output,
                        o->is_static,
                        o->strip,
                        backend.uses_openblas(m, &o->codegen),
                        reads_pictures(m->program)};
    why = link_executable(s, &link);
  }
  if (o->time_passes)
    fprintf(stderr, "%-10s %8.3f ms\n", "link", 1e3 * (seconds() - start));
  for (uint32_t i = 0; i <= n; i++)
    if (object[i])
      unlink(object[i]);
  return why;
}

static const char *default_output(Session *s, const Options *o) {
  const char *base = strrchr(o->input, '/');
  base = base ? base + 1 : o->input;
  const char *dot = strrchr(base, '.');
  return dot && dot > base ? arena_printf(s->perm, "%.*s", (int)(dot - base), base)
                           : arena_printf(s->perm, "%s.out", base);
}

static int emit_code(Session *s, const Options *o, Module *m) {
  Backend backend;
  const char *why = load_backend(s, &backend);
  Text text = {.arena = s->perm};
  const char *path = NULL;
  CodegenOptions options = o->codegen;
  options.cpu = strcmp(o->cpu, "all") == 0 ? "x86-64-v4" : o->cpu;
  codegen_tables(m, &options);
  if (strcmp(o->emit, "obj") == 0)
    path = o->output ? o->output : arena_printf(s->perm, "%s.o", default_output(s, o));
  if (!why)
    why = backend.emit(m, &options, "", o->emit, path, &text);
  if (why)
    return fail("%s%s", why, "");
  return path ? 0 : write_text(o, &text);
}

static int emit_stage(Session *s, const Options *o, uint32_t file) {
  Text text = {.arena = s->perm};
  if (strcmp(o->emit, "tokens") == 0) {
    print_tokens(s, file, &text);
  } else if (strcmp(o->emit, "ast") == 0) {
    print_ast(parse_source(s, file), &text);
  } else {
    Module *m = front(s, o, file, false);
    bool graph = strncmp(o->emit, "dot-", 4) == 0, network = strcmp(o->emit, "dot") == 0;
    const char *stage = graph ? o->emit + 4 : o->emit;
    bool elaborated = network || strcmp(stage, "ir") == 0 || strcmp(stage, "elaborate") == 0;
    if (!m || (!elaborated && !run_passes(s, o, m, stage)))
      return EXIT_USER;
    if (network) {
      const char *why = print_network(m, &text);
      if (why)
        return fail("%s%s", why, "");
    } else if (graph) {
      print_ir_graph(m, &text);
    } else if (elaborated || find_pass(stage, strlen(stage))) {
      ir_print(m, &text);
    } else if (strcmp(o->emit, "plan") == 0) {
      codegen_tables(m, &o->codegen);
      print_plan(m, o->n, &text);
    } else {
      return emit_code(s, o, m);
    }
  }
  return s->n_error ? EXIT_USER : write_text(o, &text);
}

static bool known_stage(const char *name) {
  static const char *const stages[] = {"tokens", "ast", "ir",  "elaborate", "plan",
                                       "llvm",   "asm", "obj", "dot",       "dot-ir"};
  const char *all[N_PASSES + 10];
  if (strncmp(name, "dot-", 4) == 0 && find_pass(name + 4, strlen(name + 4)))
    return true;
  uint32_t n = 0;
  for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
    all[n++] = stages[i];
  for (size_t i = 0; i < N_PASSES; i++)
    all[n++] = passes[i].name;
  for (uint32_t i = 0; i < n; i++)
    if (strcmp(all[i], name) == 0)
      return true;
  const char *near = nearest_name(name, all, n);
  fprintf(stderr, "nnc: there is no stage `%s` to emit%s%s%s\n", name,
          near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "; see nnc --help");
  return false;
}

// ---- commands -----------------------------------------------------------------------------------

static int compile(Session *s, const Options *o, const char *output) {
  uint32_t file = read_source(s, o->input);
  if (!file)
    return EXIT_USER;
  Module *m = front(s, o, file, false);
  if (!m || !run_passes(s, o, m, NULL))
    return EXIT_USER;
  const char *why = make_executable(s, o, m, output);
  return why ? fail("%s%s", why, "") : 0;
}

static int command_compile(Session *s, const Options *o) {
  if (!o->emit)
    return compile(s, o, o->output ? o->output : default_output(s, o));
  if (!known_stage(o->emit))
    return EXIT_USER;
  uint32_t file = read_source(s, o->input);
  return file ? emit_stage(s, o, file) : EXIT_USER;
}

static int command_check(Session *s, const Options *o) {
  uint32_t file = read_source(s, o->input);
  return file && front(s, o, file, true) ? 0 : EXIT_USER;
}

// Runs `exe` with the user's arguments; its exit status.
static int run_child(Session *s, const Options *o, const char *exe) {
  const char **argv = arena_array(s->perm, const char *, o->n_rest + 2);
  argv[0] = exe;
  for (int i = 0; i < o->n_rest; i++)
    argv[i + 1] = o->rest[i];
  signal(SIGINT, SIG_IGN); // Ctrl-C is the trainer's
  pid_t child = fork();
  if (child == 0) {
    signal(SIGINT, SIG_DFL);
    execv(exe, (char *const *)argv);
    _exit(127);
  }
  int code = 0;
  while (child > 0 && waitpid(child, &code, 0) < 0 && errno == EINTR) {
  }
  if (child < 0 || (WIFEXITED(code) && WEXITSTATUS(code) == 127))
    return fail("can't run %s: %s", exe, strerror(errno));
  return WIFEXITED(code) ? WEXITSTATUS(code) : 128 + WTERMSIG(code);
}

static int command_run(Session *s, const Options *o) {
  const char *where = getenv("TMPDIR");
  char *folder = arena_printf(s->perm, "%s/nnc-run-XXXXXX", where && *where ? where : "/tmp");
  if (!mkdtemp(folder))
    return fail("can't make a temporary folder: %s%s", strerror(errno), "");
  const char *exe = arena_printf(s->perm, "%s/%s", folder, default_output(s, o));
  int status = compile(s, o, exe);
  if (status == 0) {
    diag_print(s, stderr); // warnings, before the trainer speaks
    s->diag.n = 0;
    status = run_child(s, o, exe);
  }
  unlink(exe);
  rmdir(folder);
  return status;
}

static int command_opt(Session *s, const Options *o) {
  uint32_t file = read_source(s, o->input);
  Module *m = file ? ir_read(s, file) : NULL;
  if (!m)
    return EXIT_USER;
  verify(s, m, "read");
  for (const char *p = o->passes ? o->passes : ""; *p;) {
    size_t n = strcspn(p, ",");
    const Pass *pass = find_pass(p, n);
    if (!pass)
      return fail("there is no pass `%s`; see nnc --help%s", arena_strndup(s->perm, p, n), "");
    run_pass(s, o, pass, m);
    p += n + (p[n] == ',');
  }
  Text text = {.arena = s->perm};
  ir_print(m, &text);
  return s->n_error ? EXIT_USER : write_text(o, &text);
}

// IR that was printed, or a program after pass `grad`: then every operation has its meaning.
static Module *module_to_eval(Session *s, const Options *o) {
  uint32_t file = read_source(s, o->input);
  size_t n = strlen(o->input);
  bool program = n > 3 && strcmp(o->input + n - 3, ".nn") == 0;
  Module *m = !file ? NULL : program ? front(s, o, file, false) : ir_read(s, file);
  if (m && program && !run_passes(s, o, m, "grad"))
    return NULL;
  if (m && !program)
    verify(s, m, "read");
  return m;
}

static int command_eval(Session *s, const Options *o) {
  Module *m = module_to_eval(s, o);
  if (!m)
    return EXIT_USER;
  const Function *f = o->function ? ir_find_function(m, o->function) : m->fn.n ? m->fn.at[0] : NULL;
  if (!f)
    return fail("%s has no function%s", o->input, "");
  Text text = {.arena = s->perm};
  const char *why = eval_pattern(s, f, o->n, &text);
  if (why)
    return fail("%s: %s", o->input, why);
  return write_text(o, &text);
}

static int command_explain(Session *s, const char *code) {
  const char *text = explain_text(s, code);
  if (!text) {
    const char *const *codes;
    uint32_t n = explain_codes(s, &codes);
    const char *near = nearest_name(code, codes, n);
    if (near)
      return fail("there is no error code `%s`; did you mean `%s`?", code, near);
    return fail("there is no error code `%s`; nnc explain lists them%s", code, "");
  }
  fputs(text, stdout);
  return 0;
}

static int command_codes(Session *s) {
  const char *const *codes;
  uint32_t n = explain_codes(s, &codes);
  for (uint32_t i = 0; i < n; i++)
    puts(codes[i]);
  return 0;
}

static int command_list_ops(Session *s) {
  Text text = {.arena = s->perm};
  print_op_docs(&text);
  fputs(text.at, stdout);
  return 0;
}

static int dispatch(Session *s, int argc, char **argv) {
  static const struct {
    const char *name;
    int (*run)(Session *, const Options *);
  } commands[] = {
      {"check", command_check}, {"run", command_run}, {"opt", command_opt}, {"eval", command_eval}};
  int (*run)(Session *, const Options *) = command_compile;
  int first = 1;
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
    if (argc > 1 && strcmp(argv[1], commands[i].name) == 0) {
      run = commands[i].run;
      first = 2;
    }
  Options o = read_options(argc - first, argv + first);
  if (!o.input)
    return fail("no input file; see nnc --help%s%s", "", "");
  return run(s, &o);
}

int main(int argc, char **argv) {
  Session *s = session_create();
  int status;
  if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
    print_usage(argc < 2 ? stderr : stdout);
    status = argc < 2 ? EXIT_USER : 0;
  } else if (strcmp(argv[1], "--version") == 0) {
    puts("nnc 0.1");
    status = 0;
  } else if (strcmp(argv[1], "--list-ops") == 0) {
    status = command_list_ops(s);
  } else if (strcmp(argv[1], "explain") == 0) {
    status = argc == 2   ? command_codes(s)
             : argc == 3 ? command_explain(s, argv[2])
                         : fail("usage: nnc explain [CODE]%s%s", "", "");
  } else if (strcmp(argv[1], "doc") == 0) {
    status = command_doc(s, argc - 2, argv + 2);
  } else if (strcmp(argv[1], "fmt") == 0) {
    status = command_fmt(s, argc - 2, argv + 2);
  } else {
    status = dispatch(s, argc, argv);
  }
  if (s->n_error && status == 0)
    status = EXIT_USER;
  if (fflush(stdout) != 0 || ferror(stdout))
    status = fail("can't write: %s%s", strerror(errno), "");
  diag_print(s, stderr);
  session_destroy(s);
  return status;
}
