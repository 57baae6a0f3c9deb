// SPDX-License-Identifier: MIT
// masks.c: see masks.h. Who waits is answered in rounds: read what is not read, write what is not
// written, until there is nothing left to do; then all of them at once.
//
//   go_on ──not read──▶ [pages_read] ─▶ [originals_read] ─┐
//     │ ▲ ◀───────────────────────────────────────────────┘
//     │ ├──written─────────────────────────────┐
//     │ └──conflict: read again, E_CONFLICT──┐ │
//     ├──to write──▶ [written] ──────────────┴─┘
//     └──nothing──▶ all are answered
//
// Invariants:
//   1. page, page_first and page_version are those of the newest page as it was read or written
//      last; a commit that another process was ahead of fails on that version.
//   2. After a commit that failed, whatever the book had given out is dropped and the pages are
//      read again before anything else: nobody knows what is there.
//   3. The user's other runs go on redacting while pages are read. What the book gives out then is
//      dropped with each page, as its numbers may be others', and who waits is to redact again.
// One thread, see ledger_int.h.
#include "ledger/masks.h"

#include "base/json.h"
#include "base/mem.h"
#include "ledger/ledger_int.h"

#include <stdio.h>

enum { PAGE_MASKS = 100, ORIGINALS_PER_COMMIT = 40, KEY_PARTS = 4 };

struct masks {
    struct ledger *ledger;
    char partition[PARTITION_BYTES];
    const struct user_key *key;    // borrowed from the vault
    struct mask_book *book;        // owned
    bool loaded, originals_loaded;
    uint32_t page;                 // the newest; 0: there is none
    uint32_t page_first;           // index of its first mask
    uint64_t page_version;
    bool keeping;                  // there may be originals that are to be kept, and are not yet
    bool busy;
    bool dropped;                  // numbers that somebody who waits may have used
    struct ledger_op op;           // of the round
    struct loop_task task;
    struct masks_wait *queue;
    uint32_t upto;                 // the masks that the commit under way settles
    bool next_page, puts_page;     // it has a page, which is a new one
    struct mask_original *storing[ORIGINALS_PER_COMMIT];  // that it has; borrowed from the book
    uint32_t storing_len;
};

// ---- the digest of a value: keyed, and apart by user and kind

static void digest(void *user, struct slice kind, struct slice value, char out[MASK_DIGEST_BYTES])
{
    const struct masks *m = user;
    char domain[sizeof("mask/") + MASK_WORD_BYTES];

    snprintf(domain, sizeof(domain), "mask/%.*s", SLICE_FMT(kind));
    if (vault_user_digest(m->ledger->env.vault, m->key, domain, value, out, NULL) != E_OK)
        out[0] = '\0';
}

int masks_new(struct masks **out, struct ledger *l, const char *partition,
              const struct user_key *key, struct err *err)
{
    struct masks *m = mem_zalloc(sizeof(*m));

    *out = NULL;
    if (!m)
        return err_set(err, E_NOMEM, "out of memory for a user's masks");
    int code = mask_book_new(&m->book, digest, m, err);
    if (code) {
        mem_free(m);
        return code;
    }
    m->ledger = l;
    m->key = key;
    memcpy(m->partition, partition, sizeof(m->partition));
    *out = m;
    return E_OK;
}

void masks_free(struct masks *m)
{
    if (!m)
        return;
    BUG_ON(m->busy);
    mask_book_free(m->book);
    mem_free(m);
}

struct mask_book *masks_book(const struct masks *m)
{
    return m->book;
}

bool masks_busy(const struct masks *m)
{
    return m->busy;
}

// ---- rounds

static void go_on(struct masks *m);

static void answer(struct masks *m, int code)
{
    struct masks_wait *list = m->queue;
    struct err err = m->op.err;

    if (m->dropped && code == E_OK)
        code = E_CONFLICT;
    m->queue = NULL;
    m->busy = m->dropped = false;
    while (list) {
        struct masks_wait *wait = list;

        list = wait->next;
        // Who only wanted to read has what it wanted.
        wait->op.code = wait->loading && code == E_CONFLICT ? E_OK : code;
        wait->op.err = err;
        wait->op.done(&wait->op);
    }
}

static void start(struct loop_task *task)
{
    go_on(CONTAINER_OF(task, struct masks, task));
}

static void queue_wait(struct masks *m, struct masks_wait *wait)
{
    struct masks_wait **end = &m->queue;

    wait->next = NULL;
    while (*end)
        end = &(*end)->next;
    *end = wait;
    if (m->busy)
        return;
    m->busy = true;
    m->task.fn = start;
    loop_post(m->ledger->env.loop, &m->task);
}

void masks_load(struct masks *m, bool originals, struct masks_wait *wait)
{
    wait->originals = originals;
    wait->loading = true;
    wait->again = false;
    queue_wait(m, wait);
}

void masks_look_again(struct masks *m, struct masks_wait *wait)
{
    wait->originals = false;
    wait->loading = wait->again = true;
    queue_wait(m, wait);
}

bool masks_loaded(const struct masks *m, bool originals)
{
    return m->loaded && (m->originals_loaded || !originals);
}

void masks_commit(struct masks *m, struct masks_wait *wait)
{
    wait->originals = wait->loading = wait->again = false;
    queue_wait(m, wait);
}

// ---- reading

// A page's masks; those that are known already are passed over.
static int take_page(struct masks *m, uint32_t page, struct json list, struct err *err)
{
    struct json_iter it = {0};
    struct json item;
    char kind[MASK_WORD_BYTES + 8], text[MASK_DIGEST_BYTES + 8];
    uint32_t known = page == m->page ? mask_book_settled(m->book) - m->page_first : 0;

    if (json_type(list) != JSON_ARRAY || page < m->page || page > m->page + 1)
        return err_set(err, E_CORRUPT, "masks/%010u: not a page of masks", page);
    if (page > m->page) {
        m->page = page;
        m->page_first = mask_book_settled(m->book);
    }
    for (uint32_t i = 0; json_next(list, &it, NULL, &item); i++) {
        struct buf word = BUF_INIT(sizeof(kind)), hex = BUF_INIT(sizeof(text));
        int64_t number = json_i64(json_at(item, 1), 0);

        if (i < known)
            continue;
        bool good = json_string(json_at(item, 0), &word) && json_string(json_at(item, 2), &hex) &&
                    number > 0 && number <= UINT32_MAX;
        int code = word.no_memory || hex.no_memory
                       ? err_set(err, E_NOMEM, "out of memory for a user's masks")
                   : good && buf_ok(&word) && buf_ok(&hex)
                       ? mask_book_load(m->book, buf_slice(&word), (uint32_t)number,
                                        buf_slice(&hex), err)
                       : err_set(err, E_CORRUPT, "masks/%010u: not a page of masks", page);
        buf_release(&word);
        buf_release(&hex);
        if (code)
            return code;
    }
    return E_OK;
}

static int read_page(struct work *w, struct masks *m, const struct record *row)
{
    struct safe_buf body;
    struct slice parts[KEY_PARTS];
    uint32_t page;
    struct json_doc doc = JSON_DOC_INIT;

    if (key_split(row->key, parts, KEY_PARTS) != 2 || !key_number(parts[1], &page))
        return err_set(&w->op->err, E_CORRUPT, "%.*s: not a page of masks", SLICE_FMT(row->key));
    safe_buf_init(&body, BODY_BYTES_MAX);
    int code = ledger_unseal(m->ledger, m->key, row, &body, &w->op->err);
    if (!code)
        code = json_parse(&doc, safe_slice(safe_buf_text(&body)), 0, &w->op->err);
    if (!code)
        code = take_page(m, page, json_root(&doc), &w->op->err);
    m->page_version = row->version;
    json_doc_release(&doc);
    safe_buf_release(&body);
    if (code && code != E_NOMEM)
        code = err_set(&w->op->err, E_CORRUPT, "the user's masks cannot be read: %.*s is damaged; "
                       "put a backup back, or erase the user", SLICE_FMT(row->key));
    return code;
}

static void pages_read(struct work *w)
{
    struct masks *m = w->op->user;

    if (!work_store_ok(w, "reading the user's masks"))
        return;
    m->dropped |= mask_book_waits(m->book);
    mask_book_drop(m->book);
    for (uint32_t i = 0; i < w->store.rows_len; i++) {
        int code = read_page(w, m, &w->store.rows[i]);

        if (code) {
            work_end(w, code);
            return;
        }
    }
    if (!work_scan_more(w))
        work_end(w, E_OK);
}

static int read_original(struct work *w, struct masks *m, const struct record *row)
{
    struct safe_buf body;
    struct slice parts[KEY_PARTS];
    uint32_t number;

    if (row->due_at_ms && row->due_at_ms <= ledger_now(m->ledger))
        return E_OK;
    unsigned len = key_split(row->key, parts, KEY_PARTS);
    if (len < KEY_PARTS - 1 || !key_number(parts[2], &number))
        return E_OK;
    struct slice bot = len == KEY_PARTS ? parts[3] : SLICE_NONE;
    safe_buf_init(&body, BODY_BYTES_MAX);
    // Sealed as bytes: this is no text that may leave, and goes nowhere but into the book.
    int code = ledger_unseal(m->ledger, m->key, row, &body, &w->op->err);
    if (!code)
        code = mask_book_load_original(m->book, parts[1], number, bot,
                                       safe_slice(safe_buf_text(&body)), row->due_at_ms,
                                       &w->op->err);
    safe_buf_release(&body);
    // One that is damaged stays a mask; verify tells.
    return code == E_NOMEM ? code : E_OK;
}

static void originals_read(struct work *w)
{
    struct masks *m = w->op->user;
    int code = E_OK;

    if (!work_store_ok(w, "reading what masks stand for"))
        return;
    for (uint32_t i = 0; i < w->store.rows_len && !code; i++)
        code = read_original(w, m, &w->store.rows[i]);
    if (code || !work_scan_more(w))
        work_end(w, code);
}

static void loaded(struct ledger_op *op)
{
    struct masks *m = op->user;

    m->loaded = op->code == E_OK;
    if (m->loaded)
        go_on(m);
    else
        answer(m, op->code);
}

static void have_originals(struct ledger_op *op)
{
    struct masks *m = op->user;

    m->originals_loaded = op->code == E_OK;
    if (m->originals_loaded)
        go_on(m);
    else
        answer(m, op->code);
}

static struct work *begin(struct masks *m, void (*done)(struct ledger_op *op))
{
    m->op.done = done;
    m->op.user = m;
    struct work *w = work_begin(m->ledger, NULL, &m->op);
    if (w)
        w->key = m->key;
    return w;
}

// From the newest page that is known: it may have grown.
static void load(struct masks *m, void (*done)(struct ledger_op *op))
{
    struct work *w = begin(m, done);

    if (!w)
        return;
    buf_add_str(&w->prefix, "masks/");
    if (m->page > 1)
        key_masks(&w->after, m->page - 1);
    work_scan(w, m->partition, pages_read);
}

static void load_originals(struct masks *m)
{
    struct work *w = begin(m, have_originals);

    if (!w)
        return;
    buf_add_str(&w->prefix, "original/");
    work_scan(w, m->partition, originals_read);
}

// ---- writing

void masks_keep(struct masks *m, const char *bot, int64_t until_ms)
{
    for (struct mask_original *at; (at = mask_book_take_said(m->book, bot));) {
        at->keep = m->keeping = true;
        at->until_ms = until_ms;
    }
}

void masks_keep_none(struct masks *m, const char *bot)
{
    while (mask_book_take_said(m->book, bot))
        continue;
}

bool masks_to_commit(const struct masks *m)
{
    return m->busy || m->keeping || mask_book_waits(m->book);
}

// The next one from there on that is to be stored, or NULL.
static struct mask_original *to_store(struct mask_original *o)
{
    while (o && (!o->keep || o->kept))
        o = o->next;
    return o;
}

static void add_page(struct masks *m, struct work *w)
{
    struct commit *b = &w->commit;
    struct buf json = BUF_INIT(BODY_SPLIT_BYTES);
    struct json_writer jw;
    uint32_t settled = mask_book_settled(m->book), len = mask_book_len(m->book);

    m->puts_page = true;
    m->next_page = m->page == 0 || settled - m->page_first == PAGE_MASKS;
    uint32_t first = m->next_page ? settled : m->page_first;
    m->upto = len < first + PAGE_MASKS ? len : first + PAGE_MASKS;
    if (m->upto > settled + ORIGINALS_PER_COMMIT)
        m->upto = settled + ORIGINALS_PER_COMMIT;
    jw_init(&jw, &json);
    jw_array(&jw);
    for (uint32_t i = first; i < m->upto; i++) {
        const struct mask *mask = mask_book_at(m->book, i);

        jw_array(&jw);
        jw_str(&jw, mask->kind);
        jw_i64(&jw, mask->number);
        jw_str(&jw, mask->digest);
        jw_array_end(&jw);
    }
    jw_array_end(&jw);
    key_masks(&b->name, m->page + m->next_page);
    buf_addf(&b->meta, "{\"masks\":%u}", m->upto - first);
    commit_add_bytes(b, m->next_page ? STORE_INSERT : STORE_PUT,
                     m->next_page ? 0 : m->page_version, buf_slice(&json));
    if (!buf_ok(&json) && !b->code)
        b->code = err_set(&b->err, E_NOMEM, "out of memory for a user's masks");
    buf_release(&json);
}

static void add_original(struct masks *m, struct work *w, struct mask_original *o)
{
    struct commit *b = &w->commit;
    const struct mask *mask = mask_book_at(m->book, o->mask);

    key_original(&b->name, mask->kind, mask->number, o->bot);
    buf_add_str(&b->meta, "{}");
    uint32_t at = commit_add_bytes(b, STORE_PUT, 0, slice_str(o->text));
    if (!b->code)
        b->items[at].due_at_ms = o->until_ms;
    m->storing[m->storing_len++] = o;
}

// As many originals of a mask that is durable as there is room for.
static void add_originals(struct masks *m, struct work *w, const struct mask *mask)
{
    struct mask_original *o = to_store(mask->originals);

    for (; o && m->storing_len < ORIGINALS_PER_COMMIT; o = to_store(o->next))
        add_original(m, w, o);
}

static void page_written(struct work *w)
{
    struct masks *m = w->op->user;

    if (!work_store_ok(w, "writing the user's masks"))
        return;
    if (m->puts_page) {
        m->page += m->next_page;
        if (m->next_page)
            m->page_first = mask_book_settled(m->book);
        m->page_version = w->store.items[0].version;
    }
    work_end(w, E_OK);
}

static void read_again(struct ledger_op *op)
{
    struct masks *m = op->user;

    m->loaded = op->code == E_OK;
    answer(m, m->loaded ? E_CONFLICT : op->code);
}

static void round_over(struct ledger_op *op)
{
    struct masks *m = op->user;

    if (op->code == E_OK) {
        mask_book_settle(m->book, m->upto);
        for (uint32_t i = 0; i < m->storing_len; i++) {
            m->storing[i]->kept = true;
            mask_book_note_until(m->book, m->storing[i]->until_ms);
        }
        go_on(m);
        return;
    }
    mask_book_drop(m->book);
    m->loaded = false;
    if (op->code == E_CONFLICT || op->ambiguous)
        load(m, read_again);
    else
        answer(m, op->code);
}

// A commit holds one page, and as many originals of masks that are durable with it as it may.
static void write_round(struct masks *m)
{
    struct work *w = begin(m, round_over);

    if (!w)
        return;
    commit_begin(&w->commit, m->ledger->env.vault, m->key, m->partition);
    m->upto = mask_book_settled(m->book);
    m->storing_len = 0;
    m->puts_page = m->next_page = false;
    if (mask_book_waits(m->book))
        add_page(m, w);
    for (uint32_t i = 0; m->keeping && i < m->upto; i++)
        add_originals(m, w, mask_book_at(m->book, i));
    work_commit(w, page_written);
}

static bool originals_to_store(struct masks *m)
{
    for (uint32_t i = 0; m->keeping && i < mask_book_len(m->book); i++)
        if (to_store(mask_book_at(m->book, i)->originals))
            return true;
    m->keeping = false;
    return false;
}

static bool wants_originals(const struct masks *m)
{
    const struct masks_wait *wait = m->queue;

    while (wait && !wait->originals)
        wait = wait->next;
    return wait && !m->originals_loaded;
}

// Whether somebody waits for what is new, which is read once for all of them.
static bool take_again(struct masks *m)
{
    bool again = false;

    for (struct masks_wait *wait = m->queue; wait; wait = wait->next) {
        again |= wait->again;
        wait->again = false;
    }
    return again;
}

static void go_on(struct masks *m)
{
    if (take_again(m) || !m->loaded)
        load(m, loaded);
    else if (wants_originals(m))
        load_originals(m);
    else if (mask_book_waits(m->book) || originals_to_store(m))
        write_round(m);
    else
        answer(m, E_OK);
}
