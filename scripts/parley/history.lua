-- SPDX-License-Identifier: MIT
-- parley.history: which turns of the conversation the model is sent.
--
-- A strategy is data: the engine checks its options when the policy is loaded (unknown ones with a
-- hint and a line) and applies it without running Lua. For anything else write a function(view);
-- see parley.View and parley.HistoryPlan in scripts/meta/parley.lua.

local M = {}
local setmetatable, error = setmetatable, error
local _ENV = nil

local function strategy(name)
    return function(options)
        return { strategy = name, options = options or {} }
    end
end

-- What is sent grows with the conversation to a high mark, then the oldest of it are left out down
-- to a low one. In between requests begin alike, turn after turn: what providers read from their
-- prompt caches costs a tenth.

-- Every strategy takes `constraints`, texts to be kept in mind, which are sent word for word; and
-- the turns that the session pins are sent whatever the strategy.

-- Everything, as far as it fits the model's window; then the newest half.
M.full = strategy "full"

-- The newest turns within `budget_tokens` of history; when that is full, the newest half of it.
M.truncate = strategy "truncate"

-- The newest `keep_turns` turns, and up to `slack_turns` more before the oldest are left out (as
-- many again, if nothing is said; none in a window of less than 8 turns); and always the
-- `pin_first` oldest.
M.window = strategy "window"

-- A window, and up to `k` turns from before it, of any session of this user with this bot in this
-- context, that bear on what is said now: quoted in front of the message, `budget_tokens` of them
-- at most. Nothing but words is needed to find them. Unless said: k = 5, budget_tokens = 1000,
-- keep_turns = 5.
M.recall = strategy "recall"

-- The newest `keep_turns` turns, and in front of them a summary of those before, of at most
-- `summary_tokens`. A model makes it after the reply, off the user's path, once `slack_turns` more
-- turns have come (as many again, at least 20), or `summarise_at` of the room for history is used;
-- until it is there, more turns are sent. Its names and numbers are held against what was said. It
-- is asked with `prompt`, of `model` ("provider:model"); ours, and that of the turn, if nothing is
-- said. Unless said: keep_turns = 5, summarise_at = 0.5, summary_tokens = 400.
M.summarise = strategy "summarise"

-- Both, made for production: the newest `keep_turns` turns, a summary of those before (all options
-- of summarise), and up to `recall` of them quoted, within `recall_tokens`.
M.hybrid = strategy "hybrid"

return setmetatable(M, {
    __index = function(_, name)
        -- Level 3: between the policy and here is the function that reads read-only tables.
        error("history." .. name .. ": there is no such strategy; there are full, truncate, "
            .. "window, summarise, recall and hybrid", 3)
    end,
})
