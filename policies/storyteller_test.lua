-- SPDX-License-Identifier: MIT
-- The tests of storyteller.lua: `parley test policies/storyteller_test.lua`.

local test = require "parley.test"

local SUMMARY = "Mira carries a lantern of green glass. The bridge at Orrin has fallen."

local function tell(chat, from, to)
    for i = from, to do
        chat:model("Scene " .. i .. " is over.")
        chat:say("Go on, part " .. i .. ".")
    end
end

local function begin(t)
    local chat = t:chat()
    chat:summary(SUMMARY)
    chat:model "Mira lifts the lantern of green glass. The bridge at Orrin has fallen."
    chat:say "Once upon a time there was Mira, with a lantern of green glass."
    return chat
end

test("a short story is sent as it was told", function(t)
    local chat = begin(t)
    tell(chat, 2, 10)
    t:sent(chat, "Once upon a time there was Mira")
    t:equal(#chat.summaries, 0)
end)

test("a summary stands for the scenes of long ago", function(t)
    local chat = begin(t)
    tell(chat, 2, 40)
    t:not_sent(chat, "Once upon a time there was Mira")
    t:not_sent(chat, "Scene 10 is over.")
    t:sent(chat, "Mira carries a lantern of green glass.")
    t:sent(chat, "The bridge at Orrin has fallen.")
    t:sent(chat, "Scene 39 is over.")
end)

test("the newest eight scenes are always sent as they are", function(t)
    local chat = begin(t)
    for i = 2, 40 do
        tell(chat, i, i)
        for back = 1, math.min(8, i - 2) do
            t:sent(chat, "Scene " .. i - back .. " is over.")
        end
    end
end)

test("the summary is asked for with the story's own prompt", function(t)
    local chat = begin(t)
    tell(chat, 2, 20)
    t:ok(#chat.summaries > 0, "no summary was asked for")
    t:contains(chat.summaries[1].system, "You keep the story so far.")
    t:contains(chat.summaries[1].messages[1].text, "a lantern of green glass")
end)

test("what was never told is no part of the story", function(t)
    local chat = begin(t)
    chat:summary(SUMMARY .. " Count Bartholomew owns 77 castles.")
    tell(chat, 2, 40)
    t:not_sent(chat, "Bartholomew")
    t:sent(chat, "The bridge at Orrin has fallen.")
end)

test("a story goes on where no summary comes", function(t)
    local chat = begin(t)
    chat:summary ""
    for i = 2, 30 do
        chat:model("Scene " .. i .. " is over.")
        t:equal(chat:say("Go on, part " .. i .. ".").status, "done")
    end
    t:sent(chat, "Scene 29 is over.")
end)
