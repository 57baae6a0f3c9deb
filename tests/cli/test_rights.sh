#!/bin/sh
# SPDX-License-Identifier: MIT
# What people have a right to at the command line: all that is kept of them, as JSON; and that it is
# erased, with a receipt.
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
run export --user ""
code 2
says "export --user ID"
silent

# ---- erase

rm -f parley.db* parley.keys*
"$parley" ask --user ann --key k1 "The tulips of ann." >/dev/null 2>&1
"$parley" ask -c --user ann "More tulips." >/dev/null 2>&1
"$parley" ask --user bob "The roses of bob." >/dev/null 2>&1
"$parley" backup old -q >/dev/null 2>&1
cp parley.keys keys.before

it erase__is_asked_for
run erase
code 2
says "erase --user ID"
run erase --user "" --yes
code 2
says "erase --user ID"
run erase --user ann
code 2
says "add --yes"
silent
run erase --user nobody --yes
code 2
says "nothing is kept of user nobody"
silent
run sessions --user ann -o json
has '$[0].turns' integer 2

it erase__gives_a_signed_receipt
run erase --user ann --yes
code 0
says "user ann is erased"
keys '$' "partition erased_at completed_at deleted public_key signature"
has '$.deleted.turns' integer 4
has '$.deleted.sessions' integer 1
has '$.deleted.message_keys' integer 1
cp out receipt
expect "nobody is named" sh -c "! grep -q ann receipt"
run erase --verify-receipt receipt
code 0
prints "the signature holds"
prints "the key of this house"
run erase --verify-receipt receipt -o json
has '$.ours' true
expect "laid out anew it is the same" sh -c \
    "sqlite3 :memory: \"SELECT json(CAST(readfile('receipt') AS TEXT))\" | sed 's/,/, /g;s/{/{ /g' >spaced"
run erase --verify-receipt spaced
code 0
prints "the signature holds"

it erase__a_receipt_that_was_changed
for change in 's/"turns":4/"turns":5/' 's/2026/2025/' 's/"partition":"./"partition":"x/' 's/"sessions":1,//'; do
    sed "$change" receipt >changed
    cmp -s receipt changed && continue
    run erase --verify-receipt changed
    code 4
    says "the signature does not hold"
done
run erase --verify-receipt old
code 2
echo '{}' >empty
run erase --verify-receipt empty
code 2
says "no receipt"
run erase --verify-receipt missing
code 2

it erase__a_receipt_elsewhere
mkdir elsewhere
cd elsewhere || exit 1
run erase --verify-receipt ../receipt
code 0
prints "the signature holds"
expect "no keyring was made" test ! -e parley.keys
"$parley" ask hi >/dev/null 2>&1
run erase --verify-receipt ../receipt
code 5
prints "not the key of this house"
cd .. || exit 1

it erase__nothing_is_left
run sessions --user ann -o json
expect "no sessions" test "$(cat out)" = "[]"
run export --user ann
code 2
run show -c --user ann
code 2
run verify
code 0
prints "sessions: 1"
run sessions --user bob -o json
has '$[0].turns' integer 1
partition=$(sqlite3 :memory: "SELECT json_extract(CAST(readfile('receipt') AS TEXT), '\$.partition')")
expect "no record" test "$(sqlite3 parley.db "SELECT count(*) FROM records r JOIN partitions p
    ON p.id = r.partition_id WHERE p.name = '$partition'")" = 0
expect "no key" sh -c "! grep '^user $partition' parley.keys | grep -q ."

it erase__again_is_told
run erase --user ann --yes
code 0
says "was erased already"
expect "the same receipt" cmp out receipt

it erase__who_comes_back_is_new
run ask --user ann "I am back."
code 0
run export --user ann
expect "one turn" test "$(count turns)" = 2
expect "another partition" test "$(sqlite3 parley.db "SELECT count(*) FROM records r JOIN partitions p
    ON p.id = r.partition_id WHERE p.name = '$partition'")" = 0
run erase --user ann --yes
code 0
has '$.deleted.turns' integer 2
expect "another receipt" sh -c "! cmp -s out receipt"

it erase__takes_no_note_of_an_export_along
# Whoever fed the trail was killed, and its lease has an hour to go.
"$parley" ask --user dan "Hello." >/dev/null 2>&1
"$parley" audit >/dev/null 2>&1
sqlite3 parley.db "INSERT OR REPLACE INTO leases SELECT id, 'feeder', 1000, 'nobody', 9000000000000
    FROM partitions WHERE name = '~audit'"
run export --user dan
code 0
run erase --user dan --yes
code 0
run audit -o csv
expect "the export, then the erasure" \
    test "$(tail -n 2 out | cut -d, -f3 | tr '\n' ' ')" = "user_exported user_erased "
run audit verify
code 0

it erase__an_old_backup_brings_nobody_back
run restore old
code 0
run sessions --all-users -o json
expect "bob alone" test "$(sqlite3 :memory: "SELECT json_array_length(CAST(readfile('out') AS TEXT))")" = 1
has '$[0].user' text bob
expect "no record" test "$(sqlite3 parley.db "SELECT count(*) FROM records r JOIN partitions p
    ON p.id = r.partition_id WHERE p.name = '$partition'")" = 0
run verify
code 0
prints "problems: 0"

it erase__a_copied_file_brings_nobody_back
cp old parley.db
rm -f parley.db-wal parley.db-shm
run ask --user bob "Are you there?"
code 0
expect "no record" test "$(sqlite3 parley.db "SELECT count(*) FROM records r JOIN partitions p
    ON p.id = r.partition_id WHERE p.name = '$partition'")" = 0

it show__reveals_what_a_bot_kept_to_that_bots_operators
fresh
mkdir policies
cat >policies/keeper.lua <<'E2'
return { privacy = { keep_originals = true } }
E2
cat >policies/nosy.lua <<'E2'
return { privacy = { keep_originals = true, sinks = { operator = "original" } } }
E2
printf 'return function() return "It is [EMAIL_1]." end\n' >say.lua
for bot in keeper nosy; do
    "$parley" ask --bot "$bot" --user eve "I am $bot, at eve@example.org" >/dev/null 2>&1
    [ "$bot" = keeper ] && "$parley" ask --bot nosy --user eve --set providers.scripted.script=say.lua \
        "Who am I?" >/dev/null 2>&1 && run show -c --bot nosy --user eve
done
code 0
prints "It is [EMAIL_1]."
run show -c --bot nosy --user eve
prints "at eve@example.org"
run show -c --bot keeper --user eve
prints "at [EMAIL_1]"
run show -c --bot keeper --user eve --reveal
prints "at eve@example.org"
run audit -o json
expect "noted, each time" test "$(grep -o originals_revealed out | wc -l)" = 2

plan
