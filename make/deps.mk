# What the build and the tests need, and how to get it on Debian 12. pkg-config is asked when make reads
# the Makefile, so the targets that install start make again for the rest.
BUILD_DEBS := gcc libc6-dev make pkg-config binutils liblua5.4-dev libcurl4-openssl-dev libsqlite3-dev \
              libsodium-dev libzstd-dev libpcre2-dev libutf8proc-dev libedit-dev
TEST_DEBS  := g++ clang libclang-rt-14-dev llvm libcmocka-dev lua5.4 sqlite3 gzip procps ca-certificates \
              zsh fish man-db mandoc libxml2-utils

DEEP_DEBS  := valgrind
# What the scanner is held against; not on every architecture, and its figures are then skipped.
BENCH_DEBS := libhyperscan5

.PHONY: deps deps-test deps-deep deps-bench
deps:
	$(Q)tools/deps.sh $(BUILD_DEBS)
deps-test: deps
	$(Q)tools/deps.sh $(TEST_DEBS)
	$(Q)command -v npm >/dev/null || tools/deps.sh nodejs npm
deps-deep: deps-test
	$(Q)tools/deps.sh $(DEEP_DEBS)
deps-bench: deps-test
	$(Q)tools/deps.sh $(BENCH_DEBS) || echo 'deps-bench: not installed: to be skipped' >&2

# The protocol peers of the tests and the Node.js that runs them (Debian 12's is too old for them),
# from npm, pinned by its lock file. Without a registry their test says that it is skipped.
peers := tests/peers/node_modules/.package-lock.json

.PHONY: peers
peers: $(peers)
$(peers): tests/peers/package-lock.json | deps-test
	$(call say,NPM,tests/peers)
	$(Q)npm ci --prefix tests/peers --ignore-scripts --no-audit --no-fund --loglevel=error \
	    --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=4000 >$(B)/npm.log 2>&1 && touch $@ || \
	    echo 'peers: npm cannot install them ($(B)/npm.log says why): their test will be skipped' >&2
