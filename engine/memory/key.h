// SPDX-License-Identifier: MIT
// key.h: the sentences that tell most of a session, out of what its user said, by rules alone: for
// a journal that no model writes. They stay as they were said.
//
// A sentence is worth its words that say what it is about (no function words), each the more the
// fewer other sentences have it; more when it speaks of "I", "my" or "we", has a number or a name;
// nothing when it asks, or has less than KEY_WORDS_MIN words. Long ones are worth less than as much
// in few words. Those that say mostly what a better one says are left out.
//
// Deterministic. Adding takes time linear in what is added; choosing holds each sentence against
// those that were chosen before it, word by word, both in order: 1,024 of the longest, 40 words
// each, some 20 million steps. One thread.
#ifndef MEMORY_KEY_H
#define MEMORY_KEY_H

#include "model/safe_text.h"

enum {
    KEY_SENTENCES_MAX = 1024,
    KEY_WORDS_MIN = 4,
    KEY_SENTENCE_BYTES_MAX = 230,
};

struct key;
int key_new(struct key **out, struct err *err);  // E_NOMEM
void key_free(struct key *k);                    // NULL allowed
// What the user said next. Copied. E_NOMEM.
int key_add(struct key *k, struct safe_text text, struct err *err);
// A line as it is, as one sentence, judged by what stands behind `from`: a date or label in front
// of it says nothing. key_len tells whether it was taken.
int key_add_line(struct key *k, struct safe_text line, size_t from, struct err *err);
uint32_t key_len(const struct key *k);           // sentences that were taken
// The best, as key_choose has them: chosen[i] says it of the i-th that was taken.
void key_mark(const struct key *k, uint32_t most, size_t bytes_max,
              bool chosen[KEY_SENTENCES_MAX]);
// Appends the best, `most` at most, within so many bytes, to out: in the order in which they were
// said, a line each. E_NOMEM.
int key_choose(const struct key *k, uint32_t most, size_t bytes_max, struct safe_buf *out,
               struct err *err);

#endif
