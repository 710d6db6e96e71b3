# nnc doc: lang/LIBRARY.md is what the comments of stdlib/ say, and every name there has one.
# nnc explain without a code, and with one that is nearly right.
work=$BUILD/tests/log/doc-work
rm -rf "$work" && mkdir -p "$work" || exit 1
verdict() { if [ -z "$2" ]; then echo "PASS doc $1"; else echo "FAIL doc $1: $2"; fi; }

$NNC doc > "$work/library.md" 2>&1
[ -z "$BLESS" ] || cp "$work/library.md" lang/LIBRARY.md
verdict "lang/LIBRARY.md is current (make bless T=doc)" "$(cmp lang/LIBRARY.md "$work/library.md" 2>&1)"

# The line before a declaration in column 1 is a /// comment.
bare=$(find stdlib -name '*.nn' -exec awk '
  /^(fn|layer|model|optimizer) / && before !~ /^\/\/\// { print $1, $2 }
  { before = $0 }' {} + | sed 's/(.*//' | tr '\n' ',')
verdict "every declaration of the library has a comment" "$bare"

cat > "$work/own.nn" <<'NN'
// Things of my own: a < b.

/// Doubles `x`. Never < 0.
layer Twice(by: f32 = 2.0, least: int)(x: f32[n]) -> f32[n] { x * by }
NN
$NNC doc "$work/own.nn" > "$work/own.md"
for wanted in '### Twice' 'layer Twice(by: f32 = 2.0, least: int)(x: f32\[n\]) -> f32\[n\]$' 'Doubles `x`. Never \\< 0.' \
  '| `by` | `f32` | `2.0` |' '| `least` | `int` | required |' 'Things of my own: a \\< b.'; do
  verdict "Markdown has $wanted" "$(grep -q -e "$wanted" "$work/own.md" || cat "$work/own.md")"
done
$NNC doc --html -o "$work/own.html" "$work/own.nn"
for wanted in '<h3 id="Twice">Twice</h3>' 'Doubles <code>x</code>. Never &lt; 0.' '<details><summary>source' '-&gt; f32\[n\]'; do
  verdict "HTML has $wanted" "$(grep -q -e "$wanted" "$work/own.html" || cat "$work/own.html")"
done
verdict "HTML is one file" "$(grep -nE '(src|href)="?(http|/)' "$work/own.html")"
$NNC doc --html > "$work/library.html"
verdict "HTML of the library pairs its tags" "$(python3 - "$work/library.html" <<'PY'
import html.parser, sys
class P(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(); self.open = []
    def handle_starttag(self, tag, attrs):
        if tag in ("pre", "code", "p", "table", "details", "summary", "h1", "h2", "h3", "a"): self.open.append(tag)
    def handle_endtag(self, tag):
        if tag in ("pre", "code", "p", "table", "details", "summary", "h1", "h2", "h3", "a"):
            if not self.open or self.open.pop() != tag: print("at", self.getpos(), tag); sys.exit()
p = P(); p.feed(open(sys.argv[1]).read())
if p.open: print("open at the end:", p.open)
PY
)"
verdict "std.layers is a part of it" "$($NNC doc std.layers | grep -q '### Dense' || echo no Dense)"
$NNC doc no-such.nn > "$work/said" 2>&1 && wrong="status 0" || wrong=
verdict "a file that is not there" "$wrong"

sections=$(grep -c '^## ' lang/ERRORS.md)
[ "$($NNC explain | wc -l)" = "$sections" ] && wrong= || wrong="$($NNC explain | wc -l) codes, $sections sections"
verdict "explain lists the codes" "$wrong"
verdict "explain knows near names" "$($NNC explain shape-mismach 2>&1 | grep -q 'did you mean `shape-mismatch`' || echo no advice)"
