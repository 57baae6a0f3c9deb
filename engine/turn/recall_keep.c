// SPDX-License-Identifier: MIT
// recall_keep.c: a recall index out of its records, and back into them (recall_int.h has both).
//
//   load   manifest ─▶ parts, page by page, joined to segments ─▶ what no manifest will name: sweep
//   write  parts, four a commit ─▶ the last ones with the manifest, less what it replaces
//
// A manifest and its parts that do not agree (another process wrote meanwhile) are read again a few
// times; what stays damaged is built anew from the turns.
#include "turn/recall_int.h"

#include "base/json.h"

enum {
    LOAD_TRIES_MAX = 3,
    PAGE_PARTS = 50,
    SWEEP_BYTES_MAX = 64 << 10,
    BASE_META_BYTES = 48,
    KEY_PARTS = 5,  // recall, bot, number, stamp, part
};

struct keep {
    struct buf key, after;
    unsigned tries;
    // loading
    struct vec wanted;          // struct kept: as the manifest says
    size_t at;                  // the one whose parts are read
    uint32_t part;              // its next part
    struct safe_buf segment;
    // writing
    struct recall_change change;
    char stamp[RECALL_STAMP_BYTES];
    uint32_t parts;
    bool last;                  // this commit has the manifest
    struct vec next;            // struct kept: as the manifest will say
    struct store_item items[STORE_BATCH_ITEMS_MAX];
    struct item_place { size_t key, key_len, meta, meta_len, body, body_len; }
        places[STORE_BATCH_ITEMS_MAX];
    uint32_t items_len;
    struct buf arena;
    size_t swept;               // bytes of s->sweep that this commit deletes
};

void keep_free(struct keep *k)
{
    if (!k)
        return;
    buf_release(&k->key);
    buf_release(&k->after);
    vec_release(&k->wanted);
    safe_buf_release(&k->segment);
    vec_release(&k->next);
    buf_release(&k->arena);
    mem_free(k);
}

static void later(struct loop_task *task)
{
    struct shelf *s = CONTAINER_OF(task, struct shelf, task);
    s->then(s);
}

static void end(struct shelf *s, int code)
{
    s->code = code;
    store_op_release(&s->store);
    keep_free(s->keep);
    s->keep = NULL;
    s->task.fn = later;
    loop_post(s->w->env.loop, &s->task);
}

static bool begin(struct shelf *s, void (*then)(struct shelf *s))
{
    struct keep *k = s->keep = mem_zalloc(sizeof(*k));
    s->then = then;
    s->err = (struct err)ERR_INIT;
    if (!k) {
        end(s, err_set(&s->err, E_NOMEM, "out of memory for the recall index"));
        return false;
    }
    buf_init(&k->key, RECORD_KEY_BYTES_MAX);
    buf_init(&k->after, RECORD_KEY_BYTES_MAX);
    vec_init(&k->wanted, sizeof(struct kept), RECALL_SEGMENTS_MAX);
    vec_init(&k->next, sizeof(struct kept), RECALL_SEGMENTS_MAX);
    safe_buf_init(&k->segment, SEGMENT_BYTES_MAX);
    buf_init(&k->arena, STORE_BATCH_BYTES_MAX);
    return true;
}

static struct store_op *store_op(struct shelf *s, enum store_verb verb,
                                 void (*done)(struct store_op *op))
{
    store_op_release(&s->store);
    s->store = (struct store_op){.verb = verb,
                                 .loop = s->w->env.loop,
                                 .done = done,
                                 .partition = slice_str(s->partition)};
    return &s->store;
}

static int unseal(struct shelf *s, const struct record *row, struct safe_buf *out, struct err *err)
{
    struct vault_place place = vault_place_of(row);
    return vault_unseal(s->w->env.vault, s->key, &place, row->body, out, err);
}

// ---- loading

static void read_manifest(struct shelf *s);

// Nothing of the index can be used: it is built anew, under the manifest as it stands.
static int start_empty(struct shelf *s)
{
    struct recall_scope scope = {.partition = slice_str(s->partition), .bot = slice_str(s->bot)};
    struct recall_space space = embedder_space(s->w);
    recall_free(s->recall);
    s->recall = NULL;
    vec_clear(&s->kept);
    buf_clear(&s->sweep);
    return recall_new(&s->recall, &scope, &space, &s->err);
}

// All parts of a segment are to be deleted, as far as there is room to note it; the others are
// found by a later load.
static void sweep_segment(struct shelf *s, const struct kept *old)
{
    struct keep *k = s->keep;
    for (uint32_t part = 0; part < old->parts && s->sweep.len < SWEEP_BYTES_MAX / 2; part++) {
        key_recall_part(&k->key, s->bot, old->number, old->stamp, part);
        buf_add_slice(&s->sweep, buf_slice(&k->key));
        buf_add_char(&s->sweep, '\0');
    }
}

static void read_again(struct shelf *s)
{
    struct keep *k = s->keep;
    if (++k->tries < LOAD_TRIES_MAX) {
        read_manifest(s);
        return;
    }
    log_line(s->w->env.log, LOG_WARN, "recall: the index of a user with bot %s cannot be read; it "
             "is built anew from the turns", s->bot);
    s->from_ms = 0;
    int code = start_empty(s);
    // The next manifest will name none of what this one does.
    for (size_t i = 0; i < k->wanted.len; i++)
        sweep_segment(s, VEC_AT(&k->wanted, struct kept, i));
    end(s, code);
}

static int take_segment(struct shelf *s)
{
    struct keep *k = s->keep;
    const struct kept *wanted = VEC_AT(&k->wanted, struct kept, k->at);
    struct slice text = safe_slice(safe_buf_text(&k->segment));
    struct kept *kept = vec_push(&s->kept);
    char *bytes = kept ? mem_alloc(text.len ? text.len : 1) : NULL;
    if (!bytes)
        return err_set(&s->err, E_NOMEM, "out of memory for the recall index");
    memcpy(bytes, text.ptr, text.len);
    *kept = *wanted;
    safe_buf_clear(&k->segment);
    k->part = 0;
    k->at++;
    return recall_load(s->recall, wanted->number, bytes, text.len, &s->err);
}

static void note_orphan(struct shelf *s, const struct record *row)
{
    struct safe_buf none;
    struct json_doc doc = JSON_DOC_INIT;
    safe_buf_init(&none, RECORD_BODY_BYTES_MAX);
    // One that is made for this manifest may still be named by the next. One that does not open is
    // of no use to anybody.
    int code = unseal(s, row, &none, NULL);
    bool old = code == E_CORRUPT ||
               (code == E_OK && json_parse(&doc, row->meta, 0, NULL) == E_OK &&
                json_i64(json_get(json_root(&doc), "base"), INT64_MAX) < (int64_t)s->version);
    if (old && s->sweep.len + row->key.len + 1 < SWEEP_BYTES_MAX) {
        buf_add_slice(&s->sweep, row->key);
        buf_add_char(&s->sweep, '\0');
    }
    json_doc_release(&doc);
    safe_buf_release(&none);
}

// E_CORRUPT: not what the manifest says.
static int take_part(struct shelf *s, const struct record *row)
{
    struct keep *k = s->keep;
    struct slice parts[KEY_PARTS + 1];
    uint32_t number, part;
    if (key_split(row->key, parts, KEY_PARTS + 1) != KEY_PARTS || !key_number(parts[2], &number) ||
        !key_number(parts[4], &part))
        return E_OK;
    const struct kept *wanted =
        k->at < k->wanted.len ? VEC_AT(&k->wanted, struct kept, k->at) : NULL;
    if (wanted && number > wanted->number)
        return err_set(&s->err, E_CORRUPT, "segment %u is not there", wanted->number);
    if (!wanted || number != wanted->number || !slice_eq(parts[3], slice_str(wanted->stamp))) {
        note_orphan(s, row);
        return E_OK;
    }
    if (part != k->part)
        return err_set(&s->err, E_CORRUPT, "segment %u lacks part %u", number, k->part);
    int code = unseal(s, row, &k->segment, &s->err);
    if (code)
        return code;
    k->part++;
    return k->part == wanted->parts ? take_segment(s) : E_OK;
}

static void parts_read(struct store_op *op);

static void read_parts(struct shelf *s)
{
    struct keep *k = s->keep;
    key_recall_parts(&k->key, s->bot);
    struct store_op *op = store_op(s, STORE_SCAN, parts_read);
    op->key = buf_slice(&k->key);
    op->after = buf_slice(&k->after);
    op->limit = PAGE_PARTS;
    store_submit(s->w->env.store, op);
}

static void parts_read(struct store_op *op)
{
    struct shelf *s = CONTAINER_OF(op, struct shelf, store);
    struct keep *k = s->keep;
    int code = op->code;
    if (code)
        s->err = op->err;
    for (uint32_t i = 0; i < op->rows_len && !code; i++)
        code = take_part(s, &op->rows[i]);
    if (!code && op->more && op->rows_len) {
        buf_clear(&k->after);
        buf_add_slice(&k->after, op->rows[op->rows_len - 1].key);
        read_parts(s);
        return;
    }
    if (!code && k->at < k->wanted.len)
        code = err_set(&s->err, E_CORRUPT, "its newest segment is not there");
    if (code == E_CORRUPT || code == E_REFUSED || code == E_USAGE)
        read_again(s);
    else
        end(s, code);
}

static int read_segments(struct shelf *s, struct json manifest)
{
    struct keep *k = s->keep;
    struct json_iter it = {0};
    struct json none, entry;
    struct buf stamp = BUF_INIT(RECALL_STAMP_BYTES);
    int code = E_OK;
    s->from_ms = json_i64(json_get(manifest, "from"), 0);
    while (!code && json_next(json_get(manifest, "segments"), &it, &none, &entry)) {
        struct kept *kept = vec_push(&k->wanted);
        int64_t number = json_i64(json_at(entry, 0), 0);
        int64_t parts = json_i64(json_at(entry, 2), 0);
        struct slice text = json_text(json_at(entry, 1), &stamp);
        if (!kept || text.len + 1 != RECALL_STAMP_BYTES || number <= 0 || number > UINT32_MAX ||
            parts <= 0 || parts > UINT32_MAX) {
            code = err_set(&s->err, E_CORRUPT, "the manifest says what cannot be");
            break;
        }
        *kept = (struct kept){.number = (uint32_t)number, .parts = (uint32_t)parts};
        memcpy(kept->stamp, text.ptr, text.len);
    }
    buf_release(&stamp);
    return code;
}

static void manifest_read(struct store_op *op)
{
    struct shelf *s = CONTAINER_OF(op, struct shelf, store);
    struct keep *k = s->keep;
    struct json_doc doc = JSON_DOC_INIT;
    int code = op->code;
    if (code && code != E_CORRUPT) {
        s->err = op->err;
        end(s, code);
        return;
    }
    vec_clear(&k->wanted);
    k->at = k->part = 0;
    buf_clear(&k->after);
    safe_buf_clear(&k->segment);
    s->version = op->rows_len ? op->rows[0].version : 0;
    s->from_ms = 0;
    code = start_empty(s);
    if (!code && op->rows_len) {
        code = unseal(s, &op->rows[0], &k->segment, &s->err);
        if (!code)
            code = json_parse(&doc, op->rows[0].meta, 0, &s->err) ? E_CORRUPT : E_OK;
        if (!code)
            code = read_segments(s, json_root(&doc));
        json_doc_release(&doc);
    }
    if (code == E_CORRUPT)
        read_again(s);
    else if (code)
        end(s, code);
    else
        read_parts(s);
}

static void read_manifest(struct shelf *s)
{
    struct keep *k = s->keep;
    key_recall(&k->key, s->bot);
    store_op(s, STORE_GET, manifest_read)->key = buf_slice(&k->key);
    store_submit(s->w->env.store, &s->store);
}

void shelf_load(struct shelf *s, void (*then)(struct shelf *s))
{
    if (begin(s, then))
        read_manifest(s);
}

// ---- writing

// The key is in k->key; meta and body are copied.
static void add_item(struct shelf *s, enum store_item_verb verb, uint64_t version,
                     struct slice meta, struct slice body)
{
    struct keep *k = s->keep;
    struct sealed sealed = {SLICE_NONE};
    struct vault_place place = {slice_str(s->partition), buf_slice(&k->key), meta};
    if (k->items_len == STORE_BATCH_ITEMS_MAX || s->code)
        return;
    struct item_place *at = &k->places[k->items_len];
    k->items[k->items_len++] = (struct store_item){.verb = verb, .version = version};
    *at = (struct item_place){.key = k->arena.len, .key_len = k->key.len};
    buf_add_slice(&k->arena, buf_slice(&k->key));
    at->meta = k->arena.len;
    at->meta_len = meta.len;
    buf_add_slice(&k->arena, meta);
    at->body = k->arena.len;
    if (verb != STORE_DELETE)
        s->code = vault_seal_bytes(s->w->env.vault, s->key, &place, body, &k->arena, &sealed,
                                   &s->err);
    at->body_len = k->arena.len - at->body;
}

static void committed(struct store_op *op);

static void commit(struct shelf *s)
{
    struct keep *k = s->keep;
    int code = s->code;
    if (!code)
        code = buf_check(&k->arena, "a piece of the recall index", &s->err);
    if (code) {
        end(s, code);
        return;
    }
    for (uint32_t i = 0; i < k->items_len; i++) {
        const struct item_place *at = &k->places[i];
        k->items[i].key = slice_of(k->arena.ptr + at->key, at->key_len);
        k->items[i].meta = slice_of(k->arena.ptr + at->meta, at->meta_len);
        k->items[i].body.bytes = slice_of(k->arena.ptr + at->body, at->body_len);
    }
    struct store_op *op = store_op(s, STORE_COMMIT, committed);
    op->items = k->items;
    op->items_len = k->items_len;
    store_submit(s->w->env.store, op);
}

static uint32_t parts_of(size_t bytes)
{
    return (uint32_t)((bytes + RECALL_PART_BYTES - 1) / RECALL_PART_BYTES);
}

static void add_part(struct shelf *s, uint32_t part)
{
    struct keep *k = s->keep;
    char meta[BASE_META_BYTES];
    size_t at = (size_t)part * RECALL_PART_BYTES, left = k->change.bytes.len - at;
    snprintf(meta, sizeof(meta), "{\"base\":%llu}", (unsigned long long)s->version);
    key_recall_part(&k->key, s->bot, k->change.put, k->stamp, part);
    add_item(s, STORE_INSERT, 0, slice_str(meta),
             slice_of(k->change.bytes.ptr + at,
                      left < RECALL_PART_BYTES ? left : RECALL_PART_BYTES));
}

static bool replaced(const struct recall_change *change, uint32_t number)
{
    bool gone = number == change->put;
    for (unsigned i = 0; i < change->drop_len; i++)
        gone |= change->drop[i] == number;
    return gone;
}

// What the manifest will say; parts of what it says no more are swept, now or later.
static int choose_next(struct shelf *s)
{
    struct keep *k = s->keep;
    uint32_t parts = parts_of(k->change.bytes.len);
    for (size_t i = 0; i < s->kept.len; i++) {
        const struct kept *old = VEC_AT(&s->kept, struct kept, i);
        if (!replaced(&k->change, old->number)) {
            struct kept *kept = vec_push(&k->next);
            if (!kept)
                return E_NOMEM;
            *kept = *old;
            continue;
        }
        sweep_segment(s, old);
    }
    if (!parts)
        return E_OK;
    struct kept *kept = vec_push(&k->next);
    if (!kept)
        return E_NOMEM;
    *kept = (struct kept){.number = k->change.put, .parts = parts};
    memcpy(kept->stamp, k->stamp, sizeof(kept->stamp));
    // One that is written anew keeps its number, and its place among the others.
    for (; kept > (struct kept *)k->next.ptr && kept[-1].number > kept->number; kept--) {
        struct kept before = kept[-1];
        kept[-1] = kept[0];
        kept[0] = before;
    }
    return E_OK;
}

static void add_manifest(struct shelf *s)
{
    struct keep *k = s->keep;
    struct buf meta = BUF_INIT(RECORD_META_BYTES_MAX);
    struct json_writer w;
    jw_init(&w, &meta);
    jw_object(&w);
    jw_key(&w, "segments");
    jw_array(&w);
    for (size_t i = 0; i < k->next.len; i++) {
        const struct kept *kept = VEC_AT(&k->next, struct kept, i);
        jw_array(&w);
        jw_i64(&w, kept->number);
        jw_str(&w, kept->stamp);
        jw_i64(&w, kept->parts);
        jw_array_end(&w);
    }
    jw_array_end(&w);
    if (s->from_ms)
        jw_kv_i64(&w, "from", s->from_ms);
    jw_object_end(&w);
    key_recall(&k->key, s->bot);
    if (!s->code)
        s->code = buf_check(&meta, "the recall index's manifest", &s->err);
    add_item(s, s->version ? STORE_PUT : STORE_INSERT, s->version, buf_slice(&meta), SLICE_NONE);
    buf_release(&meta);
    // What does not fit into this commit goes with the next.
    while (k->swept < s->sweep.len && k->items_len < STORE_BATCH_ITEMS_MAX) {
        const char *name = s->sweep.ptr + k->swept;
        buf_clear(&k->key);
        buf_add_str(&k->key, name);
        add_item(s, STORE_DELETE, 0, SLICE_NONE, SLICE_NONE);
        k->swept += strlen(name) + 1;
    }
}

static void write_more(struct shelf *s)
{
    struct keep *k = s->keep;
    uint32_t all = parts_of(k->change.bytes.len);
    uint32_t end_part = k->parts + RECALL_PARTS_OF_COMMIT;
    k->items_len = 0;
    buf_clear(&k->arena);
    for (; k->parts < all && k->parts < end_part; k->parts++)
        add_part(s, k->parts);
    k->last = k->parts == all;
    if (k->last)
        add_manifest(s);
    commit(s);
}

static void committed(struct store_op *op)
{
    struct shelf *s = CONTAINER_OF(op, struct shelf, store);
    struct keep *k = s->keep;
    if (op->code) {
        s->err = op->err;
        end(s, op->code);
        return;
    }
    if (!k->last) {
        write_more(s);
        return;
    }
    // The manifest is the item after the parts of this commit.
    s->version++;
    buf_consume(&s->sweep, k->swept);
    struct vec old = s->kept;
    s->kept = k->next;
    k->next = old;
    end(s, E_OK);
}

void shelf_write(struct shelf *s, const struct recall_change *change, void (*then)(struct shelf *s))
{
    unsigned char stamp[(RECALL_STAMP_BYTES - 1) / 2];
    if (!begin(s, then))
        return;
    struct keep *k = s->keep;
    s->code = E_OK;
    k->change = *change;
    rand_fill(s->w->env.rand, stamp, sizeof(stamp));
    hex_encode(stamp, sizeof(stamp), k->stamp);
    if (choose_next(s)) {
        end(s, err_set(&s->err, E_NOMEM, "out of memory for the recall index"));
        return;
    }
    write_more(s);
}
