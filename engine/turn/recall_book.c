// SPDX-License-Identifier: MIT
// recall_book.c: what is remembered of a user (book.h) as documents of their recall index: active
// facts and knowledge, and the journal's lines.
//
// The book is the truth. An index holds a reference to the one that its memories were made true to;
// one of a later version replaces it, in one pass (memory/recall_sync.h). So what an index finds is
// told out of that very book, and never what another process forgot since the turn began: the book
// that a run brings was read for it. What was forgotten leaves the index's bytes in upkeep.
//
// Where things belong: a fact has its scope, a line of the journal its entry's context.
#include "memory/recall_sync.h"
#include "memory/tell.h"
#include "turn/book.h"
#include "turn/recall_int.h"

enum { LINES_MAX = UINT8_MAX };

// An item with its text.
struct memory {
    struct recall_item item;
    struct safe_buf text;
};

static void set_text(struct memory *m)
{
    m->item.text = safe_slice(safe_buf_text(&m->text));
    m->item.tokens = tokens_estimate(m->item.text);
}

// Contexts in the index are told apart by the beginning of their hash.
static struct slice context_of(const char *hash)
{
    size_t len = strlen(hash);
    return slice_of(hash, len < RECALL_CONTEXT_BYTES - 1 ? len : RECALL_CONTEXT_BYTES - 1);
}

static void of_fact(struct memory *m, const struct fact_slot *slot, const struct fact *f)
{
    safe_buf_clear(&m->text);
    fact_tell(&m->text, slot, f);
    m->item = (struct recall_item){
        .kind = slot->tier == TIER_FACT ? RECALL_FACT : RECALL_KNOWLEDGE,
        .session = slice_str(f->id),
        .context = context_of(slot->scope),
        .at_ms = f->confirmed_at_ms ? f->confirmed_at_ms : f->recorded_at_ms,
    };
    set_text(m);
}

// The line after `at` of an entry's text; false: there is none.
static bool next_line(struct safe_text text, size_t *at, struct safe_text *line)
{
    if (*at >= text.len)
        return false;
    const char *end = memchr(text.ptr + *at, '\n', text.len - *at);
    size_t len = end ? (size_t)(end - text.ptr) - *at : text.len - *at;
    *line = safe_text_part(text, *at, len);
    *at += len + 1;
    return true;
}

static void of_line(struct memory *m, const struct journal_entry *e, uint32_t n,
                    struct safe_text line)
{
    safe_buf_clear(&m->text);
    safe_buf_add(&m->text, line);
    m->item = (struct recall_item){.kind = RECALL_JOURNAL,
                                   .session = slice_str(e->session),
                                   .context = context_of(e->context),
                                   .step = (uint8_t)n,
                                   .at_ms = e->at_ms};
    set_text(m);
}

// ---- making true

// What a book has that the one before had not. Slots and entries that did not change are the same
// in both, mostly: where many are not, all are looked at.
enum { CHANGES_MAX = 24 };
struct changes {
    const struct book *before;           // NULL: all is new
    struct slice names[CHANGES_MAX];     // of what came, went or changed
    uint32_t len;
};

static void add_change(struct changes *c, struct slice name)
{
    if (c->len == CHANGES_MAX)
        c->before = NULL;
    else
        c->names[c->len++] = name;
}

static const struct fact_slot *slot_of(const struct book *b, uint32_t i)
{
    return b && i < fact_book_slots(b->facts) ? fact_book_slot(b->facts, i) : NULL;
}

static void add_slot(struct changes *c, const struct fact_slot *slot)
{
    for (size_t i = 0; slot && i < slot->facts.len && c->before; i++)
        add_change(c, slice_str(fact_slot_at(slot, i)->id));
}

static void add_entries(struct changes *c, const struct journal *of, const struct journal *other)
{
    for (uint32_t i = 0; i < of->len && c->before; i++) {
        const struct journal_entry *e = &of->list[i], *same = journal_find(other, e->session);
        if (!same || same->version != e->version)
            add_change(c, slice_str(e->session));
    }
}

static struct changes changes_of(const struct book *before, const struct book *now)
{
    struct changes c = {.before = before};
    for (uint32_t i = 0; c.before && (slot_of(before, i) || slot_of(now, i)); i++) {
        if (slot_of(before, i) == slot_of(now, i))
            continue;
        add_slot(&c, slot_of(before, i));
        add_slot(&c, slot_of(now, i));
    }
    if (c.before) {
        add_entries(&c, &before->journal, &now->journal);
        add_entries(&c, &now->journal, &before->journal);
    }
    return c;
}

static bool is_changed(const struct changes *c, const char *name)
{
    bool is = c->before == NULL;
    for (uint32_t i = 0; i < c->len && !is; i++)
        is = slice_is(c->names[i], name);
    return is;
}

static int keep_facts(const struct changes *c, struct recall_sync *sync, struct memory *m,
                      const struct book *b, struct err *err)
{
    int code = E_OK;
    for (uint32_t i = 0; i < fact_book_slots(b->facts); i++) {
        const struct fact_slot *slot = slot_of(b, i);
        if (slot == slot_of(c->before, i))
            continue;
        for (size_t k = 0; k < slot->facts.len && !code; k++) {
            const struct fact *f = fact_slot_at(slot, k);
            if (f->status != FACT_ACTIVE)
                continue;
            of_fact(m, slot, f);
            code = recall_sync_keep(sync, &m->item, err);
        }
    }
    return code;
}

// Lines that tell a fact say no more than the fact does, which knows whether it still holds.
static bool tells_a_fact(struct safe_text line)
{
    static const char *const labels[] = {"New: ", "Changed: ", "Decided: "};
    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
        size_t len = strlen(labels[i]);
        if (line.len >= len && memcmp(line.ptr, labels[i], len) == 0)
            return true;
    }
    return false;
}

static int keep_journal(const struct changes *c, struct recall_sync *sync, struct memory *m,
                        const struct book *b, struct err *err)
{
    int code = E_OK;
    for (uint32_t i = 0; i < b->journal.len && !code; i++) {
        const struct journal_entry *e = &b->journal.list[i];
        if (e->gone || !is_changed(c, e->session))
            continue;
        struct safe_text line;
        size_t at = 0;
        for (uint32_t n = 0; n <= LINES_MAX && !code; n++) {
            if (!next_line(safe_buf_text(&e->text), &at, &line))
                break;
            of_line(m, e, n, line);
            if (line.len && !tells_a_fact(line))
                code = recall_sync_keep(sync, &m->item, err);
        }
    }
    return code;
}

void shelf_forget_book(struct shelf *s)
{
    book_release(s->book);
    s->book = NULL;
    s->book_partial = false;
}

static uint32_t forgotten_in(const struct book *b)
{
    return fact_book_count(b->facts, TIER_FACT, FACT_FORGOTTEN) +
           fact_book_count(b->facts, TIER_KNOWLEDGE, FACT_FORGOTTEN);
}

// What was forgotten leaves the bytes soon; what was superseded when they are next written.
static void remembered(struct shelf *s, struct book *now, uint32_t gone, bool partial)
{
    bool forgotten = !s->book || forgotten_in(now) != forgotten_in(s->book);
    s->purge |= gone > 0 && forgotten;
    s->unwritten = true;
    struct book *before = s->book;
    s->book = book_ref(now);
    s->book_partial = partial;
    book_release(before);
}

int shelf_remember(struct run *run, struct err *err)
{
    struct shelf *s = run->shelf;
    struct recall_sync *sync = NULL;
    struct memory m;
    uint64_t now = run->book->manifest.version;
    if (s->book && (now < s->book->manifest.version ||
                    (now == s->book->manifest.version && !s->book_partial)))
        return E_OK;
    struct changes c = changes_of(s->book_partial ? NULL : s->book, run->book);
    uint32_t before = recall_docs(s->recall);
    safe_buf_init(&m.text, CONTENT_BYTES_MAX);
    int code = c.before && c.len == 0
                   ? E_OK
                   : recall_sync_begin(&sync, s->recall, c.names, c.before ? c.len : 0, err);
    if (!code && sync)
        code = keep_facts(&c, sync, &m, run->book, err);
    if (!code && sync)
        code = keep_journal(&c, sync, &m, run->book, err);
    uint32_t added = recall_docs(s->recall) - before;
    uint32_t gone = recall_sync_end(sync, code != E_OK);
    safe_buf_release(&m.text);
    s->tail += added;
    // The tail is full: upkeep writes it, and the next turn adds what lacks.
    if (!code || code == E_REFUSED)
        remembered(s, run->book, gone, code == E_REFUSED);
    else
        shelf_forget_book(s);
    return code == E_REFUSED ? E_OK : code;
}

// ---- telling

// The line of the journal that item n was made of.
static bool find_line(const struct journal_entry *e, uint32_t n, struct safe_text *line)
{
    size_t at = 0;
    for (uint32_t i = 0; e && next_line(safe_buf_text(&e->text), &at, line); i++)
        if (i == n)
            return true;
    return false;
}

bool shelf_find_memory(const struct shelf *s, enum recall_kind kind, struct slice name,
                       uint32_t part, struct found_memory *out)
{
    char session[ID_TEXT_BYTES];
    struct err err = ERR_INIT;
    *out = (struct found_memory){.kind = kind};
    if (!s->book || kind == RECALL_TURN || name.len >= sizeof(session))
        return false;
    if (kind != RECALL_JOURNAL)
        return fact_book_find(s->book->facts, name, &out->at, &err) == E_OK &&
               out->at.fact->status == FACT_ACTIVE;
    snprintf(session, sizeof(session), "%.*s", SLICE_FMT(name));
    out->entry = journal_find(&s->book->journal, session);
    return find_line(out->entry, part, &out->line);
}

void shelf_tell_memory(const struct found_memory *m, struct safe_buf *out)
{
    if (m->kind == RECALL_JOURNAL)
        safe_buf_add(out, m->line);
    else
        fact_tell(out, m->at.slot, m->at.fact);
}

struct slice shelf_context_key(const struct run *run)
{
    return context_of(run->context_hash);
}
