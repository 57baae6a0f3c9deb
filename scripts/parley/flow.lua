-- SPDX-License-Identifier: MIT
-- parley.flow: guided dialogues, written as flow { trigger = "refund", function(f) … end }.
--
-- Flows are accepted and have no effect yet: loading a policy that has some says so.

return function(definition)
    return definition
end
