// --curves FILE: the figures of every epoch as lines, a panel for each figure of each train block,
// training and validation rows in it.
#include "canvas.h"
#include <math.h>
#include <stdlib.h>

enum { PANEL_WIDTH = 430, PANEL_HEIGHT = 300, LEFT_ROOM = 64, TOP_ROOM = 30, BOTTOM_ROOM = 44 };

bool curves_add(Curves *curves, const NnrtTrain *train, int64_t epoch, const Figures *figures,
                const Figures *validation, Failure *failure) {
  for (uint32_t i = 0; curves->path && i < train->n_metric; i++) {
    if (curves->n == curves->capacity) {
      size_t capacity = 2 * curves->capacity + 256;
      CurvePoint *grown = realloc(curves->at, capacity * sizeof *grown);
      if (!grown)
        return failf(failure, "not enough memory for the curves");
      curves->at = grown;
      curves->capacity = capacity;
    }
    curves->at[curves->n++] = (CurvePoint){
        .train = train,
        .metric = i,
        .epoch = (double)epoch,
        .value = {figures_value(figures, i), validation ? figures_value(validation, i) : NAN}};
  }
  return true;
}

void curves_close(Curves *curves) {
  free(curves->at);
}

static bool of_panel(const CurvePoint *p, const CurvePoint *panel) {
  return p->train == panel->train && p->metric == panel->metric;
}

static void panel_ranges(const Curves *curves, const CurvePoint *panel, Axes *axes, bool *has_val) {
  double low = INFINITY, high = -INFINITY, last = 1;
  *has_val = false;
  for (size_t i = 0; i < curves->n; i++)
    for (int k = 0; k < 2 && of_panel(&curves->at[i], panel); k++) {
      double v = curves->at[i].value[k];
      last = fmax(last, curves->at[i].epoch);
      if (!isfinite(v))
        continue;
      *has_val |= k == 1;
      low = fmin(low, v);
      high = fmax(high, v);
    }
  axis_range(low, high, axes->y);
  axes->x[0] = last > 1 ? 1 : 0.5;
  axes->x[1] = last > 1 ? last : 1.5;
}

static void draw_curve(const Curves *curves, const CurvePoint *panel, const Axes *axes, int which) {
  const CurvePoint *before = NULL;
  for (size_t i = 0; i < curves->n; i++) {
    const CurvePoint *p = &curves->at[i];
    if (!of_panel(p, panel) || !isfinite(p->value[which]))
      continue;
    double x = axes_x(axes, p->epoch), y = axes_y(axes, p->value[which]);
    if (before)
      canvas_line(axes->canvas, axes_x(axes, before->epoch), axes_y(axes, before->value[which]), x,
                  y, 1.6, palette(which));
    canvas_disc(axes->canvas, x, y, axes->x[1] <= 40 ? 2.2 : 0.8, palette(which));
    before = p;
  }
}

static void draw_panel(const Curves *curves, const CurvePoint *panel, Canvas *canvas, int64_t x,
                       int64_t y, bool named) {
  static const char *const which[] = {"training", "validation"};
  Axes axes = {.canvas = canvas,
               .left = x + LEFT_ROOM,
               .top = y + TOP_ROOM,
               .width = PANEL_WIDTH - LEFT_ROOM - 20,
               .height = PANEL_HEIGHT - TOP_ROOM - BOTTOM_ROOM};
  bool has_val;
  String title = {0};
  string_printf(&title, "%s%s%s", named ? panel->train->name : "", named ? ": " : "",
                panel->train->metric[panel->metric].name);
  panel_ranges(curves, panel, &axes, &has_val);
  axes_draw(&axes, title.at ? title.at : "", panel->train->data == NNRT_NONE ? "report" : "epoch",
            true);
  for (int k = 0; k < 1 + has_val; k++) {
    int64_t key = axes.left + axes.width - (k ? 70 : 150);
    draw_curve(curves, panel, &axes, k);
    if (!has_val)
      break;
    canvas_disc(canvas, (double)key - 8, (double)axes.top - 13, 3.5, palette(k));
    canvas_text(canvas, key, axes.top - FONT_HEIGHT - 6, LEFT, which[k], BLACK);
  }
  string_free(&title);
}

// Each panel is named by its first point.
static bool first_of_panel(const Curves *curves, size_t i) {
  for (size_t k = 0; k < i; k++)
    if (of_panel(&curves->at[k], &curves->at[i]))
      return false;
  return true;
}

bool curves_write(const Curves *curves, const NnrtProgram *program, Failure *failure) {
  int64_t panels = 0, done = 0;
  Canvas canvas;
  for (size_t i = 0; i < curves->n; i++)
    panels += first_of_panel(curves, i);
  if (!panels)
    return true;
  int64_t columns = panels > 1 ? 2 : 1;
  if (!canvas_open(&canvas, columns * PANEL_WIDTH, (panels + columns - 1) / columns * PANEL_HEIGHT,
                   WHITE, failure))
    return false;
  for (size_t i = 0; i < curves->n; i++)
    if (first_of_panel(curves, i)) {
      draw_panel(curves, &curves->at[i], &canvas, done % columns * PANEL_WIDTH,
                 done / columns * PANEL_HEIGHT, program->n_train > 1);
      done++;
    }
  bool good = canvas_write(&canvas, curves->path, failure);
  canvas_close(&canvas);
  return good;
}
