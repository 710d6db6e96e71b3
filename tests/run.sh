#!/bin/sh
# Runs the tests: the folder and the extension say what is asserted. Called by `make check`.
#   tests/run.sh [--bless] [--full] [FILTER]     FILTER: part of a path
# Environment: BUILD (default build), NN_DATA (real data; default ../shared/data where it exists).
# Every job prints lines PASS name, FAIL name: why, SKIP name: why; this script adds them up.
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
export BUILD LC_ALL=C
NNC=$(cd "$BUILD" && pwd)/nnc || exit 1
export NNC
if [ -z "$NN_DATA" ] && [ -d ../shared/data ]; then NN_DATA=$(cd ../shared/data && pwd); fi
export NN_DATA
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
# Built with sanitizers (make check SAN=1)? What they find must not look like an error of the user's.
# intercept_tls_get_addr=0: up to GCC 13 LeakSanitizer takes a thread's variables in a library loaded later, LLVM's
# for one, for those of a glibc before 2.25 where malloc happens to put them 16 bytes into a page, and dies of
# "Tracer caught signal 11" (google/sanitizers issue 1322). nnc-llvm.so has no such variables of its own.
if grep -q __asan_init "$NNC"; then
  export SAN=1 ASAN_OPTIONS=exitcode=99:detect_stack_use_after_return=1:intercept_tls_get_addr=0
  export UBSAN_OPTIONS=print_stacktrace=1:exitcode=99
  export LSAN_OPTIONS=exitcode=99:print_suppressions=0:suppressions=$PWD/tests/leaks.txt
fi
while :; do
  case "$1" in
  --bless) export BLESS=1; shift ;;
  --full) export FULL=1; shift ;;
  *) break ;;
  esac
done
filter=$1
out=$BUILD/tests/log
rm -rf "$out" && mkdir -p "$out" || exit 1

{ # one job a line: what it costs comes first, so that long ones start early
  ls tests/long/* tests/torch/*.py tests/trainer/*.sh tests/cli/*.sh 2>/dev/null
  ls "$BUILD"/tests/unit/* "$BUILD"/tests/kernels/* 2>/dev/null | grep -v '\.[do]$'
  ls tests/syntax/*.nn tests/errors/*.nn tests/shape/*.nn tests/pass/*/*.ir tests/count/*.nn \
    examples/*/*.nn 2>/dev/null | grep -v '\.out\.ir$'
} | grep -e "${filter:-.}" > "$out/jobs"

xargs -P "${JOBS:-2}" -n 1 sh tests/job.sh < "$out/jobs" > "$out/all" 2>&1
grep -E '^(FAIL|SKIP) ' "$out/all"
passed=$(grep -c '^PASS ' "$out/all")
failed=$(grep -c '^FAIL ' "$out/all")
skipped=$(grep -c '^SKIP ' "$out/all")
[ "$failed" = 0 ] || echo "The whole output is in $out/all; 'make bless' rewrites golden files."
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
