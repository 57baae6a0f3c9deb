#!/bin/sh
# SPDX-License-Identifier: MIT
# One device at a time, as people see it: --device, --here, /here, and what is told.
# shellcheck disable=SC2154 # variables of tap.sh
. tests/support/tap.sh

mkdir -p policies
cat >policies/solo.lua <<'EOF'
return { title = "Solo", devices = { one_active = true } }
EOF

it devices__the_second_one_is_told_who_has_it
run ask My name is Ann. --bot solo --device laptop
code 0
quiet
run ask Hello? -c --bot solo --device phone
code 5
says 'is in use on device "laptop" since 20'
says "to continue here, send it again with --here"
run ask Hello? -c --bot solo --device phone -o json
code 5
has '$.error.code' text refused
run ask Hello? -c --bot solo
code 5
run undo -c --bot solo --device phone
code 5
run constraint -c --bot solo Be brief. --device phone
code 5
run ask "What is my name?" -c --bot solo --device laptop
code 0
prints "Your name is Ann."

it devices__it_goes_on_here
run ask "What is my name?" -c --bot solo --device phone --here
code 0
prints "Your name is Ann."
run ask Hello? -c --bot solo --device laptop
code 5
says 'moved to device "phone" at 20'
run sessions --bot solo -o json
has '$[0].device' text phone
matches '$[0].since' "$time_of"
has '$[0].turns' integer 3
session=$(value '$[0].session')
run show "$session" -o json
has '$.turns[0].epoch' integer 1
has '$.turns[2].epoch' integer 2
run sessions --bot solo -o csv
prints ",device,since"
run audit
prints session_moved

it devices__in_a_chat
feed 'Hello?\n/here\nHello!\n' chat -c --bot solo --device laptop
code 5
says 'moved to device "phone"'
prints "Going on here."
run sessions --bot solo -o json
has '$[0].device' text laptop
has '$[0].turns' integer 4

# A file has what is expected, soon; the engine looks every two seconds at most.
comes() {
    for _ in $(seq 200); do
        grep -q -- "$1" "$2" && return 0
        sleep 0.1
    done
    return 1
}

it watch__shows_a_session_as_it_goes_on
run ask "first words" --bot solo --device desk --context watched
run watch --bot solo
code 2
says "which session? write parley watch SESSION"
run watch 0123abcd --bot solo
code 2
for form in table jsonl json; do
    "$parley" watch -c --bot solo --context watched -o $form >seen.$form 2>told.$form &
    eval "watch_$form=$!"
done
expect "it stands" comes "from turn 2 on; Ctrl-C leaves" told.table
expect "as a line" comes '^{"event":"watching","session":".*","turn":"1"}$' seen.jsonl
expect "the same" comes '^{"event":"watching"' seen.json
run ask "second words" -c --bot solo --device phone --here --context watched
code 0
expect "what is said" comes "^user: second words" seen.table
expect "and answered" comes "^assistant: .*second words" seen.table
expect "on which device" comes "goes on on device phone" told.table
expect "and its end" comes '^{"event":"done",.*"status":"done"' seen.jsonl
expect "each event a line" comes '^{"event":"accepted",.*"turn":"2","text":"second words"}$' seen.json
expect "and where it went" comes '^{"event":"moved",.*"device":"phone"}$' seen.jsonl
run undo -c --bot solo --device phone --context watched
code 0
expect "what was taken back" comes "a turn was taken back or replaced" told.table
expect "too" comes '^{"event":"changed","session":"[^"]*"}$' seen.jsonl
kill -INT "$watch_table" "$watch_jsonl"
kill -TERM "$watch_json"
wait "$watch_table"
expect "interrupted" test $? = 130
wait "$watch_jsonl"
expect "interrupted, too" test $? = 130
wait "$watch_json"
expect "no word of an error" test ! -s told.json

it devices__a_name_is_one_line
run ask hi --bot solo --device "$(printf 'a\nb')"
code 2
says "device: has a control character"
run ask hi --bot solo --device "$(printf '%070d' 1)"
code 2
says "device: at most 64 bytes"
run verify
code 0

plan
