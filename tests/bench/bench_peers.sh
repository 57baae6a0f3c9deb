#!/bin/sh
# SPDX-License-Identifier: MIT
# bench_peers.sh: parley beside LangGraph.js with its SQLite checkpointer at synchronous=FULL, in one
# run, on one disk, 64 conversations at once, texts of the same sizes.
#
# parley calls its provider over real HTTP on the loopback; the model of LangGraph.js is a function
# of its own process that returns the same reply. The two are measured in turn, each run in a fresh
# process and store after a round that is not counted; the medians are compared. parley makes more
# turns, as so few would be over too soon to tell: its conversations grow, which is to its cost.
#
# Beside both the raw limit of this machine (raw_limit.h): the same requests to the same provider by
# bare curl, between two commits of the same rows by bare SQLite, with no engine. What is asked
# beyond its multiple of LangGraph.js no program can do here.
#
# What a request brings does not change what LangGraph.js does, as its model does not read it. For
# parley it does, so that two figures are given: the newest 20 turns, and the whole history.
#
#   bench_peers.sh BENCH_TURNS [quick]
set -eu
here=$(dirname "$0")/peers
bench_turns=$1
runs=3
[ "${2:-}" != quick ] || runs=1
concurrent=64
parley_turns=4096

node=$(echo "$here"/node_modules/node-linux-*/bin/node)
if [ ! -f "$here/node_modules/better-sqlite3/build/Release/better_sqlite3.node" ] ||
    ! "$node" --version >/dev/null 2>&1; then
    echo "# SKIP LangGraph.js is not installed: npm could not reach its registry, or what it got" \
        "could not be built (make bench-peers)"
    exit 0
fi

BENCH_DIR=$(mktemp -d "${BENCH_DIR:-.}/parley-bench-peers-XXXXXX")
export BENCH_DIR
trap 'rm -rf "$BENCH_DIR"' EXIT
trap 'exit 1' HUP INT TERM

# As in production; nothing is traced or sent anywhere.
unset NODE_OPTIONS LANGSMITH_API_KEY LANGCHAIN_API_KEY
export NODE_ENV=production LANGSMITH_TRACING=false LANGCHAIN_TRACING_V2=false

median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

run_ours() { # fake|raw PRIOR HISTORY
    "$bench_turns" one "$1" $concurrent "$2" $parley_turns "$3" >>"$BENCH_DIR/$1-$3-$2"
}

run_langgraph() { # PRIOR TURNS_EACH
    "$node" "$here/langgraph.mjs" "$BENCH_DIR" $concurrent "$1" "$2" >"$BENCH_DIR/json"
    rm -f "$BENCH_DIR"/langgraph-*.db*
    cat "$BENCH_DIR/json"
    sed -n 's/.*"turns_per_s":\([0-9.]*\).*/\1/p' "$BENCH_DIR/json" >>"$BENCH_DIR/langgraph-$1"
}

compare() { # PRIOR TURNS_EACH TARGET
    for _ in $(seq $runs); do
        run_ours raw "$1" window
        run_ours fake "$1" window
        run_langgraph "$1" "$2"
        run_ours fake "$1" full
        run_ours raw "$1" full
    done
    peer=$(median "$BENCH_DIR/langgraph-$1")
    for history in window full; do
        awk -v prior="$1" -v history="$history" -v ours="$(median "$BENCH_DIR/fake-$history-$1")" \
            -v raw="$(median "$BENCH_DIR/raw-$history-$1")" -v peer="$peer" -v target="$3" 'BEGIN {
            what = history == "full" ? "the whole history" : "the newest 20 turns"
            printf "# %d prior messages: parley, sending %s, %.0f turns/s; LangGraph.js %.1f;" \
                " ratio %.0f (to reach: %d); raw limit %.0f turns/s, of which parley does %.0f %%;" \
                " its ratio %.0f\n", prior, what, ours, peer, ours / peer, target, raw,
                100 * ours / raw, raw / peer }'
    done
}

compare 10 4 50
compare 1000 1 500
