#!/bin/sh
# SPDX-License-Identifier: MIT
# Sessions that grow old, as people see it: coming back with -c, greetings, statuses, the sweep.
# shellcheck disable=SC2154 # variables of tap.sh
. tests/support/tap.sh

mkdir -p policies
# Every call of the program comes later than that.
cat >policies/fern.lua <<'EOF'
return { title = "Fern", resume = { restore_within = "1ms", greet = function(view)
        return "Hello again: " .. view.resume.kind .. ", " .. view.resume.gap .. "."
    end },
    expiry = { kind = "sliding", soft = "1ms", hard = "1ms", purge = "1ms" } }
EOF

it sessions__who_comes_back_is_told_and_known
run ask My name is Ann. --bot fern
code 0
quiet
run ask "What is my name?" -c --bot fern
code 0
prints "Your name is Ann."
lacks "Hello again"
says "a new session, which knows how the last one ended; greeting: Hello again: primed, moment."
run ask "My name is Ann." -c --bot fern -o json
has '$.origin' text primed
has '$.greeting' text "Hello again: primed, moment."
matches '$.before' "$id_of"

it sessions__chat_greets_before_anything_is_said
feed '/history\n' chat -c --bot fern
code 0
prints "Hello again: primed, moment."
says "/resume goes back to the old one"

it sessions__a_named_session_goes_on
run sessions --bot fern -o json
session=$(value '$[1].session')
run ask "Still there?" --session "$session"
code 0
quiet
run show "$session"
prints "goes on from"
prints "assistant, greeting: Hello again: primed, moment."

it sessions__the_sweep_archives_and_then_deletes
run sessions --bot fern -o json
has '$[0].status' text hard_expired
matches '$[0].expires_at' "$time_of"
run sweep
code 0
prints "archived: "
run sessions --bot fern -o json
has '$[0].status' text archived
run sweep -o json
code 0
keys '$' "due archived purged learnt failed records left time clock_ahead_seconds paused"
has '$.archived' integer 0
has '$.paused' false
expect "some were deleted" test "$(value '$.purged')" -ge 3
run sweep -o json
has '$.due' integer 0

it sessions__what_was_deleted_is_said_to_be
run show "$session" -o json
has '$.purged' integer 2
run show "$session"
prints "2 turns, deleted as the policy says"
run ask "And now?" --session "$session"
code 5
says "its turns were deleted"
run why "$session"
code 2
run usage --by session
code 0
prints "$session"
run ask "What is my name?" -c --bot fern
code 0
lacks Ann
run verify
code 0

it sessions__a_policy_that_says_nothing_deletes_nothing
run ask hello --bot plain
run sweep --trust-clock
code 0
run sessions --bot plain -o json
session=$(value '$[0].session')
run show "$session"
prints hello

it sessions__for_who_chooses_one
fresh
mkdir policies
cat >policies/topics.lua <<'E2'
return { on_message = function(view) return { state = { topic = "the \"red\" tulips" } } end }
E2
run ask --bot topics "Tell me of tulips."
run ask --bot topics -c "And of roses, please, at length."
run ask "Another one."
run sessions -o json
has '$[0].topic' text ''
has '$[1].topic' text 'the "red" tulips'
has '$[0].last' null
run sessions --preview -o json
has '$[1].last.role' text assistant
has '$[1].last.text' text
run sessions --preview
prints TOPIC
prints "LAST SAID"
prints "assistant: "
run undo -c --bot topics
run sessions --preview -o json --bot topics
expect "what is taken back is not what was said last" sh -c "! grep -q roses out"
run sessions
prints TOPIC
expect "nothing that was said" sh -c "! grep -q 'LAST SAID' out"
fresh
run ask "Hi."
run sessions
expect "no column that says nothing" sh -c "! grep -q TOPIC out"

plan
