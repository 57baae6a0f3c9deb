-- SPDX-License-Identifier: MIT
-- parley.memory_when: since when something is so, as people say it: "since 2019", "since last
-- week", "since March"; of what happened also "last month", "in 2019", "two years ago".
--
-- Told by when it was said (seconds since 1970), in UTC: the beginning of the day, month or year
-- that is named; a week is seven days. What lies ahead, or is no time ("since I was born"), is nil.

local match = require "parley.memory_match"

local M = {}
local ipairs, tonumber = ipairs, tonumber
local _ENV = nil

local DAY = 86400
local YEAR_MIN, SPAN_MAX = 1900, 120

-- The number of each word in a list; several words of one number are parted by "|".
local function numbers(list, first)
    local out = {}
    for i, words in ipairs(list) do
        for word in words:gmatch "[^|]+" do
            out[word] = i + first - 1
        end
    end
    return out
end

local MONTHS = numbers({ "january|jan", "february|feb", "march|mar", "april|apr", "may",
                         "june|jun", "july|jul", "august|aug", "september|sept|sep",
                         "october|oct", "november|nov", "december|dec" }, 1)
-- Their first month, north of the equator.
local SEASONS = { spring = 3, summer = 6, autumn = 9, fall = 9, winter = 12 }
local WEEKDAYS = numbers({ "sunday", "monday", "tuesday", "wednesday", "thursday", "friday",
                           "saturday" }, 0)
local COUNTS = numbers({ "a|an|one", "two", "three", "four", "five", "six", "seven", "eight",
                         "nine", "ten", "eleven", "twelve" }, 1)
local UNITS = { day = "day", days = "day", week = "week", weeks = "week", month = "month",
                months = "month", year = "year", years = "year" }

-- ---- the calendar (Gregorian; a year is counted from March on)

-- Seconds since 1970 of the beginning of a day.
local function moment(year, month, day)
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    local y = month <= 2 and year - 1 or year
    local of_year = (153 * (month > 2 and month - 3 or month + 9) + 2) // 5 + day - 1
    return (365 * y + y // 4 - y // 100 + y // 400 + of_year - 719468) * DAY
end

local function year_and_month(at)
    local year = 1970 + at // (365 * DAY)
    while moment(year, 1, 1) > at do
        year = year - 1
    end
    local month = 12
    while moment(year, month, 1) > at do
        month = month - 1
    end
    return year, month
end

-- ---- times

-- So many units before, from the beginning of the day, month or year on.
local function back(at, n, unit)
    local year, month = year_and_month(at)
    if unit == "year" then
        return moment(year - n, 1, 1)
    elseif unit == "month" then
        return moment(year, month - n, 1)
    end
    return (at // DAY - n * (unit == "week" and 7 or 1)) * DAY
end

-- The last one that has begun: "since March".
local function latest(at, month)
    local year = year_and_month(at)
    local this = moment(year, month, 1)
    return this <= at and this or moment(year - 1, month, 1)
end

local function weekday(at, day)
    local today = at // DAY
    local ago = (today + 4 - day) % 7  -- 1 January 1970 was a Thursday
    return (today - (ago == 0 and 7 or ago)) * DAY
end

local function year_of(word)
    local year = word and tonumber(word:match "^%d%d%d%d$")
    return year and year >= YEAR_MIN and year or nil
end

-- "March", "March 2020", "3 March 2020", "March 3rd, 2020"
local function date(t, k, at)
    k = t.w[k] == "the" and k + 1 or k
    local day = tonumber((t.w[k] or ""):match "^(%d%d?)%l*$")
    local past = day and k + 1 or k
    past = day and t.w[past] == "of" and past + 1 or past
    local month = MONTHS[t.w[past] or ""]
    if not month or day and (day < 1 or day > 31) then
        return nil
    end
    past = past + 1
    local behind = not day and tonumber((t.w[past] or ""):match "^(%d%d?)%l*$")
    if behind and behind >= 1 and behind <= 31 then
        day, past = behind, past + 1
    end
    local year = year_of(t.w[past])
    if not day then
        return year and moment(year, month, 1) or latest(at, month)
    end
    year = year or year_and_month(at)
    local then_ = moment(year, month, day)
    return then_ <= at and then_ or moment(year - 1, month, day)
end

-- What begins at word k.
local function named(t, k, at)
    local word, after = t.w[k] or "", t.w[k + 1] or ""
    local year = year_of(word)
    if year then
        return moment(year, 1, 1)
    elseif word == "yesterday" then
        return back(at, 1, "day")
    elseif word == "today" then
        return back(at, 0, "day")
    elseif word == "last" or word == "this" then
        local n = word == "last" and 1 or 0
        if UNITS[after] then
            return back(at, n, UNITS[after])
        end
        local month = MONTHS[after] or SEASONS[after]
        return month and latest(at, month) or WEEKDAYS[after] and weekday(at, WEEKDAYS[after])
    elseif SEASONS[word] then
        year = year_of(after)
        return year and moment(year, SEASONS[word], 1) or latest(at, SEASONS[word])
    end
    return WEEKDAYS[word] and weekday(at, WEEKDAYS[word]) or date(t, k, at)
end

-- "two years ago"
local function ago(t, k, at)
    local n = COUNTS[t.w[k] or ""] or tonumber((t.w[k] or ""):match "^%d%d?%d?$")
    local unit = UNITS[t.w[k + 1] or ""]
    return n and n <= SPAN_MAX and unit and t.w[k + 2] == "ago" and back(at, n, unit) or nil
end

-- Since when what is said up to word `past` is so, by what stands behind it, or (word `front` on)
-- in front of the sentence. event: it happened, so that a time alone is since when. nil: it is not
-- said.
function M.since(t, front, past, last, at, event)
    local found
    local function look(k, to)
        if k > to then
            return nil
        end
        if t.w[k] == "since" then
            return named(t, k + 1, at) or ago(t, k + 1, at)
        elseif not event then
            return nil
        elseif t.w[k] == "in" or t.w[k] == "on" then
            return named(t, k + 1, at)
        end
        return (t.w[k] == "last" or t.w[k] == "this" or t.w[k] == "yesterday" or
                t.w[k] == "today") and named(t, k, at) or ago(t, k, at)
    end
    for k = past, last < past + 8 and last or past + 8 do
        local word = t.w[k]
        if word == "and" or word == "but" or match.pronouns[word] and word ~= "this" then
            break
        end
        found = look(k, last)
        if found then
            break
        end
    end
    found = found or front and look(front, last)
    return found and found <= at and found > 0 and found or nil
end

return M
