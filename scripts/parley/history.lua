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

-- Everything, as far as it fits the model's window; the oldest turns are left out first.
M.full = strategy "full"

-- The newest turns within `budget_tokens` of history.
M.truncate = strategy "truncate"

-- The newest `keep_turns` turns, and always the `pin_first` oldest ones.
M.window = strategy "window"

return setmetatable(M, {
    __index = function(_, name)
        -- Level 3: between the policy and here is the function that reads read-only tables.
        error("history." .. name .. ": there is no such strategy; there are full, truncate "
            .. "and window", 3)
    end,
})
