// Pictures of how a classifier errs: the confusion matrix of all rows, and the pictures it was
// wrong about. In come what was said and what is true of each row, out goes a PNG.
#include "confusion.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LETTERS = 14, MARGIN = 16 };

static const Colour RED = {200, 30, 30}, FAINT = {236, 236, 236};

static const char *class_text(const NnrtWords *words, int64_t k, char text[LETTERS + 1]) {
  char number[NUMBER_TEXT];
  const char *name = word_name(words, k, number);
  snprintf(text, LETTERS + 1, "%s", name ? name : "");
  return text;
}

static int64_t widest_name(const NnrtWords *words, int64_t n) {
  char text[LETTERS + 1];
  int64_t most = 0;
  for (int64_t i = 0; i < n; i++) {
    int64_t width = text_width(class_text(words, i, text));
    most = width > most ? width : most;
  }
  return most;
}

// ---- The matrix -------------------------------------------------------------------------------

typedef struct {
  const NnrtWords *words;
  int64_t n, *count, *total; // classes; rows of each pair (true, said); rows of each true class
  int64_t all, right;
  int64_t cell, left, top, name; // pixels; name: the widest, 0: cells are too small for any
} Matrix;

static bool count_pairs(Matrix *m, const int32_t *said, const int32_t *truth, int64_t rows,
                        Failure *failure) {
  m->count = calloc((size_t)(m->n * m->n + m->n), sizeof *m->count);
  if (!m->count)
    return failf(failure, "not enough memory for a matrix of %lld classes", (long long)m->n);
  m->total = m->count + m->n * m->n;
  for (int64_t i = 0; i < rows; i++) {
    if (said[i] < 0 || said[i] >= m->n || truth[i] < 0 || truth[i] >= m->n)
      continue; // a row without a label
    m->count[truth[i] * m->n + said[i]]++;
    m->total[truth[i]]++;
    m->all++;
    m->right += said[i] == truth[i];
  }
  return true;
}

// White for none to dark blue for all; by the root, so that a hundredth can be seen.
static Colour share_colour(double share) {
  static const Colour stops[] = {{255, 255, 255}, {158, 202, 225}, {49, 130, 189}, {8, 48, 107}};
  double at = 3 * sqrt(fmin(fmax(share, 0), 1));
  int k = at < 3 ? (int)at : 2;
  return colour_between(stops[k], stops[k + 1], at - k);
}

static double share_of(const Matrix *m, int64_t truth, int64_t said) {
  double total = (double)m->total[truth];
  return total > 0 ? (double)m->count[truth * m->n + said] / total : 0;
}

static void put_cell(const Matrix *m, Canvas *canvas, int64_t truth, int64_t said) {
  char text[NUMBER_TEXT];
  double share = share_of(m, truth, said);
  int64_t x = m->left + said * m->cell, y = m->top + truth * m->cell, gap = m->cell >= 8;
  canvas_fill(canvas, x, y, m->cell - gap, m->cell - gap, share_colour(share));
  int64_t count = m->count[truth * m->n + said];
  snprintf(text, sizeof text, "%lld", (long long)count);
  if (count && text_width(text) + 2 <= m->cell && m->cell >= FONT_HEIGHT + 2)
    canvas_text(canvas, x + m->cell / 2, y + (m->cell - FONT_HEIGHT) / 2, CENTRE, text,
                share > 0.3 ? WHITE : BLACK);
}

// The name of each class beside its row and under its column, and how much of the row is right.
static void put_names(const Matrix *m, Canvas *canvas) {
  char text[LETTERS + 1];
  int64_t side = m->n * m->cell, end = m->top + side;
  for (int64_t i = 0; m->name && i < m->n; i++) {
    int64_t y = m->top + i * m->cell + (m->cell - FONT_HEIGHT) / 2,
            x = m->left + i * m->cell + m->cell / 2;
    canvas_text(canvas, m->left - 6, y, RIGHT, class_text(m->words, i, text), BLACK);
    if (m->name <= m->cell - 4)
      canvas_text(canvas, x, end + 6, CENTRE, text, BLACK);
    else
      canvas_text_up(canvas, x - FONT_HEIGHT / 2, end + 6 + text_width(text) / 2, text, BLACK);
    snprintf(text, sizeof text, m->total[i] ? "%.1f%%" : "-", 100 * share_of(m, i, i));
    canvas_text(canvas, m->left + side + 6, y, LEFT, text, BLACK);
  }
  int64_t below = !m->name ? 0 : m->name <= m->cell - 4 ? FONT_HEIGHT : m->name;
  canvas_text(canvas, m->left + side / 2, end + 12 + below, CENTRE, "predicted", BLACK);
  canvas_text_up(canvas, MARGIN / 2, m->top + side / 2, "true", BLACK);
}

static void put_scale(const Matrix *m, Canvas *canvas, int64_t x) {
  enum { WIDTH = 14 };
  static const double marks[] = {0, 0.01, 0.1, 0.3, 0.6, 1};
  char text[NUMBER_TEXT];
  int64_t side = m->n * m->cell, last = INT64_MAX;
  for (int64_t y = 0; y < side; y++) {
    double root = 1 - (double)y / (double)(side - 1);
    canvas_fill(canvas, x, m->top + y, WIDTH, 1, share_colour(root * root));
  }
  for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
    int64_t y = m->top + lround((1 - sqrt(marks[i])) * (double)(side - 1));
    snprintf(text, sizeof text, "%g%%", 100 * marks[i]);
    if (last - y < FONT_HEIGHT)
      continue;
    last = y;
    canvas_fill(canvas, x + WIDTH, y, 4, 1, BLACK);
    canvas_text(canvas, x + WIDTH + 8, y - FONT_HEIGHT / 2, LEFT, text, BLACK);
  }
}

static void measure(Matrix *m) {
  enum { LEAST_NAMED = FONT_HEIGHT + 2, LARGE = 44, FEW = 5, SIDE = 900 };
  m->cell = SIDE / m->n;
  m->cell = m->n < FEW ? FEW * LARGE / m->n : m->cell > LARGE ? LARGE : m->cell < 2 ? 2 : m->cell;
  m->name = m->cell >= LEAST_NAMED ? widest_name(m->words, m->n) : 0;
  m->left = MARGIN + m->name + 18;
  m->top = FONT_HEIGHT + 24;
}

bool confusion_write(const NnrtOutput *class, const char *name, const int32_t *said,
                     const int32_t *truth, int64_t rows, const char *path, Failure *failure) {
  enum { RIGHT_SHARE = 48, SCALE = 80, LEAST_WIDTH = 360 };
  Matrix m = {.words = &class->words, .n = class->type.range};
  Canvas canvas = {0};
  char title[160];
  measure(&m);
  int64_t side = m.n * m.cell, scale = m.left + side + (m.name ? RIGHT_SHARE : 12);
  int64_t width = scale + SCALE > LEAST_WIDTH ? scale + SCALE : LEAST_WIDTH;
  int64_t below = (m.name > m.cell - 4 ? m.name : FONT_HEIGHT) + FONT_HEIGHT + 28;
  bool good = count_pairs(&m, said, truth, rows, failure) &&
              canvas_open(&canvas, width, m.top + side + below, WHITE, failure);
  if (good) {
    snprintf(title, sizeof title, "%.60s: %lld of %lld right (%.2f%%)", name, (long long)m.right,
             (long long)m.all, m.all ? 100.0 * (double)m.right / (double)m.all : 0.0);
    canvas_text(&canvas, MARGIN, 10, LEFT, title, BLACK);
    canvas_fill(&canvas, m.left - 1, m.top - 1, side + 1, side + 1, FAINT);
    for (int64_t i = 0; i < m.n * m.n; i++)
      put_cell(&m, &canvas, i / m.n, i % m.n);
    put_names(&m, &canvas);
    put_scale(&m, &canvas, scale);
    good = canvas_write(&canvas, path, failure);
  }
  canvas_close(&canvas);
  free(m.count);
  return good;
}

// ---- Pictures that it was wrong about ---------------------------------------------------------

// "cat -> dog" under a picture; on two lines where one is too narrow.
static void put_caption(const Gallery *g, Canvas *canvas, int64_t i, int64_t x, int64_t y,
                        int64_t width) {
  char truth[LETTERS + 1], said[LETTERS + 1], arrow[LETTERS + 4];
  class_text(&g->output[1].words, g->truth[i], truth);
  snprintf(arrow, sizeof arrow, "-> %s", class_text(&g->output[1].words, g->said[i], said));
  int64_t both = text_width(truth) + FONT_WIDTH + text_width(arrow);
  if (both <= width) {
    int64_t start = x + (width - both) / 2;
    canvas_text(canvas, start, y, LEFT, truth, BLACK);
    canvas_text(canvas, start + both, y, RIGHT, arrow, RED);
    return;
  }
  canvas_text(canvas, x + width / 2, y, CENTRE, truth, BLACK);
  canvas_text(canvas, x + width / 2, y + FONT_HEIGHT, CENTRE, arrow, RED);
}

bool gallery_write(const Gallery *g, const char *name, const char *path, Failure *failure) {
  enum { GAP = 10, LEAST_WIDTH = 400 };
  const NnrtOutput *o = g->output;
  const int64_t *size = o->type.dim + 1, scale = o->scale, columns = o->columns;
  int64_t names = widest_name(&o[1].words, o[1].type.range), arrow = names + 3 * FONT_WIDTH;
  int64_t width = size[1] * scale, height = size[0] * scale;
  bool one_line = names + FONT_WIDTH + arrow <= (width > 64 ? width : 64);
  int64_t tile = one_line ? names + FONT_WIDTH + arrow : arrow;
  tile = (width > tile ? width : tile) + GAP;
  int64_t step = height + (one_line ? 1 : 2) * FONT_HEIGHT + 2 + GAP, top = FONT_HEIGHT + 24;
  int64_t rows = g->count ? (g->count + columns - 1) / columns : 1;
  int64_t whole = columns * tile + GAP > LEAST_WIDTH ? columns * tile + GAP : LEAST_WIDTH;
  char title[160];
  Canvas canvas;
  if (!canvas_open(&canvas, whole, top + rows * step, WHITE, failure))
    return false;
  snprintf(title, sizeof title, "%.60s: %lld of %lld wrong (true -> predicted)", name,
           (long long)g->wrong, (long long)g->seen);
  canvas_text(&canvas, GAP, 10, LEFT, title, BLACK);
  for (int64_t i = 0; i < g->count; i++) {
    int64_t x = GAP + i % columns * tile, y = top + i / columns * step;
    canvas_image(&canvas, x + (tile - GAP - width) / 2, y,
                 g->image + i * size[0] * size[1] * size[2], size, scale);
    put_caption(g, &canvas, i, x, y + height + 2, tile - GAP);
  }
  bool good = canvas_write(&canvas, path, failure);
  canvas_close(&canvas);
  return good;
}
