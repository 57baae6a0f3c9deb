// SPDX-License-Identifier: MIT
// journal_int.h: what the files of journals share: journal.c (what an entry says), journal_fold.c
// (how a journal is kept within its size), journal_forget.c (what goes out of it).
#ifndef MEMORY_JOURNAL_INT_H
#define MEMORY_JOURNAL_INT_H

#include "memory/journal.h"

#include <string.h>

// The line that begins at `at`, with its end.
static inline size_t journal_line_len(struct safe_text text, size_t at)
{
    const char *end = memchr(text.ptr + at, '\n', text.len - at);

    return end ? (size_t)(end - text.ptr) + 1 - at : text.len - at;
}
// The longest beginning of whole lines within so many bytes.
size_t journal_fit(struct safe_text text, size_t room);

// The lines of `earlier` that are those of of[i]; i == of.len: that a model wrote of several
// together. Borrowed.
struct safe_text journal_part(const struct journal_entry *earlier, size_t i);
// told: how many of each part's lines went; mixed: how many are left of those of several together.
// Who has none any more goes.
void journal_of_forgets(struct journal_entry *earlier, const uint32_t *told, uint32_t mixed);

#endif
