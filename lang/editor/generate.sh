#!/bin/sh
# Writes the editors' syntax files from the words of the language: keywords from lang/nn.l, functions
# from the compiler's table, lang/OPS.md and stdlib/prelude. Usage: sh lang/editor/generate.sh [FOLDER]
cd "$(dirname "$0")/../.." || exit 1
export LC_ALL=C
out=${1:-lang/editor}
mkdir -p "$out/vim/syntax" "$out/vscode/syntaxes" || exit 1

reserved=$(sed -n 's/^"\([a-z][a-z]*\)"  *return take(.*/\1/p' lang/nn.l | grep -vxE 'true|false' | sort)
soft=$(sed -n 's/^"\([a-z][a-z]*\)"  *return take_word(.*/\1/p' lang/nn.l | sort)
library=$({ sed -n 's/^\(fn\|optimizer\) \([a-z_0-9]*\)(.*/\2/p' stdlib/prelude/*.nn
  sed -n 's/^  *{"\([a-z_0-9]*\)", ".*/\1/p' compiler/pass/elaborate_builtin.c
  awk '/^### / { name = $2 } /can be called by its name/ { print name }' lang/OPS.md; } |
  grep -vx 'f32\|f64' | sort -u)
line() { echo "$1" | paste -sd' ' - | fold -s -w 90 | sed "s/ *$//; s/^/$2/"; }
either() { echo "$1" | paste -sd'|' -; }

{
  cat <<'VIM'
" Syntax of .nn, a language for neural networks. Made by lang/editor/generate.sh; don't edit.
if exists("b:current_syntax")
  finish
endif
VIM
  line "$reserved" 'syntax keyword nnKeyword '
  cat <<'VIM'
" These words are names elsewhere: keywords only where a line begins, or before what follows them.
VIM
  echo "syntax match nnKeyword /\\(^\\|[{;]\\)\\s*\\zs\\($(echo "$soft" | paste -sd'|' - | sed 's/|/\\|/g')\\)\\ze\\s\\+[^=:.,)]/"
  echo 'syntax match nnKeyword /\s\zs\(on\|from\|as\|in\|every\|when\)\ze\s/'
  line "$library" 'syntax keyword nnFunction '
  cat <<'VIM'
syntax keyword nnType f32 f64 int index bool
syntax keyword nnBoolean true false training
syntax match nnLayer /\<[A-Z][A-Za-z0-9_]*\>/
syntax match nnNumber /\<\d\+\(\.\d\+\)\?\([eE][+-]\?\d\+\)\?\>/
syntax match nnOperator /|>\|->/
syntax region nnString start=/"/ skip=/\\./ end=/"/ oneline
syntax match nnComment /\/\/.*/ contains=nnTodo
syntax match nnDoc /\/\/\/.*/
syntax keyword nnTodo TODO contained
highlight default link nnKeyword Keyword
highlight default link nnFunction Function
highlight default link nnType Type
highlight default link nnBoolean Boolean
highlight default link nnLayer Structure
highlight default link nnNumber Number
highlight default link nnOperator Operator
highlight default link nnString String
highlight default link nnComment Comment
highlight default link nnDoc SpecialComment
highlight default link nnTodo Todo
let b:current_syntax = "nn"
VIM
} > "$out/vim/syntax/nn.vim"

cat > "$out/vscode/syntaxes/nn.tmLanguage.json" <<EOF2
{
  "information_for_contributors": ["Made by lang/editor/generate.sh; don't edit."],
  "name": "nn",
  "scopeName": "source.nn",
  "fileTypes": ["nn"],
  "patterns": [
    { "name": "comment.line.documentation.nn", "match": "///.*$" },
    { "name": "comment.line.double-slash.nn", "match": "//.*$" },
    {
      "name": "string.quoted.double.nn",
      "begin": "\"",
      "end": "\"|\$",
      "patterns": [{ "name": "constant.character.escape.nn", "match": "\\\\\\\\." }]
    },
    { "name": "keyword.control.nn", "match": "\\\\b($(either "$reserved"))\\\\b" },
    {
      "match": "(?:^|[{;])\\\\s*($(either "$soft"))(?=\\\\s+[^=:.,)\\\\s])",
      "captures": { "1": { "name": "keyword.other.nn" } }
    },
    { "name": "keyword.other.nn", "match": "(?<=\\\\s)(on|from|as|in|every|when)(?=\\\\s)" },
    { "name": "storage.type.nn", "match": "\\\\b(f32|f64|int|index|bool)\\\\b" },
    { "name": "constant.language.nn", "match": "\\\\b(true|false|training)\\\\b" },
    { "name": "constant.numeric.nn", "match": "\\\\b[0-9]+(\\\\.[0-9]+)?([eE][+-]?[0-9]+)?\\\\b" },
    { "name": "entity.name.type.nn", "match": "\\\\b[A-Z][A-Za-z0-9_]*\\\\b" },
    {
      "name": "support.function.nn",
      "match": "\\\\b($(either "$library"))\\\\b"
    },
    { "name": "keyword.operator.nn", "match": "\\\\|>|->|[-+*/%@^<>=!]=?" }
  ]
}
EOF2
