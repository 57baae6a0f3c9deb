// SPDX-License-Identifier: MIT
// journal.h: what the journal says of a session, written when that is over. Of a run that has its
// user's key, its policy and its masks (mask_prepare), as background.h wants them.
//
//   summary read, or what the user said in sentences (journal_said.c)
//                ─▶ [a model: turns read ─▶ asked ─▶ held against them] ─▶ one commit:
//                        └ not allowed, late, wrong: by rules ──────────▶   entry, older ones
//                                                                           condensed, `learnt`
//
// Invariants:
//   1. A session has one entry, and what is committed with it says so (learnt.journal): told again,
//      it is the same entry.
//   2. What a model wrote was held against what was said (memory/drift.h), and against the facts as
//      they are when it is committed: if they changed meanwhile, rules write the entry.
//   3. Of a session in which something was said that is forgotten by now, only facts are told.
//   4. The journal is within the policy's size when the commit is over.
#ifndef TURN_JOURNAL_H
#define TURN_JOURNAL_H

#include "turn/turn_int.h"

struct book;
struct learnt;                         // model/memory.h

// head: the session's; it and *learnt are borrowed until `then`. learnt: as it is to be, put in the
// same commit with `journal` set; its version is filled in. use_model: one may be asked, if the
// policy has it. A policy without a journal: `then` with E_OK, and nothing was written.
// Calls `then` once, later: E_OK; E_CONFLICT, E_CANCELLED (drain): again another time; E_STORE,
// E_NOMEM, E_ERASED, E_CORRUPT.
typedef void journal_then(struct run *run, int code, const struct err *err);
void journal_of_session(struct run *run, const struct session_head *head, struct learnt *learnt,
                        bool use_model, journal_then *then);

// Quotes what journal_entry_tell told, which ends with a line.
void journal_quote(struct safe_buf *out, struct safe_text told);
// For a book_change's apply: the lines of all entries, and of core memory, that tell this value go
// (memory/journal.h says which). *lines of them. E_NOMEM, E_REFUSED.
int journal_forget_value(struct book *b, struct safe_text value, uint32_t *lines, struct err *err);

#endif
