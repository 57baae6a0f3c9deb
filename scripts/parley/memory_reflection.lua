-- SPDX-License-Identifier: MIT
-- parley.memory_reflection: what facts of several sessions together say, by rules. The engine sees
-- to it that every conclusion rests on facts of two sessions at least.

local match = require "parley.memory_match"

local set = match.set
local M = {}
local ipairs, table = ipairs, table
local _ENV = nil

local FACTS_MAX, CONCLUSIONS_MAX, CITED_MAX = 400, 16, 8

-- What is common to many facts and says nothing.
local COMMON = set [[the and for with that this from have has are was were been being very really
    some more most much many lot new old good great nice big small little first last next own
    than then them they their there here into onto about over under out off all any not but you
    your our his her its going getting doing making taking having learn learning start starting
    things thing people time times day days week month year years home work]]
-- Of these, what several facts have in common is an interest, a goal or a way to be answered.
local CLUSTERS = {
    interest = set "likes prefers plays learning studies uses has_pet owns",
    works_towards = set "plans wants decided deadline upcoming reminder",
    avoids = set "dislikes does_not_eat allergic_to",
}

local function stem(word)
    if #word > 5 then
        word = word:gsub("ing$", ""):gsub("ies$", "y")
    end
    return #word > 3 and word:gsub("s$", "") or word
end

-- What was said in several sessions: it is more than a mood.
local function said_again(fact, add)
    if fact.sessions >= 2 then
        add { predicate = "keeps_saying",
              value = fact.predicate:gsub("_", " ") .. " " .. fact.value,
              subject = fact.subject ~= "user" and fact.subject or nil, kind = "pattern",
              facts = { fact.id } }
    end
end

-- Facts of one cluster by the words that they have in common.
local function by_words(facts, cluster)
    local words, order = {}, {}
    for _, fact in ipairs(facts) do
        local seen = {}
        if cluster[fact.predicate] and fact.subject == "user" then
            for word in fact.value:lower():gmatch "[%a\128-\255]+" do
                local key = stem(word)
                if #word > 3 and not COMMON[word] and not COMMON[key] and not seen[key] then
                    seen[key] = true
                    if not words[key] then
                        words[key], order[#order + 1] = { word = word }, key
                    end
                    local list = words[key]
                    list[#list + 1] = fact
                end
            end
        end
    end
    return words, order
end

local function cited(list)
    local ids = {}
    for i = 1, #list < CITED_MAX and #list or CITED_MAX do
        ids[i] = list[i].id
    end
    return ids
end

function M.of_facts(view)
    local facts, out, seen = {}, {}, {}
    local function add(conclusion)
        local key = conclusion.predicate .. "\0" .. conclusion.value:lower()
        if #out < CONCLUSIONS_MAX and not seen[key] then
            seen[key], out[#out + 1] = true, conclusion
        end
    end
    for _, fact in ipairs(view.facts) do
        if fact.tier == "fact" and #facts < FACTS_MAX then
            facts[#facts + 1] = fact
        end
    end
    for _, predicate in ipairs { "interest", "works_towards", "avoids" } do
        local words, order = by_words(facts, CLUSTERS[predicate])
        for _, key in ipairs(order) do
            local list = words[key]
            if #list >= 2 then
                add { predicate = predicate, value = list.word, kind = "pattern",
                      facts = cited(list) }
            end
        end
    end
    table.sort(facts, function(a, b)
        return a.sessions > b.sessions or a.sessions == b.sessions and a.id < b.id
    end)
    for _, fact in ipairs(facts) do
        said_again(fact, add)
    end
    return out
end

return M
