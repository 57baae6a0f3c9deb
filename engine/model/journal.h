// SPDX-License-Identifier: MIT
// journal.h: a user's journal with one bot: an entry a session, told when the session ended, and
// one entry for all that is older. What stands in it, and how it is kept within its size, is
// memory/journal.h.
//
// A text is lines, "Topic: …" or a sentence, each ending in "\n": who forgets something takes the
// lines that tell it out, and the others stay as they are. There may be none: that there was a
// session is told all the same. Owned by one thread at a time.
#ifndef MODEL_JOURNAL_H
#define MODEL_JOURNAL_H

#include "base/clock.h"
#include "base/id.h"
#include "model/safe_text.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    JOURNAL_BYTES_MAX = 64 << 10,      // of a whole journal, as it is told: no policy asks for more
    JOURNAL_ENTRY_BYTES_MAX = 2 << 10, // one session's lines
    JOURNAL_LINE_BYTES_MAX = 240,
    JOURNAL_HEAD_BYTES = 48,           // an entry's first line, as it is told, is no longer
    // Older ones are condensed; so what one commit deletes is bounded (STORE_BATCH_ITEMS_MAX).
    JOURNAL_ENTRIES_MAX = 32,
    JOURNAL_BY_BYTES = 160,
};
// In the place of a session: what older entries were condensed to.
#define JOURNAL_EARLIER "earlier"

struct journal_entry {
    char session[ID_TEXT_BYTES];  // or JOURNAL_EARLIER
    int64_t from_ms, to_ms;       // the session's first and newest turn; of `earlier`: of all
    uint32_t turns;               // that counted
    uint32_t sessions;            // 1; of `earlier`: how many it was condensed from
    char by[JOURNAL_BY_BYTES];    // who wrote it: "rules", or "model:provider:model@hash of prompt"
    struct safe_buf text;         // owned: lines
    uint64_t version;             // the record's; 0: not stored yet
    bool dirty;                   // is to be put at its version
    bool gone;                    // is to be deleted
};

void journal_entry_init(struct journal_entry *e);
void journal_entry_release(struct journal_entry *e);
int journal_entry_copy(struct journal_entry *out, const struct journal_entry *e, struct err *err);
bool journal_entry_is_earlier(const struct journal_entry *e);
// As it is told: "2026-03-01, 14 turns:\n" and its lines; of `earlier` how many sessions.
void journal_entry_tell(const struct journal_entry *e, struct safe_buf *out);
// "2026-03-01": digits are nobody's data.
void journal_date(struct safe_buf *out, int64_t at_ms);
// How long it is as it is told, at most.
size_t journal_entry_bytes(const struct journal_entry *e);

// Meta of key journal/<bot>/<session>: {"from","to","turns","sessions","by"}; the body is the text.
void journal_entry_write_meta(const struct journal_entry *e, struct buf *out);
// Leaves session, which is in the key, and the text alone. E_CORRUPT names the member.
int journal_entry_read_meta(struct journal_entry *e, struct slice meta, struct err *err);
// Replaces the text. E_CORRUPT: it is none that was written; E_NOMEM.
int journal_entry_read_body(struct journal_entry *e, struct safe_text body, struct err *err);

// All of it, in the order of time, `earlier` first. Entries that are `gone` stay until whoever
// committed that calls journal_settle.
struct journal {
    struct journal_entry *list;   // owned
    uint32_t len, cap;
};
enum { JOURNAL_LIST_MAX = JOURNAL_ENTRIES_MAX + 8 };

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
// What was to be written is written: versions go on, what is gone is dropped.
void journal_settle(struct journal *j);

#endif
