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

-- Everything, as far as it fits the model's window; then the newest half.
M.full = strategy "full"

-- The newest turns within `budget_tokens` of history; when that is full, the newest half of it.
M.truncate = strategy "truncate"

-- The newest `keep_turns` turns, and up to `slack_turns` more before the oldest are left out (as
-- many again, if nothing is said; none in a window of less than 8 turns); and always the
-- `pin_first` oldest.
M.window = strategy "window"

return setmetatable(M, {
    __index = function(_, name)
        -- Level 3: between the policy and here is the function that reads read-only tables.
        error("history." .. name .. ": there is no such strategy; there are full, truncate "
            .. "and window", 3)
    end,
})
