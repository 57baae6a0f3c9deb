// SPDX-License-Identifier: MIT
// encoding.h: the tokens of a text, exactly, where a model's vocabulary is public.
//
// An encoding is a vocabulary with its rules; the result is that of its authors' own encoder,
// tiktoken, for any text. It takes time in proportion to the text, whatever the text. The
// vocabularies are in the binary (image.h); nothing is loaded or cached. Any thread.
//
// Text that is not valid UTF-8 counts as it would reach an encoder that takes only such text: each
// maximal ill-formed part is U+FFFD (Unicode 15, 3.9, as in WHATWG's decoders), and a byte order
// mark is a character. NUL is a character. Special tokens ("<|endoftext|>") are text like any other
// unless ENCODING_SPECIAL is set.
#ifndef TOKENS_ENCODING_H
#define TOKENS_ENCODING_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

enum {
    ENCODING_BYTES_MAX = 64 << 20,  // of one text
    ENCODING_SPECIAL = 1,           // a flag: special tokens in the text are those tokens
};

struct encoding;
// "cl100k_base", "o200k_base"; NULL when there is no such encoding.
const struct encoding *encoding_find(struct slice name);
// The i-th, NULL after the last.
const struct encoding *encoding_at(size_t i);
const char *encoding_name(const struct encoding *e);

// E_REFUSED over ENCODING_BYTES_MAX. E_NOMEM: only for a text that is ill-formed, or that has a
// word of more than a few hundred bytes, is any memory needed.
int encoding_count(const struct encoding *e, struct slice text, unsigned flags, uint32_t *tokens,
                   struct err *err);

struct token_ids {
    uint32_t *ptr;  // owned
    size_t len, cap;
};
#define TOKEN_IDS_INIT {0}
void token_ids_release(struct token_ids *ids);
// Appends the tokens' ids. On failure *ids is as it was.
int encoding_encode(const struct encoding *e, struct slice text, unsigned flags,
                    struct token_ids *ids, struct err *err);
// Appends what the token stands for. false: there is no such token.
bool encoding_decode(const struct encoding *e, uint32_t id, struct buf *out);

#endif
