// SPDX-License-Identifier: MIT
// memory.c: what is remembered of a user, loaded and changed; see memory.h.
//
//   load: the manifest ─▶ facts ─▶ knowledge ─▶ journal ─▶ core memory
//   commit: batches of slots, then a last one with the rest; each with the manifest at its version
//
// One thread, see ledger_int.h.
#include "ledger/ledger_int.h"
#include "ledger/memory.h"

enum {
    SLOTS_OF_COMMIT = 40,             // beside what else a batch may hold
    COMMIT_BYTES = 600 << 10,         // with one slot more it is below a MiB
    DAMAGE_REPORT_BYTES = 64 << 10,
};

int ledger_memory_digest(void *user, struct slice value, char out[FACT_SLOT_BYTES],
                         struct err *err)
{
    const struct memory_user *u = user;

    return vault_user_digest(u->vault, u->key, "fact", value, out, err);
}

// ---- the manifest

// Of the record that was got; none is an empty one, as is one that is damaged. E_CORRUPT: that it
// is; out->version is then 0 if not even that can be known.
static int manifest_row(struct work *w, struct memory_manifest *out, struct err *err)
{
    struct json meta;

    *out = (struct memory_manifest){0};
    if (!w->store.rows_len)
        return E_OK;
    const struct record *row = &w->store.rows[0];
    int code = ledger_read_json(w->ledger, w->key, row, &meta, err);
    if (!code)
        code = memory_manifest_read(out, row->meta, err);
    if (code)
        *out = (struct memory_manifest){0};
    out->version = row->version;
    out->due_at_ms = row->due_at_ms;
    if (code == E_CORRUPT)
        err_prefix(err, "%.*s: ", SLICE_FMT(row->key));
    return code;
}

struct checking {
    struct ledger_manifest *m;        // the caller's
};

static void manifest_read(struct work *w)
{
    struct memory_manifest *m = &((struct checking *)w->state)->m->manifest;

    if (!work_store_ok(w, "reading what is remembered of the user"))
        return;
    int code = manifest_row(w, m, &w->op->err);
    work_end(w, code == E_CORRUPT && m->version ? E_OK : code);
}

void ledger_memory_manifest(struct ledger *l, struct ledger_manifest *m, struct ledger_op *op)
{
    struct work *w = work_begin(l, NULL, op);
    struct checking *s = w ? work_state(w, sizeof(*s), NULL) : NULL;

    if (!s)
        return;
    s->m = m;
    w->key = m->of.key;
    key_memory(&w->prefix, m->of.bot);
    work_get(w, m->of.partition, &w->prefix, manifest_read);
}

// ---- loading

struct loading {
    struct ledger_memory *m;          // the caller's
    struct safe_buf body;
};

static void drop_loading(void *state)
{
    safe_buf_release(&((struct loading *)state)->body);
}

static int open_row(struct work *w, const struct record *row, struct err *err)
{
    struct loading *s = w->state;

    safe_buf_clear(&s->body);
    int code = ledger_unseal(w->ledger, w->key, row, &s->body, err);
    return code ? code : safe_buf_check(&s->body, "a memory", err);
}

// What a key says last: a slot's digest, a session.
static struct slice name_of(struct slice key)
{
    struct slice parts[3] = {SLICE_NONE, SLICE_NONE, SLICE_NONE};
    unsigned n = key_split(key, parts, 3);

    return parts[n - 1];
}

static int tell_damage(struct work *w, const struct record *row, const struct err *why)
{
    struct ledger_memory *m = ((struct loading *)w->state)->m;
    struct slice parts[2] = {SLICE_NONE, SLICE_NONE};

    key_split(row->key, parts, 2);
    if (m->damage.len < DAMAGE_REPORT_BYTES)
        buf_addf(&m->damage, "%.*s: %s\n", SLICE_FMT(row->key), why->message);
    return m->damaged(m->user, parts[0], name_of(row->key), &w->op->err);
}

static bool is_damage(int code)
{
    return code == E_CORRUPT || code == E_REFUSED;
}

// A name of a key into an array of `size` bytes.
static bool take_name(struct slice name, char *out, size_t size)
{
    if (name.len == 0 || name.len >= size)
        return false;
    memcpy(out, name.ptr, name.len);
    out[name.len] = '\0';
    return true;
}

static int load_slot(struct work *w, const struct record *row, enum fact_tier tier,
                     struct err *why)
{
    struct loading *s = w->state;
    struct fact_slot slot;
    int code = open_row(w, row, why);

    fact_slot_init(&slot, tier);
    slot.version = row->version;
    slot.due_at_ms = row->due_at_ms;
    if (!code && !take_name(name_of(row->key), slot.digest, sizeof(slot.digest)))
        code = err_set(why, E_CORRUPT, "not a key of facts; run `parley verify`");
    if (!code)
        code = fact_slot_read(&slot, row->meta, safe_buf_text(&s->body), why);
    if (!code)
        code = s->m->slot(s->m->user, &slot, why);
    fact_slot_release(&slot);
    return code;
}

static int load_fact(struct work *w, const struct record *row, struct err *why)
{
    return load_slot(w, row, TIER_FACT, why);
}

static int load_knowledge(struct work *w, const struct record *row, struct err *why)
{
    return load_slot(w, row, TIER_KNOWLEDGE, why);
}

static int load_entry(struct work *w, const struct record *row, struct err *why)
{
    struct loading *s = w->state;
    struct journal_entry e;
    int code = open_row(w, row, why);

    journal_entry_init(&e);
    e.version = row->version;
    if (!code && !take_name(name_of(row->key), e.session, sizeof(e.session)))
        code = err_set(why, E_CORRUPT, "not a key of the journal; run `parley verify`");
    if (!code)
        code = journal_entry_read_meta(&e, row->meta, why);
    if (!code) {
        safe_buf_add(&e.text, safe_buf_text(&s->body));
        code = safe_buf_check(&e.text, "a journal's entry", why);
    }
    if (!code)
        code = s->m->journal(s->m->user, &e, why);
    journal_entry_release(&e);
    return code;
}

static int load_core(struct work *w, const struct record *row, struct err *why)
{
    struct loading *s = w->state;
    int code = open_row(w, row, why);

    if (!code)
        code = core_memory_read(&s->m->core, row->meta, safe_buf_text(&s->body), why);
    s->m->core.version = row->version;
    return code;
}

// Each row of the page; false: the work is ended.
static bool load_rows(struct work *w,
                      int (*load)(struct work *w, const struct record *row, struct err *why))
{
    if (!work_store_ok(w, "reading what is remembered of the user"))
        return false;
    for (uint32_t i = 0; i < w->store.rows_len; i++) {
        struct err why = ERR_INIT;
        int code = load(w, &w->store.rows[i], &why);

        if (is_damage(code))
            code = tell_damage(w, &w->store.rows[i], &why);
        else if (code)
            w->op->err = why;
        if (code) {
            work_end(w, code);
            return false;
        }
    }
    return true;
}

static void core_read(struct work *w)
{
    if (load_rows(w, load_core))
        work_end(w, E_OK);
}

static void journal_read(struct work *w)
{
    const struct ledger_memory *m = ((struct loading *)w->state)->m;

    if (!load_rows(w, load_entry) || work_scan_more(w))
        return;
    key_core(&w->prefix, m->of.bot);
    work_get(w, m->of.partition, &w->prefix, core_read);
}

static void scan_next(struct work *w, void (*step)(struct work *w))
{
    const struct ledger_memory *m = ((struct loading *)w->state)->m;

    buf_clear(&w->after);
    work_scan(w, m->of.partition, step);
}

static void knowledge_read(struct work *w)
{
    const struct ledger_memory *m = ((struct loading *)w->state)->m;

    if (!load_rows(w, load_knowledge) || work_scan_more(w))
        return;
    key_journals(&w->prefix, m->of.bot);
    scan_next(w, journal_read);
}

static void facts_read(struct work *w)
{
    const struct ledger_memory *m = ((struct loading *)w->state)->m;

    if (!load_rows(w, load_fact) || work_scan_more(w))
        return;
    key_slots(&w->prefix, fact_tier_word(TIER_KNOWLEDGE), m->of.bot);
    scan_next(w, knowledge_read);
}

// What follows is as new as this, or newer.
static void first_read(struct work *w)
{
    struct ledger_memory *m = ((struct loading *)w->state)->m;

    if (!work_store_ok(w, "reading what is remembered of the user"))
        return;
    struct err why = ERR_INIT;
    int code = manifest_row(w, &m->manifest, &why);
    if (code == E_CORRUPT && m->manifest.version)
        code = tell_damage(w, &w->store.rows[0], &why);
    else if (code)
        w->op->err = why;
    if (code) {
        work_end(w, code);
        return;
    }
    key_slots(&w->prefix, fact_tier_word(TIER_FACT), m->of.bot);
    scan_next(w, facts_read);
}

void ledger_memory_load(struct ledger *l, struct ledger_memory *m, struct ledger_op *op)
{
    struct work *w = work_begin(l, NULL, op);
    struct loading *s = w ? work_state(w, sizeof(*s), drop_loading) : NULL;

    if (!s)
        return;
    s->m = m;
    safe_buf_init(&s->body, BODY_BYTES_MAX);
    w->key = m->of.key;
    key_memory(&w->prefix, m->of.bot);
    work_get(w, m->of.partition, &w->prefix, first_read);
}

// ---- committing

struct saving {
    struct ledger_memory_commit *c;   // the caller's
    uint32_t slots;                   // of which are written, and …
    uint32_t from, upto;              // … are in this batch
    bool begun, rest;                 // notes are written; this batch is the last
    uint32_t manifest_item, learnt_item, core_item, journal_item;
    uint32_t items[STORE_BATCH_ITEMS_MAX];
};

static void next_batch(struct work *w);

static enum store_item_verb verb_of(uint64_t version)
{
    return version ? STORE_PUT : STORE_INSERT;
}

static void add_slot(struct work *w, struct saving *s, const struct fact_slot *slot)
{
    struct commit *b = &w->commit;

    s->items[s->upto - s->from] = b->len;
    key_slot(&b->name, fact_tier_word(slot->tier), s->c->of.bot, slot->digest);
    if (slot->facts.len) {
        fact_slot_write(slot, &b->meta, &b->body);
        uint32_t at = commit_add(b, verb_of(slot->version), slot->version);
        if (!b->code)
            b->items[at].due_at_ms = slot->due_at_ms;
    } else if (slot->version) {
        commit_delete_version(b, slot->version);
    } else {
        buf_clear(&b->name);  // it was never written
        s->items[s->upto - s->from] = UINT32_MAX;
    }
}

static void add_manifest(struct work *w, struct saving *s)
{
    struct commit *b = &w->commit;
    const struct memory_manifest *m = s->c->manifest;

    key_memory(&b->name, s->c->of.bot);
    memory_manifest_write(m, &b->meta);
    s->manifest_item = commit_add(b, verb_of(m->version), m->version);
    if (!b->code)
        b->items[s->manifest_item].due_at_ms = m->due_at_ms;
}

static void add_journal(struct work *w, struct saving *s)
{
    struct commit *b = &w->commit;
    const struct ledger_memory_commit *c = s->c;

    for (uint32_t i = 0; i < c->journal_gone_len; i++) {
        key_journal(&b->name, c->of.bot, c->journal_gone[i]->session);
        commit_delete_version(b, c->journal_gone[i]->version);
    }
    s->journal_item = b->len;
    for (uint32_t i = 0; i < c->journal_len; i++) {
        const struct journal_entry *e = c->journal[i];

        key_journal(&b->name, c->of.bot, e->session);
        journal_entry_write_meta(e, &b->meta);
        safe_buf_add(&b->body, safe_buf_text(&e->text));
        // The manifest guards it; so what is damaged can be written over.
        commit_add(b, STORE_PUT, e->version);
    }
}

static void add_rest(struct work *w, struct saving *s)
{
    struct commit *b = &w->commit;
    const struct ledger_memory_commit *c = s->c;

    add_journal(w, s);
    if (c->core) {
        key_core(&b->name, c->of.bot);
        core_memory_write(c->core, &b->meta, &b->body);
        s->core_item = commit_add(b, STORE_PUT, c->core->version);
    }
    if (c->learnt) {
        key_learnt(&b->name, c->learnt->session);
        learnt_write_meta(c->learnt, &b->meta);
        s->learnt_item = commit_add(b, STORE_PUT, 0);
    }
}

static uint32_t rest_len(const struct ledger_memory_commit *c)
{
    return c->journal_gone_len + c->journal_len + (c->core != NULL) + (c->learnt != NULL);
}

static size_t rest_bytes(const struct ledger_memory_commit *c)
{
    size_t n = c->core ? 4 * CORE_BYTES_MAX : 0;

    for (uint32_t i = 0; i < c->journal_len; i++)
        n += safe_buf_text(&c->journal[i]->text).len;
    return n;
}

static void note_versions(struct work *w, struct saving *s)
{
    const struct store_item *items = w->store.items;
    struct ledger_memory_commit *c = s->c;

    if (c->manifest)
        c->manifest->version = items[s->manifest_item].version;
    for (uint32_t i = s->from; i < s->upto; i++)
        if (s->items[i - s->from] != UINT32_MAX)
            c->slots[i]->version = items[s->items[i - s->from]].version;
    if (!s->rest)
        return;
    for (uint32_t i = 0; i < c->journal_len; i++)
        c->journal[i]->version = items[s->journal_item + i].version;
    if (c->core)
        c->core->version = items[s->core_item].version;
    if (c->learnt)
        c->learnt->version = items[s->learnt_item].version;
}

static void written(struct work *w)
{
    struct saving *s = w->state;

    if (!work_store_ok(w, "writing what is remembered of the user"))
        return;
    note_versions(w, s);
    if (s->rest)
        work_end(w, E_OK);
    else
        next_batch(w);
}

static void next_batch(struct work *w)
{
    struct saving *s = w->state;
    const struct ledger_memory_commit *c = s->c;
    struct commit *b = &w->commit;

    commit_begin(b, w->ledger->env.vault, w->key, c->of.partition);
    if (c->manifest)
        add_manifest(w, s);
    for (uint32_t i = 0; i < c->notes_len && !s->begun; i++)
        commit_note(b, w->ledger->env.rand, &c->notes[i]);
    s->begun = true;
    s->from = s->upto;
    while (s->upto < c->slots_len && s->upto - s->from < SLOTS_OF_COMMIT &&
           b->arena.len < COMMIT_BYTES && !b->code) {
        add_slot(w, s, c->slots[s->upto]);
        s->upto++;
    }
    s->rest = s->upto == c->slots_len &&
              (s->from == s->upto || (b->len + rest_len(c) <= STORE_BATCH_ITEMS_MAX &&
                                      b->arena.len + rest_bytes(c) < COMMIT_BYTES));
    if (s->rest)
        add_rest(w, s);
    work_commit(w, written);
}

void ledger_memory_commit(struct ledger *l, struct ledger_memory_commit *c, struct ledger_op *op)
{
    struct work *w = work_begin(l, NULL, op);
    struct saving *s = w ? work_state(w, sizeof(*s), NULL) : NULL;

    if (!s)
        return;
    BUG_ON(!c->manifest && (c->slots_len || rest_len(c)));
    s->c = c;
    w->key = c->of.key;
    next_batch(w);
}

// ---- how far a session was learnt from

struct finding {
    struct learnt *out;               // the caller's
};

// One that is damaged is as none: learning again changes nothing.
static void learnt_read(struct work *w)
{
    struct learnt *out = ((struct finding *)w->state)->out;
    struct json meta;

    if (!work_store_ok(w, "reading how far the session was learnt from"))
        return;
    struct learnt none = *out;
    int code = E_OK;
    if (w->store.rows_len) {
        const struct record *row = &w->store.rows[0];

        code = ledger_read_json(w->ledger, w->key, row, &meta, &w->op->err);
        if (!code)
            code = learnt_read_meta(out, row->meta, &w->op->err);
        if (code == E_CORRUPT) {
            *out = none;
            code = E_OK;
        }
        out->version = row->version;
    }
    work_end(w, code);
}

void ledger_find_learnt(struct ledger *l, const char *partition, const struct user_key *key,
                        struct learnt *out, struct ledger_op *op)
{
    struct work *w = work_begin(l, NULL, op);
    struct finding *s = w ? work_state(w, sizeof(*s), NULL) : NULL;
    struct learnt none = {0};

    if (!s)
        return;
    memcpy(none.session, out->session, sizeof(none.session));
    *out = none;
    s->out = out;
    w->key = key;
    key_learnt(&w->prefix, out->session);
    work_get(w, partition, &w->prefix, learnt_read);
}
