-- SPDX-License-Identifier: MIT
-- support_desk: a shop's support desk. What the customer complained of first stays in sight for as
-- long as the ticket is open, and the desk knows whether it has been told an order number.
--
-- One ticket, one context, with a history of its own:
--   parley chat --bot support_desk --context TICKET

local greet = require "parley.greet"
local history = require "parley.history"
local memory = require "parley.memory"

-- An order number as this shop writes them: two letters and six digits, "AB-123456" or "ab 123456".
-- Change this to yours.
local ORDER = "%f[%w]%a%a[- ]?%d%d%d%d%d%d%f[%W]"

-- Whether anybody in this ticket has said an order number. Turns that were undone do not count.
local function has_order(view)
    if view.text:find(ORDER) then
        return true
    end
    for _, turn in ipairs(view.history) do
        if not turn.superseded and turn.user:find(ORDER) then
            return true
        end
    end
    return false
end

---@type parley.Policy
return {
    title = "Support desk",

    -- This is the very beginning of each request: never cut, and read from the provider's cache.
    system = [[
You are the support desk of a web shop. Be brief, friendly and concrete, in the customer's language.
- The first message of the conversation is the complaint. Come back to it until it is settled.
- You cannot look at an order without its number (two letters, six digits). Ask for it once.
- If you cannot help, say so, and offer to hand over to a person.]],

    -- The first turn (the complaint) always, and the newest 12 to 24. In a ticket the details of
    -- the last few messages count, and the beginning; what was in between is settled or said again.
    -- A summary would save little, and cost the complaint its exact words.
    history = history.window {
        keep_turns = 12, slack_turns = 12, pin_first = 1,
        -- What must hold however long the ticket is: sent word for word, outside of the history.
        constraints = {
            "Promise no refund, no date and no discount: say what happens next, and who decides.",
        },
    },

    -- What a customer says in a ticket stays in that ticket. No small talk is remembered: of all
    -- that the rules know, what a desk needs, and what arrived in which state.
    memory = memory.rules {
        scope = "context",
        journal = false,
        without = { "likes", "dislikes", "wants", "age", "birthday", "marital_status", "partner",
            "child", "parent", "sibling", "relative", "friend", "diet", "does_not_eat" },
        predicates = { complaint = { kind = "circumstance" } },
        patterns = {
            { "(my|the) {item} (is|was|arrived|came) (broken|damaged|faulty|late|incomplete)",
                predicate = "complaint", whole = "",
                example = { "My kettle arrived damaged.", "My kettle arrived damaged" } },
            { "i am missing {item}", predicate = "complaint", whole = "am",
                example = { "I'm missing the power cord.", "missing the power cord" } },
        },
    },

    -- A ticket is one talk, also when an answer takes the customer a week.
    resume = { restore_within = "14d", greet = greet.desk {} },

    -- Things that need no model, so that they are always done the same way. Else nil: go on.
    on_message = function(view)
        local text = view.text:lower()
        if text:find("%f[%a]human%f[%A]") or text:find("%f[%a]real person%f[%A]") then
            return { handoff = "the customer asks for a person" }
        end
        -- The message with the order number is pinned: the window may move on, the number stays.
        if view.text:find(ORDER) then
            return { pin = true }
        end
        -- "Where is my order?" without any number: asking back is the answer.
        if text:find("where is my order", 1, true) and not has_order(view) then
            return { say = "I will look it up for you. What is your order number? It has two "
                .. "letters and six digits, as in AB-123456, and is in your confirmation." }
        end
    end,
}
