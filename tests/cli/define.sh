#!/bin/sh
# -D name=value: replaces a const, of the same kind; unknown names list near ones.
dir=$BUILD/tests/define
mkdir -p "$dir"
cat > "$dir/size.nn" <<'END'
const hidden = 12, rate = 0.5, deep = false
predict P(x: f32[hidden]) { if deep { x * rate } else { x } }
END
check() { # NAME WANTED_PATTERN ARGUMENTS...
  name=$1 wanted=$2
  shift 2
  got=$("$NNC" "$dir/size.nn" --emit=ir "$@" 2>&1)
  case "$got" in
  *"$wanted"*) echo "PASS $name" ;;
  *) echo "FAIL $name: no '$wanted' in: $(echo "$got" | head -2 | tr '\n' ' ')" ;;
  esac
}
check "without -D" "*f32[12]"
check "-D changes a shape" "*f32[6]" -D hidden=6
check "-D takes truth values, and whole numbers for fractions" "value=3 " -D deep=true -D rate=3
check "-D refuses another kind" "-D hidden=1.5: \`hidden\` is 12" -D hidden=1.5
check "-D lists near names" "did you mean \`hidden\`?" -D hiden=3
