// SPDX-License-Identifier: MIT
// recall_sync.h: the memories of an index made those that there are: facts, knowledge, lines of the
// journal. What is remembered is the truth (memory/facts.h and the journal); an index is a view of
// it, made true in a pass:
//
//   recall_sync_begin ─▶ recall_sync_keep, once for each that there is ─▶ recall_sync_end
//
// A memory is known by its kind, its name, its part (item.step: a line of the journal) and its
// stamp, which follows from its text, its scope and the day of its confirmation. So one that says
// something else now is another one. A pass adds what lacks and forgets what is not kept: whatever
// became of passes before, of segments that were lost or came twice, the index then holds each
// memory once, and nothing else but messages.
//
// Nothing of the index may be changed by others during a pass. No I/O; one thread.
#ifndef MEMORY_RECALL_SYNC_H
#define MEMORY_RECALL_SYNC_H

#include "memory/recall.h"

enum { RECALL_NAME_BYTES = 40 };  // of a memory's name, and a NUL

struct recall_sync;
// A pass over all, with only_len 0; else over memories of these names alone, where no other one has
// changed since the pass before: it costs what those do, and a glance at each document. `only` is
// borrowed until this returns. E_NOMEM.
int recall_sync_begin(struct recall_sync **out, struct recall *r, const struct slice *only,
                      size_t only_len, struct err *err);
// item->turn is set to its stamp. As recall_add: E_REFUSED where there is no room for another one
// now, and then the next pass adds it. Never twice the same kind, name and part in one pass.
int recall_sync_keep(struct recall_sync *s, struct recall_item *item, struct err *err);
// Forgets the rest (none, if `give_up`: what was added stays), and frees s (NULL allowed). Returns
// how many.
uint32_t recall_sync_end(struct recall_sync *s, bool give_up);

uint32_t recall_stamp(const struct recall_item *item);

#endif
