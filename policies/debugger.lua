-- SPDX-License-Identifier: MIT
-- debugger: helps to find bugs. Of a bug hunt, what was thought on the way may be forgotten; error
-- messages, stack traces and code must not be, to the letter: so turns that hold some are pinned,
-- beside a window of the newest turns. No summary: one that changes a line number is worse than
-- none.
--
-- It shows how a history of one's own is written: a function(view) that says which turns to send.

local KEEP, STEP = 10, 10       -- turns: the window, and how often what is pinned may change
local EVIDENCE_SHARE = 4        -- pinned turns take a quarter of the model's window at most
local EVIDENCE_TURNS = 40       -- and are so many at most
-- A policy has so much time and no more: of a long text it looks at both ends, where errors are,
-- and of the history at the newest turns, up to so many bytes together.
local END_BYTES, LOOK_BYTES = 3000, 200000

-- What is evidence. Plain words are looked for first: they are cheap. Patterns begin with what is
-- rare (a dot, the edge of a word), not with what any text is full of.
local WORDS = { "```", "Traceback", "Exception", "panic:", "core dumped", "egmentation fault" }
local PATTERNS = {
    "%f[%w]%u%w*Error%f[%W]",           -- TypeError, java.lang.OutOfMemoryError
    "%f[%a][Ee][Rr][Rr][Oo][Rr]:",      -- error: …, ERROR: …
    "%w%.%a[%w_]*:%d",                  -- main.c:41, src/app.py:12
    "%f[%w]line %d+",                   -- File "app.py", line 12
    "%f[%w]exit [cs][ot]%a+ %d",        -- exit code 139, exit status 2
    "%f[%w]0x%x%x%x%x",                 -- 0x7ffe1a2b
    "%f[%w]E[A-Z][A-Z][A-Z]+%f[%W]",    -- ECONNREFUSED, ENOENT
}

local function ends_of(text)
    if #text <= 2 * END_BYTES then
        return text
    end
    return text:sub(1, END_BYTES) .. "\n" .. text:sub(-END_BYTES)
end

local function is_evidence(text)
    for _, word in ipairs(WORDS) do
        if text:find(word, 1, true) then
            return true
        end
    end
    for _, pattern in ipairs(PATTERNS) do
        if text:find(pattern) then
            return true
        end
    end
    return false
end

-- The turns with evidence, newest first, as many as there is room for.
--
-- What is pinned stands at the beginning of the request. If it changed with every turn, the
-- provider could never read it from its prompt cache; so only turns up to a multiple of STEP count,
-- and those after it are in the window anyway, as KEEP >= STEP.
local function evidence(view)
    local pins, room, looked = {}, view.tokens.window // EVIDENCE_SHARE, 0
    local settled = (view.turn - 1) // STEP * STEP

    for i = #view.history, 1, -1 do
        local turn = view.history[i]
        local asked, answered = ends_of(turn.user), ends_of(turn.assistant)
        looked = looked + #asked + #answered
        if looked > LOOK_BYTES then
            break
        end
        if turn.turn <= settled and not turn.superseded
            and (is_evidence(asked) or is_evidence(answered)) then
            room = room - turn.tokens
            -- Older evidence goes first; the newest stays, however long it is.
            if #pins == EVIDENCE_TURNS or (room < 0 and #pins > 0) then
                break
            end
            pins[#pins + 1] = turn.turn
        end
    end
    return pins
end

---@type parley.Policy
return {
    title = "Debugger",

    system = [[
You help to find bugs. Work like this: what is observed, word by word; what that rules out; the
likeliest cause that is left; the smallest experiment that would tell. Quote error messages, names
and line numbers exactly as they were given, and never fill in one that you were not given: ask for
it. Say how sure you are. Change one thing at a time, and say what each change is expected to do.]],

    -- Addresses of machines are evidence here, to the letter; what else is personal is masked.
    privacy = {
        redact = { "email", "phone", "ssn", "card", "iban", "url", "secret", "wallet" },
    },

    -- The first turn, where the problem is told; the evidence; the newest 10 to 20 turns.
    history = function(view)
        return { last = KEEP, slack = KEEP, pin_first = 1, pin = evidence(view) }
    end,
}
