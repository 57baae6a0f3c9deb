// SPDX-License-Identifier: MIT
// facts_consider.c: what a candidate does to a book. See facts.h.
//
//   candidate ─▶ its slots (aliases are one) ─▶ which fact it states ─▶ is it known already?
//             ─▶ room ─▶ evidence ─▶ statuses and periods anew (facts_periods.c) ─▶ outcome
#include "memory/facts_int.h"

#include "base/mem.h"
#include "memory/alike.h"

static const char why_forgotten[] = "it was forgotten since it was said";
static const char why_full[] = "as much is remembered of this user as there may be";
static const char why_slot_full[] = "as many values are remembered of this as there may be";
static const char why_damaged[] = "what is remembered of this cannot be read";
static const char why_negates[] = "only the user's own words end what was so";
static const char why_names[] = "its subject, predicate or value is empty or too long";
static const char why_unknown_fact[] = "it rests on something that is no active fact";
static const char why_one_session[] = "it rests on facts of one session alone";

const char *fact_outcome_word(enum fact_outcome outcome)
{
    static const char *const words[] = {
        [OUTCOME_SAME] = "same",             [OUTCOME_NEW] = "new",
        [OUTCOME_CONFIRMED] = "confirmed",   [OUTCOME_PROMOTED] = "promoted",
        [OUTCOME_SUPERSEDED] = "superseded", [OUTCOME_PAST] = "past",
        [OUTCOME_ENDED] = "ended",           [OUTCOME_QUARANTINED] = "quarantined",
        [OUTCOME_REFUSED] = "refused",
    };

    BUG_ON((unsigned)outcome >= sizeof(words) / sizeof(words[0]));
    return words[outcome];
}

// A candidate while it is considered.
struct claim {
    struct fact_book *book;
    const struct fact_candidate *c;
    const struct fact_evidence *evidence;  // one, or one for each fact that it rests on
    uint32_t evidence_len;
    int64_t now_ms, quarantine_ms;
    struct fact_slot names;          // its own slot's names; without facts
    const struct predicate_rule *rule;  // of its predicate; NULL: it is not declared
    bool one, supported;
    enum fact_kind kind;
    struct fact value;               // its value, cleaned
    struct group group;
    uint32_t slot;                   // the entry that has the fact it states …
    char id[FACT_ID_BYTES];
    bool known;                      // … if there is one
    struct fact_considered *out;
};

static int refuse(struct claim *k, const char *why)
{
    *k->out = (struct fact_considered){.outcome = OUTCOME_REFUSED, .why = why};
    return E_REFUSED;
}

// ---- which slots

static bool same_subject(const struct fact_slot *a, const struct fact_slot *b, struct err *err,
                         int *code)
{
    struct buf x = BUF_INIT(1 << 16), y = BUF_INIT(1 << 16);

    *code = alike_normal(slice_str(a->subject), &x, err);
    if (!*code)
        *code = alike_normal(slice_str(b->subject), &y, err);
    bool same = !*code && slice_eq(buf_slice(&x), buf_slice(&y));
    buf_release(&x);
    buf_release(&y);
    return same;
}

static bool same_predicate(const struct fact_slot *s, const struct claim *k)
{
    for (uint32_t i = 0; k->rule && i < k->rule->aliases_len; i++)
        if (strcmp(k->rule->aliases[i], s->predicate) == 0)
            return true;
    return strcmp(s->predicate, k->names.predicate) == 0;
}

static int find_group(struct claim *k, struct err *err)
{
    int code = E_OK;

    k->group.len = 0;
    for (uint32_t i = 0; i < k->book->entries.len && !code && k->group.len < GROUP_MAX; i++) {
        const struct fact_slot *s = book_slot(k->book, i);

        if (s->tier == k->names.tier && strcmp(s->scope, k->names.scope) == 0 &&
            same_predicate(s, k) && same_subject(s, &k->names, err, &code))
            k->group.at[k->group.len++] = i;
    }
    return code;
}

static int claim_names(struct claim *k, const struct memory_rules *rules, struct err *err)
{
    const struct fact_candidate *c = k->c;
    int code = fact_slot_name(&k->names, c->subject, c->predicate, err);

    if (code)
        return code == E_USAGE ? refuse(k, why_names) : code;
    k->rule = rules ? memory_rules_predicate(rules, slice_str(k->names.predicate)) : NULL;
    memcpy(k->names.scope, c->scope, sizeof(k->names.scope));
    k->kind = c->kind;
    k->one = k->rule ? k->rule->one : c->one;
    if (k->rule)
        memcpy(k->names.predicate, k->rule->name, sizeof(k->rule->name));
    k->names.one = k->one;
    code = book_slot_digest(k->book, &k->names, k->names.digest, err);
    if (!code && book_is_damaged(k->book, k->names.tier, k->names.digest))
        return refuse(k, why_damaged);
    bool all = c->negates && !c->value.len;
    if (!code && !all)
        code = fact_set_value(&k->value, c->value, err);
    if (code == E_USAGE)
        return refuse(k, why_names);
    if (!code)
        code = find_group(k, err);
    // Where nobody declares how many there may be, it stays as it was first said.
    uint32_t at;
    if (!code && !k->rule && book_find_slot(k->book, k->names.tier, k->names.digest, &at))
        k->one = book_slot(k->book, at)->facts.len ? book_slot(k->book, at)->one : k->one;
    return code;
}

// ---- which fact

static int find_exact(struct claim *k, struct err *err)
{
    int code = E_OK;

    for (uint32_t i = 0; i < k->group.len && !code && !k->known; i++) {
        const struct fact_slot *s = book_slot(k->book, k->group.at[i]);

        code = book_fact_id(k->book, s, safe_slice(fact_value(&k->value)), k->id, err);
        k->known = !code && fact_slot_find(s, k->id);
        if (k->known)
            k->slot = k->group.at[i];
    }
    return code;
}

static int find_near(struct claim *k, struct err *err)
{
    for (uint32_t i = 0; i < k->group.len; i++) {
        const struct fact_slot *s = book_slot(k->book, k->group.at[i]);

        for (size_t n = 0; n < s->facts.len; n++) {
            const struct fact *f = fact_slot_at(s, n);
            bool near;
            int code = alike_near(safe_slice(fact_value(f)), safe_slice(fact_value(&k->value)),
                                  &near, err);

            if (code)
                return code;
            if (near && f->status != FACT_FORGOTTEN) {
                k->known = true;
                k->slot = k->group.at[i];
                memcpy(k->id, f->id, sizeof(k->id));
                return E_OK;
            }
        }
    }
    return E_OK;
}

static int find_fact(struct claim *k, struct err *err)
{
    int code = find_exact(k, err);

    if (!code && !k->known)
        code = find_near(k, err);
    if (!code && !k->known)
        code = book_fact_id(k->book, &k->names, safe_slice(fact_value(&k->value)), k->id, err);
    return code;
}

static struct fact *claim_fact(const struct claim *k)
{
    return fact_slot_find(book_slot(k->book, k->slot), k->id);
}

// ---- what was forgotten

static bool overlap(const struct fact_evidence *a, const struct fact_evidence *b)
{
    return a->turn == b->turn && a->step == b->step && strcmp(a->session, b->session) == 0 &&
           a->start < b->end && b->start < a->end;
}

static bool is_of_forgotten(const struct fact *f, const struct claim *k)
{
    for (size_t i = 0; i < f->evidence.len; i++)
        for (uint32_t n = 0; n < k->evidence_len; n++)
            if (overlap(fact_evidence_at(f, i), &k->evidence[n]))
                return true;
    return false;
}

static bool was_said_since(const struct claim *k, int64_t ms)
{
    for (uint32_t i = 0; i < k->evidence_len; i++)
        if (k->evidence[i].at_ms > ms)
            return true;
    return false;
}

// Whether what it says was forgotten: the value itself; or, if it is new, whatever else was said in
// the same place.
static bool was_forgotten(const struct claim *k)
{
    struct fact_at at = FACT_AT_START;

    if (k->known) {
        const struct fact *f = claim_fact(k);

        return f->forgotten_at_ms && (!was_said_since(k, f->forgotten_at_ms) ||
                                      (f->status == FACT_FORGOTTEN && !k->supported));
    }
    while (fact_book_next(k->book, &at))
        if (at.fact->status == FACT_FORGOTTEN && at.slot->tier == TIER_FACT &&
            k->names.tier == TIER_FACT && is_of_forgotten(at.fact, k))
            return true;
    return false;
}

// ---- what comes of it

// The slot that the fact is in, or is to be in, made where there is none.
static int own_slot(struct claim *k, struct fact_slot **out, struct err *err)
{
    if (!k->known && !book_find_slot(k->book, k->names.tier, k->names.digest, &k->slot)) {
        struct fact_slot empty;

        fact_slot_init(&empty, k->names.tier);
        memcpy(empty.digest, k->names.digest, sizeof(empty.digest));
        memcpy(empty.scope, k->names.scope, sizeof(empty.scope));
        memcpy(empty.subject, k->names.subject, sizeof(empty.subject));
        memcpy(empty.predicate, k->names.predicate, sizeof(empty.predicate));
        int code = book_add_slot(k->book, &empty, &k->slot, err);
        if (code)
            return code == E_REFUSED ? refuse(k, why_full) : code;
        for (uint32_t i = 0; i < k->group.len; i++)
            k->group.at[i] += k->group.at[i] >= k->slot;
        if (k->group.len < GROUP_MAX)
            k->group.at[k->group.len++] = k->slot;
    }
    return book_own(k->book, k->slot, out, err);
}

static int own_fact(struct claim *k, struct fact_slot *slot, struct fact **out, struct err *err)
{
    struct fact *f = fact_slot_find(slot, k->id);
    int code = E_OK;

    if (!slot_make_room(slot, k->id))
        return refuse(k, why_slot_full);
    f = fact_slot_find(slot, k->id);
    if (!f) {
        f = vec_push(&slot->facts);
        if (!f)
            return err_set(err, E_NOMEM, "out of memory for a user's facts");
        fact_init(f);
        memcpy(f->id, k->id, sizeof(f->id));
        f->kind = k->kind;
        f->recorded_at_ms = k->now_ms;
    } else if (f->status == FACT_FORGOTTEN) {
        vec_clear(&f->evidence);
        f->status = FACT_QUARANTINED;
        f->kind = k->kind;
        f->recorded_at_ms = k->now_ms;
        f->retired_at_ms = 0;
    }
    if (!fact_value(f).len)
        code = fact_set_value(f, fact_value(&k->value), err);
    *out = f;
    return code;
}

static int settle(struct claim *k, struct err *err)
{
    struct fact_slot *slots[GROUP_MAX];
    int code = E_OK;

    for (uint32_t i = 0; i < k->group.len && !code; i++) {
        code = book_own(k->book, k->group.at[i], &slots[i], err);
        if (!code)
            slots[i]->one = k->one;
    }
    if (!code)
        code = facts_settle_periods(slots, k->group.len, k->one, k->now_ms, err);
    for (uint32_t i = 0; i < k->group.len && !code; i++)
        slots[i]->due_at_ms = fact_slot_due_at(slots[i], k->quarantine_ms);
    return code;
}

// The first active value beside the candidate's own, which is superseded if it is so no more.
static const struct fact *active_beside(const struct claim *k)
{
    for (uint32_t i = 0; i < k->group.len && k->one; i++) {
        const struct fact_slot *s = book_slot(k->book, k->group.at[i]);

        for (size_t n = 0; n < s->facts.len; n++)
            if (fact_slot_at(s, n)->status == FACT_ACTIVE &&
                strcmp(fact_slot_at(s, n)->id, k->id) != 0)
                return fact_slot_at(s, n);
    }
    return NULL;
}

static enum fact_outcome outcome_of(bool is_new, enum fact_status before, enum fact_status after,
                                    bool negates, bool displaced)
{
    if (after == FACT_QUARANTINED)
        return OUTCOME_QUARANTINED;
    if (after == FACT_SUPERSEDED)
        return !is_new && before == FACT_ACTIVE && negates ? OUTCOME_ENDED : OUTCOME_PAST;
    if (!is_new && before == FACT_ACTIVE)
        return OUTCOME_CONFIRMED;
    if (!is_new && before == FACT_QUARANTINED)
        return OUTCOME_PROMOTED;
    return displaced ? OUTCOME_SUPERSEDED : OUTCOME_NEW;
}

static bool any_news(const struct claim *k)
{
    if (!k->known)
        return true;
    for (uint32_t i = 0; i < k->evidence_len; i++)
        if (evidence_is_news(claim_fact(k), &k->evidence[i]))
            return true;
    return false;
}

static int state_fact(struct claim *k, struct err *err)
{
    enum fact_status before = k->known ? claim_fact(k)->status : FACT_QUARANTINED;
    const struct fact *beside = active_beside(k);
    char displaced[FACT_ID_BYTES] = "";
    struct fact_slot *slot;
    struct fact *f = NULL;

    if (beside)
        memcpy(displaced, beside->id, sizeof(displaced));
    int code = own_slot(k, &slot, err);
    if (!code)
        code = own_fact(k, slot, &f, err);
    for (uint32_t i = 0; i < k->evidence_len && !code; i++)
        code = evidence_add(f, &k->evidence[i], err);
    if (!code)
        code = settle(k, err);
    if (code)
        return code;
    f = claim_fact(k);
    bool is_gone = displaced[0] && f->status == FACT_ACTIVE;
    *k->out = (struct fact_considered){
        .outcome = outcome_of(!k->known || before == FACT_FORGOTTEN, before, f->status,
                              k->c->negates, is_gone)};
    memcpy(k->out->id, f->id, sizeof(f->id));
    if (is_gone)
        memcpy(k->out->superseded, displaced, sizeof(displaced));
    return E_OK;
}

// "I no longer have one": whatever the slot says is so no more.
static int end_all(struct claim *k, struct err *err)
{
    enum fact_outcome outcome = OUTCOME_SAME;
    int code = E_OK;

    for (uint32_t i = 0; i < k->group.len && !code; i++) {
        const struct fact_slot *s = book_slot(k->book, k->group.at[i]);

        for (size_t n = 0; n < s->facts.len && !code; n++) {
            const struct fact *f = fact_slot_at(s, n);

            if (f->status != FACT_ACTIVE || f->confirmed_at_ms > k->c->at_ms)
                continue;
            k->known = true;
            k->slot = k->group.at[i];
            memcpy(k->id, f->id, sizeof(k->id));
            code = state_fact(k, err);
            if (!code && k->out->outcome == OUTCOME_ENDED)
                outcome = OUTCOME_ENDED;
            s = book_slot(k->book, k->group.at[i]);
        }
    }
    k->out->outcome = outcome;
    return code;
}

static int consider(struct claim *k, const struct memory_rules *rules, struct err *err)
{
    int code = claim_names(k, rules, err);

    if (code)
        return code;
    if (k->c->negates && !k->supported)
        return refuse(k, why_negates);
    if (k->c->negates && !k->c->value.len)
        return end_all(k, err);
    code = find_fact(k, err);
    if (code)
        return code;
    if (was_forgotten(k))
        return refuse(k, why_forgotten);
    if (!any_news(k)) {
        memcpy(k->out->id, k->id, sizeof(k->id));
        return E_OK;
    }
    return state_fact(k, err);
}

static int run(struct claim *k, enum fact_tier tier, const struct memory_rules *rules,
               struct err *err)
{
    *k->out = (struct fact_considered){.outcome = OUTCOME_SAME};
    k->quarantine_ms = rules ? rules->quarantine_ms : 0;
    fact_slot_init(&k->names, tier);
    fact_init(&k->value);
    int code = consider(k, rules, err);
    fact_slot_release(&k->names);
    fact_release(&k->value);
    return code == E_REFUSED ? E_OK : code;
}

static struct fact_evidence evidence_of(const struct fact_candidate *c, bool supported)
{
    struct fact_evidence e = {.turn = c->turn, .step = c->step, .start = c->start, .end = c->end,
                              .author = c->author, .supported = supported, .negates = c->negates,
                              .at_ms = c->at_ms, .valid_from_ms = c->valid_from_ms,
                              .valid_to_ms = c->valid_to_ms};

    memcpy(e.session, c->session, sizeof(e.session));
    memcpy(e.extractor, c->extractor, sizeof(e.extractor));
    memcpy(e.policy, c->policy, sizeof(e.policy));
    return e;
}

int fact_book_consider(struct fact_book *b, const struct fact_candidate *c, bool supported,
                       const struct memory_rules *rules, int64_t now_ms,
                       struct fact_considered *out, struct err *err)
{
    struct fact_evidence e = evidence_of(c, supported);
    struct claim k = {.book = b, .c = c, .evidence = &e, .evidence_len = 1, .now_ms = now_ms,
                      .supported = supported, .out = out};

    return run(&k, TIER_FACT, rules, err);
}

int fact_book_knows(struct fact_book *b, const struct fact_candidate *c,
                    const struct memory_rules *rules, bool *known, struct err *err)
{
    struct fact_considered out;
    struct claim k = {.book = b, .c = c, .out = &out};

    *known = false;
    if (!c->value.len)
        return E_OK;
    fact_slot_init(&k.names, TIER_FACT);
    fact_init(&k.value);
    int code = claim_names(&k, rules, err);
    if (!code)
        code = find_fact(&k, err);
    *known = !code && k.known && claim_fact(&k)->status != FACT_FORGOTTEN;
    fact_slot_release(&k.names);
    fact_release(&k.value);
    return code == E_REFUSED ? E_OK : code;
}

// ---- knowledge

static const struct fact *find_active(const struct fact_book *b, const char *id)
{
    struct fact_at at = FACT_AT_START;

    while (fact_book_next_active(b, &at))
        if (at.slot->tier == TIER_FACT && strcmp(at.fact->id, id) == 0)
            return at.fact;
    return NULL;
}

// `source`: a statement of f's. When the user last said it, not when it was concluded: so what was
// forgotten is not concluded again of what was said before.
static struct fact_evidence evidence_from(const struct fact_candidate *c, const struct fact *f,
                                          const struct fact_evidence *source)
{
    struct fact_evidence e = evidence_of(c, true);

    memcpy(e.session, source->session, sizeof(e.session));
    e.turn = source->turn;
    e.step = source->step;
    e.start = source->start;
    e.end = source->end;
    e.author = source->author;
    e.at_ms = f->confirmed_at_ms;
    e.negates = false;
    memcpy(e.fact, f->id, sizeof(e.fact));
    return e;
}

// The newest statement that says so too, in another session than its source; NULL: there is none.
static const struct fact_evidence *said_elsewhere(const struct fact *f)
{
    const char *session = fact_source(f)->session;

    for (size_t i = f->evidence.len; i-- > 0;) {
        const struct fact_evidence *e = fact_evidence_at(f, i);

        if (e->supported && !e->negates && strcmp(e->session, session) != 0)
            return e;
    }
    return NULL;
}

static bool of_two_sessions(const struct fact_evidence *e, size_t len)
{
    for (size_t i = 1; i < len; i++)
        if (strcmp(e[i].session, e[0].session) != 0)
            return true;
    return false;
}

int fact_book_conclude(struct fact_book *b, const struct fact_candidate *c,
                       const char (*facts)[FACT_ID_BYTES], uint32_t facts_len,
                       const struct memory_rules *rules, int64_t now_ms,
                       struct fact_considered *out, struct err *err)
{
    struct fact_evidence evidence[FACT_EVIDENCE_MAX];
    struct claim k = {.book = b, .c = c, .evidence = evidence, .now_ms = now_ms,
                      .supported = true, .out = out};

    for (uint32_t i = 0; i < facts_len; i++) {
        const struct fact *f = find_active(b, facts[i]);

        if (!f) {
            refuse(&k, why_unknown_fact);
            return E_OK;
        }
        if (k.evidence_len < FACT_EVIDENCE_MAX)
            evidence[k.evidence_len++] = evidence_from(c, f, fact_source(f));
    }
    // What was said in several sessions bears a conclusion alone.
    for (uint32_t i = 0; i < facts_len && k.evidence_len < FACT_EVIDENCE_MAX; i++) {
        const struct fact *f = find_active(b, facts[i]);
        const struct fact_evidence *e = f ? said_elsewhere(f) : NULL;

        if (e)
            evidence[k.evidence_len++] = evidence_from(c, f, e);
    }
    if (!of_two_sessions(evidence, k.evidence_len)) {
        refuse(&k, why_one_session);
        return E_OK;
    }
    return run(&k, TIER_KNOWLEDGE, rules, err);
}
