-- SPDX-License-Identifier: MIT
-- test.lua: what require "parley.test" gives in a NAME_test.lua; see scripts/meta/parley.lua.
--
-- A chat talks to the policy NAME in an engine of the test's own: in memory, offline, in simulated
-- time. The test is the model, too: it says what is answered, and sees what was sent.

local engine = ...

local error, ipairs, pairs, rawequal = error, ipairs, pairs, rawequal
local setmetatable, tostring, type = setmetatable, tostring, type
local format, remove, concat = string.format, table.remove, table.concat
local add, say, wait = engine.add, engine.say, engine.wait
local _ENV = nil

local SHOWN_BYTES, SHOWN_MESSAGES = 100, 3
local DEFAULT_REPLY, DEFAULT_SUMMARY = "All right.", "so far, this and that was said."

-- ---- what went wrong: "FILE:LINE: what", and beneath it what was expected and what came

local function show(value)
    if type(value) ~= "string" then
        return tostring(value)
    end
    if #value > SHOWN_BYTES then
        -- Not within a character.
        value = value:sub(1, SHOWN_BYTES):gsub("[\xC0-\xF7]?[\x80-\xBF]*$", "") .. "…"
    end
    return '"' .. value:gsub("\n", "\\n") .. '"'
end

-- Level 3: the test, which called the check that calls this.
local function fail(what, expected, actual)
    error(format("%s\n  expected: %s\n  actual:   %s", what, expected, actual), 3)
end

-- ---- chats

local Chat = {}
Chat.__index = Chat

-- Whose message is under way: the model's requests are for its answer.
local current

function Chat:model(reply)
    if type(reply) == "function" then
        self.answer = reply
    else
        self.replies[#self.replies + 1] = reply
    end
end

function Chat:summary(reply)
    self.summarise = type(reply) == "function" and reply or function()
        return reply
    end
end

function Chat:say(text)
    if type(text) ~= "string" then
        error("say: a text is missing", 2)
    end
    current, self.request = self, nil
    local turn, why = say(self.user, self.context, self.session, text)
    if not turn then
        error(why, 2)
    end
    self.session = turn.session ~= "" and turn.session or self.session
    for _, warning in ipairs(turn.warnings) do
        local failure = warning:match("^policy %S+: (.+); the plain policy stood in")
        if failure then
            error("the policy failed: " .. failure, 2)
        end
    end
    return turn
end

function Chat:back()
    self.session = "newest"
end

function Chat:wait(span)
    current = self
    local _, why = wait(span)
    if why then
        error(why, 2)
    end
end

-- The request as a table of the test's own, which it may keep.
local function copy(request)
    local messages = {}
    for i, message in ipairs(request.messages) do
        messages[i] = { role = message.role, text = message.text }
    end
    return { model = request.model, system = request.system, messages = messages }
end

-- background: nobody waits for the answer, which is a summary's.
local function answer(handle, background)
    local request, reply = copy(handle), nil
    if background then
        current.summaries[#current.summaries + 1] = request
        reply = DEFAULT_SUMMARY
        if current.summarise then
            reply = current.summarise(request)
        end
    else
        current.request = request
        reply = remove(current.replies, 1)
        if reply == nil and current.answer then
            reply = current.answer(request)
        elseif reply == nil then
            reply = DEFAULT_REPLY
        end
    end
    if type(reply) ~= "string" then
        error("the model's reply must be a string; it is " .. tostring(reply), 0)
    end
    return reply
end

-- ---- a test

local Test = {}
Test.__index = Test

function Test:chat(options)
    options = options or {}
    local user, context = options.user or "ann", options.context or ""
    if type(user) ~= "string" or type(context) ~= "string" then
        error("chat: user and context must be strings", 2)
    end
    return setmetatable({
        user = user, context = context, session = "", replies = {}, summaries = {},
    }, Chat)
end

local function same(a, b)
    if rawequal(a, b) or type(a) ~= "table" or type(b) ~= "table" then
        return a == b
    end
    for key, value in pairs(a) do
        if not same(value, b[key]) then
            return false
        end
    end
    for key in pairs(b) do
        if a[key] == nil then
            return false
        end
    end
    return true
end

function Test:equal(actual, expected)
    if not same(actual, expected) then
        fail("not equal", show(expected), show(actual))
    end
end

function Test:ok(value, what)
    if not value then
        fail(what or "not true", "something true", show(value))
    end
end

function Test:contains(text, part)
    if type(text) ~= "string" or not text:find(part, 1, true) then
        fail("not in the text", show(part), show(text))
    end
end

-- Where text is in the last request of the chat: "system", the number of a message, or nil.
local function where(request, text)
    if request.system:find(text, 1, true) then
        return "system"
    end
    for i, message in ipairs(request.messages) do
        if message.text:find(text, 1, true) then
            return i
        end
    end
    return nil
end

local function show_request(request)
    local shown, messages = {}, request.messages
    for i = #messages > SHOWN_MESSAGES and #messages - SHOWN_MESSAGES + 1 or 1, #messages do
        shown[#shown + 1] = messages[i].role .. " " .. show(messages[i].text:sub(1, 40))
    end
    return format("the newest of %d: %s", #messages, concat(shown, ", "))
end

function Test:sent(chat, text)
    if not chat.request then
        fail("not sent", show(text), "the model was not asked")
    elseif not where(chat.request, text) then
        fail("not sent", show(text), show_request(chat.request))
    end
end

function Test:not_sent(chat, text)
    local at = chat.request and where(chat.request, text)
    if at then
        fail("sent", "a request without " .. show(text),
            at == "system" and "it is in the system prompt"
            or format("it is in message %d of %d", at, #chat.request.messages))
    end
end

local function run(fn)
    current = nil
    fn(setmetatable({}, Test))
end

return add, run, answer
