#include "trainer_program.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IN = 4, OUT = 3 };
#define LEN(a) ((uint32_t)(sizeof(a) / sizeof *(a)))

// ---- Kernels: buffers are the ports of the function, arguments first --------------------------

static void scores_of(const float *w, const float *b, const float *x, double p[OUT]) {
  double sum = 0, top = -INFINITY;
  for (int o = 0; o < OUT; o++) {
    p[o] = (double)b[o];
    for (int i = 0; i < IN; i++)
      p[o] += (double)x[i] / 255 * (double)w[i * OUT + o];
    top = fmax(top, p[o]);
  }
  for (int o = 0; o < OUT; o++)
    sum += p[o] = exp(p[o] - top);
  for (int o = 0; o < OUT; o++)
    p[o] /= sum;
}

// Loss and hits of all rows; gradients of the mean loss if asked for.
static void pass(const float *w, const float *b, const float *x, const int32_t *label, int64_t n,
                 float *loss, float *hits, double gw[IN * OUT], double gb[OUT]) {
  double sum = 0, right = 0;
  for (int64_t r = 0; r < n; r++) {
    double p[OUT];
    scores_of(w, b, x + r * IN, p);
    int best = p[1] > p[0] ? 1 : 0;
    best = p[2] > p[best] ? 2 : best;
    sum -= log(p[label[r]]);
    right += best == label[r];
    for (int o = 0; gw && o < OUT; o++) {
      double d = (p[o] - (label[r] == o)) / (double)n;
      gb[o] += d;
      for (int i = 0; i < IN; i++)
        gw[i * OUT + o] += d * (double)x[r * IN + i] / 255;
    }
  }
  *loss = (float)sum;
  if (hits)
    *hits = (float)right;
}

static void init(const NnrtArgs *a, int64_t t0, int64_t t1) {
  (void)t0, (void)t1;
  int32_t seed = *(const int32_t *)a->buf[0];
  float *w = a->buf[1], *b = a->buf[2];
  for (int i = 0; i < IN * OUT; i++)
    w[i] = (float)((i * 7 + seed * 3) % 11 - 5) * 0.05f;
  for (int i = 0; i < OUT; i++)
    b[i] = 0;
}

static void update(float *p, float *velocity, const double *g, int n, float lr) {
  for (int i = 0; i < n; i++) {
    if (velocity)
      velocity[i] = 0.5f * velocity[i] + (float)g[i];
    p[i] -= lr * (velocity ? velocity[i] : (float)g[i]);
  }
}

// weight bias velocity x label lr step seed example -> weight bias velocity loss accuracy
static void step(const NnrtArgs *a, int64_t t0, int64_t t1) {
  (void)t0, (void)t1;
  double gw[IN * OUT] = {0}, gb[OUT] = {0};
  float lr = *(const float *)a->buf[5];
  pass(a->buf[0], a->buf[1], a->buf[3], a->buf[4], a->n, a->buf[12], a->buf[13], gw, gb);
  update(a->buf[9], a->buf[11], gw, IN * OUT, lr);
  update(a->buf[10], NULL, gb, OUT, lr);
}

// weight bias x label -> loss accuracy
static void eval(const NnrtArgs *a, int64_t t0, int64_t t1) {
  (void)t0, (void)t1;
  pass(a->buf[0], a->buf[1], a->buf[2], a->buf[3], a->n, a->buf[4], a->buf[5], NULL, NULL);
}

// weight bias x label -> loss, gradients
static void grad(const NnrtArgs *a, int64_t t0, int64_t t1) {
  (void)t0, (void)t1;
  double gw[IN * OUT] = {0}, gb[OUT] = {0};
  pass(a->buf[0], a->buf[1], a->buf[2], a->buf[3], a->n, a->buf[4], NULL, gw, gb);
  for (int i = 0; i < IN * OUT; i++)
    ((float *)a->buf[5])[i] = (float)gw[i];
  for (int i = 0; i < OUT; i++)
    ((float *)a->buf[6])[i] = (float)gb[i];
}

// weight bias x -> probabilities, class
static void predict(const NnrtArgs *a, int64_t t0, int64_t t1) {
  (void)t0, (void)t1;
  for (int64_t r = 0; r < a->n; r++) {
    double p[OUT];
    float *out = (float *)a->buf[3] + r * OUT;
    scores_of(a->buf[0], a->buf[1], (const float *)a->buf[2] + r * IN, p);
    for (int o = 0; o < OUT; o++)
      out[o] = (float)p[o];
    int32_t best = p[1] > p[0] ? 1 : 0;
    ((int32_t *)a->buf[4])[r] = p[2] > p[best] ? 2 : best;
  }
}

// val.loss, stalled -> one bool
static void stop(const NnrtArgs *a, int64_t t0, int64_t t1) {
  (void)t0, (void)t1;
  *(uint8_t *)a->buf[2] = *(const float *)a->buf[0] < 0.001f || *(const float *)a->buf[1] > 0.5f;
}

// ---- Tables -----------------------------------------------------------------------------------

#define T_WEIGHT                                                                                   \
  { NNRT_F32, 2, {IN, OUT}, 0 }
#define T_BIAS                                                                                     \
  { NNRT_F32, 1, {OUT}, 0 }
#define T_ONE                                                                                      \
  { NNRT_F32, 0, {0}, 0 }
#define T_INT                                                                                      \
  { NNRT_I32, 0, {0}, 0 }
#define T_BOOL                                                                                     \
  { NNRT_BOOL, 0, {0}, 0 }
#define T_X                                                                                        \
  { NNRT_F32, 3, {-1, 2, 2}, 0 }
#define T_LABEL                                                                                    \
  { NNRT_I32, 1, {-1}, OUT }
#define T_ROWS                                                                                     \
  { NNRT_I32, 1, {-1}, 0 }
#define T_P                                                                                        \
  { NNRT_F32, 2, {-1, OUT}, 0 }
#define WEIGHT(b)                                                                                  \
  { "weight", T_WEIGHT, NNRT_PARAM, 0, b }
#define BIAS(b)                                                                                    \
  { "bias", T_BIAS, NNRT_PARAM, 1, b }
#define X(b)                                                                                       \
  { "x", T_X, NNRT_COLUMN, 0, b }
#define LABEL(b)                                                                                   \
  { "label", T_LABEL, NNRT_COLUMN, 1, b }
#define LOSS(b)                                                                                    \
  { "loss", T_ONE, NNRT_METRIC, 0, b }
#define HITS(b)                                                                                    \
  { "accuracy", T_ONE, NNRT_METRIC, 1, b }

static const NnrtPort init_arg[] = {{"seed", T_INT, NNRT_SEED, 0, 0}};
static const NnrtPort init_result[] = {WEIGHT(1), BIAS(2)};
static const NnrtPort step_arg[] = {WEIGHT(0),
                                    BIAS(1),
                                    {"velocity", T_WEIGHT, NNRT_SLOT, 0, 2},
                                    X(3),
                                    LABEL(4),
                                    {"lr", T_ONE, NNRT_CONFIG, 0, 5},
                                    {"step", T_INT, NNRT_STEP, 0, 6},
                                    {"seed", T_INT, NNRT_SEED, 0, 7},
                                    {"example", T_ROWS, NNRT_EXAMPLE, 0, 8}};
static const NnrtPort step_result[] = {
    WEIGHT(9), BIAS(10), {"velocity", T_WEIGHT, NNRT_SLOT, 0, 11}, LOSS(12), HITS(13)};
static const NnrtPort eval_arg[] = {WEIGHT(0), BIAS(1), X(2), LABEL(3)};
static const NnrtPort eval_result[] = {LOSS(4), HITS(5)};
static const NnrtPort grad_result[] = {
    LOSS(4), {"weight", T_WEIGHT, NNRT_GRAD, 0, 5}, {"bias", T_BIAS, NNRT_GRAD, 1, 6}};
static const NnrtPort predict_arg[] = {WEIGHT(0), BIAS(1), X(2)};
static const NnrtPort predict_result[] = {{"Class", T_P, NNRT_OUTPUT, 0, 3},
                                          {"best", T_ROWS, NNRT_OUTPUT, 1, 4}};
static const NnrtPort stop_arg[] = {{"val.loss", T_ONE, NNRT_SCALAR, 0, 0},
                                    {"stalled", T_ONE, NNRT_SCALAR, 1, 1}};
static const NnrtPort stop_result[] = {{"stop", T_BOOL, NNRT_METRIC, 0, 2}};

enum { MOST_BUFFERS = 14 };
static NnrtBuffer buffers[6][MOST_BUFFERS];
static NnrtLaunch launches[6];
static uint32_t launch_buffers[MOST_BUFFERS];
static NnrtFunction functions[6];

// One launch of one tile over all ports; no buffer of its own.
static void make_function(int i, const char *name, NnrtKernel kernel, const NnrtPort *arg,
                          uint32_t n_arg, const NnrtPort *result, uint32_t n_result) {
  for (uint32_t b = 0; b < n_arg + n_result; b++) {
    buffers[i][b] = (NnrtBuffer){.kind = b < n_arg ? NNRT_ARG : NNRT_RESULT,
                                 .index = b < n_arg ? b : b - n_arg,
                                 .alias = NNRT_NONE};
    launch_buffers[b] = b;
  }
  launches[i] = (NnrtLaunch){.fn = kernel,
                             .name = name,
                             .n_buf = n_arg + n_result,
                             .tiles_fixed = 1,
                             .flops_per_n = 2.0 * IN * OUT};
  functions[i] = (NnrtFunction){.name = name,
                                .arg = arg,
                                .result = result,
                                .n_arg = n_arg,
                                .n_result = n_result,
                                .launch = &launches[i],
                                .n_launch = 1,
                                .buffer = buffers[i],
                                .n_buffer = n_arg + n_result,
                                .launch_buf = launch_buffers};
}

static const NnrtTensor params[] = {{.name = "dense.weight", .type = T_WEIGHT},
                                    {.name = "dense.bias", .type = T_BIAS}};
static const NnrtTensor slots[] = {{.name = "Toy/sgd.v/dense.weight", .type = T_WEIGHT}};
static const bool trainable[] = {true, true};
static const NnrtConfig configs[] = {{"learning_rate", "size of a step", 0.5, 1e-6, 100}};
static const NnrtMetric metrics[] = {{.name = "loss"}, {.name = "accuracy"}}; // means
static const NnrtStopInput stop_inputs[] = {
    {.kind = NNRT_STOP_VAL, .of_val = true},
    {.kind = NNRT_STOP_STALLED, .of_val = true, .patience = 30}};
static const NnrtStep steps[] = {{.name = "", .step = 1, .grad = 3, .repeat = 1, .n_metric = 2}};
static const uint32_t train_slots[] = {0};
static const NnrtOutput outputs[] = {
    {.name = "Class", .type = {NNRT_F32, 1, {OUT}, 0}, .form = NNRT_AS_TOP, .top = 2},
    {.name = "best", .type = {NNRT_I32, 0, {0}, OUT}, .form = NNRT_AS_CLASS}};
static const uint32_t dense_params[] = {0, 1};
static const NnrtLayer layers[] = {
    {.path = "Toy", .kind = "model", .type = {NNRT_F32, 1, {OUT}, 0}},
    {.path = "dense",
     .kind = "Dense",
     .type = {NNRT_F32, 1, {OUT}, 0},
     .depth = 1,
     .param = dense_params,
     .n_param = LEN(dense_params)}};
static const NnrtLoc locs[] = {{0, 0, 0, 0, 0, NULL}};

void toy_make(ToyProgram *toy) {
  make_function(0, "init", init, init_arg, LEN(init_arg), init_result, LEN(init_result));
  make_function(1, "step.Toy", step, step_arg, LEN(step_arg), step_result, LEN(step_result));
  make_function(2, "eval.Toy", eval, eval_arg, LEN(eval_arg), eval_result, LEN(eval_result));
  make_function(3, "grad.Toy", grad, eval_arg, LEN(eval_arg), grad_result, LEN(grad_result));
  make_function(4, "predict.Class", predict, predict_arg, LEN(predict_arg), predict_result,
                LEN(predict_result));
  make_function(5, "stop.Toy", stop, stop_arg, LEN(stop_arg), stop_result, LEN(stop_result));
  *toy =
      (ToyProgram){.column = {{"x", NULL, {NNRT_F32, 2, {2, 2}, 0}, 0, 0},
                              {"label", NULL, {NNRT_I32, 0, {0}, OUT}, 4, 0}},
                   .train_file = {"train.csv"},
                   .test_file = {"test.csv"},
                   .train = {.name = "Toy",
                             .step = steps,
                             .n_step = LEN(steps),
                             .eval = 2,
                             .stop = 5,
                             .figures = NNRT_NONE,
                             .metric = metrics,
                             .n_metric = LEN(metrics),
                             .stop_input = stop_inputs,
                             .n_stop_input = LEN(stop_inputs),
                             .batch = 8,
                             .epochs = 10,
                             .seed = 1,
                             .slot = train_slots,
                             .n_slot = 1,
                             .flops_forward = 24,
                             .flops_step = 72},
                   .predict = {{.name = "Class", .function = 4, .output = outputs, .n_output = 2}}};
  toy->data = (NnrtData){.name = "Points", .n_column = 2, .path = "toy.nn", .validate_last = 20};
  toy->data.train = (NnrtSource){.kind = NNRT_CSV, .n_file = 1, .separator = ','};
  toy->data.test = toy->data.train;
  toy->program = (NnrtProgram){.abi = NNRT_ABI,
                               .bytes = sizeof(NnrtProgram),
                               .name = "toy",
                               .compiler = "by hand",
                               .cpu = "x86-64-v2",
                               .source_hash = "1234",
                               .cpu_level = 2,
                               .function = functions,
                               .n_function = LEN(functions),
                               .init = 0,
                               .param = params,
                               .slot = slots,
                               .n_param = LEN(params),
                               .n_slot = LEN(slots),
                               .trainable = trainable,
                               .config = configs,
                               .n_config = LEN(configs),
                               .n_data = 1,
                               .n_train = 1,
                               .n_predict = 1,
                               .layer = layers,
                               .n_layer = LEN(layers),
                               .loc = locs,
                               .n_loc = LEN(locs)};
}

void toy_use_idx(ToyProgram *toy) {
  toy->train_file[0] = "x.idx";
  toy->train_file[1] = "label.idx";
  toy->test_file[0] = "test-x.idx";
  toy->test_file[1] = "test-label.idx";
  toy->column[1].first = 1;
  toy->data.train.kind = toy->data.test.kind = NNRT_IDX;
  toy->data.train.n_file = toy->data.test.n_file = 2;
  toy->data.train.width = toy->data.test.width = 2;
}

// Pointers within the program are set when it is used: a ToyProgram may be copied.
static void connect(ToyProgram *toy) {
  toy->data.column = toy->column;
  toy->data.train.file = toy->train_file;
  toy->data.test.file = toy->test_file;
  toy->predict[0].input = toy->column;
  toy->predict[0].n_input = 2;
  toy->program.data = &toy->data;
  toy->program.train = &toy->train;
  toy->program.predict = toy->predict;
}

// ---- Running ----------------------------------------------------------------------------------

static void run_child(ToyProgram *toy, const char *arguments, const char *out) {
  char copy[2000], *argv[64] = {"./toy"};
  int argc = 1;
  snprintf(copy, sizeof copy, "%s", arguments);
  for (char *word = strtok(copy, " "); word && argc < 63; word = strtok(NULL, " "))
    argv[argc++] = word;
  if (!freopen(out ? out : "stdout.txt", "w", stdout) || !freopen("stderr.txt", "w", stderr))
    _exit(99);
  FILE *id = fopen("pid.txt", "w"); // for tests that send signals
  if (!id || fprintf(id, "%d\n", (int)getpid()) < 0 || fclose(id))
    _exit(99);
  connect(toy);
  const NnrtProgram *programs[] = {&toy->program, NULL};
  exit(nnrt_trainer_main(programs, argc, argv));
}

static void read_into(const char *path, char *to, size_t room) {
  size_t size;
  char *text = toy_read(path, &size);
  snprintf(to, room, "%s", text ? text : "");
  free(text);
}

void toy_run_to(const ToyProgram *toy, const char *arguments, const char *out, Outcome *outcome) {
  ToyProgram copy = *toy;
  int status = 0;
  fflush(stdout);
  pid_t child = fork();
  if (child == 0)
    run_child(&copy, arguments, out);
  waitpid(child, &status, 0);
  outcome->status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  read_into("stdout.txt", outcome->out, sizeof outcome->out);
  read_into("stderr.txt", outcome->error, sizeof outcome->error);
}

void toy_run(const ToyProgram *toy, const char *arguments, Outcome *outcome) {
  toy_run_to(toy, arguments, NULL, outcome);
}

// ---- Files ------------------------------------------------------------------------------------

void toy_enter_folder(char folder[64]) {
  strcpy(folder, "/tmp/nnc-trainer-XXXXXX");
  if (!mkdtemp(folder) || chdir(folder)) {
    perror(folder);
    exit(1);
  }
}

void toy_leave_folder(const char *folder) {
  char command[128];
  snprintf(command, sizeof command, "cd / && rm -rf %s", folder);
  if (chdir("/") || system(command))
    perror(folder);
}

void toy_write(const char *path, const void *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  if (!file || fwrite(bytes, 1, size, file) != size || fclose(file)) {
    perror(path);
    exit(1);
  }
}

void toy_write_text(const char *path, const char *text) {
  toy_write(path, text, strlen(text));
}

char *toy_read(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (!file)
    return NULL;
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  char *text = malloc(*size + 1);
  if (text && fread(text, 1, *size, file) != *size)
    *size = 0;
  if (text)
    text[*size] = 0;
  fclose(file);
  return text;
}

// Three classes: the brightest of the first three pixels, with some noise.
static int make_row(int row, int seed, uint8_t x[IN]) {
  uint32_t random = (uint32_t)(row * 2654435761u + (uint32_t)seed * 40503u + 12345u);
  int label = row % OUT;
  for (int i = 0; i < IN; i++) {
    random = random * 1664525u + 1013904223u;
    x[i] = (uint8_t)((random >> 24) % 120 + (i == label ? 130 : 0));
  }
  return label;
}

void toy_write_csv(const char *path, int rows, int seed) {
  FILE *file = fopen(path, "w");
  for (int row = 0; row < rows; row++) {
    uint8_t x[IN];
    int label = make_row(row, seed, x);
    fprintf(file, "%d,%d,%d,%d,%d\n", x[0], x[1], x[2], x[3], label);
  }
  fclose(file);
}

void toy_write_idx(const char *x_path, const char *label_path, int rows, int seed) {
  uint8_t x[16 + 1000 * IN] = {0, 0, 8, 3, 0, 0, (uint8_t)(rows >> 8), (uint8_t)rows, 0, 0,
                               0, 2, 0, 0, 0, 2};
  uint8_t label[8 + 1000] = {0, 0, 8, 1, 0, 0, (uint8_t)(rows >> 8), (uint8_t)rows};
  for (int row = 0; row < rows; row++)
    label[8 + row] = (uint8_t)make_row(row, seed, x + 16 + row * IN);
  toy_write(x_path, x, (size_t)(16 + rows * IN));
  toy_write(label_path, label, (size_t)(8 + rows));
}

int toy_failed;

void toy_check(bool good, const char *name, const char *why, ...) {
  char text[400];
  va_list args;
  va_start(args, why);
  vsnprintf(text, sizeof text, why, args);
  va_end(args);
  for (char *c = text; *c; c++)
    *c = *c == '\n' ? '|' : *c;
  if (good)
    printf("PASS trainer/%s\n", name);
  else
    printf("FAIL trainer/%s: %s\n", name, text);
  toy_failed += !good;
}
