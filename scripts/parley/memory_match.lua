-- SPDX-License-Identifier: MIT
-- parley.memory_match: finds what a text says by patterns of words. parley.memory uses it; the
-- patterns are in parley.memory_patterns.
--
--   "i [now] (live|am living) in {place}"
--
-- A pattern is words, in lower case: (a|b c) one of them, [a|b] one or none, {type} a value. Words
-- are matched one by one, as parley.memory_words reads them: adverbs such as "really" may stand in
-- between, and so may "not", "never" and "no longer", which make a denial of it.
-- ^ is where the value begins, if it is all that the pattern matches from there on.
-- A pattern begins where a clause begins, never in a quotation, a question or behind an "if".
--
-- All is made for the call: nothing is kept. A text costs in the order of its words; a pattern is
-- tried only where a word that it needs is there.

local reading = require "parley.memory_words"

local M = {}
local error, ipairs, table = error, ipairs, table
local _ENV = nil

local set = reading.set
M.set, M.read = set, reading.read

local SENTENCE_MAX = 120   -- words of a sentence that a rule looks at: longer ones are no talk

-- ---- patterns

local ADVERBS = set [[really just also currently now actually still always recently absolutely
    totally truly basically mostly usually generally definitely certainly personally honestly
    kinda especially particularly quite pretty so super very both already finally simply always
    even officially originally mainly obviously fully deeply sincerely only]]

local function words_of(text, where)
    local seqs = {}
    for option in text:gmatch "[^|]+" do
        local seq = {}
        for word in option:gmatch "%S+" do
            seq[#seq + 1] = word
        end
        seqs[#seqs + 1] = seq
    end
    if #seqs == 0 then
        error(where .. ": there is nothing between brackets", 0)
    end
    return seqs
end

local BRACKETS = { ["("] = "^%(([^()]*)%)()", ["["] = "^%[([^%[%]]*)%]()" }

-- The elements of a pattern: { words = {{…}…}, maybe = true? } or { type = "place" }.
local function elements(pattern, types, where)
    local out, at = {}, 1
    while true do
        at = pattern:find("%S", at)
        if not at then
            return out
        end
        local mark = pattern:sub(at, at)
        local el, past
        if mark == "^" then
            el, past = { from = true }, at + 1
        elseif mark == "(" or mark == "[" then
            local inside, behind = pattern:match(BRACKETS[mark], at)
            if not inside then
                error(where .. ": '" .. mark .. "' is not closed", 0)
            end
            past = behind
            el = { words = words_of(inside, where), maybe = mark == "[" or nil }
        elseif mark == "{" then
            local name
            name, past = pattern:match("^{([%l_]+)}()", at)
            if not name or not types[name] then
                error(where .. ": there is no such type of value: " .. pattern:sub(at, at + 20), 0)
            end
            el = { type = types[name], name = name }
        else
            local word
            word, past = pattern:match("^([^%s%[%(%{%^]+)()", at)
            el = { words = { { word } } }
        end
        out[#out + 1], at = el, past
    end
end

-- Words that are in so many sentences that it tells nothing that they are there.
local COMMON = set [[i my is am the a an to in of have has do not 's it and are be was for on at me
    we our]]

-- The words of which one has to be there for the pattern to match.
local function needed(els)
    local best
    for _, el in ipairs(els) do
        if el.words and not el.maybe then
            local words, common = {}, false
            for _, seq in ipairs(el.words) do
                local pick = seq[1]
                for _, word in ipairs(seq) do
                    pick = COMMON[pick] and word or pick
                end
                words[#words + 1], common = pick, common or COMMON[pick]
            end
            if not common then
                return words
            end
            best = best or words
        end
    end
    return best
end

-- Adds a rule's patterns to the index. groups: words that stand for others, as in <partner>.
function M.add(index, rule, types, groups, where)
    for _, pattern in ipairs(rule) do
        local els = elements((pattern:gsub("<([%l_]+)>", groups)), types, where)
        local words = needed(els)
        if not words then
            error(where .. ": '" .. pattern .. "' has no words of its own", 0)
        end
        local way = { els = els, rule = rule, n = #els, order = index.count }
        for _, seq in ipairs(els[1].words or {}) do
            way.by_i = way.by_i or #seq == 1 and seq[1] == "i"
        end
        for _, el in ipairs(els) do
            way.value = el.name and el.name ~= "person" and el.name or way.value
        end
        index.count = index.count + 1
        for _, word in ipairs(words) do
            local list = index.ways[word] or {}
            if list[#list] ~= way then
                list[#list + 1] = way
            end
            index.ways[word] = list
        end
    end
end

function M.index()
    return { ways = {}, count = 0 }
end

-- ---- matching

-- Behind these a comma parts nothing: "No, it's Anne", "Hi, this is Tom".
local CALLS = set "no sorry actually wait correction hi hello hey there everyone all"

-- Past adverbs and words of denial, from word k on; what was denied: "not", "ended" or nil.
local function skip(t, k, last, denied)
    local w, gap = t.w, t.gap
    while k <= last do
        local word = w[k]
        if ADVERBS[word] then
            k = k + 1
        elseif word == "not" or word == "never" then
            k, denied = k + 1, denied or "not"
        elseif word == "no" and w[k + 1] == "longer" then
            k, denied = k + 2, "ended"
        elseif (word == "do" or word == "does") and (w[k + 1] == "not" or w[k + 1] == "really") and
            not gap[k + 1] then
            k = k + 1
        else
            break
        end
    end
    return k, denied
end

local function literal(t, seq, k, last)
    for i, word in ipairs(seq) do
        local at = k + i - 1
        if at > last or t.w[at] ~= word or t.quoted[at] or (i > 1 and t.gap[at]) then
            return nil
        end
    end
    return k + #seq
end

local step

-- The element's words, then the rest.
local function step_words(t, way, i, k, m)
    local el, denied = way.els[i], m.denied
    for round = 1, 2 do
        local at = k
        if round == 2 then  -- with what may stand in between
            if i == 1 then
                break
            end
            at, m.denied = skip(t, k, m.last, denied)
            if at == k then
                break
            end
        end
        if i == 1 or not t.gap[k] or t.gap[k] == "," and CALLS[t.w[k - 1]] then
            for _, seq in ipairs(el.words) do
                local past = literal(t, seq, at, m.last)
                local over = past and step(t, way, i + 1, past, m)
                if over then
                    return over
                end
            end
        end
        m.denied = denied
    end
    return el.maybe and step(t, way, i + 1, k, m) or nil
end

local function step_value(t, way, i, k, m)
    local el, denied = way.els[i], m.denied
    local type_ = el.type
    if k > m.last or i > 1 and t.gap[k] and not type_.after_gap then
        return nil
    end
    if type_.take then  -- it says itself how far it goes
        local past, what = type_.take(t, k, m.last)
        if not past then
            local at
            at, m.denied = skip(t, k, m.last, denied)
            if at > k then
                past, what = type_.take(t, at, m.last)
            end
        end
        m[el.name] = what
        local over = past and step(t, way, i + 1, past, m)
        if not over then
            m.denied = denied
        end
        return over
    end
    if i == way.n then
        if not type_.no_skip then
            local at
            at, m.denied = skip(t, k, m.last, denied)
            k = at <= m.last and at or k
        end
        m[el.name] = { k }
        return k
    end
    for past = k + 1, m.last do
        if past > k + 6 or past > k + 1 and t.gap[past - 1] then
            return nil
        end
        m[el.name] = { k, past - 1 }
        local over = step(t, way, i + 1, past, m)
        if over then
            return over
        end
    end
    return nil
end

function step(t, way, i, k, m)
    if i > way.n then
        return k
    end
    local el = way.els[i]
    if el.from then
        m.from = k
        return step(t, way, i + 1, k, m)
    elseif el.words then
        return step_words(t, way, i, k, m)
    end
    return step_value(t, way, i, k, m)
end

local PRONOUNS = set [[i we he she they it you my our your his her their this that these there am
    is are was were then please do can will would could should let what how]]
local SUBJECTS = set [[you he she they we it who that this which how what why where when there his
    her]]
-- Behind these a clause may begin.
local OPENERS = set [[and but so because since as also although though while whereas plus yes no
    yeah yep ok okay well hi hello hey actually btw fyi now currently today sorry please thanks
    then oh anyway way nope sure right first second finally too guess honestly personally lately
    recently nowadays]]
-- Words that say since when or at what time, before who does it: "Since last May I live in Rome".
local TIMES = set [[since last in the at by day week month year spring summer autumn fall winter
    moment yesterday today this morning these days january february march april may june july
    august september october november december monday tuesday wednesday thursday friday saturday
    sunday early late a few two three ago weeks months years]]
local REPORTS = set "remember note mention forget aware add mentioned fact know told"
local DOUBTS = set [[if unless suppose supposing imagine pretend whether said says saying wish
    asked writes wrote quote quotes joking kidding unlike lets assume assuming hypothetically]]
local QUESTIONS = set [[do does did is are am can could would should will what who where when why
    how which have has may might shall whose]]
local TAGS = set "right no yeah yes correct ok okay huh eh true remember"

-- The word behind those that begin a sentence with a time, if somebody is named there.
local function behind_time(t, first, last)
    local k = first
    while k < last and k - first < 6 and (TIMES[t.w[k]] or t.w[k]:find "^%d%d%d%d$") do
        k = k + 1
    end
    return k > first and (t.w[k] == "i" or t.w[k] == "we" or t.w[k] == "my") and k or nil
end
M.behind_time = behind_time

local NONE = {}

-- Where patterns may begin in a sentence: a list of word numbers.
local function starts(t, sentence)
    local out, own = {}, t.words or NONE
    local openers, doubts = own.openers or NONE, own.doubts or NONE
    local first, last = sentence.first, sentence.last
    local timed = behind_time(t, first, last)
    for k = first, last do
        local word = t.w[k]
        local even_if = word == "if" and k > first and t.w[k - 1] == "even"
        if doubts[word] or DOUBTS[word] and not even_if then
            return out
        end
        local before = t.w[k - 1]
        if not t.quoted[k] and
            (k == first or k == timed or t.gap[k] or
             (OPENERS[before] or openers[before]) and t.s[k] ~= t.s[k - 1] or
             before == "that" and REPORTS[t.w[k - 2] or ""] or
             REPORTS[before] and before ~= "told" or
             before == "that" and t.w[k - 2] == "you" and t.w[k - 3] == "told" or
             before == "you" and (t.w[k - 2] == "tell" or t.w[k - 2] == "told")) then
            out[#out + 1] = k
        end
    end
    return out
end

-- A question says nothing, but for what it says before it asks: "I live in Rome, is it hot there?"
local function tells(t, sentence, past)
    if sentence.mark ~= "?" then
        return true
    end
    if QUESTIONS[t.w[sentence.first]] then
        return false
    end
    for k = past, sentence.last do
        if t.gap[k] then
            return not (TAGS[t.w[k]] and sentence.last - k < 2) and
                (QUESTIONS[t.w[k]] or OPENERS[t.w[k]] or false)
        end
    end
    return false
end
M.tells = tells

local function by_order(a, b)
    return a.order < b.order
end

-- The ways to try in a sentence, in the order of the rules.
local function candidates(index, t, sentence)
    local seen, out = {}, {}
    for k = sentence.first, sentence.last do
        local list = index.ways[t.w[k]]
        if list then
            for _, way in ipairs(list) do
                if not seen[way] then
                    seen[way], out[#out + 1] = true, way
                end
            end
        end
    end
    table.sort(out, by_order)
    return out
end

-- Whether "i" of word `from` is who does what begins at k: "I live in Rome and work as a nurse".
local function is_carried(t, from, k)
    if t.w[k - 1] ~= "and" and t.w[k - 1] ~= "but" or PRONOUNS[t.w[k]] then
        return false
    end
    for other = from + 1, k - 2 do
        if SUBJECTS[t.w[other]] then
            return false
        end
    end
    return true
end

-- Calls found(t, sentence, way, m) for what matches: way.rule, way.value (the name of the type that
-- is the value); m has the values, each { first, last } in
-- words (last: nil, for who asks to find), m.start, m.past and m.denied. What found returns true
-- for takes its clause: no other rule begins at the same word.
function M.find(index, t, found)
    for _, sentence in ipairs(t.sentences) do
        if sentence.last - sentence.first < SENTENCE_MAX then
            local ways = candidates(index, t, sentence)
            local at = ways[1] and starts(t, sentence) or {}
            local first_i  -- "I live in Rome and work as a nurse": who works is said before
            for _, k in ipairs(at) do
                local carried = first_i and is_carried(t, first_i, k)
                first_i = first_i or t.w[k] == "i" and k
                for _, way in ipairs(ways) do
                    local m = { start = k, last = sentence.last }
                    local past = step(t, way, 1, k, m)
                    if not past and carried and way.by_i then
                        m = { start = first_i, last = sentence.last }
                        past = step(t, way, 2, k, m)
                    end
                    if past then
                        m.past = past
                        if found(t, sentence, way, m) and not way.rule.also then
                            break
                        end
                    end
                end
            end
        end
    end
end

function M.text(t, k, last)
    return t.text:sub(t.s[k], t.e[last])
end

-- Whether word k is written like a name; in a text without capitals any word is.
function M.is_name(t, k)
    local c = t.text:sub(t.s[k], t.s[k])
    return c:find "[%u\195-\244]" ~= nil
end

M.pronouns = PRONOUNS
return M
