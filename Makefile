# GNU make. `make help` lists the targets; ./configure wrote config.mak and config.h into the folder you build in.
# Everything made goes under $(O), apart from ./corering.

VERSION = 0.1.0

-include config.mak
ifndef srcdir
ifneq ($(MAKECMDGOALS),help)
$(error run ./configure first)
endif
srcdir = .
endif

O = obj
V =
Q = $(if $(V),,@)
quote = '$(subst ','\'',$(1))'
say = $(if $(V),,@printf '  %-6s %s\n' $(1) $@)

# The program of the ordinary build stands at hand; those of asan-% and the like stay in their own folder.
BIN = $(if $(filter obj,$(O)),corering,$(O)/corering)
LIB = $(O)/libcorering.a
TWIN = $(if $(filter yes,$(STATIC)),$(O)/corering-static)

.DEFAULT_GOAL = all
.DELETE_ON_ERROR:
.SUFFIXES:

# ---- sources

sources = $(patsubst $(srcdir)/%,%,$(wildcard $(srcdir)/$(1)))

absent = $(if $(filter yes,$(AVX2)),,%_avx2.c) $(if $(filter yes,$(AVX512)),,%_avx512.c) \
         $(if $(filter yes,$(NEON)),,%_neon.c) \
         $(if $(filter x86_64,$(MACHINE)),,%_x86.c) $(if $(filter aarch64,$(MACHINE)),,%_aarch64.c)
SIMD = $(filter-out $(absent),$(call sources,simd/*.c))
# The scalar reference is compiled twice, without and with FMA instructions: the same bits, at different speeds.
REF_FMA = $(if $(filter yes,$(FMA)),$(patsubst %.c,%_fma.o,$(filter %_ref.c,$(SIMD))))
LIB_OBJS = $(addprefix $(O)/,$(patsubst %.c,%.o,$(SIMD) $(call sources,dist/*.c) $(call sources,core/*.c)) $(REF_FMA))

NETS = $(call sources,apps/nets/*.net)
RECIPES = $(call sources,apps/recipes/*.recipe)
EXAMPLES = $(call sources,apps/examples/*)
GET = $(call sources,datasets/get)
SCRIPTS_INSIDE = $(call sources,datasets/get)
MAN = $(call sources,apps/man/*.1)
APP_OBJS = $(O)/apps/builtin_texts.o $(patsubst %.c,$(O)/%.o,$(call sources,apps/*.c))
CHECK_OBJS = $(patsubst %.c,$(O)/%.o,$(call sources,tests/*.c))

# ---- flags

# The user's CFLAGS have the last word on speed and warnings; EXACT, after them, on arithmetic. Neither reaches the link.
WARNINGS = -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes \
           -Wpointer-arith -Wcast-qual -Wvla -Wundef -Wformat=2
ISA_FLAGS =
# Without debugging information, which takes gcc a sixth of the time of a build: CFLAGS=-g has it all.
COMPILE = $(CC) -I. -I$(srcdir) -I$(O) -O2 $(WARNINGS) -pthread $(CFLAGS) $(EXACT) $(ISA_FLAGS)
LINK = $(CC) $(LDFLAGS) -fopenmp -pthread
LIBS = $(ZLIB_LIBS) $(SODIUM_LIBS) $(MPI_LIBS) -lm

$(O)/simd/%_avx2.o: private ISA_FLAGS = -mavx2 -mfma -mprfchw
$(O)/simd/%_avx512.o: private ISA_FLAGS = -mavx512f -mavx512dq -mavx512bw -mavx512vl -mavx2 -mfma -mprfchw -mprefer-vector-width=512
$(O)/simd/%_x86.o: private ISA_FLAGS = -msse4.2 -mpclmul
$(O)/simd/crc32c_avx512.o: private ISA_FLAGS = -mavx512f -mvpclmulqdq
$(O)/simd/%_aarch64.o: private ISA_FLAGS = -march=armv8-a+crc+crypto
$(O)/simd/%_ref_fma.o: private ISA_FLAGS = -mfma -DCR_REF_FMA
$(O)/core/%.o: private ISA_FLAGS = -fopenmp
$(O)/dist/mpi.o: private ISA_FLAGS = $(MPI_CFLAGS)
$(O)/apps/bench_%.o: private ISA_FLAGS = -fopenmp
$(O)/tests/%.o: private ISA_FLAGS = -fopenmp $(CHECK_CFLAGS)

# ---- building

## all: the program ./corering, the library and the static program (the default)
all: $(LIB) $(BIN) $(TWIN)

$(LIB): $(LIB_OBJS)
	$(call say,AR)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BIN): $(APP_OBJS) $(LIB)
	$(call say,LINK)
	$(Q)$(LINK) $^ $(LIBS) -o $@

# Where libsodium is there for ordinary linking only, the static program has a seal.o that does without; likewise MPI,
# which always is.
INSTEAD = $(if $(filter $(STATIC_SODIUM),$(if $(SODIUM_LIBS),yes,no)),,$(O)/dist/seal_static.o) \
          $(if $(MPI_LIBS),$(O)/dist/mpi_static.o)
$(O)/dist/%_static.o: private ISA_FLAGS = -DCR_NO_SODIUM -DCR_NO_MPI
$(O)/dist/%_static.o: $(srcdir)/dist/%.c $(O)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(COMPILE) -MMD -MP -c $< -o $@

$(O)/corering-static: $(APP_OBJS) $(INSTEAD) $(LIB)
	$(call say,LINK)
	$(Q)$(LINK) -s $(STATIC_FLAGS) $^ $(STATIC_LIBS) -lm -o $@

$(O)/%.o: $(srcdir)/%.c $(O)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(COMPILE) -MMD -MP -c $< -o $@

$(O)/%.o: $(O)/%.c $(O)/flags
	$(call say,CC)
	$(Q)$(COMPILE) -MMD -MP -c $< -o $@

$(O)/simd/%_ref_fma.o: $(srcdir)/simd/%_ref.c $(O)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(COMPILE) -MMD -MP -c $< -o $@

# Other flags, other objects: this file changes with them.
$(O)/flags: FORCE
	@mkdir -p $(@D)
	@echo $(call quote,$(COMPILE)) | cmp -s - $@ || echo $(call quote,$(COMPILE)) >$@

# VERSION, and the commit where there is one: 0.1.0+799f4f8.
$(O)/version.h: FORCE
	@mkdir -p $(@D)
	@commit=$$(test -e $(srcdir)/.git && git -C $(srcdir) describe --always --dirty 2>/dev/null); \
	case $$commit in ''|v$(VERSION)) ;; *) commit=+$$commit ;; esac; \
	line="#define CR_VERSION \"$(VERSION)$${commit#v$(VERSION)}\""; \
	echo "$$line" | cmp -s - $@ || echo "$$line" >$@

# The texts of nets, recipes and scripts as C strings; ? is escaped against trigraphs.
$(O)/apps/builtin_texts.c: $(addprefix $(srcdir)/,$(NETS) $(RECIPES) $(SCRIPTS_INSIDE) Makefile)
	@mkdir -p $(@D)
	$(call say,TEXT)
	@{ echo '#include "apps/builtin.h"'; \
	   array() { \
	       printf '\nconst struct cr_builtin %s[] = {\n' $$1; shift; \
	       for file; do \
	           name=$${file##*/}; printf '    { "%s",\n      ""\n' "$${name%.*}"; \
	           sed 's/[\\"?]/\\&/g; s/.*/      "&\\n"/' "$$file"; printf '    },\n'; \
	       done; \
	       printf '    { 0, 0 },\n};\n'; \
	   }; \
	   array cr_builtin_nets $(addprefix $(srcdir)/,$(NETS)); \
	   array cr_builtin_recipes $(addprefix $(srcdir)/,$(RECIPES)); \
	   array cr_builtin_scripts $(addprefix $(srcdir)/,$(SCRIPTS_INSIDE)); } >$@

# Whatever may include version.h needs it before its first compilation; later, the .d files know.
$(APP_OBJS) $(CHECK_OBJS): | $(O)/version.h

-include $(patsubst %.o,%.d,$(LIB_OBJS) $(APP_OBJS) $(CHECK_OBJS))

# A changed configure runs again, with the arguments of the last time.
ifdef MACHINE
config.mak: $(srcdir)/configure
	$(srcdir)/configure $(CONFIGURE_ARGS)
endif

# ---- testing

# The parts of the program, for tests of them: an archive, so that each test pulls in what it uses.
$(O)/tests/apps.a: $(filter-out $(O)/apps/main.o,$(APP_OBJS))
	@mkdir -p $(@D)
	$(call say,AR)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(O)/tests/check: $(CHECK_OBJS) $(O)/tests/apps.a $(LIB)
	$(call say,LINK)
	$(Q)$(LINK) $^ $(CHECK_LIBS) $(LIBS) -o $@

CHECK_PROGRAM = $(if $(filter yes,$(CHECK)),$(O)/tests/check)
need-libcheck:
ifneq ($(CHECK),yes)
	@echo "the tests need libcheck, which configure did not find; ./configure --install-deps installs it" >&2; exit 1
endif

RUN_TESTS = CORERING=$(abspath $(BIN)) OBJ=$(abspath $(O)) SRCDIR=$(abspath $(srcdir)) EMULATOR='$(EMULATOR)' \
            CC='$(CC)' SUITES='$(SUITES)' SCRIPTS='$(SCRIPTS)'

## check: all tests; SUITES="net rng" runs only these suites, SCRIPTS="cli" only these scripts of tests/
check: need-libcheck all $(CHECK_PROGRAM)
	@$(RUN_TESTS) $(srcdir)/tests/run

## check-fast: the suites of tests/check_*.c alone; SUITES= as above
check-fast: need-libcheck $(CHECK_PROGRAM)
	@$(RUN_TESTS) $(srcdir)/tests/run --fast

## acceptance: the figures the project promises, a row each; ROWS="02 07" runs only these
acceptance: all
	@$(RUN_TESTS) $(srcdir)/tests/acceptance $(ROWS)

## demo: train LeNet-5 on MNIST and show what it learnt, in under a minute
demo: all
	@CORERING=./$(BIN) OBJ=$(O) SRCDIR=$(srcdir) $(srcdir)/apps/demo

## check-peers: compare with other frameworks, live: tests/peers/* (PyTorch: python3-torch)
check-peers: all
	@for peer in $(filter-out $(srcdir)/tests/peers/bench_%,$(wildcard $(srcdir)/tests/peers/*)); do $(RUN_TESTS) "$$peer" || exit 1; done

## bench: how fast it is here, beside the machine's measured peak
bench: all
	@for what in peak conv gemm 'step lenet5' 'step lenet5 -b 1' 'step lenet5-relu -b 128 -t 1' \
	    'step $(srcdir)/tests/peers/bench_conv3.net'; do \
	    echo; echo "# corering bench $$what"; ./$(BIN) bench $$what || exit 1; done

## bench-peers: corering and installed peers in turn, written to BENCHMARKS.md; ROUNDS=7 ROWS="1 5"
bench-peers: all
	@$(RUN_TESTS) $(srcdir)/tests/peers/bench_peers.py --rounds $(or $(ROUNDS),7) --rows '$(ROWS)' \
	    --write $(srcdir)/BENCHMARKS.md

ASAN = -g1 -fsanitize=address -fno-omit-frame-pointer
UBSAN = -g1 -fsanitize=undefined -fno-sanitize-recover=all
TSAN = -g1 -fsanitize=thread
SANITIZED = $(MAKE) O=obj-$(1) STATIC=no CFLAGS=$(call quote,$(CFLAGS) $(2)) LDFLAGS=$(call quote,$(LDFLAGS) $(2)) $*
## asan-TARGET: make TARGET with address checks, in obj-asan
asan-%:
	+$(call SANITIZED,asan,$(ASAN))
## ubsan-TARGET: make TARGET with checks for undefined behaviour, in obj-ubsan
ubsan-%:
	+$(call SANITIZED,ubsan,$(UBSAN))
## tsan-TARGET: make TARGET with data-race checks, in obj-tsan (clang: gcc's OpenMP library hides its barriers)
tsan-%:
	+$(call SANITIZED,tsan,$(TSAN))

# ---- installing

# What a program that uses the library may include: not the insides of kernels.
HEADERS = $(filter-out simd/vec_%.h simd/ref.h %_tmpl.h,$(foreach d,simd dist core,$(call sources,$(d)/*.h)))

bindir = $(prefix)/bin
libdir = $(prefix)/lib
includedir = $(prefix)/include
mandir = $(prefix)/share/man
datadir = $(prefix)/share/corering
libexecdir = $(prefix)/libexec/corering

# Pairs FROM>TO of all that is installed; install and uninstall both go by this list.
INSTALLED = $(BIN)>$(bindir)/corering $(LIB)>$(libdir)/libcorering.a \
            $(O)/corering.pc>$(libdir)/pkgconfig/corering.pc \
            $(if $(TWIN),$(TWIN)>$(libexecdir)/corering-static) \
            $(foreach f,$(HEADERS),$(srcdir)/$(f)>$(includedir)/corering/$(f)) \
            $(foreach f,$(MAN),$(srcdir)/$(f)>$(mandir)/man1/$(notdir $(f))) \
            $(foreach f,$(NETS),$(srcdir)/$(f)>$(datadir)/nets/$(notdir $(f))) \
            $(foreach f,$(RECIPES),$(srcdir)/$(f)>$(datadir)/recipes/$(notdir $(f))) \
            $(foreach f,$(EXAMPLES),$(srcdir)/$(f)>$(datadir)/examples/$(notdir $(f)))

## install: put program, library, headers, man pages, nets, recipes and examples under --prefix; DESTDIR=DIR in front
install: all $(O)/corering.pc
	@for pair in $(foreach p,$(INSTALLED),'$(p)'); do \
	    from=$${pair%%>*} to="$(DESTDIR)$${pair#*>}" mode=644; test ! -x "$$from" || mode=755; \
	    echo "  INSTALL $$to"; mkdir -p "$${to%/*}" && install -m $$mode "$$from" "$$to" || exit 1; \
	done

## uninstall: remove what install put there, and nothing else
uninstall:
	@for pair in $(foreach p,$(INSTALLED),'$(p)'); do \
	    to="$(DESTDIR)$${pair#*>}"; echo "  RM     $$to"; rm -f "$$to" || exit 1; \
	done
	@for d in $(includedir)/corering/simd $(includedir)/corering/dist $(includedir)/corering/core \
	    $(includedir)/corering $(datadir)/nets $(datadir)/recipes $(datadir)/examples $(datadir); do \
	    test ! -d "$(DESTDIR)$$d" || rmdir "$(DESTDIR)$$d" || exit 1; \
	done

$(O)/corering.pc: Makefile config.mak
	@mkdir -p $(@D)
	@printf '%s\n' 'Name: corering' 'Description: bit-reproducible training of convolutional networks on CPUs' \
	    'Version: $(VERSION)' 'Cflags: -I$(includedir)/corering' \
	    'Libs: -L$(libdir) -lcorering -fopenmp -pthread $(LIBS)' >$@

## dist: the source of the last commit as corering-VERSION.tar.gz
dist:
	$(Q)git -C $(srcdir) archive --prefix=corering-$(VERSION)/ HEAD | gzip -9n >corering-$(VERSION).tar.gz
	@echo corering-$(VERSION).tar.gz

## clean: remove what make made
clean:
	rm -rf obj obj-asan obj-ubsan obj-tsan corering

## showconfig: what configure found and which flags are used
showconfig:
	@cat config.mak
	@echo $(call quote,COMPILE = $(COMPILE))
	@echo 'LINK = $(LINK) ... $(LIBS)'

## help: this list
help:
	@sed -n 's/^## \([^:]*\): /\1@/p' $(srcdir)/Makefile | while IFS=@ read -r t d; do \
	    printf '  %-14s %s\n' "$$t" "$$d"; done
	@echo '  V=1            show the commands'

FORCE:
.PHONY: FORCE all check check-fast need-libcheck acceptance check-peers bench bench-peers demo install uninstall dist clean \
        showconfig help
