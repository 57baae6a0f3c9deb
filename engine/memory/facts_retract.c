// SPDX-License-Identifier: MIT
// facts_retract.c: what was said in turns that were taken back goes out of a book. See facts.h.
#include "memory/facts_int.h"

struct retracting {
    struct fact_book *book;
    const char *session;
    bool (*is_gone)(void *user, uint32_t turn);
    void *user;
    int64_t now_ms;
    uint32_t *count;
};

static bool goes(const struct retracting *r, const struct fact_evidence *e)
{
    return strcmp(e->session, r->session) == 0 && r->is_gone(r->user, e->turn);
}

static bool any_goes(const struct retracting *r, const struct fact_slot *s)
{
    for (size_t n = 0; n < s->facts.len; n++) {
        const struct fact *f = fact_slot_at(s, n);

        for (size_t i = 0; i < f->evidence.len && f->status != FACT_FORGOTTEN; i++)
            if (goes(r, fact_evidence_at(f, i)))
                return true;
    }
    return false;
}

// Returns whether nothing is left that the fact rests on.
static bool take_evidence(const struct retracting *r, struct fact *f)
{
    for (size_t i = 0; i < f->evidence.len;) {
        if (goes(r, fact_evidence_at(f, i)))
            evidence_remove(f, i);
        else
            i++;
    }
    return f->evidence.len == 0;
}

static int retract_fact(const struct retracting *r, struct fact_slot *s, size_t n, struct err *err)
{
    char id[FACT_ID_BYTES];
    struct fact *f = fact_slot_at(s, n);

    memcpy(id, f->id, sizeof(id));
    fact_release(f);
    vec_remove(&s->facts, n);
    (*r->count)++;
    return forget_conclusions(r->book, id, r->now_ms, r->count, err);
}

// Whether a value of one took the place of a value of the other.
static bool follow(const struct fact_slot *a, const struct fact_slot *b)
{
    for (size_t i = 0; i < a->facts.len; i++)
        if (fact_slot_at(a, i)->by[0] && fact_slot_find(b, fact_slot_at(a, i)->by))
            return true;
    return false;
}

// Slots that became one by an alias know each other by what took the place of what.
static void find_group(const struct fact_book *b, uint32_t at, struct group *out)
{
    const struct fact_slot *s = book_slot(b, at);

    *out = (struct group){.at = {at}, .len = 1};
    for (uint32_t i = 0; s->one && i < b->entries.len && out->len < GROUP_MAX; i++) {
        const struct fact_slot *other = book_slot(b, i);

        if (i != at && other->tier == s->tier && (follow(s, other) || follow(other, s)))
            out->at[out->len++] = i;
    }
}

static int retract_slot(const struct retracting *r, uint32_t at, struct err *err)
{
    struct fact_slot *slots[GROUP_MAX], *s;
    struct group group;
    int code = E_OK;

    find_group(r->book, at, &group);
    for (uint32_t i = 0; i < group.len && !code; i++)
        code = book_own(r->book, group.at[i], &slots[i], err);
    s = slots[0];
    for (size_t n = 0; !code && n < s->facts.len;) {
        struct fact *f = fact_slot_at(s, n);

        if (f->status != FACT_FORGOTTEN && take_evidence(r, f))
            code = retract_fact(r, s, n, err);
        else
            n++;
    }
    if (!code)
        code = facts_settle_periods(slots, group.len, s->one, r->now_ms, err);
    if (!code && fact_slot_count(s, FACT_QUARANTINED))
        slot_is_due(s, r->now_ms);
    return code;
}

int fact_book_retract(struct fact_book *b, const char *session,
                      bool (*is_gone)(void *user, uint32_t turn), void *user, int64_t now_ms,
                      uint32_t *count, struct err *err)
{
    const struct retracting r = {b, session, is_gone, user, now_ms, count};
    int code = E_OK;

    *count = 0;
    for (uint32_t i = 0; i < b->entries.len && !code; i++) {
        const struct fact_slot *s = book_slot(b, i);

        if (s->tier == TIER_FACT && any_goes(&r, s))
            code = retract_slot(&r, i, err);
    }
    return code;
}
