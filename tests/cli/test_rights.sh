#!/bin/sh
# SPDX-License-Identifier: MIT
# What people have a right to at the command line: all that is kept of them, as JSON.
# shellcheck disable=SC2154 # variables of tap.sh
. tests/support/tap.sh

count() { # count KIND: so many items of it are in the export
    sqlite3 :memory: "SELECT count(*) FROM json_each(CAST(readfile('out') AS TEXT), '\$.$1')"
}
records() { # the records of the user who has the most
    sqlite3 parley.db "SELECT count(*) FROM records r JOIN partitions p ON p.id = r.partition_id
        WHERE p.name NOT LIKE '~%' AND r.key NOT LIKE 'outbox/%' GROUP BY p.id ORDER BY 1 DESC LIMIT 1"
}
items() { # all items of an export, but for notes on their way to the audit trail
    sqlite3 :memory: "SELECT sum(json_array_length(value)) FROM
        json_each(CAST(readfile('out') AS TEXT)) WHERE type = 'array' AND key != 'audit_notes'"
}

i=0
while [ $i -lt 12 ]; do
    i=$((i + 1))
    "$parley" ask -c --user ann --key "k$i" --context tulips "Number $i of the tulips." >/dev/null 2>&1
done
session=$("$parley" sessions --user ann -o json | sed 's/.*"session":"\([^"]*\)".*/\1/')
run pin "$session" 1 --user ann
run constraint "$session" "Never tell my sister." --user ann
run ask --user bob "The secret of Bob."

it export__has_all_that_is_kept
run export --user ann
code 0
quiet
has '$.user' text ann
has '$.exported_at' text
has '$.sessions[0].context' text tulips
has '$.turns[0].content[0].text' text "Number 1 of the tulips."
has '$.turns[0].turn' integer 1
has '$.turns[0].step' integer 0
expect "times are for people" sh -c "grep -q '\"at\":\"20..-..-..T' out"
expect "12 turns of two steps" test "$(count turns)" = 24
expect "12 calls" test "$(count attempts)" = 12
expect "12 message keys" test "$(count message_keys)" = 12
prints "Never tell my sister."
prints '"pins":[[1,"user"]]'
expect "every record is told" test "$(items)" = "$(records)"
expect "nothing of others" sh -c "! grep -q Bob out"
expect "a line each" test "$(wc -l <out)" -gt "$(items)"

it export__json_is_the_same
run export --user ann -o json
code 0
expect "as before" test "$(count turns)" = 24

it export__a_long_body_is_one_item
head -c 250000 /dev/zero | tr '\0' 'x' >long
ran="ask <long"
"$parley" ask --user long <long >out 2>err
run export --user long
expect "one step" test "$(count turns)" = 2
expect "all of it" test "$(sqlite3 :memory: "SELECT length(json_extract(CAST(readfile('out') AS TEXT),
    '\$.turns[0].content[0].text'))")" = 250000
expect "of two records" test "$(sqlite3 parley.db "SELECT count(*) FROM records
    WHERE key LIKE 'turn/%/0000000001/0000000000/0000000001'")" = 1

it export__names_what_is_damaged
sqlite3 parley.db "UPDATE records SET body = zeroblob(60) WHERE key LIKE 'turn/$session/0000000003/%1'"
run export --user ann
code 4
says "turn/$session/0000000003/0000000001 cannot be read"
says "1 records could not be read"
expect "the rest is there" test "$(count turns)" = 23
has '$.damaged[0].key' text "turn/$session/0000000003/0000000001"
has '$.damaged[0].why' text

it export__of_whom
run export --user nobody
code 2
says "nobody has no sessions here"
silent
run export
code 2
says "export --user ID"
silent

plan
