# lang/editor: what is made from the words of the language is current, and is what editors read.
work=$BUILD/tests/log/editor-work
rm -rf "$work" && mkdir -p "$work" || exit 1
verdict() { if [ -z "$2" ]; then echo "PASS editor $1"; else echo "FAIL editor $1: $2"; fi; }

sh lang/editor/generate.sh "$(cd "$work" && pwd)"
[ -z "$BLESS" ] || sh lang/editor/generate.sh
for file in vim/syntax/nn.vim vscode/syntaxes/nn.tmLanguage.json; do
  verdict "$file is current (sh lang/editor/generate.sh)" "$(cmp "lang/editor/$file" "$work/$file" 2>&1)"
done
verdict "the grammars are JSON with expressions that compile" "$(python3 - <<'PY' 2>&1
import glob, json, re
for path in glob.glob("lang/editor/vscode/**/*.json", recursive=True):
    tree = json.load(open(path))
    for p in tree.get("patterns", []):
        for key in ("match", "begin", "end"):
            if key in p: re.compile(p[key])
PY
)"
# Every keyword of the language is in both.
for word in let layer minimize scan optimizer; do
  for file in vim/syntax/nn.vim vscode/syntaxes/nn.tmLanguage.json; do
    grep -qw -e "$word" "lang/editor/$file" && wrong= || wrong="not there"
    verdict "$file knows $word" "$wrong"
  done
done
