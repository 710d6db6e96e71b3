// What programs draw: the pictures that predict gives for a row, those of many rows,
// and those of `draw` in train blocks, from the first rows of validation (rule 36), as PNG files.
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "canvas.h"
#include "confusion.h"

enum { GAP = 2, POINTS = 1000 };

// ---- Files ------------------------------------------------------------------------------------

bool drawings_open(Drawings *drawings, const NnrtProgram *program, const Options *options,
                   Failure *failure) {
  *drawings = (Drawings){0};
  if (options->pictures) {
    string_put(&drawings->folder, options->pictures);
    string_put(&drawings->folder, "/");
    if (mkdir(options->pictures, 0777) && errno != EEXIST)
      return failf(failure, "--pictures: %s: %s", options->pictures, strerror(errno));
    return true;
  }
  char *out = weights_path(program, options);
  const char *slash = out ? strrchr(out, '/') : NULL;
  if (slash)
    string_printf(&drawings->folder, "%.*s", (int)(slash + 1 - out), out);
  free(out);
  return true;
}

void drawings_close(Drawings *drawings) {
  string_free(&drawings->folder);
}

const char *drawings_folder(const Drawings *drawings) {
  return drawings->folder.at ? drawings->folder.at : "";
}

// ---- Pictures and grids -----------------------------------------------------------------------

bool picture_write(const NnrtOutput *output, const float *values, int64_t count, const char *path,
                   Failure *failure) {
  const int64_t *size = output->type.dim + 1; // height, width, channels
  int64_t rows = output->rows, columns = output->columns, scale = output->scale;
  int64_t gap = rows * columns > 1 ? GAP : 0;
  int64_t height = size[0] * scale, width = size[1] * scale;
  Canvas canvas;
  if (!canvas_open(&canvas, columns * (width + gap) + gap, rows * (height + gap) + gap, GREY,
                   failure))
    return false;
  for (int64_t i = 0; i < count && i < rows * columns; i++)
    canvas_image(&canvas, gap + i % columns * (width + gap), gap + i / columns * (height + gap),
                 values + i * size[0] * size[1] * size[2], size, scale);
  bool good = canvas_write(&canvas, path, failure);
  canvas_close(&canvas);
  return good;
}

// ---- Scatter ----------------------------------------------------------------------------------

typedef struct {
  const NnrtOutput *colour; // NULL: of several clouds, or none
  const float *point;
  const void *colours;
  int64_t count, clouds;
  double low, high; // of colours that are numbers
} Scatter;

static double colour_number(const Scatter *s, int64_t i) {
  return s->colour->type.elem == NNRT_I32  ? ((const int32_t *)s->colours)[i]
         : s->colour->type.elem == NNRT_U8 ? ((const uint8_t *)s->colours)[i]
                                           : (double)((const float *)s->colours)[i];
}

static bool by_class(const Scatter *s) {
  return s->colour && s->colour->form == NNRT_AS_CLASS;
}

static Colour colour_of(const Scatter *s, int64_t i) {
  if (!s->colour)
    return palette(i % s->clouds);
  double c = colour_number(s, i);
  return by_class(s) ? palette((int64_t)c) : heat_colour((c - s->low) / (s->high - s->low));
}

static void include(double range[2], double v) {
  if (!isfinite(v))
    return;
  range[0] = v < range[0] ? v : range[0];
  range[1] = v > range[1] ? v : range[1];
}

static void scatter_ranges(Scatter *s, Axes *axes) {
  double x[2] = {INFINITY, -INFINITY}, y[2] = {INFINITY, -INFINITY}, c[2] = {INFINITY, -INFINITY};
  for (int64_t i = 0; i < s->count; i++) {
    include(x, (double)s->point[2 * i]);
    include(y, (double)s->point[2 * i + 1]);
    if (s->colour)
      include(c, colour_number(s, i));
  }
  axis_range(x[0], x[1], axes->x);
  axis_range(y[0], y[1], axes->y);
  s->low = c[0];
  s->high = c[1] > c[0] ? c[1] : c[0] + 1;
}

static void put_key(Canvas *canvas, int64_t x, int64_t y, Colour colour, const char *text) {
  canvas_disc(canvas, (double)x + 4, (double)y + 6, 4, colour);
  canvas_text(canvas, x + 14, y, LEFT, text, BLACK);
}

static void scatter_keys(const Scatter *s, Canvas *canvas, int64_t x, int64_t y) {
  enum { LINE = 18, MOST = 24, LETTERS = 14 };
  char text[NUMBER_TEXT], cut[LETTERS + 1];
  int64_t n = by_class(s) ? s->colour->type.range : s->colour ? 5 : s->clouds > 1 ? s->clouds : 0;
  for (int64_t i = 0; i < n && i < MOST; i++, y += LINE) {
    if (by_class(s)) {
      const char *name = word_name(&s->colour->words, i, text);
      snprintf(cut, sizeof cut, "%s", name ? name : "");
      put_key(canvas, x, y, palette(i), cut);
    } else if (s->colour) {
      double share = (double)(n - 1 - i) / (double)(n - 1);
      put_key(canvas, x, y, heat_colour(share),
              figure_text(s->low + share * (s->high - s->low), text));
    } else {
      snprintf(text, sizeof text, "%lld", (long long)i + 1);
      put_key(canvas, x, y, palette(i), text);
    }
  }
}

static bool scatter_write(Scatter *s, const char *name, const char *path, Failure *failure) {
  Canvas canvas;
  bool keys = s->colour || s->clouds > 1;
  Axes axes = {.canvas = &canvas, .left = 64, .top = 32, .width = 480, .height = 480};
  if (!canvas_open(&canvas, axes.left + axes.width + (keys ? 124 : 24), axes.top + axes.height + 36,
                   WHITE, failure))
    return false;
  scatter_ranges(s, &axes);
  axes_draw(&axes, name, NULL, false);
  for (int64_t i = 0; i < s->count; i++)
    if (isfinite(s->point[2 * i]) && isfinite(s->point[2 * i + 1]))
      canvas_disc(&canvas, axes_x(&axes, (double)s->point[2 * i]),
                  axes_y(&axes, (double)s->point[2 * i + 1]), 2, colour_of(s, i));
  scatter_keys(s, &canvas, axes.left + axes.width + 14, axes.top);
  bool good = canvas_write(&canvas, path, failure);
  canvas_close(&canvas);
  return good;
}

// ---- The drawings of a train block ------------------------------------------------------------

static bool reads(const NnrtFunction *function, NnrtRole role) {
  for (uint32_t i = 0; i < function->n_arg; i++)
    if (function->arg[i].role == role)
      return true;
  return false;
}

// Does it show rows, so that no more can be shown than there are? Noise alone can be drawn for any
// number of pictures.
static bool shows_rows(const NnrtDraw *draw, const NnrtFunction *function, const Split *rows) {
  bool numbered = reads(function, NNRT_EXAMPLE);
  return rows && (reads(function, NNRT_COLUMN) ||
                  (numbered && (!draw->examples || rows->rows >= draw->examples)));
}

static void number_places(Call *call, int64_t first, int64_t n) {
  for (uint32_t a = 0; a < call->function->n_arg; a++) {
    int32_t *place = call->arg[a];
    for (int64_t i = 0; call->function->arg[a].role == NNRT_PLACE && i < n; i++)
      place[i] = (int32_t)(first + i);
  }
}

enum { MOST_OUTPUTS = 3 };
typedef struct {
  char *values[MOST_OUTPUTS]; // of each output, row by row
  int64_t count, most;        // rows in it, and room
  int64_t wrong, seen;        // AS_MISCLASSIFIED: of all rows
} Drawn;

static bool is_kept(const NnrtDraw *draw, const Call *call, int64_t i, Drawn *drawn) {
  if (draw->output->form == NNRT_AS_MISCLASSIFIED) {
    const int32_t *said = call_result(call, NNRT_OUTPUT, 1),
                  *truth = call_result(call, NNRT_OUTPUT, 2);
    drawn->seen++;
    if (said[i] == truth[i])
      return false;
    drawn->wrong++;
  }
  return drawn->count < drawn->most;
}

static void keep_rows(const NnrtDraw *draw, const Call *call, int64_t n, Drawn *drawn) {
  for (int64_t i = 0; i < n; i++) {
    if (!is_kept(draw, call, i, drawn))
      continue;
    for (uint32_t k = 0; k < draw->n_output; k++) {
      size_t size = (size_t)nnrt_type_bytes(&draw->output[k].type, 1);
      memcpy(drawn->values[k] + size * (size_t)drawn->count,
             (const char *)call_result(call, NNRT_OUTPUT, k) + size * (size_t)i, size);
    }
    drawn->count++;
  }
}

// The outputs of the first rows that can be read, one after the other.
static bool draw_values(const NnrtDraw *draw, Call *call, const Split *rows, Drawn *drawn,
                        Failure *failure) {
  bool all = rows && draw->output->form == NNRT_AS_MISCLASSIFIED; // they are counted too
  for (int64_t first = 0, n; (all || drawn->count < drawn->most) && (!rows || first < rows->rows);
       first += n) {
    n = all || drawn->most - drawn->count > call->max_n ? call->max_n : drawn->most - drawn->count;
    n = rows && rows->rows - first < n ? rows->rows - first : n;
    int64_t got = rows ? call_gather(call, rows, NULL, first, n, failure) : n;
    if (!rows)
      call_number_rows(call, first, n);
    number_places(call, drawn->count, got);
    if (got < 0 || (got && !call_run(call, got, failure)))
      return false;
    keep_rows(draw, call, got, drawn);
  }
  return true;
}

static bool text_write(const NnrtOutput *output, const void *values, const char *path, String *text,
                       Failure *failure) {
  put_text(text, output, values);
  string_put(text, ""); // there is something, even of no letter
  return file_write(path, &(Piece){text->at, strlen(text->at)}, 1, failure);
}

static bool draw_write(const NnrtDraw *draw, const Drawn *drawn, const char *path, String *text,
                       Failure *failure) {
  const NnrtOutput *output = draw->output;
  if (output->form == NNRT_AS_TEXT)
    return text_write(output, drawn->values[0], path, text, failure);
  int64_t each = output->type.dim[0];
  const void *const values[] = {drawn->values[0], drawn->values[1], drawn->values[2]};
  if (output->form == NNRT_AS_PICTURE)
    return picture_write(output, values[0], drawn->count * each, path, failure);
  if (output->form == NNRT_AS_CONFUSION)
    return confusion_write(output, draw->name, values[0], values[1], drawn->count, path, failure);
  if (output->form == NNRT_AS_MISCLASSIFIED) {
    Gallery g = {output, values[0], values[1], values[2], drawn->count, drawn->wrong, drawn->seen};
    return gallery_write(&g, draw->name, path, failure);
  }
  Scatter s = {.colour = draw->n_output > 1 ? output + 1 : NULL,
               .point = values[0],
               .colours = values[1],
               .count = drawn->count * each,
               .clouds = each};
  return scatter_write(&s, draw->name, path, failure);
}

// How many rows it shows at most.
static int64_t rows_shown(const NnrtDraw *draw, const Split *rows) {
  const NnrtOutput *o = draw->output;
  if (draw->examples)
    return draw->examples;
  if (o->form == NNRT_AS_MISCLASSIFIED)
    return (int64_t)o->rows * o->columns;
  return o->form == NNRT_AS_CONFUSION && rows ? rows->rows : POINTS;
}

bool draw_picture(const NnrtDraw *draw, Call *call, const Split *rows, const char *path,
                  String *text, Failure *failure) {
  const Split *from = shows_rows(draw, call->function, rows) ? rows : NULL;
  Drawn drawn = {.most = rows_shown(draw, from)};
  bool good = true;
  if (from && from->rows < drawn.most)
    drawn.most = from->rows;
  for (uint32_t k = 0; good && k < draw->n_output; k++) {
    size_t size = (size_t)nnrt_type_bytes(&draw->output[k].type, 1);
    drawn.values[k] = allocate(drawn.most, size, draw->name, failure);
    good = drawn.values[k] != NULL;
  }
  good = good && draw_values(draw, call, from, &drawn, failure) &&
         draw_write(draw, &drawn, path, text, failure);
  for (uint32_t k = 0; k < MOST_OUTPUTS; k++)
    free(drawn.values[k]);
  return good;
}
