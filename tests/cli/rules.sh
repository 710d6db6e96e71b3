# Every rule of the language is cited ("Rule N: ...") by a test of what it gives and, where it
# refuses something, by a golden error. A rule that is not there yet has a golden refusal instead.
refuses_nothing=' 2 6 7 17 18 33 '  # they say what programs mean, or are refused when the program runs

# cited FILE...: the numbers of "rule A", "Rules A, B", "rules A and B" in them, one a line
cited() {
  grep -hoiE 'rules? [0-9]+((, | and )[0-9]+)*' "$@" 2>/dev/null | grep -oE '[0-9]+' | sort -nu
}
first_lines=$(mktemp) || exit 1
trap 'rm -f "$first_lines"' EXIT
for f in tests/errors/*.nn; do head -1 "$f"; done > "$first_lines"
errors=$(cited "$first_lines" | tr '\n' ' ')
meanings=$(cited tests/shape/*.nn tests/count/*.nn tests/unit/*.c tests/cli/*.sh tests/cli/*.nn tests/trainer/*.sh tests/torch/*.py |
  tr '\n' ' ')

for rule in $(seq 1 40); do
  case " $meanings" in
  *" $rule "*) echo "PASS rule $rule has a test" ;;
  *)
    file=$(grep -lE "^// Rules? .*\b$rule\b" tests/errors/*.nn | head -1)
    if grep -q 'error\[not-yet\]' "${file%.nn}.err" 2>/dev/null; then echo "PASS rule $rule is refused as not yet there"
    else echo "FAIL rule $rule has a test: none cites it"; fi
    continue ;;
  esac
  case "$refuses_nothing" in
  *" $rule "*) continue ;;
  esac
  case " $errors" in
  *" $rule "*) echo "PASS rule $rule has a golden error" ;;
  *) echo "FAIL rule $rule has a golden error: none cites it in its first line" ;;
  esac
done
