#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh OUT: runs the commands read from standard input, one a line, each of which prints TAP; one more at
# a time than there are cores, as most wait for a disk now and then. Shows what failed, the summary lines
# ("# summary: …") of those that have one, and on its last line 'N passed, N failed, N skipped'. What each
# printed stays in OUT. Exit 1 if anything failed.
#
# A command that exits non-zero without a `not ok`, is cut before its plan is fulfilled, or prints no test
# at all counts as one failure: a test that cannot run must not look like one that passed.
set -u
out=$1
rm -rf "$out"
mkdir -p "$out"
limit=${TEST_SECONDS_MAX:-600}

n=0
while IFS= read -r command; do
    [ -n "$command" ] || continue
    n=$((n + 1))
    printf '%s\n' "$command" >"$out/$(printf %03d $n).cmd"
done

one='
base=${1%.cmd}
start=$(date +%s)
CMOCKA_MESSAGE_OUTPUT=TAP timeout -k 10 '"$limit"' sh -c "$(cat "$1")" >"$base.tap" 2>"$base.err" </dev/null
echo $? >"$base.rc"
printf "  %-6s %s (%s s)\n" TEST "$(sed "s/^\([A-Z_]*=[^ ]* \)*//" "$1" | head -c 90)" "$(($(date +%s) - start))"
'
find "$out" -name '*.cmd' | sort | xargs -P "${TEST_JOBS:-$(($(nproc) + 1))}" -n 1 sh -c "$one" run

passed=0 failed=0 skipped=0
for cmd in "$out"/*.cmd; do
    base=${cmd%.cmd}
    rc=$(cat "$base.rc" 2>/dev/null || echo 255)
    # shellcheck disable=SC2046 # three numbers
    set -- $(awk '
        /^(not )?ok/ && /# *[Ss][Kk][Ii][Pp]/ { skip++; next }
        /^ok/ { ok++ } /^not ok/ { bad++ }
        /^1\.\.[0-9]+/ { split($1, p, /\.\./); plan += p[2]; planned = 1 }
        END { total = ok + bad + skip
              if (planned && total < plan) bad += plan - total
              print ok + 0, bad + 0, skip + 0 }' "$base.tap")
    ok=$1 bad=$2 skip=$3
    if [ "$bad" = 0 ] && { [ "$rc" != 0 ] || [ $((ok + skip)) = 0 ]; }; then
        bad=1
    fi
    if [ "$bad" != 0 ]; then
        printf '\nFAILED (exit %s): %s\n' "$rc" "$(cat "$cmd")"
        grep -A12 '^not ok' "$base.tap" | grep -v '# *SKIP' | head -60
        tail -n 30 "$base.err"
    fi
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
done
echo
cat "$out"/*.tap | sed -n 's/^# summary: /  /p'
cat "$out"/*.tap | grep -i '# *skip' | sed 's/^\(not \)*ok [0-9]* *-* *\(# *SKIP\)* */  skipped: /' | sort | uniq -c | sort -rn | head -20
echo
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
