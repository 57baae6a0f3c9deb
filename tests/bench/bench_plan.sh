#!/bin/sh
# SPDX-License-Identifier: MIT
# bench_plan.sh: trimming 1,000 messages to an exact budget of tokens beside trimMessages of npm's
# @langchain/core, on the same messages, in one run; and how many instructions a plan takes.
#
# Theirs: strategy "last", includeSystem, startOn "human", an exact counter that is called for every
# list that is tried. Ours counts a message once in its life, when it is stored, and adds up; that
# one count is told beside it. Both results are counted anew by the same counter: one that is over
# the budget, or shorter than the other, counts for nothing.
#
#   bench_plan.sh BENCH_PLAN
set -eu
here=$(dirname "$0")/peers
bench_plan=$1
messages=1000 budget=8000

instructions() { # COMMAND…
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1 |
        sed -n 's/.*Collected : *//p'
}

beside_langchain() {
    node=$(echo "$here"/node_modules/node-linux-*/bin/node)
    if [ ! -d "$here/node_modules/@langchain/core" ] || ! "$node" --version >/dev/null 2>&1; then
        echo "# SKIP @langchain/core is not installed: npm could not reach its registry" \
            "(make bench-peers)"
        return
    fi
    file=$(mktemp)
    trap 'rm -f "$file"' EXIT
    trap 'exit 1' HUP INT TERM
    "$node" "$here/trim.mjs" make "$file" $messages
    ours=$("$bench_plan" trim "$file" $budget)
    theirs=$("$node" "$here/trim.mjs" run "$file" $budget)
    ours_left=$(echo "$ours" | cut -d' ' -f2)
    checked=$("$node" "$here/trim.mjs" check "$file" $budget "$ours_left")
    echo "$ours $theirs $checked" | awk -v budget=$budget -v messages=$messages '{
        ours = $1; left = $2; counted = $3; theirs = $4; remembered = $7; sum = $8
        valid = sum <= budget && $6 <= budget && left >= $5 && $9 == "user"
        printf "# trimming %d messages to %d tokens: parley %.4f ms (%d messages left, %d tokens);" \
            " @langchain/core %.0f ms (%d, %d), ratio %.0f (to reach: 10000); with their counts" \
            " remembered %.1f ms, ratio %.0f. Counting all once: parley %.1f ms\n", messages, budget,
            ours, left, sum, theirs, $5, $6, theirs / ours, remembered, remembered / ours, counted
        if (!valid) { print "# NOT VALID: a result is over the budget, or ours is shorter"; exit 1 }
    }'
}

beside_langchain
command -v valgrind >/dev/null || {
    echo "# without valgrind instructions are not counted"
    exit 0
}
for strategy in full truncate window summarise recall hybrid custom; do
    none=$(instructions "$bench_plan" plans $strategy 0)
    first=$(instructions "$bench_plan" plans $strategy 1)
    second=$(instructions "$bench_plan" plans $strategy 2)
    echo "# $strategy: $((second - first)) instructions for a plan over 10,000 turns (callgrind);" \
        "$((first - none)) for the first in a process"
done
