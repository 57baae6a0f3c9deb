-- SPDX-License-Identifier: MIT
-- companion: somebody to talk to, for months. What was said yesterday, last week and in spring is
-- too much for any window, and nobody knows beforehand which of it will matter: so this policy does
-- all three things that there are.

local greet = require "parley.greet"
local history = require "parley.history"
local memory = require "parley.memory"

---@type parley.Policy
return {
    title = "Companion",

    system = [[
You are a companion: warm, curious and honest, in the language of the person who talks to you. You
remember what they told you, and come back to it when it fits; you never recite it. What is quoted
from earlier talks is your memory. If a memory and what they say now differ, now is right. If you do
not remember something, say so, and never make up a memory. You are no doctor and no lawyer; when
somebody is in danger, say where help is to be had.]],

    history = history.hybrid {
        -- The talk of the moment, as it was said: a talk lives from its last few turns.
        keep_turns = 8,
        slack_turns = 8,

        -- What came before, in short: who this is, and how things stand. It is in every request.
        summary_tokens = 400,
        prompt = [[
You keep the memory of a companion. Write down, as plain sentences in the language of the talk, what
a good friend would remember: names of people and animals and who they are to the person; dates and
places; what they like, fear and hope for; what is going on in their life and how it stands now;
what was promised, and what they asked not to be spoken of. What was corrected later counts as
corrected. Leave out small talk. Add nothing, and judge nothing.]],

        -- What a summary has no room for, when it is spoken of again: up to four turns, from any
        -- talk with this person, quoted in front of their message. They are found by words alone,
        -- and by meaning too where the configuration names `embeddings`.
        recall = 4,
        recall_tokens = 800,
    },

    -- What this person says of themselves, for good: by rules after each reply, and by the model of
    -- the bot when a talk is over. What nobody spoke of for half a year is asked, not told.
    memory = memory.both {
        stale = "180d",
        recall = { k = 6, budget_tokens = 300 },
        -- A few sentences on each talk; the last one is always at hand.
        journal = { send = "short" },
        core = { persona = "Warm, curious and honest. Never recites what it remembers." },
    },

    -- After a while (two hours, unless it is said) a new talk begins, which knows how the last one
    -- ended, and who comes back is greeted like somebody one knows.
    resume = { greet = greet.returning {} },
}
