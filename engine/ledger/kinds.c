// SPDX-License-Identifier: MIT
// kinds.c: the kinds of records; see kinds.h.
#include "ledger/kinds.h"

#include "model/audit.h"

#include <string.h>

// What a person looks for first comes first; what says least, last.
const struct record_kind record_kinds[RECORD_KINDS] = {
    {"user", "users", {NULL}, KIND_MEMBERS, NULL},
    {"session/", "sessions", {"session"}, KIND_MEMBERS, NULL},
    {"turn/", "turns", {"session", "turn", "step"}, KIND_JSON, "content"},
    {"part/", "parts", {"session", "turn", "step", "part"}, KIND_TEXT, "text"},
    {"event/", "events", {"session", "event"}, KIND_TEXT, "text"},
    {"summary/", "summaries", {"session", "upto"}, KIND_TEXT, "text"},
    {"fact/", "facts", {"bot", "slot"}, KIND_MEMBERS, NULL},
    {"knowledge/", "knowledge", {"bot", "slot"}, KIND_MEMBERS, NULL},
    {"journal/", "journal", {"bot", "session"}, KIND_TEXT, "text"},
    {"core/", "core_memory", {"bot"}, KIND_MEMBERS, NULL},
    {"memory/", "memory", {"bot"}, KIND_NO_BODY, NULL},
    {"learnt/", "learnt", {"session"}, KIND_NO_BODY, NULL},
    {"attempt/", "attempts", {"session", "turn", "attempt"}, KIND_NO_BODY, NULL},
    {"spend/", "spending", {"day", "unit", "bot"}, KIND_NO_BODY, NULL},
    {"head/", "newest_sessions", {"bot", "context_digest"}, KIND_NO_BODY, NULL},
    {"masks/", "masks", {"page"}, KIND_JSON, "masks"},
    {"original/", "originals", {"kind", "number", "bot"}, KIND_TEXT, "text"},
    {"key/", "message_keys", {"key_digest"}, KIND_NO_BODY, NULL},
    {AUDIT_OUTBOX, "audit_notes", {"for", "note"}, KIND_NO_BODY, NULL},
    {"recall/", "recall", {"bot", "segment", "stamp", "part"}, KIND_BYTES, NULL},
    {"", "other", {NULL}, KIND_BYTES, NULL},
};

unsigned record_kind_of(struct slice key)
{
    unsigned at = 0;

    // "user" is a whole key: no other begins with it.
    while (!slice_starts(key, slice_str(record_kinds[at].prefix)))
        at++;
    return at;
}
