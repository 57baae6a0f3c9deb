// SPDX-License-Identifier: MIT
// drift_int.h: what the files of the check share: drift_read.c (sentences, tokens) and drift.c (the
// source as a set, and what is looked up in it). Pure; any thread.
#ifndef MEMORY_DRIFT_INT_H
#define MEMORY_DRIFT_INT_H

#include "base/buf.h"
#include "memory/drift.h"

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_NUMBER, TOKEN_QUOTED, TOKEN_ADDRESS };

struct token {
    enum token_kind kind;
    struct slice text;     // of a quotation: its words
    bool capital;          // a word's first letter
    bool identifier;       // it has digits, an underscore or a capital further in
};
// The token at or after *at, which moves past it; TOKEN_END: there is none. *boundary: an address
// may begin here; true at the start of a text, then the reader's own.
struct token drift_next_token(struct slice text, size_t *at, bool *boundary);

bool drift_is_digit(int32_t c);
bool drift_is_space(int32_t c);
size_t drift_skip_spaces(struct slice text, size_t at);
// Appends text in lower case, marks of one meaning as one, white space as one space each.
void drift_fold_text(struct slice text, struct buf *out);

#endif
