-- SPDX-License-Identifier: MIT
-- parley.greet: what is said first to who comes back after a while, as in
--
--   resume = { greet = greet.returning {} }
--
-- A greeting says that somebody is known, takes up what was left open, and asks one thing at most.
-- It never tells how long they were away. Nothing is said to those who were gone for a moment, for
-- they go on in their session.

local M = {}
local ipairs, type = ipairs, type
local _ENV = nil

-- The first line, by how the gap felt; two of each, so that it is not always the same.
local HELLOS = {
    hours = { "Hello again.", "Good to see you again." },
    day = { "Hello again.", "Good to see you again." },
    days = { "Welcome back.", "Good to have you back." },
    weeks = { "Welcome back, good to see you.", "Good to have you back." },
    months = { "It is good to hear from you again.", "Welcome back, it is good to see you." },
    ages = { "It is good to hear from you again.", "Welcome back, it is good to see you." },
}

local function text(value)
    return type(value) == "string" and value ~= "" and #value <= 200 and value or nil
end

-- Without its last full stop, and as it stands in the middle of a sentence.
local function inside(words)
    return (words:gsub("[%s.!?]+$", ""))
end

local function first_open(resume)
    for _, question in ipairs(resume.open) do
        if text(question) then
            return inside(question)
        end
    end
end

local function what_next(resume)
    local open, topic = first_open(resume), text(resume.topic)
    if resume.kind == "offered" and topic then
        return "Shall we go on with " .. inside(topic) .. ", or is it something else today?"
    elseif resume.kind == "offered" then
        return "Shall we go on where we were, or is it something else today?"
    elseif resume.kind == "fresh" then
        return "What can I do for you?"
    elseif open then
        return "We had left this open: " .. open .. ". Shall we take it up?"
    elseif topic then
        return "Shall we go on with " .. inside(topic) .. "?"
    end
    return "What would you like to do?"
end

-- For a companion or an assistant. `name` is how the bot calls itself, if it does.
function M.returning(options)
    local name = text(options and options.name)
    return function(view)
        local resume = view.resume
        local hellos = resume and HELLOS[resume.gap]
        if not hellos then
            return nil
        end
        local hello = hellos[view.session.id:byte(1) % 2 + 1]
        if name then
            hello = hello .. " " .. name .. " here."
        end
        return { say = hello .. " " .. what_next(resume) }
    end
end

-- For a service desk: says nothing of missing anybody, and asks for the matter.
function M.desk(options)
    local name = text(options and options.name)
    return function(view)
        local resume = view.resume
        if not resume or resume.gap == "moment" then
            return nil
        end
        local hello = name and ("Hello, this is " .. name .. ".") or "Hello."
        local open = resume.kind ~= "fresh" and first_open(resume)
        if open then
            return { say = hello .. " Is this about what we left open: " .. open .. "?" }
        end
        return { say = hello .. " What can I do for you?" }
    end
end

return M
