// SPDX-License-Identifier: MIT
// export.c: records as people read them; see export.h.
//
// A page is one scan of one kind. A body that goes on in further records (<key>/<part>, which
// follow it) is whole within a page: a page that ends inside of one ends before it.
#include "ledger/export.h"
#include "ledger/kinds.h"
#include "ledger/ledger_int.h"

#include <stdio.h>
#include <stdlib.h>

enum { EXPORT_RECORDS = 200, PART_SUFFIX_BYTES = 11 /* "/0000000001" */ };

struct exporting {
    struct ledger_export *page;
    unsigned kind;
    struct json_writer items, damaged;
    uint32_t told;                 // records and damage on this page
    struct safe_buf body;
    struct json_doc doc;
    struct err why;                // why the record at hand cannot be read; code 0: it can
};

static void drop_exporting(void *state)
{
    struct exporting *x = state;

    safe_buf_release(&x->body);
    json_doc_release(&x->doc);
}

// ---- one record

static void write_key(struct json_writer *w, const struct record_kind *k, struct slice key)
{
    struct slice parts[KIND_PARTS_MAX + 1];
    unsigned len = key_split(key, parts, KIND_PARTS_MAX + 1);
    uint32_t n;

    if (!k->prefix[0])
        jw_kv_slice(w, "key", key);
    for (unsigned i = 0; i < KIND_PARTS_MAX && k->parts[i] && i + 1 < len; i++) {
        jw_key(w, k->parts[i]);
        if (key_number(parts[i + 1], &n))
            jw_i64(w, n);
        else
            jw_slice(w, parts[i + 1]);
    }
}

static bool is_time(struct slice name, struct json value)
{
    return json_type(value) == JSON_NUMBER &&
           (slice_is(name, "at") || slice_ends(name, SLICE_LIT("_at")));
}

// The members of an object that the record does not have yet: what the key says comes first.
static void write_members(struct json_writer *w, const struct record_kind *k, struct json object)
{
    struct buf name = BUF_INIT(BODY_BYTES_MAX);
    struct json_iter it = {0};
    struct json key, value;

    while (json_next(object, &it, &key, &value)) {
        char time[CLOCK_TEXT_BYTES];
        bool told = false;

        for (unsigned i = 0; i < KIND_PARTS_MAX && k->parts[i]; i++)
            told |= json_is_string(key, k->parts[i]);
        if (told)
            continue;
        buf_clear(&name);
        json_string(key, &name);
        if (!buf_reserve(&name, 1)) {  // it failed: nothing is left out silently
            w->out->failed = true;
            w->out->no_memory |= name.no_memory;
            break;
        }
        name.ptr[name.len] = '\0';  // also where it is empty
        jw_key(w, name.ptr);
        if (is_time(buf_slice(&name), value)) {
            clock_format(json_i64(value, 0), time);
            jw_str(w, time);
        } else {
            jw_raw(w, json_raw(value));
        }
    }
    buf_release(&name);
}

static int write_body(struct exporting *x, struct json_writer *w, const struct record_kind *k)
{
    struct slice body = safe_slice(safe_buf_text(&x->body));
    int code = E_OK;

    if (k->body == KIND_BYTES || k->body == KIND_NO_BODY) {
        if (body.len)
            jw_kv_i64(w, "bytes", (int64_t)body.len);
        return E_OK;
    }
    if (k->body == KIND_TEXT) {
        if (body.len)
            jw_kv_slice(w, k->body_name, body);
        return E_OK;
    }
    if (!body.len)
        return E_OK;
    code = json_parse(&x->doc, body, 0, &x->why);
    if (code)
        return code == E_NOMEM ? code : (x->why.code = E_CORRUPT);
    if (k->body == KIND_MEMBERS) {
        write_members(w, k, json_root(&x->doc));
    } else {
        jw_key(w, k->body_name);
        jw_raw(w, body);
    }
    return E_OK;
}

// Writes the record whose first row is `row`, and whose whole body x->body is.
static int write_record(struct exporting *x, const struct record *row)
{
    const struct record_kind *k = &record_kinds[x->kind];
    struct json_writer *w = &x->items;
    int code = json_parse(&x->doc, row->meta, 0, &x->why);

    if (code)
        return code == E_NOMEM ? code : (x->why.code = E_CORRUPT);
    jw_object(w);
    write_key(w, k, row->key);
    write_members(w, k, json_root(&x->doc));
    if (row->count)
        jw_kv_i64(w, "count", row->count);
    code = write_body(x, w, k);
    jw_object_end(w);
    return code;
}

static void name_damage(struct exporting *x, struct slice key)
{
    jw_object(&x->damaged);
    jw_kv_slice(&x->damaged, "key", key);
    jw_kv_str(&x->damaged, "why", x->why.message);
    jw_object_end(&x->damaged);
}

// ---- a page

static bool continues(struct slice key, struct slice base)
{
    uint32_t part;

    return base.len && key.len == base.len + PART_SUFFIX_BYTES && slice_starts(key, base) &&
           key.ptr[base.len] == '/' &&
           key_number(slice_of(key.ptr + base.len + 1, PART_SUFFIX_BYTES - 1), &part);
}

// The rows from `at` that are one record.
static uint32_t rows_of(const struct store_op *op, uint32_t at)
{
    uint32_t n = 1;

    while (at + n < op->rows_len && continues(op->rows[at + n].key, op->rows[at].key))
        n++;
    return n;
}

// Adds the record of `n` rows. E_OK also for one that is damaged, and named.
static int add_record(struct work *w, struct exporting *x, const struct record *rows, uint32_t n)
{
    const struct json_writer before = x->items;
    struct buf *out = x->page->items;
    size_t len = out->len;
    int code = E_OK;

    x->why = (struct err)ERR_INIT;
    x->told++;
    safe_buf_clear(&x->body);
    for (uint32_t i = 0; i < n && !code; i++)
        code = ledger_unseal(w->ledger, x->page->key, &rows[i], &x->body, &x->why);
    if (!code)
        code = write_record(x, rows);
    if (code == E_CORRUPT) {
        x->items = before;
        buf_truncate(out, len);
        name_damage(x, rows[0].key);
        code = E_OK;
    }
    if (code)
        w->op->err = x->why;
    return code;
}

static void end_page(struct work *w)
{
    struct exporting *x = w->state;

    jw_array_end(&x->items);
    jw_array_end(&x->damaged);
    int code = buf_check(x->page->items, "a page of an export", &w->op->err);
    if (!code)
        code = buf_check(x->page->damaged, "what is damaged", &w->op->err);
    work_end(w, code);
}

static void set_cursor(struct exporting *x, unsigned kind, struct slice after)
{
    if (kind == RECORD_KINDS)
        x->page->cursor[0] = '\0';
    else
        snprintf(x->page->cursor, sizeof(x->page->cursor), "%u %.*s", kind, SLICE_FMT(after));
}

static void scan_kind(struct work *w);

static void page_read(struct work *w)
{
    struct exporting *x = w->state;
    const struct store_op *op = &w->store;
    struct slice last = SLICE_NONE;
    uint32_t at = 0;
    int code = E_OK;

    if (!work_store_ok(w, "exporting"))
        return;
    while (at < op->rows_len && !code && x->page->items->len < EXPORT_PAGE_BYTES) {
        uint32_t n = rows_of(op, at);

        // The rest of it may be on the next page.
        if (at && op->more && at + n == op->rows_len)
            break;
        // Of the last kind is what no other is.
        if (record_kind_of(op->rows[at].key) == x->kind)
            code = add_record(w, x, &op->rows[at], n);
        at += n;
        last = op->rows[at - 1].key;
    }
    if (code) {
        work_end(w, code);
        return;
    }
    bool more = at < op->rows_len || op->more;
    set_cursor(x, more ? x->kind : x->kind + 1, more ? last : SLICE_NONE);
    if (x->told || !x->page->cursor[0]) {
        end_page(w);
        return;
    }
    x->kind += !more;
    buf_clear(&w->after);
    if (more)
        buf_add_slice(&w->after, last);
    scan_kind(w);
}

static void scan_kind(struct work *w)
{
    struct exporting *x = w->state;

    x->page->kind = record_kinds[x->kind].name;
    buf_clear(&w->prefix);
    buf_add_str(&w->prefix, record_kinds[x->kind].prefix);
    w->limit = EXPORT_RECORDS;
    work_scan(w, x->page->partition, page_read);
}

void ledger_export(struct ledger *l, struct ledger_export *e, struct ledger_op *op)
{
    struct work *w = work_begin(l, NULL, op);
    struct exporting *x = w ? work_state(w, sizeof(*x), drop_exporting) : NULL;
    char *after = e->cursor;
    unsigned long kind = 0;

    if (!x)
        return;
    x->page = e;
    jw_init(&x->items, e->items);
    jw_array(&x->items);
    jw_init(&x->damaged, e->damaged);
    jw_array(&x->damaged);
    safe_buf_init(&x->body, BODY_BYTES_MAX);
    if (e->cursor[0])
        kind = strtoul(e->cursor, &after, 10);
    if (kind >= RECORD_KINDS || (e->cursor[0] && (after == e->cursor || *after != ' '))) {
        work_fail(w, E_USAGE, "\"%s\" is no place to go on with an export from", e->cursor);
        return;
    }
    x->kind = (unsigned)kind;
    if (e->cursor[0])
        buf_add_str(&w->after, after + 1);
    scan_kind(w);
}
