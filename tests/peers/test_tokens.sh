#!/bin/sh
# SPDX-License-Identifier: MIT
# test_tokens.sh: our tokens beside those of npm's tiktoken, the reference encoder, on texts made for
# the purpose and on whole files; prints TAP. `make peers` installs what it needs; where npm could
# not get that, the test is skipped and says so. FAULT_LONG=1: many more texts.
set -eu
here=$(dirname "$0")
node=$(echo "$here"/node_modules/node-linux-*/bin/node)
compare=${PARLEY_BUILD:-build}/tests/peers/tokens_compare
texts=100000
seed=${TOKENS_SEED:-1}
[ -z "${FAULT_LONG:-}" ] || texts=2000000

if [ ! -d "$here/node_modules/tiktoken" ] || ! "$node" --version >/dev/null 2>&1; then
    echo "1..1"
    echo "ok 1 - tokens # SKIP not installed: npm could not reach its registry (make peers)"
    exit 0
fi
# shellcheck disable=SC2046 # a word for each file
"$node" "$here/tokens.mjs" "$seed" "$texts" \
    $(find README.md CHANGELOG.md engine scripts/data tests/peers/*.mjs tests/peers/package-lock.json \
        tests/unit/test_bpe.c -type f) | "$compare"
