// SPDX-License-Identifier: MIT
// facts_forget.c: forgetting a fact, and what rests on it. Nothing else changes: what a value took
// the place of does not come back with it. And knowledge that its facts bear no more. See facts.h.
#include "memory/facts_int.h"

#include <stdlib.h>
#include <string.h>

static void forget_fact(struct fact *f, int64_t now_ms)
{
    f->status = FACT_FORGOTTEN;
    f->forgotten_at_ms = f->retired_at_ms = now_ms;
    f->valid_from_ms = f->valid_to_ms = f->confirmed_at_ms = 0;
    f->confirmations = 0;
    f->by[0] = '\0';
    safe_buf_release(&f->value);
    safe_buf_init(&f->value, FACT_VALUE_BYTES_MAX);
    vec_release(&f->earlier);
    vec_init(&f->earlier, sizeof(struct fact_period), FACT_PERIODS_MAX);
    vec_clear(&f->turns);
    for (size_t i = 0; i < f->evidence.len; i++) {
        struct fact_evidence *e = VEC_AT(&f->evidence, struct fact_evidence, i);

        e->valid_from_ms = e->valid_to_ms = 0;
        e->extractor[0] = e->policy[0] = '\0';
    }
}

// How much of the evidence is another fact's; and whether that is of two sessions.
static uint32_t rests_on_others(const struct fact *f, const char *id, bool *of_two)
{
    const char *first = NULL;
    uint32_t n = 0;

    *of_two = false;
    for (size_t i = 0; i < f->evidence.len; i++) {
        const struct fact_evidence *e = fact_evidence_at(f, i);

        if (strcmp(e->fact, id) == 0)
            continue;
        *of_two |= first && strcmp(first, e->session) != 0;
        first = e->session;
        n++;
    }
    return n;
}

static void quarantine(struct fact_slot *s, struct fact *f, int64_t now_ms)
{
    if (f->status != FACT_QUARANTINED)
        f->recorded_at_ms = now_ms;
    slot_is_due(s, now_ms);
    f->status = FACT_QUARANTINED;
    f->valid_from_ms = f->valid_to_ms = f->retired_at_ms = f->confirmed_at_ms = 0;
    f->confirmations = 0;
    f->by[0] = '\0';
    vec_clear(&f->earlier);
    vec_clear(&f->turns);
}

// What it rested on is gone: it goes with it; or it is quarantined until facts of two sessions bear
// it again.
static void take_evidence(struct fact_slot *s, struct fact *f, const char *id, int64_t now_ms,
                          uint32_t *count)
{
    bool of_two;
    uint32_t others = rests_on_others(f, id, &of_two);

    if (!others) {
        forget_fact(f, now_ms);
        (*count)++;
        return;
    }
    if (!of_two)
        quarantine(s, f, now_ms);
    for (size_t i = 0; i < f->evidence.len;) {
        struct fact_evidence *e = VEC_AT(&f->evidence, struct fact_evidence, i);

        e->supported &= of_two;
        if (strcmp(e->fact, id) == 0)
            vec_remove(&f->evidence, i);
        else
            i++;
    }
}

int forget_conclusions(struct fact_book *b, const char *id, int64_t now_ms, uint32_t *count,
                       struct err *err)
{
    int code = E_OK;

    for (uint32_t i = 0; i < b->entries.len && !code; i++) {
        struct fact_slot *s = book_slot(b, i);

        for (size_t n = 0; n < s->facts.len && s->tier == TIER_KNOWLEDGE && !code; n++) {
            bool of_two;
            const struct fact *f = fact_slot_at(s, n);

            if (f->status == FACT_FORGOTTEN ||
                rests_on_others(f, id, &of_two) == f->evidence.len)
                continue;
            code = book_own(b, i, &s, err);
            if (!code)
                take_evidence(s, fact_slot_at(s, n), id, now_ms, count);
        }
    }
    return code;
}

int fact_book_forget(struct fact_book *b, const char *id, int64_t now_ms, uint32_t *count,
                     struct err *err)
{
    *count = 0;
    for (uint32_t i = 0; i < b->entries.len; i++) {
        struct fact_slot *s = book_slot(b, i);
        const struct fact *f = fact_slot_find(s, id);

        if (!f || f->status == FACT_FORGOTTEN)
            continue;
        int code = book_own(b, i, &s, err);
        if (code)
            return code;
        forget_fact(fact_slot_find(s, id), now_ms);
        *count = 1;
        return forget_conclusions(b, id, now_ms, count, err);
    }
    return err_set(err, E_NOT_FOUND, "no fact %s; `parley memory` lists them", id);
}

// ---- knowledge that its facts do not bear any more

static int by_id(const void *a, const void *b)
{
    return strcmp(a, b);
}

// The ids of facts that are active, or of all that are not forgotten, in order; out is the caller's
// to release.
static int ids_of(const struct fact_book *b, bool active, struct vec *out, struct err *err)
{
    struct fact_at at = FACT_AT_START;

    vec_init(out, FACT_ID_BYTES, (size_t)BOOK_SLOTS_MAX * SLOT_VALUES_MAX);
    while (active ? fact_book_next_active(b, &at) : fact_book_next(b, &at)) {
        if (at.slot->tier != TIER_FACT || at.fact->status == FACT_FORGOTTEN)
            continue;
        char *id = vec_push(out);
        if (!id)
            return err_set(err, E_NOMEM, "out of memory for a user's facts");
        memcpy(id, at.fact->id, FACT_ID_BYTES);
    }
    if (out->len)
        qsort(out->ptr, out->len, FACT_ID_BYTES, by_id);
    return E_OK;
}

static bool is_among(const struct vec *ids, const char *id)
{
    return ids->len && bsearch(id, ids->ptr, ids->len, FACT_ID_BYTES, by_id);
}

static bool is_borne(const struct vec *ids, const struct fact *f)
{
    const char *first = NULL;

    for (size_t i = 0; i < f->evidence.len; i++) {
        const struct fact_evidence *e = fact_evidence_at(f, i);

        if (!is_among(ids, e->fact))
            continue;
        if (first && strcmp(first, e->session) != 0)
            return true;
        first = e->session;
    }
    return false;
}

static bool names_what_is_gone(const struct vec *there, const struct fact *f)
{
    for (size_t i = 0; i < f->evidence.len && f->status != FACT_FORGOTTEN; i++)
        if (!is_among(there, fact_evidence_at(f, i)->fact))
            return true;
    return false;
}

// What was dropped, or found no room, is named by no knowledge; what rested on it alone goes.
static int drop_dangling(struct fact_book *b, uint32_t at, const struct vec *there, struct err *err)
{
    struct fact_slot *s = book_slot(b, at);

    for (size_t n = s->facts.len; n > 0; n--) {
        if (!names_what_is_gone(there, fact_slot_at(s, n - 1)))
            continue;
        int code = book_own(b, at, &s, err);
        if (code)
            return code;
        struct fact *own = fact_slot_at(s, n - 1);
        for (size_t i = own->evidence.len; i > 0; i--)
            if (!is_among(there, fact_evidence_at(own, i - 1)->fact))
                vec_remove(&own->evidence, i - 1);
        if (own->evidence.len)
            continue;
        fact_release(own);
        vec_remove(&s->facts, n - 1);
    }
    return E_OK;
}

static int retire_from(struct fact_book *b, uint32_t at, const struct vec *active, int64_t now_ms,
                       uint32_t *retired, struct err *err)
{
    struct fact_slot *s = book_slot(b, at);

    for (size_t n = 0; n < s->facts.len; n++) {
        const struct fact *f = fact_slot_at(s, n);

        if (f->status != FACT_ACTIVE || is_borne(active, f))
            continue;
        int code = book_own(b, at, &s, err);
        if (code)
            return code;
        struct fact *own = fact_slot_at(s, n);
        for (size_t e = 0; e < own->evidence.len; e++)
            VEC_AT(&own->evidence, struct fact_evidence, e)->supported = false;
        quarantine(s, own, now_ms);
        ++*retired;
    }
    return E_OK;
}

static bool has_knowledge(const struct fact_book *b)
{
    return b->entries.len && book_slot(b, (uint32_t)b->entries.len - 1)->tier == TIER_KNOWLEDGE;
}

int fact_book_retire_unborne(struct fact_book *b, int64_t now_ms, uint32_t *count,
                             struct err *err)
{
    uint32_t retired = 0;
    struct vec there = VEC_INIT(char[FACT_ID_BYTES], 0), active = there;
    bool any = has_knowledge(b);
    int code = any ? ids_of(b, false, &there, err) : E_OK;

    if (!code && any)
        code = ids_of(b, true, &active, err);
    for (uint32_t i = 0; i < b->entries.len && any && !code; i++) {
        if (book_slot(b, i)->tier != TIER_KNOWLEDGE)
            continue;
        // What cannot be read may be it.
        if (!fact_book_damaged(b))
            code = drop_dangling(b, i, &there, err);
        if (!code)
            code = retire_from(b, i, &active, now_ms, &retired, err);
    }
    vec_release(&there);
    vec_release(&active);
    if (count)
        *count = retired;
    return code;
}

// ---- quarantine, and that it is over

void slot_is_due(struct fact_slot *s, int64_t now_ms)
{
    if (!s->due_at_ms || s->due_at_ms > now_ms)
        s->due_at_ms = now_ms;
}

static uint32_t drop_from(struct fact_slot *s, int64_t before_ms)
{
    uint32_t count = 0;

    for (size_t i = s->facts.len; i > 0; i--) {
        struct fact *f = fact_slot_at(s, i - 1);

        if (f->status != FACT_QUARANTINED || f->recorded_at_ms > before_ms)
            continue;
        fact_release(f);
        vec_remove(&s->facts, i - 1);
        count++;
    }
    return count;
}

int fact_book_drop_quarantined(struct fact_book *b, const struct memory_rules *rules,
                               int64_t now_ms, uint32_t *count, struct err *err)
{
    int code = E_OK;

    *count = 0;
    for (uint32_t i = 0; i < b->entries.len && !code; i++) {
        struct fact_slot *s = book_slot(b, i);
        int64_t due_at_ms = fact_slot_due_at(s, rules->quarantine_ms);

        // Rules that changed say anew when it is due.
        if (due_at_ms == s->due_at_ms && (!due_at_ms || due_at_ms > now_ms))
            continue;
        code = book_own(b, i, &s, err);
        if (code)
            break;
        if (due_at_ms)
            *count += drop_from(s, now_ms - rules->quarantine_ms);
        s->due_at_ms = fact_slot_due_at(s, rules->quarantine_ms);
    }
    return code;
}
