// The verifier finds what a faulty pass could leave behind: each test breaks sound IR in one way.
#include "optest.h"

#include <string.h>

typedef struct {
  Session *s;
  Module *m;
  Function *f;
  Value *x, *w;      // arguments f32[N, 4] and f32[4, 3]
  Inst *dot, *group; // of these; a group that adds 1 to the dot's result
  Inst *inside;      // the addition
} Sound;

static Sound build(void) {
  Sound t = {.s = session_create()};
  t.m = module_create(t.s);
  t.f = ir_function(t.m, "step.T");
  t.x = ir_add_arg(t.f, (Type){.elem = TY_F32, .rank = 2, .dim = {-1, 4}},
                   (Port){NNRT_COLUMN, 0, "x"});
  t.w =
      ir_add_arg(t.f, (Type){.elem = TY_F32, .rank = 2, .dim = {4, 3}}, (Port){NNRT_PARAM, 0, "w"});
  Builder b = {t.m, t.f->body, NULL, 0};
  uint32_t one = 1, zero = 0;
  t.dot = ir_dot(&b, t.x, t.w, &one, &zero, 1, 0)->def;
  Attr kind = attr_str(intern(t.s, "loop"));
  t.group = ir_inst(&b, OP_group, t.dot->result, 1, &kind, 1);
  Builder in = {t.m, t.group->body, NULL, 0};
  Value *arg = t.group->body->arg[0];
  t.inside = ir_binary(&in, OP_add, arg, ir_const(&in, arg->type, 1))->def;
  ir_inst(&in, OP_yield, t.inside->result, 1, NULL, 0);
  Value *results[] = {t.group->result[0], t.w};
  Port ports[] = {{NNRT_OUTPUT, 0, "y"}, {NNRT_PARAM, 0, "w"}};
  ir_return(&b, results, ports, 2);
  return t;
}

static void type_of_result(Sound *t) {
  t->dot->result[0]->type.dim[1] = 5;
}
static void elem_of_result(Sound *t) {
  t->dot->result[0]->type.elem = TY_F64;
}
static void batched_with_rows(Sound *t) {
  t->x->type.batched = true;
}
static void order(Sound *t) {
  ir_move_before(t->group, t->dot);
}
static void removed_but_used(Sound *t) {
  ir_remove(t->dot);
}
static void outside_value(Sound *t) {
  t->inside->arg[1] = t->dot->result[0];
}
static void inside_value(Sound *t) {
  t->f->body->last->arg[0] = t->inside->result[0];
}
static void null_argument(Sound *t) {
  t->inside->arg[1] = NULL;
}
static void no_yield(Sound *t) {
  ir_remove(t->group->body->last);
}
static void no_return(Sound *t) {
  ir_remove(t->f->body->last);
}
static void attribute_kind(Sound *t) {
  t->dot->attr[2] = attr_float(0);
}
static void attribute_value(Sound *t) {
  t->dot->attr[2].i = 1;
}
static void attribute_count_wrong(Sound *t) {
  t->dot->n_attrs = 2;
}
static void argument_count(Sound *t) {
  t->inside->n_args = 1;
}
static void location(Sound *t) {
  t->dot->loc = 99;
}
static void body_argument(Sound *t) {
  t->group->body->arg[0]->type.dim[1] = 7;
}
static void inplace(Sound *t) {
  t->group->attr[3] = attr_dims(t->m->arena, (Dim[]){0, 4}, 2);
}
static void group_kind(Sound *t) {
  t->group->attr[0].s = intern(t->s, "heap");
}
static void too_many_ports(Sound *t) {
  t->f->n_result = 3;
}
static void two_results_alike(Sound *t) {
  t->f->result_port[1] = t->f->result_port[0];
}
static void two_arguments_alike(Sound *t) {
  t->f->arg_port[0] = t->f->arg_port[1];
}
static void alias_type(Sound *t) {
  t->f->body->last->arg[1] = t->x;
}
static void definition(Sound *t) {
  t->dot->result[0]->def = t->group;
}
static void range_of_floats(Sound *t) {
  t->x->type.range = 3;
}
static void nothing(Sound *t) {
  (void)t;
}

static const struct {
  const char *name;
  void (*damage)(Sound *);
  const char *says; // NULL: it is sound
} cases[] = {
    {"sound", nothing, NULL},
    {"type of a result", type_of_result, "by the rule f32[N, 3]"},
    {"element type of a result", elem_of_result, "by the rule f32[N, 3]"},
    {"batched and N", batched_with_rows, "batched and has dimension N"},
    {"order", order, "not defined before it is used"},
    {"removed but used", removed_but_used, "not defined before it is used"},
    {"a body reads outside", outside_value, "not a value of this region"},
    {"a value of a body is used outside", inside_value, "not a value of this region"},
    {"no argument", null_argument, "NULL"},
    {"a body without yield", no_yield, "does not end with yield"},
    {"a function without return", no_return, "does not end with return"},
    {"kind of an attribute", attribute_kind, "of the wrong kind"},
    {"value of an attribute", attribute_value, "can't be summed over"},
    {"number of attributes", attribute_count_wrong, "attributes"},
    {"number of arguments", argument_count, "it takes 2 arguments"},
    {"location", location, "no loc 99"},
    {"argument of a body", body_argument, "outside and"},
    {"inplace", inplace, "inplace names"},
    {"kind of a group", group_kind, "no kind of group called \"heap\""},
    {"number of ports", too_many_ports, "returns 2 values but has 3 ports"},
    {"two results alike", two_results_alike, "two results are output 0"},
    {"two arguments alike", two_arguments_alike, "two arguments are param 0"},
    {"type of an alias", alias_type, "its argument is f32[4, 3]"},
    {"definition of a result", definition, "does not point back"},
    {"a range of floats", range_of_floats, "can't have a range"},
};

int main(void) {
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Sound t = build();
    cases[i].damage(&t);
    const char *said = ir_verify(t.m);
    bool right = cases[i].says ? said && strstr(said, cases[i].says) : !said;
    report(right, "ir_verify", cases[i].name, said ? said : "nothing was found");
    session_destroy(t.s);
  }
  return report_status();
}
