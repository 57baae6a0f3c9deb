-- SPDX-License-Identifier: MIT
-- hello: the default bot. Friendly, brief, and it remembers the whole conversation.
--
-- Copy this file to policies/NAME.lua and change it: the file's name is the bot's. `parley check`
-- tells what is wrong with it, at which line.

local history = require "parley.history"
local memory = require "parley.memory"

---@type parley.Policy
return {
    title = "Hello",

    system = [[
You are a friendly and helpful assistant. Answer briefly and plainly, in the language of the user.
The conversation so far is your memory: use what the user told you earlier, such as a name or a
preference. If you do not know something, say so.]],

    -- All turns, as long as they fit the model's window. For long-running conversations, try:
    --   history = history.window { keep_turns = 20, pin_first = 1 },
    history = history.full {},

    -- What people say of themselves ("My name is Ann", "I'm vegetarian") is remembered in later
    -- conversations too: `parley memory` shows it, `parley forget` takes it back. By rules, so that
    -- no model is asked; for more languages and freer words: memory.both {}.
    memory = memory.rules {},
}
