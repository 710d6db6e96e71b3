// The parts of differentiating a scan. Only for pass/grad_scan.c and pass/grad_time.c.
#ifndef NNC_GRAD_SCAN_H
#define NNC_GRAD_SCAN_H

#include "pass/grad.h"

typedef struct TimeSum TimeSum;
typedef struct {
  Module *m;
  Inst *scan;
  ScanShape shape; // before yields are added
  GradSink *outer, *sink;
  bool *active;
  Inst *last;     // forward instruction of the body; the backward ones follow
  Value **given;  // by result: the gradient given, as a stand-in; NULL: none
  Value **wanted; // by argument: its gradient in one turn, NULL: none
  TimeSum **time; // by argument, of captures: its gradient
  // Where those may be other than 0 (gradmask.h): stand-ins, and what the way back gives. NULL:
  // anywhere.
  Value **given_support, **wanted_support;
  uint32_t n_forward;
  bool *needed, *known, *again; // by id: for the way back; without saving; made again there
  Value **inside;               // by id: what it is in the backward body
  BUF(Value *) stacked;         // values of one turn that are needed outside, and their stacks
  BUF(Value *) stack;
  BUF(Value *) added; // values added up in the loop, and their sums
  BUF(Value *) sum;
} ScanGrad;

bool grad_is_forward(const ScanGrad *g, const Value *v);
// The sum over all turns of v, a value of the body. First the plan, which notes in g->stacked and
// g->added what it will be made of; it is made when the loops are.
TimeSum *grad_plan_time_sum(ScanGrad *g, Value *v);
Value *grad_make_time_sum(const ScanGrad *g, Builder *b, const TimeSum *sum);

#endif
