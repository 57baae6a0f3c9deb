#!/bin/sh
# SPDX-License-Identifier: MIT
# bench_tokens.sh: our tokens beside npm's tiktoken (the reference, in WebAssembly) and gpt-tokenizer,
# on the same texts, in one run, on one core, each run in a process of its own and in turn; medians.
# All make the list of ids, which costs ours more than counting alone. Time is the processor's.
# `first` is the first pass of a process: of the others after their tables are loaded, which ours has
# no need of.
#
#   bench_tokens.sh BENCH_TOKENS [quick]
set -eu
here=$(dirname "$0")/peers
bench_tokens=$1
runs=5
[ "${2:-}" != quick ] || runs=1

node=$(echo "$here"/node_modules/node-linux-*/bin/node)
if [ ! -d "$here/node_modules/gpt-tokenizer" ] || ! "$node" --version >/dev/null 2>&1; then
    echo "# SKIP tiktoken and gpt-tokenizer are not installed: npm could not reach its registry" \
        "(make bench-peers)"
    exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
core=$(taskset -cp $$ | sed 's/.*: *//; s/[-,].*//')
dialogues=${PARLEY_SHARED:-../shared}/cases/memory/locomo.json
[ -r "$dialogues" ] || dialogues=
"$node" "$here/tokens.mjs" texts "$dir" $dialogues

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
field() { # WHO-ENCODING-TEXT NAME: the median of what the runs said
    sed -n "s/.*$2 \([0-9.]*\).*/\1/p" "$dir/$1" | median
}
instructions() { # COMMAND…
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1 |
        sed -n 's/.*Collected : *//p'
}

for encoding in o200k_base cl100k_base; do
    for text in english code cjk mixed; do
        for _ in $(seq $runs); do
            taskset -c "$core" "$bench_tokens" one $encoding "$dir/$text" >>"$dir/ours-$encoding-$text"
            for who in gpt tiktoken; do
                taskset -c "$core" "$node" "$here/tokens.mjs" $who $encoding "$dir/$text" \
                    >>"$dir/$who-$encoding-$text"
            done
        done
        key=$encoding-$text
        awk -v key="$encoding, $text" -v ours="$(field "ours-$key" warm)" \
            -v counted="$(field "ours-$key" counted)" -v first="$(field "ours-$key" first)" \
            -v gpt="$(field "gpt-$key" warm)" -v gpt_first="$(field "gpt-$key" first)" \
            -v tik="$(field "tiktoken-$key" warm)" 'BEGIN {
            aim = key ~ /mixed/
            printf "# %s: parley %.1f MB/s (counting %.1f); gpt-tokenizer warm %.1f, ratio %.1f%s;" \
                " tiktoken %.1f, ratio %.1f%s; first pass %.1f, gpt-tokenizer %.1f, ratio %.1f" \
                " (to reach: 4)\n", key, ours, counted, gpt, ours / gpt,
                aim ? " (to reach: 6)" : "", tik, ours / tik, aim ? " (to reach: 25)" : "",
                first, gpt_first, first / gpt_first }'
    done
    awk -v e=$encoding -v cjk="$(field "ours-$encoding-cjk" warm)" \
        -v english="$(field "ours-$encoding-english" warm)" 'BEGIN {
        printf "# %s: CJK at %.2f of the speed of English (to reach: 0.25)\n", e, cjk / english }'
done
command -v valgrind >/dev/null || {
    echo "# without valgrind instructions are not counted"
    exit 0
}
: >"$dir/empty"
for encoding in o200k_base cl100k_base; do
    none=$(instructions "$bench_tokens" once $encoding "$dir/empty")
    for text in english code cjk mixed; do
        some=$(instructions "$bench_tokens" once $encoding "$dir/$text")
        awk -v key="$encoding, $text" -v n=$((some - none)) -v bytes="$(wc -c <"$dir/$text")" \
            'BEGIN { printf "# %s: %.1f instructions per byte (callgrind)\n", key, n / bytes }'
    done
done
