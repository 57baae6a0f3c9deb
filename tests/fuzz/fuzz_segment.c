// SPDX-License-Identifier: MIT
// Segments of the recall index from bytes of strangers: refused with a reason, or sound: they can
// be asked, forgotten from, and written again, which changes nothing more from the second time on.
// Seeds lie in seeds/segment/.
#include "base/mem.h"
#include "memory/recall_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static char *copy_of(struct slice s)
{
    char *copy = mem_alloc(s.len);
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    return copy;
}

// Writes the segment again without what is dead.
static struct segment *rewritten(struct segment *s)
{
    const struct segment_about about = {s->partition, s->bot, s->dims, s->space};
    struct segment *out;
    char *bytes;
    size_t len;

    BUG_ON(segment_merge(&s, 1, s->level, &about, &bytes, &len, NULL));
    BUG_ON(segment_parse(&out, bytes, len, NULL));
    return out;
}

static void check_rewriting(struct segment *s)
{
    struct segment *once = rewritten(s), *twice = rewritten(once);

    BUG_ON(once->docs_len != s->docs_len || once->vectors_len != s->vectors_len);
    BUG_ON(once->terms_len != s->terms_len);
    BUG_ON(!slice_eq(slice_of(once->bytes, once->bytes_len),
                     slice_of(twice->bytes, twice->bytes_len)));
    segment_free(once);
    segment_free(twice);
}

static void check_asking(const struct segment *s, struct slice bytes)
{
    const struct recall_scope scope = {s->partition, s->bot, SLICE_NONE, SLICE_NONE};
    const struct recall_space space = {s->dims, s->space};
    struct recall_hit hits[5];
    struct recall_change change;
    struct recall *r;
    uint32_t len;
    float vector[SEGMENT_DIMS_MAX];

    if (recall_new(&r, &scope, &space, NULL))
        return;
    BUG_ON(recall_load(r, 1, copy_of(bytes), bytes.len, NULL));
    for (uint32_t i = 0; i < s->dims; i++)
        vector[i] = (float)(i % 7) - 3;
    struct recall_query q = {.scope = scope,
                             .text = SLICE_LIT("what did Ann say of tee and garden in May 2023?"),
                             .vector = vector,
                             .now_ms = 1700000000000,
                             .k = 5,
                             .explain = true};
    for (int pass = 0; pass < 2; pass++) {
        BUG_ON(recall_query(r, &q, hits, &len, NULL) || len > 5);
        for (uint32_t i = 1; i < len; i++)
            BUG_ON(hits[i].score > hits[i - 1].score);
        if (len)
            recall_forget(r, hits[0].session, hits[0].turn, hits[0].turn);
        BUG_ON(recall_purge(r, &change, NULL) < 0);
    }
    recall_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct slice all = slice_of((const char *)bytes, len);
    struct segment *s;
    struct err err = ERR_INIT;

    if (segment_parse(&s, copy_of(all), len, &err)) {
        BUG_ON(err.code != E_CORRUPT || err.message[0] == '\0' || s != NULL);
        return 0;
    }
    check_rewriting(s);
    check_asking(s, all);
    segment_free(s);
    return 0;
}
