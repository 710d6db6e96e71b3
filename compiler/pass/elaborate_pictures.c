// Pictures, of folders(...) and cifar(...): `row.image` is bytes from 0 to 255; `row.image |>
// resize(180, 180)` makes pictures of any size fit.
#include "pass/elaborate_program.h"

#include <string.h>

enum { CIFAR_SIDE = 32, LARGEST = 1 << 13 };

// ---- pictures ----------------------------------------------------------------------------------

static bool is_picture(const Type *t) {
  return (t->rank == 2 || (t->rank == 3 && (t->dim[2] == 1 || t->dim[2] == 3))) && !t->range;
}

// The first declared picture of this size says whether it is grey; else it is in colour.
static Type type_of_size(const DataInfo *data, int64_t height, int64_t width) {
  Type colour = {.elem = TY_U8, .rank = 3, .dim = {height, width, 3}};
  const Field *now = data->computing;
  uint32_t n = data->field.n;
  for (uint32_t i = 0; i <= n + data->let.n; i++) {
    const Field *f = i == 0 ? now : i <= n ? &data->field.at[i - 1] : &data->let.at[i - n - 1];
    if (!f || !f->typed || !is_picture(&f->type) || f->type.dim[0] != height ||
        f->type.dim[1] != width)
      continue;
    colour.rank = f->type.rank;
    colour.dim[2] = f->type.rank == 3 ? f->type.dim[2] : 0;
    return colour;
  }
  return colour;
}

static Val image_value(Elab *e, DataInfo *data, Node *expr, const Type *type, bool resized) {
  NnrtColumn c = {.header = intern(e->s, "image"), .resized = resized};
  return row_column(e, data, expr, &c, *type);
}

static Val image_as_it_is(Elab *e, DataInfo *data, Node *expr) {
  const Field *f = data->computing;
  bool cifar = data->train.s.kind == NNRT_CIFAR;
  Type type = type_of_size(data, CIFAR_SIDE, CIFAR_SIDE);
  if (cifar)
    return image_value(e, data, expr, &type, false);
  if (!f || !f->typed || !is_picture(&f->type)) {
    Diagnostic *d =
        diag_error(e->s, expr->span, "row", "the size of these pictures is not known here");
    diag_note(e->s, d, (Span){0},
              "row.image |> resize(180, 180), or a field f32[180, 180, 3] = row.image if all "
              "files have this size");
    return val_error();
  }
  type = f->type;
  type.elem = TY_U8;
  return image_value(e, data, expr, &type, false);
}

bool is_picture_source(const DataInfo *data) {
  return data->train.s.kind == NNRT_FOLDERS || data->train.s.kind == NNRT_CIFAR;
}

Val picture_part(Elab *e, DataInfo *data, Node *expr) {
  static const char *const parts[] = {"image", "class"};
  if (expr->kind == N_MEMBER && strcmp(expr->name, "image") == 0)
    return image_as_it_is(e, data, expr);
  if (expr->kind == N_MEMBER && strcmp(expr->name, "class") == 0)
    return class_value(e, data, expr);
  Diagnostic *d =
      diag_error(e->s, expr->span, "row", "a row of pictures has row.image and row.class, found %s",
                 node_source(e, expr));
  const char *near = expr->kind == N_MEMBER ? nearest_name(expr->name, parts, 2) : NULL;
  diag_note(e->s, d, data->train.span, "the rows come from here");
  if (near)
    diag_note(e->s, d, (Span){0}, "did you mean `%s`?", near);
  return val_error();
}

// `row.image |> resize(height, width)`
Val resized_value(Elab *e, DataInfo *data, Node *node, Node *operand, Node *const *arg,
                  uint32_t n) {
  int64_t size[2];
  data = row_of(data, operand);
  if (!data || operand->kind != N_MEMBER || strcmp(operand->name, "image") != 0 ||
      !is_picture_source(data) || n != 2 || arg[0]->name || arg[1]->name) {
    Diagnostic *d = diag_error(e->s, node->span, "row-step",
                               "resize(height, width) makes pictures of any size fit");
    diag_note(e->s, d, (Span){0},
              "row.image |> resize(180, 180), of rows of folders(...) or cifar(...)");
    return val_error();
  }
  for (int i = 0; i < 2; i++) {
    Target *target = e->target;
    e->target = NULL;
    Val v = elab_expr(e, data_scope(data), arg[i]->a, NULL);
    e->target = target;
    if (!elab_int(e, v, i ? "the width" : "the height", arg[i]->span, &size[i]))
      return val_error();
    if (size[i] < 1 || size[i] > LARGEST) {
      diag_note(e->s,
                diag_error(e->s, arg[i]->span, "setting-value",
                           "a side of %lld pixels: it has 1 to %d", (long long)size[i], LARGEST),
                (Span){0}, "row.image |> resize(height, width)");
      return val_error();
    }
  }
  Type type = type_of_size(data, size[0], size[1]);
  return image_value(e, data, node, &type, true);
}
