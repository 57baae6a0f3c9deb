#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh PROGRAM SECONDS: one libFuzzer target over its seeds, then new inputs for so long. Prints TAP.
set -u
program=$1 seconds=$2
name=$(basename "$program")
seeds=tests/fuzz/seeds/${name#fuzz_}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/corpus"
echo 1..1
if "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$work/" \
    -print_final_stats=1 "$work/corpus" $([ -d "$seeds" ] && echo "$seeds") >"$work/log" 2>&1; then
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")
    echo "ok 1 - fuzz_${name#fuzz_}"
    echo "# summary: fuzz ${name#fuzz_}: ${runs:-?} runs in $seconds s, 0 findings"
else
    echo "not ok 1 - $name"
    tail -n 40 "$work/log" | sed 's/^/# /'
    for f in "$work"/crash-* "$work"/timeout-* "$work"/oom-*; do
        [ -f "$f" ] && echo "# input (base64): $(base64 -w0 "$f" | head -c 4000)"
    done
    exit 1
fi
