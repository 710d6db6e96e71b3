// What counts as a class, a picture or a text in a folder: the compiler and the runtime must agree.
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include "nnrt.h"

static bool is_picture_name(const char *name) {
  static const char *const ends[] = {".jpg", ".jpeg", ".png"};
  const char *dot = strrchr(name, '.');
  for (size_t i = 0; dot && i < sizeof ends / sizeof *ends; i++)
    if (!strcasecmp(dot, ends[i]))
      return true;
  return false;
}

bool nnrt_folder_entry(const char *folder, const char *name, NnrtEntry entry) {
  char path[4096];
  struct stat about;
  if (name[0] == '.' || (entry == NNRT_ENTRY_PICTURE && !is_picture_name(name)))
    return false;
  size_t n = strlen(folder), m = strlen(name);
  if (n + m + 2 > sizeof path)
    return false;
  memcpy(path, folder, n);
  path[n] = '/';
  memcpy(path + n + 1, name, m + 1);
  if (stat(path, &about) != 0)
    return false;
  return entry == NNRT_ENTRY_FOLDER ? S_ISDIR(about.st_mode) : S_ISREG(about.st_mode);
}
