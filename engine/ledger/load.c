// SPDX-License-Identifier: MIT
// load.c: turns, the system prompt and the head come back from the store.
//
// Turns are decoded once, straight to where they will stay; the chat gets them when all are there.
// One thread, see ledger_int.h.
#include "ledger/ledger_int.h"

#include "base/mem.h"

struct loading {
    struct chat *chat;
    uint32_t first, last;            // wanted
    struct turn *turns;              // of cap; [n - first], n 0 where none was read
    uint32_t cap;
    struct reader reader;
    bool full;                       // a record after `last` was seen
    bool lenient;                    // damage is told and passed over
    struct safe_buf system;
};

static void drop_loading(void *state)
{
    struct loading *s = state;

    for (uint32_t i = 0; s->turns && i <= s->last - s->first; i++)
        turn_release(&s->turns[i]);
    mem_free(s->turns);
    reader_release(&s->reader);
    safe_buf_release(&s->system);
}

// The chat has it all; goes on.
static void loaded(struct work *w)
{
    struct loading *s = w->state;
    struct chat *c = s->chat;
    struct chat_impl *impl = c->impl;

    if (s->turns) {
        for (uint32_t i = 0; i <= s->last - s->first; i++)
            impl->turns_bytes += turn_bytes(&s->turns[i]);
        if (c->turns_len)
            memcpy(s->turns + (s->last - s->first + 1), c->turns, c->turns_len * sizeof(*c->turns));
        mem_free(c->turns);
        c->turns = s->turns;
        c->turns_cap = s->cap;
        c->turns_len += s->last - s->first + 1;
        c->first = s->first;
        s->turns = NULL;
    }
    if (!c->system_loaded) {
        struct safe_buf old = c->system;

        c->system = s->system;
        s->system = old;
        c->system_loaded = true;
    }
    w->drop(s);
    mem_free(s);
    w->state = NULL;
    w->drop = NULL;
    w->then(w);
}

// Whether damage is passed over; it is told then.
static bool pass_over(struct work *w, int code)
{
    struct loading *s = w->state;

    if (code != E_CORRUPT || !s->lenient)
        return false;
    buf_add_str(&s->chat->damage, w->op->err.message);
    buf_add_char(&s->chat->damage, '\n');
    w->op->err = (struct err)ERR_INIT;
    return true;
}

// Ends with what is wrong with a record.
static void end_at(struct work *w, const struct record *row, int code)
{
    err_prefix(&w->op->err, "%.*s: ", SLICE_FMT(row->key));
    work_end_reading(w, code);
}

// Appends a record's text to out. False: it cannot be read, and w is ended.
static bool add_text(struct work *w, const struct record *row, const char *what,
                     struct safe_buf *out)
{
    struct chat *c = w->chat;
    int code = ledger_unseal(c->ledger, c->key, row, out, &w->op->err);

    if (code) {
        err_prefix(&w->op->err, "%s: ", what);
        work_end_reading(w, code);
    }
    return code == E_OK;
}

// ---- the system prompt: the newest event that says one

static void system_parts(struct work *w)
{
    struct loading *s = w->state;
    struct chat *c = s->chat;

    if (!work_store_ok(w, "reading the system prompt"))
        return;
    for (uint32_t i = 0; i < w->store.rows_len; i++) {
        int code = ledger_unseal(c->ledger, c->key, &w->store.rows[i], &s->system, &w->op->err);

        if (pass_over(w, code)) {
            safe_buf_clear(&s->system);
            loaded(w);
            return;
        }
        if (code) {
            work_end_reading(w, code);
            return;
        }
    }
    if (!work_scan_more(w))
        loaded(w);
}

static void events_read(struct work *w)
{
    struct loading *s = w->state;
    struct chat *c = s->chat;
    struct slice session;
    uint32_t at[3];
    struct json meta;

    if (!work_store_ok(w, "reading the session's events"))
        return;
    for (uint32_t i = 0; i < w->store.rows_len; i++) {
        const struct record *row = &w->store.rows[i];

        if (key_ordinals(row->key, &session, at) != 1)
            continue;  // a further part of one
        int code = ledger_read_json(c->ledger, c->key, row, &meta, &w->op->err);
        if (pass_over(w, code))
            continue;
        if (code) {
            end_at(w, row, code);
            return;
        }
        if (json_is_string(json_get(meta, "kind"), "system")) {
            key_event(&w->prefix, c->head.id, at[0]);
            buf_clear(&w->after);
            work_scan(w, c->head.partition, system_parts);
            return;
        }
    }
    if (work_scan_more(w))
        return;
    int code = err_set(&w->op->err, E_CORRUPT, "the event with its system prompt is not there; run "
                                               "`parley verify`");
    if (pass_over(w, code))
        loaded(w);
    else
        work_end_reading(w, code);
}

static void load_system(struct work *w)
{
    struct loading *s = w->state;
    struct chat *c = s->chat;

    if (c->system_loaded || c->head.system_hash == 0) {
        loaded(w);
        return;
    }
    key_event(&w->prefix, c->head.id, 0);
    key_siblings(&w->prefix);
    buf_clear(&w->after);
    work_scan_back(w, c->head.partition, events_read);
}

// ---- turns

static int take_turn(void *user, struct turn *t, struct err *err)
{
    struct loading *s = user;
    const struct session_head *h = &s->chat->head;
    uint32_t n = t->n;
    bool open = n == h->open_turn;
    bool whole = t->steps_len > 0 && !s->reader.damaged;

    BUG_ON(n > s->last);  // what comes after is not given to the reader
    bool expected = n >= s->first && s->turns[n - s->first].n == 0;
    if (!expected || (!whole && !s->lenient)) {
        turn_release(t);
        return err_set(err, E_CORRUPT, "turn %u is damaged; run `parley verify`", n);
    }
    t->superseded = session_is_superseded(h, n);
    t->damaged = !whole || (!open && t->status == TURN_OPEN);
    s->turns[n - s->first] = *t;
    if (!whole)
        return E_OK;
    if (open && t->status != TURN_OPEN)
        return err_set(err, E_CONFLICT, "session %s changed while it was read: read it again",
                       h->id);
    if (!open && t->status == TURN_OPEN)
        return err_set(err, E_CORRUPT,
                       "turn %u has no end, and is not the one that is open; run `parley verify`",
                       n);
    return E_OK;
}

static int check_whole(struct work *w)
{
    struct loading *s = w->state;

    for (uint32_t n = s->first; n <= s->last; n++) {
        if (s->turns[n - s->first].n)
            continue;
        int code = err_set(&w->op->err, E_CORRUPT, "turn %u is not there; run `parley verify`", n);
        if (!pass_over(w, code))
            return code;
        s->turns[n - s->first] =
            (struct turn){.n = n,
                          .damaged = true,
                          .superseded = session_is_superseded(&s->chat->head, n)};
    }
    return E_OK;
}

static void turns_read(struct work *w)
{
    struct loading *s = w->state;
    struct slice session;
    uint32_t at[3];
    int code = E_OK;

    if (!work_store_ok(w, "reading turns"))
        return;
    for (uint32_t i = 0; i < w->store.rows_len && !code && !s->full; i++) {
        const struct record *row = &w->store.rows[i];

        if (key_ordinals(row->key, &session, at) && at[0] > s->last)
            s->full = true;
        else
            code = reader_row(&s->reader, row, &w->op->err);
        if (pass_over(w, code))
            code = E_OK;
    }
    if (!code && !s->full && work_scan_more(w))
        return;
    if (!code)
        code = reader_end(&s->reader, &w->op->err);
    if (pass_over(w, code))
        code = E_OK;
    if (!code)
        code = check_whole(w);
    if (code) {
        if (code == E_CONFLICT)
            ((struct chat_impl *)s->chat->impl)->stale = true;
        work_end_reading(w, code);
        return;
    }
    load_system(w);
}

static void start_turns(struct work *w, struct loading *s)
{
    struct chat *c = s->chat;
    uint64_t wanted = (uint64_t)s->last - s->first + 1;

    s->cap = (uint32_t)(wanted + c->turns_len + 1);
    s->turns = mem_calloc(s->cap, sizeof(*s->turns));
    if (!s->turns) {
        work_fail(w, E_NOMEM, "out of memory for turns %u to %u", s->first, s->last);
        return;
    }
    key_turn_prefix(&w->prefix, c->head.id);
    buf_clear(&w->after);
    buf_add_slice(&w->after, buf_slice(&w->prefix));
    buf_addf(&w->after, "%010u", s->first);
    // Two records a turn, and one of the turn after, unless bodies are long.
    if (wanted < PAGE_RECORDS / 2)
        w->limit = (uint32_t)wanted * 2 + 1;
    work_scan(w, c->head.partition, turns_read);
}

static void begin_loading(struct work *w, uint32_t first, bool lenient,
                          void (*step)(struct work *w))
{
    struct chat *c = w->chat;
    struct loading *s = work_state(w, sizeof(*s), drop_loading);

    if (!s)
        return;
    s->chat = c;
    s->lenient = lenient;
    w->then = step;
    s->first = first > c->head.purged ? first : c->head.purged + 1;
    s->last = c->first - 1;
    reader_init(&s->reader, c->ledger, c->key);
    s->reader.on_turn = take_turn;
    s->reader.user = s;
    safe_buf_init(&s->system, BODY_BYTES_MAX);
    if (s->first > s->last)
        load_system(w);
    else
        start_turns(w, s);
}

void load_turns(struct work *w, uint32_t first, void (*step)(struct work *w))
{
    begin_loading(w, first, false, step);
}

static void load_done(struct work *w)
{
    work_end(w, E_OK);
}

void ledger_load(struct chat *c, uint32_t first, struct ledger_op *op)
{
    struct work *w = work_begin(c->ledger, c, op);

    if (w)
        load_turns(w, first, load_done);
}

void ledger_read(struct chat *c, struct ledger_op *op)
{
    struct work *w = work_begin(c->ledger, c, op);

    if (!w)
        return;
    chat_forget(c);
    buf_clear(&c->damage);
    ((struct chat_impl *)c->impl)->stale = true;
    begin_loading(w, 1, true, load_done);
}

// ---- the head

static void go_on(struct work *w)
{
    ((struct chat_impl *)w->chat->impl)->stale = false;
    w->then(w);
}

static void parts_read(struct work *w)
{
    struct chat *c = w->chat;
    struct chat_impl *impl = c->impl;

    if (!work_store_ok(w, "reading what was kept of the reply"))
        return;
    for (uint32_t i = 0; i < w->store.rows_len; i++) {
        const struct record *row = &w->store.rows[i];
        size_t before = safe_buf_text(&w->text).len;

        if (!add_text(w, row, "what was kept of a reply", &w->text))
            return;
        struct safe_text all = safe_buf_text(&w->text);
        safe_buf_clear(&impl->tail);
        safe_buf_add(&impl->tail, safe_text_part(all, before, all.len - before));
        impl->tail_version = row->version;
        impl->kept_bytes = all.len;
        c->parts++;
    }
    int code = safe_buf_check(&impl->tail, "what was kept of a reply", &w->op->err);
    if (code)
        work_end_reading(w, code);
    else if (!work_scan_more(w))
        go_on(w);
}

static void attempts_read(struct work *w)
{
    struct chat *c = w->chat;
    struct chat_impl *impl = c->impl;
    struct slice session;
    uint32_t at[3];

    if (!work_store_ok(w, "reading the turn's attempts"))
        return;
    for (uint32_t i = 0; i < w->store.rows_len; i++) {
        const struct record *row = &w->store.rows[i];
        struct attempt a = {0};
        int code = ledger_unseal(c->ledger, c->key, row, &w->commit.body, &w->op->err);

        safe_buf_clear(&w->commit.body);
        if (!code)
            code = attempt_read_meta(&a, row->meta, &w->op->err);
        if (!code && key_ordinals(row->key, &session, at) != 2)
            code =
                err_set(&w->op->err, E_CORRUPT, "not the key of an attempt; run `parley verify`");
        if (code) {
            end_at(w, row, code);
            return;
        }
        a.turn = at[0];
        a.n = at[1];
        if (a.status != ATTEMPT_OPEN)
            usage_add(&impl->usage, &a.usage);
        c->attempt = a;
        impl->attempt_version = row->version;
    }
    if (work_scan_more(w))
        return;
    key_part(&w->prefix, c->head.id, c->head.open_turn, 1, 0);
    key_siblings(&w->prefix);
    buf_clear(&w->after);
    work_scan(w, c->head.partition, parts_read);
}

// The chat's head becomes what the record says; if that is another one, what was loaded is dropped.
static int take_head(struct chat *c, const struct record *row, struct err *err)
{
    struct session_head h = {0};
    struct safe_buf body;

    if (row->version == c->head.version)
        return E_OK;
    safe_buf_init(&body, RECORD_BODY_BYTES_MAX);
    int code = ledger_unseal(c->ledger, c->key, row, &body, err);
    if (!code)
        code = session_read_meta(&h, row->meta, err);
    if (!code)
        code = session_read_body(&h, safe_buf_text(&body), err);
    safe_buf_release(&body);
    if (code) {
        session_head_release(&h);
        err_prefix(err, "%.*s: ", SLICE_FMT(row->key));
        return code;
    }
    memcpy(h.id, c->head.id, sizeof(h.id));
    memcpy(h.partition, c->head.partition, sizeof(h.partition));
    h.version = row->version;
    if (h.system_hash != c->head.system_hash) {
        safe_buf_clear(&c->system);
        c->system_loaded = false;
    }
    session_head_release(&c->head);
    c->head = h;
    chat_forget(c);
    return E_OK;
}

static void head_read(struct work *w)
{
    struct chat *c = w->chat;

    if (!work_store_ok(w, "reading the session"))
        return;
    if (w->store.rows_len == 0 && c->head.version) {
        work_fail(w, E_NOT_FOUND, "session %s is gone: start a new one", c->head.id);
        return;
    }
    int code = w->store.rows_len ? take_head(c, &w->store.rows[0], &w->op->err) : E_OK;
    if (code) {
        work_end_reading(w, code);
        return;
    }
    // Until the open turn is known as well, nothing may be appended.
    ((struct chat_impl *)c->impl)->stale = true;
    chat_forget_open(c);
    if (c->head.open_turn == 0) {
        go_on(w);
        return;
    }
    key_attempt(&w->prefix, c->head.id, c->head.open_turn, 0);
    key_siblings(&w->prefix);
    buf_clear(&w->after);
    work_scan(w, c->head.partition, attempts_read);
}

void load_head(struct work *w, void (*step)(struct work *w))
{
    w->then = step;
    safe_buf_clear(&w->text);
    key_session(&w->prefix, w->chat->head.id);
    work_get(w, w->chat->head.partition, &w->prefix, head_read);
}

void ledger_reload(struct chat *c, struct ledger_op *op)
{
    struct work *w = work_begin(c->ledger, c, op);

    if (w)
        load_head(w, load_done);
}
