#!/bin/sh
# Inputs that can't be read, outputs that can't be written: an error that names them, status 1, no file
# left behind, and what was there before is still there.
work=$(mktemp -d)
trap 'umount "$work/disk" 2>/dev/null; rm -rf "$work"' EXIT
program=examples/a2-circle/circle.nn
mkdir "$work/out"

# refused NAME FOLDER WORDS COMMAND...: status 1, WORDS in the message, FOLDER as before
refused() {
  name=$1 folder=$2 words=$3
  shift 3
  before=$(ls -A "$folder" 2>/dev/null)
  "$@" > "$work/stdout" 2> "$work/stderr"
  status=$?
  if [ $status != 1 ]; then echo "FAIL output/$name: status $status, $(head -2 "$work/stderr")"
  elif ! grep -qF -e "$words" "$work/stderr"; then echo "FAIL output/$name: it says $(head -2 "$work/stderr")"
  elif [ "$(ls -A "$folder" 2>/dev/null)" != "$before" ]; then
    echo "FAIL output/$name: left behind: $(ls -A "$folder" | tr '\n' ' ')"
  else echo "PASS output/$name"; fi
}

refused "missing input" "$work/out" "nothing.nn: No such file" "$NNC" "$work/nothing.nn" -o "$work/out/t"
refused "folder as input" "$work/out" "is a folder" "$NNC" "$work/out" -o "$work/out/t"
refused "folder as input of check" "$work/out" "is a folder" "$NNC" check "$work/out"
refused "no input" "$work/out" "no input file" "$NNC" -o "$work/out/t"
refused "missing folder" "$work/out" "can't write $work/nowhere/t: No such" "$NNC" $program -o "$work/nowhere/t"
refused "folder as output" "$work/out" "it is a folder" "$NNC" $program -o "$work/out"
refused "object into a missing folder" "$work/out" "nowhere/t.o" "$NNC" $program --emit=obj -o "$work/nowhere/t.o"
refused "text into a missing folder" "$work/out" "can't write $work/nowhere/t" "$NNC" $program --emit=ir -o "$work/nowhere/t"
refused "no linker" "$work/out" "can't run" env PATH=/nowhere "$NNC" $program -o "$work/out/t"
if [ -c /dev/full ]; then
  refused "text to a full stdout" "$work/out" "can't write: No space" sh -c '"$NNC" '$program' --emit=ir > /dev/full'
  refused "help to a full stdout" "$work/out" "can't write: No space" sh -c '"$NNC" --help > /dev/full'
fi

# A good executable survives a program that doesn't compile, and a linker that fails.
echo good > "$work/out/t"
printf 'predict P { unknown }\n' > "$work/bad.nn"
refused "a program with errors" "$work/out" "unknown" "$NNC" "$work/bad.nn" -o "$work/out/t"
mkdir "$work/bin" && printf '#!/bin/sh\necho broken >&2\nexit 3\n' > "$work/bin/cc" && chmod +x "$work/bin/cc"
refused "a linker that fails" "$work/out" "broken" env PATH="$work/bin:$PATH" "$NNC" $program -o "$work/out/t"
if [ "$(cat "$work/out/t")" = good ]; then echo "PASS output/the old file survives"
else echo "FAIL output/the old file survives: it is gone"; fi
if "$NNC" $program -o "$work/out/t" > "$work/stderr" 2>&1 && [ "$(ls "$work/out")" = t ] && [ -x "$work/out/t" ]
then echo "PASS output/success leaves the executable alone"
else echo "FAIL output/success leaves the executable alone: $(ls "$work/out" | tr '\n' ' ')"; fi

# A disk that is full, or can only be read.
mkdir "$work/disk"
if mount -t tmpfs -o size=64k none "$work/disk" 2> /dev/null; then
  echo good > "$work/disk/t"
  refused "full disk" "$work/disk" "No space left" "$NNC" $program -o "$work/disk/t"
  refused "text on a full disk" "$work/disk" "can't write $work/disk/t" "$NNC" $program --emit=llvm -o "$work/disk/t"
  refused "object on a full disk" "$work/disk" "No space left" "$NNC" $program --emit=obj -o "$work/disk/t"
  for kib in 100 150 200 250 300 350; do # full in the middle of the link
    mount -o remount,size=${kib}k "$work/disk"
    case $("$NNC" $program -o "$work/disk/t" 2>&1 && echo linked) in
    *linked) break ;;
    *"No space"*) [ "$(ls "$work/disk")" = t ] || echo "FAIL output/disk of $kib KiB: $(ls "$work/disk" | tr '\n' ' ')" ;;
    *) echo "FAIL output/disk of $kib KiB: another error" ;;
    esac
  done
  echo good > "$work/disk/t"
  mount -o remount,ro "$work/disk"
  refused "disk that can only be read" "$work/disk" "Read-only" "$NNC" $program -o "$work/disk/t"
  if [ "$(cat "$work/disk/t")" = good ]; then echo "PASS output/full disks leave the old file"
  else echo "FAIL output/full disks leave the old file: it is gone"; fi
  umount "$work/disk"
else echo "SKIP output/full disk: mounting one needs root"; fi

# Permissions, which root does not feel.
as=
[ "$(id -u)" != 0 ] || as="setpriv --reuid=65534 --regid=65534 --clear-groups"
chmod 755 "$work"
if $as "$NNC" check $program > /dev/null 2>&1; then
  mkdir "$work/closed" && chmod 555 "$work/closed"
  refused "folder that can only be read" "$work/closed" "Permission denied" $as "$NNC" $program -o "$work/closed/t"
  echo > "$work/secret.nn" && chmod 0 "$work/secret.nn"
  refused "unreadable input" "$work/out" "Permission denied" $as "$NNC" "$work/secret.nn" -o "$work/out/t"
else echo "SKIP output/permissions: root may do everything, and nobody may not run nnc"; fi

# `nnc run` takes its folder away again, whatever happens in it.
mkdir "$work/tmp"
refused "run of a program with errors" "$work/tmp" "unknown" env TMPDIR="$work/tmp" "$NNC" run "$work/bad.nn"
TMPDIR="$work/tmp" "$NNC" run $program -- --no-such-flag > /dev/null 2>&1
status=$?
if [ $status != 0 ] && [ -z "$(ls -A "$work/tmp")" ]; then echo "PASS output/run cleans up"
else echo "FAIL output/run cleans up: status $status, $(ls -A "$work/tmp" | tr '\n' ' ')"; fi
