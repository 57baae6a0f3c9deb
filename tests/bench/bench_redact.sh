#!/bin/sh
# SPDX-License-Identifier: MIT
# bench_redact.sh: our scanner beside Hyperscan (by bench_redact itself) and beside the same patterns
# as one regular expression of Node.js, on the same messages, in one run, in turn.
#
#   bench_redact.sh BENCH_REDACT [quick]
set -eu
bench_redact=$1
rounds=5
[ "${2:-}" != quick ] || rounds=1

"$bench_redact" ${2:-}
node=$(echo tests/peers/node_modules/node-linux-*/bin/node)
[ -x "$node" ] || node=$(command -v node) || {
    echo "# SKIP Node.js is not installed (make peers)"
    exit 0
}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
"$bench_redact" texts "$dir"
for text in clean typical dense; do
    for turn in 1 2 3; do
        "$bench_redact" one "$dir/$text" >>"$dir/ours-$text"
        "$node" tests/bench/redact.mjs "$dir/$text" "$rounds" >>"$dir/node-$text"
    done
    # The median of each one's three.
    ours=$(sort -n "$dir/ours-$text" | sed -n 2p)
    theirs=$(sort -n "$dir/node-$text" | sed -n 2p)
    echo "$text $ours $theirs" | awk '{
        printf "# %s: parley %.0f MB/s; Node.js %.1f MB/s, %d matches; ratio %.1f (to reach: 20)\n",
            $1, $2, $3, $4, $2 / $3 }'
done
