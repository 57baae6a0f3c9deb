# What looks deeper than `make test`, and takes longer: what ThreadSanitizer and valgrind find, and which
# lines and branches the tests reach.
TSANB := build-tsan
VGB   := build-valgrind
COVB  := build-cov

# ---- check-deep
#
#   build-tsan      clang with ThreadSanitizer: every test program, the command line, and the program
#                   called many times at once
#   build-valgrind  gcc: unit, contract and talk tests and the command line under memcheck
#
# Left out, and why:
#   test_sandbox, test_sandbox_budget, test_sandbox_exact, test_sandbox_way, test_policy_lua, test_probes
#                        their scripts are stopped by time, which means nothing here; and ThreadSanitizer
#                        holds a timer's signal back until its thread makes a call, which a
#                        script that loops never does: so test_bad_input.sh runs under memcheck alone
#   test_oversize        measures how much memory the program takes
#   test_torture, test_torture_wire, test_sqlite_copying
#                        have a heap of their own in front of the tool's
#   test_pattern         under memcheck: Lua's own pattern tests, one thread, four minutes
#   test_sqlite_calls, test_sqlite_faults  under memcheck: open thousands of stores
#   the fault harnesses  under memcheck: processes that are killed, and time
# All of them run with ASan and UBSan in `make test`.
deep_off     := tests/unit/test_sandbox.c tests/unit/test_sandbox_budget.c tests/unit/test_sandbox_exact.c \
                tests/unit/test_sandbox_way.c tests/unit/test_policy_lua.c tests/fault/test_probes.c \
                tests/fault/test_oversize.c tests/fault/test_torture.c tests/fault/test_torture_wire.c \
                tests/unit/test_sqlite_copying.c
deep_thread  := $(filter-out $(deep_off),$(unit_src))
deep_vg      := $(filter-out tests/unit/test_pattern.c tests/unit/test_sqlite_calls.c \
                             tests/unit/test_sqlite_faults.c tests/fault/%,\
                             $(deep_thread))
deep_scripts := tests/cli/test_cli.sh tests/cli/test_first_minutes.sh tests/fault/test_doors.sh

.PHONY: check-deep deep-build deep-list
check-deep: deps-deep
	$(Q)$(MAKE) -j$(JOBS) deep-build
	$(Q)$(MAKE) -s deep-list | TEST_SECONDS_MAX=1200 tests/run.sh build/check-deep

deep-build:
	$(Q)$(MAKE) B=$(TSANB) CC=clang SAN=thread SLOW=10 unit-bin $(TSANB)/parley
	$(Q)$(MAKE) B=$(VGB) CC=gcc SLOW=50 unit-bin $(VGB)/parley

deep-list:
	@echo tests/deep/test_controls.sh
	@$(foreach t,$(deep_thread:%.c=%),echo "PARLEY_BUILD=$(TSANB) tests/deep/watch.sh thread $(TSANB)/$(t)";)
	@$(foreach t,$(deep_scripts),echo "PARLEY_BUILD=$(TSANB) tests/deep/watch.sh thread $(t)";)
	@$(foreach t,$(deep_vg:%.c=%),echo "PARLEY_BUILD=$(VGB) tests/deep/watch.sh valgrind $(VGB)/$(t)";)
	@$(foreach t,$(deep_scripts) tests/cli/test_bad_input.sh,\
	    echo "PARLEY_BUILD=$(VGB) tests/deep/watch.sh valgrind $(t)";)

# ---- coverage
#
# The same programs as in `make test`, but for what measures nothing of the engine (tidy, headers) and
# the fuzzers. What a branch is: tests/coverage.lua.
cov_tests := $(unit_src:%.c=$(COVB)/%) $(filter-out tests/header/%,$(scripts_tests))

.PHONY: coverage coverage-list coverage-report
coverage: deps-test peers
	$(Q)$(MAKE) -j$(JOBS) B=$(COVB) CC=clang COV=1 all unit-bin helper-bin
	$(Q)rm -rf $(COVB)/prof && mkdir -p $(COVB)/prof
	$(Q)failed=0; $(MAKE) -s coverage-list | PARLEY_BUILD=$(COVB) CC=clang tests/run.sh $(COVB)/test || \
	    failed=1; $(MAKE) -s coverage-report && [ $$failed = 0 ]

# A file for each process: numbers of processes come again, names of tests do not.
coverage-list:
	@$(foreach t,$(cov_tests),echo "LLVM_PROFILE_FILE=$(CURDIR)/$(COVB)/prof/$(notdir $(t))-%p%c.profraw $(t)";)

coverage-report:
	$(Q)find $(COVB)/prof -name '*.profraw' -size +0 >$(COVB)/prof.list
	$(Q)llvm-profdata-14 merge -sparse -f $(COVB)/prof.list -o $(COVB)/all.profdata
	$(Q)llvm-cov-14 export -instr-profile=$(COVB)/all.profdata $(COVB)/libparley.so.0 \
	    -object $(COVB)/parley >$(COVB)/coverage.json
	$(Q)lua5.4 tests/coverage.lua $(COVB)/coverage.json tests/coverage_exceptions
