// A column of pictures that lie in files: decoded by threads of their own, ahead of the loop that
// uses them, in the order in which it will. What fits into KEPT_BYTES stays; of more only a few
// batches are there at once. Which rows come, and in which order, depends on no thread: a picture
// that can't be read is marked, and whoever gathers leaves its row out.
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

enum { KEPT_BYTES = 1 << 28, MOST_THREADS = 8 };
enum { NOT_READ, IN_WORK, READ, BROKEN, MISFIT };

struct Pictures {
  const ClassFiles *files;
  NnrtColumn column; // a copy: the threads outlive what opened them
  Picture shape;
  size_t size; // bytes of one
  uint8_t *store;
  int64_t slots, batch; // slots: pictures that fit into store; fewer than rows: a ring
  int64_t *slot;        // per row: where it is, if READ
  uint8_t *state;       // per row
  char **why;           // per row, if BROKEN or MISFIT; said once, then NULL
  pthread_t thread[MOST_THREADS];
  int n_thread, at_work;
  bool leave;
  pthread_mutex_t lock;
  pthread_cond_t work, done;
  // The order that they are wanted in: positions [base, end) now, `next` is to be read next.
  Split split;
  Shuffle shuffle;
  bool shuffled;
  int64_t base, end, next;
  double waited; // seconds in pictures_prepare since pictures_waited
};

static int64_t row_at(const Pictures *p, int64_t position) {
  return split_row(&p->split, p->shuffled ? shuffle_at(&p->shuffle, position) : position);
}

static bool is_ring(const Pictures *p) {
  return p->slots < p->files->rows;
}

// The next row to be read, or -1.
static int64_t take_row(Pictures *p, int64_t *slot) {
  for (; p->next < p->end; p->next++) {
    int64_t row = row_at(p, p->next);
    if (p->state[row] != NOT_READ)
      continue;
    *slot = is_ring(p) ? p->next % p->slots : row;
    p->state[row] = IN_WORK;
    p->next++;
    return row;
  }
  return -1;
}

static void read_one(Pictures *p, int64_t row, int64_t slot) {
  Failure failure;
  Picture to = p->shape;
  to.at = p->store + (size_t)slot * p->size;
  pthread_mutex_unlock(&p->lock);
  bool fits = true;
  bool good = picture_read(p->files->path[row], &p->column, &to, &fits, &failure);
  pthread_mutex_lock(&p->lock);
  p->slot[row] = slot;
  p->state[row] = good ? READ : fits ? BROKEN : MISFIT;
  if (!good)
    p->why[row] = strdup(failure.text);
}

static void *reader(void *context) {
  Pictures *p = context;
  pthread_mutex_lock(&p->lock);
  while (!p->leave) {
    int64_t slot, row = take_row(p, &slot);
    if (row < 0) {
      pthread_cond_wait(&p->work, &p->lock);
      continue;
    }
    p->at_work++;
    read_one(p, row, slot);
    p->at_work--;
    pthread_cond_broadcast(&p->done);
  }
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

Pictures *pictures_open(const ClassFiles *files, const NnrtColumn *column, Failure *failure) {
  char declared[192];
  Pictures *p = calloc(1, sizeof *p);
  if (!p) {
    failf(failure, "not enough memory for pictures");
    return NULL;
  }
  *p = (Pictures){.files = files, .column = *column};
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->work, NULL);
  pthread_cond_init(&p->done, NULL);
  bool good =
      picture_shape(&column->type, &p->shape) ||
      failf(failure, "\"%s\" is %s: no picture", column->name, shape_text(&column->type, declared));
  p->size = (size_t)p->shape.height * p->shape.width * p->shape.channels;
  p->slot = calloc((size_t)files->rows + 1, sizeof *p->slot);
  p->state = calloc((size_t)files->rows + 1, 1);
  p->why = calloc((size_t)files->rows + 1, sizeof *p->why);
  if (good && (!p->slot || !p->state || !p->why))
    good = failf(failure, "not enough memory for %lld pictures", (long long)files->rows);
  if (good)
    return p;
  pictures_close(p);
  return NULL;
}

static void stop_threads(Pictures *p) {
  pthread_mutex_lock(&p->lock);
  p->leave = true;
  pthread_cond_broadcast(&p->work);
  pthread_mutex_unlock(&p->lock);
  for (int i = 0; i < p->n_thread; i++)
    pthread_join(p->thread[i], NULL);
  p->n_thread = 0;
  p->leave = false;
}

void pictures_close(Pictures *p) {
  if (!p)
    return;
  stop_threads(p);
  for (int64_t i = 0; p->why && i < p->files->rows; i++)
    free(p->why[i]);
  pthread_cond_destroy(&p->work);
  pthread_cond_destroy(&p->done);
  pthread_mutex_destroy(&p->lock);
  free(p->store);
  free(p->slot);
  free(p->state);
  free(p->why);
  free(p);
}

// ---- the loop's side --------------------------------------------------------------------------

// Room for three batches of this size, or for all.
static bool make_room(Pictures *p, int64_t batch, Failure *failure) {
  int64_t rows = p->files->rows;
  if (p->store && (batch <= p->batch || !is_ring(p)))
    return true;
  free(p->store);
  p->batch = batch;
  p->slots = 3 * batch + MOST_THREADS;
  if (p->slots > rows || (size_t)rows <= KEPT_BYTES / p->size)
    p->slots = rows;
  p->store = malloc((size_t)p->slots * p->size + NNRT_ALIGN);
  return p->store || failf(failure, "not enough memory for %lld pictures", (long long)p->slots);
}

static void start_threads(Pictures *p) {
  cpu_set_t cores;
  int n = sched_getaffinity(0, sizeof cores, &cores) ? 1 : CPU_COUNT(&cores);
  while (p->n_thread < n && p->n_thread < MOST_THREADS &&
         !pthread_create(&p->thread[p->n_thread], NULL, reader, p))
    p->n_thread++;
}

static bool same_order(const Pictures *p, const Split *split, const Shuffle *shuffle) {
  return p->split.first == split->first && p->split.rows == split->rows &&
         p->split.order == split->order && p->shuffled == (shuffle != NULL) &&
         (!shuffle || !memcmp(p->shuffle.key, shuffle->key, sizeof shuffle->key));
}

// A new order, or back to the start of it: what a ring holds is not where it would be looked for.
static bool begin_order(Pictures *p, const Split *split, const Shuffle *shuffle, int64_t first,
                        int64_t n, Failure *failure) {
  p->end = 0; // nobody begins another one
  while (p->at_work)
    pthread_cond_wait(&p->done, &p->lock);
  if (!make_room(p, n, failure))
    return false;
  for (int64_t i = 0; is_ring(p) && i < p->files->rows; i++)
    if (p->state[i] == READ)
      p->state[i] = NOT_READ;
  p->split = *split;
  p->shuffled = shuffle != NULL;
  if (shuffle)
    p->shuffle = *shuffle;
  p->next = first;
  return true;
}

// What a ring held before the base is gone: a later order may ask for it again.
static void forget(Pictures *p, int64_t before) {
  for (int64_t i = p->base; is_ring(p) && i < before; i++)
    if (p->state[row_at(p, i)] == READ)
      p->state[row_at(p, i)] = NOT_READ;
}

bool pictures_prepare(Pictures *p, const Split *split, const Shuffle *shuffle, int64_t first,
                      int64_t n, Failure *failure) {
  double start = seconds_now();
  pthread_mutex_lock(&p->lock);
  bool same = p->store && same_order(p, split, shuffle) && first >= p->base &&
              (n <= p->batch || !is_ring(p));
  bool good = true;
  if (same)
    forget(p, first);
  else
    good = begin_order(p, split, shuffle, first, n, failure);
  p->base = first;
  p->next = p->next < first ? first : p->next;
  p->end = is_ring(p) && p->slots < split->rows - first ? first + p->slots : split->rows;
  if (good && !p->n_thread)
    start_threads(p);
  pthread_cond_broadcast(&p->work);
  for (int64_t i = first; good && i < first + n; i++)
    for (int64_t row = row_at(p, i); p->state[row] < READ;)
      if (p->n_thread) {
        pthread_cond_wait(&p->done, &p->lock);
      } else { // no thread could be made: then here
        int64_t slot, next = take_row(p, &slot);
        if (next >= 0)
          read_one(p, next, slot);
      }
  for (int64_t i = first; good && i < first + n; i++)
    if (p->state[row_at(p, i)] == MISFIT)
      good =
          failf(failure, "%s", p->why[row_at(p, i)] ? p->why[row_at(p, i)] : "not enough memory");
  pthread_mutex_unlock(&p->lock);
  p->waited += seconds_now() - start;
  return good;
}

double pictures_waited(const Split *split) {
  double waited = -1;
  for (uint32_t i = 0; split->table && i < split->table->n_column; i++) {
    Pictures *p = split->table->column[i].pictures;
    if (!p)
      continue;
    waited = (waited < 0 ? 0 : waited) + p->waited;
    p->waited = 0;
  }
  return waited;
}

bool pictures_has(Pictures *p, int64_t row, Failure *failure) {
  pthread_mutex_lock(&p->lock);
  bool broken = p->state[row] == BROKEN;
  char *why = p->why[row];
  p->why[row] = NULL;
  pthread_mutex_unlock(&p->lock);
  if (why)
    failf(failure, "%s", why);
  else
    failure->text[0] = 0;
  free(why);
  return !broken;
}

const uint8_t *pictures_row(const Pictures *p, int64_t row) {
  return p->store + (size_t)p->slot[row] * p->size;
}
