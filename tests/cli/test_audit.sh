#!/bin/sh
# SPDX-License-Identifier: MIT
# The audit trail at the command line: what is in it, that nobody is named, and that what is missing
# is told.
# shellcheck disable=SC2154 # variables of tap.sh
. tests/support/tap.sh

"$parley" ask --user canary-ann "I am canary-words." >/dev/null 2>&1
"$parley" ask --user canary-ann -c "And again." >/dev/null 2>&1
"$parley" ask "I am local." >/dev/null 2>&1
session=$("$parley" sessions -o json | sed 's/.*"session":"\([^"]*\)".*/\1/')

it audit__tells_what_was_done
run audit -o json
code 0
quiet
has '$[0].n' number 1
expect "two sessions" test "$(grep -o session_created out | wc -l)" = 2
expect "one policy, however many loaded it" test "$(grep -o policy_loaded out | wc -l)" = 1
expect "the local user's list is no operator's" test "$(grep -c operator_read out)" = 0

it audit__names_nobody
run show "$session" --user canary-ann
run sessions --user canary-ann
run recall words --user canary-ann
run why -c --user canary-ann
run sessions --all-users
for form in table json jsonl csv; do
    run audit -o $form
    code 0
    expect "no name, no words ($form)" sh -c "! grep -q canary out"
    expect "an operator read ($form)" grep -q "operator_read" out
done
run audit -o json
for read in show sessions recall why; do
    expect "$read is noted" grep -q "\"operator_read\",\"actor\":\"uid:[0-9]*\",\"subject\":\"[0-9a-f]*\",\"detail\":\"$read\"" out
done

it audit__of_one_user_and_since
run audit --user canary-ann -o jsonl
code 0
expect "hers" test "$(grep -c session_created out)" = 1
run audit --since 2099-01-01 -o json
prints "[]"
run audit --since 1h -o jsonl
expect "an hour's" test "$(grep -c session_created out)" = 2
run audit --since yesterday
code 2
says "--since"
run audit --user nobody
code 2

it audit__anybody_can_check_the_hashes
run audit -o jsonl
if command -v b2sum >/dev/null; then
    prev=$(printf '%064d' 0) bad=0
    while read -r line; do
        told=$(echo "$line" | sed 's/.*"hash":"\([0-9a-f]*\)"}$/\1/')
        bound=$(echo "$line" | sed 's/.*"prev":"\([0-9a-f]*\)".*/\1/')
        computed=$(echo "$line" | sed 's/,"hash":"[0-9a-f]*"}$/}/' | tr -d '\n' | b2sum -l 256 |
            cut -d' ' -f1)
        [ "$told" = "$computed" ] && [ "$bound" = "$prev" ] || bad=$((bad + 1))
        prev=$told
    done <out
    expect "each follows from the one before it" test "$bad" = 0
fi

it audit__verify_and_head
run audit verify
code 0
prints "problems: 0"
run audit head
code 0
cp out head.json
run audit verify --head head.json -o json
code 0
has '$.problems' array '[]'
echo '{"n":1}' >bad.json
run audit verify --head bad.json
code 4
run audit verify --head nowhere.json
code 2
run audit head --head head.json
code 2
run audit forge
code 2

it audit__who_comes_back_does_by_the_policys_rules
mkdir -p policies
cat >policies/hasty.lua <<'LUA'
return { resume = { restore_within = false } }
LUA
for bot in plain hasty; do
    run ask --bot $bot --user "back-$bot" "One."
    run sessions --user "back-$bot" -o json
    back=$(sed 's/.*"session":"\([^"]*\)".*/\1/' out)
    run ask --bot $bot --user "back-$bot" --session "$back" "Two."
    code 0
    run audit --user "back-$bot" -o json
    if [ $bot = hasty ]; then resumed=1; else resumed=0; fi
    expect "$bot" test "$(grep -o session_resumed out | wc -l)" = $resumed
done

it audit__what_is_cut_off_is_told
cp parley.db whole.db
last=$(sqlite3 parley.db "SELECT max(key) FROM records WHERE key LIKE 'entry/%'")
sqlite3 parley.db "DELETE FROM records WHERE key = '$last'"
run audit verify
code 4
prints "signed over entry"
run audit head
code 4
run ask "Talking goes on."
code 0
run audit verify
code 4

it audit__an_entry_that_was_changed_is_told
cp whole.db parley.db
rm -f parley.db-wal parley.db-shm
sqlite3 parley.db "UPDATE records SET meta = replace(meta, 'operator_read', 'keys_rotated') WHERE key LIKE 'entry/%'"
run audit verify
code 4
prints "was changed, or is not ours"
run verify
code 4

it audit__a_restored_store_says_so
cp whole.db parley.db
rm -f parley.db-wal parley.db-shm
run audit verify --accept
run backup copy
code 0
run ask "Later." --user later
run audit verify
code 0
run restore copy
code 0
run audit verify
code 0
run audit -o json
expect "the trail tells" grep -q '"trail_accepted","actor":"uid:[0-9]*","detail":"restored"' out
run audit verify --head head.json

plan
