// Axes of plots: round numbers along a frame.
#include "canvas.h"
#include <math.h>

void axis_range(double low, double high, double range[2]) {
  if (!(high > low)) { // all the same, or nothing at all
    low = isfinite(low) ? low : 0;
    high = low + 0.5, low -= 0.5;
  }
  double room = 0.04 * (high - low);
  range[0] = low - room;
  range[1] = high + room;
}

// 1, 2 or 5 times a power of ten, so that about `count` fit.
static double round_step(double span, int64_t count, bool whole) {
  double rough = span / (double)(count > 1 ? count : 1), power = pow(10, floor(log10(rough)));
  double step = rough <= power       ? power
                : rough <= 2 * power ? 2 * power
                : rough <= 5 * power ? 5 * power
                                     : 10 * power;
  return whole && step < 1 ? 1 : step;
}

double axes_x(const Axes *axes, double x) {
  return (double)axes->left + (x - axes->x[0]) / (axes->x[1] - axes->x[0]) * (double)axes->width;
}

double axes_y(const Axes *axes, double y) {
  return (double)(axes->top + axes->height) -
         (y - axes->y[0]) / (axes->y[1] - axes->y[0]) * (double)axes->height;
}

static void tick_text(double value, double step, char text[NUMBER_TEXT]) {
  double size = fmax(fabs(value), step);
  int digits = step >= 1 ? 0 : (int)ceil(-log10(step) - 1e-9);
  if (size >= 1e6 || step < 1e-5)
    snprintf(text, NUMBER_TEXT, "%.3g", fabs(value) < step / 2 ? 0 : value);
  else
    snprintf(text, NUMBER_TEXT, "%.*f", digits, fabs(value) < step / 2 ? 0 : value);
}

void axes_draw(const Axes *a, const char *title, const char *x_label, bool whole) {
  char text[NUMBER_TEXT];
  int64_t bottom = a->top + a->height, right = a->left + a->width;
  double step = round_step(a->y[1] - a->y[0], a->height / 36, false);
  for (double v = ceil(a->y[0] / step) * step; v <= a->y[1] + step * 1e-6; v += step) {
    int64_t y = lround(axes_y(a, v));
    canvas_fill(a->canvas, a->left, y, a->width, 1, LIGHT);
    tick_text(v, step, text);
    canvas_text(a->canvas, a->left - 6, y - FONT_HEIGHT / 2, RIGHT, text, BLACK);
  }
  step = round_step(a->x[1] - a->x[0], a->width / 70, whole);
  for (double v = ceil(a->x[0] / step) * step; v <= a->x[1] + step * 1e-6; v += step) {
    int64_t x = lround(axes_x(a, v));
    canvas_fill(a->canvas, x, a->top, 1, a->height, LIGHT);
    tick_text(v, step, text);
    canvas_text(a->canvas, x, bottom + 6, CENTRE, text, BLACK);
  }
  canvas_fill(a->canvas, a->left, a->top, a->width, 1, GREY);
  canvas_fill(a->canvas, a->left, bottom, a->width + 1, 1, GREY);
  canvas_fill(a->canvas, a->left, a->top, 1, a->height, GREY);
  canvas_fill(a->canvas, right, a->top, 1, a->height, GREY);
  canvas_text(a->canvas, a->left, a->top - FONT_HEIGHT - 6, LEFT, title, BLACK);
  if (x_label)
    canvas_text(a->canvas, (a->left + right) / 2, bottom + 8 + FONT_HEIGHT, CENTRE, x_label, BLACK);
}
