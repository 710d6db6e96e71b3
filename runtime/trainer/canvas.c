// Pixels: filled rectangles, smooth lines and discs, letters, pictures made of numbers.
#include "canvas.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool canvas_open(Canvas *canvas, int64_t width, int64_t height, Colour ground, Failure *failure) {
  *canvas = (Canvas){width, height, NULL};
  if (width > 1 << 15 || height > 1 << 15)
    return failf(failure, "a picture of %lld x %lld pixels is too large", (long long)width,
                 (long long)height);
  canvas->pixel = malloc((size_t)(width * height + 1) * sizeof *canvas->pixel);
  if (!canvas->pixel)
    return failf(failure, "not enough memory for a picture of %lld x %lld pixels", (long long)width,
                 (long long)height);
  canvas_fill(canvas, 0, 0, width, height, ground);
  return true;
}

void canvas_close(Canvas *canvas) {
  free(canvas->pixel);
  canvas->pixel = NULL;
}

static bool inside(const Canvas *canvas, int64_t x, int64_t y) {
  return x >= 0 && y >= 0 && x < canvas->width && y < canvas->height;
}

void canvas_fill(Canvas *canvas, int64_t x, int64_t y, int64_t width, int64_t height, Colour with) {
  for (int64_t j = y; j < y + height; j++)
    for (int64_t i = x; i < x + width; i++)
      if (inside(canvas, i, j))
        canvas->pixel[j * canvas->width + i] = with;
}

static uint8_t mixed(uint8_t from, uint8_t to, double share) {
  return (uint8_t)lround(from + (to - from) * share);
}

static void blend(Canvas *canvas, int64_t x, int64_t y, Colour with, double share) {
  if (!inside(canvas, x, y) || share <= 0)
    return;
  Colour *p = &canvas->pixel[y * canvas->width + x];
  share = share > 1 ? 1 : share;
  *p = colour_between(*p, with, share);
}

// Each pixel near the segment by its distance to it.
void canvas_line(Canvas *canvas, double x0, double y0, double x1, double y1, double thick,
                 Colour with) {
  double dx = x1 - x0, dy = y1 - y0, length = dx * dx + dy * dy, half = thick / 2 + 0.5;
  for (int64_t y = (int64_t)floor(fmin(y0, y1) - half); y <= (int64_t)ceil(fmax(y0, y1) + half);
       y++)
    for (int64_t x = (int64_t)floor(fmin(x0, x1) - half); x <= (int64_t)ceil(fmax(x0, x1) + half);
         x++) {
      double px = (double)x - x0, py = (double)y - y0;
      double at = length > 0 ? fmin(fmax((px * dx + py * dy) / length, 0), 1) : 0;
      blend(canvas, x, y, with, half - hypot(px - at * dx, py - at * dy));
    }
}

void canvas_disc(Canvas *canvas, double x, double y, double radius, Colour with) {
  canvas_line(canvas, x, y, x, y, 2 * radius, with);
}

static uint8_t byte_of(float value) {
  return value >= 1 ? 255 : value > 0 ? (uint8_t)lroundf(value * 255) : 0; // NaN: black
}

void canvas_image(Canvas *canvas, int64_t x, int64_t y, const float *values, const int64_t size[3],
                  int64_t scale) {
  for (int64_t j = 0; j < size[0]; j++)
    for (int64_t i = 0; i < size[1]; i++) {
      const float *v = values + (j * size[1] + i) * size[2];
      Colour c = {byte_of(v[0]), byte_of(v[0]), byte_of(v[0])};
      if (size[2] == 3)
        c = (Colour){byte_of(v[0]), byte_of(v[1]), byte_of(v[2])};
      canvas_fill(canvas, x + i * scale, y + j * scale, scale, scale, c);
    }
}

bool canvas_write(const Canvas *canvas, const char *path, Failure *failure) {
  int64_t count = canvas->width * canvas->height;
  uint32_t channels = 1;
  for (int64_t i = 0; i < count && channels == 1; i++)
    if (canvas->pixel[i].r != canvas->pixel[i].g || canvas->pixel[i].r != canvas->pixel[i].b)
      channels = 3;
  if (channels == 3)
    return png_write(path,
                     &(Picture){&canvas->pixel[0].r, (uint32_t)canvas->height,
                                (uint32_t)canvas->width, channels},
                     failure);
  uint8_t *grey = malloc((size_t)count + 1);
  if (!grey)
    return failf(failure, "%s: not enough memory", path);
  for (int64_t i = 0; i < count; i++)
    grey[i] = canvas->pixel[i].r;
  Picture picture = {grey, (uint32_t)canvas->height, (uint32_t)canvas->width, channels};
  bool good = png_write(path, &picture, failure);
  free(grey);
  return good;
}

// ---- Colours ----------------------------------------------------------------------------------

Colour palette(int64_t i) {
  static const Colour colours[] = {
      {31, 119, 180}, {230, 110, 10},  {44, 150, 44},   {214, 39, 40},  {148, 103, 189},
      {140, 86, 75},  {227, 119, 194}, {110, 110, 110}, {175, 170, 20}, {23, 180, 200}};
  int64_t n = sizeof colours / sizeof *colours;
  return colours[(i % n + n) % n];
}

Colour colour_between(Colour a, Colour b, double share) {
  return (Colour){mixed(a.r, b.r, share), mixed(a.g, b.g, share), mixed(a.b, b.b, share)};
}

Colour heat_colour(double fraction) {
  static const Colour stops[] = {
      {68, 1, 84}, {59, 82, 139}, {33, 145, 140}, {94, 201, 98}, {240, 225, 40}};
  double at = fmin(fmax(fraction, 0), 1) * 4;
  int k = at < 4 ? (int)at : 3;
  return colour_between(stops[k], stops[k + 1], at - k);
}

// ---- Letters ----------------------------------------------------------------------------------

int64_t text_width(const char *text) {
  return (int64_t)strlen(text) * FONT_WIDTH;
}

static bool font_bit(char letter, int64_t row, int64_t column) {
  unsigned char c = (unsigned char)letter;
  return font_rows[(c < FONT_FIRST || c > FONT_LAST ? '?' : c) - FONT_FIRST][row] >>
             (FONT_WIDTH - 1 - column) &
         1;
}

void canvas_text(Canvas *canvas, int64_t x, int64_t y, Align align, const char *text, Colour with) {
  x -= align == RIGHT ? text_width(text) : align == CENTRE ? text_width(text) / 2 : 0;
  for (; *text; text++, x += FONT_WIDTH)
    for (int64_t j = 0; j < FONT_HEIGHT; j++)
      for (int64_t i = 0; i < FONT_WIDTH; i++)
        if (font_bit(*text, j, i))
          blend(canvas, x + i, y + j, with, 1);
}

void canvas_text_up(Canvas *canvas, int64_t x, int64_t y, const char *text, Colour with) {
  y += text_width(text) / 2;
  for (; *text; text++, y -= FONT_WIDTH)
    for (int64_t j = 0; j < FONT_HEIGHT; j++)
      for (int64_t i = 0; i < FONT_WIDTH; i++)
        if (font_bit(*text, j, i))
          blend(canvas, x + j, y - i, with, 1);
}
