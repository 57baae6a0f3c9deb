#!/bin/sh
# SPDX-License-Identifier: MIT
# bench_replay.sh: what history strategies would have sent in recorded conversations of 100 turns and
# more, and cost: `parley replay` over LoCoMo, Schema-Guided Dialogue and tau-bench.
#
# Beside the strategies is what bots commonly do: the newest 80 messages, sliding by one. A window of
# 40 turns holds these at least, and is to cost at most half. What stands for a summary is cut out
# of what was said, at the price of a call that reads it and writes one.
#
#   bench_replay.sh PARLEY
set -eu
here=$(cd "$(dirname "$0")" && pwd)
parley=$(realpath "$1")
cases=$here/../../../shared/cases
node=$(echo "$here"/peers/node_modules/node-linux-*/bin/node)
if [ ! -r "$cases/memory/locomo.json" ] || ! "$node" --version >/dev/null 2>&1; then
    echo "# SKIP no recordings here, or no Node.js to read them with (make bench-peers)"
    exit 0
fi
dir=$(mktemp -d "${BENCH_DIR:-.}/parley-bench-replay-XXXXXX")
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM

policy() { # NAME STRATEGY
    printf 'local history = require "parley.history"\nreturn { history = history.%s }\n' "$2" \
        >"$dir/$1.lua"
}
policy window 'window { keep_turns = 40 }'
policy summary 'summarise { keep_turns = 40 }'
policy hybrid 'hybrid { keep_turns = 40 }'
policy full 'full {}'

replay() { # NAME KIND FILE
    "$node" "$here/peers/dialogues.mjs" "$2" "$cases/$3" >"$dir/$2.jsonl"
    echo "# $1, $(wc -l <"$dir/$2.jsonl") conversations"
    (cd "$dir" && "$parley" replay --policy window.lua summary.lua hybrid.lua full.lua \
        --from "$2.jsonl" --baseline 80)
}
replay "LoCoMo" locomo memory/locomo.json
replay "SGD, joined" sgd dialogues/sgd_dev.jsonl.gz
replay "tau-bench airline, joined" tau dialogues/tau_airline.jsonl.gz
