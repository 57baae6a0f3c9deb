-- SPDX-License-Identifier: MIT
-- The tests of hello.lua. `parley test policies` runs them: offline, and in simulated time.

local test = require "parley.test"

test("what was said first is known at last", function(t)
    local chat = t:chat()
    chat:model "Nice to meet you, Ann."
    t:equal(chat:say("My name is Ann.").reply, "Nice to meet you, Ann.")
    for i = 1, 30 do
        chat:say("Something else, number " .. i)
    end
    chat:wait "12h"
    chat:say "What is my name?"
    t:sent(chat, "My name is Ann.")
    t:sent(chat, "Nice to meet you, Ann.")
end)

test("the model is told how to be", function(t)
    local chat = t:chat()
    chat:say "Hello"
    t:contains(chat.request.system, "in the language of the user")
end)

test("what they said of themselves is known in the next conversation", function(t)
    t:chat { user = "ann" }:say "My name is Ann, and I'm vegetarian."
    local next_one = t:chat { user = "ann" }
    next_one:say "Which vegetarian dish is quick?"
    t:sent(next_one, "> diet vegetarian")
end)
