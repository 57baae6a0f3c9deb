// SPDX-License-Identifier: MIT
// recorded.h: a recorded conversation, as JSON, becomes turns.
//
// Messages come as in the OpenAI or Anthropic APIs: [{role, content, at?}]. A user message with
// words begins a turn; assistant messages, tool calls and tool results belong to the turn that they
// answer. System messages are left out: the system prompt is the policy's. Everything passes the
// redactor like live text. One thread.
#ifndef TURN_RECORDED_H
#define TURN_RECORDED_H

#include "base/json.h"
#include "base/vec.h"
#include "model/turn.h"
#include "redact/redact.h"

enum { RECORDED_TURNS_MAX = 100000 };

struct encoding;

struct recorded {
    struct vec turns;       // of struct turn, owned: what was read
    uint32_t timed;         // turns that came with a time of their own
    const struct encoding *encoding;  // the caller's: counts the messages; NULL: estimates
    // private
    struct redact_how how;
    struct vec steps;       // of struct step: of the turn being built
    struct safe_buf text;   // of the message being read
    struct vec parts;       // of its blocks
    struct buf scratch;
    int64_t at_ms, turn_ms;
    bool told_time;         // the message that is being read
    unsigned message;       // index, for errors
};
// NULL: nothing is masked, as nothing of it is stored or sent.
void recorded_init(struct recorded *r, const struct redact_how *how);
void recorded_release(struct recorded *r);

// Reads into a recorded that was just initialised. A message without a time has that of the one
// before it, or start_ms; one that begins a turn is turn_ms later. E_USAGE names the message;
// E_NOMEM.
int recorded_read(struct recorded *r, struct json messages, int64_t start_ms, int64_t turn_ms,
                  struct err *err);

#endif
