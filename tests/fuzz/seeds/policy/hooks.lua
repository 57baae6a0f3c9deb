local shape = require "parley.shape"
local history = require "parley.history"
return {
    title = "Hooks", system = "S", model = "m", provider = "openai",
    history = history.window { keep_turns = 4, pin_first = 1 },
    on_message = function(view)
        for i, t in ipairs(view.turns or {}) do
            if t.text:match("^(%a+)%s*=%s*(%d+)$") then return { say = ("%d"):format(i) } end
        end
        local ok, e = pcall(string.rep, view.text, 3)
        return ok and { go = true } or { handoff = tostring(e) }
    end,
    on_reply = function(view, reply)
        local co = coroutine.wrap(function() coroutine.yield(#reply) end)
        return co()
    end,
}
