-- SPDX-License-Identifier: MIT
-- parley.memory_state: what a session's state becomes with a turn, by simple rules: topic, intent,
-- entities, open questions, tone, engagement. It is merged before what on_reply says, whose keys
-- win.
--
-- Rules about English words; of other languages they know marks and names alone. Where they know
-- nothing, what was known stays.

local match = require "parley.memory_match"

local set = match.set
local M = {}
local ipairs, table, type = ipairs, table, type
local _ENV = nil

local TEXT_MAX, REPLY_MAX = 8192, 8192
local ENTITIES_MAX, OPEN_MAX, OPEN_BYTES, TOPIC_WORDS = 16, 5, 160, 5

local COMMON = set [[a about above after again all also am an and any are as at be because been
    before being but by can could did do does doing done down each even ever every few for from
    further get gets getting give go goes going good got had has have having he hello help her
    here hers hey hi him his how i if in into is it its just know later let like little long look
    lot made make makes many may maybe me mean might more most much must my need never new next
    no not nothing now of off often ok okay on once one only or other our ours out over own
    please put really right said same say see she should show since so some something soon still
    such sure take tell than thank thanks that the their them then there these they thing things
    think this those though through time to today together tomorrow too try trying under until up
    us use very want wants was way we well were what when where which while who why will with
    without work works would yes yesterday yet you your yours could anything everything someone
    anyone everyone day days week weeks really actually am pm etc great nice bit lol yeah oh ah
    hmm sorry back around first last two three always already maybe kind sort feel feeling guess
    question questions problem problems thing keep start tried seems seem quite 's us had been
    having happened happen find found come came ask asked does it's]]

-- ---- topic

local TOPICS = {
    "about ([%w][^.,;:!?\n]*)", "help me with ([%w][^.,;:!?\n]*)", "help with ([%w][^.,;:!?\n]*)",
    "question on ([%w][^.,;:!?\n]*)", "problem with ([%w][^.,;:!?\n]*)",
    "trouble with ([%w][^.,;:!?\n]*)", "planning ([%w][^.,;:!?\n]*)",
    "how do i ([%w][^.,;:!?\n]*)", "how can i ([%w][^.,;:!?\n]*)", "how to ([%w][^.,;:!?\n]*)",
    "working on ([%w][^.,;:!?\n]*)", "interested in ([%w][^.,;:!?\n]*)",
}
local LEAD = set "the a an my our your this that it you me him her them these those to"

-- The first words of a phrase that say what it is about.
local function short(words)
    local out, said = {}, 0
    for word in words:gmatch "%S+" do
        local lower = word:lower()
        if not (#out == 0 and LEAD[lower]) then
            if #out == TOPIC_WORDS or #out > 0 and (lower == "and" or lower == "but" or
                lower == "because" or lower == "so" or lower == "if" or lower == "when") then
                break
            end
            out[#out + 1] = word
            said = said + (COMMON[lower] and 0 or 1)
        end
    end
    while #out > 0 and COMMON[out[#out]:lower()] do
        out[#out] = nil
    end
    return said > 0 and #out > 0 and table.concat(out, " ") or nil
end

local function topic_of(text, lower, t)
    for _, pattern in ipairs(TOPICS) do
        local _, to, words = lower:find(pattern)
        if to then
            local topic = short(text:sub(to - #words + 1, to))
            if topic then
                return topic
            end
        end
    end
    -- Else the word that is there most often, if any is there twice.
    local count, best = {}, nil
    for k = 1, t.n do
        local word = t.w[k]
        if #word > 3 and not COMMON[word] then
            count[word] = (count[word] or 0) + 1
            if count[word] > 1 and (not best or count[word] > count[best]) then
                best = word
            end
        end
    end
    return best
end

-- ---- intent

local INTENTS = {
    { "farewell", "^bye", "^goodbye", "^good night", "^see you", "^that's all", "^that is all" },
    { "thanks", "^thanks", "^thank you", "^thx", "^cheers", "^great, thanks", "^perfect, thank" },
    { "greeting", "^hi%f[%W]", "^hello%f[%W]", "^hey%f[%W]", "^good morning", "^good evening" },
    { "correction", "^no, ", "^actually", "^that's wrong", "^that is wrong", "^not quite",
      "^i meant", "^correction" },
    { "complaint", "does not work", "doesn't work", "not working", "broken", "is unacceptable",
      "still waiting", "complain", "refund", "is wrong with", "disappointed" },
    { "request", "^please", "^can you", "^could you", "^would you", "^will you", "^help",
      "^i need", "^i'd like", "^i would like", "^tell me", "^show me", "^give me", "^write",
      "^make", "^explain", "^find", "^remind me", "^let's", "^translate", "^summari[sz]e",
      " please[%.!]?$" },
}

local function intent_of(lower, t)
    local long = t.n > 6
    for _, intent in ipairs(INTENTS) do
        local social = intent[1] == "thanks" or intent[1] == "greeting" or intent[1] == "farewell"
        for i = 2, #intent do
            if not (social and long) and lower:find(intent[i]) then
                return intent[1]
            end
        end
    end
    for _, sentence in ipairs(t.sentences) do
        if sentence.mark == "?" then
            return "question"
        end
    end
    return t.n > 0 and "statement" or nil
end

-- ---- entities

-- Names in the middle of sentences, and masks; newest first, those known before behind them.
local function entities_of(t, known)
    local out, seen = {}, {}
    local function add(name)
        local key = type(name) == "string" and name:lower()
        if key and not seen[key] and #out < ENTITIES_MAX and #name <= 60 then
            seen[key], out[#out + 1] = true, name
        end
    end
    local starts = {}
    for _, sentence in ipairs(t.sentences) do
        starts[sentence.first] = true
    end
    local k = 1
    while k <= t.n do
        local word = t.w[k]
        local upper = match.is_name(t, k) and word ~= "i" and not (COMMON[word] and starts[k])
        if t.text:sub(t.s[k], t.s[k]) == "[" then
            add(match.text(t, k, k))
        elseif upper and not (starts[k] and not (k < t.n and match.is_name(t, k + 1) and
                              not t.gap[k + 1] and not starts[k + 1])) then
            local last = k
            while last < t.n and match.is_name(t, last + 1) and not t.gap[last + 1] and
                not starts[last + 1] and t.w[last + 1] ~= "i" do
                last = last + 1
            end
            add(match.text(t, k, last))
            k = last
        end
        k = k + 1
    end
    for _, name in ipairs(known) do
        add(name)
    end
    return out
end

-- ---- open questions

local HEDGES = { "i don't know", "i do not know", "i'm not sure", "i am not sure", "let me check",
                 "i'll check", "i will check", "i'll look into", "i will look into",
                 "get back to you",
                 "can't answer", "cannot answer", "not able to", "i have no information",
                 "don't have access", "do not have access", "unable to" }
local SETTLED = { "^thanks", "^thank you", "that works", "that worked", "solved", "never mind",
                  "nevermind", "forget it", "all good", "got it", "it is settled" }

local function has_any(lower, list)
    for _, words in ipairs(list) do
        if lower:find(words) then
            return true
        end
    end
    return false
end

local function content_words(text)
    local out, n = {}, 0
    for word in text:lower():gmatch "[%w\128-\255']+" do
        if #word > 2 and not COMMON[word] and not out[word] then
            out[word], n = true, n + 1
        end
    end
    return out, n
end

-- Whether what is said now takes the question up: most of its words are there.
local function takes_up(question, words)
    local asked, n = content_words(question)
    local there = 0
    for word in question:lower():gmatch "[%w\128-\255']+" do
        if asked[word] and words[word] then
            there, asked[word] = there + 1, nil
        end
    end
    return n > 0 and there * 2 >= n
end

local function question_text(t, sentence)
    local text = t.text:sub(t.s[sentence.first], t.e[sentence.last])
    return #text <= OPEN_BYTES and sentence.last - sentence.first >= 2 and text .. "?" or nil
end

local function open_of(t, lower, reply, known)
    local answer = reply:lower()
    local hedged = answer == "" or has_any(answer, HEDGES)
    local out = {}
    if not has_any(lower, SETTLED) then
        local words = content_words(t.text .. " " .. reply)
        for _, question in ipairs(known) do
            if type(question) == "string" and (hedged or not takes_up(question, words)) then
                out[#out + 1] = question
            end
        end
    end
    for _, sentence in ipairs(hedged and t.sentences or {}) do
        local question = sentence.mark == "?" and question_text(t, sentence)
        local there = false
        for _, other in ipairs(out) do
            there = there or other == question
        end
        if question and not there then
            out[#out + 1] = question
        end
    end
    while #out > OPEN_MAX do
        table.remove(out, 1)
    end
    return out
end

-- ---- tone and engagement

local WARM = set [[thanks thank great love lovely awesome perfect happy glad excited wonderful
    amazing nice excellent brilliant fantastic appreciate yay cool good fun enjoyed delighted]]
local SAD = set [[sad lonely worried anxious afraid scared tired exhausted stressed upset
    depressed overwhelmed crying hurt lost miss grief nervous]]
local ANGRY = set [[angry annoyed annoying ridiculous unacceptable terrible awful useless furious
    hate worst stupid horrible frustrated frustrating disappointed disappointing rude scam]]

local function tone_of(t)
    local warm, sad, angry, loud = 0, 0, 0, 0
    for k = 1, t.n do
        local word = t.w[k]
        local sign = (t.w[k - 1] == "not" or t.w[k - 2] == "not" or t.w[k - 1] == "no") and 0 or 1
        warm = warm + (WARM[word] and sign or 0)
        sad = sad + (SAD[word] and sign or 0)
        angry = angry + (ANGRY[word] and sign or 0)
        if #word > 3 and t.text:sub(t.s[k], t.e[k]):find "^%u+$" then
            loud = loud + 1
        end
    end
    if angry > 0 and angry >= warm or loud > 3 then
        return "annoyed"
    elseif sad > warm then
        return "low"
    end
    return warm > 0 and "warm" or "neutral"
end

local function engagement_of(t)
    local asks = 0
    for _, sentence in ipairs(t.sentences) do
        asks = asks + (sentence.mark == "?" and 1 or 0)
    end
    if t.n >= 25 or t.n >= 10 and asks > 0 then
        return "high"
    end
    return (t.n >= 6 or asks > 0) and "medium" or "low"
end

-- ---- the hook

local function list_of(value)
    local out = {}
    if type(value) == "table" then
        for i = 1, ENTITIES_MAX do
            out[#out + 1] = value[i]
        end
    end
    return out
end

-- false takes what was there away.
local function some(list)
    return #list > 0 and list
end

function M.of_turn(view, reply)
    local text, known = view.text:sub(1, TEXT_MAX), view.session.state
    local t, lower = match.read(text), text:lower()
    return {
        topic = topic_of(text, lower, t),
        intent = intent_of(lower, t),
        entities = some(entities_of(t, list_of(known.entities))),
        open_questions = some(open_of(t, lower, reply:sub(1, REPLY_MAX),
                                      list_of(known.open_questions))),
        tone = tone_of(t),
        engagement = engagement_of(t),
    }
end

return M
