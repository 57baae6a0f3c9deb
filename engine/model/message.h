// SPDX-License-Identifier: MIT
// message.h: content as blocks. What a user, an assistant or a tool said, independent of provider.
//
// A `struct content` owns its blocks and all their bytes in one allocation (so freeing or moving it
// is one step); blocks borrow from it. Its stored form is a JSON array, a step's body:
//   [{"type":"text","text":"…"}, {"type":"tool_use","id":"…","name":"…","input":{…}},
//    {"type":"tool_result","id":"…","text":"…","error":true},
//    {"type":"thinking","text":"…","signature":"…"},
//    {"type":"other","json":{…}}]
#ifndef MODEL_MESSAGE_H
#define MODEL_MESSAGE_H

#include "base/err.h"
#include "model/safe_text.h"
#include <stdbool.h>
#include <stdint.h>

enum role { ROLE_USER, ROLE_ASSISTANT };
const char *role_word(enum role r);  // "user", "assistant"

enum block_type { BLOCK_TEXT, BLOCK_TOOL_USE, BLOCK_TOOL_RESULT, BLOCK_THINKING, BLOCK_OTHER };
const char *block_type_word(enum block_type t);

struct block {
    enum block_type type;
    struct safe_text text;       // TEXT, THINKING, TOOL_RESULT
    struct safe_text id;         // TOOL_USE: its id; TOOL_RESULT: the id that it answers
    struct safe_text name;       // TOOL_USE
    struct safe_text json;       // TOOL_USE: input; OTHER: the provider's block, kept as it came
    struct safe_text signature;  // THINKING, may be empty
    bool is_error;               // TOOL_RESULT
};

enum { CONTENT_BLOCKS_MAX = 256, CONTENT_BYTES_MAX = 512 << 10 };

// What a content has in it. Kept beside the blocks, so that planning over ten thousand turns reads
// none of their texts.
enum content_has {
    CONTENT_WORDS = 1,       // it says something: a text with more than white space, or any other
                             // block but thinking, which is for nobody's ears
    CONTENT_TOOL_USE = 2,
    CONTENT_TOOL_RESULT = 4,
    CONTENT_BOUND = 8,       // a block that only the model that made it can read: thinking, or one
                             // of a provider's own
};

struct content {
    struct block *blocks;  // owned, with everything that they point to
    uint32_t len;
    uint32_t has;          // of enum content_has
};
#define CONTENT_NONE ((struct content){NULL, 0, 0})

// Copies blocks into a new content. E_REFUSED over a maximum, E_NOMEM.
int content_make(struct content *out, const struct block *blocks, uint32_t len, struct err *err);
// One text block.
int content_make_text(struct content *out, struct safe_text text, struct err *err);
int content_copy(struct content *out, const struct content *from, struct err *err);
// One over blocks as they are; they stay the caller's.
struct content content_over(struct block *blocks, uint32_t len);
void content_release(struct content *c);
bool content_empty(const struct content *c);  // no block, or only text blocks of length 0
// All text blocks joined by nothing, appended.
void content_text(const struct content *c, struct safe_buf *out);
size_t content_bytes(const struct content *c);  // of text and JSON in all blocks

void content_encode(const struct content *c, struct safe_buf *out);
// body comes from a stored record. E_CORRUPT says which block.
int content_decode(struct content *out, struct safe_text body, struct err *err);

#endif
