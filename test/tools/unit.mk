# unit.mk: builds the programs in test/unit over the layers that are plain C,
# src/kernel and src/code: once as they are shipped, once with sanitizers.
#
#   make -f test/tools/unit.mk [TESTS="test_a test_b"]

CC = gcc
OUT = build/unit
TESTS = $(basename $(notdir $(wildcard test/unit/test_*.c)))
FLAVOURS = plain sanitized

plain_flags = -O2
sanitized_flags = -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
flags = -std=gnu99 -g -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers \
	-Wno-sign-compare -Isrc -Itest/unit -MMD -MP $(if $(WERROR),-Werror)

sources = $(wildcard src/kernel/*.c src/code/*.c)

all: $(foreach flavour,$(FLAVOURS),$(TESTS:%=$(OUT)/$(flavour)/%))

# objects, a library of them, and the programs of one flavour
define flavour_rules
$(OUT)/$(1)/%.o: %.c test/tools/unit.mk
	@mkdir -p $$(@D)
	$$(CC) $$(flags) $$($(1)_flags) -c -o $$@ $$<

$(OUT)/$(1)/pure.a: $(sources:%.c=$(OUT)/$(1)/%.o)
	@rm -f $$@
	ar rcs $$@ $$^

$(OUT)/$(1)/test_%: $(OUT)/$(1)/test/unit/test_%.o $(OUT)/$(1)/pure.a
	$$(CC) $$($(1)_flags) -o $$@ $$^ -lm
endef
$(foreach flavour,$(FLAVOURS),$(eval $(call flavour_rules,$(flavour))))

-include $(shell find $(OUT) -name '*.d' 2>/dev/null)

.PHONY: all
.SECONDARY:
