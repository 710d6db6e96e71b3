# nnc fmt: what it may never change, on all programs there are; how it lays out, in golden files.
work=$BUILD/tests/log/fmt-work
rm -rf "$work" && mkdir -p "$work" || exit 1
verdict() { if [ -z "$2" ]; then echo "PASS fmt $1"; else echo "FAIL fmt $1: $2"; fi; }

tree() { $NNC "$1" --emit=ast 2>&1 | sed 's/ [0-9]*\.\.[0-9]*$//'; } # without byte ranges
comments() { grep -o '//.*' "$1" | sed 's/[[:space:]]*$//'; }

for path in $(find tests/syntax examples stdlib tests/shape tests/count -name '*.nn'); do
  once=$work/once.nn twice=$work/twice.nn
  cp "$path" "$once" && chmod u+w "$once"
  wrong=
  $NNC fmt "$once" > "$work/said" 2>&1 || wrong="$(head -2 "$work/said" | tr '\n' ' ')"
  cp "$once" "$twice"
  $NNC fmt "$twice" || wrong="it can't be formatted again"
  cmp -s "$once" "$twice" || wrong="formatting again changes it"
  [ "$(tree "$path")" = "$(tree "$once")" ] || wrong="another tree"
  [ "$(comments "$path")" = "$(comments "$once")" ] || wrong="other comments"
  grep -q '[[:blank:]]$' "$once" && wrong="blanks at the end of a line"
  [ -z "$(cat -s "$once" | cmp - "$once" 2>&1)" ] || wrong="blank lines in a row"
  verdict "$path" "$wrong"
done

for path in tests/cli/fmt/*.nn; do
  case $path in *.out.nn) continue ;; esac
  golden=${path%.nn}.out.nn
  $NNC fmt - < "$path" > "$work/got.nn" 2>&1 || echo "FAIL fmt $path: $(head -1 "$work/got.nn")"
  [ -z "$BLESS" ] || cp "$work/got.nn" "$golden"
  verdict "$path" "$(diff "$golden" "$work/got.nn" 2>&1 | head -20)"
  verdict "$golden again" "$($NNC fmt --check "$golden" 2>&1)"
done

verdict "examples and stdlib are formatted" "$(find examples stdlib -name "*.nn" -exec $NNC fmt --check {} + 2>&1 | tr "\n" " ")"

printf 'let a  = 1\n' > "$work/spread.nn"
printf 'let = 1  2\n' > "$work/broken.nn"
chmod 640 "$work/spread.nn"
said=$($NNC fmt --check "$work/spread.nn")
status=$?
[ "$status $said" = "1 $work/spread.nn" ] && wrong= || wrong="status $status: $said"
verdict "--check names what would change and leaves it" "$wrong$(printf 'let a  = 1\n' | diff - "$work/spread.nn")"
$NNC fmt "$work/broken.nn" "$work/spread.nn" > "$work/said" 2>&1
[ $? = 1 ] && grep -q 'broken.nn:1:5' "$work/said" && wrong= || wrong=$(cat "$work/said")
verdict "a file with errors is reported and left alone" "$wrong$(printf 'let = 1  2\n' | diff - "$work/broken.nn")"
verdict "the other files are formatted all the same" "$(printf 'let a = 1\n' | diff - "$work/spread.nn")"
[ "$(stat -c %a "$work/spread.nn")" = 640 ] && wrong= || wrong=$(stat -c %a "$work/spread.nn")
verdict "permissions stay" "$wrong"
[ "$(ls "$work" | grep -c part)" = 0 ] && wrong= || wrong=$(ls "$work")
verdict "nothing is left beside the files" "$wrong"
