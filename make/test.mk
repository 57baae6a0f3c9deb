# Tests. Each tests/unit/test_*.c and tests/contract/test_*.c is one cmocka program that prints TAP.
unit_src  := $(sort $(wildcard tests/unit/test_*.c tests/contract/test_*.c))
unit_bin  := $(unit_src:%.c=$(B)/%)

$(B)/tests/%: tests/%.c $(inner) $(stamp)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests -MMD -MP $(LDFLAGS_) -o $@ $< $(inner) $(PKG_LIBS) -lcmocka

-include $(unit_bin:=.d)

# One test while working on a room:  make unit ROOMS="base model" T=test_json
.PHONY: unit
unit: $(if $(T),$(filter %/$(T),$(unit_bin)),$(unit_bin))
	$(Q)for t in $^; do CMOCKA_MESSAGE_OUTPUT=TAP $$t || exit 1; done
