" Indentation of .nn: four columns for each brace; `nnc fmt` settles the rest.
if exists("b:did_indent")
  finish
endif
let b:did_indent = 1
setlocal shiftwidth=4 expandtab nosmartindent
setlocal indentexpr=NnIndent() indentkeys=0},0),0],o,O

if exists("*NnIndent")
  finish
endif
function NnIndent()
  let before = prevnonblank(v:lnum - 1)
  let indent = indent(before)
  if substitute(getline(before), '//.*', '', '') =~ '[{(\[]\s*$'
    let indent += shiftwidth()
  endif
  if getline(v:lnum) =~ '^\s*[})\]]'
    let indent -= shiftwidth()
  endif
  return max([indent, 0])
endfunction
