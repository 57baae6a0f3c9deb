// SPDX-License-Identifier: MIT
// book_forget.c: forgetting a fact in a book, with the knowledge that rests on it alone and
// whatever else tells them: by a user (forget_fact.c), or by a policy's plan (remember.c).
#include "turn/journal.h"
#include "turn/memory_int.h"

void forgotten_init(struct forgotten *f)
{
    f->lines = 0;
    vec_init(&f->ids, FACT_ID_BYTES, BOOK_SLOTS_MAX * SLOT_VALUES_MAX);
}

static int add(struct forgotten *f, const char *id, struct err *err)
{
    char *at = vec_push(&f->ids);
    if (!at)
        return err_set(err, E_NOMEM, "out of memory for what is forgotten");
    memcpy(at, id, FACT_ID_BYTES);
    return E_OK;
}

// All that is forgotten now, and was not in `before`, which still has the words.
static int clear_up(struct book *b, const struct fact_book *before, struct forgotten *out,
                    struct err *err)
{
    struct fact_at at = FACT_AT_START, now;
    int code = E_OK;
    while (!code && fact_book_next(before, &at)) {
        uint32_t lines = 0;
        if (at.fact->status == FACT_FORGOTTEN)
            continue;
        code = fact_book_find(b->facts, slice_str(at.fact->id), &now, err);
        if (code || now.fact->status != FACT_FORGOTTEN)
            continue;
        code = journal_forget_value(b, fact_value(at.fact), &lines, err);
        out->lines += lines;
        if (!code && strcmp(at.fact->id, vec_at(&out->ids, 0)) != 0)
            code = add(out, at.fact->id, err);
    }
    return code;
}

int book_forget(struct book *b, const char *id, int64_t now_ms, struct forgotten *out,
                struct err *err)
{
    struct fact_book *before = NULL;
    uint32_t count;
    vec_clear(&out->ids);
    out->lines = 0;
    int code = add(out, id, err);
    if (!code)
        code = fact_book_copy(&before, b->facts, err);
    if (!code)
        code = fact_book_forget(b->facts, id, now_ms, &count, err);
    if (!code)
        code = clear_up(b, before, out, err);
    fact_book_free(before);
    return code;
}
