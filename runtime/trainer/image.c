// PNG pictures as bytes. The only file that uses libpng.
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

bool png_is(const Bytes *bytes) {
  return bytes->size >= 8 && !memcmp(bytes->at, "\x89PNG\r\n\x1a\n", 8);
}

enum { LARGEST_SIDE = 1 << 15 };

static bool read_pixels(png_image *image, const char *path, uint32_t channels, Bytes *pixels,
                        Failure *failure) {
  if (image->width > LARGEST_SIDE || image->height > LARGEST_SIDE)
    return failf(failure, "%s: the picture claims %u x %u pixels, at most %d x %d are read", path,
                 image->width, image->height, LARGEST_SIDE, LARGEST_SIDE);
  image->format = channels == 1   ? PNG_FORMAT_GRAY
                  : channels == 3 ? PNG_FORMAT_RGB
                                  : PNG_FORMAT_RGBA;
  pixels->size = (size_t)image->height * image->width * channels;
  pixels->at = malloc(pixels->size + 1);
  if (!pixels->at)
    return failf(failure, "%s: not enough memory for %zu pixels' bytes", path, pixels->size);
  png_color black = {0, 0, 0}; // what shows through where the picture is transparent
  if (png_image_finish_read(image, &black, pixels->at, 0, NULL))
    return true;
  free(pixels->at);
  return failf(failure, "%s: the PNG is damaged: %s", path, image->message);
}

bool png_read(const char *path, const Bytes *file, uint32_t channels, Bytes *pixels,
              uint32_t *height, uint32_t *width, uint32_t *found_channels, Failure *failure) {
  png_image image = {.version = PNG_IMAGE_VERSION};
  if (!png_image_begin_read_from_memory(&image, file->at, file->size)) {
    failf(failure, "%s: the PNG is damaged: %s", path, image.message);
    png_image_free(&image);
    return false;
  }
  if (!channels)
    channels = image.format & PNG_FORMAT_FLAG_COLOR ? 3 : 1;
  bool good = read_pixels(&image, path, channels, pixels, failure);
  *height = image.height;
  *width = image.width;
  *found_channels = channels;
  png_image_free(&image);
  return good;
}
