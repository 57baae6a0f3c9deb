#!/bin/sh
# SPDX-License-Identifier: MIT
# The README's first five minutes, word for word, and what they promise: killed in the middle and started
# again, nothing that was accepted is lost.
# shellcheck disable=SC2154 # variables of tap.sh
. tests/support/tap.sh
mkdir build
ln -s "$parley" build/parley
cp -r "$root/policies" .

it minutes__the_readme_names_these_commands
for line in 'make run' 'build/parley ask "What is my name?" -c --stateless' 'build/parley chat -c' \
    'build/parley sessions' 'build/parley show SESSION' 'build/parley check' \
    'build/parley chat --bot mine' 'build/parley usage --by model' \
    'build/parley chat --provider anthropic --model claude-sonnet-4-5' \
    'build/parley chat --provider openai --model gpt-4.1-mini'; do
    expect "README.md has: $line" grep -qF "$line" "$root/README.md"
done

it minutes__talk
feed 'My name is Ann.\nWhat is my name?\n/bye\n' chat
code 0
quiet
prints "Your name is Ann."

it minutes__without_memory
run ask "What is my name?" -c --stateless
code 0
lacks Ann

it minutes__quit_and_come_back
feed 'What is my name?\n' chat -c
prints "Your name is Ann."
run sessions -o json
expect "one session" test "$(query 'json_array_length(j)')" = 1
session=$(value '$[0].session')
run show "$session"
prints "user: My name is Ann."

it minutes__edit_a_policy
sed 's/^  *system *=.*/    system = [[You are a pirate./' policies/hello.lua >policies/mine.lua
run check
code 0
prints policies/mine.lua
feed 'My name is Ann.\nWhat is my name?\n' chat --bot mine
code 0
prints "Your name is Ann."
run show -c --bot mine -o json
prints pirate
expect "the reply came of this policy" test -n "$(query "json_extract(j, '\$.turns[0].policy') LIKE 'mine@%'")"

it minutes__a_mistake_is_told_with_file_and_line
printf 'return {\n    titel = "Mine",\n}\n' >policies/mine.lua
run check
code 3
prints 'policies/mine.lua:2: titel: unknown key (did you mean title?)'
feed 'hi\n' chat --bot mine
code 3
says 'policies/mine.lua:2: titel'

it minutes__a_provider_without_its_key
for p in anthropic openai; do
    feed 'hi\n' chat --provider $p --model m
    code 3
    says "set $(echo $p | tr a-z A-Z)_API_KEY"
done

it minutes__a_local_server_that_is_not_there
rm policies/mine.lua
cat >parley.lua <<'EOF'
return {
  default   = { provider = "desk", model = "llama-3.1-8b" },
  providers = { desk = { api = "openai", base_url = "http://127.0.0.1:1/v1" } },
}
EOF
run check
code 0
run ask "Are you there?" -o json
code 1
says desk
has '$.status' text failed
rm parley.lua

it minutes__what_did_it_cost
run usage --by model
code 0
prints scripted:scripted
prints desk:llama-3.1-8b

# ---- kill -9

# Asks with a reply that takes its time, kills the program at the first piece of it.
kill_in_the_middle() { # kill_in_the_middle TEXT
    mkfifo pieces
    "$parley" ask "$1" -c -o jsonl --set providers.scripted.delay_ms=200 >pieces 2>err &
    pid=$!
    {
        read -r accepted
        read -r _
        kill -9 $pid
    } <pieces
    wait $pid 2>/dev/null
    rm pieces
    echo "$accepted" >out
    ran="ask '$1', killed"
    code=0
    has '$.event' text accepted
}

it minutes__killed_in_the_middle_and_nothing_is_lost
run ask "My name is Ann."
kill_in_the_middle "My favourite colour is green, tell me about it."
run show -c -o json
code 0
last=$(query "json_array_length(j, '\$.turns')")
at="\$.turns[$((last - 1))]"
has "$at.status" text interrupted
has "$at.steps[0].content[0].text" text "My favourite colour is green, tell me about it."
feed 'What is my name?\n' chat -c
code 0
prints "Your name is Ann."
run verify
code 0
prints "problems: 0"

it minutes__killed_again_and_again
for i in 1 2 3 4 5; do kill_in_the_middle "again $i"; done
run show -c
for i in 1 2 3 4 5; do expect "once: again $i" test "$(grep -c "^user: again $i$" out)" = 1; done
run ask "What is my name?" -c
prints "Your name is Ann."
run verify
code 0

it minutes__a_key_that_was_killed_is_asked_again
mkfifo pieces
"$parley" ask "Say it." -c --key once -o jsonl --set providers.scripted.delay_ms=200 >pieces 2>err &
pid=$!
{
    read -r _
    kill -9 $pid
} <pieces
wait $pid 2>/dev/null
run ask "Say it." -c --key once -o json
run show -c
expect "accepted once" test "$(grep -c '^user: Say it\.$' out)" = 1
run verify
code 0

plan
