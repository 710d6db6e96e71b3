// `nnc doc`: documentation of .nn files from their `///` comments, as Markdown or as one HTML page:
// for each declaration its signature, its text and its settings. In: files, or names of the
// standard library (`std.layers`, `std.prelude`; nothing: all of it).
#include "tools/tools.h"
#include "ast.h"
#include "pass/elaborate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef struct {
  Session *s;
  bool html;
  Text out;
} Doc;

// ---- text ---------------------------------------------------------------------------------------

static void put_escaped(Doc *d, const char *text, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const char *entity = NULL;
    if (d->html)
      entity = text[i] == '<' ? "&lt;" : text[i] == '>' ? "&gt;" : text[i] == '&' ? "&amp;" : NULL;
    if (entity)
      text_put(&d->out, entity);
    else
      text_putn(&d->out, text + i, 1);
  }
}

static void put_code(Doc *d, const char *text, size_t n) {
  text_put(&d->out, d->html ? "<pre>" : "```nn\n");
  put_escaped(d, text, n);
  text_put(&d->out, d->html ? "</pre>\n" : "\n```\n");
}

// In Markdown what looks like its marks is left as it is written: the comments are Markdown.
static void put_paragraph(Doc *d, const char *text) {
  text_put(&d->out, d->html ? "<p>" : "\n");
  bool code = false;
  for (; *text; text++)
    if (d->html && *text == '`') {
      text_put(&d->out, code ? "</code>" : "<code>");
      code = !code;
    } else if (!d->html && strchr("*<|", *text) && !code) {
      text_printf(&d->out, "\\%c", *text);
    } else {
      code ^= *text == '`';
      put_escaped(d, text, 1);
    }
  text_put(&d->out, d->html ? "</p>\n" : "\n");
}

static const char *node_text(Doc *d, const Node *n) {
  const Source *source = &d->s->source.at[n->span.file];
  return arena_strndup(d->s->perm, source->text + n->span.start, n->span.end - n->span.start);
}

// ---- declarations -------------------------------------------------------------------------------

static const char *kind_word(const Node *decl) {
  switch ((int)decl->kind) {
  case N_FN:
    return "fn";
  case N_LAYER:
    return "layer";
  case N_MODEL:
    return "model";
  case N_OPTIMIZER:
    return "optimizer";
  case N_DATA:
    return "data";
  case N_TRAIN:
    return "train";
  case N_PREDICT:
    return "predict";
  }
  return NULL;
}

static bool has_settings(const Node *decl) {
  return decl->kind == N_OPTIMIZER || (decl->has_params2 && decl->params.n > 0);
}

static void put_settings(Doc *d, const Node *decl) {
  if (!has_settings(decl))
    return;
  text_put(&d->out, d->html ? "<table><tr><th>setting<th>type<th>default\n"
                            : "\n| setting | type | default |\n|---|---|---|\n");
  for (uint32_t i = 0; i < decl->params.n; i++) {
    const Node *p = decl->params.at[i];
    const char *type = p->type ? node_text(d, p->type) : "";
    const char *value = p->a ? node_text(d, p->a) : "";
    const char *cell[] = {p->name, type, value};
    text_put(&d->out, d->html ? "<tr>" : "|");
    for (int k = 0; k < 3; k++) {
      text_put(&d->out, d->html ? "<td>" : " ");
      text_put(&d->out, *cell[k] ? d->html ? "<code>" : "`" : k == 2 ? "required" : "");
      put_escaped(d, cell[k], strlen(cell[k]));
      text_put(&d->out, *cell[k] ? d->html ? "</code>" : "`" : "");
      text_put(&d->out, d->html ? "" : " |");
    }
    text_put(&d->out, "\n");
  }
  text_put(&d->out, d->html ? "</table>\n" : "");
}

// What stands before the body.
static size_t signature_length(const Doc *d, const Node *decl) {
  const char *text = d->s->source.at[decl->span.file].text;
  uint32_t end = decl->body ? decl->body->span.start : decl->span.end;
  if (!decl->body) // a data or train block: its first line
    end = decl->span.start + (uint32_t)strcspn(text + decl->span.start, "\n{");
  while (end > decl->span.start && strchr(" \n\r\t", text[end - 1]))
    end--;
  return end - decl->span.start;
}

static void put_declaration(Doc *d, const Node *decl) {
  const char *text = d->s->source.at[decl->span.file].text + decl->span.start;
  if (d->html)
    text_printf(&d->out, "<h3 id=\"%s\">%s</h3>\n", decl->name, decl->name);
  else
    text_printf(&d->out, "\n### %s\n\n", decl->name);
  put_code(d, text, signature_length(d, decl));
  if (decl->doc)
    put_paragraph(d, decl->doc);
  put_settings(d, decl);
  if (d->html) {
    text_put(&d->out, "<details><summary>source</summary>");
    put_code(d, text, decl->span.end - decl->span.start);
    text_put(&d->out, "</details>\n");
  }
}

// The `//` lines with which a file begins.
static const char *introduction(Doc *d, const char *text) {
  Text out = {.arena = d->s->perm};
  while (strncmp(text, "//", 2) == 0 && text[2] != '/') {
    size_t n = strcspn(text, "\n"), skip = text[2] == ' ' ? 3 : 2;
    if (n > skip)
      text_putn(&out, text + skip, n - skip);
    text_put(&out, "\n");
    text += n + (text[n] == '\n');
  }
  return out.n ? out.at : NULL;
}

static void put_contents(Doc *d, const Node *file) {
  text_put(&d->out, d->html ? "<p class=\"contents\">" : "\n");
  bool any = false;
  for (uint32_t i = 0; i < file->list.n; i++)
    if (kind_word(file->list.at[i])) {
      const char *name = file->list.at[i]->name;
      text_printf(&d->out, d->html ? "%s<a href=\"#%s\">%s</a>" : "%s%s%.0s", any ? " · " : "",
                  d->html ? name : arena_printf(d->s->perm, "`%s`", name), name);
      any = true;
    }
  text_put(&d->out, d->html ? "</p>\n" : "\n");
}

static void put_file(Doc *d, uint32_t file, const char *title) {
  const Node *tree = parse_source(d->s, file);
  if (d->html)
    text_printf(&d->out, "<h2>%s</h2>\n", title);
  else
    text_printf(&d->out, "\n## %s\n", title);
  const char *intro = introduction(d, d->s->source.at[file].text);
  if (intro)
    put_paragraph(d, intro);
  put_contents(d, tree);
  for (uint32_t i = 0; i < tree->list.n; i++)
    if (kind_word(tree->list.at[i]))
      put_declaration(d, tree->list.at[i]);
}

// ---- the page -----------------------------------------------------------------------------------

static const char style[] =
    "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;"
    "color:#222}\nh2{border-bottom:2px solid #8ab;margin-top:3rem}\nh3{margin:2rem 0 .3rem}\n"
    "pre{background:#f3f6f9;padding:.6rem .8rem;overflow-x:auto;border-radius:4px;"
    "font-size:14px;line-height:1.4}\ncode{background:#f3f6f9;padding:0 .2em}\n"
    "table{border-collapse:collapse}\ntd,th{border:1px solid #ccd;padding:.15rem .6rem;"
    "text-align:left}\nsummary{color:#567;cursor:pointer}\na{color:#15588a}\n"
    "@media(prefers-color-scheme:dark){body{background:#16191d;color:#dde}"
    "pre,code{background:#22272e}a{color:#8cf}}\n";

static void open_page(Doc *d, const char *title) {
  if (d->html)
    text_printf(&d->out,
                "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n<meta "
                "name=\"viewport\" content=\"width=device-width\">\n<title>%s</title>\n<style>\n%s"
                "</style>\n<h1>%s</h1>\n",
                title, style, title);
  else
    text_printf(&d->out, "# %s\n\nMade by `nnc doc`; don't edit.\n", title);
}

// `std.layers`: the files stdlib/layers/*.nn. false: there are none.
static bool put_library(Doc *d, const char *module) {
  bool any = false;
  size_t n = module ? strlen(module) : 0;
  for (const StdlibFile *f = stdlib_files; f->name; f++) {
    if (module && (strncmp(f->name, module, n) != 0 || f->name[n] != '/'))
      continue;
    char *title = arena_printf(d->s->perm, "std.%s", f->name);
    for (char *c = title; *c; c++)
      *c = *c == '/' ? '.' : *c;
    put_file(d, source_add(d->s, title, f->text, f->n), title);
    any = true;
  }
  return any;
}

static bool put_argument(Doc *d, const char *name) {
  if (strncmp(name, "std.", 4) == 0 && put_library(d, name + 4))
    return true;
  uint32_t file = source_read(d->s, name);
  if (!file) {
    fprintf(stderr, "nnc: can't read %s: %s\n", name, strerror(errno));
    return false;
  }
  put_file(d, file, name);
  return true;
}

static int write_page(const Doc *d, const char *path) {
  FILE *f = path ? fopen(path, "wb") : stdout;
  bool ok = f && fwrite(d->out.at, 1, d->out.n, f) == d->out.n;
  if (f && path)
    ok = fclose(f) == 0 && ok;
  if (!ok)
    fprintf(stderr, "nnc: can't write %s: %s\n", path ? path : "the page", strerror(errno));
  return !ok;
}

int command_doc(Session *s, int argc, char **argv) {
  Doc d = {.s = s, .out = {.arena = s->perm}};
  const char *output = NULL, *first = NULL;
  for (int i = 0; i < argc; i++)
    if (strcmp(argv[i], "--html") == 0 || strcmp(argv[i], "--markdown") == 0) {
      d.html = argv[i][2] == 'h';
    } else if (strcmp(argv[i], "-o") == 0 && i + 1 < argc) {
      output = argv[++i];
    } else if (argv[i][0] == '-') {
      fprintf(stderr, "nnc: doc has no option `%s`; it has --html, --markdown, -o FILE\n", argv[i]);
      return 1;
    } else
      first = first ? first : argv[i];
  open_page(&d, first ? first : "The standard library of .nn");
  bool ok = first || put_library(&d, NULL);
  for (int i = 0; i < argc; i++)
    if (strcmp(argv[i], "-o") == 0)
      i++;
    else if (argv[i][0] != '-')
      ok &= put_argument(&d, argv[i]);
  return ok && s->n_error == 0 ? write_page(&d, output) : 1;
}
