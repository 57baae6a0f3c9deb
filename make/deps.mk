# What the build and the tests need, and how to get it on Debian 12. pkg-config is asked when make reads
# the Makefile, so the targets that install start make again for the rest.
BUILD_DEBS := gcc libc6-dev make pkg-config binutils liblua5.4-dev libcurl4-openssl-dev libsqlite3-dev \
              libuv1-dev libsodium-dev libzstd-dev libpcre2-dev libutf8proc-dev libedit-dev
TEST_DEBS  := g++ clang libclang-rt-14-dev llvm libcmocka-dev lua5.4 sqlite3 gzip procps ca-certificates

.PHONY: deps deps-test
deps:
	$(Q)tools/deps.sh $(BUILD_DEBS)
deps-test: deps
	$(Q)tools/deps.sh $(TEST_DEBS)
	$(Q)command -v npm >/dev/null || tools/deps.sh nodejs npm
