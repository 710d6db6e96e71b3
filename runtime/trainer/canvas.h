// What pictures are drawn on: pixels, lines, discs, letters, and axes for plots of numbers. In come
// coordinates from the top left, out goes a PNG.
#ifndef NNRT_CANVAS_H
#define NNRT_CANVAS_H

#include "trainer.h"

typedef struct {
  uint8_t r, g, b;
} Colour;
typedef struct {
  int64_t width, height;
  Colour *pixel;
} Canvas;

static const Colour WHITE = {255, 255, 255}, BLACK = {0, 0, 0}, GREY = {128, 128, 128},
                    LIGHT = {224, 224, 224};

bool canvas_open(Canvas *canvas, int64_t width, int64_t height, Colour ground, Failure *failure);
void canvas_close(Canvas *canvas);
void canvas_fill(Canvas *canvas, int64_t x, int64_t y, int64_t width, int64_t height, Colour with);
void canvas_line(Canvas *canvas, double x0, double y0, double x1, double y1, double thick,
                 Colour with);
void canvas_disc(Canvas *canvas, double x, double y, double radius, Colour with);
// height x width x channels numbers, 0 black and 1 white; each becomes a square of `scale` pixels.
void canvas_image(Canvas *canvas, int64_t x, int64_t y, const float *values, const int64_t size[3],
                  int64_t scale);
// Grey where no pixel has a colour.
bool canvas_write(const Canvas *canvas, const char *path, Failure *failure);

Colour colour_between(Colour from, Colour to, double share);
Colour palette(int64_t i);           // of the i-th kind of thing; they repeat
Colour heat_colour(double fraction); // dark blue 0, green, yellow 1

// ---- Letters (font.c) -------------------------------------------------------------------------

enum { FONT_FIRST = 32, FONT_LAST = 126, FONT_WIDTH = 6, FONT_HEIGHT = 13 };
extern const uint8_t font_rows[FONT_LAST - FONT_FIRST + 1][FONT_HEIGHT];

typedef enum { LEFT, CENTRE, RIGHT } Align; // where x is in the text; y is its top
int64_t text_width(const char *text);
void canvas_text(Canvas *canvas, int64_t x, int64_t y, Align align, const char *text, Colour with);
// From bottom to top; y is its middle.
void canvas_text_up(Canvas *canvas, int64_t x, int64_t y, const char *text, Colour with);

// ---- Plots (plot.c) ---------------------------------------------------------------------------

typedef struct {
  Canvas *canvas;
  int64_t left, top, width, height; // of the frame
  double x[2], y[2];                // what its sides stand for
} Axes;

// Room around the numbers, and sides at round ones.
void axis_range(double low, double high, double range[2]);
// Frame, lines and their numbers. whole: of x, as of epochs.
void axes_draw(const Axes *axes, const char *title, const char *x_label, bool whole);
double axes_x(const Axes *axes, double x);
double axes_y(const Axes *axes, double y);

#endif
