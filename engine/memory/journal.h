// SPDX-License-Identifier: MIT
// journal.h: what a journal's entry says, how a journal is kept within its size, and how what was
// forgotten goes out of it. By rules alone, and deterministic; a model may write the words instead
// (turn/journal.h), the rest is the same.
//
//   Topic: the move to Bergen
//   Decided: to take the night train
//   Changed: lives in: Bergen (before: Oslo)
//   New: works as: a nurse
//   Open: Which school for the children?
//   Said: … a sentence of the session's summary, or of what the user said (memory/key.h) …
//
// Pure; one thread at a time.
#ifndef MEMORY_JOURNAL_H
#define MEMORY_JOURNAL_H

#include "model/journal.h"

enum journal_change { JOURNAL_DECIDED, JOURNAL_CHANGED, JOURNAL_NEW };

// What was learnt of the user in a session.
struct journal_fact {
    enum journal_change change;
    struct safe_text subject;    // empty: the user
    struct safe_text predicate;  // "lives_in": told as "lives in"
    struct safe_text value;
    struct safe_text before;     // the value that it superseded; empty: none
};
// What an entry is made of. All is borrowed.
struct journal_source {
    const char *session;
    const char *context;         // its hash; NULL: nobody knows it
    int64_t from_ms, to_ms;
    uint32_t turns;
    struct safe_text topic;      // empty: none is known
    const struct safe_text *open;  // questions
    uint32_t open_len;
    const struct journal_fact *facts;
    uint32_t facts_len;
    struct safe_text summary;    // empty: there is none
};
// Fills *out, which is empty, within JOURNAL_SESSION_BYTES_MAX: what comes first counts most.
// E_NOMEM.
int journal_compose(const struct journal_source *s, struct journal_entry *out, struct err *err);
// Appends text as one line of at most JOURNAL_LINE_BYTES_MAX: what ends lines becomes spaces. Empty
// text: no line.
void journal_add_line(struct safe_buf *out, struct safe_text label, struct safe_text text);

// ---- within a size

// What must go into `earlier`, so that a journal is within `cap` bytes, with room for some entries
// more. False: nothing, it is within them already.
struct journal_fold {
    uint32_t entries;            // the oldest so many, beside `earlier`
    size_t room;                 // bytes for the text of `earlier`
};
bool journal_over(const struct journal *j, size_t cap, struct journal_fold *fold);
// Puts text (a model's lines, within fold->room) in the place of `earlier` and these, and cuts the
// newest entry if it alone is too long for `cap`. E_NOMEM.
int journal_fold(struct journal *j, const struct journal_fold *fold, struct safe_text text,
                 const char *by, size_t cap, struct err *err);
// All of it by rules: of each entry its topic, decisions and changes, or its first line, the newest
// that find room; and of the other lines, of all of these together, as many of those that tell
// most (memory/key.h) as there is room left. So what is old grows thinner from fold to fold, and
// the best of it stays. After it journal_bytes is at most cap; again, it changes nothing. E_NOMEM.
int journal_condense(struct journal *j, size_t cap, struct err *err);

// Whether the session is told, in an entry or in `earlier`, and how many turns counted then.
bool journal_tells(const struct journal *j, const char *session, uint32_t *turns);
// Takes out of `earlier` what it tells of a session, which is told anew, in an entry, with so many
// turns. What a model wrote of several sessions together stays, unless turns of this one were taken
// back: then all of that goes. E_NOMEM.
int journal_unfold(struct journal *j, const char *session, uint32_t turns, struct err *err);

// ---- what was forgotten

// Whether a line tells a value: a name or number of it, or half of its words, whatever their
// endings. Rather too often: a line less is no loss, a line that tells what was forgotten is one.
// Of text the lines that do not tell it are appended to out; *lines: how many do. E_NOMEM.
int journal_strip(struct safe_text text, struct safe_text value, struct safe_buf *out,
                  uint32_t *lines, struct err *err);
// The same of all entries; those that change are dirty. *lines is added to. E_NOMEM.
int journal_forget(struct journal *j, struct safe_text value, uint32_t *lines, struct err *err);

#endif
