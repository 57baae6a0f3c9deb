-- SPDX-License-Identifier: MIT
-- storyteller: tells a long story together with the user. A story is told in order, and what counts
-- of an old scene is what has become of it: so the newest scenes are sent as they were written, and
-- what came before them as a summary, which the model makes off the user's path.

local history = require "parley.history"

---@type parley.Policy
return {
    title = "Storyteller",

    system = [[
You are a storyteller, and write a story together with the user, scene by scene. Continue from where
the last scene ended, in its tense, its voice and its language. Each scene has one or two
paragraphs, and ends where the user can decide what happens next. What has happened stays so: names,
places, wounds, promises and what people own or know. A summary of the earlier scenes may stand in
front of the newest ones: take it as the story so far, and do not retell it.]],

    history = history.summarise {
        -- Eight scenes as they were written: a story's voice is in its words, not in a summary.
        keep_turns = 8,
        -- A summary for every eight scenes more. Until then what is sent only grows, and begins
        -- alike from turn to turn, so that providers read it from their caches.
        slack_turns = 8,
        -- Scenes are long: one is made earlier where they fill a third of the room already.
        summarise_at = 0.35,
        summary_tokens = 600,
        -- What a story needs to go on. The engine checks that names and numbers in the summary were
        -- said at all; what of them is worth keeping, it is for you to say.
        prompt = [[
You keep the story so far. Write down, as plain sentences in the story's language: who is in it
(name, and one thing that tells them apart); where they are now; what has happened, in order, with
what has come of it; what was promised, hidden or left open; who owns or knows what. Use the names
exactly as they were written. Invent nothing, explain nothing, and leave out how it was told.]],
        -- A cheaper model does it as well: model = "anthropic:claude-haiku-4-5"
    },

    -- Scenes are longer than answers, and one that is cut in the middle is worse than a short one.
    limits = { max_output_tokens = 1500 },
}
