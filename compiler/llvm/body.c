// The body of a group, read backwards: the value of 16 elements of a result at a position, from the
// values of its operands. Shape operations only move the position; nothing is ever copied.
#include "llvm/gen.h"

// ---- memory ------------------------------------------------------------------------------------

static LLVMValueRef all_lanes(Gen *g) {
  return LLVMConstAllOnes(gen_vector(g->i1));
}

static LLVMValueRef element_pointer(Kernel *k, LLVMValueRef buffer, LLVMTypeRef elem,
                                    LLVMValueRef i) {
  return LLVMBuildInBoundsGEP2(k->g->b, elem, buffer, &i, 1, "");
}

static unsigned alignment_of(Gen *g, LLVMTypeRef elem) {
  return elem == g->i8 ? 1 : elem == g->i16 ? 2 : elem == g->f64 ? 8 : 4;
}

static LLVMValueRef lane_pointers(Kernel *k, LLVMValueRef buffer, LLVMTypeRef type, Coord at) {
  LLVMValueRef base = element_pointer(k, buffer, type, at.base);
  LLVMValueRef lanes = LLVMBuildSExt(k->g->b, coord_lanes(k, at), gen_vector(k->g->i64), "");
  return LLVMBuildGEP2(k->g->b, type, base, &lanes, 1, "");
}

// An argument that no yield overwrites doesn't change while the kernel runs; LLVM can't see it once
// the code is inlined into a kernel in C that writes through other pointers.
static void mark_invariant(Kernel *k, LLVMValueRef buffer, LLVMValueRef load) {
  for (uint32_t i = 0; i < k->group->n_args; i++)
    if (k->buf[i] == buffer && k->read_only[i]) {
      unsigned kind = LLVMGetMDKindIDInContext(k->g->context, "invariant.load", 14);
      LLVMMetadataRef node = LLVMMDNodeInContext2(k->g->context, NULL, 0);
      LLVMSetMetadata(load, kind, LLVMMetadataAsValue(k->g->context, node));
      return;
    }
}

static LLVMValueRef load_one(Kernel *k, LLVMValueRef buffer, LLVMTypeRef type, Coord at) {
  LLVMValueRef load = LLVMBuildLoad2(k->g->b, type, element_pointer(k, buffer, type, at.base), "");
  mark_invariant(k, buffer, load);
  return gen_splat(k->g, load);
}

static LLVMValueRef load_run(Kernel *k, LLVMValueRef buffer, LLVMTypeRef type, Coord at,
                             LLVMValueRef mask) {
  Gen *g = k->g;
  LLVMTypeRef vector = gen_vector(type);
  LLVMValueRef p = element_pointer(k, buffer, type, at.base), load;
  unsigned align = alignment_of(g, type);
  if (mask) {
    LLVMTypeRef types[2] = {vector, g->ptr};
    load = gen_intrinsic(g, "llvm.masked.load", types, 2,
                         (LLVMValueRef[]){p, gen_i32(g, align), mask, LLVMConstNull(vector)}, 4);
  } else {
    load = LLVMBuildLoad2(g->b, vector, p, "");
    LLVMSetAlignment(load, align);
  }
  mark_invariant(k, buffer, load);
  return load;
}

static LLVMValueRef load_scattered(Kernel *k, LLVMValueRef buffer, LLVMTypeRef type, Coord at,
                                   LLVMValueRef mask) {
  Gen *g = k->g;
  LLVMTypeRef types[2] = {gen_vector(type), gen_vector(g->ptr)};
  LLVMValueRef args[4] = {lane_pointers(k, buffer, type, at), gen_i32(g, alignment_of(g, type)),
                          mask ? mask : all_lanes(g), LLVMConstNull(types[0])};
  LLVMValueRef load = gen_intrinsic(g, "llvm.masked.gather", types, 2, args, 4);
  mark_invariant(k, buffer, load);
  return load;
}

// From the form in memory to that in registers: bool is a bit there, bf16 a float.
static LLVMValueRef widen(Gen *g, LLVMValueRef v, ElemType elem) {
  if (elem == TY_BOOL)
    return LLVMBuildICmp(g->b, LLVMIntNE, v, LLVMConstNull(LLVMTypeOf(v)), "");
  if (elem != TY_BF16)
    return v;
  LLVMValueRef bits = LLVMBuildZExt(g->b, v, gen_vector(g->i32), "");
  bits = LLVMBuildShl(g->b, bits, gen_splat(g, gen_i32(g, 16)), "");
  return LLVMBuildBitCast(g->b, bits, gen_vector(g->f32), "");
}

// To bf16: round to nearest, ties to even; NaN stays NaN.
static LLVMValueRef narrow_bf16(Gen *g, LLVMValueRef v) {
  LLVMValueRef bits = LLVMBuildBitCast(g->b, v, gen_vector(g->i32), "");
  LLVMValueRef sixteen = gen_splat(g, gen_i32(g, 16)), one = gen_splat(g, gen_i32(g, 1));
  LLVMValueRef odd = LLVMBuildAnd(g->b, LLVMBuildLShr(g->b, bits, sixteen, ""), one, "");
  LLVMValueRef up = LLVMBuildAdd(g->b, odd, gen_splat(g, gen_i32(g, 0x7fff)), "");
  LLVMValueRef rounded = LLVMBuildAdd(g->b, bits, up, "");
  LLVMValueRef is_nan = LLVMBuildFCmp(g->b, LLVMRealUNO, v, v, "");
  LLVMValueRef quiet = LLVMBuildOr(g->b, bits, gen_splat(g, gen_i32(g, 0x400000)), "");
  LLVMValueRef r = LLVMBuildSelect(g->b, is_nan, quiet, rounded, "");
  return LLVMBuildTrunc(g->b, LLVMBuildLShr(g->b, r, sixteen, ""), gen_vector(g->i16), "");
}

static LLVMValueRef narrow(Gen *g, EVal v) {
  if (v.elem == TY_BOOL)
    return LLVMBuildZExt(g->b, v.v, gen_vector(g->i8), "");
  return v.elem == TY_BF16 ? narrow_bf16(g, v.v) : v.v;
}

EVal body_load(Kernel *k, LLVMValueRef buffer, ElemType elem, Coord at, LLVMValueRef mask) {
  LLVMTypeRef type = gen_elem(k->g, elem);
  LLVMValueRef v = at.lane || (at.step != 0 && at.step != 1)
                       ? load_scattered(k, buffer, type, at, mask)
                   : at.step == 0 ? load_one(k, buffer, type, at)
                                  : load_run(k, buffer, type, at, mask);
  return (EVal){widen(k->g, v, elem), elem};
}

static void store_one(Kernel *k, LLVMValueRef buffer, LLVMValueRef v, LLVMTypeRef type, Coord at) {
  LLVMValueRef first = LLVMBuildExtractElement(k->g->b, v, gen_i32(k->g, 0), "");
  LLVMBuildStore(k->g->b, first, element_pointer(k, buffer, type, at.base));
}

static void store_scattered(Kernel *k, LLVMValueRef buffer, LLVMValueRef v, LLVMTypeRef type,
                            Coord at, LLVMValueRef mask) {
  Gen *g = k->g;
  LLVMTypeRef types[2] = {LLVMTypeOf(v), gen_vector(g->ptr)};
  LLVMValueRef args[4] = {v, lane_pointers(k, buffer, type, at), gen_i32(g, alignment_of(g, type)),
                          mask ? mask : all_lanes(g)};
  gen_intrinsic(g, "llvm.masked.scatter", types, 2, args, 4);
}

static void store_run(Kernel *k, LLVMValueRef buffer, LLVMValueRef v, LLVMTypeRef type, Coord at,
                      LLVMValueRef mask) {
  Gen *g = k->g;
  LLVMValueRef p = element_pointer(k, buffer, type, at.base);
  unsigned align = alignment_of(g, type);
  if (mask) {
    LLVMTypeRef types[2] = {LLVMTypeOf(v), g->ptr};
    gen_intrinsic(g, "llvm.masked.store", types, 2, (LLVMValueRef[]){v, p, gen_i32(g, align), mask},
                  4);
  } else {
    LLVMSetAlignment(LLVMBuildStore(g->b, v, p), align);
  }
}

void body_store(Kernel *k, LLVMValueRef buffer, EVal value, Coord at, LLVMValueRef mask) {
  LLVMTypeRef type = gen_elem(k->g, value.elem);
  LLVMValueRef v = narrow(k->g, value);
  if (at.lane || (at.step != 0 && at.step != 1))
    store_scattered(k, buffer, v, type, at, mask);
  else if (at.step == 0)
    store_one(k, buffer, v, type, at);
  else
    store_run(k, buffer, v, type, at, mask);
}

void body_store_yield(Kernel *k, uint32_t i, EVal value, const Pos *pos) {
  body_store(k, k->buf[k->group->n_args + i], value, pos_flat(k, pos), pos->mask);
}

// ---- maps: the operand's position --------------------------------------------------------------

static Pos *map_axes(Kernel *k, const Inst *inst, Pos *pos) {
  uint32_t axes[MAX_RANK];
  bool is_transpose = inst->op == OP_transpose;
  const Attr *attr = inst_attr(inst, is_transpose ? "perm" : "axes");
  for (uint32_t i = 0; i < attr->n; i++)
    if (is_transpose)
      axes[attr->dims[i]] = i;
    else
      axes[i] = (uint32_t)attr->dims[i];
  return pos_select_axes(k, pos, &inst->arg[0]->type, axes);
}

static Pos *map_slice(Kernel *k, const Inst *inst, Pos *pos) {
  const Type *from = &inst->arg[0]->type, *to = &inst->result[0]->type;
  const Attr *start = inst_attr(inst, "start"), *stride = inst_attr(inst, "stride");
  for (uint32_t i = 0; i < from->rank; i++) {
    int64_t by = stride->n ? stride->dims[i] : 1;
    if (start->dims[i] == 0 && by == 1 && from->dim[i] == to->dim[i])
      continue;
    Coord at = coord_scale(k, pos_axis(k, pos, i), by);
    at = coord_add(k, at, coord_at(kernel_dim(k, start->dims[i]), 0));
    pos = pos_with_axis(k, pos, from, i, at);
  }
  return pos;
}

static Pos *map_reverse(Kernel *k, const Inst *inst, Pos *pos) {
  uint32_t axis = (uint32_t)inst_attr(inst, "axis")->i;
  const Type *type = &inst->arg[0]->type;
  Coord at = pos_axis(k, pos, axis);
  LLVMValueRef last = LLVMBuildSub(k->g->b, kernel_dim(k, type->dim[axis]), gen_i64(k->g, 1), "");
  Coord back = coord_at(LLVMBuildSub(k->g->b, last, at.base, ""), -at.step);
  if (at.lane)
    back.lane = LLVMBuildNeg(k->g->b, at.lane, "");
  return pos_with_axis(k, pos, type, axis, back);
}

static LLVMValueRef mask_and(Kernel *k, LLVMValueRef a, LLVMValueRef b) {
  return !a ? b : !b ? a : LLVMBuildAnd(k->g->b, a, b, "");
}

// Lanes with 0 <= at < dim.
static LLVMValueRef inside(Kernel *k, Coord at, Dim dim) {
  LLVMValueRef high = coord_less(k, at, kernel_dim(k, dim));
  LLVMValueRef low = coord_less(k, at, gen_i64(k->g, 0));
  return LLVMBuildAnd(k->g->b, high, LLVMBuildNot(k->g->b, low, ""), "");
}

// The part of `pos` from `offset` on along one axis, in an operand of `type`; lanes outside are
// masked.
static Pos *map_part(Kernel *k, Pos *pos, const Type *type, uint32_t axis, LLVMValueRef offset,
                     LLVMValueRef *in) {
  Coord at = pos_axis(k, pos, axis);
  at.base = LLVMBuildSub(k->g->b, at.base, offset, "");
  *in = mask_and(k, *in, inside(k, at, type->dim[axis]));
  return pos_with_axis(k, pos, type, axis, coord_clamp(k, at, type->dim[axis]));
}

static EVal value_of_pad(Kernel *k, const Inst *inst, Pos *pos) {
  const Type *from = &inst->arg[0]->type;
  const Attr *low = inst_attr(inst, "low"), *high = inst_attr(inst, "high");
  LLVMValueRef in = NULL;
  Pos *to = pos;
  for (uint32_t i = 0; i < from->rank; i++)
    if (low->dims[i] || high->dims[i])
      to = map_part(k, to, from, i, kernel_dim(k, low->dims[i]), &in);
  if (!in)
    return body_value(k, inst->arg[0], pos);
  to->mask = mask_and(k, pos->mask, in);
  EVal x = body_value(k, inst->arg[0], to);
  EVal fill = k->emit->constant(k->emit, x.elem, inst_attr(inst, "value")->f);
  return k->emit->select(k->emit, (EVal){in, TY_BOOL}, x, fill);
}

static EVal value_of_concat(Kernel *k, const Inst *inst, Pos *pos) {
  uint32_t axis = (uint32_t)inst_attr(inst, "axis")->i;
  EVal all = {0};
  LLVMValueRef offset = gen_i64(k->g, 0);
  for (uint32_t i = 0; i < inst->n_args; i++) {
    const Type *type = &inst->arg[i]->type;
    LLVMValueRef in = NULL;
    Pos *part = map_part(k, pos, type, axis, offset, &in);
    part->mask = mask_and(k, pos->mask, in);
    EVal x = body_value(k, inst->arg[i], part);
    all = i ? k->emit->select(k->emit, (EVal){in, TY_BOOL}, x, all) : x;
    offset = build_add(k, offset, kernel_dim(k, type->dim[axis]));
  }
  return all;
}

static Pos *map_operand(Kernel *k, const Inst *inst, Pos *pos) {
  for (PosMemo *m = k->maps; m; m = m->next)
    if (m->inst == inst && m->from == pos)
      return m->to;
  Pos *to = inst->op == OP_reshape   ? pos_reshape(k, pos, &inst->arg[0]->type)
            : inst->op == OP_slice   ? map_slice(k, inst, pos)
            : inst->op == OP_reverse ? map_reverse(k, inst, pos)
                                     : map_axes(k, inst, pos);
  PosMemo *m = arena_new(k->g->arena, PosMemo);
  *m = (PosMemo){inst, pos, to, k->maps};
  k->maps = m;
  return to;
}

// ---- values ------------------------------------------------------------------------------------

static EVal value_of_iota(Kernel *k, const Inst *inst, Pos *pos) {
  Gen *g = k->g;
  Coord at = pos_axis(k, pos, (uint32_t)inst_attr(inst, "axis")->i);
  LLVMValueRef base = gen_splat(g, LLVMBuildTrunc(g->b, at.base, g->i32, ""));
  EVal i = {LLVMBuildAdd(g->b, base, coord_lanes(k, at), ""), TY_I32};
  return k->emit->convert(k->emit, i, inst->result[0]->type.elem);
}

static EVal value_of_count(Kernel *k) {
  LLVMValueRef n = LLVMBuildSIToFP(k->g->b, k->n, k->g->f32, "");
  return (EVal){gen_splat(k->g, n), TY_F32};
}

static EVal value_of_elementwise(Kernel *k, const Inst *inst, const Pos *pos) {
  EVal few[4], *arg = inst->n_args <= 4 ? few : arena_array(k->g->arena, EVal, inst->n_args);
  for (uint32_t i = 0; i < inst->n_args; i++)
    arg[i] = body_value(k, inst->arg[i], pos);
  EVal v = op_table[inst->op]->emit(k->emit, inst, arg);
  v.elem = inst->result[0]->type.elem;
  return v;
}

const Value *value_root(const Value *v) {
  while (v->def && v->def->op == OP_reshape)
    v = v->def->arg[0];
  return v;
}

bool body_is_anchor(const Value *v) {
  if (!v->def)
    return false;
  OpKind kind = op_table[v->def->op]->kind;
  return kind == K_REDUCE || kind == K_CONTRACT || kind == K_WINDOW;
}

static EVal value_of_anchor(Kernel *k, const Value *v) {
  EVal made = k->anchor[kernel_value_number(k, v)];
  if (!made.v)
    ice("codegen: %s is read before it is made, in a group of kind %s", op_table[v->def->op]->name,
        k->kind);
  return made;
}

// A number of the launch: see tables.c.
static EVal value_of_size(Kernel *k, int64_t number, ElemType elem) {
  LLVMValueRef bits = LLVMBuildTrunc(k->g->b, kernel_size(k, number), k->g->i32, "");
  if (elem == TY_F32)
    bits = LLVMBuildBitCast(k->g->b, bits, k->g->f32, "");
  return (EVal){gen_splat(k->g, bits), elem};
}

static EVal value_of_const(Kernel *k, const Inst *inst) {
  ElemType elem = inst->result[0]->type.elem;
  double value = inst_attr(inst, "value")->f;
  int64_t width = elem == TY_I32 ? kernel_width(k, (Dim)value) : -1;
  int64_t number = kernel_sizes_before(k);
  if (width >= 0) // where a part ends
    return value_of_size(k, number + width, elem);
  if (!group_is_affine(k->group) && !(k->rows && elem == TY_F32))
    return k->emit->constant(k->emit, elem, value);
  number += k->n_width;
  for (const Inst *i = k->body->first; i != inst; i = i->next)
    number += i->op == OP_const;
  return value_of_size(k, number, elem);
}

static EVal value_of_inst(Kernel *k, const Inst *inst, Pos *pos) {
  const OpDef *def = op_table[inst->op];
  if (def->kind == K_ELEM && def->emit)
    return value_of_elementwise(k, inst, pos);
  switch (inst->op) {
  case OP_const:
    return value_of_const(k, inst);
  case OP_iota:
    return value_of_iota(k, inst, pos);
  case OP_count:
    return value_of_count(k);
  case OP_pad:
    return value_of_pad(k, inst, pos);
  case OP_concat:
    return value_of_concat(k, inst, pos);
  case OP_reshape:
  case OP_slice:
  case OP_reverse:
  case OP_broadcast:
  case OP_transpose:
    return body_value(k, inst->arg[0], map_operand(k, inst, pos));
  default:
    ice("codegen: %s in a group of kind %s", def->name, k->kind);
  }
}

static EVal make_value(Kernel *k, const Value *v, Pos *pos) {
  if (!v->def)
    return body_load(k, k->buf[v->index], v->type.elem, pos_flat(k, pos), pos->mask);
  return body_is_anchor(v) ? value_of_anchor(k, v) : value_of_inst(k, v->def, pos);
}

EVal body_value(Kernel *k, const Value *v, const Pos *pos) {
  uint32_t number = kernel_value_number(k, v);
  for (Memo *m = k->memo[number]; m; m = m->next)
    if (m->pos == pos)
      return m->result;
  Memo *m = arena_new(k->g->arena, Memo);
  // Splitting a position into axes changes its form, not its meaning.
  m->result = make_value(k, v, (Pos *)(uintptr_t)pos);
  m->pos = pos;
  m->next = k->memo[number];
  k->memo[number] = m;
  return m->result;
}
