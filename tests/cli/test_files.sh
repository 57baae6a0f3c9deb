#!/bin/sh
# SPDX-License-Identifier: MIT
# Who can get at the files: they are made for nobody else, whatever the umask, and `verify` tells of
# those that others can read or change.
# shellcheck disable=SC2154 # variables of tap.sh
. tests/support/tap.sh

mode() { stat -c %a "$1"; }

it files__are_for_nobody_else
umask 000
run ask "Hello."
umask 022
run ask "Hello again." -c
for f in parley.db parley.keys parley.keys.audit; do
    expect "$f has mode 600" test "$(mode $f)" = 600
done
run verify
code 0

it verify__tells_weak_modes
echo 'return {}' >parley.lua
for f in parley.db parley.keys.audit; do
    chmod 644 $f
    run verify
    code 4
    prints "$f can be read or changed by others (mode 644): run \`chmod 600"
    chmod 600 $f
done
chmod 777 .
run verify
code 4
prints "folder . can be changed by others (mode 777), who can put files"
chmod 1777 .
run verify
code 0
chmod 755 .
chmod 666 parley.lua
run verify --config parley.lua
code 4
prints "parley.lua can be changed by others (mode 666): run \`chmod go-w"
chmod 644 parley.lua
run verify --config parley.lua
code 0
chmod 640 parley.keys
run verify
code 4
says "chmod 600"
chmod 600 parley.keys
run verify
code 0

it version__names_what_is_linked
run version -v
code 0
for l in glibc libcurl libsodium lua pcre2 sqlite utf8proc zstd; do prints "$l "; done
run version -v -o json
has '$.libraries[0].name' text glibc
run version -o json
expect "only with -v" sh -c "! grep -q libraries out"

it audit__a_policy_without_redaction
mkdir -p policies
printf 'return { title = "open", privacy = { redact = false } }\n' >policies/open.lua
run ask "Hello." --bot open
code 0
run audit -o json
expect "the trail tells" grep -q '"detail":"redaction_off","bot":"open"' out

plan
