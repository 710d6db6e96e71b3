// PNG pictures as bytes, read and written. The only file that uses libpng.
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

bool png_is(const Bytes *bytes) {
  return bytes->size >= 8 && !memcmp(bytes->at, "\x89PNG\r\n\x1a\n", 8);
}

bool png_read(const char *path, const Bytes *file, uint32_t channels, Picture *picture,
              Failure *failure) {
  png_image image = {.version = PNG_IMAGE_VERSION};
  png_color black = {0, 0, 0}; // what shows through where the picture is transparent
  *picture = (Picture){0};
  bool good = png_image_begin_read_from_memory(&image, file->at, file->size) ||
              failf(failure, "%s: the PNG is damaged: %s", path, image.message);
  good = good && picture_size_allowed(path, image.height, image.width, failure);
  if (good) {
    if (!channels)
      channels = image.format & PNG_FORMAT_FLAG_COLOR ? 3 : 1;
    image.format = channels == 1   ? PNG_FORMAT_GRAY
                   : channels == 3 ? PNG_FORMAT_RGB
                                   : PNG_FORMAT_RGBA;
    *picture = (Picture){malloc((size_t)image.height * image.width * channels + 1), image.height,
                         image.width, channels};
    good = picture->at || failf(failure, "%s: not enough memory for the picture", path);
  }
  good = good && (png_image_finish_read(&image, &black, picture->at, 0, NULL) ||
                  failf(failure, "%s: the PNG is damaged: %s", path, image.message));
  png_image_free(&image);
  if (!good) {
    free(picture->at);
    *picture = (Picture){0};
  }
  return good;
}

bool png_write(const char *path, const Picture *picture, Failure *failure) {
  png_image image = {.version = PNG_IMAGE_VERSION,
                     .width = picture->width,
                     .height = picture->height,
                     .format = picture->channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB};
  png_alloc_size_t size = 0;
  if (!png_image_write_to_memory(&image, NULL, &size, 0, picture->at, 0, NULL))
    return failf(failure, "%s: no PNG could be made: %s", path, image.message);
  void *bytes = malloc(size);
  bool good = bytes || failf(failure, "%s: not enough memory for the picture", path);
  good = good && (png_image_write_to_memory(&image, bytes, &size, 0, picture->at, 0, NULL) ||
                  failf(failure, "%s: no PNG could be made: %s", path, image.message));
  Piece piece = {bytes, size};
  good = good && file_write(path, &piece, 1, failure);
  free(bytes);
  return good;
}
