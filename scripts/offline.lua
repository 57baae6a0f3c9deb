-- SPDX-License-Identifier: MIT
-- offline.lua: answers for the scripted provider when there is no other script.
--
-- It is no language model and says so. It knows only the messages that it was sent with this
-- request, so it shows what the engine remembers: what it can tell you, the history contained. Same
-- request, same answer. Messages are read from the newest back, and only as far as an answer needs.

-- ---- small tools

-- Position and end of the first of the plain phrases in text.
local function find_any(text, phrases)
    for i = 1, #phrases do
        local from, to = text:find(phrases[i], 1, true)
        if from then
            return from, to
        end
    end
end

-- A phrase up to the end of its sentence, without what surrounds it.
local function phrase(text)
    return text and text:match("^%s*(.-)%s*[.!?;\n]") or text and text:match("^%s*(.-)%s*$")
end

local function short(text, limit)
    text = text:gsub("%s+", " ")
    if #text <= limit then
        return text
    end
    -- Not inside a character, and rather at a space.
    local cut = utf8.offset(text, 0, limit) or limit
    text = text:sub(1, cut - 1)
    return (text:match("^(.*)%s%S*$") or text) .. " …"
end

local PERSONS <const> = {
    I = "you", me = "you", my = "your", My = "Your", mine = "yours", myself = "yourself",
    am = "are", ["I'm"] = "you are", ["I've"] = "you have", ["I'll"] = "you will",
    ["I'd"] = "you would",
}

-- What the user said, as said to the user.
local function to_you(text)
    return (text:gsub("[%a']+", PERSONS))
end

-- ---- what the user told

local NAME_MARKS <const> = { "ame is ", "ame's ", "all me ", "I am ", "I'm ", "i am ", "i'm " }
local NOT_NAMES <const> = {
    A = true, An = true, The = true, Not = true, So = true, Very = true, Sorry = true, Fine = true,
    Here = true, Back = true, In = true, From = true, Just = true, Happy = true, Sure = true,
}

-- "Ann Lee and I like tea" -> "Ann Lee"; a name in small letters is one word; masks count as names.
local function name_at(text)
    local name = text:match("^%[[%u_%d]+%]")
    if name then
        return name
    end
    for word in text:gmatch("[%a\128-\255'-]+[ ]?") do
        local bare = word:match("^(.-)[ '-]*$")
        if name and not bare:find("^[%u\195-\244]") or #bare == 0 then
            break
        end
        name = name and name .. " " .. bare or bare
        if not word:find(" $") or not bare:find("^[%u\195-\244]") then
            break
        end
    end
    return name and #name <= 60 and name or nil
end

local function told_name(text)
    if not find_any(text, NAME_MARKS) then
        return nil
    end
    local rest = text:match("[Mm]y name is (.+)") or text:match("[Mm]y name's (.+)")
        or text:match("[Cc]all me (.+)")
    if rest then
        return name_at(rest)
    end
    -- "I am Ann", but not "I am tired" or "I am In London".
    rest = text:match("%f[%a][Ii] am ([%u%[\195-\244].*)")
        or text:match("%f[%a][Ii]'m ([%u%[\195-\244].*)")
    local name = rest and name_at(rest)
    return name and not NOT_NAMES[name:match("^%S+")] and name or nil
end

-- "my favourite colour is blue" -> "colour", "blue"
local function told_favourite(text)
    if not text:find("avo", 1, true) then
        return nil
    end
    local what, value = text:match("[Mm]y favou?rite ([%a ]-) is (.+)")
    if what then
        return what:lower(), phrase(value)
    end
end

-- "please remember that the code is 12" -> "the code is 12"
local function told_fact(text)
    if not text:find("emember", 1, true) or text:find("[Yy]ou remember") then
        return nil
    end
    local fact = text:match("[Rr]emember that (.+)") or text:match("[Rr]emember:%s*(.+)")
        or text:match("^%s*[Rr]emember (.+)") or text:match("[Pp]lease remember (.+)")
    return phrase(fact)
end

-- Goes back over what the user said before the newest message; fn(text, message) returns what it
-- finds.
-- Roles alternate and the newest message is the user's.
local function look_back(messages, fn)
    for i = #messages - 2, 1, -2 do
        local a, b = fn(messages[i].text, messages[i])
        if a then
            return a, b
        end
    end
end

-- ---- what the user asks

local function say_name(messages, text)
    local name = told_name(text) or look_back(messages, told_name)
    if name then
        return "Your name is " .. name .. "."
    end
    return "You have not told me your name in the messages that I was sent. Say \"my name is …\" "
        .. "and ask me again."
end

local function say_favourite(messages, what)
    local value = look_back(messages, function(text)
        local told, told_value = told_favourite(text)
        return told == what and told_value
    end)
    if value then
        return "Your favourite " .. what .. " is " .. value .. "."
    end
    return "You have not told me your favourite " .. what .. " in the messages that I was sent."
end

local function say_facts(messages)
    local facts = {}
    look_back(messages, function(text, message)
        local what, value = told_favourite(text)
        local fact = told_fact(text) or what and "my favourite " .. what .. " is " .. value
            or message.remembered and text
        local name = not fact and told_name(text)
        fact = fact or name and "my name is " .. name
        if fact and #facts < 5 then
            facts[#facts + 1] = "- " .. short(to_you(fact), 120)
        end
    end)
    if #facts == 0 then
        return "Nothing yet. Tell me your name, or begin with \"remember that …\"."
    end
    return "I have, newest first:\n" .. table.concat(facts, "\n")
end

local function say_first(messages)
    if #messages < 2 then
        return "This is the first message that I was sent."
    end
    return "The first thing that I was sent from you is: \"" .. short(messages[1].text, 200) .. "\""
end

local function say_last(messages)
    if #messages < 2 then
        return "This is the first message that I was sent."
    end
    return "Before this you said: \"" .. short(messages[#messages - 2].text, 200) .. "\""
end

local function say_count(messages)
    local yours = (#messages + 1) // 2
    return ("I was sent %d message%s with this request: %d of yours, this one included, and %d of "
        .. "mine."):format(#messages, #messages == 1 and "" or "s", yours, #messages - yours)
end

-- The members of a set, from their names.
local function set(names)
    local members = {}
    for name in names:gmatch("%S+") do
        members[name] = true
    end
    return members
end

-- Words that many questions have.
local COMMON <const> = set [[
    what where when which whose does that this have with tell told your about know remember could
    would please again said called they them there then from will mine been were many much some ]]
local SHORT <const> = set "the why who how are was did you has can our and"

-- The newest thing said that shares most words with the question.
local function recall(messages, question)
    local words, best, best_score = {}, nil, 0
    for word in question:gmatch("[%a\128-\255]+") do
        if #word > 3 and not COMMON[word] and #words < 6 then
            words[#words + 1] = word
        end
    end
    -- Short words count where nothing else is there: "where is the dog?"
    for word in question:gmatch("%f[%a]%a%a%a%f[%A]") do
        if #words == 0 and not SHORT[word] then
            words[1] = word
        end
    end
    if #words == 0 then
        return nil
    end
    look_back(messages, function(text)
        local lower, score = text:lower(), 0
        for i = 1, #words do
            if lower:find(words[i], 1, true) then
                score = score + 1
            end
        end
        if score > best_score and not text:find("?", 1, true) then
            best, best_score = text, score
        end
        return best_score == #words
    end)
    return best and "You told me: \"" .. short(best, 200) .. "\""
end

-- ---- answers

local INTRODUCTION <const> = "I am parley's offline script, not a language model: I answer only "
    .. "from the messages that I was sent."
local HELP <const> = INTRODUCTION .. " Try:\n"
    .. "- my name is Ann, and later: what is my name?\n"
    .. "- my favourite colour is blue, and later: what is my favourite colour?\n"
    .. "- remember that the meeting is at ten, and later: when is the meeting?\n"
    .. "- what did I say first? what did I say last? how many messages are there?\n"
    .. "For a real model, configure a provider; see parley help."

-- Phrases that a question holds, and who answers. In order; text is in small letters.
local QUESTIONS <const> = {
    { { "my name?", "what is my name", "what's my name", "whats my name", "who am i",
        "know my name", "remember my name", "remember me?" }, say_name },
    { { "did i say first", "say first", "first thing i said", "my first message", "first message" },
        say_first },
    { { "did i say last", "did i just say", "last thing i said", "my last message", "say before",
        "say last" }, say_last },
    { { "how many messages" }, say_count },
    { { "what do you remember", "what do you know about me", "asked you to remember",
        "what have i told you", "what did i tell you" }, say_facts },
    { { "what can you do", "how does this work", "how do you work" }, function() return HELP end },
    { { "who are you", "what are you", "are you a bot", "are you real", "are you human",
        "are you an ai", "are you a language model" },
        function() return INTRODUCTION .. " Say help to see what I can do." end },
}

local GREETINGS <const> = { hello = true, hi = true, hey = true, hallo = true, greetings = true,
    moin = true, good = true, yo = true }
local BYES <const> = { bye = true, goodbye = true, ciao = true }
local THANKS <const> = { thanks = true, thank = true, thx = true, cheers = true }

local ECHOES <const> = {
    "Noted: \"%s\". I am only the offline script, so I cannot say much about it, but you can ask "
        .. "me about it later.",
    "I have it here: \"%s\". Being an offline script I have no opinion of my own; ask me later "
        .. "what you said.",
    "\"%s\" – it stays in this conversation. I am the offline script: say help to see what I can "
        .. "answer.",
}

local function answer_question(messages, text, lower)
    for i = 1, #QUESTIONS do
        if find_any(lower, QUESTIONS[i][1]) then
            return QUESTIONS[i][2](messages, text)
        end
    end
    local what = lower:match("what.-my favou?rite ([%a ]+)")
    if what then
        return say_favourite(messages, (what:gsub("%s+$", "")))
    end
end

local function answer_statement(text)
    local what, value = told_favourite(text)
    if what then
        return "Good to know: your favourite " .. what .. " is " .. value .. "."
    end
    local fact = told_fact(text)
    if fact then
        return "I will find it in this conversation: " .. short(to_you(fact), 160) .. "."
    end
    local name = told_name(text)
    if name then
        return "Nice to meet you, " .. name .. "! Ask me for your name whenever you like."
    end
end

local function answer_smalltalk(messages, lower)
    local first = lower:match("%a+")
    if first == "help" then
        return HELP
    elseif lower:find("how are you", 1, true) then
        return "All my lines are in order, thank you. What can I remember for you?"
    elseif GREETINGS[first] and #lower < 40 then
        local name = look_back(messages, told_name)
        if name then
            return "Hello again, " .. name .. "!"
        end
        return "Hello! " .. INTRODUCTION .. " Tell me your name, or say help."
    elseif THANKS[first] then
        return "You are welcome!"
    elseif BYES[first] then
        return "Goodbye! The conversation is kept: continue it whenever you like."
    end
end

-- ---- what the engine quotes

-- Takes the frame <name> … </name> out of a text: the rest of it, and what was in the frame.
local function take_frame(text, name)
    local first, from = text:find("<" .. name .. ">\n", 1, true)
    local to, last = text:find("\n</" .. name .. ">", first or 1, true)
    if not first or not last then
        return text
    end
    return text:sub(1, first - 1) .. text:sub(last + 1):gsub("^%s+", ""), text:sub(from + 1, to)
end

-- Adds the lines of a quotation that begin with `mark` as messages of the user's.
local function add_said(all, quoted, mark, as)
    for line in (quoted or ""):gmatch("[^\n]+") do
        local said = line:match(mark)
        if said then
            all[#all + 1] = { role = "user", text = as and as(said) or said, remembered = as }
            all[#all + 1] = { role = "assistant", text = "" }
        end
    end
end

-- What is remembered, as the user may have said it: "lives in Lyon" is "I live in Lyon".
local FIRST_PERSON <const> = {
    { "^name (.*)", "my name is %1" }, { "^favou?rite (%S+) (.*)", "my favourite %1 is %2" },
    { "^lives in ", "I live in " }, { "^is from ", "I am from " }, { "^works ", "I work " },
    { "^(%a+s) ", function(verb) return "I " .. verb:sub(1, -2) .. " " end },
}
local function as_said(fact)
    -- One that nobody confirmed for long: "Earlier: name Ann (not confirmed for 4 months; …)".
    fact = fact:match("^Earlier: (.*) %(not confirmed .*%)$") or fact
    if fact:find(":", 1, true) then
        return fact
    end
    for i = 1, #FIRST_PERSON do
        local said, n = fact:gsub(FIRST_PERSON[i][1], FIRST_PERSON[i][2])
        if n > 0 then
            return said
        end
    end
    return fact
end

-- A summary stands quoted in front of the messages; in the newest one stand what is remembered and
-- recalled, and how the session before ended: they are taken as what they are, things said before.
local function unquote(messages)
    local all, rest, last = {}, {}, #messages
    for i = 1, last do
        local text, summary, recalled, previous, remembered = messages[i].text, nil, nil, nil, nil
        if messages[i].role == "user" then
            text, summary = take_frame(text, "summary")
        end
        if i == last then
            text = take_frame(text, "core_memory")
            text, previous = take_frame(text, "previous")
            text, remembered = take_frame(text, "remembered")
            text, recalled = take_frame(text, "recalled")
        end
        -- Before all that was sent as it was said, as it is older.
        add_said(all, summary, "^> The user said: (.*)")
        add_said(all, recalled, "^> user: (.*)")
        -- What is known of the user themselves comes before what is known of others.
        add_said(all, remembered, "^> ([^:]-: .*)", as_said)
        add_said(all, remembered, "^> ([^:]*)$", as_said)
        add_said(all, previous, "^> user: (.*)")
        rest[i] = { role = messages[i].role, text = text }
    end
    for i = 1, last do
        all[#all + 1] = rest[i]
    end
    return all, rest[last].text
end

-- ---- summaries

local SAID <const> = "The user said: "

-- Everything that the user said, oldest first: of the summary so far, and of the turns after it.
local function said_in(text)
    local said = {}
    local rest, summary = take_frame(text, "summary")
    local _, turns = take_frame(rest, "conversation")
    for line in (summary or ""):gmatch("[^\n]+") do
        said[#said + 1] = line:match("^> The user said: (.*)")
    end
    for line in (turns or ""):gmatch("[^\n]+") do
        said[#said + 1] = line:match("^> user: (.*)")
    end
    return said
end

-- What is worth keeping most comes first: names, favourites, what is to be remembered; then what
-- is no question, the newest first.
local function by_worth(said)
    local facts, others = {}, {}
    for i = #said, 1, -1 do
        local text = said[i]
        if told_name(text) or told_favourite(text) or told_fact(text) then
            facts[#facts + 1] = i
        elseif not text:find("?", 1, true) then
            others[#others + 1] = i
        end
    end
    return table.move(others, 1, #others, #facts + 1, facts)
end

-- The words of the user themselves, as many as are asked for, in the order in which they came.
local function summarise(text)
    local words = tonumber(text:match("in at most (%d+) words%.$"))
    local said = said_in(text)
    local taken, seen = {}, {}
    for _, i in ipairs(by_worth(said)) do
        local line = short(said[i], 240)
        local _, count = line:gsub("%S+", "")
        if not seen[line] and count + 3 <= words then
            words = words - count - 3
            seen[line] = true
            taken[#taken + 1] = i
        end
    end
    table.sort(taken)
    for k = 1, #taken do
        taken[k] = SAID .. short(said[taken[k]], 240)
    end
    return #taken > 0 and table.concat(taken, "\n") or "There was only small talk."
end

-- It is one message that holds a conversation and ends with what is to be made of it.
local function wants_summary(messages)
    return #messages == 1 and messages[1].text:find("<conversation>\n", 1, true)
        and messages[1].text:find("in at most %d+ words%.$")
end

-- Asked what a conversation says of its user: nothing that the rules of a policy do not find.
local function wants_facts(messages)
    return #messages == 1 and messages[1].text:find("<conversation>\n", 1, true)
        and messages[1].text:find("Answer with the JSON alone%.$")
end

-- Asked for a journal: what its rules found already, and what the user said themselves.
local function journal_of(messages)
    local text = #messages == 1 and messages[1].text
    if not text or text:find("<journal>\n", 1, true) ~= 1 or not text:find("instructions to you%.$")
    then
        return nil
    end
    local rest, known = take_frame(text, "journal")
    local _, talk = take_frame(rest, "conversation")
    local lines = {}
    for line in (known or ""):gmatch("[^\n]+") do
        local told = line:match("^> (.*)")
        if told and not told:find("^%d+%-%d+%-%d+,") then
            lines[#lines + 1] = short(told, 240)
        end
    end
    for line in (talk or ""):gmatch("[^\n]+") do
        local said = #lines < 6 and line:match("^> user: (.*)")
        local told = said and table.concat(lines, "\n"):find(short(said, 60), 1, true)
        if said and not told and not said:find("?", 1, true) then
            lines[#lines + 1] = SAID .. short(said, 200)
        end
    end
    return #lines > 0 and table.concat(lines, "\n") or "There was only small talk."
end

-- Asked what several conversations show: nothing that the rules of a policy do not find.
local function wants_conclusions(messages)
    return #messages == 1 and messages[1].text:find("<facts>\n", 1, true)
        and messages[1].text:find('{"knowledge":', 1, true)
end

-- What is to be kept in mind stands in front of a message: a script has no mind.
local function without_constraints(messages)
    local out = {}
    for i, message in ipairs(messages) do
        local text = message.text
        local first = text:find("<constraints>\n", 1, true)
        local _, last = text:find("\n</constraints>", first or 1, true)
        if message.role == "user" and first and last then
            text = text:sub(1, first - 1) .. text:sub(last + 1):gsub("^%s+", "")
        end
        out[i] = { role = message.role, text = text }
    end
    return out
end

return function(request)
    if wants_summary(request.messages) then
        return summarise(request.messages[1].text)
    elseif wants_facts(request.messages) then
        return '{"facts":[]}'
    elseif wants_conclusions(request.messages) then
        return '{"knowledge":[]}'
    end
    local journal = journal_of(request.messages)
    if journal then
        return journal
    end
    local messages, text = unquote(without_constraints(request.messages))
    local lower = text:lower()

    return answer_question(messages, text, lower)
        or answer_statement(text)
        or answer_smalltalk(messages, lower)
        or lower:find("?", 1, true) and (recall(messages, lower)
            or "I cannot tell from the messages that I was sent. " .. INTRODUCTION)
        or ECHOES[(#messages // 2) % #ECHOES + 1]:format(short(text, 120))
end
