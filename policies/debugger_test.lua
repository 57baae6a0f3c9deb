-- SPDX-License-Identifier: MIT
-- The tests of debugger.lua: `parley test policies/debugger_test.lua`.

local test = require "parley.test"

local function chatter(chat, turns)
    for i = 1, turns do
        chat:say("No change, try " .. i)
    end
end

local EVIDENCE = {
    [[Traceback (most recent call last):
  File "app.py", line 12, in <module>
KeyError: 'total']],
    "./run.sh: line 3: 4711 Segmentation fault (core dumped) ./server --port 8080",
    "server.c:41:17: error: 'len' undeclared (first use in this function)",
    [[Exception in thread "main" java.lang.NullPointerException
    at com.example.Cart.total(Cart.java:88)
    at com.example.Main.main(Main.java:12)]],
    "panic: runtime error: index out of range [5] with length 3",
    "connect ECONNREFUSED 127.0.0.1:5432",
    "it ends with exit code 139",
    [[This is the loop:
```c
for (size_t i = 0; i <= len; i++)
    sum += items[i];
```]],
}

test("errors, traces and code stay, to the letter", function(t)
    local chat = t:chat()
    chat:say "My program crashes now and then."
    chatter(chat, 5)
    for _, text in ipairs(EVIDENCE) do
        chat:say(text)
        chatter(chat, 2)
    end
    chatter(chat, 60)
    for _, text in ipairs(EVIDENCE) do
        t:sent(chat, text)
    end
end)

test("code of the model's stays too", function(t)
    local chat = t:chat()
    chat:say "My program crashes now and then."
    chat:model "Try this:\n```c\nfor (size_t i = 0; i < len; i++)\n```"
    chat:say "What do I change?"
    chatter(chat, 60)
    t:sent(chat, "for (size_t i = 0; i < len; i++)")
end)

test("the problem stays, and talk goes", function(t)
    local chat = t:chat()
    chat:say "My program crashes now and then."
    chat:say "I had coffee, and it did not help."
    chatter(chat, 60)
    t:sent(chat, "My program crashes now and then.")
    t:not_sent(chat, "coffee")
    t:not_sent(chat, "try 20")
    t:sent(chat, "try 60")
end)

test("evidence is never out of sight, also where it leaves the window", function(t)
    local chat = t:chat()
    chat:say "My program crashes now and then."
    for i = 1, 60 do
        if i == 17 then
            chat:say "E1: main.c:41: assertion failed"
        else
            chat:say("No change, try " .. i)
        end
        if i > 17 then
            t:sent(chat, "main.c:41: assertion failed")
        end
    end
end)

test("the newest evidence has room, the oldest makes it", function(t)
    local chat, most = t:chat(), 0
    chat:say "My program crashes now and then."
    for i = 1, 120 do
        chat:say("Error: number " .. i .. "\n" .. ("at frame (app.js:7)\n"):rep(30))
        most = math.max(most, #chat.request.messages)
    end
    t:not_sent(chat, "Error: number 3\n")
    t:sent(chat, "Error: number 90\n")
    -- The first turn, 40 pinned ones, 20 of the window, the new message.
    t:ok(most <= 2 * (1 + 40 + 20) + 1, "it grew to " .. most .. " messages")
end)

test("the beginning stays the same, for the prompt cache", function(t)
    local chat, before, changes = t:chat(), nil, 0
    chat:say "My program crashes now and then."
    for i = 1, 100 do
        chat:say("Error: number " .. i)
        local now = chat.request.messages
        for at = 1, before and #before or 0 do
            if not now[at] or now[at].text ~= before[at].text then
                changes = changes + 1
                break
            end
        end
        before = now
    end
    -- At most one in STEP turns, and one in slack turns.
    t:ok(changes <= 20, "it changed " .. changes .. " times in 100 turns")
end)

test("long logs do not use up the time of the policy", function(t)
    local chat = t:chat()
    for i = 1, 60 do
        chat:say("Log " .. i .. ("\n12:00 INFO Request handled, all is well"):rep(150))
    end
    chat:say(("x"):rep(200000))
    t:equal(chat:say("Anything?").warnings, {})
end)
