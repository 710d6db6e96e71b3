# A static executable runs where nothing is installed: in an empty root of its own.
[ -z "$SAN" ] || { echo "SKIP static executables: there are none with sanitizers (SAN=1)"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! "$NNC" examples/digits/digits.nn --static --blas=own --strip -o "$work/digits" 2> "$work/err"; then
  echo "FAIL static: $(head -3 "$work/err")"
  exit 1
fi
bytes=$(wc -c < "$work/digits")
if [ "$bytes" -le 1500000 ]; then echo "PASS static executable is $bytes bytes"
else echo "FAIL static executable: $bytes bytes, at most 1500000 wanted"; fi
mkdir "$work/root" && cp "$work/digits" examples/digits/*.gz "$work/root/"
if unshare -r true 2>/dev/null; then enter="unshare -r chroot"
elif [ "$(id -u)" = 0 ]; then enter=chroot
else echo "SKIP static in an empty root: neither unshare nor root"; exit 0; fi
if $enter "$work/root" /digits --epochs 2 --out /w.safetensors > "$work/out" 2>&1 && [ -s "$work/root/w.safetensors" ] &&
  $enter "$work/root" /digits eval --load /w.safetensors >> "$work/out" 2>&1; then
  echo "PASS static executable trains and evaluates in an empty root"
else echo "FAIL static in an empty root: $(tail -3 "$work/out")"; fi
