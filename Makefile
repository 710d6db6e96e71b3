# make            builds build/nnc
# make demo       installs what is needed, builds, compiles a model, trains it, predicts
# make check      installs what is needed, builds, runs all tests (SAN=1: under ASan and UBSan)
# make help       the other targets
BUILD ?= build
CC = gcc
CLANG = clang-19
LLVM_CONFIG = llvm-config-19

PACKAGES = gcc make flex bison llvm-19-dev clang-19 libopenblas-dev zlib1g-dev libpng-dev libjpeg-dev
TEST_PACKAGES = python3-torch python3-numpy clang-format

WARN = -Wall -Wextra -Wpedantic -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Werror
# V=1 shows the commands.
SHORT = $(if $(V),,@echo "  $(1)";)
CFLAGS = -std=c11 -O2 -g -D_GNU_SOURCE -fno-math-errno -ffp-contract=off $(WARN) $(SAN_FLAGS)
CPPFLAGS = -Icompiler -Ilang -Iruntime/include -I$(BUILD)
ifdef SAN
override BUILD := $(patsubst %/san,%,$(BUILD))/san
SAN_FLAGS = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif

OPS      = $(wildcard compiler/ops/*.c)
COMPILER = $(wildcard compiler/support/*.c compiler/ir/*.c compiler/ops/*.c compiler/pass/*.c compiler/tools/*.c \
           lang/*.c) compiler/llvm/tables.c
LLVM_SRC = $(wildcard compiler/llvm/*.c)
CORE     = $(wildcard runtime/core/*.c)
TRAINER  = $(wildcard runtime/trainer/*.c)
KERNELS  = $(wildcard runtime/kernels/*.c)
LEVELS   = 2 3 4
STDLIB   = $(wildcard stdlib/*.nn stdlib/*/*.nn)

obj = $(patsubst %.c,$(BUILD)/%.o,$(1))
COMPILER_OBJ = $(call obj,$(COMPILER)) $(BUILD)/nn.tab.o $(BUILD)/nn.lex.o $(BUILD)/stdlib.o $(BUILD)/errors.o
CORE_OBJ     = $(call obj,$(CORE))
TRAINER_OBJ  = $(call obj,$(TRAINER))

.PHONY: all demo check check-full deps deps-test bless bench fmt fmt-check size clean help
all: $(BUILD)/nnc $(BUILD)/nnc-llvm.so $(BUILD)/libnnrt.a

# ---- the compiler
$(BUILD)/oplist.h: $(OPS)
	@mkdir -p $(@D)
	@sed -n 's/^OP(\([a-z0-9_]*\) *).*/X(\1)/p' $(sort $(OPS)) > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(BUILD)/passes.def: compiler/passes.def
	@mkdir -p $(@D)
	@cp $< $@
$(BUILD)/nn.tab.c $(BUILD)/nn.tab.h &: lang/nn.y
	@mkdir -p $(@D)
	$(call SHORT,bison $<)bison -Wall -Werror --defines=$(BUILD)/nn.tab.h -o $(BUILD)/nn.tab.c $<
$(BUILD)/nn.lex.c $(BUILD)/nn.lex.h &: lang/nn.l
	@mkdir -p $(@D)
	$(call SHORT,flex $<)flex --header-file=$(BUILD)/nn.lex.h -o $(BUILD)/nn.lex.c $<
# Generated C: our warnings are not the generators'.
$(BUILD)/nn.%.o: $(BUILD)/nn.%.c $(BUILD)/nn.tab.h $(BUILD)/nn.lex.h
	$(call SHORT,cc $<)$(CC) $(CPPFLAGS) $(CFLAGS) -Wno-error -w -MMD -MP -c $< -o $@
$(BUILD)/stdlib.c: $(STDLIB) Makefile
	@mkdir -p $(@D)
	@{ echo '#include "pass/elaborate.h"'; \
	  for f in $(STDLIB); do n=$$(echo $$f | sed 's|^stdlib/||; s|\.nn$$||; s|/|_|g'); \
	    printf 'static const char text_%s[] = {' $$n; od -An -v -tu1 $$f | sed 's/  */,/g; s/^,//; s/$$/,/'; echo '0};'; done; \
	  echo 'const StdlibFile stdlib_files[] = {'; \
	  for f in $(STDLIB); do p=$$(echo $$f | sed 's|^stdlib/||; s|\.nn$$||'); n=$$(echo $$p | sed 's|/|_|g'); \
	    echo "{\"$$p\", text_$$n, sizeof text_$$n - 1},"; done; \
	  echo '{0, 0, 0}};'; } > $@
$(BUILD)/errors.c: lang/ERRORS.md
	@mkdir -p $(@D)
	@{ echo '#include "tools/tools.h"'; echo 'const char errors_text[] = {'; \
	  od -An -v -td1 $< | sed 's/  */,/g; s/^,//; s/$$/,/'; echo '0};'; } > $@
$(BUILD)/errors.o: $(BUILD)/errors.c
	$(call SHORT,cc $<)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@
$(BUILD)/stdlib.o: $(BUILD)/stdlib.c
	$(call SHORT,cc $<)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@
$(BUILD)/compiler/%.o: compiler/%.c $(BUILD)/oplist.h $(BUILD)/passes.def
	@mkdir -p $(@D)
	$(call SHORT,cc $<)$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -MMD -MP -c $< -o $@
$(BUILD)/compiler/llvm/%.o: compiler/llvm/%.c $(BUILD)/oplist.h $(BUILD)/passes.def
	@mkdir -p $(@D)
	$(call SHORT,cc $<)$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -isystem $(shell $(LLVM_CONFIG) --includedir) -MMD -MP -c $< -o $@
$(BUILD)/lang/%.o: lang/%.c $(BUILD)/oplist.h $(BUILD)/passes.def $(BUILD)/nn.tab.h
	@mkdir -p $(@D)
	$(call SHORT,cc $<)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

# Kernels as bitcode, one per CPU level: nothing is decided before shapes are known. Always compiled for
# v4, so that 16-lane arguments are values at every level; the code generator puts its own target in the
# place of this one, and NNRT_LEVEL says which it will be. Variables become values already here, and all
# is one function but for what is LATE: then what a constant argument makes dead is dropped while it is
# inlined.
$(BUILD)/kernels-v%.bc: $(KERNELS) Makefile $(wildcard runtime/kernels/*.h runtime/include/*.h)
	@mkdir -p $(BUILD)/bc-v$*
	$(call SHORT,kernels $*)for k in $(KERNELS); do $(CLANG) -std=c11 -O2 -Xclang -disable-llvm-passes -ffp-contract=off \
	  -fno-math-errno -fno-trapping-math -march=x86-64-v4 -DNNRT_LEVEL=$* -fPIC -Iruntime/include -Iruntime/kernels \
	  -Wall -Wextra -Werror -emit-llvm -c $$k -o $(BUILD)/bc-v$*/$$(basename $$k .c).bc || exit 1; done
	@llvm-link-19 $(BUILD)/bc-v$*/*.bc | opt-19 -passes='always-inline,function(sroa,early-cse,simplifycfg),globaldce' -o $@
$(BUILD)/kernels.o: $(LEVELS:%=$(BUILD)/kernels-v%.bc)
	@cd $(BUILD) && { for l in $(LEVELS); do echo ".global kernels_v$$l, kernels_v$${l}_end"; \
	  echo "kernels_v$$l: .incbin \"kernels-v$$l.bc\""; echo "kernels_v$${l}_end: .byte 0"; done; \
	  echo '.section .note.GNU-stack,"",@progbits'; } | $(CC) -x assembler -c - -o kernels.o

$(BUILD)/nnc: $(COMPILER_OBJ) $(call obj,compiler/main.c compiler/options.c) $(CORE_OBJ)
	$(call SHORT,link $@)$(CC) $(SAN_FLAGS) -rdynamic $^ -o $@ -lz -ldl -lm -lpthread
$(BUILD)/nnc-llvm.so: $(call obj,$(LLVM_SRC)) $(BUILD)/kernels.o
	$(call SHORT,link $@)$(CC) $(SAN_FLAGS) -shared $^ -o $@ $(shell $(LLVM_CONFIG) --ldflags --libs) -lpthread

# ---- the runtime
$(BUILD)/runtime/%.o: runtime/%.c
	@mkdir -p $(@D)
	$(call SHORT,cc $<)$(CC) -Iruntime/include -Iruntime/trainer -Iruntime/core $(CFLAGS) -fPIC -MMD -MP -c $< -o $@
$(BUILD)/libnnrt.a: $(CORE_OBJ) $(TRAINER_OBJ)
	@rm -f $@
	$(call SHORT,ar $@)ar rcs $@ $^

# ---- packages
MISSING = $(shell for p in $(1); do dpkg -s $$p >/dev/null 2>&1 || echo $$p; done)
INSTALL = @missing="$(call MISSING,$(1))"; [ -z "$$missing" ] || { \
  if [ "$$(id -u)" = 0 ]; then sudo=; else sudo=$$(command -v sudo); fi; \
  if { [ "$$(id -u)" = 0 ] || [ -n "$$sudo" ]; } && command -v apt-get >/dev/null; then \
    echo "installing $$missing" && $$sudo apt-get update -qq && \
    DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
  else echo "Missing packages. As root, type:"; echo "  apt-get install $$missing"; exit 1; fi; }
deps:
	$(call INSTALL,$(PACKAGES))
deps-test: deps
	$(call INSTALL,$(TEST_PACKAGES))

# ---- what a user tries first
demo: deps
	@$(MAKE) --no-print-directory -j2 all
	@mkdir -p $(BUILD)/demo
	$(BUILD)/nnc examples/digits/digits.nn -o $(BUILD)/demo/digits
	$(BUILD)/demo/digits --out $(BUILD)/demo/digits.safetensors
	$(BUILD)/demo/digits eval --load $(BUILD)/demo/digits.safetensors
	$(BUILD)/demo/digits predict --load $(BUILD)/demo/digits.safetensors --limit 5

# ---- tests
UNIT = $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(shell grep -l '^int main' tests/unit/*.c 2>/dev/null))
UNIT_LIB = $(patsubst %.c,$(BUILD)/%.o,$(shell grep -L '^int main' tests/unit/*.c 2>/dev/null))
$(BUILD)/tests/unit/%.o: tests/unit/%.c $(BUILD)/oplist.h $(BUILD)/passes.def
	@mkdir -p $(@D)
	$(call SHORT,cc $<)$(CC) $(CPPFLAGS) $(CFLAGS) -Itests/unit -MMD -MP -c $< -o $@
$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(UNIT_LIB) $(COMPILER_OBJ) $(BUILD)/libnnrt.a
	$(call SHORT,link $@)$(CC) $(SAN_FLAGS) -rdynamic $^ -o $@ -lz -lpng -ldl -lm -lpthread
.PRECIOUS: $(BUILD)/tests/unit/%.o
# Kernels in C: each test is built from the kernel's source, once per CPU level.
KERNEL_TESTS = $(foreach l,$(LEVELS),$(patsubst tests/kernels/%.c,$(BUILD)/tests/kernels/%-v$(l),$(wildcard tests/kernels/*.c)))
KERNEL_CC = $(CLANG) -std=gnu11 -O2 -g -ffp-contract=off -fno-math-errno -fno-trapping-math -mprefer-vector-width=512 \
  -Wall -Wextra -Werror -Wno-psabi -Wno-pass-failed -Iruntime/include -MMD $(SAN_FLAGS)
$(BUILD)/tests/kernels/%-v2 $(BUILD)/tests/kernels/%-v3 $(BUILD)/tests/kernels/%-v4: tests/kernels/%.c
	@mkdir -p $(@D)
	$(call SHORT,cc $@)for l in $(LEVELS); do $(KERNEL_CC) -march=x86-64-v$$l $< -o $(@D)/$*-v$$l -lm || exit 1; done
check: deps-test
	@$(MAKE) --no-print-directory -j2 all tests
	@BUILD=$(BUILD) sh tests/run.sh
check-full: deps-test
	@$(MAKE) --no-print-directory -j2 all tests
	@BUILD=$(BUILD) sh tests/run.sh --full
tests: $(UNIT) $(KERNEL_TESTS)
.PHONY: tests
bless: all
	BUILD=$(BUILD) sh tests/run.sh --bless $(T)
bench: deps-test all
	BUILD=$(BUILD) python3 tests/bench/bench.py
$(BUILD)/tests/bench/products: tests/bench/products.c tests/bench/measure.h $(KERNELS) runtime/kernels/kernel.h \
  $(CORE_OBJ)
	@mkdir -p $(@D)
	$(call SHORT,cc $<)$(KERNEL_CC) -D_GNU_SOURCE -DLATE=KERNEL -march=native $< $(CORE_OBJ) -o $@ -lopenblas -lm -lpthread
bench-kernels: $(BUILD)/tests/bench/products
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $<
# Needs libdnnl-dev. Tiles are constants of the kernels that are measured: printed first.
SHAPES =
CONV_BENCH = tests/bench/convolutions
$(BUILD)/tests/bench/tiles: $(CONV_BENCH)/tiles.c $(CONV_BENCH)/shapes.h runtime/include/nnrt_direct.h
	@mkdir -p $(@D)
	$(call SHORT,cc $@)$(CC) -Iruntime/include $< -o $@
$(BUILD)/tests/bench/tiles.h: $(BUILD)/tests/bench/tiles FORCE
	@$< $(SHAPES) > $@.new && { cmp -s $@.new $@ || cp $@.new $@; }
$(BUILD)/tests/bench/convolutions-%.o: $(CONV_BENCH)/%.c $(wildcard $(CONV_BENCH)/*.h) $(BUILD)/tests/bench/tiles.h \
  tests/bench/measure.h $(KERNELS) $(wildcard runtime/kernels/*.h)
	$(call SHORT,cc $<)$(KERNEL_CC) -I$(@D) -DLATE=KERNEL -march=native -c $< -o $@
$(BUILD)/tests/bench/convolutions: $(foreach f,table direct filter product winograd,$(BUILD)/tests/bench/convolutions-$f.o)
	$(CC) $^ -o $@ -ldnnl -lm
bench-convolutions: $(BUILD)/tests/bench/convolutions
	OMP_NUM_THREADS=1 $<
.PHONY: bench-kernels bench-convolutions FORCE
fmt:
	clang-format -i $$(git ls-files '*.c' '*.h')
fmt-check:
	clang-format --dry-run -Werror $$(git ls-files '*.c' '*.h')
size: all
	size $(BUILD)/nnc $(BUILD)/nnc-llvm.so $(BUILD)/libnnrt.a
help:
	@sed -n 's/^# make/make/p' Makefile
	@echo 'make check-full  the tests with full training runs on real data (NN_DATA=DIR)'
	@echo 'make bless T=x   rewrites the golden files whose path contains x'
	@echo 'make bench       side by side with PyTorch; make fmt, fmt-check, size, clean'

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
clean:
	rm -rf build
