// SPDX-License-Identifier: MIT
// facts_evidence.c: what a fact rests on, and how much of it is kept. See facts_int.h.
#include "memory/facts_int.h"

enum { FACT_ROOM_BYTES = 8 << 10 };  // more than one fact ever takes in a slot's record

static uint32_t turn_hash(const struct fact_evidence *e)
{
    uint32_t h = 2166136261u;  // FNV-1a

    for (const char *c = e->session; *c; c++)
        h = (h ^ (unsigned char)*c) * 16777619u;
    for (unsigned i = 0; i < 4; i++)
        h = (h ^ (e->turn >> (8 * i) & 0xff)) * 16777619u;
    return h;
}

static bool has_turn(const struct fact *f, uint32_t hash)
{
    for (size_t i = 0; i < f->turns.len; i++)
        if (*VEC_AT(&f->turns, uint32_t, i) == hash)
            return true;
    return false;
}

static bool says_so(const struct fact_evidence *e)
{
    return e->supported && !e->negates;
}

static bool counts(const struct fact *f, const struct fact_evidence *e)
{
    return says_so(e) && f->turns.len < FACT_TURNS_MAX && !has_turn(f, turn_hash(e));
}

static bool same_source(const struct fact_evidence *a, const struct fact_evidence *b)
{
    return a->turn == b->turn && a->step == b->step && a->author == b->author &&
           a->negates == b->negates && strcmp(a->session, b->session) == 0 &&
           strcmp(a->fact, b->fact) == 0;
}

static struct fact_evidence *find_evidence(const struct fact *f, const struct fact_evidence *e)
{
    for (size_t i = 0; i < f->evidence.len; i++)
        if (same_source(VEC_AT(&f->evidence, struct fact_evidence, i), e))
            return VEC_AT(&f->evidence, struct fact_evidence, i);
    return NULL;
}

static size_t evidence_place(const struct fact *f, const struct fact_evidence *e)
{
    size_t at = 0;

    while (at < f->evidence.len && statement_cmp(fact_evidence_at(f, at), e) <= 0)
        at++;
    return at;
}

// Which piece of a list that is one too long goes: one that supports nothing, else that in the
// middle; but the last in which the user says that it is so stays. So what is kept is the same in
// whatever order all came, and tells what is so now.
static size_t who_leaves(const struct fact_evidence *const *list, size_t len)
{
    size_t last = len, held = len;
    bool any = false;

    for (size_t i = 0; i < len; i++) {
        any |= list[i]->supported;
        held = held == len && !list[i]->supported ? i : held;
        last = says_so(list[i]) ? i : last;
    }
    if (any && held < len)
        return held;
    return last == len / 2 ? len / 2 + 1 : len / 2;
}

// Whether e would be the one that goes.
static bool would_leave(const struct fact *f, const struct fact_evidence *e)
{
    const struct fact_evidence *list[FACT_EVIDENCE_MAX + 1];
    size_t place = evidence_place(f, e);

    for (size_t i = 0; i < f->evidence.len; i++)
        list[i + (i >= place)] = fact_evidence_at(f, i);
    list[place] = e;
    return who_leaves(list, f->evidence.len + 1) == place;
}

static void drop_one(struct fact *f)
{
    const struct fact_evidence *list[FACT_EVIDENCE_MAX + 1];

    for (size_t i = 0; i < f->evidence.len; i++)
        list[i] = fact_evidence_at(f, i);
    vec_remove(&f->evidence, who_leaves(list, f->evidence.len));
}

bool evidence_is_news(const struct fact *f, const struct fact_evidence *e)
{
    const struct fact_evidence *same = find_evidence(f, e);

    if (f->status == FACT_FORGOTTEN)
        return true;  // it was said since
    if (!e->supported && f->status != FACT_QUARANTINED)
        return false;
    if (same)
        return e->supported && !same->supported;
    return f->evidence.len < FACT_EVIDENCE_MAX || counts(f, e) || !would_leave(f, e);
}

int evidence_add(struct fact *f, const struct fact_evidence *e, struct err *err)
{
    struct fact_evidence *same = find_evidence(f, e);

    if (counts(f, e) && !vec_reserve(&f->turns, 1))
        return err_set(err, E_NOMEM, "out of memory for a fact");
    if (!same) {
        struct fact_evidence *place = vec_insert(&f->evidence, evidence_place(f, e));

        if (!place)
            return err_set(err, E_NOMEM, "out of memory for a fact");
        *place = *e;
        if (f->evidence.len > FACT_EVIDENCE_MAX)
            drop_one(f);
    } else {
        same->supported |= e->supported;
    }
    if (counts(f, e))
        *(uint32_t *)vec_push(&f->turns) = turn_hash(e);
    f->confirmations = (uint32_t)f->turns.len;
    if (says_so(e) && e->at_ms > f->confirmed_at_ms)
        f->confirmed_at_ms = e->at_ms;
    return E_OK;
}

void evidence_remove(struct fact *f, size_t i)
{
    uint32_t hash = turn_hash(fact_evidence_at(f, i));
    bool again = false;

    vec_remove(&f->evidence, i);
    f->confirmed_at_ms = 0;
    for (size_t k = 0; k < f->evidence.len; k++) {
        const struct fact_evidence *e = fact_evidence_at(f, k);

        again |= turn_hash(e) == hash;
        if (says_so(e) && e->at_ms > f->confirmed_at_ms)
            f->confirmed_at_ms = e->at_ms;
    }
    for (size_t k = 0; k < f->turns.len && !again;) {
        if (*VEC_AT(&f->turns, uint32_t, k) == hash)
            vec_remove(&f->turns, k);
        else
            k++;
    }
    f->confirmations = (uint32_t)f->turns.len;
}

// ---- room

static struct fact *who_goes(const struct fact_slot *s, const struct fact *keep)
{
    struct fact *found = NULL;

    for (size_t i = 0; i < s->facts.len; i++) {
        struct fact *f = fact_slot_at(s, i);
        bool may = f != keep && (f->status == FACT_QUARANTINED || f->status == FACT_SUPERSEDED);

        if (!may || (found && found->status == FACT_QUARANTINED && f->status != FACT_QUARANTINED))
            continue;
        bool sooner = !found || found->status != f->status ||
                      (f->status == FACT_QUARANTINED ? f->recorded_at_ms < found->recorded_at_ms
                                                     : f->retired_at_ms < found->retired_at_ms);
        if (sooner)
            found = f;
    }
    return found;
}

bool slot_make_room(struct fact_slot *s, const char *id)
{
    struct fact *keep = fact_slot_find(s, id);

    while ((!keep && s->facts.len == SLOT_VALUES_MAX) ||
           fact_slot_bytes(s) + FACT_ROOM_BYTES > SLOT_BODY_BYTES_MAX) {
        struct fact *gone = who_goes(s, keep);

        if (!gone)
            return false;
        size_t at = (size_t)(gone - (struct fact *)s->facts.ptr);
        fact_release(gone);
        vec_remove(&s->facts, at);
        keep = fact_slot_find(s, id);
    }
    return true;
}
