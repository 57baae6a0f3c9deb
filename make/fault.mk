# The fault harnesses of tests/fault, long: `make test` runs the same programs for seconds each. Lack of
# memory is looked at with the sanitizers, which see what leaks.
FAULT_SECONDS ?= 7200

fault_src := $(sort $(wildcard tests/fault/test_*.c))
fault_bin := $(fault_src:%.c=$(B)/%)
torture   := tests/fault/test_torture tests/fault/test_torture_wire

.PHONY: fault fault-bin
fault-bin: $(fault_bin)
fault: deps-test peers
	$(Q)$(MAKE) -j$(JOBS) B=build CC=gcc all fault-bin helper-bin
	$(Q)$(MAKE) -j$(JOBS) B=$(SANB) CC=clang SAN=address $(torture:%=$(SANB)/%)
	$(Q){ $(foreach t,$(filter-out $(torture),$(fault_src:%.c=%)),echo "build/$(t)";) \
	      $(foreach t,$(torture),echo "$(SAN_ENV) $(SANB)/$(t)";) \
	      $(foreach t,$(sort $(wildcard tests/fault/test_*.sh)) \
	                 tests/peers/test_tokens.sh,echo "$(t)";) } | \
	  FAULT_LONG=1 TEST_SECONDS_MAX=$(FAULT_SECONDS) PARLEY_BUILD=build tests/run.sh build/fault
