#!/bin/sh
# SPDX-License-Identifier: MIT
# parley keys: a keyring made, looked at and rotated; the operator key apart from it; rotation while
# others talk and while it is killed.
# shellcheck disable=SC2154 # variables of tap.sh
. tests/support/tap.sh

it keys__status_without_a_keyring
run keys status
code 4
says "there is no keyring parley.keys: \`parley keys init\` makes one"
expect "nothing was made" test -z "$(ls parley.* 2>/dev/null)"

it keys__init_makes_one_and_overwrites_none
run keys init
code 0
prints "keyring:       parley.keys (mode 0600)"
prints ", in keyring"
cp parley.keys before
run keys init
code 5
says "is there already, and is not overwritten"
expect "it is as it was" cmp -s parley.keys before
run ask "My name is Ann."
code 0
mv parley.keys kept
run keys init
code 5
says "the store was sealed with a keyring already"
mv kept parley.keys
run keys later
code 2

it keys__rotate_leaves_all_readable
run ask --user bob "My name is Bob."
cp parley.keys before
run keys rotate
code 0
prints "of 2 users"
prints "left: 0"
quiet
run keys status -o json -q
code 0
keys '$' "keyring mode operator_key public_key users keys retired_keys records_under_retired erased erasures_open stores rotations rotating"
has '$.mode' text 0600
has '$.users' integer 2
has '$.keys' integer 2
has '$.retired_keys' integer 0
has '$.records_under_retired' integer 0
has '$.rotations' integer 1
has '$.rotating' false
run ask -c "What is my name?"
prints "Your name is Ann."
run audit
prints "keys_rotated"
run audit verify
code 0
run verify
code 0
prints "problems: 0"
run ask -c hello --set keyring=before
code 4
says "keyring before is an old copy"

it keys__operator_key_in_a_file
run keys rotate --operator-only --operator-key op.key
code 0
prints "in file:op.key (mode 0600)"
expect "mode 600" test "$(stat -c %a op.key)" = 600
expect "it is not in the keyring" test "$(grep -c "$(cat op.key)" parley.keys)" = 0
run ask -c "What is my name?"
code 4
says "is kept apart: say where with operator_key"
run ask -c "What is my name?" --set operator_key=file:op.key
prints "Your name is Ann."
cp op.key was
run keys rotate --operator-key op.key
code 0
expect "another one, alone" test "$(wc -l <op.key)" = 1
expect "another one" sh -c '! cmp -s op.key was'
run ask -c "What is my name?" --set operator_key=file:was
code 4
says "put the right one there"
chmod 644 op.key
run ask -c "What is my name?" --set operator_key=file:op.key
code 4
says "chmod 600"
chmod 600 op.key
run ask -c "What is my name?" --set operator_key=op.key
code 2
says "say file:PATH, fd:N or credential:NAME"

it keys__operator_key_of_a_descriptor_or_credential
"$parley" ask -c "What is my name?" --set operator_key=fd:3 3<op.key >told 2>why
expect "through a descriptor" grep -q "Your name is Ann" told
mkdir creds
cp op.key creds/parley
CREDENTIALS_DIRECTORY=$PWD/creds "$parley" ask -c "What is my name?" --set operator_key=credential:parley >told 2>why
expect "through a credential" grep -q "Your name is Ann" told
run keys rotate --operator-key credential:parley
code 4
says "LoadCredential=parley:PATH"
run keys rotate --operator-only --operator-key fd:9
code 4
says "descriptor 9 is not open"

it keys__a_second_store_keeps_older_keys
run ask "My name is Ann." --store sqlite:other.db --set operator_key=file:op.key
run keys rotate --operator-key op.key
code 0
says "older keys were kept, as 2 stores"
run ask -c "What is my name?" --store sqlite:other.db --set operator_key=file:op.key
prints "Your name is Ann."
run keys rotate --operator-key op.key --store sqlite:other.db --destroy
code 0
prints "left: 0"
run verify --store sqlite:other.db --set operator_key=file:op.key
prints "problems: 0"
run verify --set operator_key=file:op.key
prints "problems: 0"

it keys__a_record_that_was_never_sealed_harms_its_session_only
mkdir plain
run ask "My name is Ann." --store sqlite:plain/parley.db
run ask "My name is Bob." --user bob --store sqlite:plain/parley.db
sqlite3 plain/parley.db "UPDATE records SET body = CAST('[{\"type\":\"text\",\"text\":\"forged\"}]' AS BLOB)
    WHERE id = (SELECT max(id) FROM records WHERE key LIKE 'turn/%')"
run show -c --user bob --store sqlite:plain/parley.db
code 4
expect "what was never sealed is not shown" sh -c '! grep -q forged out'
run ask -c "What is my name?" --user bob --store sqlite:plain/parley.db
code 4
says "its seal is not there"
run ask -c "What is my name?" --store sqlite:plain/parley.db
prints "Your name is Ann."

it keys__a_store_of_another_keyring_is_refused
mkdir elsewhere
run ask hello --store sqlite:elsewhere/parley.db
run keys rotate --users --set keyring=elsewhere/parley.keys
code 4
says "another keyring than elsewhere/parley.keys"
run keys rotate --users --store sqlite:none.db --set keyring=elsewhere/parley.keys
code 4
says "there is no store"

plan
