// The grammar of .nn: LALR(1), no conflicts, no precedence declarations. In: the tokens of newline.c.
// Out: the tree, by the builders of ast.c. REFERENCE.md shows the same grammar as EBNF.
//
// Recovery: newline.c made the brackets pair, so `error` stands for an item of a block or for what
// is between two brackets, and next_token skips brackets whole while the parser discards.
%require "3.8"
%define api.pure full
%define api.prefix {nn_}
%define api.token.prefix {T_}
%define api.location.type {Span}
%define parse.error custom
%define parse.lac full
%locations
%expect 0
%param {Parse *p}

%code requires {
#include "parse.h"
}
%union {
  Node *node;
  NodeSeq *seq;
  const char *name;
  int64_t i;
  double f;
  int kind; // a NodeKind or an operator
}
%code {
#define YYLLOC_DEFAULT(now, rhs, n)                                                                \
  ((now) = (n) ? span_join(YYRHSLOC(rhs, 1), YYRHSLOC(rhs, n))                                     \
               : (Span){YYRHSLOC(rhs, 0).file, YYRHSLOC(rhs, 0).end, YYRHSLOC(rhs, 0).end})
#define YYMAXDEPTH 20000
static int next_token(NN_STYPE *value, Span *span, Parse *p, bool discarding);
static void nn_error(Span *span, Parse *p, const char *message);
// yyerrstatus is 3 from an error until a token has been accepted again.
#define nn_lex(value, span, p) next_token(value, span, p, yyerrstatus == 3)
}

%token NEWLINE SEMICOLON ";" COLON ":" COMMA "," DOT "." DOTS ".." EQUALS "=" ARROW "->" PIPE "|>"
%token LPAREN "(" RPAREN ")" LBRACKET "[" RBRACKET "]" LBRACE "{" RBRACE "}"
%token PLUS "+" MINUS "-" STAR "*" SLASH "/" PERCENT "%" AT "@" CARET "^"
%token EQ "==" NE "!=" LT "<" LE "<=" GT ">" GE ">="
%token LET "let" PARAM "param" STATE "state" IF "if" ELSE "else" FOR "for" SCAN "scan"
%token YIELD "yield" AND "and" OR "or" NOT "not" TRUE "true" FALSE "false" OVER "over"
%token WITH "with" FN "fn" HOLE "_"
%token <name> USE "use" CONST "const" CONFIG "config" LAYER "layer" MODEL "model"
%token <name> OPTIMIZER "optimizer" DATA "data" TRAIN "train" PREDICT "predict" ON "on"
%token <name> FROM "from" AS "as" IN "in" WHERE "where" MINIMIZE "minimize"
%token <name> MAXIMIZE "maximize" REPORT "report" DRAW "draw" STEP "step" STOP "stop"
%token <name> WHEN "when" EVERY "every"
%token <name> NAME STRING
%token <i> INT
%token <f> FLOAT

%type <name> soft
%type <node> decl declaration name path param type dim block stmt binding pattern hole ditem titem
%type <node> on result expr disj conj neg cmp sum term unary power postfix arg item primary
%type <node> if else with_clause
%type <seq> decls names params param_list types shape dims stmts bindings holes data_items ditems
%type <seq> tblock titems args arg_list exprs items item_list over_clause carries
%type <kind> function_word bindings_word compare plus_minus times

%%

program: sep_opt { p->root = ast_file(p, @$, seq_new(p)); }
  | sep_opt decls sep_opt { p->root = ast_file(p, @2, $2); };
sep_opt: %empty | sep;
sep: separator | sep separator;
separator: NEWLINE { yyerrok; } | ";" { yyerrok; };

decls: decl { $$ = seq_add(p, seq_new(p), $1); }
  | decls sep decl { $$ = seq_add(p, $1, $3); }
  | decls error;
decl: declaration { $$ = ast_doc(p, $1); }
  | error { $$ = NULL; };
declaration: "use" path { $$ = ast_use(p, @$, $2, NULL, NULL); }
  | "use" path ":" names { $$ = ast_use(p, @$, $2, $4, NULL); }
  | "use" path "as" name { $$ = ast_use(p, @$, $2, NULL, $4); }
  | "const" bindings { $$ = ast_list(p, N_CONST, @$, $2); }
  | "config" bindings { $$ = ast_list(p, N_CONFIG, @$, $2); }
  | "let" bindings { $$ = ast_list(p, N_LET, @$, $2); }
  | function_word name result block
    { $$ = ast_function(p, $1, @$, $2, NULL, NULL, $3, $4); }
  | function_word name params result block
    { $$ = ast_function(p, $1, @$, $2, $3, NULL, $4, $5); }
  | function_word name params params result block
    { $$ = ast_function(p, $1, @$, $2, $3, $4, $5, $6); }
  | function_word name params NEWLINE params result block
    { $$ = ast_function(p, $1, @$, $2, $3, $5, $6, $7); }
  | "data" name "{" data_items "}" { $$ = ast_data(p, @$, $2, NULL, $4, NULL); }
  | "data" name "from" expr "{" data_items "}" { $$ = ast_data(p, @$, $2, $4, $6, NULL); }
  | "data" name "=" expr { $$ = ast_data(p, @$, $2, NULL, NULL, $4); }
  | "train" name on tblock { $$ = ast_train(p, N_TRAIN, @$, $2, $3, $4); }
  | "predict" name on block { $$ = ast_predict(p, @$, $2, NULL, $3, $4); }
  | "predict" name params on block { $$ = ast_predict(p, @$, $2, $3, $4, $5); };
function_word: "fn" { $$ = N_FN; }
  | "layer" { $$ = N_LAYER; }
  | "model" { $$ = N_MODEL; }
  | "optimizer" { $$ = N_OPTIMIZER; };
on: %empty { $$ = NULL; }
  | "on" expr { $$ = $2; };
path: STRING { $$ = ast_path_string(p, @1, $1); }
  | name
  | path "." name { $$ = ast_path_more(p, $1, $3, @$); };
names: name { $$ = seq_add(p, seq_new(p), $1); }
  | names "," name { $$ = seq_add(p, $1, $3); };

params: "(" ")" { $$ = seq_new(p); }
  | "(" param_list ")" { $$ = $2; }
  | "(" param_list "," ")" { $$ = $2; }
  | "(" error ")" { $$ = seq_new(p); };
param_list: param { $$ = seq_add(p, seq_new(p), $1); }
  | param_list "," param { $$ = seq_add(p, $1, $3); };
param: name { $$ = ast_typed(p, N_PARAMETER, @$, $1, NULL, NULL); }
  | name ":" type { $$ = ast_typed(p, N_PARAMETER, @$, $1, $3, NULL); }
  | name "=" expr { $$ = ast_typed(p, N_PARAMETER, @$, $1, NULL, $3); }
  | name ":" type "=" expr { $$ = ast_typed(p, N_PARAMETER, @$, $1, $3, $5); };
result: %empty { $$ = NULL; }
  | "->" type { $$ = $2; };

type: name { $$ = ast_type(p, @$, $1, NULL, NULL); }
  | name shape { $$ = ast_type(p, @$, $1, NULL, $2); }
  | name "<" dim ">" { $$ = ast_type(p, @$, $1, $3, NULL); }
  | name "<" dim ">" shape { $$ = ast_type(p, @$, $1, $3, $5); }
  | "fn" { $$ = ast_type_word(p, @$, "fn"); }
  | "_" { $$ = ast_type_word(p, @$, "_"); }
  | "(" types ")" { $$ = ast_list(p, N_TYPE_TUPLE, @$, $2); };
types: type { $$ = seq_add(p, seq_new(p), $1); }
  | types "," type { $$ = seq_add(p, $1, $3); };
shape: "[" "]" { $$ = seq_new(p); }
  | "[" dims "]" { $$ = $2; }
  | "[" error "]" { $$ = seq_new(p); };
dims: dim { $$ = seq_add(p, seq_new(p), $1); }
  | dims "," dim { $$ = seq_add(p, $1, $3); };
dim: ".." { $$ = ast_leaf(p, N_DIM_REST, @$); }
  | "_" { $$ = ast_leaf(p, N_HOLE, @$); }
  | sum;

block: "{" sep_opt "}" { $$ = ast_list(p, N_BLOCK, @$, NULL); }
  | "{" sep_opt stmts sep_opt "}" { $$ = ast_list(p, N_BLOCK, @$, $3); };
stmts: stmt { $$ = seq_add(p, seq_new(p), $1); }
  | stmts sep stmt { $$ = seq_add(p, $1, $3); }
  | stmts error;
stmt: bindings_word bindings { $$ = ast_list(p, $1, @$, $2); }
  | "yield" expr { $$ = ast_one(p, N_YIELD, @$, $2); }
  | expr "=" expr { $$ = ast_assign(p, @$, $1, $3); }
  | expr
  | error { $$ = ast_leaf(p, N_ERROR, @$); };
bindings_word: "let" { $$ = N_LET; }
  | "param" { $$ = N_PARAM; }
  | "state" { $$ = N_STATE; };
bindings: binding { $$ = seq_add(p, seq_new(p), $1); }
  | bindings "," binding { $$ = seq_add(p, $1, $3); };
binding: pattern "=" expr { $$ = ast_binding(p, @$, $1, NULL, $3); }
  | pattern ":" type "=" expr { $$ = ast_binding(p, @$, $1, $3, $5); };
pattern: name
  | "(" holes ")" { $$ = ast_pattern_tuple(p, @$, $2); };
holes: hole { $$ = seq_add(p, seq_new(p), $1); }
  | holes "," hole { $$ = seq_add(p, $1, $3); };
hole: name
  | "_" { $$ = ast_leaf(p, N_HOLE, @$); };

data_items: sep_opt { $$ = seq_new(p); }
  | sep_opt ditems sep_opt { $$ = $2; };
ditems: ditem { $$ = seq_add(p, seq_new(p), $1); }
  | ditems sep ditem { $$ = seq_add(p, $1, $3); }
  | ditems error;
ditem: "let" bindings { $$ = ast_list(p, N_LET, @$, $2); }
  | name ":" type { $$ = ast_typed(p, N_FIELD, @$, $1, $3, NULL); }
  | name ":" type "=" expr { $$ = ast_typed(p, N_FIELD, @$, $1, $3, $5); }
  | name "=" expr { $$ = ast_typed(p, N_SETTING, @$, $1, NULL, $3); }
  | "where" expr { $$ = ast_one(p, N_WHERE, @$, $2); }
  | error { $$ = NULL; };

tblock: "{" sep_opt "}" { $$ = seq_new(p); }
  | "{" sep_opt titems sep_opt "}" { $$ = $3; };
titems: titem { $$ = seq_add(p, seq_new(p), $1); }
  | titems sep titem { $$ = seq_add(p, $1, $3); }
  | titems error;
titem: "let" bindings { $$ = ast_list(p, N_LET, @$, $2); }
  | "minimize" expr over_clause with_clause { $$ = ast_minimize(p, @$, false, $2, $3, $4); }
  | "maximize" expr over_clause with_clause { $$ = ast_minimize(p, @$, true, $2, $3, $4); }
  | "report" arg_list { $$ = ast_report(p, N_REPORT, @$, $2, NULL, NULL); }
  | "report" arg_list "every" sum name { $$ = ast_report(p, N_REPORT, @$, $2, $4, $5); }
  | "draw" arg_list { $$ = ast_report(p, N_DRAW, @$, $2, NULL, NULL); }
  | "draw" arg_list "every" sum name { $$ = ast_report(p, N_DRAW, @$, $2, $4, $5); }
  | "stop" "when" expr { $$ = ast_one(p, N_STOP, @$, $3); }
  | "step" name tblock { $$ = ast_train(p, N_STEP, @$, $2, NULL, $3); }
  | NAME expr { $$ = ast_typed(p, N_SETTING, @$, ast_name(p, @1, $1), NULL, $2); }
  | error { $$ = NULL; };
over_clause: %empty { $$ = NULL; }
  | "over" exprs { $$ = $2; };
with_clause: %empty { $$ = NULL; }
  | "with" expr { $$ = $2; };

expr: disj
  | expr "|>" postfix { $$ = ast_pipe(p, @$, @2, $1, $3, NULL); }
  | expr "|>" postfix "as" name { $$ = ast_pipe(p, @$, @2, $1, $3, $5); };
disj: conj
  | disj "or" conj { $$ = ast_binary(p, OP_OR, @2, $1, $3); };
conj: neg
  | conj "and" neg { $$ = ast_binary(p, OP_AND, @2, $1, $3); };
neg: cmp
  | "not" neg { $$ = ast_unary(p, @$, OP_NOT, $2); };
cmp: sum
  | sum compare sum { $$ = ast_binary(p, $2, @2, $1, $3); };
compare: "==" { $$ = OP_EQ; }
  | "!=" { $$ = OP_NE; }
  | "<=" { $$ = OP_LE; }
  | ">=" { $$ = OP_GE; }
  | "<" { $$ = '<'; }
  | ">" { $$ = '>'; };
sum: term
  | sum plus_minus term { $$ = ast_binary(p, $2, @2, $1, $3); };
plus_minus: "+" { $$ = '+'; }
  | "-" { $$ = '-'; };
term: unary
  | term times unary { $$ = ast_binary(p, $2, @2, $1, $3); };
times: "*" { $$ = '*'; }
  | "/" { $$ = '/'; }
  | "%" { $$ = '%'; }
  | "@" { $$ = '@'; };
unary: power
  | "-" unary { $$ = ast_unary(p, @$, '-', $2); };
power: postfix
  | postfix "^" unary { $$ = ast_binary(p, '^', @2, $1, $3); };
postfix: primary
  | postfix "(" args ")" { $$ = ast_apply(p, N_CALL, @$, $1, $3); }
  | postfix "[" items "]" { $$ = ast_apply(p, N_INDEX, @$, $1, $3); }
  | postfix "." name { $$ = ast_member(p, @$, $1, $3); };

args: %empty { $$ = seq_new(p); }
  | arg_list
  | arg_list ","
  | error { $$ = seq_new(p); };
arg_list: arg { $$ = seq_add(p, seq_new(p), $1); }
  | arg_list "," arg { $$ = seq_add(p, $1, $3); };
arg: expr { $$ = ast_arg(p, @$, NULL, $1); }
  | name "=" expr { $$ = ast_arg(p, @$, $1, $3); }
  | STRING "=" expr { $$ = ast_arg(p, @$, ast_path_string(p, @1, $1), $3); };
items: %empty { $$ = seq_new(p); }
  | item_list
  | error { $$ = seq_new(p); };
item_list: item { $$ = seq_add(p, seq_new(p), $1); }
  | item_list "," item { $$ = seq_add(p, $1, $3); };
item: expr
  | expr ".." { $$ = ast_range(p, @$, $1, NULL); }
  | expr ".." expr { $$ = ast_range(p, @$, $1, $3); }
  | ".." expr { $$ = ast_range(p, @$, NULL, $2); }
  | ".." { $$ = ast_leaf(p, N_DIM_REST, @$); }
  | "_" { $$ = ast_leaf(p, N_HOLE, @$); };

primary: name
  | INT { $$ = ast_int(p, @$, $1); }
  | FLOAT { $$ = ast_float(p, @$, $1); }
  | "true" { $$ = ast_bool(p, @$, true); }
  | "false" { $$ = ast_bool(p, @$, false); }
  | STRING { $$ = ast_string(p, @$, $1); }
  | "(" expr ")" { $$ = ast_parenthesised(@$, $2); }
  | "(" expr "," exprs ")" { $$ = ast_list(p, N_TUPLE, @$, seq_before(p, $2, $4)); }
  | "(" expr "," exprs "," ")" { $$ = ast_list(p, N_TUPLE, @$, seq_before(p, $2, $4)); }
  | "(" error ")" { $$ = ast_leaf(p, N_ERROR, @$); }
  | "[" exprs "]" { $$ = ast_list(p, N_ARRAY, @$, $2); }
  | "[" exprs "," "]" { $$ = ast_list(p, N_ARRAY, @$, $2); }
  | "[" error "]" { $$ = ast_leaf(p, N_ERROR, @$); }
  | if
  | "for" pattern "in" expr carries block
    { $$ = ast_loop(p, N_FOR, @$, $2, $4, NULL, $5, $6); }
  | "for" pattern "in" expr ".." expr carries block
    { $$ = ast_loop(p, N_FOR, @$, $2, $4, $6, $7, $8); }
  | "scan" pattern "in" expr carries block
    { $$ = ast_loop(p, N_SCAN, @$, $2, $4, NULL, $5, $6); }
  | "scan" pattern "in" expr ".." expr carries block
    { $$ = ast_loop(p, N_SCAN, @$, $2, $4, $6, $7, $8); };
exprs: expr { $$ = seq_add(p, seq_new(p), $1); }
  | exprs "," expr { $$ = seq_add(p, $1, $3); };
carries: %empty { $$ = NULL; }
  | "with" bindings { $$ = $2; };
if: "if" expr block else { $$ = ast_if(p, @$, $2, $3, $4); };
else: %empty { $$ = NULL; }
  | "else" block { $$ = $2; }
  | "else" if { $$ = $2; };

name: NAME { $$ = ast_name(p, @$, $1); }
  | soft { $$ = ast_name(p, @$, $1); };
soft: "use" | "const" | "config" | "layer" | "model" | "optimizer" | "data" | "train" | "predict"
  | "on" | "from" | "as" | "in" | "where" | "minimize" | "maximize" | "report" | "draw" | "step"
  | "stop" | "when" | "every";

%%

// Hands out the filtered tokens. While the parser discards, a bracket goes with all that is in it.
static int next_token(NN_STYPE *value, Span *span, Parse *p, bool discarding) {
  const Token *last = &p->token.at[p->found];
  bool opens = last->kind == T_LPAREN || last->kind == T_LBRACKET || last->kind == T_LBRACE;
  if (discarding && opens && last->match)
    p->next = last->match + 1;
  const Token *t = &p->token.at[p->next];
  p->found = p->next;
  if (t->kind != T_YYEOF)
    p->next++;
  *span = t->span;
  if (t->kind == T_INT)
    value->i = t->i;
  else if (t->kind == T_FLOAT)
    value->f = t->f;
  else
    value->name = t->name;
  return t->kind;
}

const char *token_kind_name(int kind) { return yysymbol_name(YYTRANSLATE(kind)); }

static int yyreport_syntax_error(const yypcontext_t *context, Parse *p) {
  yysymbol_kind_t kind[YYNTOKENS];
  const char *expected[YYNTOKENS];
  int n = yypcontext_expected_tokens(context, kind, YYNTOKENS);
  for (int i = 0; i < n; i++)
    expected[i] = yysymbol_name(kind[i]);
  report_unexpected(p, expected, n > 0 ? n : 0);
  return 0;
}

// Bison calls this only when its stack is full.
static void nn_error(Span *span, Parse *p, const char *message) {
  (void)message;
  report_too_deep(p, *span);
}
