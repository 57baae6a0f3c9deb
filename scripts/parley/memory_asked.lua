-- SPDX-License-Identifier: MIT
-- parley.memory_asked: what the assistant said last, and what the user's next words are about
-- because of it:
--
--   "Where do you live?"        Leeds.           an answer: lives_in
--   "So you live in Lyon."      No, in Lille.    a correction: lives_in
--   "Nice to meet you, Ann!"    No, it's Anne.   a correction: name
--
-- Of what the assistant said nothing is learnt: the value is in the user's own words, and there the
-- engine looks for it.

local match = require "parley.memory_match"
local values = require "parley.memory_values"

local M = {}
local ipairs = ipairs
local _ENV = nil

local set = match.set
local REPLY_MAX = 4096     -- bytes of a reply whose end is looked at
local ANSWER_WORDS = 10    -- of a sentence that answers: more is told, not answered

-- ---- questions

-- A question, and the type of value that answers it.
local QUESTIONS = {
    { predicate = "name", type = "name", "(what is|may i have|may i ask|can i have) your name",
      "what your name is", "who (am i|do i have the pleasure of) (speaking|talking|chatting)" },
    { predicate = "called", type = "name", "what (should|shall|can|may|do) i call you",
      "how (should|shall|may) i (call|address) you",
      "what would you like (to be called|me to call)" },
    { predicate = "age", type = "age", "how old are you", "what is your age" },
    { predicate = "lives_in", type = "place", "where do you live", "where are you (living|based)",
      "(what|which) (city|town|country) (do you live|are you) in", "where is home" },
    { predicate = "from", type = "city", "where are you [originally] from",
      "where do you come from",
      "where did you grow up", "where were you born" },
    { predicate = "works_as", type = "job", "what do you do", "what is your (job|profession)",
      "what is your occupation", "what do you work as" },
    { predicate = "works_at", type = "org", "where do you work", "who do you work for",
      "which company do you work for", "who is your employer" },
    { predicate = "studies", type = "field", "what do you study", "what are you studying",
      "what is your major" },
    { predicate = "birthday", type = "date", "when is your birthday", "when were you born" },
    { predicate = "allergic_to", type = "allergen", "do you have [any] (allergies|food allergies)",
      "what are you allergic to", "are you allergic to (anything|something)" },
    { predicate = "speaks", type = "language", "(what|which) languages do you speak" },
    { predicate = "likes", type = "hobby", "what are your (hobbies|interests)",
      "what do you (like|enjoy) (to do|doing)" },
    { predicate = "favourite_colour", type = "favourite",
      "what is your (favourite|favorite) (colour|color)" },
    { predicate = "favourite_food", type = "favourite",
      "what is your (favourite|favorite) (food|dish|meal)" },
    { predicate = "favourite_book", type = "favourite", "what is your (favourite|favorite) book" },
    { predicate = "favourite_film", type = "favourite",
      "what is your (favourite|favorite) (film|movie)" },
    { predicate = "favourite_music", type = "favourite",
      "what is your (favourite|favorite) (band|song|singer|artist)" },
    { predicate = "has_pet", type = "pet", "do you have [any] (a pet|pets)",
      "what pets do you have" },
}

-- For a learner: what finds the questions.
function M.index()
    local index = match.index()
    for i, question in ipairs(QUESTIONS) do
        match.add(index, question, values.types, {}, "memory_asked[" .. i .. "]")
    end
    return index
end

-- The one question of a reply that ends with it; nil: there is none, or several.
local function question_of(index, t)
    local found, asked
    for _, sentence in ipairs(t.sentences) do
        asked = sentence.mark == "?" and (asked or 0) + 1 or asked
    end
    local last = t.sentences[#t.sentences]
    if asked ~= 1 or last.mark ~= "?" then
        return nil
    end
    match.find(index, t, function(_, sentence, way)
        found = sentence == last and way.rule or found
        return true
    end)
    return found
end

-- ---- answers

local LEADS = set [[well oh um sure yes yeah ok okay hi hello in from at just currently mostly
    actually mainly as]]
local NO_ANSWER = set [[no none nothing nowhere why what who how not never ok okay yes yeah sure hm
    hmm guess secret same idk dunno prefer rather private somewhere everywhere here there thanks
    thank please sorry maybe depends skip next later lol haha good fine great nope nah do
    does can could tell let you your it that this and but]]

-- The words of the first sentence that may be an answer; nil: it tells, asks or evades.
local function answer_span(t)
    local s = t.sentences[1]
    if not s or s.mark == "?" or s.last - s.first >= ANSWER_WORDS or t.quoted[s.first] then
        return nil
    end
    local k = s.first
    if t.w[k] == "i" and t.w[k + 1] == "am" then
        k = k + 2  -- "I'm 37" to "How old are you?"
    end
    while k < s.last do
        local is = (t.w[k] == "it" or t.w[k] == "that") and t.w[k + 1] == "is" and k + 1 < s.last
        if not is and not LEADS[t.w[k]] then
            break
        end
        k = k + (is and 2 or 1)
    end
    if NO_ANSWER[t.w[k]] or match.pronouns[t.w[k]] then
        return nil
    end
    return k, s
end

-- Nothing more is said behind it than what may be.
local BEHIND = set "is and but now please with for near since at though too actually by"

-- What answers the reply's question: its predicate, and spans of the user's words.
function M.answer(index, reply, t)
    local k, sentence = answer_span(t)
    local rule = k and question_of(index, match.read(reply:sub(-REPLY_MAX)))
    if not rule then
        return nil
    end
    local type_, span = values.types[rule.type], { k }
    if type_.take then
        local past, what = type_.take(t, k, sentence.last)
        if not past then
            return nil
        end
        span = what
    end
    local spans = values.values(t, type_, span, sentence.last)
    local past = spans[1] and spans[#spans][2] + 1
    if not past or past <= sentence.last and not t.gap[past] and not BEHIND[t.w[past]] then
        return nil
    end
    return rule.predicate, spans, sentence
end

-- ---- what the assistant said of the user

local TURNED = { you = "i", your = "my", yours = "mine", are = "am", were = "was" }
local GREETINGS = set "hello hi hey welcome thanks dear meet morning evening afternoon back you"

-- "Nice to meet you, Ann!": the name that it calls the user by, and whether it says nothing else.
local function greeted(t)
    local states = 0
    for _, s in ipairs(t.sentences) do
        states = states + (s.mark == "?" and 0 or 1)
    end
    for _, s in ipairs(t.sentences) do
        for k = s.first + 1, s.last do
            local before = t.w[k - 1]
            if GREETINGS[before] and (before ~= "you" or t.w[k - 2] == "meet" or
                                      t.w[k - 2] == "thank") then
                local past, span = values.types.name.take(t, k, s.last)
                if past and match.is_name(t, k) and (past > s.last or t.gap[past]) then
                    return match.text(t, span[1], span[2]), states == 1
                end
            end
        end
    end
end

-- What the reply says of the user, by the rules of what users say themselves: `learn` takes words
-- that were read and gives candidates.
function M.stated(reply, learn)
    local t = match.read(reply:sub(-REPLY_MAX))
    local name, alone = greeted(t)
    for k = 1, t.n do
        t.w[k] = TURNED[t.w[k]] or t.w[k]
    end
    local found = learn(t)
    if name then
        found[#found + 1] = { predicate = "name", value = name, greets = true,
                                unsure = not alone }
    end
    return found
end

return M
