// Links objects with libnnrt.a, which lies beside the nnc executable, into one executable, by
// running the C compiler's driver. The result appears whole or not at all.
#include "tools/tools.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

typedef BUF(const char *) Words;

static void put_word(Session *s, Words *command, const char *word) {
  buf_push(s->perm, command, word);
}

// libnnrt.a beside this program.
static const char *find_runtime(Session *s, const char **path) {
  char self[4096];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  if (n < 0)
    return arena_printf(s->perm, "can't find the folder of nnc (/proc/self/exe): %s",
                        strerror(errno));
  self[n] = 0;
  char *slash = strrchr(self, '/');
  *path = arena_printf(s->perm, "%.*s/libnnrt.a", (int)(slash - self), self);
  if (access(*path, R_OK) != 0)
    return arena_printf(s->perm, "the runtime library %s can't be read: %s", *path,
                        strerror(errno));
  return NULL;
}

static void put_libraries(Session *s, Words *command, const LinkOptions *o) {
  if (o->openblas)
    put_word(s, command, "-lopenblas");
  if (o->pictures)
    put_word(s, command, "-ljpeg");
  static const char *const always[] = {"-lpng", "-lz", "-lm", "-lpthread"};
  for (size_t i = 0; i < sizeof always / sizeof *always; i++)
    put_word(s, command, always[i]);
}

static Words link_command(Session *s, const LinkOptions *o, const char *runtime, const char *out) {
  Words command = {0};
  put_word(s, &command, "cc");
  put_word(s, &command, o->is_static ? "-static" : "-Wl,--as-needed");
  put_word(s, &command, "-Wl,--gc-sections");
#if defined(__SANITIZE_ADDRESS__) // then libnnrt.a, made with the same flags, needs it too
  put_word(s, &command, "-fsanitize=address,undefined");
#endif
  if (o->strip)
    put_word(s, &command, "-s");
  for (uint32_t i = 0; i < o->n_object; i++)
    put_word(s, &command, o->object[i]);
  if (o->pictures) // else nothing pulls it out of the library
    put_word(s, &command, "-Wl,-u,jpeg_read");
  put_word(s, &command, runtime);
  put_libraries(s, &command, o);
  put_word(s, &command, "-o");
  put_word(s, &command, out);
  put_word(s, &command, NULL);
  return command;
}

// Runs it; what it says goes into `said`. Returns its exit status, or -1 with errno set.
static int run_command(const Words *command, Text *said) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    return -1;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
  pid_t child;
  // posix_spawn doesn't change the words.
  int error = posix_spawnp(&child, command->at[0], &actions, NULL, (char **)(uintptr_t)command->at,
                           environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  char chunk[4096];
  ssize_t n;
  while (!error && ((n = read(ends[0], chunk, sizeof chunk)) > 0 || (n < 0 && errno == EINTR)))
    text_putn(said, chunk, n > 0 ? (size_t)n : 0);
  close(ends[0]);
  int status;
  while (!error && waitpid(child, &status, 0) < 0 && errno == EINTR)
    continue;
  errno = error;
  return error ? -1 : WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

// What the linker can't find, in words that say what to install.
static const char *missing_library(const char *said, const LinkOptions *o) {
  if (strstr(said, "-lopenblas"))
    return "OpenBLAS isn't installed (libopenblas-dev); --blas=own does without it";
  if (strstr(said, "-ljpeg"))
    return o->is_static ? "libjpeg isn't installed as a static library (libjpeg-dev)"
                        : "libjpeg isn't installed (libjpeg-dev)";
  if (strstr(said, "-lpng") || strstr(said, "-lz"))
    return o->is_static
               ? "libpng and zlib aren't installed as static libraries (libpng-dev, zlib1g-dev)"
               : "libpng or zlib isn't installed (libpng-dev, zlib1g-dev)";
  return NULL;
}

static const char *explain_failure(Session *s, const LinkOptions *o, int status, const Text *said) {
  if (status < 0)
    return arena_printf(s->perm, "can't run the linker (cc): %s", strerror(errno));
  const char *text = said->at ? said->at : "";
  const char *missing = missing_library(text, o);
  if (missing)
    return arena_printf(s->perm, "can't link %s: %s", o->out, missing);
  return arena_printf(s->perm, "can't link %s: cc failed with status %d\n%s", o->out, status, text);
}

const char *link_executable(Session *s, const LinkOptions *options) {
  const char *runtime;
  const char *why = find_runtime(s, &runtime);
  if (why)
    return why;
  const char *part = arena_printf(s->perm, "%s.part", options->out);
  Words command = link_command(s, options, runtime, part);
  Text said = {.arena = s->perm};
  int status = run_command(&command, &said);
  if (status == 0 && rename(part, options->out) == 0)
    return NULL;
  if (status == 0)
    why = arena_printf(s->perm, "can't write %s: %s", options->out, strerror(errno));
  else
    why = explain_failure(s, options, status, &said);
  unlink(part);
  return why;
}
