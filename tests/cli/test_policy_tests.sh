#!/bin/sh
# SPDX-License-Identifier: MIT
# parley test: the policies' own tests, run and told.
# shellcheck disable=SC2154 # variables of tap.sh
. tests/support/tap.sh

policy() { # policy NAME BODY
    mkdir -p policies
    printf 'local history = require "parley.history"\nreturn { %s }\n' "$2" >"policies/$1.lua"
}

tests() { # tests NAME, from standard input
    mkdir -p policies
    { echo 'local test = require "parley.test"'; cat; } >"policies/$1_test.lua"
}

fresh
policy desk 'system = "You are the desk.", history = history.window { keep_turns = 2, slack_turns = 0, pin_first = 1 }'
tests desk <<'END'
test("the first complaint stays", function(t)
    local chat = t:chat { user = "ann", context = "t-1" }
    chat:model "I am sorry to hear that."
    local turn = chat:say "My toaster burns the bread"
    t:equal(turn.reply, "I am sorry to hear that.")
    t:equal({ turn.status, turn.turn, turn.warnings }, { "done", 1, {} })
    for i = 1, 5 do chat:say("and number " .. i) end
    t:sent(chat, "toaster")
    t:sent(chat, "You are the desk.")
    t:not_sent(chat, "number 2")
    t:sent(chat, "number 4")
    t:equal(#chat.request.messages, 7)
end)

test("the model answers what it is asked", function(t)
    local chat = t:chat()
    chat:model(function(request)
        t:equal(request.system, "You are the desk.")
        return "You said: " .. request.messages[#request.messages].text
    end)
    t:contains(chat:say("hello").reply, "hello")
    chat:model "once"
    t:equal(chat:say("again").reply, "once")
    t:equal(chat:say("and again").reply, "You said: and again")
end)

test("two chats are two conversations", function(t)
    local ann, ben = t:chat { user = "ann" }, t:chat { user = "ben" }
    ann:say "I live in Ghent"
    ben:say "hello"
    t:not_sent(ben, "Ghent")
    t:equal(ann:say("and?").session == ben:say("and?").session, false)
end)
END

it test__passes
run test
code 0
prints "ok      policies/desk_test.lua: the first complaint stays"
prints "3 passed, 0 failed"
run test policies/desk_test.lua -o json
code 0
has '$.files[0].tests[0].ok' true
has '$.passed' integer 3
has '$.failed' integer 0

it test__leaves_no_store_behind
expect "nothing but the policies" test "$(ls)" = "err
out
policies"

it test__time_is_simulated
policy clock 'on_message = function(view) return { say = ("%d h"):format(view.gap // 3600) } end'
tests clock <<'END'
test("three hours cost nothing", function(t)
    local chat = t:chat()
    t:equal(chat:say("a").reply, "0 h")
    chat:wait "3h"
    t:equal(chat:say("b").reply, "3 h")
    t:equal(chat.request, nil)
    chat:wait "90d"
    t:equal(chat:say("c").reply, "2160 h")
end)
END
run test policies/clock_test.lua
code 0

it test__failures_say_where_expected_and_actual
fresh
policy desk ''
tests desk <<'END'
test("equal", function(t)
    t:equal("what came", "what should")
end)
test("sent", function(t)
    local chat = t:chat()
    chat:say "My toaster burns the bread"
    t:sent(chat, "kettle")
end)
test("not sent", function(t)
    local chat = t:chat()
    chat:say "My toaster burns the bread"
    t:not_sent(chat, "toaster")
end)
test("ok", function(t) t:ok(false, "too bad") end)
test("contains", function(t) t:contains("one", "two") end)
test("tables", function(t) t:equal({ 1, { 2 } }, { 1, { 3 } }) end)
test("passes", function(t) t:ok(true) end)
END
run test
code 3
prints "policies/desk_test.lua:3: not equal"
prints '  expected: "what should"'
prints '  actual:   "what came"'
prints "policies/desk_test.lua:8: not sent"
prints "policies/desk_test.lua:13: sent"
prints "it is in message 1 of 1"
prints "policies/desk_test.lua:15: too bad"
prints "policies/desk_test.lua:16: not in the text"
prints "policies/desk_test.lua:17: not equal"
prints "1 passed, 6 failed"

it test__tap
run test --format tap
code 3
prints "TAP version 13"
prints "1..7"
prints "not ok 1 - policies/desk_test.lua: equal"
prints '#   expected: "what should"'
prints "ok 7 - policies/desk_test.lua: passes"

it test__junit
tests odd <<'END'
test("a <name> & \"quotes\" \1", function(t) t:equal("]]> <&> \0 \u{FFFF}", "\27[0m") end)
END
policy odd ''
run test --format junit
code 3
prints '<testsuite name="parley" tests="8" failures="7"'
prints 'name="passes" file="policies/desk_test.lua" line="18"'
expect "well-formed" xmllint --noout out

it test__errors_are_failures
fresh
policy desk ''
tests desk <<'END'
test("in the test", function(t) return t.nothing.there end)
test("in the model", function(t)
    local chat = t:chat()
    chat:model(function(request) return request.nothing.there end)
    chat:say "hi"
end)
test("of the model's reply", function(t)
    local chat = t:chat()
    chat:model(function() return 5 end)
    chat:say "hi"
end)
test("a model that talks", function(t)
    local chat = t:chat()
    chat:model(function() chat:say "hi" end)
    chat:say "hi"
end)
test("a span that is none", function(t) t:chat():wait "soon" end)
test("no text", function(t) t:chat():say() end)
test("no user", function(t) t:chat { user = {} } end)
test("for ever", function(t)
    local chat = t:chat()
    while true do chat:wait "400d" end
end)
test("too long", function(t) t:chat():say(("x"):rep(300000)) end)
test("no message", function(t) error {} end)
test("a cycle", function(t)
    local a, b = {}, {}
    a.a, b.a = a, b
    t:equal(a, b)
end)
test("in a coroutine", function(t)
    local chat = t:chat()
    chat:model(function(request) return "It is " .. #request.messages .. "." end)
    local say = coroutine.wrap(function() t:equal(chat:say("x").reply, "It is 1.") end)
    say()
    t:equal(chat:say("x").reply, "It is 3.")
end)
test("a test in a test", function(t) test("x", function() end) end)
test("still well", function(t) t:equal(t:chat():say("hi").reply, "All right.") end)
END
run test
code 3
prints "policies/desk_test.lua:2: attempt to index"
prints "policies/desk_test.lua:5: attempt to index"
prints "policies/desk_test.lua:11: the model's reply must be a string; it is 5"
prints "policies/desk_test.lua:15: the model cannot talk"
prints "policies/desk_test.lua:18: "
prints "policies/desk_test.lua:19: say: a text is missing"
prints "policies/desk_test.lua:20: chat: user and context must be strings"
prints "policies/desk_test.lua:23: wait: a test may last a hundred years"
prints "policies/desk_test.lua:25: the message is longer"
prints "an error was raised with a table instead of a message"
prints "stack overflow"
prints "policies/desk_test.lua:39: a test is within another one"
prints "2 passed, 12 failed"

it test__a_policy_that_fails_fails_its_test
policy broken 'history = function(view) return view.nothing.there end'
tests broken <<'END'
test("it is told", function(t) t:chat():say "hi" end)
END
run test policies/broken_test.lua
code 3
prints "policies/broken_test.lua:2: the policy failed: history failed (policies/broken.lua:2: "
policy deaf 'memory = { extract = function(view, turn) return turn.text end }'
tests deaf <<'END'
test("it is told, too", function(t) t:chat():say "hi" end)
END
run test policies/deaf_test.lua
code 3
prints "the policy failed: memory.extract failed at policies/deaf.lua:"
policy torn 'system = '
tests torn <<'END'
test("never runs", function(t) end)
END
run test policies/torn_test.lua
code 3
prints "failed  policies/torn_test.lua: loads"
prints "policies/torn.lua:2: "

it test__endless_tests_end
fresh
policy desk ''
tests desk <<'END'
test("in the test", function(t)
    while true do end
end)
test("in the model", function(t)
    local chat = t:chat()
    chat:model(function()
        while true do pcall(error, "x") end
    end)
    chat:say "hi"
end)
test("memory", function(t)
    local all = {}
    for i = 1, 1e9 do all[i] = ("x"):rep(1000) .. i end
end)
test("still well", function(t) t:chat():say "hi" end)
END
run test
code 3
prints "policies/desk_test.lua:3: stopped: "
prints "policies/desk_test.lua:8: stopped: "
prints "policies/desk_test.lua:14: stopped: out of memory"
prints "1 passed, 3 failed"

it test__files_that_do_not_load
fresh
policy desk ''
tests desk <<'END'
test("x", function(t)
END
tests lonely <<'END'
test("x", function(t) end)
END
policy none ''
tests none </dev/null
policy reach ''
tests reach <<'END'
test("x", function(t) end)
io.open("/etc/passwd")
END
run test
code 3
prints "policies/desk_test.lua:3: 'end' expected"
prints "policies/lonely.lua: there is no such file"
prints "policies/none_test.lua: there is no test in it"
prints "policies/reach_test.lua:3: "
prints "0 passed, 4 failed"

it test__a_policy_cannot_require_it
policy desk 'system = require "parley.test"'
run check policies/desk.lua
code 3
prints "module 'parley.test' is not available here"

it test__nothing_to_test_is_no_success
fresh
policy desk ''
run test
code 2
says "policies: there are no tests here"
run test nowhere
code 2
says "nowhere: No such file or directory"
tests desk <<'END'
END
run test desk
code 2
says "desk: No such file or directory; did you mean policies/desk_test.lua?"
run check desk
code 3
prints "desk: No such file or directory; did you mean policies/desk.lua?"
run test policies/desk.lua
code 2
says "no file of tests"

it test__tests_are_no_bots
fresh
policy desk ''
tests desk <<'END'
test("x", function(t) end)
END
run check
code 0
expect "check leaves tests out" test "$(cat out)" = "ok     policies/desk.lua"
run completion --names bots
expect "no bot of the name" sh -c '! grep -q _test out'
run ask hi --bot desk_test --store memory:
code 3
says "tests of a policy, and no bot"
run ask hi --bot hello_test --store memory:
code 3

it test__the_policies_that_ship
run test "$root/policies"
code 0
prints "policies/support_desk_test.lua: the first complaint stays, word by word"
prints "policies/companion_test.lua: also months later, in another talk"
prints "policies/storyteller_test.lua: a summary stands for the scenes of long ago"
prints "policies/debugger_test.lua: errors, traces and code stay, to the letter"
run check "$root/policies"
code 0

it test__the_policies_that_ship_are_in_the_program
fresh
for bot in support_desk companion storyteller debugger; do
    run ask "Hello" --bot $bot --store memory:
    code 0
    quiet
done

# What a policy is for, taken out: its tests must notice.
without() { # without POLICY SED TEST
    fresh
    sed "$2" "$root/policies/$1.lua" >"$1.lua"
    cp "$root/policies/$1_test.lua" .
    run check "$1.lua"
    code 0
    run test .
    code 3
    prints "failed  ./$1_test.lua: $3"
}

it test__the_policies_tests_can_fail
without support_desk 's/pin_first = 1/pin_first = 0/' "the first complaint stays"
without support_desk 's/return { pin = true }/return nil/' "the message with the order number stays"
without companion 's/recall = 4/recall = 0/' "also months later, in another talk"
without storyteller 's/keep_turns = 8/keep_turns = 4/' "the newest eight scenes are always sent"
without storyteller 's/history.summarise {/history.full {} or {/' "a summary stands for the scenes"
without debugger 's/pin = evidence(view)/pin = {}/' "errors, traces and code stay"
without debugger 's/(view.turn - 1) \/\/ STEP \* STEP/view.turn - 1/' "the beginning stays the same"

plan
