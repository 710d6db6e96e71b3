#!/bin/sh
# Every code that the compiler reports has a section in lang/ERRORS.md, and every section a code and a golden error.
# `nnc explain` prints the section and nothing of the next.
sources=$(find compiler lang -name '*.[cly]' | sort)
used=$(cat $sources | tr '\n' ' ' |
  grep -oE '(diag_error|diag_warning|elab_error|elab_warning|syntax_error)\([^";{]*"[a-z0-9-]+"' |
  sed 's/.*"\([a-z0-9-]*\)"$/\1/' | sort -u)
sections=$(sed -n 's/^## //p' lang/ERRORS.md | sort -u)

missing=
for code in $used; do
  echo "$sections" | grep -qx -e "$code" || missing="$missing $code"
done
if [ -z "$missing" ]; then echo "PASS every code has a section"; else echo "FAIL every code has a section: not$missing"; fi

unused=
for code in $sections; do
  grep -qF "\"$code\"" $sources || unused="$unused $code"
done
if [ -z "$unused" ]; then echo "PASS every section has a code"; else echo "FAIL every section has a code: not$unused"; fi

unseen=
for code in $sections; do
  grep -qE "(error|warning)\[$code\]" tests/errors/*.err tests/cli/ir/*.err || unseen="$unseen $code"
done
if [ -z "$unseen" ]; then echo "PASS every code has a golden error"; else echo "FAIL every code has a golden error: not$unseen"; fi

doubled=$(sed -n 's/^## //p' lang/ERRORS.md | sort | uniq -d | tr '\n' ' ')
if [ -z "$doubled" ]; then echo "PASS one section for a code"; else echo "FAIL one section for a code: $doubled"; fi

got=$("$NNC" explain syntax)
case "$got" in
"## syntax"*) [ "$(echo "$got" | grep -c '^## ')" = 1 ] && echo "PASS explain prints one section" ||
  echo "FAIL explain prints one section: more than one" ;;
*) echo "FAIL explain prints one section: $got" ;;
esac
if "$NNC" explain no-such-code > /dev/null 2>&1; then echo "FAIL explain refuses unknown codes: status 0"
else echo "PASS explain refuses unknown codes"; fi
