#!/bin/sh
# SPDX-License-Identifier: MIT
# What a person gets wrong: each has a message that says where and what to do, the right exit code, and
# leaves the store as it was.
# shellcheck disable=SC2154 # variables of tap.sh
. tests/support/tap.sh

run ask "My name is Ann."
run ask "What is my name?" -c
cp parley.db good.db
cp parley.keys good.keys
mkdir policies

# After each: the store has the same bytes, and no other was made.
unchanged() {
    cmp parley.db good.db >/dev/null || wrong "the store's bytes changed"
    expect "no other store" test "$(find . -name '*.db' | sort | tr '\n' ' ')" = "./good.db ./parley.db "
}
refused() { # refused CODE ARGUMENTS…
    tap_code=$1
    shift
    run "$@"
    code "$tap_code"
    silent
    unchanged
}

# ---- the command line

it bad__unknown_command
refused 2 sesions
says "there is no command 'sesions'; did you mean 'sessions'?"
refused 2 help nope
says "there is no command 'nope'"

it bad__command_of_a_later_version
refused 2 serve
says "serve is not in this version"

it bad__unknown_flag
refused 2 ask hi --provder x
says "there is no option --provder; did you mean --provider?"
refused 2 -x
says "parley help"
refused 2 ask hi --by day
says "--by"

it bad__flag_without_its_value
refused 2 ask hi --user
says "--user"
refused 2 ask hi --set nothing
says "write --set NAME=VALUE"
refused 2 usage --by week
says "write one of day|bot|model|user|session"
refused 2 ask hi -o yaml
says "write one of table|json|jsonl|csv"

it bad__redact
refused 2 redact /nowhere/text
says "cannot read /nowhere/text: No such file or directory"
printf 'caf\351' >latin
refused 2 redact latin
says "not valid UTF-8 at byte 3"
printf 'a\0b' >nul
refused 2 redact nul
says "a NUL at byte 1"
printf hello >hello
refused 2 redact --region Atlantis hello
says "is no region"
head -c 16777217 /dev/zero >large
refused 2 redact large
says "over 16 MiB"
rm large latin nul hello

it bad__tokens
refused 2 tokens /nowhere/text
says "cannot read /nowhere/text: No such file or directory"
refused 2 tokens .
says ".: cannot read the input: Is a directory"
refused 2 tokens --encoding p50k_base
says "write one of cl100k_base|o200k_base"
refused 2 tokens --encoding o200k_base --model gpt-4o
says "an encoding or a model, not both"
refused 2 tokens --ids --model claude-opus-4-7
says "the vocabulary of model 'claude-opus-4-7' is not public"
refused 2 ask hi --ids
says "--ids does not go with ask; it is for: tokens"
head -c 67108865 /dev/zero >large
refused 2 tokens large
says "over 64 MiB: count it in parts"
rm large

it bad__too_many_words
refused 2 sessions one
says "write parley sessions"

it bad__unknown_session
refused 2 ask hi --session nope
says "session nope: not a session's id, nor the first 4 characters or more of one; \`parley sessions\` lists them"
refused 2 show 11111111-1111-4111-8111-111111111111
says "no session 11111111-1111-4111-8111-111111111111 for this user: list them with \`parley sessions\`, or name its user (--user)"
refused 2 show
says "which session?"
run sessions -o json
session=$(value '$[0].session')
refused 2 ask hi --user eve --session "$session"
says "user eve has no sessions here"
refused 2 show "$session" --user eve
says "user eve has no sessions here"

it bad__unknown_bot
refused 3 ask hi --bot helo
says "there is no bot 'helo' (did you mean hello?)"
refused 3 ask hi --bot ../hello
says "bot"
refused 3 ask hi --bot nobody
says "write policies/nobody.lua, or choose another with --bot"

it bad__unknown_provider
refused 3 ask hi --provider nope
says "no provider is called nope: add providers.nope"
refused 3 ask hi --provider openai --model m
says "set OPENAI_API_KEY"

it bad__key_used_for_other_text
run ask one --key k
cp parley.db good.db
refused 5 ask two --key k
says 'key "k" was used for another message: use a new key'

# ---- the message

it bad__message_that_is_not_utf8
feed 'a\377b' ask
code 2
silent
says "not valid UTF-8 at byte 1"
unchanged
refused 2 ask "$(printf 'bad \303(')"
says "not valid UTF-8 at byte 4"
feed 'a\377b\n' chat
code 2
says "not valid UTF-8 at byte 1"
unchanged

it bad__message_with_a_nul
feed 'a\0b' ask
code 2
silent
says "NUL at byte 1"
unchanged

it bad__oversize_message
head -c 262145 /dev/zero | tr '\0' a >big
ran="ask <big"
"$parley" ask <big >out 2>err
code=$?
code 2
silent
says "longer than 262144 bytes: send it in parts"
unchanged
ran="ask </dev/zero, without end"
tr '\0' a </dev/zero 2>/dev/null | "$parley" ask >out 2>err
code=$?
code 2
unchanged

it bad__no_message
for text in '' ' '; do
    refused 2 ask "$text"
    says message
done
refused 2 ask
says "write parley ask TEXT, or pipe it in"

it bad__the_largest_message_is_taken
head -c 262144 big >largest
ran="ask <largest"
"$parley" ask --store sqlite:large --user large <largest >out 2>err
code=$?
code 0
run show -c --store sqlite:large --user large -o json
expect "whole" test "$(query "length(json_extract(j, '\$.turns[0].steps[0].content[0].text'))")" = 262144

it bad__file_to_import
printf 'not json\n' >bad.jsonl
run import bad.jsonl
code 2
says "line 1:"
unchanged
refused 2 import absent.jsonl
says "cannot read absent.jsonl"
run import policies
code 2
says "policies: cannot read"
unchanged
refused 2 import
says "import"

# ---- configuration

it bad__configuration
wrong_config() { # wrong_config CODE TEXT SAYS
    printf '%s' "$2" >mine.lua
    refused "$1" ask hi --config mine.lua
    says "$3"
}
wrong_config 3 'return { stroe = 1 }' 'mine.lua:1: stroe: unknown key (did you mean store?)'
wrong_config 3 'return { providers = { x = { api = "openai", key = "sk-1" } } }' \
    'mine.lua:1: providers.x.key: unknown key (did you mean key_env?)'
wrong_config 3 'return {
  workers = "many" }' 'mine.lua:2: workers'
wrong_config 3 'return { store = ' 'mine.lua:1:'
wrong_config 3 'return 7' 'mine.lua'
wrong_config 3 'while true do end' 'mine.lua:1: stopped: it '
refused 3 ask hi --config absent.lua
says "absent.lua"
refused 3 ask hi --set providers.scripted.delay_ms=soon
says "providers.scripted.delay_ms"
refused 3 ask hi --set nonsense=1
says "nonsense: unknown key"

# ---- policies

bot() { # bot NAME: the policy comes on standard input
    cat >"policies/$1.lua"
}
it bad__policy_with_a_syntax_error
bot syntax <<'EOF'
return {
  title = "Syntax"
  system = "x",
}
EOF
refused 3 ask hi --bot syntax
says "policies/syntax.lua:3: '}' expected"
refused 3 chat --bot syntax
says "policies/syntax.lua:3:"

it bad__policy_with_a_wrong_type
bot type <<'EOF'
return {
  title = 42,
}
EOF
refused 3 ask hi --bot type
says "policies/type.lua:2: title: must be text, not a number"

it bad__policy_with_an_unknown_key
bot key <<'EOF'
return {
  title = "T",
  sytem = "x",
}
EOF
refused 3 ask hi --bot key
says "policies/key.lua:3: sytem: unknown key (did you mean system?)"

it bad__policy_that_never_ends_loading
echo 'while true do end' | bot endless
refused 3 ask hi --bot endless
says "policies/endless.lua:1: stopped: it "

it bad__policy_that_returns_no_table
echo 'return 7' | bot seven
refused 3 ask hi --bot seven
says "policies/seven.lua: must return a table"

it bad__policies_as_check_tells_them
run check
code 3
for b in syntax.lua:3: type.lua:2: key.lua:3: endless.lua:1: seven.lua:; do prints "policies/$b"; done
unchanged

# One that fails while it runs costs nothing but its own plan.
stands_in() { # stands_in NAME SAYS
    run ask "My name is Ann." --bot "$1" --store sqlite:run
    code 0
    prints Ann
    says "policies/$1.lua:$2"
    says "the plain policy stood in"
    run ask "What is my name?" --bot "$1" --store sqlite:run -c -o json
    prints "Your name is Ann."
    has '$.warnings[0]' text
    run verify --store sqlite:run
    code 0
}
it bad__policy_with_an_endless_loop
bot loop <<'EOF'
return {
  on_message = function(view)
    while true do end
  end,
}
EOF
stands_in loop "3: stopped: it "

it bad__policy_that_raises
bot raises <<'EOF'
return {
  history = function(view)
    return nil + 1
  end,
}
EOF
stands_in raises "3: attempt to perform arithmetic on a nil value"

it bad__policy_with_a_wrong_plan
bot plan <<'EOF'
return {
  history = function(view)
    return 42
  end,
}
EOF
stands_in plan "2: must return nil or a table"

# ---- the store

# What the program says of a store that it cannot use, for each command that opens it.
useless() { # useless CODE SAYS
    cp parley.db as_it_was 2>/dev/null
    for c in "ask hi -c" sessions "show -c" usage verify "chat"; do
        # shellcheck disable=SC2086 # words
        run $c
        code "$1"
        silent
        says "$2"
    done
    if [ -f as_it_was ]; then
        cmp parley.db as_it_was >/dev/null || wrong "the store's bytes changed"
        rm as_it_was
    fi
}
restore() {
    rm -rf parley.db parley.db-* parley.keys
    cp good.db parley.db
    cp good.keys parley.keys
}

it bad__store_that_is_no_database
restore
head -c 100000 big >parley.db
useless 4 "parley.db is not a database: name another file, or restore it from a backup"
run migrate
code 4

it bad__store_cut_short
restore
truncate -s 5000 parley.db
useless 4 "parley.db is damaged"
says "restore it from a backup"

it bad__store_with_a_corrupt_page
restore
# Every page but the first is noise.
head -c 4096 good.db >parley.db
head -c $(($(wc -c <good.db) - 4096)) /dev/zero | tr '\0' '\377' >>parley.db
run sessions
code 4
silent
says "parley.db"
run verify
code 4

it bad__store_with_altered_text
restore
sqlite3 parley.db "UPDATE records SET body = randomblob(length(body)) WHERE key LIKE 'turn/%'" >sql 2>&1
expect "rows were altered" test ! -s sql
sqlite3 parley.db .dump | grep -v '^PRAGMA' >before
run show -c
code 4
says "this session is quarantined"
expect "no text that nobody wrote" test -z "$(grep '^user:\|^assistant:' out)"
run ask -c go on
code 4
silent
says "is quarantined: record turn/"
run verify
code 4
sqlite3 parley.db .dump | grep -v '^PRAGMA' >after
expect "nothing was changed" cmp before after

it bad__one_damaged_session_and_the_rest
restore
run ask "Another one." -o json
other=$(value '$.session')
run ask "And one more." --context kitchen -o json
hurt=$(value '$.session')
sqlite3 parley.db "UPDATE records SET meta = replace(meta, '\"turns\":1', '\"turns\":0') WHERE key = 'session/$hurt'"
run sessions
code 0
prints "quarantined"
prints "$other"
says "1 session could not be read, and is quarantined: run \`parley verify\`"
run sessions -o json
expect "it is marked" test "$(grep -o '"quarantined":true' out | wc -l)" = 1
expect "and it alone" test "$(grep -o '"quarantined":false' out | wc -l)" = 3
run ask --session "$hurt" "Are you there?"
code 4
silent
says "session $hurt is quarantined: record session/$hurt: damaged, or moved from its place"
says "restore the store from a backup, or start a new session"
run show "$hurt"
code 4
silent
run ask --session "$other" "Go on."
code 0
run ask --context kitchen "A new one."
code 0
run ask -c --context kitchen "Go on."
code 0
run verify -o json
code 4
prints "session $hurt: record session/$hurt"
sqlite3 parley.db "UPDATE records SET meta = '{}' WHERE key LIKE 'head/%'"
run ask -c "And now?"
code 0
says "which session is the newest could not be read"
sqlite3 parley.db "UPDATE records SET meta = replace(meta, '1', '2') WHERE key LIKE 'attempt/%'"
run usage
code 0
says "could not be read and are not counted"

it bad__store_without_its_user_or_house
restore
sqlite3 parley.db "UPDATE partitions SET name = upper(name) || 'x' WHERE name NOT LIKE '~%'"
run verify
code 4
prints "its key is not in the keyring"
sqlite3 parley.db "DELETE FROM records WHERE key = 'keyring'; DELETE FROM partitions WHERE name = '~house'"
run sessions
code 4
says "the store no longer says which keyring it was sealed with"

it bad__store_that_is_a_folder
restore
rm -f parley.db
mkdir parley.db
useless 4 "parley.db is a directory: name a file"
rmdir parley.db

it bad__store_nowhere
restore
refused 4 ask hi --store sqlite:absent/x.db
says "name a file in a folder that exists and can be written"
refused 4 ask hi --store nonsense:x
says "sqlite:PATH"

it bad__store_of_a_newer_version
restore
version=$(sqlite3 parley.db 'PRAGMA user_version')
sqlite3 parley.db 'PRAGMA user_version = 9999'
[ "$version" -gt 0 ] || sqlite3 parley.db "UPDATE state SET value = 9999 WHERE name LIKE '%version%'"
useless 4 "version"

it bad__store_that_another_program_holds
restore
mkfifo held hold
sqlite3 parley.db "BEGIN EXCLUSIVE" ".shell echo >held; cat hold" >/dev/null 2>&1 ||
    echo failed >held &
read -r _ <held
run ask hi -c
code 4
silent
says "nothing was done; try again"
echo >hold
wait
unchanged
run ask hi -c
code 0

if [ "$(id -u)" = 0 ]; then
    # The superuser may read everything: somebody else has to try.
    as_other() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
    chmod 755 "$work"
    chmod 777 "$work/here"
else
    as_other() { "$@"; }
fi
other() { # run, without rights; a copy of the program, which need not be in a readable place
    ran="$* (without rights)"
    as_other "$work/parley" "$@" >out 2>err </dev/null
    code=$?
}
cp "$parley" "$work/parley"
chmod 755 "$work/parley"

it bad__store_that_may_not_be_read
restore
chmod 000 parley.db
other ask hi
code 4
silent
says "parley.db cannot be opened"
says "check the permissions of the file and of its folder"
chmod 600 parley.db
unchanged

it bad__folder_that_may_not_be_written
restore
mkdir -m 555 closed
cd closed || exit 1
as_other "$work/parley" ask hi >../out 2>../err </dev/null
code=$?
cd ..
ran="ask hi, in a folder that may not be written"
code 4
silent
says "Permission denied"
expect "nothing was made" test -z "$(ls closed)"

# ---- the keyring

it bad__keyring_absent
restore
rm parley.keys
useless 4 "keyring parley.keys is not there, but the store was sealed with one: put it back"
expect "none was made" test ! -e parley.keys

it bad__keyring_that_is_empty
restore
: >parley.keys
chmod 600 parley.keys
useless 4 "keyring parley.keys holds no keys, but the store was sealed with some: put the right file back"
expect "the file is as it was" test ! -s parley.keys

it bad__keyring_of_another_store
restore
rm parley.keys
"$parley" ask hi --store sqlite:another --set keyring=parley.keys >/dev/null 2>&1
cp parley.keys wrong.keys
useless 4 "sealed with another keyring than parley.keys"
expect "the keyring is as it was" cmp parley.keys wrong.keys

it bad__keyring_that_others_can_read
restore
chmod 644 parley.keys
useless 4 "can be read by others (mode 644): run \`chmod 600 parley.keys\`"

it bad__keyring_that_is_none
restore
echo garbage >parley.keys
chmod 600 parley.keys
useless 4 "parley.keys is not a keyring"
expect "it is as it was" test "$(cat parley.keys)" = garbage

it bad__after_all_that_nothing_is_lost
chmod go-w .  # somebody else had to try
restore
run ask "What is my name?" --session "$session"
code 0
prints "Your name is Ann."
run verify
code 0
prints "problems: 0"

# ---- told once, with where and what to do

told() { # told TEXT: on one line of standard error
    [ "$(grep -c -- "$1" err)" = 1 ] || wrong "not told once: $1"
}

it bad__a_failing_hook_is_told_once
fresh
mkdir policies
printf 'return {\n  history = function(view) error("boom") end,\n}\n' >policies/bad.lua
run ask hi --bot bad
code 0
told boom
says 'policies/bad.lua:2'
rm -r policies

it bad__no_connection_is_explained_once
run ask hi --provider x --model m --set providers.x.api=openai --set providers.x.base_url=http://127.0.0.1:1/v1
code 1
tail -n 1 err >last
mv last err
says 'Failed to connect to 127.0.0.1 port 1'
expect "the advice once" test "$(grep -o 'check its address' err | wc -l)" = 1
expect "no second advice" sh -c '! grep -q "check the address" err'

it bad__too_many_requests_without_a_time
run ask hi --set providers.scripted.status=429
code 1
says 'no word of when to try again'

it bad__a_store_that_is_none_is_traced
printf 'return {\n  store = 12,\n}\n' >parley.lua
run ask hi
code 4
says 'parley.lua:2: '
run ask hi --store nonsense
says '--store: '
rm parley.lua

it bad__a_default_bot_that_is_not_there
printf 'return {\n  default = {\n    bot = "helo",\n  },\n}\n' >parley.lua
run check
code 3
prints "parley.lua:3: default.bot: there is no bot 'helo' (did you mean hello?)"
run check parley.lua
code 3
rm parley.lua
PARLEY_BOT=zz
export PARLEY_BOT
run check
code 3
prints "default.bot: there is no bot 'zz'"
unset PARLEY_BOT
run check
code 0

it bad__a_policy_that_returns_nothing
mkdir policies
printf '\n' >policies/none.lua
run check
code 3
prints 'it returns nothing'

plan
