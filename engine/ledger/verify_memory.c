// SPDX-License-Identifier: MIT
// verify_memory.c: what is remembered of a user, against itself and against their sessions.
//
//   1. A slot is in its form, which also says that one value at most is active where it takes one.
//   2. Evidence is of turns that a session has, or had: heads outlive their turns.
//   3. What superseded a value is a value of its slot, or of one that is its slot by an alias.
//   4. Knowledge that is told rests on a fact that is there; of its others some may have made room,
//      or were dropped, as all of them may of what is in quarantine.
//   5. The manifest counts what is active.
//
// See verify_int.h.
#include "ledger/verify_int.h"

#include "base/mem.h"
#include "model/memory.h"

#include <stdio.h>
#include <string.h>

enum { FACTS_MAX = BOOK_SLOTS_MAX * SLOT_VALUES_MAX * 16, BOTS_MAX = 4096, KEY_PARTS = 3,
       NAME_MAX_BYTES = BOT_NAME_BYTES + sizeof("knowledge") + FACT_ID_BYTES,
       ELSEWHERE_MAX = BOOK_SLOTS_MAX };

// Of one bot.
struct remembered {
    struct vec elsewhere;            // struct displaced: by what is in no slot of theirs
    uint32_t active[2];              // by tier
    bool damaged;                    // a slot could not be read: nothing is counted
};

// A value, and what it says took its place.
struct displaced {
    enum fact_tier tier;
    char id[FACT_ID_BYTES], by[FACT_ID_BYTES];
};

void verify_memory_release(struct verify_memory *m)
{
    size_t cursor = 0;
    void *value;

    while (m->bots && map_next(m->bots, &cursor, NULL, &value)) {
        vec_release(&((struct remembered *)value)->elsewhere);
        mem_free(value);
    }
    map_free(m->bots);
    map_free(m->facts);
    *m = (struct verify_memory){0};
}

static int no_memory(struct err *err)
{
    return err_set(err, E_NOMEM, "out of memory while verifying");
}

static int begin(struct verify_memory *m, struct err *err)
{
    if ((!m->bots && map_new(&m->bots, BOTS_MAX)) || (!m->facts && map_new(&m->facts, FACTS_MAX)))
        return no_memory(err);
    return E_OK;
}

static int bot_of(struct verify_memory *m, struct slice bot, struct remembered **out,
                  struct err *err)
{
    struct remembered *r = map_get(m->bots, bot);

    if (!r) {
        r = mem_zalloc(sizeof(*r));
        if (!r || map_set(m->bots, bot, r, NULL)) {
            mem_free(r);
            return no_memory(err);
        }
        vec_init(&r->elsewhere, sizeof(struct displaced), ELSEWHERE_MAX);
    }
    *out = r;
    return E_OK;
}

static struct slice fact_name(char out[NAME_MAX_BYTES], struct slice bot, enum fact_tier tier,
                              const char *id)
{
    int len = snprintf(out, NAME_MAX_BYTES, "%.*s/%s/%s", SLICE_FMT(bot), fact_tier_word(tier), id);

    return slice_of(out, len < NAME_MAX_BYTES ? (size_t)len : NAME_MAX_BYTES - 1);
}

// ---- sessions

// Of a session whose head is damaged nobody knows which turns it had.
static int check_turn(const struct map *sessions, struct slice session, uint32_t turn,
                      struct err *err)
{
    const struct checked *c = map_get(sessions, session);

    if (!c)
        return err_set(err, E_CORRUPT, "is of session %.*s, which is not there",
                       SLICE_FMT(session));
    if (!c->damaged && turn > c->head.turns)
        return err_set(err, E_CORRUPT, "is of turn %u of session %.*s, which has %u", turn,
                       SLICE_FMT(session), c->head.turns);
    return E_OK;
}

// ---- slots

static int check_evidence(const struct map *sessions, const struct fact_slot *slot,
                          const struct fact_evidence *e, struct err *err)
{
    if ((slot->tier == TIER_KNOWLEDGE) != (e->fact[0] != '\0'))
        return err_set(err, E_CORRUPT, "of tier %s has evidence that names %s fact",
                       fact_tier_word(slot->tier), e->fact[0] ? "a" : "no");
    return check_turn(sessions, slice_str(e->session), e->turn, err);
}

static int check_borne(const struct verify_memory *m, struct slice bot, const struct fact *f,
                       struct err *err)
{
    char name[NAME_MAX_BYTES];

    for (size_t i = 0; i < f->evidence.len; i++)
        if (map_get(m->facts, fact_name(name, bot, TIER_FACT, fact_evidence_at(f, i)->fact)))
            return E_OK;
    return err_set(err, E_CORRUPT, "rests on fact %s, which is not there",
                   f->evidence.len ? fact_evidence_at(f, 0)->fact : "none");
}

// Whether it is there at all is known when all slots were seen.
static int note_displaced(struct remembered *r, const struct fact_slot *slot, const struct fact *f,
                          struct err *err)
{
    struct displaced *d;

    if (!f->by[0] || fact_slot_find(slot, f->by) || r->elsewhere.len == ELSEWHERE_MAX)
        return E_OK;
    d = vec_push(&r->elsewhere);
    if (!d)
        return no_memory(err);
    d->tier = slot->tier;
    memcpy(d->id, f->id, sizeof(d->id));
    memcpy(d->by, f->by, sizeof(d->by));
    return E_OK;
}

static int check_displaced(const struct verify_memory *m, const struct remembered *r,
                           struct slice bot, struct err *err)
{
    char name[NAME_MAX_BYTES];

    for (size_t i = 0; i < r->elsewhere.len; i++) {
        const struct displaced *d = VEC_AT(&r->elsewhere, struct displaced, i);

        if (!map_get(m->facts, fact_name(name, bot, d->tier, d->by)))
            return err_set(err, E_CORRUPT, "fact %s was superseded by %s, which is not there",
                           d->id, d->by);
    }
    return E_OK;
}

static int check_fact(struct verify_memory *m, const struct map *sessions, struct slice bot,
                      const struct fact_slot *slot, const struct fact *f, struct err *err)
{
    int code = E_OK;

    for (size_t i = 0; i < f->evidence.len && !code; i++)
        code = check_evidence(sessions, slot, fact_evidence_at(f, i), err);
    if (!code && slot->tier == TIER_KNOWLEDGE && f->status == FACT_ACTIVE)
        code = check_borne(m, bot, f, err);
    if (code)
        err_prefix(err, "fact %s ", f->id);
    return code;
}

// Those that others may name, whatever else is wrong with them.
static int note_facts(struct verify_memory *m, struct slice bot, const struct fact_slot *slot,
                      struct remembered *r, struct err *err)
{
    char name[NAME_MAX_BYTES];
    int code = E_OK;

    for (size_t i = 0; i < slot->facts.len && !code; i++) {
        const struct fact *f = fact_slot_at(slot, i);

        if (map_set(m->facts, fact_name(name, bot, slot->tier, f->id), m, NULL))
            return no_memory(err);
        code = note_displaced(r, slot, f, err);
    }
    return code;
}

static int check_slot(struct verify_memory *m, const struct map *sessions, enum fact_tier tier,
                      struct slice bot, const struct record *row, struct safe_text body,
                      struct err *err)
{
    struct remembered *r;
    struct fact_slot slot;
    int code = bot_of(m, bot, &r, err);

    if (code)
        return code;
    fact_slot_init(&slot, tier);
    code = fact_slot_read(&slot, row->meta, body, err);
    r->damaged |= code != E_OK;
    r->active[tier] += code ? 0 : fact_slot_count(&slot, FACT_ACTIVE);
    code = code ? code : note_facts(m, bot, &slot, r, err);
    for (size_t i = 0; i < slot.facts.len && !code; i++)
        code = check_fact(m, sessions, bot, &slot, fact_slot_at(&slot, i), err);
    fact_slot_release(&slot);
    return code;
}

// ---- the others

static int check_journal(const struct map *sessions, struct slice session,
                         const struct record *row, struct err *err)
{
    struct journal_entry e;

    journal_entry_init(&e);
    int code = journal_entry_read_meta(&e, row->meta, err);
    if (!code && !slice_is(session, JOURNAL_EARLIER))
        code = check_turn(sessions, session, e.turns, err);
    journal_entry_release(&e);
    return code;
}

static int check_core(const struct record *row, struct safe_text body, struct err *err)
{
    struct core_memory core;

    core_memory_init(&core);
    int code = core_memory_read(&core, row->meta, body, err);
    core_memory_release(&core);
    return code;
}

static int check_learnt(const struct map *sessions, struct slice session,
                        const struct record *row, struct err *err)
{
    struct learnt l = {0};
    int code = learnt_read_meta(&l, row->meta, err);

    return code ? code : check_turn(sessions, session, l.upto, err);
}

static int check_manifest(struct verify_memory *m, struct slice bot, const struct record *row,
                          struct err *err)
{
    struct memory_manifest manifest = {0};
    struct remembered *r;
    int code = memory_manifest_read(&manifest, row->meta, err);

    if (!code)
        code = bot_of(m, bot, &r, err);
    if (code || r->damaged)
        return code;
    if (manifest.facts != r->active[TIER_FACT] || manifest.knowledge != r->active[TIER_KNOWLEDGE])
        return err_set(err, E_CORRUPT, "says %u facts and %u of knowledge, there are %u and %u",
                       manifest.facts, manifest.knowledge, r->active[TIER_FACT],
                       r->active[TIER_KNOWLEDGE]);
    return check_displaced(m, r, bot, err);
}

int verify_memory_check(struct verify_memory *m, const struct map *sessions,
                        const struct record *row, struct safe_text body, struct err *err)
{
    struct slice parts[KEY_PARTS] = {SLICE_NONE, SLICE_NONE, SLICE_NONE};
    unsigned len = key_split(row->key, parts, KEY_PARTS);
    int code = begin(m, err);

    if (code)
        return code;
    if (slice_is(parts[0], "learnt") && len == 2)
        return check_learnt(sessions, parts[1], row, err);
    if (slice_is(parts[0], "core") && len == 2)
        return check_core(row, body, err);
    if (slice_is(parts[0], "memory") && len == 2)
        return check_manifest(m, parts[1], row, err);
    if (slice_is(parts[0], "journal") && len == KEY_PARTS)
        return check_journal(sessions, parts[2], row, err);
    if (len == KEY_PARTS && (slice_is(parts[0], "fact") || slice_is(parts[0], "knowledge")))
        return check_slot(m, sessions, slice_is(parts[0], "fact") ? TIER_FACT : TIER_KNOWLEDGE,
                          parts[1], row, body, err);
    return err_set(err, E_CORRUPT, "nothing of ours");
}
