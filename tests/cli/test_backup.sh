#!/bin/sh
# SPDX-License-Identifier: MIT
# backup and restore at the command line, while others write and while they are killed; and a store
# that another program holds.
# shellcheck disable=SC2154 # variables of tap.sh
. tests/support/tap.sh

turns_of() { # turns_of STORE…: how many a store verifies with; words when it does not
    "$parley" verify -o json --store "sqlite:$1" --set "keyring=${2:-parley.keys}" >verified 2>verify.err || {
        echo "not verified: $(head -c 300 verified verify.err)"
        return
    }
    sqlite3 :memory: "SELECT json_extract(CAST(readfile('verified') AS TEXT), '\$.turns')"
}
until_true() { # until_true COMMAND…: asks again until it succeeds, for a minute at most
    tries=0
    until "$@" || [ $tries -gt 6000 ]; do
        tries=$((tries + 1))
        sleep 0.01
    done
}

run ask "My name is Ann."
run ask -c "What is my name?"

# ---- backup

it backup__is_one_private_file_that_verifies
run backup copy
code 0
prints "backed up to copy"
prints "sessions: 1, turns: 2, problems: 0"
says "the keyring parley.keys is not in it"
expect "mode 600" test "$(stat -c %a copy)" = 600
expect "nothing beside it" test "$(echo copy*)" = copy
expect "it verifies" test "$(turns_of copy)" = 2
run show -c --store sqlite:copy
prints "Your name is Ann."
rm -f copy*

it backup__json
run backup copy -o json -q
code 0
quiet
keys '$' "file store bytes users sessions turns problems keyring"
has '$.file' text copy
has '$.bytes' integer "$(stat -c %s copy)"
has '$.sessions' integer 1
has '$.turns' integer 2
has '$.problems' array
has '$.keyring' text parley.keys

it backup__replaces_only_when_told
run backup copy
code 5
says "copy is there already"
says "--force"
silent
run ask -c "One more."
run backup copy --force
code 0
prints "turns: 3"

it backup__refuses_what_is_no_place_for_it
for file in parley.db ./parley.db-wal parley.db-lock parley.keys; do
    run backup $file --force
    code 2
    silent
    says "name another"
done
run backup no/such/folder
code 2
says "a folder that exists"
run backup .
code 2
says "is a folder"
run backup -
code 2
run backup
code 2
run backup copy other
code 2
run backup copy --store memory:
code 2
says "sqlite:PATH"
run backup new --store sqlite:none.db
code 4
says "does not exist"
expect "nothing was made" test ! -e new -a ! -e none.db
expect "all is as it was" test "$(turns_of parley.db)" = 3

it backup__needs_the_keyring
run backup new --set keyring=other.keys
code 4
says "keyring"
expect "nothing was made" test ! -e new -a ! -e new.part -a ! -e other.keys
run backup unverified --set keyring=other.keys --damaged
code 0
prints "problems: 1"
prints "other.keys"
run restore unverified --set keyring=other.keys --damaged
code 4
expect "nothing changed" test "$(turns_of parley.db)" = 3
run restore unverified
code 0
expect "it was whole" test "$(turns_of parley.db)" = 3

# ---- restore

it restore__puts_it_in_place_and_keeps_what_was
run ask -c "After the backup."
run restore copy -o json
code 0
has '$.turns' integer 3
has '$.file' text copy
kept=$(value '$.kept')
says "is kept as $kept"
expect "the old one is whole" test "$(turns_of "$kept")" = 4
expect "the new one is the backup" test "$(turns_of parley.db)" = 3
expect "mode 600" test "$(stat -c %a parley.db)" = 600
run ask -c "What is my name?"
code 0
prints "Your name is Ann."
rm -f "$kept"*

it restore__makes_a_store_where_none_is
run restore copy --store sqlite:new/parley.db --set keyring=parley.keys
code 4
says "its folder must exist"
mkdir new
run restore copy --store sqlite:new/parley.db --set keyring=parley.keys
code 0
expect "it verifies" test "$(turns_of new/parley.db)" = 3

it restore__refuses_another_keyring
mkdir elsewhere
run ask hello --store sqlite:elsewhere/parley.db
run restore copy --store sqlite:elsewhere/parley.db
code 4
says "another keyring"
says "--set keyring=PATH"
expect "nothing changed" test "$(turns_of elsewhere/parley.db elsewhere/parley.keys)" = 1
expect "nothing is left" test -z "$(ls elsewhere | grep -e part -e before)"

it restore__refuses_what_is_no_backup
run restore none
code 2
says "parley backup"
run restore parley.db
code 2
head -c 20000 /dev/urandom >noise
run restore noise
code 4
says "not a database"
sqlite3 foreign "CREATE TABLE t(x)"
run restore foreign
code 4
says "another program"
expect "nothing changed" test "$(turns_of parley.db)" = 4

it restore__refuses_a_store_in_use
mkfifo words
"$parley" chat <words >chat.out 2>chat.err &
chat=$!
exec 9>words
echo "Hello there." >&9
until_true grep -q Hello chat.out
run restore copy
code 5
says "is in use"
run backup while-in-use
code 0
exec 9>&-
wait $chat
expect "the conversation went on" test "$(turns_of parley.db)" = 5

it damage__is_told_and_kept_only_when_wanted
cp copy damaged
sqlite3 damaged "UPDATE records SET body = zeroblob(length(body)) WHERE key LIKE 'turn/%/0000000002/0000000001'"
run restore damaged
code 4
says "problems"
says "--damaged"
prints "0000000002/0000000001"
expect "nothing changed" test "$(turns_of parley.db)" = 5
cp copy headless
sqlite3 headless "DELETE FROM records WHERE key LIKE 'session/%'"
run restore headless
code 4
prints "records of no session"
run restore damaged --damaged -o json
code 0
has '$.problems[0]' text
kept=$(value '$.kept')
run backup of-damaged
code 4
says "dropped"
expect "nothing was made" test ! -e of-damaged
run backup of-damaged --damaged
code 0
expect "there it is" test -s of-damaged
mv "$kept" kept
rm -f parley.db*
mv kept parley.db
expect "as before" test "$(turns_of parley.db)" = 5

# ---- while others write

it backup__while_four_processes_ask
rm -f stop asked.* backup.*
for n in 1 2 3 4; do
    (
        i=0
        while [ ! -e stop ]; do
            i=$((i + 1))
            "$parley" ask --user "w$n" -c "Message $i of $n." >/dev/null 2>>ask.err || echo "$n $i" >>ask.failed
            echo "$i" >"asking.$n"
            mv "asking.$n" "asked.$n"
        done
    ) &
    asking="${asking:-} $!"
done
for n in 1 2 3 4; do until_true test -e asked.$n; done
lost=0 problems=0 made=0 before_all=0
for b in 1 2 3 4 5; do
    before=0
    for n in 1 2 3 4; do
        eval "before_$n=$(cat asked.$n)"
        eval "before=\$((before + before_$n))"
    done
    run backup backup.$b
    code 0
    made=$((made + 1))
    before_all=$((before_all + before))
done
touch stop
# shellcheck disable=SC2086 # a list
wait $asking
expect "every ask was answered" test ! -e ask.failed
mkdir -p back
cp parley.keys back/
for b in 1 2 3 4 5; do
    run restore backup.$b --store sqlite:back/parley.db
    code 0
    count=$(turns_of back/parley.db back/parley.keys)
    case $count in
    *[!0-9]* | '') problems=$((problems + 1)) ;;
    esac
done
# The newest must hold all that was answered before it began.
for n in 1 2 3 4; do
    "$parley" sessions --user w$n -o json --store sqlite:back/parley.db >sessions.json 2>>err
    has_n=$(sqlite3 :memory: "SELECT coalesce(sum(json_extract(value, '\$.turns')), 0)
        FROM json_each(CAST(readfile('sessions.json') AS TEXT))")
    eval "[ \"\$has_n\" -ge \"\$before_$n\" ]" || lost=$((lost + 1))
done
expect "nothing is lost" test $lost = 0
expect "all verify" test $problems = 0
echo "# summary: $made backups while 4 processes asked, $before_all turns answered before they began; lost $lost, problems $problems"

it backup__amid_an_import
awk 'BEGIN {
    for (i = 0; i < 400; i++) {
        printf "{\"user\":\"i%d\",\"messages\":[", i % 20
        for (k = 0; k < 60; k++)
            printf "%s{\"role\":\"user\",\"content\":\"q %d\"},{\"role\":\"assistant\",\"content\":\"a\"}",
                k ? "," : "", k
        print "]}"
    }
}' >long.jsonl
"$parley" import long.jsonl >import.out 2>&1 &
import=$!
until_true grep -q . parley.db-wal
run backup amid
code 0
wait $import
expect "the import is whole" grep -q "turns: 24000, lines failed: 0" import.out
expect "so is the store" test "$(turns_of parley.db)" -ge 24000

it backup__killed
half=0 whole=0
for wait in 0 .01 .02 .03 .05 .1 .2 .4 .8 1.6; do
    rm -f victim
    "$parley" backup victim >/dev/null 2>&1 &
    victim=$!
    sleep $wait # whatever it is doing then
    kill -9 $victim 2>/dev/null
    wait $victim 2>/dev/null
    [ -e victim ] || continue
    case $(turns_of victim) in
    *[!0-9]* | '') half=$((half + 1)) ;;
    *) whole=$((whole + 1)) ;;
    esac
done
expect "whole or not there" test $half = 0
run backup victim --force
code 0
expect "no leftovers" test ! -e victim.part
echo "# summary: 10 backups killed, $whole whole, half $half"

# ---- a store that another program holds

it busy__is_4_and_says_what_to_do
rm -f held go
mkfifo sql
sqlite3 parley.db <sql >/dev/null 2>&1 &
shell=$!
exec 8>sql
echo "BEGIN EXCLUSIVE; SELECT 1;" >&8
echo ".shell touch held" >&8
until_true test -e held
run ask --user busy --key once "Is anybody there?" --set store_busy_ms=200
code 4
silent
says "busy"
says "try again"
run usage --user busy -o json
code 0
has '$.rows' array '[]'
run sessions --user busy --set store_busy_ms=200
code 4
silent
says "what cannot be noted in the audit trail is not shown"
exec 8>&-
wait $shell
run ask --user busy --key once "Is anybody there?"
code 0
run sessions --user busy -o json
has '$[0].turns' integer 1

plan
