// SPDX-License-Identifier: MIT
// parley_seal.c: a store and the keyring that seals it belong together, and know each other.
//
// The house record of the store holds an id of the store's own, a digest of it by the keyring, and
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

static void fingerprint(const struct seal_record *r, const struct vault *v,
                        enum seal_format format, char out[VAULT_DIGEST_BYTES])
{
    static const struct slice formats[] = {SLICE_LIT("1"), SLICE_LIT("2"), SLICE_LIT("3")};
    struct slice parts[] = {formats[format], slice_str(r->store)};
    vault_digest(v, "keyring", parts, format == SEAL_OLD ? 0 : format == SEAL_META ? 1 : 2, out);
}

bool seal_record_is(const struct seal_record *r, const struct vault *v, enum seal_format format)
{
    char id[VAULT_DIGEST_BYTES];
    fingerprint(r, v, format, id);
    return strcmp(id, r->id) == 0 && (format == SEAL_NOW) == (r->store[0] != '\0');
}

void seal_record_new(struct seal_record *r, const struct vault *v, const struct rand *rand)
{
    unsigned char bytes[(VAULT_DIGEST_BYTES - 1) / 2];
    *r = (struct seal_record){0};
    rand_fill(rand, bytes, sizeof(bytes));
    hex_encode(bytes, sizeof(bytes), r->store);
    fingerprint(r, v, SEAL_NOW, r->id);
}

void seal_record_write(const struct seal_record *r, char meta[SEAL_META_BYTES])
{
    int n = snprintf(meta, SEAL_META_BYTES, "{\"id\":\"%s\",\"store\":\"%s\"", r->id, r->store);
    if (r->rotations)
        n += snprintf(meta + n, SEAL_META_BYTES - (size_t)n, ",\"rotations\":%lld",
                      (long long)r->rotations);
    snprintf(meta + n, SEAL_META_BYTES - (size_t)n, "}");
}

int seal_record_read(struct seal_record *r, struct slice meta, struct err *err)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct buf scratch = BUF_INIT(1024);
    *r = (struct seal_record){0};
    int code = json_parse(&doc, meta, 0, err);
    struct slice id = json_text(json_get(json_root(&doc), "id"), &scratch);
    snprintf(r->id, sizeof(r->id), "%.*s", SLICE_FMT(id));
    struct slice store = json_text(json_get(json_root(&doc), "store"), &scratch);
    snprintf(r->store, sizeof(r->store), "%.*s", SLICE_FMT(store));
    r->rotations = json_i64(json_get(json_root(&doc), "rotations"), 0);
    if (code != E_NOMEM && !r->id[0])
        code = err_set(err, E_CORRUPT, "the store does not say which keyring it was sealed with: "
                       "restore a backup of it");
    json_doc_release(&doc);
    buf_release(&scratch);
    return code;
}

int seal_read(struct seal_record *out, struct store *store, struct loop *loop, struct err *err)
{
    struct store_op op = {.verb = STORE_GET,
                          .partition = SLICE_LIT(HOUSE_PARTITION),
                          .key = SLICE_LIT(HOUSE_KEYRING_KEY)};
    *out = (struct seal_record){0};
    int code = run_op(store, loop, &op, err);
    if (!code && op.rows_len == 1) {
        code = seal_record_read(out, op.rows[0].meta, err);
        out->version = op.rows[0].version;
    }
    store_op_release(&op);
    return code;
}

int seal_write(const struct seal_record *r, struct store *store, struct loop *loop, struct err *err)
{
    char meta[SEAL_META_BYTES];
    seal_record_write(r, meta);
    struct store_item item = {.verb = r->version ? STORE_PUT : STORE_INSERT,
                              .key = SLICE_LIT(HOUSE_KEYRING_KEY),
                              .version = r->version,
                              .meta = slice_str(meta)};
    struct store_op op = {.verb = STORE_COMMIT,
                          .partition = SLICE_LIT(HOUSE_PARTITION),
                          .items = &item,
                          .items_len = 1};
    int code = run_op(store, loop, &op, err);
    store_op_release(&op);
    return code;
}

int seal_check(const struct seal_record *r, struct vault *v, const char *path, struct err *err)
{
    struct vault_status status;
    vault_status(v, &status);
    if (seal_record_is(r, v, SEAL_NOW))
        return r->rotations <= status.rotations
                   ? E_OK
                   : err_set(err, E_STORE, "keyring %s is an old copy: the store's keys were "
                             "rotated since; put the newest one back", path ? path : "");
    if (seal_record_is(r, v, SEAL_META) || seal_record_is(r, v, SEAL_OLD))
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

static int read_record(struct opening *o)
{
    return seal_read(&o->engine->seal, o->engine->store, o->loop, o->err);
}

// Another process that was faster is right.
static int make_record(struct opening *o)
{
    parley *e = o->engine;
    seal_record_new(&e->seal, e->vault, e->rand);
    int code = seal_write(&e->seal, e->store, o->loop, o->err);
    return code == E_CONFLICT ? read_record(o) : code;
}

// Everything in a store is sealed under one keyring. With another one, users would look like
// strangers to their own conversations, so that is refused before anything is made.
static int check_record(struct opening *o)
{
    struct seal_record *r = &o->engine->seal;
    bool any = false;
    int code = r->id[0] ? E_OK : any_partition(o, &any);
    // Another process may have made the record meanwhile.
    if (!code && any)
        code = read_record(o);
    if (!code && any && !r->id[0])
        code = err_set(o->err, E_CORRUPT, "the store no longer says which keyring it was sealed "
                       "with: restore a backup of it");
    if (!code && !r->id[0])
        code = make_record(o);
    return code ? code : seal_check(r, o->engine->vault, o->path, o->err);
}

static void registered(struct vault_request *request)
{
    loop_stop(request->loop);
}

// Older keys may only be destroyed when no other store needs them.
static int register_store(struct opening *o)
{
    struct vault_request request = {.loop = o->loop, .done = registered};
    memcpy(request.partition, o->engine->seal.store, sizeof(request.partition));
    vault_add_store(o->engine->vault, &request);
    loop_run(o->loop);
    if (request.code)
        *o->err = request.err;
    return request.code;
}

// From here on a copy of the keyring of before its last rotation is told from it.
static int note_rotations(struct opening *o)
{
    parley *e = o->engine;
    struct vault_status status;
    vault_status(e->vault, &status);
    if (e->seal.rotations == status.rotations)
        return E_OK;
    e->seal.rotations = status.rotations;
    int code = seal_write(&e->seal, e->store, o->loop, o->err);
    return code == E_CONFLICT ? read_record(o) : code;  // another process did
}

static int open_vault(struct opening *o)
{
    parley *e = o->engine;
    int code = read_record(o);
    bool sealed = e->seal.id[0] != '\0';
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
                                    .no_thread = e->seams.clock != NULL,
                                    .on_step = e->seams.keyring_step,
                                    .user = e->seams.user};
    settings_operator(&e->settings, &options);
    if (!code)
        code = vault_open(&e->vault, &options, o->err);
    if (!code)
        code = check_record(o);
    if (code || !o->path || e->copy)
        return code;
    code = register_store(o);
    return code ? code : note_rotations(o);
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
