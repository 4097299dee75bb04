# vecx: vectors in PostgreSQL.
#
#   make && make install    build and install, as for any extension
#   make test               set up what is missing, build, run every test
#   make demo               try it on 10,000 papers in a server of its own
#   make demo-stop          stop that server and remove its files
#
# docs/hacking.md describes the other targets.

EXTENSION = vecx
EXTVERSION = 0.1.0
MODULE_big = vecx

sources = $(wildcard src/*.c src/*/*.c)
headers = $(wildcard src/*.h src/*/*.h)
OBJS = $(sources:.c=.o)
HEADERS_vecx = src/types/vec.h

install_parts = $(sort $(wildcard sql/install/*.sql))
install_script = sql/$(EXTENSION)--$(EXTVERSION).sql
DATA_built = $(install_script)
DATA = $(wildcard sql/update/*.sql)

PG_CPPFLAGS = -I$(srcdir)/src
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers \
	-Wno-sign-compare -Wshadow=local $(if $(WERROR),-Werror)
SHLIB_LINK += $(filter -lm -ldl, $(LIBS))

REGRESS = $(filter-out $(EXTENSION)--%, $(patsubst sql/%.sql,%,$(wildcard sql/*.sql)))
REGRESS_OPTS = --inputdir=$(srcdir) --load-extension=$(EXTENSION) --encoding=UTF8 --no-locale
ISOLATION = $(patsubst test/isolation/specs/%.spec,%,$(wildcard test/isolation/specs/*.spec))
ISOLATION_OPTS = --inputdir=$(srcdir)/test/isolation --load-extension=$(EXTENSION)
TAP_TESTS = 1
PROVE_TESTS ?= test/t/*.pl
EXTRA_CLEAN = build results output_iso regression.diffs regression.out

PG_CONFIG ?= pg_config
PGXS := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))

ifneq ($(PGXS),)

include $(PGXS)

PG_PROVE_FLAGS += -I $(srcdir)/test/lib

# These two folders are pure C over fixed-width numbers, where a silent
# conversion is most often a mistake.
src/kernel/%.o src/code/%.o: CFLAGS += -Wconversion -Wno-sign-conversion

# Nobody reads errno after a square root, nor waits for a signal of the processor:
# without these, loops over floats are not made of vectors.
src/kernel/%.o src/code/%.o: CFLAGS += -fno-math-errno -fno-trapping-math
# At -O2, which PostgreSQL is usually built with, GCC makes vectors only of loops whose length
# it knows.  The loops of training are of lengths that it does not.
loops_as_vectors := $(if $(filter -O2,$(CFLAGS)),-O3)
src/code/%.o: CFLAGS += $(loops_as_vectors)

# PostgreSQL builds without --enable-depend know nothing of headers.
$(OBJS) $(OBJS:.o=.bc): $(headers)

$(install_script): $(install_parts) Makefile
	cat $(install_parts) > $@

else

# Without PostgreSQL's makefiles there is nothing to build with, but the
# targets below can install them.
all install installcheck clean:
	@echo "$(PG_CONFIG) does not lead to PostgreSQL's extension makefiles:" \
		"install postgresql-server-dev-15 (or of your version), or set PG_CONFIG" >&2
	@exit 1

endif

# Everything from here on works on a machine without PostgreSQL: the scripts
# first run test/tools/setup and then call make again.
test_groups = test-checks test-unit test-regress test-isolation test-tap
export PG_CONFIG TESTS SOAK_SECONDS

test:
	@MAKE='$(MAKE)' test/run

$(test_groups):
	@MAKE='$(MAKE)' test/run $(@:test-%=%)

# SOAK_SECONDS=600 is the default
soak:
	@MAKE='$(MAKE)' test/run soak

demo:
	@MAKE='$(MAKE)' demo/run start

demo-stop:
	@demo/run stop

.PHONY: all install installcheck clean test $(test_groups) soak demo demo-stop
