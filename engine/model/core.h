// SPDX-License-Identifier: MIT
// core.h: core memory: who the assistant is to this user, and who the user is; small, and sent with
// every request. Edited by plan. Owned by one thread at a time.
#ifndef MODEL_CORE_H
#define MODEL_CORE_H

#include "model/safe_text.h"
#include <stdbool.h>
#include <stdint.h>

// Of each of the two; a policy allows less (model/memory_rules.h).
enum { CORE_TEXT_BYTES_MAX = 8 << 10 };

enum core_part { CORE_PERSONA, CORE_HUMAN, CORE_PARTS };
const char *core_part_word(enum core_part part);  // "persona" "human"

struct core_memory {
    struct safe_buf text[CORE_PARTS];  // owned; persona empty: the policy's text
    int64_t at_ms;                     // when either was changed last; 0: never
    uint64_t version;                  // the record's; 0: not stored yet
    bool dirty;                        // is to be put at its version
};

void core_init(struct core_memory *c);
void core_release(struct core_memory *c);
int core_copy(struct core_memory *out, const struct core_memory *c, struct err *err);
// Puts text in the place of a part; the same text changes nothing. E_REFUSED: it is too long, and
// the part is as it was; E_NOMEM.
int core_set(struct core_memory *c, enum core_part part, struct safe_text text, int64_t at_ms,
             struct err *err);
static inline struct safe_text core_text(const struct core_memory *c, enum core_part part)
{
    return safe_buf_text(&c->text[part]);
}

// Meta of key core/<bot>: {"at"}; body: {"persona":"…","human":"…"}, what is empty left out.
void core_write_meta(const struct core_memory *c, struct buf *out);
int core_read_meta(struct core_memory *c, struct slice meta, struct err *err);
void core_write_body(const struct core_memory *c, struct safe_buf *out);
// E_CORRUPT names the member; E_NOMEM.
int core_read_body(struct core_memory *c, struct safe_text body, struct err *err);

#endif
