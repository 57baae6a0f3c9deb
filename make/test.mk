# Tests. Each tests/{unit,contract}/test_*.c is one cmocka program that prints TAP; so does each script in
# tests/cli, tests/talk, tests/fault, tests/peers. tests/run.sh runs them and adds up.
#
#   build      gcc, optimised: the product; command line, talk, fault and peer tests run against it
#   build-san  clang with ASan and UBSan: unit, contract, talk and embedding tests
#   build-fuzz clang with libFuzzer
SANB     := build-san
FUZZB    := build-fuzz
JOBS     ?= $(shell nproc)
SAN_ENV  := ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1

unit_src := $(sort $(wildcard tests/unit/test_*.c tests/contract/test_*.c tests/talk/test_*.c \
                              tests/fault/test_*.c))
unit_bin := $(unit_src:%.c=$(B)/%)
cli_test_obj := $(patsubst %,$(B)/%,$(filter-out engine/cli/main.o,$(cli_src:.c=.o)))

$(B)/tests/%: tests/%.c $(inner) $(if $(whole),$(cli_test_obj)) $(stamp)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests -MMD -MP $(LDFLAGS_) -o $@ $< $(if $(whole),$(cli_test_obj)) $(inner) \
	    $(PKG_LIBS) -lcmocka -lm $(if $(whole),-ledit)

# What a test in another language has in C.
helper_src := tests/peers/tokens_compare.c
helper_bin := $(helper_src:%.c=$(B)/%)

-include $(unit_bin:=.d) $(helper_bin:=.d)

# One test while working on a room:  make unit ROOMS="base model" T=test_json
.PHONY: unit unit-bin helper-bin
helper-bin: $(helper_bin)
unit-bin: $(unit_bin)
unit: $(if $(T),$(filter %/$(T),$(unit_bin)),$(unit_bin))
	$(Q)for t in $^; do CMOCKA_MESSAGE_OUTPUT=TAP $$t || exit 1; done

# ---- fuzzing

fuzz_src := $(sort $(wildcard tests/fuzz/fuzz_*.c))
fuzz_bin := $(fuzz_src:%.c=$(B)/%)
FUZZ_SECONDS ?= 600

$(B)/tests/fuzz/%: tests/fuzz/%.c $(inner) $(stamp)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests -fsanitize=fuzzer -Wno-missing-prototypes $(LDFLAGS_) -o $@ $< \
	    $(inner) $(PKG_LIBS)

.PHONY: fuzz-bin fuzz
fuzz-bin: $(fuzz_bin)
fuzz: deps-test
	$(Q)$(MAKE) -j$(JOBS) B=$(FUZZB) CC=clang SAN=fuzzer-no-link,address,undefined fuzz-bin
	$(Q)for f in $(fuzz_src:tests/fuzz/%.c=%); do \
	  tests/fuzz/run.sh $(FUZZB)/tests/fuzz/$$f $(FUZZ_SECONDS) || exit 1; done

# ---- everything

scripts_tests := $(sort $(wildcard tests/cli/test_*.sh tests/talk/test_*.sh tests/fault/test_*.sh \
                                   tests/peers/test_*.sh tests/header/test_*.sh tests/embed/test_*.sh))

.PHONY: test test-build test-list check
test: deps-test peers
	$(Q)$(MAKE) -j$(JOBS) test-build
	$(Q)$(MAKE) -s test-list | PARLEY_BUILD=build CC=gcc tests/run.sh build/test

test-build:
	$(Q)$(MAKE) B=build CC=gcc all helper-bin
	$(Q)$(MAKE) B=$(SANB) CC=clang SAN=address unit-bin $(SANB)/parley
	$(Q)$(MAKE) B=$(FUZZB) CC=clang SAN=fuzzer-no-link,address,undefined fuzz-bin

test-list:
	@echo lua5.4 tests/tidy.lua
	@$(foreach t,$(unit_src:%.c=%),echo "$(SAN_ENV) $(SANB)/$(t)";)
	@$(foreach f,$(fuzz_src:tests/fuzz/%.c=%),echo "tests/fuzz/run.sh $(FUZZB)/tests/fuzz/$(f) 8";)
	@$(foreach t,$(scripts_tests),echo "$(t)";)
	@echo "$(SAN_ENV) $(SANB)/parley test policies --format tap"

check: test
