#!/bin/sh
# SPDX-License-Identifier: MIT
# Every command of the program, its fields, its exit codes and what goes to which stream.
# shellcheck disable=SC2154 # variables of tap.sh
. tests/support/tap.sh
greeting='not a language model'

# ---- ask

it cli__ask_prints_only_the_reply
run ask My name is Ann.
code 0
quiet
expect "one line" test "$(wc -l <out)" = 1
prints Ann
run ask "What is my name?" -c
code 0
prints "Your name is Ann."

it cli__ask_starts_a_new_session_without_continue
run ask "What is my name?" -o json
has '$.turn' text 1
prints "Your name is Ann."  # hello remembers
run ask "My name is Ann." --bot plain --user new
run ask "What is my name?" --bot plain --user new
lacks Ann

it cli__stateless_sends_only_the_new_message
run ask "My name is Ann." --user s
run ask "What is my name?" -c --stateless --user s
code 0
lacks "Your name is"
run ask "What is my name?" -c --user s
prints "Your name is Ann."

it cli__words_and_standard_input_are_one_message
feed 'My name is Zoë.\n' ask Listen.
code 0
feed 'What is my name?' ask -c
prints Zoë
run show -c -o json
has '$.turns[0].steps[0].content[0].text' text 'Listen.

My name is Zoë.'

it cli__ask_json
run ask hello --user j --context t1 -o json
code 0
quiet
keys '$' "session turn bot user context status stop reply provider model usage window warnings"
matches '$.session' "$id_of"
has '$.turn' text 1
has '$.bot' text hello
has '$.user' text j
has '$.context' text t1
has '$.status' text done
has '$.stop' text end
has '$.reply' text
has '$.provider' text scripted
has '$.model' text scripted
for f in input_tokens cached_tokens cache_write_tokens output_tokens; do has "\$.usage.$f" integer; done
has '$.usage.estimated' bool
has '$.usage.cost_usd' number
has '$.window.tokens' integer
has '$.window.limit' integer
has '$.window.percent' number
has '$.warnings' array
has '$.error' null
run ask again -c --user j --context t1 -o json
has '$.turn' text 2

it cli__a_refusal_is_told_in_json_too
run ask hello --session 00000000 --user j -o json
code 2
keys '$' error
has '$.error.code' text not_found
has '$.error.message' text
says "no session of this user"
run ask hello --session nope --user j -o json
code 2
has '$.error.code' text usage
run ask hello --session nope --user j -o jsonl
code 2
expect "one event" test "$(wc -l <out)" = 1
has '$.event' text error
has '$.code' text usage
has '$.message' text
run ask hello --session nope --user j
silent

it cli__ask_jsonl
run ask hello -o jsonl --set providers.scripted.delay_ms=1
code 0
sed -n 1p out >first
sed -n '$p' out >last
json=first
has '$.event' text accepted
matches '$.session' "$id_of"
has '$.turn' text 1
json=last
has '$.event' text done
has '$.status' text done
keys '$' "session turn bot user context status reply provider model usage window warnings"
expect "the pieces are the reply" test "$(value '$.reply')" = "$(
    sqlite3 :memory: "SELECT group_concat(json_extract(value, '\$.text'), '') FROM json_each((
        SELECT '[' || replace(rtrim(CAST(readfile('out') AS TEXT), char(10)), char(10), ',') || ']'))
        WHERE json_extract(value, '\$.event') = 'delta'")"
json=out

it cli__a_failed_provider_is_1_and_told
run ask hello -o jsonl --set providers.scripted.status=400
code 1
says parley:
grep '"event":"error"' out >error
json=error
has '$.code' text provider
has '$.message' text
sed -n '$p' out >last
json=last
has '$.event' text done
has '$.status' text failed
json=out
run ask hello --set providers.scripted.status=400
code 1
silent

it cli__a_cut_reply_is_1_and_kept
run ask hello -o json --user cut --set providers.scripted.drop_after_bytes=900
code 1
has '$.status' text cut
has '$.stop' text lost
has '$.reply' text
has '$.error.code' text provider
has '$.error.message' text
run show -c --user cut
prints "$greeting"

it cli__key_repeated_is_the_same_turn
run ask one --key k -o json
first=$(value '$.session')
run ask one --key k -o json
code 0
has '$.session' text "$first"
has '$.turn' text 1
run ask one --key k --context other -o json
code 0
expect "another context, another turn" test "$(value '$.session')" != "$first"

it cli__contexts_and_users_are_apart
run ask "My name is Eve." --context A --bot plain --user u
run ask "What is my name?" -c --context B --bot plain --user u
lacks Eve
run ask "What is my name?" -c --context A --bot plain --user v
lacks Eve
run ask "What is my name?" -c --context A --bot plain --user u
prints Eve

it cli__session_goes_on_in_that_one
run ask "My name is Kim." -o json
session=$(value '$.session')
run ask another
run ask "What is my name?" --session "$session" -o json
has '$.session' text "$session"
has '$.turn' text 2
prints Kim

# ---- sessions, show

fresh
it cli__sessions_of_an_empty_store
run sessions
code 0
silent
run sessions -o json
code 0
prints '[]'

it cli__sessions_forms
run ask one --context ticket-1
run ask two
run sessions -o json
code 0
quiet
expect "two" test "$(query 'json_array_length(j)')" = 2
keys '$[0]' "session user bot context status turns created_at last_active_at expires_at"
matches '$[0].session' "$id_of"
has '$[0].user' text local
has '$[0].bot' text hello
has '$[0].context' text ''
has '$[1].context' text ticket-1
has '$[0].status' text active
has '$[0].turns' integer 1
matches '$[0].created_at' "$time_of"
matches '$[0].last_active_at' "$time_of"
session=$(value '$[0].session')
run sessions
prints "$session"
run sessions -o jsonl
expect "a line each" test "$(wc -l <out)" = 2
run sessions -o csv
expect "a heading and a line each" test "$(wc -l <out)" = 3
prints session,user,bot,context,status,turns,created_at,last_active_at,expires_at

it cli__sessions_all_users_names_them
run ask hi --user Zoë
run sessions --all-users -o json
expect "three" test "$(query 'json_array_length(j)')" = 3
has '$[0].user' text Zoë
run sessions --user Zoë
expect "a heading and one" test "$(wc -l <out)" = 2

it cli__show_json
run show "$session" -o json
code 0
quiet
keys '$' "session user bot context status turns"
has '$.session' text "$session"
has '$.turns[0].turn' text 1
has '$.turns[0].status' text done
has '$.turns[0].policy' text
matches '$.turns[0].at' "$time_of"
keys '$.turns[0].usage' "input_tokens cached_tokens cache_write_tokens output_tokens estimated cost_usd"
has '$.turns[0].steps[0].role' text user
has '$.turns[0].steps[1].role' text assistant
has '$.turns[0].steps[0].content[0].type' text text
has '$.turns[0].steps[0].content[0].text' text two
has '$.turns[0].steps[0].tokens' integer
expect "two steps" test "$(query "json_array_length(j, '\$.turns[0].steps')")" = 2

it cli__show_as_text
run show "$session"
code 0
prints "user: two"
prints "assistant: "
run show -c
prints "$session"

# ---- why

it cli__why_tells_what_was_sent
mkdir -p policies
cat >policies/short.lua <<'END'
local history = require "parley.history"
return { system = "Be brief.", history = history.window { keep_turns = 2, pin_first = 1 } }
END
for n in 1 2 3 4 5; do run ask "message $n" --bot short --store sqlite:why.db -c; done
run why -c --bot short --store sqlite:why.db -o json
code 0
quiet
keys '$' "session turn policy strategy by system_tokens sent dropped summary recalled predicted billed"
has '$.turn' text 5
has '$.strategy' text window
has '$.by' text policies/short.lua:2
has '$.sent[0].turn' text 1
has '$.sent[0].why' text pinned
has '$.sent[0].tokens' integer
has '$.sent[1].turn' text 3
has '$.sent[1].why' text newest
has '$.sent[2].turn' text 4
has '$.dropped[0].turn' text 2
has '$.dropped[0].by' text policies/short.lua:2
has '$.predicted.input_tokens' integer
has '$.billed.input_tokens' integer
expect "three sent, one not" test "$(query "json_array_length(j, '\$.sent') + 10 * json_array_length(j, '\$.dropped')")" = 13
run why -c 2 --bot short --store sqlite:why.db
code 0
prints "newest  1"
prints "predicted"
run why -c 9 --bot short --store sqlite:why.db
code 2
says "has no turn 9"
run why -c x --bot short --store sqlite:why.db
code 2
says "is no turn"
run why
code 2
says "which session?"

# ---- recall

it cli__recall_ranks_what_was_said
cat >talks.jsonl <<'END'
{"user":"ann","messages":[{"role":"user","content":"I bought red tulips for my garden."},{"role":"assistant","content":"Lovely."},{"role":"user","content":"The dog ate the manual."},{"role":"assistant","content":"Oh no."}]}
{"user":"ann","context":"work","messages":[{"role":"user","content":"Our tulips are late again."},{"role":"assistant","content":"Noted."}]}
{"user":"bob","messages":[{"role":"user","content":"Tulips make me sneeze."},{"role":"assistant","content":"Bless you."}]}
END
run import talks.jsonl --store sqlite:recall.db
run recall "which tulips did I buy?" --user ann --store sqlite:recall.db -o json
code 0
quiet
keys '$[0]' "kind session turn role text score why"
has '$[0].kind' text turn
has '$[0].turn' text 1
matches '$[0].session' "$id_of"
has '$[0].role' text user
has '$[0].text' text 'I bought red tulips for my garden.'
has '$[0].score' real
expect "a reason" test -n "$(query "j ->> '\$[0].why'")"
lacks sneeze
lacks late
run recall which tulips -k 1 --user ann --store sqlite:recall.db -o json
expect "no more than asked for" test "$(query "json_array_length(j)")" = 1
run recall tulips --user ann --context work --store sqlite:recall.db
prints "user: Our tulips are late again."
lacks bought
run recall tulips --user nobody --store sqlite:recall.db -o json
code 0
prints '[]'
run recall tulips -k none --store sqlite:recall.db
code 2
says "-k none"
run recall
code 2

it cli__recall_finds_what_was_said_since_and_not_what_was_undone
run ask "I like orchids." -c --user ann --store sqlite:recall.db
run recall orchids --user ann -k 2 --store sqlite:recall.db
prints "user: I like orchids."
run verify --store sqlite:recall.db
code 0
run sessions --user ann --context work --store sqlite:recall.db -o json
ticket=$(value '$[0].session')
run recall tulips --user ann --session "$ticket" --store sqlite:recall.db
code 0
prints "Our tulips are late"
lacks "red tulips"
run recall tulips --user ann --session "$ticket" --bot plain --store sqlite:recall.db
code 2
says "belongs to bot"

it cli__why_tells_what_was_recalled
cat >policies/memory.lua <<'END'
local history = require "parley.history"
return { history = history.recall { keep_turns = 1, k = 2 } }
END
run ask "I planted tulips behind the shed." --bot memory --store sqlite:hybrid.db
for n in 1 2; do run ask "message $n" --bot memory --store sqlite:hybrid.db -c; done
run ask "Where are the tulips?" -c --bot memory --store sqlite:hybrid.db
run why -c --bot memory --store sqlite:hybrid.db -o json
code 0
has '$.strategy' text recall
has '$.recalled[0].turn' text 1
matches '$.recalled[0].session' "$id_of"
has '$.recalled[0].score' real
has '$.recalled[0].why' text
has '$.recalled_tokens' integer
run why -c --bot memory --store sqlite:hybrid.db
code 0
expect "a line for each" grep -q "^recalled  *1 of " out
run show -c --bot memory --store sqlite:hybrid.db
lacks "<recalled>"

it cli__check_knows_how_much_can_be_recalled
cat >policies/wrong.lua <<'END'
local history = require "parley.history"
return { history = history.hybrid { recall = 99 } }
END
run check policies/wrong.lua
code 3
prints "at most 32 turns can be recalled"
printf 'return { model = "nobody:x" }' >policies/wrong.lua
run check policies/wrong.lua
code 0
prints "no provider is called nobody"
cat >policies/wrong.lua <<'END'
local history = require "parley.history"
return { history = history.summarise { keep_turns = 4, model = "nosuch:x" } }
END
run check policies/wrong.lua
code 0
prints "no provider is called nosuch"
rm -f policies/wrong.lua

# ---- redact

it cli__redact
feed 'Write to Ann@example.org or ann@example.org, not [EMAIL_7]; pay 4111 1111 1111 1111.\n' redact
code 0
quiet
expect "masks by value, and none that was said" test "$(cat out)" = \
    'Write to [EMAIL_1] or [EMAIL_1], not [\EMAIL_7]; pay [CARD_1].'
printf 'Zoë: 4111-1111-1111-1111' >text
run redact text -o json
code 0
has '$.text' text 'Zoë: [CARD_1]'
has '$.spans[0].type' text card
has '$.spans[0].start' integer 6
has '$.spans[0].end' integer 25
has '$.spans[0].score' integer
keys '$' "text spans"
keys '$.spans[0]' "type start end score"
feed '' redact -
code 0
expect "nothing of nothing" test ! -s out
feed 'ring 030 901820' redact --region DE
prints 'ring [PHONE_1]'

it cli__redact_by_a_policy
mkdir -p rules
echo 'return { privacy = { redact = { "phone" } } }' >rules/phones.lua
echo 'return { system = "x" }' >rules/silent.lua
for bot in phones silent; do
    feed 'it is 4155552671 ok' redact --policies rules --bot $bot
    prints 'it is 4155552671 ok'
    feed 'it is 4155552671 ok' redact --policies rules --bot $bot --set privacy.region=US
    prints 'it is [PHONE_1] ok'
done
feed 'x' redact --policies rules --bot phones --region US
code 2
says "--region does not go with --bot"
rm -r rules

# ---- tokens

it cli__tokens
feed 'Hello, world!' tokens
code 0
quiet
expect "the count alone" test "$(cat out)" = 4
feed 'Hello, world!' tokens --ids
expect "the ids" test "$(cat out)" = "13225 11 2375 0"
feed 'Hello, world!' tokens --ids --encoding cl100k_base
expect "the ids" test "$(cat out)" = "9906 11 1917 0"
printf 'Hello, world!' >text
run tokens text -o json
has '$.tokens' integer 4
has '$.encoding' text o200k_base
has '$.estimated' false
keys '$' "tokens encoding estimated"
feed 'a<|endoftext|>' tokens - --ids --special -o json
has '$.tokens' integer 2
has '$.ids[1]' integer 199999
feed '' tokens --ids
expect "no ids" test "$(cat out)" = ""

it cli__tokens_of_a_model
run tokens text --model claude-sonnet-4-5
code 0
expect "a number alone" grep -qx '[0-9]*' out
says "estimated: the vocabulary of model claude-sonnet-4-5 is not public"
run tokens text --model claude-sonnet-4-5 -q
quiet
run tokens text --model gpt-4o
quiet
run tokens text --model gpt-4o -o json
has '$.model' text gpt-4o
has '$.encoding' text o200k_base
has '$.estimated' false
run tokens text --model gpt-3.5-turbo --ids
expect "the ids" test "$(cat out)" = "9906 11 1917 0"
run tokens text --model claude-opus-4-7 -o json
code 0
has '$.model' text claude-opus-4-7
has '$.estimated' true
has '$.tokens' integer
lacks encoding

# ---- usage

it cli__usage_by_each
for by in day bot model user session; do
    run usage --by $by -o json
    code 0
    keys '$.rows[0]' "$by calls input_tokens cached_tokens cache_write_tokens output_tokens cost_usd"
    has "\$.rows[0].$by" text
    for f in calls input_tokens cached_tokens output_tokens estimated_calls; do
        has "\$.rows[0].$f" integer
        has "\$.total.$f" integer
    done
    has '$.rows[0].cost_usd' number
    has '$.total.calls' integer 3
done

it cli__usage_names
run usage --by user --csv
expect "two users" test "$(sed 1d out | cut -d, -f1 | sort | tr '\n' ' ')" = "Zoë local "
run usage --by model --csv
expect "provider:model" test "$(sed -n 2p out | cut -d, -f1)" = scripted:scripted
run usage --by bot
prints hello
prints total
run usage --by user --user Zoë -o json
has '$.total.calls' integer 1

it cli__usage_names_what_grows_too_large
run usage --by session
prints "WINDOW"
run usage --by session -o json
has '$.rows[0].window.tokens' integer
has '$.rows[0].window.percent' number
words() { seq 1 "$1" | tr '\n' ' '; }
# No numbers: four of four digits in a row may be a card's, and are masked then.
names() { seq 1 "$1" | sed 's/^/n/' | tr '\n' ' '; }
for n in 1 2 3; do
    run ask --store sqlite:grow.db --bot plain -c "$(names 5900)"
    code 0
done
run usage --store sqlite:grow.db --by session
prints "grows fastest: "
prints "more turns to 80 %"
for n in 4 5 6 7; do
    run ask --store sqlite:grow.db --bot plain -c "$(names 7900)"
done
run usage --store sqlite:grow.db --by session
prints "too large: "
prints "start anew with /reset"
run usage --store sqlite:grow.db --by session --set providers.scripted.window=1000 -o json
has '$.rows[0].window.limit' integer 1000
run usage --store sqlite:grow.db --by session -o json
has '$.rows[0].turns_left' integer 0
rm -f grow.db*

# ---- privacy

it cli__a_region_is_configured
mkdir -p dialled
cat >dialled/parley.lua <<'EOF'
return { store = "sqlite:dialled.db", default = { bot = "plain" }, privacy = { region = "US" } }
EOF
run ask --config dialled/parley.lua 'it is 4155550132, I think'
code 0
run show --config dialled/parley.lua -c
prints 'it is [PHONE_1], I think'
run ask --config dialled/parley.lua --set privacy.region=DE 'and 2125550199'
code 0
run show --config dialled/parley.lua -c
prints 'and 2125550199'
echo 'return { privacy = { region = "Atlantis" } }' >dialled/wrong.lua
run check --config dialled/wrong.lua
says "wrong.lua:1: privacy.region: 'Atlantis' is no region"

# ---- budgets

it cli__a_budget_is_held
mkdir -p rich
cat >rich/parley.lua <<'EOF'
return { store = "sqlite:budget.db", default = { bot = "plain" },
         budgets = { user_tokens_per_day = 4160, usd_per_day = 20 } }
EOF
run ask --config rich/parley.lua hello
code 0
run ask --config rich/parley.lua --key k "$(words 70)"
code 5
silent
says "of the 4160 tokens that one user may spend a day"
says "budgets.user_tokens_per_day"
says "00:00 UTC"
run ask --config rich/parley.lua --user other hello
code 0
run show --config rich/parley.lua -c
lacks "1 2 3 4"
run usage --config rich/parley.lua
prints "each user"
prints "everybody"
prints "budgets.usd_per_day"
run usage --config rich/parley.lua --user local
prints "user local"
run usage --config rich/parley.lua --user local -o json
has '$.budgets[0].budget' text budgets.user_tokens_per_day
has '$.budgets[0].used' integer
has '$.budgets[0].limit' integer 4160
has '$.budgets[0].unit' text tokens
run usage --config rich/parley.lua -o json
has '$.budgets[0].each_user' true
has '$.budgets[0].used' null
has '$.budgets[0].user' null
has '$.budgets[0].limit' integer 4160
run usage -o json
expect "no budget, no word of it" test "$(value '$.budgets')" = "[]"
run verify --config rich/parley.lua
code 0
run verify
code 0

it cli__check_knows_what_no_budget_holds
run check rich/parley.lua
code 0
lacks "note"
printf 'return { budgets = { usd_per_day = 1 }, default = { provider = "openai", model = "gpt-99" } }' >rich/parley.lua
run check rich/parley.lua
code 0
prints "note   rich/parley.lua: no price is known for openai:gpt-99"
run check rich/parley.lua -o json
has '$.files[0].notes[0]' text
printf 'return { budgets = { usd_per_day = -1 } }' >rich/parley.lua
run check rich/parley.lua
code 3
prints "rich/parley.lua:1: budgets.usd_per_day: must be US dollars"
run ask --config rich/parley.lua hello
code 3
says "rich/parley.lua:1: budgets.usd_per_day: must be US dollars"
rm -rf rich budget.db*

# ---- verify, check, migrate, version, help

it cli__verify
run verify
code 0
prints "problems: 0"
run verify -o json
has '$.sessions' integer 3
has '$.turns' integer 3
expect "no problem" test "$(query "json_array_length(j, '\$.problems')")" = 0

it cli__check
mkdir -p policies
cp "$root"/policies/*.lua policies
run check
code 0
prints policies/hello.lua
run check policies/hello.lua -o json
code 0
has '$.ok' true
has '$.files[0].file' text policies/hello.lua
printf 'return { titel = "x" }\n' >policies/wrong.lua
run check
code 3
prints 'policies/wrong.lua:1: titel: unknown key (did you mean title?)'
run check -o json
code 3
has '$.ok' false
rm policies/wrong.lua

it cli__migrate
cp parley.db before
run migrate --dry-run
code 0
prints "nothing to do"
run migrate
code 0
expect "the store is as it was" cmp before parley.db

it cli__migrate_of_a_first_version
fresh
run ask hi
sqlite3 parley.db 'ALTER TABLE partitions DROP COLUMN erased; PRAGMA user_version = 1' || wrong "not made older"
cp parley.db before
run verify
code 4
says 'run `parley migrate`'
run migrate --dry-run
code 0
prints "from version 1 to 2"
expect "a dry run changes nothing" cmp before parley.db
run migrate
code 0
prints "from version 1 to 2"
run ask -c again
code 0
run verify
code 0

it cli__version
run version
code 0
expect "name and number" grep -qxE 'parley [0-9]+\.[0-9]+\.[0-9]+' out
run --version
code 0
run version -o json
has '$.version' text

it cli__help
run help
code 0
quiet
for c in chat ask sessions show usage check verify import migrate version; do
    prints "  $c"
    run help $c
    code 0
    prints "Usage: parley $c"
    run $c --help
    code 0
    prints "Usage: parley $c"
    run help
done
run help redact
prints "  email "
prints "  cn_id "
run help --settings
code 0
prints "default.bot"
prints "embeddings.deadline"
prints "Default: sqlite:parley.db."
run help --man
prints "CONFIGURATION"
prints .TH

# ---- import

it cli__import
cat >talks.jsonl <<'EOF'
{"user":"imp","messages":[{"role":"user","content":"hi","at":"2024-01-01T00:00:00Z"},{"role":"assistant","content":[{"type":"text","text":"yo"}]}]}
{"user":"imp","context":"c","bot":"plain","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"},{"role":"assistant","content":"d"}]}
EOF
run import talks.jsonl -o json
code 0
has '$.sessions' integer 2
has '$.turns' integer 3
has '$.failed' integer 0
run show -c --user imp -o json
imported=$(value '$.session')
has '$.turns[0].at' text 2024-01-01T00:00:00.000Z
has '$.turns[0].steps[1].content[0].text' text yo
run show -c --user imp --bot plain --context c -o json
has '$.turns[1].steps[1].content[0].text' text d
# It is years old: who comes back begins anew, unless they name it.
run ask "go on" -c --user imp -o json
code 0
has '$.origin' text fresh
run ask "go on" --session "$imported" --user imp -o json
code 0
has '$.turn' text 2
run verify
code 0

it cli__import_tells_the_lines_that_fail
printf '%s\n' '{"user":"i2","messages":[{"role":"assistant","content":"x"}]}' 'no' >bad.jsonl
sed 's/imp/i3/' talks.jsonl >>bad.jsonl
run import bad.jsonl -o json
code 2
says "line 1:"
says "line 2:"
has '$.sessions' integer 2
has '$.failed' integer 2

it cli__keys_may_be_in_files
printf 'sk-of-a-file\n' >key.txt
head -c 20000 /dev/zero | tr '\0' k >long.txt
OPENAI_API_KEY_FILE=key.txt run models -o json
has '$.providers[1].provider' text openai
has '$.providers[1].ready' bool 1
lacks sk-of-a-file
OPENAI_API_KEY_FILE=nowhere.txt run models
prints "set OPENAI_API_KEY"
says "the key in nowhere.txt cannot be read: No such file"
OPENAI_API_KEY_FILE=long.txt run ask hi --provider openai --model m
code 3
says "the key in long.txt cannot be read: File too large"
CREDENTIALS_DIRECTORY=. run models
quiet

it cli__a_log_level_that_is_none_is_told
PARLEY_LOG=trace run version
code 0
says "PARLEY_LOG=trace is ignored: it is debug, info, warn or error"
PARLEY_LOG=debug run version
quiet

# ---- chat from a script, formats, streams

fresh
it cli__chat_off_a_terminal
feed 'My name is Zed.\n\nWhat is my name?\n"""\ntwo\nlines\n"""\n/tokens\n' chat
code 0
prints "Your name is Zed."
lacks "you>"
lacks '/help'
run show -c -o json
has '$.turns[2].steps[0].content[0].text' text "two
lines"
feed 'What is my name?\nexit\nnever said\n' chat -c
prints "Your name is Zed."
run show -c
lacks "never said"
feed 'hi\nquit\n'
code 0

it cli__chat_of_a_script_tells_its_first_failure
feed 'a\377b\nMy name is Ida.\nWhat is my name?\n' chat
code 2
prints "Your name is Ida."

it cli__chat_of_a_script_tells_a_message_that_is_too_long
{
    head -c 600000 /dev/zero | tr '\0' x
    printf '\nMy name is Ivo.\nWhat is my name?\n'
} >long.txt
ran="chat (fed with long.txt)"
"$parley" chat >out 2>err <long.txt
code=$?
code 2
says "the message is too long"
prints "Your name is Ivo."

it cli__chat_usage_before_anything_was_sent
feed 'one\n/reset\n/usage\n' chat
code 0
says "nothing was sent in this session yet"
lacks "calls:"

it cli__chat_save_leaves_no_half_file
ran="chat (fed, files may not grow)"
printf 'one\n/save half.txt\n' | (
    trap '' XFSZ
    ulimit -f 0
    "$parley" chat --store memory: 2>&1
) | cat >out
prints "cannot write half.txt"
expect "nothing left" test ! -e half.txt

it cli__table_rows_are_lines
run ask hello --user rows --context 'two
lines	and a tab'
run sessions --user rows
code 0
prints "two lines and a tab"
expect "a heading and a row" test "$(wc -l <out)" = 2

it cli__chat_slash_commands
feed 'one\n/usage\n/history\n/sessions\n/policy\n/help\n/save kept.txt\n/undo\n/history\n' chat --user slash
code 0
prints "calls: 1"
prints "user: one"
prints "/reset"
prints "superseded"
expect "saved" grep -qF "user: one" kept.txt
feed 'My name is Al.\n/reset\nWhat is my name?\n/resume\nWhat is my name?\n/bye\nno\n' chat --user slash
code 0
prints "You have not told me your name"
prints "Your name is Al."

it cli__another_answer_and_another_question
feed 'My name is Ada.\n/regenerate\nWhat is my name?\n/edit 2 My name is Bo.\nWhat is my name?\n/edit x y\n/edit 1\n' chat --user again
code 0
prints "Your name is Ada."
prints "Your name is Bo."
says "'x' is no turn"
says "write /edit TURN TEXT"
run ask --regenerate --user again -o json
code 0
has '$.turn' text "6"
run ask --regenerate --edit 4 --user again --key once
code 0
run ask --regenerate --edit 4 --user again --key once -o json
has '$.turn' text "7"
run ask --edit 7 --user again "My name is Cy."
code 0
run show -c --user again -o json
has '$.turns[6].superseded' true
has '$.turns[7].steps[0].content[0].text' text "My name is Cy."
run ask --regenerate --user again "with a text"
code 2
says "takes no message"
run ask --edit 0 --user again "hi"
code 2
run ask --regenerate --user nobody
code 2

it cli__constraints_are_kept_in_mind
feed 'one\n/constraint I am allergic to nuts.\n/constraint\n/constraint two\n/unconstrain 2\n/unconstrain x\nMy name is Ada.\nWhat is my name?\n' chat --user mind
code 0
prints "1. I am allergic to nuts."
prints "2. two"
prints "Your name is Ada."
says "is no constraint's number"
run why -c --user mind
prints "constraints"
run why -c --user mind -o json
has '$.constraints' integer 1
run constraint -c --user mind "be brief" -o json
has '$.constraints[1].text' text "be brief"
has '$.constraints[1].number' integer 2
run constraint -c --user mind -o json
has '$.constraints[0].text' text "I am allergic to nuts."
run show -c --user mind
prints "constraint 2: be brief"
run constraint -c --user mind --remove 1
prints "2. be brief"
run constraint -c --user mind --remove 1
code 2
run constraint --user mind
code 2
says "which session"

it cli__a_slash_command_does_only_what_was_meant
feed '/why\none\n/undo 1\n/unconstrain\n/bye now\n/reset\n/why\n/resume\nMy name is Ada.\n' chat --user meant
code 0
says "'1' is too much: write /undo"
says "write /unconstrain NUMBER"
says "'now' is too much: write /bye"
says "there is no turn in this session yet"
lacks "Taken back"
prints "Nice to meet you, Ada"

it cli__pin_keeps_a_turn
feed 'one\ntwo\n/pin\n/pin 1\n/unpin 2\n/pin x\n/pin 9\n/history\n' chat --user pins
code 0
prints "Pinned: 1, 2."
prints "Pinned: 1."
says "'x' is no turn"
says "no turn 9"
prints "· pinned"
run pin -c --user pins -o json
code 0
has '$.pinned[0].turn' text "1"
has '$.pinned[0].by' text "user"
has '$.pinned[1].turn' text "2"
run pin -c 2 --remove --user pins
prints "Pinned: 1."
run pin -c 2 --remove --user pins
code 2
says "not pinned"
run pin --user pins
code 2
says "which session"
run pin -c 1 2 --user pins
code 2
run show -c --user pins -o json
has '$.turns[0].pinned' text "user"

it cli__undo_takes_the_newest_turn_back
run ask "My name is Ann." --user undo
run ask "My name is Bea." -c --user undo
run undo -c --user undo
code 0
quiet
prints "Taken back: My name is Bea."
run ask "What is my name?" -c --user undo
prints "Your name is Ann."
run undo -c --user undo -o json
has '$.turn' text "3"
has '$.text' text "What is my name?"
keys '$' "session turn text"
run undo -c 1 --user undo
code 2
says "'1' is one word too many"
run undo --user undo
code 2
says "which session"
run undo -c --user undo
run undo -c --user undo
code 5
silent

it cli__a_session_by_how_its_id_begins
run ask "My name is Ada." --user begins -o json
session=$(value '$.session')
begins=$(printf %.9s "$session")
run ask "What is my name?" --session "$begins" --user begins -o json
has '$.session' text "$session"
has '$.turn' text "2"
run show "$begins" --user begins
prints "Your name is Ada."
run why "$begins" 2 --user begins -o json
has '$.session' text "$session"
run usage --session "$begins" --user begins -o json
has '$.total.calls' integer 2
run show abc --user begins
code 2
says "the first 4 characters or more"
run show 0000- --user begins
code 2
run show 00000000 --user begins
code 2
says "no session of this user begins with 00000000"

it cli__a_form_that_a_command_lacks_is_refused
for f in "chat -o json" "ask hi -o csv" "show -c -o csv" "verify -o csv"; do
    # shellcheck disable=SC2086 # words
    run $f
    code 2
    silent
    says "only as table"
done
run help chat
lacks jsonl
run help tokens
prints "--output table|json|jsonl "

it cli__no_colour_off_a_terminal
run usage
expect "no escape" sh -c '! grep -q "$(printf "\033")" out err'

it cli__a_reader_that_goes_away_is_no_error
for i in 1 2 3; do run ask "message $i" -c --user pipe; done
{
    "$parley" show -c --user pipe 2>err
    echo $? >status
} | head -n 1 >out
code=$(cat status)
code 0
quiet

it cli__a_reader_that_goes_away_loses_no_turn
{
    "$parley" ask hello --user gone --set providers.scripted.delay_ms=5 2>err
    echo $? >status
} | :
code=$(cat status)
code 0
run show -c --user gone
prints "done"

it cli__why_of_a_turn_that_died
mkfifo early
"$parley" ask hello --user died -o jsonl --set providers.scripted.delay_ms=60000 >early 2>err &
read -r accepted <early
kill -9 $!
wait $! 2>err
expect "it was accepted" test "${accepted#*accepted}" != "$accepted"
run why -c --user died
code 0
prints "It is not known what was sent"

it cli__quiet_leaves_out_notes
run ask hi -q
quiet
run sessions --user stranger -q
quiet
code 0

it cli__options_stand_anywhere
run --user any ask --context c hello -o json
code 0
has '$.user' text any
has '$.context' text c
run ask -- --not-an-option
code 0

it cli__environment_and_configuration
mkdir -p conf
cat >conf/parley.lua <<'EOF'
return { store = "sqlite:conf/mine.db", default = { bot = "plain" } }
EOF
run --config conf/parley.lua ask hi -o json
has '$.bot' text plain
expect "its store" test -f conf/mine.db
ran="with PARLEY_CONFIG and PARLEY_BOT"
PARLEY_CONFIG=conf/parley.lua PARLEY_BOT=hello "$parley" ask hi -o json >out 2>err
has '$.bot' text hello
ran="with PARLEY_BOT and --bot"
PARLEY_BOT=nobody "$parley" ask hi --bot plain -o json >out 2>err
has '$.bot' text plain
run ask hi --store memory: -o json
code 0

it cli__all_of_it_is_sound
run verify
code 0

plan
