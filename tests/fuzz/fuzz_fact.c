// SPDX-License-Identifier: MIT
// Slots of facts from bytes of strangers, the meta in the first line and the body behind it:
// refused with a reason, or what would be written again to the byte; and a book that holds such a
// slot takes candidates and forgets. Seeds lie in seeds/fact/.
#include "base/mem.h"
#include "memory/facts.h"
#include "model/safe_text_int.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static int digest_of(void *user, struct slice value, char out[FACT_SLOT_BYTES], struct err *err)
{
    uint64_t h = 14695981039346656037u;

    (void)user;
    (void)err;
    for (size_t i = 0; i < value.len; i++)
        h = (h ^ (unsigned char)value.ptr[i]) * 1099511628211u;
    snprintf(out, FACT_SLOT_BYTES, "%016llx%016llx", (unsigned long long)h, (unsigned long long)~h);
    return E_OK;
}

static void check_writing(const struct fact_slot *s, struct slice meta, struct slice body)
{
    struct buf m = BUF_INIT(RECORD_META_BYTES_MAX);
    struct safe_buf b;

    safe_buf_init(&b, 1 << 20);
    fact_slot_write(s, &m, &b);
    BUG_ON(!slice_eq(buf_slice(&m), meta) || !slice_eq(safe_slice(safe_buf_text(&b)), body));
    BUG_ON(fact_slot_bytes(s) < body.len);
    buf_release(&m);
    safe_buf_release(&b);
}

static void consider(struct fact_book *b, const struct fact_slot *s, struct safe_text value,
                     bool negates)
{
    struct fact_candidate c = {.subject = fact_slot_subject(s), .value = value,
                               .predicate = fact_slot_predicate(s), .session = "s", .turn = 7,
                               .end = 9, .at_ms = 1700000000000, .negates = negates};
    struct fact_considered out;

    memcpy(c.scope, s->scope, sizeof(c.scope));
    BUG_ON(fact_book_consider(b, &c, true, NULL, 1700000000001, &out, NULL));
}

// The slot's own name, so that it can be put.
static void name_slot(struct fact_book *scratch, struct fact_slot *s)
{
    consider(scratch, s, SAFE_LIT("anything"), false);
    if (fact_book_slots(scratch))
        memcpy(s->digest, fact_book_slot(scratch, 0)->digest, sizeof(s->digest));
}

static unsigned actives(const struct fact_book *b)
{
    return fact_book_count(b, TIER_FACT, FACT_ACTIVE);
}

static void check_book(struct fact_slot *s)
{
    struct fact_digest digest = {digest_of, NULL};
    struct fact_book *scratch, *b;
    struct fact_at at = FACT_AT_START;
    char id[FACT_ID_BYTES];
    uint32_t count;

    BUG_ON(fact_book_new(&scratch, "hello", &digest, NULL));
    BUG_ON(fact_book_new(&b, "hello", &digest, NULL));
    name_slot(scratch, s);
    if (fact_book_put_slot(b, s, NULL) == E_OK && fact_book_slots(b)) {
        consider(b, fact_book_slot(b, 0), SAFE_LIT("Berlin"), false);
        consider(b, fact_book_slot(b, 0), SAFE_LIT("Berlin"), true);
        consider(b, fact_book_slot(b, 0), SAFE_LIT("Paris"), false);
        BUG_ON(fact_book_slot(b, 0)->one && actives(b) > 1);
        while (fact_book_next(b, &at)) {
            memcpy(id, at.fact->id, sizeof(id));
            BUG_ON((fact_book_forget(b, id, 1800000000000, &count, NULL) == E_OK) != (count > 0));
        }
        BUG_ON(actives(b) > 0);
    }
    fact_book_free(scratch);
    fact_book_free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    const char *text = (const char *)bytes, *line = len ? memchr(text, '\n', len) : NULL;
    size_t at = line ? (size_t)(line - text) : len;
    struct slice meta = slice_of(text, at), body = slice_of(text + at, 0);
    struct fact_slot s;
    struct err err = ERR_INIT;

    if (line)
        body = slice_of(line + 1, len - at - 1);
    fact_slot_init(&s, TIER_FACT);
    int code = fact_slot_read(&s, meta, safe_text_vouch(body), &err);
    if (code) {
        BUG_ON(code != E_CORRUPT || !err.message[0] || s.facts.len);
    } else {
        check_writing(&s, meta, body);
        check_book(&s);
    }
    fact_slot_release(&s);
    return 0;
}
