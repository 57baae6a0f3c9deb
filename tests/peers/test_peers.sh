#!/bin/sh
# SPDX-License-Identifier: MIT
# test_peers.sh: the program against a protocol peer that is not ours; prints TAP. `make peers`
# installs what it needs; where npm could not get that, the test is skipped and says so.
set -eu
here=$(dirname "$0")
node=$here/node_modules/.bin/node
PARLEY=$(realpath "${PARLEY_BUILD:-build}/parley")
export PARLEY

if [ ! -d "$here/node_modules/@copilotkit/aimock" ] || ! "$node" --version >/dev/null 2>&1; then
    echo "1..1"
    echo "ok 1 - peers # SKIP not installed: npm could not reach its registry (make peers)"
    exit 0
fi
exec "$node" "$here/test_peers.mjs"
