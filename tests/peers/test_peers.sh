#!/bin/sh
# SPDX-License-Identifier: MIT
# test_peers.sh: the program against a protocol peer that is not ours; prints TAP. `make peers`
# installs what it needs; where npm could not get that, the test is skipped and says so.
set -eu
here=$(dirname "$0")
# By its own path: npm 9, Debian 12's, makes no link to a program of an optional package.
node=$(echo "$here"/node_modules/node-linux-*/bin/node)
PARLEY=$(realpath "${PARLEY_BUILD:-build}/parley")
export PARLEY

if [ ! -d "$here/node_modules/@copilotkit/aimock" ] || ! "$node" --version >/dev/null 2>&1; then
    echo "1..1"
    echo "ok 1 - peers # SKIP not installed: npm could not reach its registry (make peers)"
    exit 0
fi
exec "$node" "$here/test_peers.mjs"
