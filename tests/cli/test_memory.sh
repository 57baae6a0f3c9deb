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
run ask "I live in Lisbon." --bot plain
run memory --bot plain
code 0
silent
says "bot plain remembers nothing"
says "no \`memory\`"
run memory --bot plain --user nobody
code 0
says "remembers nothing"
run memory --bot plain -o json
code 0
keys '$' "user bot remembers facts knowledge journal core"
expect "it does not" test "$(query "j ->> '\$.remembers'")" = 0

it memory__a_hook_that_fails_is_told
cat >policies/clumsy.lua <<'E2'
return { memory = {
    extract = function() return { { predicat = "likes" } } end } }
E2
run ask "I like tulips." --bot clumsy
code 0
says "memory.extract failed at policies/clumsy.lua:2: item 1: predicat: unknown key (did you mean predicate?)"
cat >policies/clumsy.lua <<'E2'
return { memory = { extract = function(view, turn)
    if turn.user:find "error" then error(turn.user) end
    return { { predicate = "likes", value = "x", [turn.user] = 1 } } end } }
E2
for words in "secret" "error secret"; do
    run ask "$words" --bot clumsy
    says "memory.extract failed at policies/clumsy.lua:"
    expect "no word of the user's" sh -c "! grep -q secret err"
done

it memory__a_hook_that_fails_is_told_once
cat >policies/clumsy.lua <<'E2'
return { memory = { extract = function() return { { predicat = "likes" } } end } }
E2
run check policies/clumsy.lua
prints "learns of its users by its own extract: 0 predicates"
run ask one --bot clumsy --user twice
run ask two --bot clumsy --user twice -c
run ask three --bot clumsy --user twice -c
expect "of three turns not learnt from, one warning" test "$(grep -c 'memory.extract failed' err)" = 1

it memory__help_tells_what_the_marks_mean
run help memory
code 0
prints "  quarantined  "
prints "  stale  "

it memory__parts_of_it
run memory --bot gardener
code 0
prints CORE
prints "A gardener of few words."
run memory --bot gardener --kind facts
code 0
silent
says "nothing of this kind"
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
for bad in abc ABCDEG lives_in 0123456789abc ''; do
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
printf '/forget dog\n/quit\nhello\n' | "$parley" chat --bot gardener >out 2>err
says "lists them (in a chat: /memory)"
silent

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

# ---- with something to remember

cat >policies/friend.lua <<'E2'
local patterns = { lives_in = "I live in (%a+)", eats = "I eat (%a+)", told = 'told me "I hate (%a+)' }
return {
    expiry = { kind = "sliding", soft = "1ms", hard = "2ms", purge = "1ms" },
    on_message = function(view)
        if view.text == "forget it all" then
            local ids = {}
            for i, fact in ipairs(view.facts) do ids[i] = fact.id end
            return { say = "Done.", memory = { forget = ids, core = { human = "" } } }
        end
        local city = view.text:match(patterns.lives_in)
        return city and { memory = { core = { human = "Lives in " .. city .. ".\nHas a dog." } } }
    end,
    memory = {
        predicates = { lives_in = { one = true, kind = "circumstance" } },
        extract = function(view, turn)
            local all = {}
            for predicate, pattern in pairs(patterns) do
                local from, to, value = turn.user:find(pattern)
                if from then
                    all[#all + 1] = { predicate = predicate, value = value, quote = turn.user:sub(from, to) }
                end
            end
            return all
        end,
    },
}
E2
id_of() { "$parley" memory --bot friend --all -o csv 2>/dev/null | awk -F, -v v="$1" '$6 == v { print $2 }'; }

it memory__facts_with_the_words_that_bear_them_out
run ask --bot friend "I live in Lisbon."
run ask --bot friend "I live in Porto."
run ask --bot friend 'He told me "I hate cheese."'
session=$("$parley" sessions --bot friend -o json | sed 's/^.{"session":"\([^"]*\)".*/\1/')
run memory --bot friend
code 0
quiet
prints "user lives_in: Porto"
prints '"I live in Porto." (turn 1 of'
prints "user told: cheese (quarantined)"
prints "human    Lives in Porto. Has a dog."
expect "not what is so no more" sh -c "! grep -q Lisbon out"
run memory --bot friend --all
prints "user lives_in: Lisbon (superseded)"
run memory --bot friend -o json
has '$.facts[0].tier' text fact
keys '$.facts[0]' "fact kind subject predicate value status stale scope valid_from valid_to recorded_at retired_at confirmed_at confirmations superseded_by evidence"
keys '$.facts[0].evidence[0]' "session turn quote start end author at extractor policy"
matches '$.facts[0].fact' '[0-9a-f]{12}'
has '$.facts[0].evidence[0].author' text user
has '$.facts[0].evidence[0].turn' text 1
matches '$.facts[0].evidence[0].extractor' 'rules@[0-9a-f]{8}'
matches '$.facts[0].evidence[0].policy' 'friend@[0-9a-f]{8}'
matches '$.facts[0].recorded_at' "$time_of"
run memory --bot friend -o csv --kind facts
expect "a heading and a line each" test "$(wc -l <out)" = 3
run completion --names facts --bot friend
expect "names for the shell" grep -qx "$(id_of Porto)	lives_in" out

it memory__why_a_fact
run why --fact "$(id_of Lisbon)" --bot friend
code 0
prints "user lives_in: Lisbon (superseded)"
prints "superseded by $(id_of Porto)"
prints EVIDENCE
prints "bytes 0-17, said by the user; rules@"
prints "OTHER VALUES"
prints "lives_in: Porto"
run why --fact "$(id_of Porto | cut -c1-6 | tr a-f A-F)" --bot friend -o json
keys '$' "user bot remembers fact others"
has '$.fact.value' text Porto
has '$.others[0].value' text Lisbon
has '$.others[0].superseded_by' text "$(id_of Porto)"
run why --fact "$(id_of Porto)"
code 2
says "no fact"
run why --fact "$(id_of Porto)" --bot friend --user ann
code 2

it why__a_quarantined_fact_says_why
run why --fact "$(id_of cheese)" --bot friend
code 0
prints "user told: cheese (quarantined)"
prints 'said by the material (does not bear it out: it stands in quotation marks)'
run why --fact "$(id_of cheese)" --bot friend -o json
keys '$.fact.evidence[0]' "why"
run memory --bot friend -o json
expect "of one fact alone" test "$(query "json_type(j, '\$.facts[0].evidence[0].why')")" = ""

it memory__recall_ranks_what_is_remembered_beside_the_turns
cat >policies/sailor.lua <<'E2'
return {
    expiry = { kind = "sliding", soft = "1ms", hard = "2ms" },
    memory = { extract = function(_, turn)
        local from, to, bird = turn.user:find "My parrot is called (%a+)"
        return bird and { { predicate = "parrot", value = bird, quote = turn.user:sub(from, to) } }
    end },
}
E2
run ask --store sqlite:sailor.db --bot sailor "My parrot is called Coco. It flew over the harbour of Bergen on Monday."
run sweep --store sqlite:sailor.db
run recall --store sqlite:sailor.db --bot sailor "the parrot Coco over Bergen"
code 0
prints "user: My parrot is called Coco."
prints "; said in 1 turn, last on 20"
prints "fact: parrot Coco"
prints "; of the talk of 20"
prints "journal: Said: It flew over the harbour of Bergen on Monday."
run recall --store sqlite:sailor.db --bot sailor "the parrot Coco over Bergen" -o json
expect "each kind" test "$(grep -o '"kind":"[a-z]*"' out | sort -u | grep -c .)" = 3

it memory__a_fact_of_one_context_says_which
cat >policies/desk.lua <<'E2'
return { memory = { scope = "context", extract = function(view, turn)
    local from, to, city = turn.user:find "I live in (%a+)"
    return city and { { predicate = "lives_in", value = city, quote = turn.user:sub(from, to) } }
end } }
E2
run ask --bot desk --context ticket-7 "I live in Evora."
run memory --bot desk
code 0
prints ", in context ticket-7"
run memory --bot desk -o json
has '$.facts[0].context' text ticket-7
matches '$.facts[0].scope' '[0-9a-f]{32}'
desk_fact=$(query "json_extract(j, '\$.facts[0].fact')")
run why --fact "$desk_fact" --bot desk
prints "holds in context ticket-7"

it forget__says_what_stays
porto=$(id_of Porto)
run forget "$porto" --bot friend --user ann
code 2
run forget "$porto" --bot friend
code 0
quiet
prints "Forgotten: $porto, user lives_in."
prints "1 line of journal and core memory told of it, and went too."
prints "What was said stays in turn 1 of"
run memory --bot friend
expect "no word of it" sh -c "! grep -q Porto out"
prints "human    Has a dog."
run memory --bot friend --all
prints "$porto  user lives_in (forgotten)"
expect "not its quote either" sh -c "! grep -q Porto out"
run forget "$porto" --bot friend -o json
code 0
has '$.again' true
has '$.fact' text "$porto"
keys '$' "user bot tier fact subject predicate again knowledge lines turns"
run audit -o json
expect "noted once" test "$(grep -o fact_forgotten out | wc -l)" = 1
expect "by who runs the program" grep -q '"action":"fact_forgotten","actor":"uid:' out
expect "when it was done" sh -c "! grep -q 1970- out"
run verify
code 0
prints "problems: 0"

it forget__by_the_policy_is_noted_too
run ask --bot friend "I eat fish."
run ask --bot friend "forget it all"
prints "Done."
run memory --bot friend
expect "nothing that is so" sh -c "! grep -q fish out"
run audit -o json
expect "noted" test "$(grep -o fact_forgotten out | wc -l)" = 2
expect "by the engine, for the policy" grep -q '"action":"fact_forgotten","actor":"engine".*"policy":"friend@' out

it memory__a_turn_that_was_deleted_is_not_quoted
run ask --bot friend "I live in Faro."
run sweep
run sweep
run sweep --trust-clock
run memory --bot friend
prints "user lives_in: Faro"
prints "the turn was deleted (turn 1 of"
run verify
prints "problems: 0"

it memory__in_a_chat_it_is_the_same
faro=$(id_of Faro)
printf '/memory\n/memory %s\n/forget %s\n/memory\n/memory all\n/memory facts\n' "$faro" "$faro" |
    "$parley" chat --bot friend >out 2>err
prints "$faro  user lives_in (forgotten)"
prints "user lives_in: Faro"
prints EVIDENCE
prints "Forgotten: $faro"
expect "and then nothing" test "$(grep -c 'user lives_in: Faro' out)" = 2
code 0

it memory__what_was_said_last_is_known_though_the_program_ends_at_once
for user in a b c d e f; do
    feed 'I like tea.\nI like jam.\nI love swimming.\nI like beans.' chat --user "last-$user"
    run memory --user "last-$user"
    expect "all four" test "$(grep -c 'user likes' out)" = 4
done

plan
