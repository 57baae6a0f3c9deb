#!/bin/sh
# SPDX-License-Identifier: MIT
# parley replay: policies over recorded conversations, side by side.
# shellcheck disable=SC2154 # variables of tap.sh
. tests/support/tap.sh

# A conversation of N turns, each about 90 tokens, with a question at its end about turns 70 to 79
# and one at turn 50 about the first.
long_talk() { # long_talk ID TURNS
    awk -v id="$1" -v turns="$2" 'BEGIN {
        printf "{\"id\":\"%s\",\"user\":\"ann\",\"messages\":[", id
        for (i = 1; i <= turns; i++) {
            printf "%s{\"role\":\"user\",\"content\":\"Request %d:", (i > 1 ? "," : ""), i
            for (w = 0; w < 20; w++) printf " word%d", (i * 7 + w) % 97
            printf "\"},{\"role\":\"assistant\",\"content\":\"Answer %d:", i
            for (w = 0; w < 8; w++) printf " reply%d", (i * 5 + w) % 89
            printf "\"}"
        }
        printf "],\"questions\":[{\"evidence\":[%d,%d]},{\"turn\":\"50\",\"evidence\":[1]}]}\n",
               turns - 30, turns - 21
    }'
}

policy() { # policy FILE HISTORY
    cat >"$1" <<EOF
local history = require "parley.history"
return { system = "You are the desk.", history = history.$2 }
EOF
}

policy marks.lua 'window { keep_turns = 40 }'
policy full.lua 'full {}'
policy few.lua 'window { keep_turns = 8, pin_first = 1 }'
{ long_talk a 120; long_talk b 150; } >long.jsonl

is_true() { # is_true WHAT SQL, over the JSON j
    [ "$(query "$2")" = 1 ] || wrong "$1: not so: $2"
}

it replay__plays_what_is_recalled
policy memory.lua 'hybrid { keep_turns = 4, recall = 2 }'
policy short.lua 'window { keep_turns = 4 }'
awk 'BEGIN {
    printf "{\"messages\":["
    for (i = 1; i <= 40; i++)
        printf "%s{\"role\":\"user\",\"content\":\"animal%d likes plant%d\"},{\"role\":\"assistant\",\"content\":\"noted\"}", (i > 1 ? "," : ""), i, i
    printf ",{\"role\":\"user\",\"content\":\"what does animal3 like?\"},{\"role\":\"assistant\",\"content\":\"plant3\"}"
    printf "],\"questions\":[{\"turn\":41,\"evidence\":[3]},{\"text\":\"who likes plant9?\",\"evidence\":[9]},{\"text\":\"and plant12?\",\"evidence\":[12]}]}\n"
}' >asked.jsonl
run replay --policy ./memory.lua --policy ./short.lua --from asked.jsonl -o json
code 0
has '$.policies[1].strategy' text hybrid
has '$.policies[1].recall.found' integer 3
has '$.policies[1].invalid' integer 0
has '$.policies[2].recall.found' integer 0
is_true "it costs tokens" "json_extract(j, '\$.policies[1].input_tokens') > json_extract(j, '\$.policies[2].input_tokens')"

it replay__water_marks_cost_half_of_a_sliding_window
run replay --policy ./marks.lua --policy ./full.lua --from long.jsonl --baseline 80 -o json
code 0
says 'tell no time: each is taken to be 60 s'
has '$.conversations' integer 2
has '$.turns' integer 270
has '$.policies[0].baseline' true
has '$.policies[1].strategy' text window
has '$.policies[2].strategy' text full
is_true 'cost' "json_extract(j,'$.policies[1].cost_usd') * 2 <= json_extract(j,'$.policies[0].cost_usd')"
is_true 'cost, an hour' \
    "json_extract(j,'$.policies[1].cost_usd_1h') * 2 <= json_extract(j,'$.policies[0].cost_usd_1h')"
is_true 'recall' \
    "json_extract(j,'$.policies[1].recall.recall') >= json_extract(j,'$.policies[0].recall.recall')"
is_true 'hit rate' "json_extract(j,'$.policies[1].hit_rate') > 0.8"
is_true 'the cut moves seldom' "json_extract(j,'$.policies[1].cuts') BETWEEN 2 AND 8"
is_true 'full sends all' "json_extract(j,'$.policies[2].dropped_turns') = 0"
is_true 'the same replies' \
    "json_extract(j,'$.policies[1].output_tokens') = json_extract(j,'$.policies[0].output_tokens')"

it replay__fields
keys '$' 'timed_turns assumed_seconds provider model window_tokens cache_min_tokens'
keys '$.policies[1]' 'policy by turns requests answered refused invalid overflows cuts resets
    sent_turns dropped_turns input_tokens cached_tokens cache_write_tokens hit_rate cached_tokens_1h
    cache_write_tokens_1h hit_rate_1h output_tokens cost_usd cost_usd_1h output_usd hook_failures
    summaries summary_tokens summary_usd
    recall.questions recall.evidence recall.found recall.recall recall.k
    by_turn[0].turn by_turn[0].requests by_turn[0].input_tokens by_turn[0].cost_usd
    conversations[0].conversation conversations[0].dropped conversations[0].dropped_more'
has '$.policies[1].conversations[1].conversation' text b
matches '$.policies[1].by' '.*marks.lua:2'

it replay__evidence_that_is_sent
run replay --policy ./few.lua ./marks.lua --from long.jsonl --baseline 0 -o json
code 0
# few sends 8 to 16 turns and the first: none of the 8 turns that the last questions mean, both firsts
has '$.policies[0].recall.evidence' integer 6
has '$.policies[0].recall.found' integer 2
has '$.policies[0].conversations[0].dropped[0][0]' integer 2
# marks sends 40 to 80: all 4, and of turn 50 everything before
has '$.policies[1].recall.found' integer 6

it replay__the_table_and_the_picture
run replay --policy ./marks.lua full.lua hello --from long.jsonl --svg cost.svg
code 0
prints 'last 40 messages'
prints 'OF BASELINE'
prints './marks.lua'
says 'as anthropic:claude-sonnet-4-5 would bill them'
expect 'a picture' grep -q '^<svg xmlns' cost.svg
expect 'both grounds' grep -q 'prefers-color-scheme:dark' cost.svg
expect 'a line for each in each chart' test "$(grep -c '<path class="line' cost.svg)" = 12
run replay --policy ./marks.lua --from long.jsonl -o csv
prints 'policy,baseline,strategy,requests'
run replay --policy ./marks.lua --from long.jsonl -q
quiet

it replay__recall_in_csv
run replay --policy ./few.lua --from long.jsonl -o csv
expect 'columns' sh -c 'head -1 out | grep -q "summary_usd,recall,recall_k,recall_questions,recall_evidence,recall_found$"'
expect 'figures' sh -c 'sed -n 2p out | grep -qE ",[0-9.]+,[0-9.]+,[0-9]+,6,[0-9]+$"'

it replay__prices_of_another_model
run replay --policy ./marks.lua --from long.jsonl --model openai:gpt-4.1 -o json
code 0
has '$.provider' text openai
is_true 'writes are not billed' \
    "json_extract(j,'$.policies[1].cost_usd') = json_extract(j,'$.policies[1].cost_usd_1h')"
# Its vocabulary is public: what one turn sends is counted, with 4 tokens for each message.
printf '{"messages":[{"role":"user","content":"unbelievable tokenization"}]}\n' >one.jsonl
printf 'return {}\n' >bare.lua
run replay --policy ./bare.lua --from one.jsonl --model openai:gpt-4.1 --baseline 0 -o json
has '$.policies[0].input_tokens' integer $(($(printf 'unbelievable tokenization' | "$parley" tokens --model gpt-4.1) + 4))
run replay --policy ./marks.lua --from long.jsonl --provider openai --model gpt-4.1 -o json
code 0
has '$.provider' text openai
has '$.model' text gpt-4.1
run replay --policy ./marks.lua --from long.jsonl --provider openai
code 2
says "name the model too"
run replay --policy ./marks.lua --from long.jsonl --set default.provider=openai --model gpt-4.1 -o json
has '$.provider' text openai
run replay --policy ./marks.lua --from long.jsonl --model openai:nobody-knows -o json
has '$.policies[1].cost_usd' null
run replay --policy ./marks.lua --from long.jsonl --model gpt-4.1
code 2
says 'PROVIDER:MODEL'
run replay --policy ./marks.lua --from long.jsonl --model nobody:x
code 3
says 'parley models'

it replay__times_of_the_recording_count
cat >timed.jsonl <<'EOF'
{"messages":[{"role":"user","content":"one","at":"2026-01-01T10:00:00Z"},{"role":"assistant","content":"1"},{"role":"user","content":"two","at":"2026-01-01T10:20:00Z"},{"role":"assistant","content":"2"}]}
EOF
awk 'BEGIN { printf "return { system = [["; for (i = 0; i < 2000; i++) printf "word%d ", i; print "]] }" }' >prompt.lua
run replay --policy ./prompt.lua --from timed.jsonl --baseline 0 -o json
has '$.timed_turns' integer 2
has '$.policies[0].cached_tokens' integer 0
is_true 'an hour keeps it' "json_extract(j,'$.policies[0].cached_tokens_1h') > 2000"

it replay__hooks_decide_as_they_do_live
cat >hooks.lua <<'EOF'
return {
    on_message = function(view)
        if view.text == "two" then return { say = "I know." } end
        if view.text == "three" then return { reset = true } end
        if view.text == "four" then error("no") end
    end,
}
EOF
cat >hooks.jsonl <<'EOF'
{"messages":[{"role":"user","content":"one"},{"role":"assistant","content":"1"},{"role":"user","content":"two"},{"role":"assistant","content":"2"},{"role":"user","content":"three"},{"role":"assistant","content":"3"},{"role":"user","content":"four"}]}
EOF
run replay --policy ./hooks.lua --from hooks.jsonl --baseline 0 -o json
code 0
has '$.policies[0].answered' integer 1
has '$.policies[0].resets' integer 1
has '$.policies[0].requests' integer 3
has '$.policies[0].sent_turns' integer 1
has '$.policies[0].hook_failures' integer 1
has '$.policies[0].conversations[0].dropped[0][1]' integer 2
says 'hooks.lua:5'

it replay__tools_stay_whole
cat >tools.jsonl <<'EOF'
{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"Let me see.","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c1","content":"r"},{"role":"assistant","content":"A"},{"role":"user","content":"b"},{"role":"assistant","content":"B"}]}
EOF
run replay --policy ./marks.lua --from tools.jsonl --baseline 3 -o json
code 0
has '$.policies[0].invalid' integer 1
has '$.policies[1].invalid' integer 0

it replay__what_does_not_fit
{ long_talk c 400; } >huge.jsonl
run replay --policy ./full.lua --from huge.jsonl --model anthropic:claude-sonnet-4-5 \
    --set providers.anthropic.window=12000 -o json
code 0
is_true 'overflows are told' "json_extract(j,'$.policies[1].overflows') > 0"
has '$.policies[1].invalid' integer 0
run replay --policy ./full.lua --from huge.jsonl --set providers.anthropic.window=8 -o json
has '$.policies[1].refused' integer 400

it replay__bad_input
run replay --from long.jsonl
code 2
says '--policy FILE'
run replay --policy ./marks.lua --from long.jsonl --since 7d
code 2
says 'leave one out'
run replay --policy ./marks.lua --since 7x
code 2
says '--since'
run replay --policy ./gone.lua --from long.jsonl
code 3
says 'gone.lua: there is no such file'
run replay --policy helo --from long.jsonl
code 3
says hello
run replay --policy ./marks.lua --from gone.jsonl
code 2
says 'cannot read gone.jsonl'
: >empty.jsonl
run replay --policy ./marks.lua --from empty.jsonl
code 2
says 'there is no conversation in it'
printf '{"messages":[{"role":"user","content":"a"}]}\n\n{"messages":oops}\n' >bad.jsonl
run replay --policy ./marks.lua --from bad.jsonl
code 2
says 'bad.jsonl: line 3: '
silent
for bad in '{"turn":9,"evidence":[1]}' '{"evidence":[]}' '{"turn":2,"evidence":[2]}' \
    '{"turn":"x","evidence":[1]}' '{"evidence":["1x"]}' '7'; do
    printf '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"A"},{"role":"user","content":"b"}],"questions":[%s]}\n' "$bad" >bad.jsonl
    run replay --policy ./marks.lua --from bad.jsonl
    code 2
    says 'bad.jsonl: line 1: questions[0]'
done
run replay --policy ./marks.lua --from long.jsonl --baseline many
code 2
says '--baseline many'
run replay --policy ./marks.lua --from long.jsonl --svg /nowhere/a.svg
code 2
says 'cannot write /nowhere/a.svg'

it replay__the_store
run replay --policy ./marks.lua --store sqlite:none.db
code 4
expect 'nothing is made' test ! -e none.db
run import long.jsonl --store sqlite:talks.db
run ask "My name is Ann." --user bob --store sqlite:talks.db
run ask "What is my name?" -c --user bob --store sqlite:talks.db
run ask "Tell me more." -c --user bob --store sqlite:talks.db
before=$(sha256sum talks.db)
run replay --policy ./marks.lua --baseline 80 --store sqlite:talks.db -o json
code 0
has '$.conversations' integer 3
has '$.turns' integer 273
has '$.timed_turns' integer 273
has '$.policies[1].invalid' integer 0
expect 'nothing is written' test "$before" = "$(sha256sum talks.db)"
run replay --policy ./marks.lua --user bob --store sqlite:talks.db -o json
has '$.conversations' integer 1
has '$.turns' integer 3
run replay --policy ./marks.lua --since 1h --store sqlite:talks.db --bot nobody -o json
code 2
says 'no such conversation'
run replay --policy ./marks.lua --since 1h --store sqlite:talks.db -q
code 0
quiet

# What a live turn sent is in its record: the same turns, and the cut moved at the same ones.
it replay__is_what_live_turns_did
mkdir bots
policy bots/few.lua 'hybrid { keep_turns = 8, recall = 3 }'
live='--policies bots --bot few --store sqlite:live.db'
turn=0
while [ $turn -lt 30 ]; do
    turn=$((turn + 1))
    # shellcheck disable=SC2086 # several words
    run ask "This is message $turn." -c $live
done
run sessions $live -o json
session=$(value '$[0].session')
sent=0 moved=0 recalled=0 turn=0
while [ $turn -lt 30 ]; do
    turn=$((turn + 1))
    run why "$session" $turn $live -o json
    sent=$((sent + $(query "json_array_length(j,'$.sent')")))
    recalled=$((recalled + $(query "json_array_length(j,'$.recalled')")))
    moved=$((moved + $(value '$.cut_moved')))
done
run replay --policy few $live --baseline 0 -o json
code 0
has '$.turns' integer 30
has '$.policies[0].sent_turns' integer $sent
has '$.policies[0].cuts' integer $moved
has '$.policies[0].recalled_turns' integer $recalled
expect 'something was recalled' test $recalled -gt 0
expect 'the cut moved' test $moved -gt 0

# A summary is made after a turn, before the command ends, and stands in front of the next one.
it replay__summaries_as_live
policy bots/notes.lua 'summarise { keep_turns = 3, slack_turns = 5, summary_tokens = 60 }'
notes='--policies bots --bot notes --store sqlite:notes.db'
turn=0
while [ $turn -lt 30 ]; do
    turn=$((turn + 1))
    # shellcheck disable=SC2086 # several words
    run ask "This is message $turn." -c $notes
done
# shellcheck disable=SC2086 # several words
run sessions $notes -o json
session=$(value '$[0].session')
sent=0 moved=0 summed=0 turn=0
while [ $turn -lt 30 ]; do
    turn=$((turn + 1))
    # shellcheck disable=SC2086 # several words
    run why "$session" $turn $notes -o json
    sent=$((sent + $(query "json_array_length(j,'$.sent')")))
    moved=$((moved + $(value '$.cut_moved')))
    summed=$((summed + $(query "json_extract(j,'$.summary.upto_turn') IS NOT NULL")))
done
# shellcheck disable=SC2086 # several words
run usage $notes -o json
calls=$(value '$.rows[0].calls')
# shellcheck disable=SC2086 # several words
run replay --policy notes $notes --baseline 0 -o json
code 0
has '$.policies[0].strategy' text summarise
has '$.policies[0].sent_turns' integer $sent
has '$.policies[0].cuts' integer $moved
has '$.policies[0].summaries' integer $((calls - 30))
is_true 'a summary costs' "json_extract(j,'$.policies[0].summary_usd') > 0"
is_true 'it is a part of the cost' \
    "json_extract(j,'$.policies[0].summary_usd') < json_extract(j,'$.policies[0].cost_usd')"
expect 'summaries were sent' test $summed -gt 20
# shellcheck disable=SC2086 # several words
run verify $notes
code 0

it replay__a_stream_can_be_stopped
mkfifo stream
(
    "$parley" replay --policy ./marks.lua --from - <stream >out 2>err &
    echo $! >pid
    wait $!
    echo $? >status
) &
exec 9>stream
cat long.jsonl >&9
until [ -s pid ]; do :; done
kill -INT "$(cat pid)"
wait
exec 9>&-
ran='replay --from - (a stream)' code=$(cat status)
code 130
silent

it replay__the_given_recordings
shared=$(cd "$root" && realpath ../shared/cases/dialogues 2>/dev/null)
if [ -r "$shared/tau_airline.jsonl.gz" ]; then
    gzip -dc "$shared/tau_airline.jsonl.gz" >raw
    sqlite3 :memory: "WITH lines(n, line) AS (
        SELECT key, value FROM json_each('[' || replace(trim(CAST(readfile('raw') AS TEXT), char(10)),
                                                        char(10), ',') || ']'))
        SELECT json_object('id', 'tau' || n, 'messages', json(json_extract(line, '\$.traj')))
        FROM lines" >tau.jsonl
    run replay --policy ./marks.lua --from tau.jsonl -o json
    code 0
    has '$.conversations' integer 100
    has '$.policies[1].invalid' integer 0
else
    skip replay__the_given_recordings "no recordings here"
fi

plan
