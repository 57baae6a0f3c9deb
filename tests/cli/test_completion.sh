#!/bin/sh
# SPDX-License-Identifier: MIT
# Completion as bash, zsh and fish do it, the manual page as man and mandoc read it, and `models`.
# shellcheck disable=SC2154 # variables of tap.sh
. tests/support/tap.sh
PATH=$(dirname "$parley"):$PATH
export PATH
commands=$("$parley" help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\).*/\1/p' | tr '\n' ' ')
shells=
for shell in bash zsh fish; do
    run completion $shell
    if command -v $shell >/dev/null; then
        shells="$shells $shell"
        cp out "script.$shell"
    else
        skip "completion__$shell" "there is no $shell here"
    fi
done

# offered SHELL LINE: what completion offers, one line of sorted words.
offered() {
    case $1 in
    bash)
        # shellcheck disable=SC2016
        bash -c '. ./script.bash
            read -ra COMP_WORDS <<<"$1"
            [[ $1 != *" " ]] || COMP_WORDS+=("")
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _parley
            printf "%s\n" "${COMPREPLY[@]}"' bash "$2"
        ;;
    zsh) timeout 60 "$root/tests/support/capture.zsh" "$PWD/script.zsh" "$2" ;;
    fish) timeout 60 fish --no-config -c 'source script.fish; complete -C $argv[1]' "$2" | cut -f1 ;;
    esac 2>shell.err | sort -u | tr '\n' ' ' | sed 's/^ *//; s/ $//'
}
words() { echo "$1" | tr ' ' '\n' | sed '/^$/d' | sort -u | tr '\n' ' ' | sed 's/ $//'; }
offers() { # offers LINE "WORDS": in every shell
    for shell in $shells; do
        got=$(offered "$shell" "$1")
        [ "$got" = "$(words "$2")" ] || wrong "$shell: '$1' offers '$got', not '$(words "$2")'
$(head -5 shell.err)"
    done
}

it completion__scripts_are_sound
for shell in $shells; do
    run completion "$shell"
    code 0
    quiet
    lacks '@'tables@
    expect "$shell reads its script" "$shell" -n "script.$shell"
done

it completion__commands
for command in chat ask sessions models completion; do
    expect "help lists $command" test -n "$(echo " $commands " | grep -o " $command ")"
done
mkdir empty
cd empty || exit 1
cp ../script.* .
offers "parley " "$commands"
offers "parley us" usage
offers "parley --user ann --config x us" usage
offers "parley help " "$commands"

it completion__options_go_with_their_command
for shell in $shells; do
    offered "$shell" "parley usage --" >usage
    offered "$shell" "parley ask --" >ask
    expect "$shell: usage has --by" grep -q -- --by usage
    expect "$shell: ask has not" sh -c '! grep -q -- --by ask'
    expect "$shell: ask has --stateless" grep -q -- --stateless ask
    for option in $("$parley" help ask | grep -o -- '--[a-z-]*' | sort -u); do
        expect "$shell: ask has $option" grep -qw -- "$option" ask
    done
done

it completion__values
offers "parley ask -o " "table json jsonl"
offers "parley --output j" ""
offers "parley sessions --output j" "json jsonl"
offers "parley usage --by " "day bot model user session"
offers "parley completion " "bash zsh fish"
offers "parley --user " ""

it completion__files_where_a_file_is_due
mkdir folder
touch talk.jsonl
offers "parley import talk" talk.jsonl
offers "parley --config tal" talk.jsonl
for shell in $shells; do
    got=$(offered "$shell" "parley --policies fo")
    expect "$shell: a folder ($got)" test "${got%/}" = folder
done

it completion__names_of_the_configuration
offers "parley chat --bot " "companion debugger hello plain storyteller support_desk"
mkdir policies
cp "$root/policies/hello.lua" policies/desk.lua
cat >parley.lua <<'END'
return { providers = {
  ["near by"] = { api = "scripted" },
  ["$(touch pwned)"] = { api = "scripted" },
  desk_llm = { api = "openai", base_url = "http://127.0.0.1:1/v1", model = "llama3:8b" },
} }
END
offers "parley chat --bot des" desk
offers "parley ask --provider d" desk_llm
for shell in $shells; do
    expect "$shell: the configured model" test "$(offered "$shell" 'parley ask --provider desk_llm --model ll' |
        tr -d '\\')" = llama3:8b
    offered "$shell" "parley ask --provider " >providers
    expect "$shell: no blanks" sh -c '! grep -q near providers'
done
expect "nothing was run" test ! -e pwned
mkdir other
cp "$root/policies/hello.lua" other/elsewhere.lua
offers "parley --policies other --bot e" elsewhere

it completion__sessions_and_no_store_is_made
offers "parley show " ""
offers "parley --session " ""
expect "no store" test ! -e parley.db
expect "no keys" test ! -e parley.keys
run ask hello -o json
session=$(value '$.session')
offers "parley show " "$session"
offers "parley chat --user nobody --session " ""

it completion__names_are_quiet_about_what_is_wrong
for names in bots providers models sessions; do
    run completion --names $names
    code 0
    quiet
done
run completion --names nothing
code 2
says 'write one of'

it completion__another_shell_is_2
run completion tcsh
code 2
silent
says "bash|zsh|fish"
run completion zhs
code 2
says "did you mean zsh?"
run completion
code 2
says "bash|zsh|fish"

# ---- the manual page

it manual__is_whole
fresh
run help --man
code 0
cp out parley.1
for word in $commands PARLEY_CONFIG PARLEY_STORE PARLEY_POLICIES PARLEY_BOT PARLEY_PROVIDER PARLEY_MODEL \
    PARLEY_LISTEN PARLEY_LOG ANTHROPIC_API_KEY OPENAI_API_KEY NO_COLOR parley.lua parley.db parley.keys; do
    prints "\\fB$word"
done
prints "\\fBemail\\fR"
for status in 0 1 2 3 4 5 130; do prints "\\fB$status\\fR"; done
sed 's/\\-/-/g' parley.1 >out
for option in $(for command in $commands; do "$parley" help "$command"; done | grep -o -- '--[a-z-]*' | sort -u); do
    prints "$option"
done

it manual__man_and_mandoc_have_no_complaint
if command -v man >/dev/null && command -v mandoc >/dev/null; then
    expect "man" sh -c 'man --warnings -l parley.1 >shown 2>complaints && test ! -s complaints'
    expect "mandoc" sh -c 'mandoc -Tlint parley.1 >complaints 2>&1 && test ! -s complaints'
else
    skip manual__man_and_mandoc_have_no_complaint "there is no man or no mandoc here"
fi

# ---- models

it models__what_is_configured_and_known
run models
code 0
quiet
prints "set ANTHROPIC_API_KEY"
prints "default"
prints "claude-sonnet-4-5*"
run models -o json
code 0
keys '$.providers[0]' "provider api base_url default ready why model window_tokens output_tokens_max input_usd"
has '$.providers[0].provider' text anthropic
has '$.providers[0].ready' bool
has '$.models' array
keys '$.models[0]' "api model window_tokens output_tokens_max input_usd cached_usd cache_write_usd output_usd providers"
expect "a price" test "$(query "(SELECT json_extract(value, '\$.input_usd') FROM json_each(j, '\$.models')
    WHERE json_extract(value, '\$.model') = 'gpt-4o-mini')")" = 0.15
expect "each once" test "$(query "(SELECT count(*) - count(DISTINCT json_extract(value, '\$.api') || ' ' ||
    json_extract(value, '\$.model')) FROM json_each(j, '\$.models'))")" = 0
run models -o csv
code 0
prints "api,model,window_tokens,output_tokens_max,input_usd,cached_usd,cache_write_usd,output_usd,providers"
expect "no store" test ! -e parley.db

it models__a_key_makes_ready
ANTHROPIC_API_KEY=k
export ANTHROPIC_API_KEY
run models -o json
has '$.providers[0].ready' true
has '$.providers[0].why' null
lacks '"k"'
unset ANTHROPIC_API_KEY

it models__discover_checks_its_ports
for ports in 0 65536 x 80, ,80 80,,81 -1 '' 80x; do
    run models --discover --ports "$ports"
    code 2
    silent
    says "ports from 1 to 65535"
done
run models --ports 80
code 2
says "--discover"
run models --discover -o csv
code 2

it models__discover_where_nobody_is
run models --discover --ports 1
code 0
silent
says "no model server answers"
run models --discover --ports 1 -o json
code 0
has '$.asked' integer 2
has '$.servers' array

plan
