// Whole files: reading, replacing (write beside, fsync, rename), and the search for data files.
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "trainer.h"

static bool read_open_file(int file, const char *path, size_t size, Bytes *bytes,
                           Failure *failure) {
  bytes->at = malloc(size + 1);
  if (!bytes->at)
    return failf(failure, "%s: not enough memory for its %zu bytes", path, size);
  bytes->size = 0;
  while (bytes->size < size) {
    ssize_t got = read(file, bytes->at + bytes->size, size - bytes->size);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0) {
      free(bytes->at);
      return failf(failure, "%s: can't be read: %s", path, strerror(errno));
    }
    if (got == 0) // shrank while it was read
      break;
    bytes->size += (size_t)got;
  }
  bytes->at[bytes->size] = 0;
  return true;
}

bool file_read(const char *path, Bytes *bytes, Failure *failure) {
  struct stat about;
  if (stat(path, &about))
    return failf(failure, "%s: can't be read: %s", path, strerror(errno));
  if (!S_ISREG(about.st_mode)) // a pipe would block, a folder can't be read
    return failf(failure, "%s: is %s, expected a file", path,
                 S_ISDIR(about.st_mode) ? "a folder" : "no regular file");
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return failf(failure, "%s: can't be read: %s", path, strerror(errno));
  bool good = read_open_file(file, path, (size_t)about.st_size, bytes, failure);
  close(file);
  return good;
}

bool file_exists(const char *path) {
  struct stat about;
  return !stat(path, &about);
}

// ---- Replacing a file -------------------------------------------------------------------------

static bool write_pieces(int file, const Piece *pieces, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const char *at = pieces[i].at;
    for (size_t left = pieces[i].size; left;) {
      ssize_t wrote = write(file, at, left);
      if (wrote < 0 && errno == EINTR)
        continue;
      if (wrote < 0)
        return false;
      at += wrote;
      left -= (size_t)wrote;
    }
  }
  return true;
}

static void sync_folder(const char *path) {
  char copy[PATH_MAX];
  if (strlen(path) >= sizeof copy)
    return;
  strcpy(copy, path);
  int folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    fsync(folder); // not every file system can: the file itself is safe already
    close(folder);
  }
}

static bool replace(const char *path, mode_t mode, const Piece *pieces, size_t count,
                    Failure *failure) {
  char beside[PATH_MAX];
  if (snprintf(beside, sizeof beside, "%s.%ld.part", path, (long)getpid()) >= (int)sizeof beside)
    return failf(failure, "%s: the path is too long", path);
  int file = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (file < 0)
    return failf(failure, "%s: can't be written: %s", path, strerror(errno));
  bool good = write_pieces(file, pieces, count) && (!mode || !fchmod(file, mode)) && !fsync(file);
  int why = errno;
  if (close(file) && good) {
    good = false;
    why = errno;
  }
  if (good && rename(beside, path)) {
    good = false;
    why = errno;
  }
  if (!good) {
    unlink(beside);
    return failf(failure, "%s: can't be written: %s%s", path, strerror(why),
                 file_exists(path) ? " (the file that was there is unchanged)" : "");
  }
  sync_folder(path);
  return true;
}

static bool write_through(const char *path, const Piece *pieces, size_t count, Failure *failure) {
  int file = open(path, O_WRONLY | O_CLOEXEC);
  bool good = file >= 0 && write_pieces(file, pieces, count);
  int why = errno;
  if (file >= 0 && close(file) && good) {
    good = false;
    why = errno;
  }
  return good || failf(failure, "%s: can't be written: %s", path, strerror(why));
}

bool file_write(const char *path, const Piece *pieces, size_t count, Failure *failure) {
  struct stat about;
  if (stat(path, &about))
    return replace(path, 0, pieces, count, failure);
  if (S_ISDIR(about.st_mode))
    return failf(failure, "%s: is a folder, expected a file to write", path);
  if (!S_ISREG(about.st_mode)) // /dev/stdout, a pipe
    return write_through(path, pieces, count, failure);
  char *real = realpath(path, NULL); // a link stays a link
  bool good = replace(real ? real : path, about.st_mode & 07777, pieces, count, failure);
  free(real);
  return good;
}

bool file_check_writable(const char *path, Failure *failure) {
  struct stat about;
  if (!stat(path, &about)) {
    if (S_ISDIR(about.st_mode))
      return failf(failure, "%s: is a folder, expected a file to write", path);
    if (!S_ISREG(about.st_mode))
      return true;
  }
  char copy[PATH_MAX];
  if (!*path || strlen(path) >= sizeof copy)
    return failf(failure, "%s: %s", *path ? path : "\"\"",
                 *path ? "the path is too long" : "is no file name");
  strcpy(copy, path);
  const char *folder = dirname(copy);
  if (access(folder, W_OK | X_OK))
    return failf(failure, "%s: can't be written: folder %s: %s", path, folder, strerror(errno));
  return true;
}

// ---- Data files -------------------------------------------------------------------------------

static const struct {
  const char *part, *other; // both are in the name (other may be NULL)
  const char *from;
} public_sets[] = {
    {"-ubyte", "fashion",
     "Fashion-MNIST: https://github.com/zalandoresearch/fashion-mnist (folder data/fashion)"},
    {"-ubyte", NULL,
     "MNIST: http://yann.lecun.com/exdb/mnist, a copy is at "
     "https://ossci-datasets.s3.amazonaws.com/mnist"},
    {"cifar", NULL, "CIFAR-10: https://www.cs.toronto.edu/~kriz/cifar.html (binary version)"},
    {"data_batch", NULL, "CIFAR-10: https://www.cs.toronto.edu/~kriz/cifar.html (binary version)"},
    {"house-votes-84", NULL, "UCI: https://archive.ics.uci.edu/dataset/105"},
    {"mammographic", NULL, "UCI: https://archive.ics.uci.edu/dataset/161"},
    {"iris", NULL, "UCI: https://archive.ics.uci.edu/dataset/53"},
    {"abalone", NULL, "UCI: https://archive.ics.uci.edu/dataset/1"},
    {"auto-mpg", NULL, "UCI: https://archive.ics.uci.edu/dataset/9"},
    {"winequality", NULL, "UCI: https://archive.ics.uci.edu/dataset/186"},
    {"optdigits", NULL, "UCI: https://archive.ics.uci.edu/dataset/80"},
    {"digits", NULL, "UCI optical digits: https://archive.ics.uci.edu/dataset/80"},
};

static const char *public_set(const char *name) {
  for (size_t i = 0; i < sizeof public_sets / sizeof *public_sets; i++)
    if (strstr(name, public_sets[i].part) &&
        (!public_sets[i].other || strstr(name, public_sets[i].other)))
      return public_sets[i].from;
  return NULL;
}

static bool try_folder(const char *folder, size_t length, const char *name, const char *what,
                       char **found, String *looked) {
  String path = {0};
  string_printf(&path, "%.*s%s%s", (int)length, folder,
                length && folder[length - 1] != '/' ? "/" : "", name);
  string_printf(looked, "\n  %s (%s)", path.at ? path.at : name, what);
  if (path.no_memory || !file_exists(path.at)) {
    string_free(&path);
    return false;
  }
  *found = path.at;
  return true;
}

static bool try_places(const char *name, const char *data_folder, const char *program_path,
                       char **found, String *looked) {
  const char *from_environment = getenv("NN_DATA");
  if (*name == '/')
    return try_folder("", 0, name, "as named", found, looked);
  if (data_folder && try_folder(data_folder, strlen(data_folder), name, "--data", found, looked))
    return true;
  if (from_environment && *from_environment &&
      try_folder(from_environment, strlen(from_environment), name, "$NN_DATA", found, looked))
    return true;
  if (try_folder("", 0, name, "the current folder", found, looked))
    return true;
  const char *slash = program_path ? strrchr(program_path, '/') : NULL;
  return slash && try_folder(program_path, (size_t)(slash - program_path) + 1, name,
                             "the folder of the .nn file", found, looked);
}

bool file_search(const char *name, const char *data_folder, const char *program_path, char **found,
                 Failure *failure) {
  String looked = {0};
  bool good = try_places(name, data_folder, program_path, found, &looked);
  if (!good) {
    const char *from = public_set(name);
    failf(
        failure,
        "%s: no such data file; looked for%s\n  say where it is with --data FOLDER or NN_DATA%s%s",
        name, looked.at ? looked.at : "", from ? "\n  it belongs to " : "", from ? from : "");
  }
  string_free(&looked);
  return good;
}
