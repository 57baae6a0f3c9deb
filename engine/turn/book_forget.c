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

// What is forgotten of a slot, and was not in `before`, which still has the words.
static int clear_slot(struct book *b, const struct fact_slot *before, const struct fact_slot *now,
                      struct forgotten *out, struct err *err)
{
    int code = E_OK;
    for (size_t i = 0; i < before->facts.len && !code; i++) {
        const struct fact *was = fact_slot_at(before, i), *is = fact_slot_at(now, i);
        uint32_t lines = 0;
        if (was->status == FACT_FORGOTTEN || is->status != FACT_FORGOTTEN)
            continue;
        code = journal_forget_value(b, fact_value(was), &lines, err);
        out->lines += lines;
        if (!code && strcmp(was->id, vec_at(&out->ids, 0)) != 0)
            code = add(out, was->id, err);
    }
    return code;
}

// Forgetting takes no slot and no fact away; slots that it leaves alone are the same in both.
static int clear_up(struct book *b, const struct fact_book *before, struct forgotten *out,
                    struct err *err)
{
    int code = E_OK;
    for (uint32_t i = 0; i < fact_book_slots(before) && !code; i++) {
        const struct fact_slot *was = fact_book_slot(before, i), *is = fact_book_slot(b->facts, i);
        if (was != is)
            code = clear_slot(b, was, is, out, err);
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
