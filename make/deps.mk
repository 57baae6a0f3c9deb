# What the build and the tests need, and how to get it on Debian 12.
BUILD_DEBS := gcc make pkg-config binutils liblua5.4-dev libcurl4-openssl-dev libsqlite3-dev libuv1-dev \
              libsodium-dev libzstd-dev libpcre2-dev libutf8proc-dev libedit-dev
TEST_DEBS  := clang libclang-rt-14-dev libcmocka-dev lua5.4 lua-check sqlite3 nodejs npm
