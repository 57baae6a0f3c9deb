-- SPDX-License-Identifier: MIT
-- parley.memory: what is remembered of users beyond a conversation, as in
--
--   memory = memory.rules {}                         -- by the rules of this file, without a model
--   memory = memory.model { model = "openai:small" } -- by a model, when a session is over
--   memory = memory.both { recall = { k = 12 } }     -- by both
--
-- Each takes what `memory` of a policy takes (scripts/meta/parley.lua), and for the rules
--
--   predicates = { uses = { kind = "circumstance" } },   -- further ones, or others for these
--   patterns = {                                          -- what else people say of themselves
--     { "i use {thing} at work", predicate = "uses",
--       example = { "I use Emacs at work.", "Emacs" } },
--   },
--   without = { "age", "diet" },                          -- what is not to be learnt
--
-- The rules that are there know English alone. For another language a policy brings its own:
--
--   language = "German",       -- instead of the English ones; `parley check` tells it
--   words = { stops = "und aber seit", openers = "und", doubts = "wenn nicht" },
--   patterns = { { "ich wohne in {place}", predicate = "lives_in" } },
--
-- stops end a value, behind openers a pattern may begin, behind doubts a sentence says nothing.
-- Without `language` both are known, English and what the policy adds.
--
-- parley.memory_match says how patterns are written, parley.memory_values which {types} there are,
-- parley.memory_patterns has all that are there already. An example is tried when the policy is
-- loaded. Whether the user really says so is found out by the engine, not here: a fact that is
-- proposed wrongly is quarantined at most.

local match = require "parley.memory_match"
local values = require "parley.memory_values"
local patterns = require "parley.memory_patterns"
local prompts = require "parley.memory_prompts"
local state = require "parley.memory_state"
local reflection = require "parley.memory_reflection"
local asked = require "parley.memory_asked"
local when = require "parley.memory_when"

local M = {}
local error, ipairs, math, pairs, pcall = error, ipairs, math, pairs, pcall
local setmetatable, table, tostring, type = setmetatable, table, tostring, type
local _ENV = nil

local CANDIDATES_MAX = 40   -- of one message
local TEXT_MAX = 16384      -- bytes of a message that are looked at
local QUOTE_MAX, VALUE_MAX, SUBJECT_MAX = 1000, 300, 64
local ENGLISH = "English"

local TYPES = {}
for name, type_ in pairs(values.types) do
    TYPES[name] = type_
end
TYPES.trade = values.one_of(patterns.trades)
TYPES.fix = { max = 5, strict = true, article = true, after_gap = true,
              no_first = values.types.thing.no_first, no = values.types.thing.no }

-- "Actually, it's Milan": a new value for what was said last. near: only if it is written almost
-- like that; only: of these predicates.
local CORRECTIONS = {
    { corrects = true, predicate = "",
      "i (mean|meant) {fix}", "(sorry|no|actually|wait) i (mean|meant) {fix}",
      "make that {fix}", "correction {fix}", "(sorry|no|actually) make that {fix}" },
    { corrects = true, predicate = "", is = true,
      "(actually|no|sorry|correction|wait) it is {fix}", "it is actually {fix}" },
    { corrects = true, predicate = "", only = { lives_in = true, from = true },
      "(no|sorry|actually) (in|from) {fix}" },
    { corrects = true, predicate = "", near = true, "it is {fix}" },
}

-- ---- from patterns to what is found by

local function value_of(pattern)
    local last
    for name in pattern:gmatch "{([%l_]+)}" do
        last = name ~= "person" and name or last
    end
    return last
end

local function add_rules(index, rules, without, where)
    for i, rule in ipairs(rules) do
        if not without[rule.predicate] then
            match.add(index, rule, TYPES, patterns.words, where .. "[" .. i .. "]")
        end
    end
end

local function check_own(rules, predicates)
    for i, rule in ipairs(rules) do
        local where = "memory.patterns[" .. i .. "]"
        if type(rule) ~= "table" or type(rule[1]) ~= "string" then
            error(where .. ": must be a table such as { \"i use {thing}\", predicate = \"uses\" }",
                0)
        end
        if not predicates[rule.predicate or ""] then
            error(where .. ".predicate: is none of memory.predicates", 0)
        end
        for _, pattern in ipairs(rule) do
            if not value_of(pattern) and not rule.whole then
                error(where .. ": '" .. pattern .. "' has no value such as {thing}", 0)
            end
        end
    end
end

-- ---- what is found

local function text_of(t, from, to, most)
    local text = match.text(t, from, to)
    return #text <= most and text or nil
end

-- Half a quotation is no value.
local function value_text(t, from, to, without)
    local text = text_of(t, from, to, VALUE_MAX)
    if text and without then
        text = match.text(t, from, without[1] - 1) .. " " .. match.text(t, without[2] + 1, to)
    end
    local _, marks = (text or ""):gsub('"', "")
    return marks % 2 == 0 and text or nil
end

-- The words of a pattern that is itself the value, behind those that only lead to it.
local function whole_of(t, way, m, sentence)
    local from, to = m.from or m.start, m.past - 1
    for word in (m.from and "" or way.rule.whole):gmatch "%S+" do
        while from < to and t.w[from] ~= word do
            from = from + 1
        end
        from = from + 1
    end
    while from < to and (t.w[from] == "please" or t.w[from] == "always") do
        from = from + 1
    end
    if way.value then
        local spans = values.values(t, TYPES[way.value], m[way.value], sentence.last)
        if #spans == 0 then
            return spans
        end
        to = spans[#spans][2] > to and spans[#spans][2] or to
    end
    return { { from, to } }
end

local CLOSES = { to = true, ["and"] = true, with = true, but = true, now = true, ["or"] = true,
                 since = true, ["for"] = true, too = true, from = true, because = true, so = true,
                 please = true, when = true }

-- Whether nothing follows that makes something else of it: "I am engaged", but not "in a project".
local function closed(t, past, last)
    return past > last or t.gap[past] or CLOSES[t.w[past]] or false
end

local function ends_later(t, to, last)
    local a, b, c = t.w[to + 1], t.w[to + 2], t.w[to]
    return to < last and (a == "anymore" or a == "any" and (b == "more" or b == "longer")) or
        c == "anymore"
end

local function keep(found, candidate)
    for _, other in ipairs(found) do
        if other.predicate == candidate.predicate and other.subject == candidate.subject and
            (other.value or ""):lower() == (candidate.value or ""):lower() then
            return
        end
    end
    if #found < CANDIDATES_MAX then
        found[#found + 1] = candidate
    end
end

-- ---- corrections

-- How many letters are to be put in, left out or changed to make one of the other.
local function distance(a, b)
    local row = {}
    for j = 0, #b do
        row[j] = j
    end
    for i = 1, #a do
        local before = row[0]
        row[0] = i
        for j = 1, #b do
            local same = a:byte(i) == b:byte(j) and 0 or 1
            before, row[j] = row[j], math.min(row[j] + 1, row[j - 1] + 1, before + same)
        end
    end
    return row[#b]
end

local NEAR_MAX = 32  -- bytes of what is compared letter by letter

-- "Ann" and "Anne", "Jon" and "John".
local function is_near(a, b)
    a, b = a:lower(), b:lower()
    return a ~= b and #a > 2 and #b > 2 and #a <= NEAR_MAX and #b <= NEAR_MAX and
        a:byte() == b:byte() and distance(a, b) <= 2
end

local function shape_of(text)
    return text:find "^%d" and "number" or text:find "^[%u\195-\244]" and "name" or "word"
end

-- Whether a value may stand where another one stood.
local function fits(learner, rule, t, span, value, before)
    local shape, near = shape_of(value), is_near(before.value or "", value)
    local known = learner.predicates[before.predicate]
    if not (known and known.one) or before.negates or not before.value or
        rule.only and not rule.only[before.predicate] or rule.near and not near or
        before.predicate == "age" and not value:find "^%d+$" then
        return false
    elseif shape == "name" and not TYPES.name.take(t, span[1], span[2]) then
        return false  -- "No, it's Tuesday"
    end
    return near or shape == shape_of(before.value) and not (rule.is and shape == "word")
end

-- What is put right: said just before, said in the turn before, or stated by the assistant.
local function corrected(learner, rule, t, found, span, value)
    local last = found[#found]
    if last then
        return fits(learner, rule, t, span, value, last) and last or nil
    end
    local said, stated = {}, {}
    if learner.before then
        said, stated = learner.before()
    end
    for _, list in ipairs { said, stated } do
        for i = #list, 1, -1 do
            local other = list[i]
            local sure = i == #list and not other.unsure and not (other.greets and said[1])
            if (sure or is_near(other.value or "", value)) and
                fits(learner, rule, t, span, value, other) then
                return other
            end
        end
    end
end

local function correct(learner, rule, t, found, spans, m)
    local span = spans[1]
    local value = span and value_text(t, span[1], span[2])
    local before = value and corrected(learner, rule, t, found, span, value)
    if not before then
        return false
    end
    if found[#found] == before then
        found[#found] = nil
    end
    keep(found, { predicate = before.predicate, subject = before.subject, value = value,
                  quote = text_of(t, m.start, span[2], QUOTE_MAX) })
    return true
end

-- ---- what a text says

-- What one match says: true if it says anything.
local function take(learner, t, found, sentence, way, m)
    local rule = way.rule
    local predicate, negates = rule.predicate, rule.negates
    local spans
    if rule.whole then
        spans = whole_of(t, way, m, sentence)
    else
        local name = way.value
        spans = values.values(t, TYPES[name], m[name], sentence.last)
    end
    if #spans == 0 then
        return false
    end
    local past = spans[#spans][2] + 1
    past = past > m.past and past or m.past
    if rule.closed and not closed(t, past, sentence.last) then
        return false
    end
    if not rule.asks and not match.tells(t, sentence, past) then
        return false
    end
    local denied = m.denied
    if ends_later(t, spans[#spans][2], sentence.last) then
        denied = "ended"
    end
    if denied and (rule.plain or rule.negates) then
        return false
    elseif denied == "not" and rule.denied then
        predicate = rule.denied
        if predicate == "" then
            return false
        end
    elseif denied then
        negates = not negates
    end
    if rule.corrects then
        return correct(learner, rule, t, found, spans, m)
    end
    if learner.without[predicate] then
        return false
    end
    local subject = m.person and text_of(t, m.person[1], m.person[2], SUBJECT_MAX) or nil
    local since = t.at and not negates and
        when.since(t, sentence.first < m.start and sentence.first, spans[#spans][2] + 1,
                   sentence.last, t.at, rule.event) or nil
    for _, span in ipairs(spans) do
        local value = value_text(t, span[1], span[2], span.without)
        if value then
            keep(found, { predicate = predicate, kind = rule.kind, subject = subject, value = value,
                          negates = negates or nil, from = since,
                          quote = text_of(t, m.start, span[2], QUOTE_MAX) })
        end
    end
    return true
end

local function learn_words(learner, t)
    local found = {}
    t.words = learner.words
    t.capitals = t.text:find "%u%l" ~= nil
    match.find(learner.index, t, function(_, sentence, way, m)
        return take(learner, t, found, sentence, way, m)
    end)
    return found
end

-- at: when it was said; nil: nobody knows.
local function learn(learner, text, at)
    if #text > TEXT_MAX then
        return {}
    end
    local t = match.read(text)
    t.at = at
    return learn_words(learner, t), t
end

-- The turn before, of which there is only one; nil: none.
local function turn_before(view, turn)
    for i = #view.history, 1, -1 do
        local other = view.history[i]
        if other.turn < turn.turn and not other.superseded then
            return other
        end
    end
end

-- What may be corrected in a turn: what the user said in the one before, and what the assistant
-- said there of the user.
local function said_before(learner, before)
    local stated = asked.stated(before.assistant, function(t)
        return learn_words(learner, t)
    end)
    local said = learn(learner, before.user)
    return said, stated
end

-- What a turn's words say, with the turn before in mind.
local function learn_turn(learner, view, turn)
    local before = turn_before(view, turn)
    local here = { index = learner.index, predicates = learner.predicates,
                   without = learner.without, words = learner.words }
    here.before = learner.questions and before and function()
        return said_before(learner, before)
    end
    local found, t = learn(here, turn.user, turn.at)
    if not t or not learner.questions or not before or #before.assistant == 0 then
        return found
    end
    local predicate, spans, sentence = asked.answer(learner.questions, before.assistant, t)
    local told = learner.without[predicate]
    for _, other in ipairs(found) do
        told = told or other.predicate == predicate and not other.subject
    end
    for _, span in ipairs(predicate and not told and spans or {}) do
        local value = value_text(t, span[1], span[2], span.without)
        if value then
            keep(found, { predicate = predicate, value = value,
                          quote = text_of(t, sentence.first, span[2], QUOTE_MAX) })
        end
    end
    return found
end

-- ---- what a policy's `memory` is made of

local function merged(defaults, own)
    local out = {}
    for name, predicate in pairs(defaults) do
        out[name] = predicate
    end
    for name, predicate in pairs(own or {}) do
        out[name] = predicate
    end
    return out
end

local function check_examples(learner, rules)
    for i, rule in ipairs(rules) do
        local example = rule.example
        if example ~= nil then
            local where = "memory.patterns[" .. i .. "].example"
            if type(example) ~= "table" or type(example[1]) ~= "string" or
                type(example[2]) ~= "string" then
                error(where .. ": must be a sentence and the value in it, as in { \"I use " ..
                    "Emacs.\", \"Emacs\" }", 0)
            end
            local got = {}
            for _, candidate in ipairs(learn(learner, example[1])) do
                if candidate.predicate == rule.predicate then
                    got[#got + 1] = candidate.value
                end
            end
            local all = table.concat(got, ", ")
            if all ~= example[2] then
                error(where .. ": gives " .. (all == "" and "nothing" or "'" .. all .. "'"), 0)
            end
        end
    end
end

-- The names of memory.without.
local function without_of(list, predicates)
    if list ~= nil and type(list) ~= "table" then
        error("memory.without: must be a list such as { \"age\", \"diet\" }", 0)
    end
    local out = {}
    for _, name in ipairs(list or {}) do
        if not predicates[name] then
            error("memory.without: there is no predicate '" .. tostring(name) .. "'", 0)
        end
        out[name] = true
    end
    return out
end

local OURS = { patterns = true, without = true, predicates = true, words = true }

-- What is almost one of the options of this file; of the others the engine tells.
local function check_names(options)
    for key in pairs(options) do
        for name in pairs(OURS) do
            if type(key) == "string" and is_near(key, name) then
                error("memory." .. key .. ": unknown key (did you mean " .. name .. "?)", 0)
            end
        end
    end
end

local WORDS = { stops = true, openers = true, doubts = true }

-- Words of another language, as sets.
local function words_of(words)
    if words == nil then
        return nil
    elseif type(words) ~= "table" then
        error("memory.words: must be a table such as { stops = \"und aber\" }", 0)
    end
    local out = {}
    for name, list in pairs(words) do
        if not WORDS[name] then
            error("memory.words." .. tostring(name) .. ": is none of stops, openers, doubts", 0)
        elseif type(list) ~= "string" then
            error("memory.words." .. name .. ": must be words, as in \"und aber\"", 0)
        end
        out[name] = match.set(list)
    end
    return out
end

local function learner_of(options)
    check_names(options)
    local predicates = merged(patterns.predicates, options.predicates)
    local without, own = without_of(options.without, predicates), options.patterns or {}
    check_own(own, predicates)
    local index = match.index()
    local learner = { index = index, predicates = predicates, without = without,
                      words = words_of(options.words) }
    add_rules(index, own, without, "memory.patterns")
    if (options.language or ENGLISH) == ENGLISH then
        add_rules(index, CORRECTIONS, without, "corrections")
        add_rules(index, patterns.rules, without, "memory_patterns.rules")
        add_rules(index, patterns.others, without, "memory_patterns.others")
        learner.questions = asked.index()
    elseif not own[1] then
        error("memory.language: the rules know English alone: bring patterns of your own, as in " ..
            "patterns = { { \"ich wohne in {place}\", predicate = \"lives_in\" } }", 0)
    end
    check_examples(learner, own)
    return learner
end

local function memory(options, by_rules, by_model)
    options = options or {}
    local fine, learner = pcall(learner_of, options)
    if not fine then
        error(learner, 2)  -- the line of the policy that has them
    end
    local out = { predicates = learner.predicates, state = state.of_turn,
                  reflect = reflection.of_facts }
    for name in pairs(learner.without) do
        out.predicates[name] = nil
    end
    for key, value in pairs(options) do
        if not OURS[key] then
            out[key] = value
        end
    end
    if by_rules and out.extract == nil then
        out.extract = function(view, turn)
            return learn_turn(learner, view, turn)
        end
        out.language = options.language or ENGLISH
    end
    if by_model then
        out.model = options.model or true
        out.prompts = prompts.of(learner.predicates, options.prompts)
    end
    return out
end

-- By rules alone: nothing is asked of a model, nothing is paid.
function M.rules(options)
    return memory(options, true, false)
end

-- By a model, once a session is over; rules still fill the session's state.
function M.model(options)
    return memory(options, false, true)
end

function M.both(options)
    return memory(options, true, true)
end

-- What a text says, by the rules, as candidates: for tests of patterns.
function M.learn(text, options)
    return learn(learner_of(options or {}), text)
end

-- The same for many texts, whose rules are made ready once.
function M.learner(options)
    local learner = learner_of(options or {})
    return function(text)
        return learn(learner, text)
    end
end

M.predicates = patterns.predicates

return setmetatable(M, {
    __index = function(_, name)
        -- Level 3, as in parley.history.
        error("memory." .. tostring(name) .. ": there is no such function; there are rules, "
            .. "model, both, learn and learner", 3)
    end,
})
