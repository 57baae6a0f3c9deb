#!/bin/sh
# SPDX-License-Identifier: MIT
# The names that others rely on are the same wherever they are written: help, the manual page, completion,
# README.md and CHANGELOG.md tell of the same commands, options, settings and variables; and what beats what.
# shellcheck disable=SC2154 # variables of tap.sh
. tests/support/tap.sh

options_in() { grep -oE -- '(^|[^-a-z])--[a-z][a-z-]*' | sed 's/^[^-]//' | sort -u; }
overview=$("$parley" help)
commands=$(echo "$overview" | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\).*/\1/p')
later=$(echo "$overview" | sed -n '/^Not in this version yet:/{n;p;}')
for command in $commands; do "$parley" help "$command" >"help.$command"; done
cat help.* | options_in >known
"$parley" help --man | sed 's/\\-/-/g' >manual
"$parley" help --settings >settings

# unknown FILE: words of the file that are no line of known.
unknown() { grep -vxF -f known "$1" | tr '\n' ' '; }

it interfaces__every_command_is_there_or_is_named_as_later
for command in chat ask serve check test reload status sessions show why usage memory forget sweep export erase \
    audit verify backup restore migrate keys replay import tokens redact recall models tasks new completion \
    version help; do
    expect "$command" sh -c "echo '$commands' '$later' | tr ' ' '\n' | grep -qx $command"
done
for command in $later; do
    run "$command"
    code 2
    says "$command is not in this version"
done

it interfaces__options_everywhere
for command in $commands; do
    for option in --config --store --policies --bot --user --context --session --continue --provider --model \
        --key --output --quiet --set --no-color --help; do
        expect "help $command has $option" grep -qF -- "$option" "help.$command"
    done
done
run -q -c --no-color --user u --bot hello --context x --store memory: --model scripted --provider scripted \
    --policies . --config /dev/null --set workers=1 --key k -o table help
code 0

it interfaces__without_a_command_help_is_of_all
run --help
code 0
"$parley" help >all.help
expect "as parley help" cmp out all.help
run chat --help
prints "Usage: parley chat"

it interfaces__the_manual_has_every_option_setting_and_variable
for option in $(cat known); do
    expect "$option" grep -qF -- "$option" manual
done
for setting in $(sed -n 's/^  \([a-z_]*[.*a-z_]*\)  .*/\1/p' settings); do
    expect "$setting" grep -qF -- "$setting" manual
done
for variable in $(cd "$root" && grep -rhoE '"(PARLEY_[A-Z_]+|[A-Z]+_BASE_URL)"' engine --include='*.c' | tr -d '"' |
    sort -u); do
    expect "$variable" grep -qF -- "$variable" manual
done
expect "settings were looked at" test "$(grep -c . settings)" -gt 40

it interfaces__completion_offers_what_help_says
if command -v bash >/dev/null; then
    "$parley" completion bash >script.bash
    # shellcheck disable=SC2016
    bash -c '. ./script.bash
        for command in "$@"; do
            COMP_WORDS=(parley "$command" --) COMP_CWORD=2
            _parley
            printf "%s\n" "${COMPREPLY[@]%%=*}" | sort -u >"offered.$command"
        done' bash $commands
    for command in $commands; do
        sed -n '/^Options/,$p' "help.$command" | sed -n 's/^  \(-., \)\{0,1\}\(--[a-z-]*\).*/\2/p' | sort -u >wanted
        expect "of $command" diff "offered.$command" wanted
    done
fi

it interfaces__the_readme_tells_of_nothing_else
for file in README.md CHANGELOG.md; do
    # Of parley: not what is said to git, make, npm, useradd or the shell.
    options_in <"$root/$file" >said
    expect "$file names no option that is not there ($(unknown said))" test -z "$(unknown said)"
    { echo "$commands"; echo "$later"; } | tr ' ' '\n' | grep . >names
    grep -oE '(^|[^.a-z])(build/)?parley [a-z]+' "$root/$file" | sed 's/.*parley //' | sort -u >said
    expect "$file names no command that is not there" sh -c "! grep -vxF -f names said |
        grep -vxE 'is|as|can|has|keeps|sends|and|verifies' | grep ."
done
expect "options were looked at" test "$(options_in <"$root/README.md" | grep -c .)" -gt 25
"$parley" chat --store memory: >chat.help 2>/dev/null <<'END'
/help
END
for word in $(grep -oE '`/[a-z]+' "$root/README.md" | tr -d '`' | sort -u) /help /reset /tokens /usage /memory /history \
    /sessions /resume /why /undo /save /policy /bye; do
    expect "/help has $word" grep -qE -- "^  $word( |\$)" chat.help
done

# ---- one object is one line

it interfaces__json_lines_of_one_object_are_its_json
run ask "My name is Ann, and I live in Lisbon."
for asked in "why -c" "pin -c" "constraint -c" "check" "verify" "sweep" "audit verify" "keys status" "tokens $root/LICENSE" \
    "redact $root/LICENSE" "version"; do
    # shellcheck disable=SC2086 # words
    run $asked -o jsonl
    code 0
    expect "one line" test "$(wc -l <out)" = 1
    has '$' object
done
run export --user local -o jsonl
code 2
says "only as table|json"
for asked in "audit verify" "audit head"; do
    # shellcheck disable=SC2086 # words
    run $asked -o csv
    code 2
    silent
done

it interfaces__recall_has_all_its_fields_whatever_was_found
run recall Lisbon -o json
expect "a fact, too" grep -q '"kind":"fact"' out
for i in 0 1; do keys "\$[$i]" "kind session turn role text score why"; done
expect "a fact has no role" test "$(query "(SELECT count(*) FROM json_each(j)
    WHERE json_extract(value, '\$.kind') = 'fact' AND json_type(value, '\$.role') = 'null')")" = 1

# ---- what beats what

it interfaces__flag_beats_environment_beats_file_beats_default
fresh
mkdir policies others
for bot in hello of_file of_env of_flag; do echo 'return {}' >policies/$bot.lua; done
echo 'return {}' >others/hello.lua
bot_is() {
    code 0
    has '$.bot' text "$1"
    has '$.model' text "$2"
}
run ask hi -o json
bot_is hello scripted
cat >parley.lua <<'END'
return { store = "sqlite:file.db", default = { bot = "of_file", model = "m_file" } }
END
run ask hi -o json
bot_is of_file m_file
expect "the file's store" test -e file.db
PARLEY_BOT=of_env PARLEY_MODEL=m_env PARLEY_STORE=sqlite:env.db
export PARLEY_BOT PARLEY_MODEL PARLEY_STORE
run ask hi -o json
bot_is of_env m_env
expect "the environment's store" test -e env.db
run ask hi -o json --bot of_flag --model m_flag --store sqlite:flag.db
bot_is of_flag m_flag
expect "the flag's store" test -e flag.db
unset PARLEY_BOT PARLEY_MODEL PARLEY_STORE
PARLEY_PROVIDER=nowhere
export PARLEY_PROVIDER
run ask hi
code 3
says "no provider is called nowhere"
run ask hi --provider scripted
code 0
unset PARLEY_PROVIDER
PARLEY_POLICIES=others
export PARLEY_POLICIES
run ask hi --bot of_flag
code 3
run ask hi --bot of_flag --policies policies
code 0
unset PARLEY_POLICIES
mv parley.lua other.lua
PARLEY_CONFIG=other.lua
export PARLEY_CONFIG
run ask hi -o json
bot_is of_file m_file
echo 'return { default = { bot = "of_flag" } }' >third.lua
run ask hi -o json --config third.lua
has '$.bot' text of_flag
PARLEY_CONFIG=absent.lua
run ask hi
code 3
says '$PARLEY_CONFIG: absent.lua: there is no such configuration file'
run ask hi --config gone.lua
says '--config: gone.lua: there is no such configuration file'
unset PARLEY_CONFIG

it interfaces__check_sees_a_store_and_providers_that_cannot_be
for wrong in 'store = "postgre:x"/store: "postgre:x" names no kind of store' \
    'providers = { x = { api = "foo" } }/providers.x.api: no api is called foo' \
    'default = { provider = "opnai" }/no provider is called opnai (did you mean openai?)' \
    'policies = "nowhere"/there is no folder nowhere: name the one with your policies' \
    'providers = { x = { api = "openai", base_url = "http:x" } }/providers.x.base_url: not a URL' \
    'providers = { x = { api = "openai", base_url = "http://127.0.0.1:1/v1", headers = { ["X-Api-Key"] = "sk-1" } } }/providers.x.headers.X-Api-Key: no key is read from here'; do
    printf 'return { %s }\n' "${wrong%/*}" >parley.lua
    run check
    code 3
    prints "${wrong##*/}"
    lacks sk-1
    run check parley.lua
    code 3
done
echo 'return { providers = { x = { api = "openai", base_url = "https://llm.lan/v1", key_env = "X_KEY" } } }' >parley.lua
run check
code 0
rm parley.lua
run ask hi --set nothing=1
code 3
says "nothing: unknown key; there are store, policies"

it interfaces__check_says_when_there_is_nothing_to_check
fresh
run check
code 0
prints "there is no parley.lua here and no folder policies"
mkdir empty
run check empty
code 0
prints "there is no policy in this folder"
expect "nothing was made" sh -c "! ls | grep parley"

# ---- what is not there, or has no room

it interfaces__no_store_is_not_a_good_store
for asked in verify "audit" "audit verify" "audit head"; do
    # shellcheck disable=SC2086 # words
    run $asked --store sqlite:typo.db
    code 4
    silent
    says "typo.db does not exist: name another with --store"
done
expect "no store is made" test ! -e typo.db
expect "nor keys" test ! -e parley.keys
run verify --store memory:
code 0

it interfaces__a_limit_to_the_size_of_files_is_told
run ask hi
(
    ulimit -f 8
    "$parley" ask "$(head -c 30000 /dev/zero | tr '\0' x)" >out 2>err </dev/null
    echo $? >status
)
ran="ask, with ulimit -f"
code=$(cat status)
code 4
says "File too large"
run verify
code 0
prints "problems: 0"

it interfaces__a_receipt_that_is_none_is_named
echo '{' >torn
run erase --verify-receipt torn
code 2
says "torn: this is no receipt of an erasure"

it interfaces__keys_rotate_takes_one_of_two
run keys rotate --users --operator-only
code 2
says "one of them"

plan
