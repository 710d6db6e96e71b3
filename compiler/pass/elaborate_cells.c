// The cells of a csv file while compiling: which columns hold text, how many different names or
// words there are, which columns are numeric. In: a source whose file is there; out: what decides
// types (rules 19 and 21). The trainer cuts lines into cells and tokens by the same functions.
#include "pass/elaborate_program.h"
#include "nnrt_text.h"

#include <stdlib.h>
#include <string.h>

enum { SAMPLE = 1 << 20 }; // bytes that tell whether a column holds text

// ---- rows --------------------------------------------------------------------------------------

static bool open_file(Elab *e, RowReader *r) {
  FileFacts *facts = &r->source->facts[r->file];
  if (!files_content(e, facts, r->whole ? SIZE_MAX : SAMPLE))
    return false;
  r->at = facts->text;
  r->end = facts->text + facts->n_text;
  NnrtCell line;
  if (r->source->s.header)
    nnrt_next_line(&r->at, r->end, &line, &r->lines);
  if (!r->whole && !facts->all) // its last line may be cut
    while (r->end > r->at && r->end[-1] != '\n')
      r->end--;
  return true;
}

bool rows_open(Elab *e, DataSource *source, bool whole, RowReader *r) {
  *r = (RowReader){.source = source, .whole = whole};
  if (source->s.kind == NNRT_TEXT_FOLDERS)
    return texts_open(e, source);
  if (!source->facts || source->s.kind != NNRT_CSV || files_missing(source))
    return false;
  for (uint32_t i = 0; i < source->s.n_file; i++)
    if (source->facts[i].wrong)
      return false;
  return open_file(e, r);
}

static bool next_line(Elab *e, RowReader *r, NnrtCell *line) {
  while (!nnrt_next_line(&r->at, r->end, line, &r->lines)) {
    if (r->file + 1 >= r->source->s.n_file)
      return false;
    r->file++;
    if (!open_file(e, r))
      return false;
  }
  return true;
}

static bool is_left_out(const RowReader *r) {
  const NnrtSource *s = &r->source->s;
  if (s->drop_missing && !s->n_whole)
    for (uint32_t i = 0; i < r->cell.n; i++)
      if (nnrt_is_missing(s, &r->cell.at[i]))
        return true;
  for (uint32_t i = 0; i < s->n_whole; i++)
    if (s->whole[i] < r->cell.n && nnrt_is_missing(s, &r->cell.at[s->whole[i]]))
      return true;
  return false;
}

static bool next_text(Elab *e, RowReader *r) {
  const FileFacts *facts = r->source->facts;
  r->cell.n = 0;
  if (r->text == facts->rows)
    return false;
  buf_push(e->m->arena, &r->cell, facts->row[r->text++]);
  return true;
}

bool rows_next(Elab *e, RowReader *r) {
  NnrtCell line, cell;
  if (r->source->s.kind == NNRT_TEXT_FOLDERS)
    return next_text(e, r);
  do {
    if (!next_line(e, r, &line))
      return false;
    const char *at = line.at;
    r->cell.n = 0;
    while (nnrt_next_cell(&r->source->s, &at, line.at + line.length, &cell) == NNRT_ONE_CELL)
      buf_push(e->m->arena, &r->cell, cell);
  } while (is_left_out(r));
  return true;
}

// ---- columns -----------------------------------------------------------------------------------

int64_t source_width(const DataSource *source) {
  if (source->s.kind == NNRT_INLINE)
    return source->s.width;
  if (source->s.window)
    return source->s.window;
  if (source->s.n_keep)
    return source->s.n_keep;
  const FileFacts *facts = source->facts;
  return facts && facts->path && !facts->wrong ? (int64_t)facts->width : -1;
}

// The column of the file that value k of the row is.
uint32_t source_field(const DataSource *source, uint32_t k) {
  return source->s.n_keep && k < source->s.n_keep ? source->s.keep[k] : k;
}

// Per column of the file: does it hold something that is no number and not missing?
const bool *source_text(Elab *e, DataSource *source, bool whole) {
  FileFacts *facts = source->facts;
  RowReader r;
  if (facts && (whole ? facts->text_column : facts->sampled))
    return whole ? facts->text_column : facts->sampled;
  if (!rows_open(e, source, whole, &r))
    return NULL;
  bool *is_text = arena_array(e->m->arena, bool, facts->width + 1);
  while (rows_next(e, &r))
    for (uint32_t i = 0; i < r.cell.n && i < facts->width; i++)
      is_text[i] |= !nnrt_is_missing(&source->s, &r.cell.at[i]) && r.cell.at[i].length &&
                    !nnrt_is_number(&r.cell.at[i]);
  if (whole)
    facts->text_column = is_text;
  facts->sampled = is_text;
  return is_text;
}

// ---- counting ----------------------------------------------------------------------------------

typedef struct {
  NnrtCell cell;
  int64_t times;
} Counted;
typedef struct {
  BUF(Counted) word;
  uint32_t *slot; // hash table: word + 1, or 0
  uint64_t mask;
} Counts;

static void put_slot(Counts *c, uint32_t k) {
  uint64_t h = nnrt_text_hash(&c->word.at[k].cell, false);
  while (c->slot[h & c->mask])
    h++;
  c->slot[h & c->mask] = k + 1;
}

static void grow(Elab *e, Counts *c) {
  c->mask = c->mask ? c->mask * 2 + 1 : 1023;
  c->slot = arena_array(e->m->arena, uint32_t, c->mask + 1);
  for (uint32_t k = 0; k < c->word.n; k++)
    put_slot(c, k);
}

static NnrtCell lowered(Elab *e, NnrtCell cell) {
  char *to = arena_alloc(e->m->arena, cell.length + 1);
  for (size_t i = 0; i < cell.length; i++)
    to[i] = nnrt_lower(cell.at[i]);
  return (NnrtCell){to, cell.length};
}

static void count(Elab *e, Counts *c, NnrtCell cell, bool lower) {
  if (c->word.n * 2 >= c->mask)
    grow(e, c);
  for (uint64_t h = nnrt_text_hash(&cell, lower);; h++) {
    uint32_t k = c->slot[h & c->mask];
    if (!k)
      break;
    if (nnrt_text_equal(&cell, &c->word.at[k - 1].cell, lower)) {
      c->word.at[k - 1].times++;
      return;
    }
  }
  buf_push(e->m->arena, &c->word, (Counted){lower ? lowered(e, cell) : cell, 1});
  put_slot(c, c->word.n - 1);
}

static int compare_text(const NnrtCell *x, const NnrtCell *y) {
  int c = memcmp(x->at, y->at, x->length < y->length ? x->length : y->length);
  return c ? c : (x->length > y->length) - (x->length < y->length);
}

static int by_name(const void *x, const void *y) {
  const Counted *a = x, *b = y;
  if (nnrt_is_number(&a->cell) && nnrt_is_number(&b->cell)) {
    double p = strtod(a->cell.at, NULL), q = strtod(b->cell.at, NULL);
    if (p != q)
      return p < q ? -1 : 1;
  }
  return compare_text(&a->cell, &b->cell);
}

static int by_frequency(const void *x, const void *y) {
  const Counted *a = x, *b = y;
  if (a->times != b->times)
    return a->times > b->times ? -1 : 1;
  return compare_text(&a->cell, &b->cell);
}

static void set_words(Elab *e, const Counts *c, uint32_t n, NnrtWords *out) {
  Text bytes = {.arena = e->m->arena};
  for (uint32_t i = 0; i < n; i++) {
    text_putn(&bytes, c->word.at[i].cell.at, c->word.at[i].cell.length);
    text_putn(&bytes, "", 1);
  }
  out->words = bytes.at;
  out->n_byte = (uint32_t)bytes.n;
  out->n_word = n;
}

static void sort(Counts *c, int (*order)(const void *, const void *)) {
  if (c->word.n)
    qsort(c->word.at, c->word.n, sizeof *c->word.at, order);
}

bool count_names(Elab *e, DataSource *source, const uint32_t *field, uint32_t n, NnrtWords *out) {
  RowReader r;
  Counts c = {0};
  if (!rows_open(e, source, true, &r))
    return false;
  while (rows_next(e, &r))
    for (uint32_t i = 0; i < n; i++)
      if (field[i] < r.cell.n && !nnrt_is_missing(&source->s, &r.cell.at[field[i]]))
        count(e, &c, r.cell.at[field[i]], false);
  sort(&c, by_name);
  out->coding = NNRT_AS_NAME;
  set_words(e, &c, c.word.n, out);
  return true;
}

// The rows that training sees: the others must not be counted (rule 19).
static int64_t training_rows(Elab *e, const DataInfo *data, DataSource *source) {
  RowReader r;
  int64_t rows = 0;
  double last = data->validate_last;
  if (last <= 0 || source->s.shuffled || !rows_open(e, source, true, &r))
    return INT64_MAX;
  while (rows_next(e, &r))
    rows++;
  return rows - (last < 1 ? (int64_t)((double)rows * last + 0.5) : (int64_t)last);
}

bool count_tokens(Elab *e, const DataInfo *data, DataSource *source, uint32_t field, uint32_t most,
                  NnrtWords *out) {
  RowReader r;
  Counts c = {0};
  NnrtCell token;
  if (!rows_open(e, source, true, &r))
    return false;
  for (int64_t left = training_rows(e, data, source); left > 0 && rows_next(e, &r); left--) {
    if (field >= r.cell.n)
      continue;
    const char *at = r.cell.at[field].at, *end = at + r.cell.at[field].length;
    while (nnrt_next_token(out->split, &at, end, &token))
      count(e, &c, token, out->lower);
  }
  sort(&c, by_frequency);
  set_words(e, &c, c.word.n < most ? c.word.n : most, out);
  return true;
}

bool count_characters(Elab *e, DataSource *source, NnrtWords *out) {
  Counts c = {0};
  NnrtCell token;
  FileFacts *facts = source->facts;
  if (!facts || !facts->path || !files_content(e, facts, SIZE_MAX))
    return false;
  const char *at = facts->text, *end = at + facts->n_text;
  while (nnrt_next_token(out->split, &at, end, &token))
    count(e, &c, token, false);
  sort(&c, by_name);
  out->coding = NNRT_AS_NAME;
  set_words(e, &c, c.word.n, out);
  return true;
}
