-- SPDX-License-Identifier: MIT
-- The tests of support_desk.lua: `parley test policies/support_desk_test.lua`.

local test = require "parley.test"

local function chatter(chat, turns)
    for i = 1, turns do
        chat:say("Something about delivery, part " .. i)
    end
end

test("the first complaint stays, word by word", function(t)
    local chat = t:chat { user = "ann", context = "ticket-7" }
    chat:say "My toaster burns the bread on one side only."
    chatter(chat, 60)
    t:sent(chat, "My toaster burns the bread on one side only.")
    t:sent(chat, "part 60")
    t:not_sent(chat, "part 20")
    t:contains(chat.request.messages[1].text, "My toaster burns the bread on one side only.")
end)

test("what must hold is in every request, word for word", function(t)
    local chat = t:chat()
    for i = 1, 40 do
        chat:say("Message " .. i)
        t:sent(chat, "Promise no refund, no date and no discount: say what happens next")
        t:contains(chat.request.system, "You are the support desk")
    end
end)

test("the history stops growing", function(t)
    local chat, most = t:chat(), 0
    for i = 1, 80 do
        chat:say("Message " .. i)
        most = math.max(most, #chat.request.messages)
    end
    -- The complaint, 24 turns at most, and the new message.
    t:equal(most, 2 + 2 * 24 + 1)
end)

test("an order number is asked for without asking the model", function(t)
    local chat = t:chat()
    local turn = chat:say "Where is my order?"
    t:contains(turn.reply, "What is your order number?")
    t:equal(chat.request, nil)
end)

test("an order number is asked for only once", function(t)
    local chat = t:chat()
    chat:say "It is order AB-123456."
    chat:model "It is on its way."
    t:equal(chat:say("So, where is my order?").reply, "It is on its way.")
    t:sent(chat, "AB-123456")
end)

test("the message with the order number stays", function(t)
    local chat = t:chat()
    chat:say "My toaster burns the bread."
    chatter(chat, 3)
    chat:say "The order is xy 654321, by the way."
    chatter(chat, 60)
    t:sent(chat, "My toaster burns the bread.")
    t:sent(chat, "xy 654321")
    t:not_sent(chat, "part 20")
end)

test("what only looks like an order number is none", function(t)
    for _, text in ipairs { "Call me at 0123456", "My reference is ABC-123456", "AB-1234567" } do
        local chat = t:chat()
        chat:say(text)
        t:contains(chat:say("Where is my order?").reply, "What is your order number?")
    end
end)

test("who asks for a person gets one", function(t)
    local chat = t:chat()
    local turn = chat:say "Let me talk to a human, please."
    t:equal(turn.status, "done")
    t:equal(chat.request, nil)
    -- But a humane answer is none.
    chat:say "That is not very humane."
    t:sent(chat, "humane")
end)

test("tickets do not know each other", function(t)
    local first = t:chat { user = "ann", context = "ticket-1" }
    local second = t:chat { user = "ann", context = "ticket-2" }
    first:say "My toaster burns the bread."
    second:say "My kettle leaks."
    t:not_sent(second, "toaster")
end)

test("a ticket goes on after a week, and anew after months", function(t)
    local chat = t:chat { context = "ticket-1" }
    chat:say "My toaster burns the bread."
    chat:wait "7d"
    chat:back()
    t:equal(chat:say("It still does.").greeting, nil)
    t:sent(chat, "My toaster burns the bread.")
    chat:wait "60d"
    chat:back()
    t:equal(chat:say("Hello").greeting, "Hello. What can I do for you?")
    t:not_sent(chat, "toaster")
end)

test("what arrived broken is known in the ticket, and in no other", function(t)
    local ticket = t:chat { user = "ann", context = "ticket-7" }
    ticket:say "My kettle arrived damaged. I like tea."
    local again = t:chat { user = "ann", context = "ticket-7" }
    again:say "What about my kettle?"
    t:sent(again, "complaint My kettle arrived damaged")
    t:not_sent(again, "likes tea")
    local other = t:chat { user = "ann", context = "ticket-8" }
    other:say "What about my kettle?"
    t:not_sent(other, "arrived damaged")
end)
