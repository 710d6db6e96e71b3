# gradcheck leaves out what it can't compare, the parameters behind a stop_gradient, and says so; a gradient of
# second order inside a loss agrees with differences (rule 24).
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! "$NNC" tests/cli/gradcheck.nn -o "$work/t" 2> "$work/err"; then
  echo "FAIL gradcheck: compile: $(head -3 "$work/err")"
  exit 1
fi

# check NAME BLOCK COMPARED SKIPPED VERDICT
check() {
  "$work/t" gradcheck --block "$2" > "$work/out" 2>&1
  status=$?
  compared=$(grep -c '^ok ' "$work/out") skipped=$(grep -c '^skip .*stop_gradient' "$work/out")
  if [ $status = 0 ] && [ "$compared/$skipped" = "$3/$4" ] && [ "$(tail -1 "$work/out")" = "$5" ]; then
    echo "PASS gradcheck $1"
  else
    echo "FAIL gradcheck $1: status $status, $compared compared, $skipped skipped: $(tail -1 "$work/out")"
  fi
}

check "leaves out what is behind a stop_gradient" Stopped 6 4 "all gradients that can be compared agree"
check "of a gradient inside a loss" Penalty 4 0 "all gradients agree"
