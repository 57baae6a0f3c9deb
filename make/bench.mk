# Figures. Each bench program measures the engine and what it is held against in one run.
bench_src := $(sort $(wildcard tests/bench/bench_*.c))
bench_bin := $(bench_src:%.c=build/%)

build/tests/bench/%: tests/bench/%.c $(inner) $(stamp)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Wno-missing-prototypes -Itests -MMD -MP $(LDFLAGS_) -rdynamic -o $@ $< $(inner) \
	    $(PKG_LIBS) -ldl

-include $(bench_bin:=.d)

.PHONY: bench bench-bin
bench-bin: $(bench_bin)
bench: deps-test
	$(Q)$(MAKE) -j$(JOBS) bench-bin
	$(Q)for b in $(bench_bin); do echo "== $$(basename $$b)"; $$b $(BENCH_ARGS) || exit 1; done
