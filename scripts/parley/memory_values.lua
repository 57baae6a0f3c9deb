-- SPDX-License-Identifier: MIT
-- parley.memory_values: the types of values that patterns of parley.memory have, as in {place}.
--
-- A type says how far its value goes (max words, words that end it: stops; take: all by itself),
-- what alone can begin it (first), what cannot begin or be it (no_first, no), and whether it is a
-- list of values.

local match = require "parley.memory_match"

local set, PRONOUNS = match.set, match.pronouns
local M = {}
local ipairs = ipairs
local _ENV = nil

-- What points elsewhere says nothing by itself.
local POINTERS = set [[to up with on at in after before another from his her everywhere it this
    that these those them him her you your yours they he she we us me i my everything nothing
    something anything everyone anyone someone one ones both such some any all how what when where
    why who which whatever there here much more less most having getting seeing hearing talking if
    so too not no well way kind sort lot lots bit thing things stuff same other as of another every
    each few many its our ours their theirs myself yourself enough very really too]]
local VAGUE = set [[fun good nice great cool ok okay fine bad better best sure true right wrong
    day today tomorrow time help idea question problem lol soon later now together anything else
    back chance break moment look while hello hi thanks sound]]
local NO_NAMES = set [[i a an the not so just in on at from to of and or but very really also
    always sorry sure fine good great happy glad sad tired here there back home new now still
    going trying looking working thinking feeling excited afraid hungry busy ready done okay ok
    well your my his her our their this that it he she we they you what who how why when where
    monday tuesday wednesday thursday friday saturday sunday january february march april june
    july august september october november december mr mrs ms dr english german french spanish
    italian american british canadian indian chinese japanese korean swedish danish dutch polish
    irish scottish welsh russian turkish brazilian mexican swiss austrian greek portuguese
    norwegian finnish christian muslim jewish catholic buddhist hindu atheist vegan vegetarian
    gay lesbian bi trans non-binary nonbinary lol omg yes no thanks currently nothing something
    anything everything nobody somebody anybody everybody everyone anyone someone nice love]]
local MONTHS = set [[january february march april may june july august september october november
    december jan feb mar apr jun jul aug sept sep oct nov dec spring summer autumn fall winter
    christmas easter valentine's halloween]]

-- ---- people

local PARTICLES = set "de del da di du van von der den bin al la le el dos ter ten"
local TITLES = set "mr mrs ms dr prof"

local function name_from(t, k, last, most, any_case)
    local past = k
    while past <= last and past - k < most do
        local word = t.w[past]
        if (past > k and PARTICLES[word] or past == k and TITLES[word]) and past < last and
            (PARTICLES[t.w[past + 1]] or match.is_name(t, past + 1)) then
            most = most + 1
        elseif past > k and t.gap[past] or NO_NAMES[word] or not word:find "^[%a\128-\255]" or
            not (match.is_name(t, past) or any_case and past == k and not t.capitals) then
            break
        end
        past = past + 1
    end
    return past > k and past or nil
end

-- `ends`: nothing else follows; `no_ing`: "Raining here" is nobody.
local function name_type(most, any_case, ends, no_ing)
    return {
        after_gap = true,
        take = function(t, k, last)
            local past = name_from(t, k, last, most, any_case)
            if past and no_ing and t.w[past - 1]:find "ing$" or
                past and ends and past <= last and not t.gap[past] and t.w[past] ~= "and" and
                t.w[past] ~= "but" and t.w[past] ~= "from" then
                return nil  -- "I am Ann", but not "I am Ann's", "I am Spider Man fan"
            end
            if past then
                return past, { k, past - 1 }
            end
        end,
    }
end

-- "Tom", "Tom and Lia", "Tom, Lia and Max".
local function take_names(t, k, last)
    local past = name_from(t, k, last, 3, false)
    local from = k
    while past and past <= last do
        local next_at = (t.w[past] == "and" or t.w[past] == "&") and past + 1 or
            t.gap[past] == "," and past or nil
        local further = next_at and name_from(t, next_at, last, 3, false)
        if not further then
            break
        end
        past = further
    end
    if past then
        return past, { from, past - 1 }
    end
end

-- Who is not the user: "my sister Anna", "my boss", "our son, Tom,": as it is written, without
-- "my".
local KIN = set [[wife husband partner spouse boyfriend girlfriend fiance fiancee son daughter
    kid child stepson stepdaughter mother mom mum mama father dad papa brother sister twin
    stepmother stepfather grandmother grandma granny grandfather grandpa granddaughter grandson
    uncle aunt cousin niece nephew friend roommate flatmate colleague coworker boss manager
    neighbor neighbour teacher dog cat puppy kitten son-in-law daughter-in-law mother-in-law
    father-in-law brother-in-law sister-in-law]]
local BEFORE_KIN = set "older younger little big best oldest youngest elder eldest twin good close"

local function take_person(t, k, last)
    if t.w[k] ~= "my" and t.w[k] ~= "our" then
        return nil
    end
    local at = k + 1
    while at <= last and BEFORE_KIN[t.w[at]] do
        at = at + 1
    end
    if at > last or not KIN[t.w[at]] or t.gap[at] then
        return nil
    end
    local past = name_from(t, at + 1, last, 2, false) or at + 1
    if t.gap[at + 1] and past > at + 1 and not t.gap[past] then
        past = at + 1  -- "my sister, Anna said …"
    end
    return past, { k + 1, past - 1 }
end

-- ---- sets of words, numbers, dates

-- One of these; the longest there is.
local function one_of(words)
    local known, longest = {}, 1
    for option in words:gmatch "[^|\n]+" do
        option = option:match "^%s*(.-)%s*$"
        if option ~= "" then
            known[option] = true
            local _, blanks = option:gsub(" ", "")
            longest = blanks + 1 > longest and blanks + 1 or longest
        end
    end
    return function(t, k, last)
        for n = longest, 1, -1 do
            if k + n - 1 <= last then
                local words_there = t.w[k]
                for i = k + 1, k + n - 1 do
                    words_there = words_there .. " " .. t.w[i]
                end
                if known[words_there] then
                    return k + n, { k, k + n - 1 }
                end
            end
        end
    end
end
M.one_of = function(words)
    return { take = one_of(words) }
end

local AGE_ENDS = set "and years yesterday today now last this in on but soon next"

local function take_age(t, k, last)
    local n = t.w[k]:match "^(%d%d?%d?)$"
    local after = t.w[k + 1]
    local years = after == "years" or after == "yrs" or after == "year" or after == "yo" or
        after == "y/o"
    if not n or #n == 1 and not years or n:find "^0" or #n == 3 and n > "119" then
        return nil
    end
    if k < last and not years and not t.gap[k + 1] and after ~= "and" and after ~= "now" and
        after ~= "today" and after ~= "this" and after ~= "next" and after ~= "but" and
        after ~= "soon" and after ~= "from" then
        return nil  -- "I am 30 minutes late"
    end
    return k + 1, { k, k }
end

local function take_date(t, k, last)
    local known, past = false, k
    while past <= last and past - k < 5 do
        local word = t.w[past]
        if MONTHS[word] or word:find "^%[" or word:find "%d" then
            known = true
        elseif not (word == "of" or word == "the" or word == "on" or word == "in" or
                    word == "late" or word == "early") or t.gap[past] and t.gap[past] ~= "," then
            break
        end
        past = past + 1
    end
    while past - 1 > k and (t.w[past - 1] == "of" or t.w[past - 1] == "in" or
                            t.w[past - 1] == "on" or t.w[past - 1] == "the") do
        past = past - 1
    end
    if known then
        local from = k
        while from < past - 1 and (t.w[from] == "on" or t.w[from] == "in" or t.w[from] == "the") do
            from = from + 1
        end
        return past, { from, past - 1 }
    end
end

local ANIMALS = [[
    dog|dogs|cat|cats|puppy|puppies|kitten|kittens|rabbit|rabbits|bunny|hamster|guinea pig|
    guinea pigs|parrot|budgie|bird|birds|fish|goldfish|turtle|tortoise|horse|horses|pony|snake|
    lizard|gecko|ferret|chicken|chickens|hens|goat|goats|rat|rats|mouse|mice|chinchilla|
    hedgehog|pets|golden retriever|labrador|poodle|beagle|bulldog|german shepherd|dachshund|
    corgi|border collie|tabby|siamese cat|bearded dragon]]
local animal = one_of(ANIMALS)
local ADJECTIVES = set [[a an the two three four five one six little small big old young cute
    black white brown grey gray orange rescue adopted lovely new sweet fluffy lazy crazy tiny
    huge beautiful adorable pet couple of]]
local NAMED = set "called named"

-- "a dog called Rex", "two cats", "dog, Rex": with the name, if there is one. Of "dog's name is
-- Rex" and "dog is called Rex" what only joins them is no part of it.
local function take_pet(t, k, last)
    local at = k
    while at <= last and at - k < 4 and ADJECTIVES[t.w[at]] and not t.gap[at + 1] do
        at = at + 1
    end
    local past = at <= last and animal(t, at, last)
    if not past then
        return nil
    end
    local from, name = at, nil
    if at > k and t.w[at - 1]:find "^%l+$" and (t.w[at - 1] == "two" or t.w[at - 1] == "three" or
        t.w[at - 1] == "four") then
        from = at - 1
    end
    local n, without = past, nil
    if t.w[n] == "'s" and t.w[n + 1] == "name" and t.w[n + 2] == "is" then
        n, without = n + 3, { n, n + 2 }
    elseif (t.w[n] == "is" or t.w[n] == "are") and NAMED[t.w[n + 1] or ""] then
        n, without = n + 2, { n, n }
    elseif NAMED[t.w[n] or ""] then
        n = n + 1
    end
    if n <= last then
        name = take_names(t, n, last)
    end
    if name and not (n == past and t.gap[n] and t.gap[n] ~= ",") then
        return name, { from, name - 1, without = without }
    end
    if t.gap[past] or past > last or not (t.w[past] == "'s" or match.is_name(t, past)) then
        return past, { from, past - 1 }
    end
end

-- "a cat called Minka and a dog".
local function take_pets(t, k, last)
    local past, first = take_pet(t, k, last)
    local items, at = { first }, past
    while at and at <= last do
        local next_at = t.w[at] == "and" and at + 1 or t.gap[at] == "," and at or nil
        local further, span
        if next_at and next_at <= last then
            further, span = take_pet(t, next_at, last)
        end
        if not further then
            break
        end
        items[#items + 1], at, past = span, further, further
    end
    if past then
        first.items = items[2] and items or nil
        return past, first
    end
end

-- ---- what follows a verb

local STAYING = set "living working staying being"  -- "I love living here" is of here

local function phrase(options)
    options.no_first = options.no_first or POINTERS
    options.no = options.no or VAGUE
    return options
end

M.types = {
    -- A name that is said to be one; one that merely stands there; several.
    name = name_type(4, true),
    ["self"] = name_type(3, false, true),
    who = name_type(3, false, false, true),
    names = { take = take_names, list = true, after_gap = true },
    person = { take = take_person },
    age = { take = take_age },
    years = { take = function(t, k, last)  -- of children too
        if t.w[k]:find "^%d$" and (k == last or t.gap[k + 1] or AGE_ENDS[t.w[k + 1]]) then
            return k + 1, { k, k }
        end
        return take_age(t, k, last)
    end },
    when = phrase { max = 10, no_first = set "over done finished not going hard coming cancelled" },
    fan = phrase { max = 5, strict = true,
        no_first = set "big huge massive bit such real true total" },
    date = { take = take_date },
    pet = { take = take_pets },
    place = phrase { max = 6, parts = true, strict = true, proper = true,
        stops = set [[with for since by as on now to from near and or after before until during at
            right but about last next this my i]],
        no_first = set [[it this that fear peace there here my your the hope luck love shock
            trouble such hell what now way general fact case order touch person bed need pain
            tears different same]],
        no = set [[good bad mind charge trouble transit progress fear peace hope luck love shock
            pain need poverty]] },
    city = phrase { max = 5, parts = true, strict = true, names = true, proper = true,
        stops = set [[with for since by as on now to and or after before until at right last next
            this about where in]] },
    job = phrase { max = 6, strict = true, article = true, stops = set [[at for in with and since
        or by from to on now who during here it my over under a]],
        no = set [[team member hard lot day time home fan mess person man woman guy kid]] },
    org = phrase { max = 5, strict = true, stops = set [[as and for since now with in or on from
        to by but every all it there until during part-time full-time again]],
        no_first = set [[home myself the moment it this that night nights least my your a an all
            full school-home weekends dawn things making getting being building improving keeping
            becoming something first both times]] },
    field = phrase { max = 5, strict = true, stops = set [[at in for with and or since as on to
        by now again together abroad from it]], no_first = set [[hard it this that for to a the
        on myself you him her them there here all more my at in how what every about abroad up]],
        no = set "hard lot day night time school" },
    sector = phrase { max = 4, strict = true, lower = true, stops = set [[at for in with and or
        since as on to by now again together abroad from]],
        no_first = set [[a an the my this that it town shifts teams bed]] },
    thing = phrase { max = 9, list = true, strict = true, no_the = true, no_here = true,
        stops = set "since than where during" },
    item = phrase { max = 6, strict = true, article = true, stops = set [[to for in since with
        that and on from at of than or it last yesterday today recently where]],
        no = set [[question problem job cold call idea chance lot bit ton few dream feeling sense
            part family friend ticket tickets break time present gift message copy share]] },
    goal = phrase { max = 16, min = 2, no_first = set "it this that not be you up with" },
    promise = phrase { max = 16, min = 2, no_first = set "it this that not be you" },
    hobby = phrase { max = 6, list = true, strict = true,
        no_first = set "a an the it this that my bed trouble some with",
        stops = set "to since than where with at in every on twice once all" },
    wish = phrase { max = 16, min = 2, first = set [[become learn start build write lose run move
        travel visit open improve finish save buy quit publish master study own climb retire
        adopt complete create teach compete volunteer pursue change sell stop reduce cut]],
        no_first = set "", no = set "start" },
    effort = phrase { max = 16, min = 2, first = set [[lose learn save quit become improve build
        write finish eat cut reduce stop run sleep exercise drink conceive publish train practice
        practise]],
        no_first = set "" },
    venture = phrase { max = 16, min = 2, first = set [[start move buy learn study apply visit
        travel take open write build join retire marry quit adopt sell run propose renovate
        volunteer compete audition]], no_first = set "" },
    journey = phrase { max = 16, min = 2, first = set [[moving relocating traveling travelling
        flying emigrating visiting opening launching buying adopting retiring]],
        no_first = set "" },
    doing = phrase { max = 16, no_first = set "it this that not be you the a my him her them" },
    skill = phrase { max = 6, strict = true, stops = set [[and since for but at so or here with
        now to though]], no_first = set [[it this that all the them here my your me in at of a so
            lots more much about]],
        no = set "town area job place group world game school city neighborhood team class" },
    language = phrase { max = 6, list = true, strict = true, names = true, stops = set [[with at
        to for in since my fluently well]],
        no_first = set "from with to for about up no only one two three four five several many my",
        lead = set "a little bit of some fluent basic both native good" },
    allergen = phrase { max = 4, list = true, strict = true, stops = set [[and-my so but since]] },
    favourite = phrase { max = 10, strict = true, stops = set "since where to" },
    style = phrase { max = 6, stops = set "" },
    number = { take = one_of [[one|two|three|four|five|six|2|3|4|5|a|an]] },
    diet = { article = true, take = one_of [[
        vegetarian|vegan|pescatarian|a vegetarian|a vegan|a pescatarian|
        a coeliac|a celiac|gluten free|gluten-free|lactose intolerant|lactose-intolerant|coeliac|
        celiac|diabetic|
        on a diet|keto|on keto|halal|kosher|teetotal|dairy free|dairy-free|gluten intolerant]] },
}

-- ---- how far a value goes

local STOPS = set [[because but although though while if unless when which who whom where whereas
    cuz cause anymore lately nowadays lol haha hahaha please thanks btw tbh until except despite
    whenever even however]]
local TRAIL = set [[now too currently though anyway tbh really today still again also yet
    actually right btw already sometimes often and or as the a an of to in with for at on from by
    very so much most best just most etc myself originally]]
local PAIRS = { days = "these", moment = "the", well = "as", lot = "a", much = "very",
                now = "right", way = "the", far = "so", bit = "a", ["while"] = "a", more = "any",
                longer = "any", all = "after" }

-- "in May", "in 2019", "two years ago"
local function is_time(t, k)
    local after = t.w[k + 1] or ""
    return t.w[k] == "in" and (MONTHS[after] or after:find "^%d%d%d%d$") or t.w[k + 2] == "ago"
end

local ARTICLES = set "a an the my our some any"

-- The last word of a value that begins at k; `list`: commas do not end it; `stops`: further words
-- that do.
local function extent(t, k, last, type_)
    local some = type_.parts and ARTICLES[t.w[k]]  -- "a small village in Wales", "a flat near it"
    local own = t.words and t.words.stops
    local stops, max = type_.stops, (type_.max or 8) * (type_.list and 3 or 1)
    for j = k + 1, last do
        local word, gap = t.w[j], t.gap[j]
        local goes_on = some and (word == "in" or word == "near")
        local ends = STOPS[word] or own and own[word] or stops and stops[word] and not goes_on or
            type_.parts and is_time(t, j) or
            gap and not ((gap == "," and (type_.list or type_.parts)) and not PRONOUNS[word]) or
            (word == "and" or word == "or" or word == "so") and PRONOUNS[t.w[j + 1] or "i"]
        if ends or j - k >= max then
            if not ends and type_.strict then
                return nil
            end
            return j - 1
        end
    end
    return last
end

-- Without words at the end that say nothing of it.
local function trim(t, k, last)
    while last > k do
        local word = t.w[last]
        if PAIRS[word] == t.w[last - 1] and last - 1 > k then
            last = last - 2
            if t.w[last] == "at" or t.w[last] == "by" or t.w[last] == "not" then
                last = last - 1
            end
        elseif TRAIL[word] then
            last = last - 1
        else
            break
        end
    end
    return last
end

-- "hiking here": of that place it says nothing; but "living here" is of that place alone: nil.
local function without_here(t, k, last)
    for j = k + 1, last do
        if t.w[j] == "here" or t.w[j] == "there" then
            return not STAYING[t.w[k]] and trim(t, k, j - 1) or nil
        end
    end
    return last
end

-- Items of a list: { first, last } each.
local function items(t, k, last)
    local out, from = {}, k
    for j = k, last do
        local word, cut = t.w[j], nil
        if (word == "and" or word == "or" or word == "&" or word == "plus") and j > from then
            cut = j - 1
        elseif t.gap[j] == "," and j > from then
            cut = j - 1
        end
        if cut then
            out[#out + 1] = { from, cut }
            from = (word == "and" or word == "or" or word == "&" or word == "plus") and j + 1 or j
        elseif j == from and (word == "and" or word == "or") then
            from = j + 1
        end
    end
    if from <= last then
        out[#out + 1] = { from, last }
    end
    for i = 1, #out - 1 do  -- "a safe and inviting place" is one
        local next_word = t.w[out[i + 1][1]]
        for at = out[i][1], out[i][2] do
            if ARTICLES[t.w[at]] and not ARTICLES[next_word] and not next_word:find "ing$" then
                return { { out[1][1], last } }
            end
        end
    end
    for _, item in ipairs(out) do
        if item[2] - item[1] > 6 then
            return { { k, last } }
        end
    end
    return out
end

-- "I love the sea", but not "I love the colour": that is of what is spoken of.
local THE = set [[sea ocean beach mountains outdoors theatre theater rain snow cold heat sun
    piano guitar violin drums countryside city gym environment night winter summer smell sound
    internet gym cinema news arts opera ballet forest woods moon stars sky desert lake river dark]]
local BACKWARDS = set "it this that them these those you him her us me there one ones"

-- Whether it points at what was said elsewhere, and so says nothing by itself.
local function points_back(t, type_, from, to)
    if t.w[from] == "the" and type_.no_the then
        return not (THE[t.w[from + 1] or ""] or from < to and match.is_name(t, from + 1))
    end
    if BACKWARDS[t.w[to]] then
        return true
    end
    for k = from, from + 2 < to and from + 2 or to do
        if BACKWARDS[t.w[k]] and type_.min then
            return true
        end
    end
    return false
end

-- What has a name is written with a capital, if anything is in that text.
local function is_written_so(t, type_, from, to)
    local the = t.w[from] == "the" or t.w[from] == "a"
    while the and type_.names and from + 1 < to and not match.is_name(t, from + 1) do
        from = from + 1  -- "a small village in Wales"
    end
    if type_.proper and not the and t.capitals then  -- "in constant fear" is no place
        for k = from, to do
            if match.is_name(t, k) then
                return true
            end
        end
        return false
    end
    if type_.lower then
        return not match.is_name(t, from) or match.text(t, from, from):find "^%u+$" ~= nil
    end
    return not type_.names or match.is_name(t, from) or
        the and from < to and match.is_name(t, from + 1) or not (t.capitals or the)
end

-- The values in words from.to of a type, each { first, last }; none if it says nothing.
function M.values(t, type_, span, last)
    local k, to = span[1], span[2]
    if k > last then
        return {}
    end
    to = to or extent(t, k, last, type_)
    if not to then
        return {}
    end
    if not type_.take then
        to = trim(t, k, to)
        to = type_.no_here and without_here(t, k, to) or not type_.no_here and to
    end
    if not to then
        return {}
    end
    if type_.article and (t.w[k] == "a" or t.w[k] == "an" or t.w[k] == "the") and k < to then
        k = k + 1
    end
    local out = {}
    for _, item in ipairs(span.items or type_.list and items(t, k, to) or
                         { { k, to, without = span.without } }) do
        while type_.lead and item[1] < item[2] and type_.lead[t.w[item[1]]] do
            item[1] = item[1] + 1
        end
        local first = t.w[item[1]]
        item[2] = type_.take and item[2] or trim(t, item[1], item[2])
        local whole = item[1] == item[2] and first or nil
        -- "in Nice", "in The Hague": what is written as a name is one.
        local proper = type_.proper and t.capitals and match.is_name(t, item[1])
        if not points_back(t, type_, item[1], item[2]) and
            item[2] - item[1] + 1 >= (type_.min or 1) and
            not (type_.no_first and type_.no_first[first] and not proper) and
            not (type_.no and not proper and (type_.no[whole or ""] or
                               (type_.article or type_.parts) and
                               type_.no[t.w[item[2]]])) and
            not (type_.first and not (type_.first[first] and item[2] > item[1])) and
            is_written_so(t, type_, item[1], item[2]) and
            item[2] >= item[1] and
            not (whole and #whole == 1 and not whole:find "[%d\128-\255]") then
            out[#out + 1] = item
        end
    end
    return out
end

return M
