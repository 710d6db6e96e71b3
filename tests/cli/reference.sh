#!/bin/sh
# Every block of lang/REFERENCE.md that is marked `nn` is a program without errors. README.md's too.
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
for page in lang/REFERENCE.md README.md; do
  awk -v folder="$folder" -v page="$(basename "$page" .md)" '
    /^```nn$/ { n++; line = NR; inside = 1; next }
    /^```$/ && inside { inside = 0; next }
    inside { print > (folder "/" page "-" n ".nn") }' "$page"
done
for program in "$folder"/*.nn; do
  name="program of the page $(basename "$program" .nn)"
  if "$NNC" check "$program" > "$folder/out" 2>&1; then echo "PASS $name"
  else echo "FAIL $name: $(grep error "$folder/out" | head -2 | tr '\n' ' ')"; fi
done
