#!/bin/sh
# SPDX-License-Identifier: MIT
# What is remembered of a user, at the command line: shown with the words that bear it out, explained,
# forgotten.
# shellcheck disable=SC2154 # variables of tap.sh
. tests/support/tap.sh

mkdir policies
cat >policies/gardener.lua <<'E2'
return { memory = { core = { persona = "A gardener of few words." }, extract = function() return {} end } }
E2

it memory__a_policy_without_memory_says_so
run ask "I live in Lisbon."
run memory
code 0
silent
says "bot hello remembers nothing"
says "no \`memory\`"
run memory --user nobody
code 0
says "remembers nothing"
run memory -o json
code 0
keys '$' "user bot remembers facts knowledge journal core"
expect "it does not" test "$(query "j ->> '\$.remembers'")" = 0

it memory__parts_of_it
run memory --bot gardener
code 0
prints CORE
prints "A gardener of few words."
run memory --bot gardener -o json --kind facts
code 0
keys '$' "facts"
expect "nothing but facts" test -z "$(query "json_type(j, '\$.core') || json_type(j, '\$.journal')")"
run memory --bot gardener -o jsonl
expect "core memory alone" test "$(wc -l <out)" = 1
has '$.tier' text core
run memory --bot gardener -o csv
expect "a heading" test "$(wc -l <out)" = 1
prints "tier,fact,kind,subject,predicate,value,status"
prints ",session,turn,quote"
run memory --bot gardener -o csv --kind core
prints "tier,persona,human"
prints "core,A gardener of few words.,"
run memory --bot gardener -o csv --kind journal
prints "tier,session,at,text"
run memory --kind fact
code 2
says "facts|knowledge|journal|core"

it memory__what_is_not_there
for who in "" "--user nobody" "--bot gardener"; do
    # shellcheck disable=SC2086 # options
    run forget abcdef $who
    code 2
    silent
    says "there is no fact abcdef here"
    says "parley memory"
    # shellcheck disable=SC2086
    run why --fact abcdef $who
    code 2
    says "there is no fact abcdef here"
done
for bad in abc ABCDEF lives_in 0123456789abc ''; do
    run forget "$bad"
    code 2
    says "'$bad' is no fact's id"
done
run forget
code 2
run why --fact abcdef 1
code 2
says "a fact is of no session"

it memory__in_a_chat
printf '/memory\n/forget\n/forget abcdef\n/memory abcdef\n/memory a b\n' |
    "$parley" chat --bot gardener >out 2>err
prints "A gardener of few words."
says "write /forget FACT"
says "there is no fact abcdef here"
says "'a b' is no fact's id"

it memory__an_operator_reads
run audit -o json
expect "nobody did" sh -c "! grep -q '\"memory\"' out"
run ask --user ann hello
run memory --user ann
code 0
run why --fact abcdef --user ann
run audit -o json
expect "each time" test "$(grep -o '"detail":"memory"' out | wc -l)" = 2
expect "and who has no records has no note" test "$(grep -c nobody out)" = 0

plan
