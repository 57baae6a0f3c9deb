// SPDX-License-Identifier: MIT
// merge.h: the tokens of one piece. See merge.c for how.
#ifndef TOKENS_MERGE_H
#define TOKENS_MERGE_H

#include "base/err.h"
#include "tokens/encoding.h"
#include "tokens/image.h"

#include <stddef.h>

// A vocabulary's tables; borrows them from the image.
struct vocabulary {
    const struct token *tokens;
    const struct trie_node *nodes;
    const uint32_t *pairs;
    const struct word *words;
    uint32_t pair_mask;
    uint32_t tokens_len;
    const uint8_t *bytes;
};
struct vocabulary vocabulary_of(const struct image_vocabulary *v);

// What encodes: one text at a time, in one thread.
struct merger {
    struct vocabulary vocabulary;
    bool keep;             // the ids of all pieces; else only of the last one that needed merging
    struct token_ids ids;  // owned
    size_t count;          // tokens so far
    uint64_t *dead;        // owned: bits of a long piece, see merge.c
    size_t dead_words;
    uint64_t steps;        // tokens that were tried: what the time is in proportion to
};
void merger_release(struct merger *m);
// Adds the tokens of n pieces, which follow one another from p on and have these lengths, > 0; end
// is that of the text. E_NOMEM: m can only be released.
int merger_add(struct merger *m, const uint8_t *p, const uint8_t *end, const uint32_t *lengths,
               size_t n, struct err *err);
// Adds one token.
int merger_add_token(struct merger *m, uint32_t id, struct err *err);

// All of a text (encoding.c). Sets m up, but for `keep`, which the caller has set in an m that is
// otherwise zeroed, and releases it with merger_release in any case.
int merger_add_text(struct merger *m, const struct encoding *e, struct slice text, unsigned flags,
                    struct err *err);

#endif
