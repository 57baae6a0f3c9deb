// SPDX-License-Identifier: MIT
// journal.h: a user's journal with one bot in order: an entry a session (model/memory.h), told when
// the session ended, and one entry for all that is older. What stands in it, and how it is kept
// within its size, is memory/journal.h. Owned by one thread at a time.
//
// A text is lines, "Topic: …" or a sentence: who forgets something takes the lines that tell it
// out, and the others stay as they are.
#ifndef MODEL_JOURNAL_H
#define MODEL_JOURNAL_H

#include "model/memory.h"

enum {
    JOURNAL_BYTES_MAX = 64 << 10,      // of a whole journal, as it is told: no policy asks for more
    JOURNAL_SESSION_BYTES_MAX = 4 << 10,  // one session's lines
    JOURNAL_LINE_BYTES_MAX = 240,
    JOURNAL_HEAD_BYTES = 48,           // an entry's first line, as it is told, is no longer
    // Older ones are condensed; so what one commit deletes is bounded (STORE_BATCH_ITEMS_MAX).
    JOURNAL_KEPT_MAX = 32,
    JOURNAL_LIST_MAX = JOURNAL_KEPT_MAX + 8,
};

bool journal_entry_is_earlier(const struct journal_entry *e);
// Whether it tells of sessions of the context with this hash, and of no other.
bool journal_entry_is_of(const struct journal_entry *e, const char *context);
// As it is told: "2026-03-01, 14 turns:\n" and its lines; of `earlier` how many sessions.
void journal_entry_tell(const struct journal_entry *e, struct safe_buf *out);
// "2026-03-01": digits are nobody's data.
void journal_date(struct safe_buf *out, int64_t at_ms);
// How long it is as it is told, at most.
size_t journal_entry_bytes(const struct journal_entry *e);

// All of it, in the order of time, `earlier` first. Entries that are `gone` stay until whoever
// committed that calls journal_settle.
struct journal {
    struct journal_entry *list;   // owned
    uint32_t len, cap;
};

void journal_init(struct journal *j);
void journal_release(struct journal *j);
int journal_copy(struct journal *out, const struct journal *j, struct err *err);
// Takes what *e holds, in the place of the session's entry if there is one, whose version it gets.
// E_REFUSED: there are JOURNAL_LIST_MAX; E_NOMEM: *e is then still the caller's.
int journal_put(struct journal *j, struct journal_entry *e, struct err *err);
// NULL: there is none, or it is gone.
struct journal_entry *journal_find(const struct journal *j, const char *session);
// As all that is not gone is told.
size_t journal_bytes(const struct journal *j);
bool journal_is_dirty(const struct journal *j);  // something is to be put or deleted
// What was to be written is written, and has its new versions; what is gone is dropped.
void journal_settle(struct journal *j);

#endif
