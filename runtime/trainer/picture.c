// Pictures of any size and kind made to fit a column: decoded by their content, grey or colour,
// resized. In: a file's bytes; out: height x width x channels bytes.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

#pragma weak jpeg_read // only in programs that read pictures

enum { LARGEST_SIDE = 1 << 15, MOST_PIXELS = 1 << 26 };

bool picture_size_allowed(const char *path, uint32_t height, uint32_t width, Failure *failure) {
  if (height && width && height <= LARGEST_SIDE && width <= LARGEST_SIDE &&
      (uint64_t)height * width <= MOST_PIXELS)
    return true;
  return failf(failure,
               "%s: the picture claims %u x %u pixels, at most %d a side and %d million are read",
               path, width, height, LARGEST_SIDE, MOST_PIXELS / 1000000);
}

bool jpeg_is(const Bytes *bytes) {
  return bytes->size >= 3 && !memcmp(bytes->at, "\xff\xd8\xff", 3);
}

bool picture_decode(const char *path, const Bytes *file, uint32_t channels, Picture *picture,
                    Failure *failure) {
  *picture = (Picture){0};
  if (png_is(file))
    return png_read(path, file, channels, picture, failure);
  if (!jpeg_is(file))
    return failf(failure, file->size ? "%s: is neither a PNG nor a JPEG" : "%s: is empty", path);
  if (!jpeg_read)
    return failf(failure, "%s: this program reads no JPEG: none of its data are pictures", path);
  return jpeg_read(path, file, channels, picture, failure);
}

// ---- resizing ---------------------------------------------------------------------------------

// The weights of one axis. Antialiased bilinear: a triangle as wide as the step between two new
// pixels, at least as two old ones; pixels are areas, their centres at half numbers; what lies
// outside has no weight. (Heckbert, Graphics Gems III, "General filtered image rescaling"; Pillow's
// BILINEAR and torchvision's antialias=True are the same.)
typedef struct {
  uint32_t *first, *count;
  float *weight; // most per new pixel
  uint32_t most;
} Axis;

static void axis_free(Axis *axis) {
  free(axis->first);
  free(axis->count);
  free(axis->weight);
}

static bool axis_make(Axis *axis, uint32_t from, uint32_t to) {
  double scale = (double)from / to, radius = scale > 1 ? scale : 1;
  axis->most = (uint32_t)ceil(radius) * 2 + 1;
  axis->first = calloc(to, sizeof *axis->first);
  axis->count = calloc(to, sizeof *axis->count);
  axis->weight = calloc((size_t)to * axis->most, sizeof *axis->weight);
  if (!axis->first || !axis->count || !axis->weight)
    return false;
  for (uint32_t i = 0; i < to; i++) {
    double centre = (i + 0.5) * scale, sum = 0;
    double low = floor(centre - radius + 0.5), high = floor(centre + radius + 0.5);
    uint32_t a = low > 0 ? (uint32_t)low : 0, b = high < from ? (uint32_t)high : from;
    float *weight = axis->weight + (size_t)i * axis->most;
    axis->first[i] = a;
    axis->count[i] = b - a;
    for (uint32_t k = a; k < b; k++) {
      double distance = fabs(k + 0.5 - centre) / radius;
      double w = distance < 1 ? 1 - distance : 0;
      weight[k - a] = (float)w;
      sum += w;
    }
    for (uint32_t k = 0; k < b - a; k++)
      weight[k] = (float)((double)weight[k] / sum);
  }
  return true;
}

static void resize_row(const Axis *x, const uint8_t *from, uint32_t width, uint32_t channels,
                       float *to) {
  for (uint32_t i = 0; i < width; i++)
    for (uint32_t c = 0; c < channels; c++) {
      const float *weight = x->weight + (size_t)i * x->most;
      float sum = 0;
      for (uint32_t k = 0; k < x->count[i]; k++)
        sum += weight[k] * (float)from[(size_t)(x->first[i] + k) * channels + c];
      to[i * channels + c] = sum;
    }
}

static void resize_columns(const Axis *y, const float *rows, size_t stride, uint32_t height,
                           uint8_t *to) {
  for (uint32_t i = 0; i < height; i++)
    for (size_t at = 0; at < stride; at++) {
      const float *weight = y->weight + (size_t)i * y->most;
      float sum = 0.5f;
      for (uint32_t k = 0; k < y->count[i]; k++)
        sum += weight[k] * rows[(y->first[i] + k) * stride + at];
      to[i * stride + at] = (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
    }
}

static bool resize(const Picture *from, const Picture *to) {
  Axis x = {0}, y = {0};
  size_t stride = (size_t)to->width * to->channels;
  float *rows = malloc(stride * from->height * sizeof *rows);
  bool good =
      rows && axis_make(&x, from->width, to->width) && axis_make(&y, from->height, to->height);
  for (uint32_t i = 0; good && i < from->height; i++)
    resize_row(&x, from->at + (size_t)i * from->width * from->channels, to->width, to->channels,
               rows + i * stride);
  if (good)
    resize_columns(&y, rows, stride, to->height, to->at);
  free(rows);
  axis_free(&x);
  axis_free(&y);
  return good;
}

// ---- columns ----------------------------------------------------------------------------------

// Height, width and channels of a picture of this type; false: no picture has it.
bool picture_shape(const NnrtType *type, Picture *shape) {
  int64_t channels = type->rank == 3 ? type->dim[2] : 1;
  if ((type->rank != 2 && type->rank != 3) || (type->elem != NNRT_U8 && type->elem != NNRT_F32) ||
      type->range || (channels != 1 && channels != 3 && channels != 4) ||
      type->dim[0] > LARGEST_SIDE || type->dim[1] > LARGEST_SIDE)
    return false;
  *shape = (Picture){NULL, (uint32_t)type->dim[0], (uint32_t)type->dim[1], (uint32_t)channels};
  return true;
}

bool picture_fit(const char *path, const Picture *picture, const NnrtColumn *column,
                 const Picture *to, Failure *failure) {
  char declared[192];
  if (picture->height == to->height && picture->width == to->width) {
    memcpy(to->at, picture->at, (size_t)to->height * to->width * to->channels);
    return true;
  }
  if (!column->resized)
    return failf(failure,
                 "%s: the picture is %u x %u pixels, expected \"%s\", which is %s (height x "
                 "width); |> resize(%u, %u) makes all fit",
                 path, picture->height, picture->width, column->name,
                 shape_text(&column->type, declared), to->height, to->width);
  return resize(picture, to) || failf(failure, "%s: not enough memory to resize it", path);
}

bool picture_read(const char *path, const NnrtColumn *column, const Picture *to, bool *fits,
                  Failure *failure) {
  Bytes file = {0};
  Picture picture = {0};
  bool good = file_read(path, &file, failure) &&
              picture_decode(path, &file, to->channels, &picture, failure);
  *fits = !good || picture_fit(path, &picture, column, to, failure);
  free(picture.at);
  free(file.at);
  return good && *fits;
}
