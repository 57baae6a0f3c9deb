-- SPDX-License-Identifier: MIT
-- The tests of companion.lua: `parley test policies/companion_test.lua`.

local test = require "parley.test"

local function chatter(chat, turns)
    for i = 1, turns do
        chat:model("Is that so, " .. i .. "?")
        chat:say("The weather is fine, day " .. i)
        chat:wait "1d"
    end
end

test("the newest turns are sent as they were said", function(t)
    local chat = t:chat()
    chatter(chat, 40)
    chat:say "And now?"
    for day = 33, 40 do
        t:sent(chat, "The weather is fine, day " .. day)
        t:sent(chat, "Is that so, " .. day .. "?")
    end
end)

test("what came before is there in short", function(t)
    local chat = t:chat()
    chat:summary "Ann has a dog called Biscuit."
    chat:say "I am Ann, and my dog is called Biscuit."
    chatter(chat, 40)
    t:sent(chat, "Ann has a dog called Biscuit.")
    t:not_sent(chat, "I am Ann, and my dog is called Biscuit.")
    t:contains(chat.summaries[1].system, "You keep the memory of a companion.")
end)

test("a detail comes back when it is spoken of", function(t)
    local chat = t:chat()
    chat:summary "They talked about the weather."
    chat:say "Biscuit hides under the stairs whenever there is thunder."
    chatter(chat, 60)
    t:not_sent(chat, "under the stairs")
    chat:say "Where might Biscuit be, with this thunder?"
    t:sent(chat, "Biscuit hides under the stairs whenever there is thunder.")
end)

test("also months later, in another talk", function(t)
    local spring = t:chat { user = "ann" }
    spring:say "Biscuit hides under the stairs whenever there is thunder."
    spring:wait "90d"
    local summer = t:chat { user = "ann" }
    summer:say "Good morning!"
    t:not_sent(summer, "under the stairs")
    summer:say "Where might Biscuit be, with this thunder?"
    t:sent(summer, "under the stairs")
end)

test("nobody else's memory", function(t)
    local ann, ben = t:chat { user = "ann" }, t:chat { user = "ben" }
    ann:say "Biscuit hides under the stairs whenever there is thunder."
    ben:say "Where might Biscuit be, with this thunder?"
    t:not_sent(ben, "under the stairs")
end)

test("what is sent stays small", function(t)
    local chat, most = t:chat(), 0
    for i = 1, 80 do
        chat:say("Another long day, number " .. i .. (", and so on"):rep(30))
        most = math.max(most, #chat.request.messages)
    end
    -- 16 turns, a summary, the new message; a few turns more while a summary is on its way.
    t:ok(most <= 2 * 16 + 3, "it grew to " .. most .. " messages")
end)

test("who comes back is known, and what was said is", function(t)
    local chat = t:chat()
    chat:say "Biscuit is at the vet until tomorrow."
    chat:wait "1h"
    chat:back()
    t:equal(chat:say("I am nervous.").greeting, nil)
    chat:wait "1d"
    chat:back()
    local turn = chat:say "I am back."
    t:contains(turn.greeting, "What would you like to do?")
    t:sent(chat, "Biscuit is at the vet until tomorrow.")
    chat:wait "60d"
    chat:back()
    turn = chat:say "Hello!"
    t:contains(turn.greeting, "What can I do for you?")
    t:ok(not turn.greeting:find "%d", "a greeting counts no days")
end)

test("what people say of themselves is known in later talks", function(t)
    local spring = t:chat { user = "ann" }
    spring:say "I'm allergic to walnuts. My sister Eva lives in Lyon."
    spring:wait "60d"
    local summer = t:chat { user = "ann" }
    summer:say "Could I put walnuts into a cake?"
    t:sent(summer, "> allergic to walnuts")
    local other = t:chat { user = "ben" }
    other:say "Could I put walnuts into a cake?"
    t:not_sent(other, "allergic to")
end)

test("what was so once and is no more is not said", function(t)
    local chat = t:chat { user = "ann" }
    chat:say "I live in Lisbon."
    chat:wait "1d"
    chat:say "I moved to Oslo."
    chat:wait "30d"
    local later = t:chat { user = "ann" }
    later:say "What is the weather where I live?"
    t:sent(later, "> lives in Oslo")
    t:not_sent(later, "lives in Lisbon")
end)

test("what was not spoken of for long is asked, not told", function(t)
    local chat = t:chat { user = "ann" }
    chat:say "I work as a baker."
    chat:wait "200d"
    local later = t:chat { user = "ann" }
    later:say "How long should a baker sleep?"
    t:contains(later.request.messages[#later.request.messages].text, "Earlier: works as baker")
end)
