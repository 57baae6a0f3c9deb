-- SPDX-License-Identifier: MIT
-- parley.memory_words: a text as words and sentences, for parley.memory_match.
--
-- Contractions are taken apart ("I'm" is "i am", "34-year-old" three words); code and quoted lines
-- are no words. Who says who they are goes on without saying so: in "I'm Ann, 34, from Leeds" what
-- is behind a comma is read as "I am 34", "I am from Leeds".

local M = {}
local ipairs = ipairs
local _ENV = nil

local WORDS_MAX = 2000     -- of one text that are looked at

local function set(words)
    local out = {}
    for word in words:gmatch "%S+" do
        out[word] = true
    end
    return out
end

local CONTRACTIONS = {
    ["i'm"] = { "i", "am" }, ["im"] = { "i", "am" }, ["i've"] = { "i", "have" },
    ["ive"] = { "i", "have" }, ["i'll"] = { "i", "will" }, ["i'd"] = { "i", "would" },
    ["we're"] = { "we", "are" }, ["we've"] = { "we", "have" }, ["we'll"] = { "we", "will" },
    ["we'd"] = { "we", "would" }, ["you're"] = { "you", "are" }, ["they're"] = { "they", "are" },
    ["he's"] = { "he", "is" }, ["she's"] = { "she", "is" }, ["it's"] = { "it", "is" },
    ["that's"] = { "that", "is" }, ["there's"] = { "there", "is" }, ["here's"] = { "here", "is" },
    ["what's"] = { "what", "is" }, ["let's"] = { "let", "us" },
    ["don't"] = { "do", "not" }, ["dont"] = { "do", "not" }, ["doesn't"] = { "does", "not" },
    ["didn't"] = { "did", "not" }, ["can't"] = { "can", "not" }, ["cannot"] = { "can", "not" },
    ["cant"] = { "can", "not" }, ["won't"] = { "will", "not" }, ["isn't"] = { "is", "not" },
    ["aren't"] = { "are", "not" }, ["ain't"] = { "am", "not" }, ["wasn't"] = { "was", "not" },
    ["weren't"] = { "were", "not" }, ["haven't"] = { "have", "not" }, ["hasn't"] = { "has", "not" },
    ["hadn't"] = { "had", "not" }, ["wouldn't"] = { "would", "not" },
    ["couldn't"] = { "could", "not" }, ["shouldn't"] = { "should", "not" },
}
local ABBREVIATIONS = set "mr mrs ms dr prof st sr jr vs etc e.g i.e approx no inc ltd co"

-- ---- what is said without saying who

local GREETS = set "hi hello hey there everyone all well yes good morning evening afternoon"
-- What may follow a name behind a comma, and is of who has that name.
local APPOSED = set [[from based living born married single divorced widowed engaged originally
    vegan vegetarian a an retired]]
local NO_NAME = set [[i not so just the a an from in at sorry sure fine glad happy sad ok okay here
    back home]]

-- Whether a sentence begins with who it is: the number of the first word behind the name.
local function past_name(t, from)
    local k = from
    while k < t.n and GREETS[t.w[k]] do
        k = k + 1
    end
    if t.w[k] == "i" and t.w[k + 1] == "am" then
        k = k + 2
    elseif t.w[k] == "my" and t.w[k + 1] == "name" and
        (t.w[k + 2] == "is" or t.w[k + 2] == "'s") then
        k = k + 3
    else
        return nil
    end
    local first = k
    while k <= t.n and k - first < 3 and not (k > first and t.gap[k]) and not NO_NAME[t.w[k]] and
        t.text:find("^[%u\195-\244]", t.s[k]) do
        k = k + 1
    end
    return k > first and k <= t.n and t.gap[k] == "," and k or nil
end

local function is_apposed(t, k)
    local word, after = t.w[k], t.w[k + 1]
    return APPOSED[word] or word:find "^%d%d$" and
        (k == t.n or t.gap[k + 1] or after == "and" or after == "years" or after == "from")
end

-- "I'm Ann, 34, from Leeds" becomes "I'm Ann, I am 34, I am from Leeds": the words that are put in
-- have no length and stand where the next one does.
local function say_appositions(t, from)
    local k = past_name(t, from)
    while k and k <= t.n and is_apposed(t, k) do
        for _, list in ipairs { t.w, t.s, t.e, t.quoted } do
            for i = t.n, k, -1 do
                list[i + 2] = list[i]
            end
        end
        for i = t.n, k, -1 do  -- a list with holes
            t.gap[i + 2] = t.gap[i]
        end
        t.w[k], t.w[k + 1], t.n = "i", "am", t.n + 2
        t.s[k + 1], t.e[k], t.e[k + 1] = t.s[k], t.s[k] - 1, t.s[k] - 1
        t.gap[k], t.gap[k + 1], t.gap[k + 2] = ",", nil, nil
        t.quoted[k + 1] = t.quoted[k]
        k = k + 3
        while k <= t.n and not t.gap[k] and t.w[k] ~= "and" do
            k = k + 1
        end
        k = t.w[k] == "and" and not t.gap[k] and k + 1 or k
    end
end

-- ---- from text to words

-- The words of a text: lists of what they are in lower case (w), where they begin and end (s, e),
-- what stands before one (gap: "," or another mark; nil: a blank), which are quoted; and sentences,
-- as their first and last word with the mark at their end. Code and quoted lines are no words.
local function put(t, word, s, e, gap, quoted)
    local n = t.n + 1
    t.n, t.w[n], t.s[n], t.e[n], t.gap[n], t.quoted[n] = n, word, s, e, gap, quoted
end

local function end_sentence(t, mark)
    if t.n >= t.first then
        say_appositions(t, t.first)
        t.sentences[#t.sentences + 1] = { first = t.first, last = t.n, mark = mark }
        t.first = t.n + 1
    end
end

-- A word as it is written, from byte s on.
local function put_word(t, raw, s, gap, quoted)
    local word = raw:find("\226", 1, true) and raw:gsub("\226\128[\152\153]", "'") or raw
    word = word:lower()
    local e = s + #raw - 1
    local parts = CONTRACTIONS[word]
    local years = word:match "^(%d%d?%d?)%-years?%-old$"
    if years then  -- "34-year-old" is three words
        put(t, years, s, s + #years - 1, gap, quoted)
        put(t, "year", s + #years + 1, e - 4, nil, quoted)
        put(t, "old", e - 2, e, nil, quoted)
    elseif parts then
        put(t, parts[1], s, e, gap, quoted)
        put(t, parts[2], s, e, nil, quoted)
    elseif word:find "'s$" and #word > 2 then
        local owner = #raw - (raw:find "'s$" and 2 or 4)
        put(t, word:sub(1, -3), s, s + owner - 1, gap, quoted)
        put(t, "'s", s + owner, e, nil, quoted)
    else
        put(t, word, s, e, gap, quoted)
    end
end

-- The mark that ends a sentence behind a word, if there is one.
local function mark_of(core, tail)
    if tail:find("?", 1, true) then
        return "?"
    end
    local mark = tail:match "[%.!;]"
    if mark == "." and tail ~= "..." and
        (ABBREVIATIONS[core:lower()] or core:find "^[A-HJ-Z]$") then
        return nil
    end
    return mark
end

local DASHES = { ["\226\128\148"] = true, ["\226\128\147"] = true }

-- One run of characters between blanks, from byte s on.
local function put_chunk(t, chunk, s)
    local gap = t.before
    if DASHES[chunk] then
        t.before = "-"
        return
    end
    if chunk:find "^\226\128\156" then
        t.open, chunk, s = true, chunk:sub(4), s + 3
    end
    local shut = chunk:find("\226\128\157", 1, true)
    local after = shut and chunk:sub(shut + 3) or ""
    if shut then
        chunk = chunk:sub(1, shut - 1)
    end
    local lead, core, tail = chunk:match "^([%(%[\"'*_~%-]*)(.-)([%.,!%?;:%)\"'*_~%-]*)$"
    if lead == "[" and chunk:find "^%[%u[%w_]*%]" then
        lead = ""  -- a mask such as [EMAIL_1] is a word
        core, tail = chunk:match "^(%[[%w_]*%])(.*)$"
    end
    tail = tail .. after
    t.open = t.open or lead:find('"', 1, true) ~= nil
    gap = lead:find "[%(%-]" and "-" or gap
    if core ~= "" then
        put_word(t, core, s + #lead, gap, t.open or nil)
        gap = nil
    end
    t.open = t.open and not (shut or tail:find('"', 1, true))
    local mark = mark_of(core, tail)
    if mark then
        end_sentence(t, mark)
        gap = nil
    elseif tail:find "[,:%)%-]" then
        gap = tail:match "[,:]" or "-"
    end
    t.before = gap
end

local function read(text)
    local t = { text = text, n = 0, w = {}, s = {}, e = {}, gap = {}, quoted = {}, sentences = {},
                first = 1 }
    local code = false
    for at, line in text:gmatch "()([^\n]+)" do
        if line:find "^%s*```" then
            code = not code
        elseif not code and not line:find "^%s*[>|#]" then
            t.before, t.open = nil, false
            for pos, chunk in line:gmatch "()(%S+)" do
                if t.n < WORDS_MAX then
                    put_chunk(t, chunk, at + pos - 1)
                end
            end
            end_sentence(t, ".")
        end
    end
    return t
end
M.read, M.set = read, set

return M
