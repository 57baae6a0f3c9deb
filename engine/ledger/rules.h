// SPDX-License-Identifier: MIT
// rules.h: what a conversation must look like before it may be sent. Pure; any thread.
//
// The ledger's invariant, run before every send, and again after an edit, an undo or a deletion:
//   R1 there is at least one message, and the first is the user's
//   R2 roles alternate strictly: user, assistant, user …
//   R3 the last message is the user's
//   R4 no message is without content: white space alone is none
//   R5 every tool use is answered in the next user message, before any text of it, and by nothing
//      else
//   R6 turns come in ascending order and none of them is superseded
#ifndef LEDGER_RULES_H
#define LEDGER_RULES_H

#include "base/err.h"
#include "llm/llm.h"
#include "model/session.h"

// E_OK, or E_REFUSED naming the rule, the message's index and what was found.
int rules_check(const struct llm_message *messages, uint32_t len, struct err *err);
static inline bool rules_says_something(const struct content *c)  // R4
{
    return c->has & CONTENT_WORDS;
}
// Stored turns: ordinals contiguous from first, each begins with a user step, statuses agree with
// the steps (done and cut have a reply step; open only as the last turn), superseded flags agree
// with head, as do the epochs of its devices, which never go back.
int rules_check_turns(const struct session_head *head, const struct turn *turns, uint32_t len,
                      struct err *err);

#endif
