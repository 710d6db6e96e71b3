# The layout holds: who may include what, the entries of the top folder, the format of the sources.
verdict() { # NAME FOUND: passes if nothing was found
  if [ -z "$2" ]; then echo "PASS style $1"; else echo "FAIL style $1: $(echo "$2" | head -3 | tr '\n' ' ')"; fi
}
verdict "only llvm/ includes llvm-c" "$(grep -rl 'llvm-c/' compiler lang runtime tests --include=*.c --include=*.h | grep -v '^compiler/llvm/')"
verdict "lang/ includes nothing of ir, ops, pass" "$(grep -nE '#include "(ir|ops|pass|llvm)/' lang/*.[chly])"
verdict "support/ includes nothing else" "$(grep -nE '#include "(ir|ops|pass|llvm|tools)/|ast\.h' compiler/support/*.[ch])"
verdict "ops/ and ir/ include no pass" "$(grep -nE '#include "(pass|llvm|tools)/' compiler/ops/*.[ch] compiler/ir/*.[ch])"
verdict "the runtime includes nothing of the compiler" "$(grep -rnE '#include "(ir|ops|pass|llvm|support|tools)/|ast\.h' runtime)"
verdict "no malloc in the compiler" "$(grep -nE '\b(malloc|calloc|realloc)\(' compiler/ir/*.c compiler/ops/*.c compiler/pass/*.c compiler/llvm/*.c compiler/tools/*.c lang/*.c)"
git rev-parse >/dev/null 2>&1 || { echo "SKIP style: no git here"; exit 0; }
verdict "top folder" "$(git ls-files | cut -d/ -f1 | sort -u | grep -vxE 'Makefile|compiler|runtime|lang|examples|tests|stdlib|README\.md|LICENSE|\..*')"
if command -v clang-format >/dev/null; then
  verdict "make fmt-check" "$(git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror 2>&1 | grep error)"
else echo "SKIP style make fmt-check: no clang-format"; fi
