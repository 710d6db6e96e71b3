// The trainer's commands on good data: training, figures, weights, history, predict, flags, Ctrl-C.
#include "trainer_program.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../../runtime/trainer/trainer.h"

static ToyProgram toy;
static Outcome o;

static void expect(const char *name, const char *arguments, int status, const char *in_out,
                   const char *in_error) {
  toy_run(&toy, arguments, &o);
  bool good = o.status == status && (!in_out || strstr(o.out, in_out)) &&
              (in_error ? strstr(o.error, in_error) != NULL : !o.error[0]);
  toy_check(good, name, "status %d, out %.120s, error %.200s", o.status, o.out, o.error);
}

// An error is one message, and nothing else happened.
static void refuse(const char *name, const char *arguments, const char *message) {
  expect(name, arguments, 1, NULL, message);
  toy_check(!strncmp(o.error, "toy: error: ", 12) && !strstr(o.error + 12, "error:"), name,
            "not one error: %.200s", o.error);
}

static double number_after(const char *text, const char *key) {
  const char *at = text ? strstr(text, key) : NULL;
  return at ? strtod(at + strlen(key), NULL) : NAN;
}

static int count_of(const char *text, const char *part) {
  int count = 0;
  for (; (text = strstr(text, part)); text += strlen(part))
    count++;
  return count;
}

static void test_training(void) {
  expect("train", "--epochs 5", 0, "epoch 5/5  loss ", NULL);
  toy_check(strstr(o.out, "val_accuracy ") && strstr(o.out, "weights saved to toy.safetensors") &&
                strstr(o.out, "test  loss "),
            "train_lines", "%.300s", o.out);
  toy_check(number_after(o.out, "test  loss ") < 0.7, "train_learns", "%.300s", o.out);
  char trained[400];
  snprintf(trained, sizeof trained, "%s", strstr(o.out, "test  loss "));
  expect("eval", "eval", 0, NULL, NULL);
  toy_check(!strcmp(o.out, trained), "eval_equals_training", "%s against %s", o.out, trained);
  expect("eval_json", "eval --log json", 0, "{\"split\":\"test\",\"loss\":", NULL);
  toy_check(o.out[strlen(o.out) - 2] == '}' && strstr(o.out, ",\"accuracy\":"), "eval_json_form",
            "%s", o.out);
  expect("eval_validate", "eval --split validate", 0, "validate  loss ", NULL);
}

static void test_figures(void) {
  // Rule 2: batches of any size see every row once: the sum over an epoch with rate ~0 is the same.
  double loss[3];
  const char *batch[] = {"1", "7", "500"};
  for (int i = 0; i < 3; i++) {
    char arguments[100];
    snprintf(arguments, sizeof arguments,
             "--epochs 1 --batch %s --learning-rate 1e-6 --log json --out b.safetensors", batch[i]);
    expect("short_batches", arguments, 0, "\"epoch\":1", NULL);
    loss[i] = number_after(o.out, "\"loss\":");
  }
  toy_check(fabs(loss[0] - loss[1]) < 1e-4 && fabs(loss[0] - loss[2]) < 1e-4,
            "figures_over_examples", "%g %g %g", loss[0], loss[1], loss[2]);
  expect("steps", "--steps 31 --log json", 0, "\"step\":31", NULL);
  toy_check(count_of(o.out, "\"epoch\"") == 3, "steps_override_epochs", "%.300s", o.out);
  expect("history", "--epochs 4 --history h.csv", 0, NULL, NULL);
  size_t size = 0;
  char *history = toy_read("h.csv", &size);
  toy_check(history &&
                !strncmp(history,
                         "block,epoch,step,seconds,loss,accuracy,val_loss,"
                         "val_accuracy\nToy,1,13,",
                         65) &&
                count_of(history, "\n") == 5,
            "history_form", "%.200s", history ? history : "none");
  free(history);
  expect("stop_when", "--epochs 5000 --learning_rate 50", 0, "stopped: ", NULL);
}

static void test_weights(void) {
  size_t n1 = 0, n2 = 0;
  expect("same_seed_1", "--epochs 3 --out a.safetensors", 0, NULL, NULL);
  expect("same_seed_2", "--epochs 3 --out b.safetensors --threads 2", 0, NULL, NULL);
  char *a = toy_read("a.safetensors", &n1), *b = toy_read("b.safetensors", &n2);
  toy_check(a && b && n1 == n2 && !memcmp(a, b, n1), "same_bits", "%zu %zu", n1, n2);
  free(b);
  expect("other_seed", "--epochs 3 --seed -7 --out b.safetensors", 0, NULL, NULL);
  b = toy_read("b.safetensors", &n2);
  toy_check(a && b && (n1 != n2 || memcmp(a, b, n1)), "other_bits", "the same");
  free(a);
  free(b);
  expect("load", "--epochs 0 --load a.safetensors --out c.safetensors", 0, NULL, NULL);
  a = toy_read("a.safetensors", &n1), b = toy_read("c.safetensors", &n2);
  toy_check(a && b && n1 == n2 && !memcmp(a, b, n1), "load_save", "differ");
  free(a);
  free(b);
  toy_check(!symlink("a.safetensors", "link.safetensors"), "make_link", "can't");
  expect("link", "--epochs 0 --load b.safetensors --out link.safetensors", 0, NULL, NULL);
  a = toy_read("a.safetensors", &n1), b = toy_read("b.safetensors", &n2);
  toy_check(a && b && n1 == n2 && !memcmp(a, b, n1), "link_followed", "differ");
  free(a);
  free(b);
}

static void test_predict(void) {
  expect("predict_train", "--epochs 60", 0, NULL, NULL);
  expect("predict", "predict --limit 3", 0, "row 0: Class 0 (", NULL);
  toy_check(count_of(o.out, "\n") == 3 && strstr(o.out, "best 1"), "predict_limit", "%s", o.out);
  expect("predict_json", "predict --log json", 0,
         "{\"row\":1,\"Class\":[{\"class\":1,\"probability\":", NULL);
  toy_check(count_of(o.out, "\n") == 40 && strstr(o.out, "\"best\":2}"), "predict_all", "%.200s",
            o.out);
  expect("predict_csv", "predict --csv p.csv --batch 7", 0, "40 rows written to p.csv", NULL);
  size_t size;
  char *csv = toy_read("p.csv", &size);
  toy_check(csv &&
                !strncmp(csv,
                         "row,Class_1,Class_1_probability,Class_2,Class_2_probability,best\n0,0,",
                         69) &&
                count_of(csv, "\n") == 41,
            "predict_csv_form", "%.200s", csv ? csv : "none");
  free(csv);
  toy_write_text("rows.csv", "a,b,c,d\n10,20,250,3\n250,1,2,3\n");
  expect("predict_file", "predict rows.csv", 0, "rows.csv row 1: Class 0", NULL);
  toy_check(strstr(o.out, "rows.csv row 0: Class 2") != NULL, "predict_file_rows", "%s", o.out);
}

static void test_flags(void) {
  refuse("unknown_flag", "--epoch 3", "did you mean --epochs?");
  refuse("unknown_config", "--learning_rat 3", "did you mean --learning_rate?");
  refuse("far_flag", "--zzzzzzzzzz 3", "unknown flag --zzzzzzzzzz");
  refuse("unknown_command", "evaluate", "unknown command \"evaluate\"");
  refuse("near_command", "pedict", "did you mean \"predict\"?");
  refuse("no_number", "--epochs many", "\"many\" is not a whole number");
  refuse("out_of_range", "--batch 0", "from 1 to");
  refuse("config_range", "--learning_rate 1000", "out of range");
  refuse("config_text", "--learning_rate 0x10", "is not a number");
  refuse("set_unknown", "--set rate=1", "has no config \"rate\"");
  refuse("no_value", "--epochs", "needs a value");
  refuse("log_form", "--log xml", "expected one of: auto, plain, json, bar");
  refuse("csv_for_train", "--csv x.csv", "only predict writes csv");
  refuse("no_weights", "eval --load none.safetensors", "none.safetensors: can't be read");
  refuse("file_for_eval", "eval some.csv", "takes no files");
  refuse("block_for_file", "predict Class", "\"Class\" is a predict block and no file");
  refuse("block", "eval --block Tay", "no train block is called \"Tay\"; there are Toy");
  expect("set", "--epochs 1 --set learning_rate=0.25", 0, "epoch 1/1", NULL);
  expect("equals", "--epochs=1 --learning-rate=0.25", 0, "epoch 1/1", NULL);
  expect("help", "--help", 0, "--learning_rate X", NULL);
  expect("version", "--version", 0, "toy, compiled by by hand", NULL);
}

static void test_reports(void) {
  expect("summary", "summary", 0, "parameters 15 = 15 trainable + 0 frozen", NULL);
  toy_check(strstr(o.out, "  dense (Dense)") && strstr(o.out, "operations per example: 24 forward"),
            "summary_table", "%s", o.out);
  expect("summary_json", "summary --log json", 0,
         "\"parameters\":15,\"trainable\":15,\"frozen\":0,\"layers\":[", NULL);
  expect("gradcheck", "gradcheck", 0, "all gradients agree", NULL);
  expect("profile", "profile --steps 50", 0, "step.Toy: batch 8", NULL);
  ToyProgram keep = toy;
  toy.program.cpu_level = 9;
  refuse("cpu_level", "summary", "needs a CPU of level x86-64-v9");
  toy = keep;
  toy.program.abi = 99;
  refuse("abi", "summary", "version 99");
  toy = keep;
}

// A gradient that is wrong in one place must be found.
static void test_wrong_gradient(void) {
  NnrtFunction *f = (NnrtFunction *)(uintptr_t)toy.program.function;
  NnrtKernel good = f[3].launch[0].fn;
  ((NnrtLaunch *)(uintptr_t)f[3].launch)->fn = f[2].launch[0].fn; // eval: writes into the gradient
  expect("gradcheck_wrong", "gradcheck", 1, "FAIL", NULL);
  ((NnrtLaunch *)(uintptr_t)f[3].launch)->fn = good;
}

static void test_nan(void) {
  size_t n1 = 0, n2 = 0;
  expect("nan_before", "--epochs 1", 0, NULL, NULL);
  char *before = toy_read("toy.safetensors", &n1);
  toy.data.train.missing = "?";
  toy_write_text("nan.csv", "1,2,3,4,0\n1,?,3,4,1\n5,6,7,8,2\n");
  toy.train_file[0] = "nan.csv";
  toy.data.validate_last = 0;
  toy.train.stop = NNRT_NONE;
  refuse("nan", "--epochs 4", "the loss became nan in epoch 1, step 1");
  char *after = toy_read("toy.safetensors", &n2);
  toy_check(before && after && n1 == n2 && !memcmp(before, after, n1), "nan_keeps_weights",
            "changed");
  free(before);
  free(after);
  toy_make(&toy);
}

// ---- Ctrl-C -----------------------------------------------------------------------------------

static void test_interrupt(void) {
  toy.train.stop = NNRT_NONE;
  unlink("toy.safetensors");
  unlink("stdout.txt");
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    toy_run(&toy, "--epochs 100000000 --history h2.csv", &o);
    _exit(o.status & 255);
  }
  size_t size = 0;
  char *text = NULL;
  for (int i = 0; i < 400 && !(text && strstr(text, "epoch 2/")); i++) {
    free(text);
    usleep(10000);
    text = toy_read("stdout.txt", &size);
  }
  free(text);
  text = toy_read("pid.txt", &size); // the child's child trains
  bool sent = text && atoi(text) > 1 && !kill(atoi(text), SIGINT);
  free(text);
  int status = 0;
  waitpid(child, &status, 0);
  text = toy_read("stdout.txt", &size);
  const char *end = text && size > 300 ? text + size - 300 : text;
  toy_check(sent && WIFEXITED(status) && WEXITSTATUS(status) == 130, "interrupt_status", "%d %d",
            sent, status);
  toy_check(end && strstr(end, "interrupted; weights saved to toy.safetensors") &&
                strstr(end, "./toy --load toy.safetensors"),
            "interrupt_says", "%.300s", end ? end : "nothing");
  toy_check(!access("toy.safetensors", R_OK) && !access("h2.csv", R_OK), "interrupt_saves",
            "no file");
  free(text);
  expect("interrupt_goes_on", "--epochs 1 --load toy.safetensors", 0, "weights saved", NULL);
  toy_make(&toy);
}

static void test_shuffle(void) {
  int sizes[] = {1, 2, 3, 7, 64, 65, 1000};
  bool good = true;
  int64_t moved = 0;
  for (int s = 0; s < 7; s++) {
    char seen[1000] = {0};
    Shuffle first = shuffle_make(sizes[s], 1, 1), second = shuffle_make(sizes[s], 1, 2);
    for (int64_t i = 0; i < sizes[s]; i++) {
      int64_t at = shuffle_at(&first, i);
      good = good && at >= 0 && at < sizes[s] && !seen[at]++;
      moved += at != shuffle_at(&second, i);
    }
  }
  toy_check(good && moved > 1000, "shuffle", "%d %lld", good, (long long)moved);
}

static void test_numbers(void) {
  static const char *const texts[] = {"1",
                                      "-0.5",
                                      "1e5",
                                      "1e-7",
                                      ".5",
                                      "5.",
                                      "1e400",
                                      "0.1",
                                      "123456789012345678",
                                      "3.4028235e38",
                                      "0.000001234567890123456789",
                                      "1e22",
                                      "9007199254740993"};
  static const char *const bad[] = {"",   "-",  ".",   "1e",    "0x10", "nan",   "inf",
                                    "1 ", " 1", "1,0", "1e400", "--1",  "1.2.3", "1e+"};
  bool good = true;
  double value;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    bool finite = isfinite(strtod(texts[i], NULL));
    good = good && parse_number(texts[i], strlen(texts[i]), &value) == finite &&
           (!finite || value == strtod(texts[i], NULL));
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    good = good && !parse_number(bad[i], strlen(bad[i]), &value);
  toy_check(good, "numbers", "differ from strtod");
}

int main(void) {
  char folder[64];
  unsetenv("NN_DATA"); // the tests say where data lies
  toy_enter_folder(folder);
  toy_make(&toy);
  toy_write_csv("train.csv", 120, 1);
  toy_write_csv("test.csv", 40, 2);
  test_training();
  test_figures();
  test_weights();
  test_predict();
  test_flags();
  test_reports();
  test_wrong_gradient();
  test_nan();
  test_interrupt();
  test_shuffle();
  test_numbers();
  toy_leave_folder(folder);
  return toy_failed > 0;
}
