#!/bin/sh
# One job of tests/run.sh: the path says what to do with it.
path=$1
name=${path#"$BUILD"/}
work=$BUILD/tests/log/$(echo "$name" | tr '/' '_')

pass() { echo "PASS $1"; }
fail() { echo "FAIL $1: $2"; }

# golden EXPECTED WANTED_STATUS COMMAND...: stdout and stderr together against a file
golden() {
  expected=$1 wanted=$2
  shift 2
  "$@" > "$work.got" 2>&1
  status=$?
  if [ -n "$BLESS" ]; then cp "$work.got" "$expected"; fi
  if [ ! -f "$expected" ]; then fail "$name" "no golden file $expected (make bless)"
  elif ! diff -u "$expected" "$work.got" > "$work.diff"; then fail "$name" "differs:"; cat "$work.diff"
  elif [ "$wanted" != any ] && [ $status != "$wanted" ]; then fail "$name" "exit status $status, wanted $wanted"
  elif [ $status -gt 1 ]; then fail "$name" "exit status $status"
  else pass "$name"; fi
}

# The IR of elaborate, without positions in the standard library: they change with its every line.
shape() {
  $NNC "$1" --emit=ir > "$work.ir" 2>&1
  shape_status=$?
  sed 's|^\(loc [0-9]* = "<std>/[^"]*"\) [0-9.]*|\1|' "$work.ir"
  return $shape_status
}

# Print, read, print again after every stage: byte-identical.
roundtrip() {
  for stage in ir batch simplify grad cse layout fuse schedule; do
    if ! $NNC "$path" --emit=$stage > "$work.$stage.ir" 2> "$work.err"; then
      if [ -z "$NN_DATA" ] && grep -q 'error\[file-needed\]' "$work.err"; then
        echo "SKIP $name: what it needs while compiling is not in NN_DATA"
        return
      fi
      fail "$name $stage" "$(head -3 "$work.err" | tr '\n' ' ')"
    elif ! $NNC opt "$work.$stage.ir" > "$work.again.ir" 2>&1; then
      fail "$name $stage" "can't be read back: $(head -3 "$work.again.ir" | tr '\n' ' ')"
    elif ! cmp -s "$work.$stage.ir" "$work.again.ir"; then
      fail "$name $stage" "print-read-print differs"
    else pass "$name roundtrip after $stage"; fi
    rm -f "$work.$stage.ir" "$work.again.ir"
  done
}

# Lines `//! STAGE [FUNCTION]: OP COUNT, ...` of a program: how often an operation occurs after that
# pass, in the module or in that function. KIND-group counts the groups of a kind, `parameters` the numbers
# in params and state, `statistics` those in state, that the function takes.
count() {
  sed -n 's|^//! *||p' "$path" > "$work.claims"
  [ -s "$work.claims" ] || fail "$name" "it claims nothing (//! STAGE: OP COUNT)"
  while IFS= read -r claim; do
    stage=${claim%%:*}
    function=$(echo "$stage" | cut -s -d' ' -f2)
    if ! $NNC "$path" --emit="${stage%% *}" > "$work.ir" 2> "$work.err"; then
      fail "$name" "$(head -3 "$work.err" | tr '\n' ' ')"
      continue
    fi
    wrong=$(awk -v function_="$function" -v claims="${claim#*:}" '
      /^func / { inside = function_ == "" || index($0, "func @" function_ "(") == 1; any = any || inside }
      inside && match($0, /^ +%[0-9]+: f32\[[0-9, ]*\] (param|state) /) {
        n = split(substr($0, index($0, "[") + 1, index($0, "]") - index($0, "[") - 1), dim, ", ")
        size = 1
        for (i = 1; i <= n; i++) size *= dim[i]
        found["parameters"] += size
        if (index($0, "] state ")) found["statistics"] += size
      }
      !inside || !/^ *%[0-9%, ]* = / { next }
      { sub(/^[^=]*= /, ""); found[$1]++ }
      $1 == "group" && match($0, /kind="[a-z]*"/) { found[substr($0, RSTART + 6, RLENGTH - 7) "-group"]++ }
      END {
        if (!any) print "there is no function " function_
        n = split(claims, claim, ",")
        for (i = 1; i <= n; i++) {
          split(claim[i], part, " ")
          if (found[part[1]] + 0 != part[2]) print part[1] " occurs " found[part[1]] + 0 " times, not " part[2]
        }
      }' "$work.ir" | paste -sd';' -)
    if [ -z "$wrong" ]; then pass "$name $claim"; else fail "$name $claim" "$wrong"; fi
  done < "$work.claims"
}

# Every program or script prints its own PASS/FAIL/SKIP lines; a crash is a failure.
program() {
  "$@" > "$work.out" 2> "$work.err2"
  status=$?
  cat "$work.out"
  [ $status -le 1 ] || echo # what it was about to say ends here
  if [ $status -gt 1 ]; then fail "$name" "exit status $status: $(tail -3 "$work.err2" | tr '\n' ' ')"
  elif ! grep -qE '^(PASS|FAIL|SKIP) ' "$work.out"; then fail "$name" "it reported nothing: $(tail -3 "$work.err2" | tr '\n' ' ')"
  elif [ $status != 0 ] && ! grep -q '^FAIL ' "$work.out"; then fail "$name" "exit status $status: $(tail -3 "$work.err2" | tr '\n' ' ')"
  fi
}

case "$path" in
tests/syntax/*.nn) golden "${path%.nn}.ast" 0 $NNC "$path" --emit=ast ;;
tests/errors/*.nn) golden "${path%.nn}.err" any $NNC check "$path" ;;
tests/shape/*.nn) golden "${path%.nn}.ir" 0 shape "$path" ;;
tests/pass/*.ir) pass_name=$(basename "$(dirname "$path")")
  golden "${path%.ir}.out.ir" 0 $NNC opt --passes="$pass_name" "$path" ;;
tests/count/*.nn) count ;;
examples/*.nn) roundtrip ;;
*.py) program /usr/bin/python3 "$path" ;;
*.sh) program sh "$path" ;;
*) program "$path" ;;
esac
