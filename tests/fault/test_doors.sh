#!/bin/sh
# SPDX-License-Identifier: MIT
# The program itself before odd bytes, a key used twice, a disk that is full and SIGKILL.
# shellcheck disable=SC2154 # variables of tap.sh
. tests/support/tap.sh

turns() { # turns USER: how many are stored
    "$parley" sessions --user "$1" -o json >sessions.json 2>err || echo 0
    sqlite3 :memory: "SELECT coalesce(sum(json_extract(value, '\$.turns')), 0)
        FROM json_each(CAST(readfile('sessions.json') AS TEXT))"
}
verified() {
    run verify
    code 0
}

# ---- bytes

it doors__invalid_utf8_is_refused
feed 'caf\351' ask --user b
code 2
silent
says "UTF-8"
run ask --user b "$(printf 'a\355\240\200')"
code 2

it doors__nul_is_refused
feed 'a\000b' ask --user b
code 2
silent

it doors__nothing_of_it_was_stored
run ask --user b "Zo\303\253 \342\200\256 [EMAIL_1]"
code 0
expect "one turn" test "$(turns b)" = 1

it doors__odd_text_comes_back_byte_for_byte
text=$(printf 'e\314\201 \357\273\277 \360\237\214\225 \\u0000 "q" <b> \177')
run ask --user c "$text"
code 0
run show -c --user c -o json
has '$.turns[0].steps[0].content[0].text' text "$text"

it doors__import_refuses_bad_json_and_says_where
printf '%s\n' '{"user":"i","messages":[{"role":"user","content":"one"}]}' '[1,]' >bad.jsonl
run import bad.jsonl
code 2
says "2"
deep=$(printf '%0100000d' 0 | tr 0 '[')
printf '{"user":"i","messages":%s' "$deep" >deep.jsonl
run import deep.jsonl
code 2
verified

# ---- keys

it doors__a_key_is_one_turn
for n in 1 2 3 4 5 6 7 8; do
    "$parley" ask --user k --key order-7 -o json "Once, please." >"key.$n" 2>>key.err &
done
wait
expect "one session, eight answers" test "$(cat key.? | grep -o '"session": *"[^"]*"' | sort -u | wc -l)" = 1
expect "eight answers" test "$(cat key.? | grep -o '"session": *"[^"]*"' | wc -l)" = 8
expect "one turn" test "$(turns k)" = 1

it doors__a_key_with_other_words_is_refused
run ask --user k --key order-7 "Twice, please."
code 5
says "order-7"
expect "one turn" test "$(turns k)" = 1

# ---- killed

it doors__killed_while_answering
"$parley" ask --user d --set providers.scripted.delay_ms=200 "Take your time over a long answer, please." \
    -o jsonl >events 2>err &
asked=$!
n=0
until grep -q accepted events || [ $n = 1000 ]; do
    n=$((n + 1))
    sleep 0.02
done
kill -KILL $asked
wait $asked 2>/dev/null
run show -c --user d -o json
code 0
has '$.turns[0].status' text interrupted
has '$.turns[0].steps[0].content[0].text' text "Take your time over a long answer, please."
run ask -c --user d "And now?"
code 0
expect "two turns" test "$(turns d)" = 2
verified

# ---- a disk of 8 MiB

if mkdir disk && mount -t tmpfs -o size=8m none disk 2>/dev/null; then
    trap 'umount "$work/here/disk" 2>/dev/null; chmod -R u+rwx "$work"; rm -rf "$work"' EXIT
    PARLEY_STORE=sqlite:$work/here/disk/parley.db
    export PARLEY_STORE
    long_turn() { # text that no codec makes smaller
        ran="ask -c (100 kB of random letters)"
        head -c 75000 /dev/urandom | base64 -w 0 | "$parley" ask -c >out 2>err
        code=$?
    }
    it doors__full_disk
    run ask "Before it is full."
    code 0
    accepted=1
    code=0
    while [ "$code" = 0 ] && [ $accepted -lt 200 ]; do
        long_turn
        [ "$code" != 0 ] || accepted=$((accepted + 1))
    done
    code 4
    says "free space"
    run sessions -o json
    code 0
    dd if=/dev/zero of=disk/rest bs=4096 2>/dev/null
    long_turn
    code 4
    run backup disk/copy
    code 4
    says "free space"
    expect "no half copy" test ! -e disk/copy -a ! -e disk/copy.part
    run show -c -o json
    code 0
    shown=$(query "json_array_length(j, '\$.turns')")
    # The turn that met the end may be there, accepted, without its reply.
    expect "what was answered is there ($accepted, $shown)" test "$shown" -ge "$accepted"
    expect "and no more ($accepted, $shown)" test "$shown" -le $((accepted + 1))
    mount -o remount,size=64m disk
    rm -f disk/rest
    run ask -c "There is room again."
    code 0
    verified
    [ -n "$tap_bad" ] && bad=some || bad=0
    echo "# summary: a disk of 8 MiB: full after $accepted turns, $shown there; bad states $bad"
    umount disk
else
    skip doors__full_disk "mount is not permitted here"
fi

plan
