-- SPDX-License-Identifier: MIT
-- The desk of several dialogues: a system prompt, and answers of its own to what needs no model.
return {
    title = "Desk",
    system = "You are the desk.",
    on_message = function(view)
        if view.text:find("opening hours", 1, true) then
            return { say = "Nine to five." }
        elseif view.text == "new topic" then
            return { reset = true }
        elseif view.text == "a person, please" then
            return { handoff = "asked for a person" }
        end
    end,
}
