// SPDX-License-Identifier: MIT
// parley_seal.c: a store and the keyring that seals it belong together, and know each other.
//
// The house record of the store holds the fingerprint of the keyring, an id of the store's own, and
// how often the users' keys had been rotated when that was last done with this store; the keyring
// has a line for each store. All of it before any worker runs.
#include "parley_int.h"

#include "base/id.h"

#include <unistd.h>

// ---- the house record

static void op_done(struct store_op *op)
{
    loop_stop(op->loop);
}

static int run_op(struct store *store, struct loop *loop, struct store_op *op, struct err *err)
{
    op->loop = loop;
    op->done = op_done;
    store_submit(store, op);
    loop_run(loop);
    if (op->code)
        *err = op->err;
    return op->code;
}

void seal_fingerprint(const struct vault *v, enum seal_format format, char out[VAULT_DIGEST_BYTES])
{
    struct slice meta_is_bound = SLICE_LIT("2");
    vault_digest(v, "keyring", &meta_is_bound, format == SEAL_OLD ? 0 : 1, out);
}

static void copy_member(const struct json_doc *doc, const char *name, char out[VAULT_DIGEST_BYTES])
{
    struct buf scratch = BUF_INIT(1024);
    struct slice text = json_text(json_get(json_root(doc), name), &scratch);
    snprintf(out, VAULT_DIGEST_BYTES, "%.*s", SLICE_FMT(text));
    buf_release(&scratch);
}

int house_read(struct house_record *out, struct store *store, struct loop *loop, struct err *err)
{
    struct store_op op = {.verb = STORE_GET,
                          .partition = SLICE_LIT(HOUSE_PARTITION),
                          .key = SLICE_LIT(HOUSE_KEYRING_KEY)};
    struct json_doc doc = JSON_DOC_INIT;
    *out = (struct house_record){0};
    int code = run_op(store, loop, &op, err);
    if (!code && op.rows_len == 1) {
        code = json_parse(&doc, op.rows[0].meta, 0, err);
        out->version = op.rows[0].version;
        copy_member(&doc, "id", out->keyring);
        copy_member(&doc, "store", out->store);
        out->rotations = json_i64(json_get(json_root(&doc), "rotations"), 0);
        if (code != E_NOMEM && !out->keyring[0])
            code = err_set(err, E_CORRUPT,
                           "the store does not say which keyring it was sealed with: restore a "
                           "backup of it");
    }
    store_op_release(&op);
    json_doc_release(&doc);
    return code;
}

int house_write(const struct house_record *r, struct store *store, struct loop *loop,
                struct err *err)
{
    struct buf meta = BUF_INIT(512);
    struct json_writer w;
    jw_init(&w, &meta);
    jw_object(&w);
    jw_kv_str(&w, "id", r->keyring);
    if (r->store[0])
        jw_kv_str(&w, "store", r->store);
    if (r->rotations)
        jw_kv_i64(&w, "rotations", r->rotations);
    jw_object_end(&w);
    struct store_item item = {.verb = r->version ? STORE_PUT : STORE_INSERT,
                              .key = SLICE_LIT(HOUSE_KEYRING_KEY),
                              .version = r->version,
                              .meta = buf_slice(&meta)};
    struct store_op op = {.verb = STORE_COMMIT,
                          .partition = SLICE_LIT(HOUSE_PARTITION),
                          .items = &item,
                          .items_len = 1};
    int code = buf_check(&meta, "the record of the keyring", err);
    if (!code)
        code = run_op(store, loop, &op, err);
    store_op_release(&op);
    buf_release(&meta);
    return code;
}

int house_check(const struct house_record *r, struct vault *v, const char *path, struct err *err)
{
    char ours[VAULT_DIGEST_BYTES];
    struct vault_status status;
    seal_fingerprint(v, SEAL_NOW, ours);
    vault_status(v, &status);
    if (strcmp(r->keyring, ours) == 0)
        return r->rotations <= status.rotations
                   ? E_OK
                   : err_set(err, E_STORE, "keyring %s is an old copy: the store's keys were "
                             "rotated since; put the newest one back", path ? path : "");
    seal_fingerprint(v, SEAL_OLD, ours);
    if (strcmp(r->keyring, ours) == 0)
        return err_set(err, E_STORE, "the store's records are sealed as an older parley did: run "
                       "`parley migrate`");
    return err_set(err, E_STORE, "the store was sealed with another keyring than %s: say where the "
                   "right one is with --set keyring=PATH", path ? path : "the one in memory");
}

// ---- opening

struct opening {
    parley *engine;
    struct loop *loop;
    const char *path;            // of the keyring; NULL: in memory
    struct house_record house;
    struct err *err;
};

// Whether anything is in the store.
static int any_partition(struct opening *o, bool *any)
{
    struct store_op op = {.verb = STORE_PARTITIONS, .limit = 1};
    int code = run_op(o->engine->store, o->loop, &op, o->err);
    *any = op.rows_len > 0;
    store_op_release(&op);
    return code;
}

static int read_house(struct opening *o)
{
    return house_read(&o->house, o->engine->store, o->loop, o->err);
}

// Everything in a store is sealed under one keyring. With another one, users would look like
// strangers to their own conversations, so that is refused before anything is made.
static int check_fingerprint(struct opening *o)
{
    bool any = false;
    int code = o->house.version ? E_OK : any_partition(o, &any);
    // Another process may have made the record meanwhile.
    if (!code && any)
        code = read_house(o);
    if (!code && any && !o->house.version)
        code = err_set(o->err, E_CORRUPT, "the store no longer says which keyring it was sealed "
                       "with: restore a backup of it");
    if (code || o->house.version)
        return code ? code : house_check(&o->house, o->engine->vault, o->path, o->err);
    seal_fingerprint(o->engine->vault, SEAL_NOW, o->house.keyring);
    code = house_write(&o->house, o->engine->store, o->loop, o->err);
    return code == E_CONFLICT
               ? E_OK
               : code;  // another process was faster; it is compared on the next open
}

// A store of before stores had ids gets one.
static int give_id(struct opening *o)
{
    unsigned char bytes[(VAULT_DIGEST_BYTES - 1) / 2];
    int code = read_house(o);
    if (code || o->house.store[0])
        return code;
    rand_fill(o->engine->rand, bytes, sizeof(bytes));
    hex_encode(bytes, sizeof(bytes), o->house.store);
    code = house_write(&o->house, o->engine->store, o->loop, o->err);
    return code == E_CONFLICT ? read_house(o) : code;  // another process gave it one
}

static void registered(struct vault_request *request)
{
    loop_stop(request->loop);
}

// Older keys may only be destroyed when no other store needs them.
static int register_store(struct opening *o)
{
    int code = give_id(o);
    if (code)
        return code;
    struct vault_request request = {.loop = o->loop, .done = registered};
    memcpy(request.partition, o->house.store, sizeof(request.partition));
    vault_add_store(o->engine->vault, &request);
    loop_run(o->loop);
    if (request.code)
        *o->err = request.err;
    return request.code;
}

static int open_vault(struct opening *o)
{
    parley *e = o->engine;
    int code = read_house(o);
    bool sealed = o->house.version != 0;
    if (!code && !sealed && e->copy)
        code = err_set(o->err, E_STORE,
                       "the store has no conversations: no keyring ever sealed it");
    if (!code && sealed && o->path && access(o->path, F_OK) != 0)
        code = err_set(
            o->err, E_STORE,
            "keyring %s is not there, but the store was sealed with one: put it back, or say "
            "where it is with --set keyring=PATH",
            o->path);
    struct vault_options options = {.path = o->path,
                                    .rand = e->rand,
                                    .log = &e->log,
                                    .existing = sealed,
                                    .no_thread = e->seams.clock != NULL};
    settings_operator(&e->settings, &options);
    if (!code)
        code = vault_open(&e->vault, &options, o->err);
    if (!code)
        code = check_fingerprint(o);
    return code || !o->path || e->copy ? code : register_store(o);
}

int seal_open(parley *e, struct err *err)
{
    struct opening o = {.engine = e, .err = err};
    struct buf path = BUF_INIT(8192);
    settings_keyring(&e->settings, &path);
    o.path = path.len ? path.ptr : NULL;
    int code = buf_check(&path, "the keyring's path", err);
    if (!code)
        code = e->seams.clock ? loop_new_sim(&o.loop, e->seams.clock, err)
                              : loop_new(&o.loop, e->clock, err);
    if (!code)
        code = open_vault(&o);
    loop_free(o.loop);
    buf_release(&path);
    return code;
}
