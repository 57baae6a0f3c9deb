// SPDX-License-Identifier: MIT
// parley_migrate.c: records that an older parley sealed are sealed anew, so that the seal holds
// their meta too (vault/vault.h).
//
//   house record says which format ─▶ old: each partition ─▶ its records, a page after the other:
//       opened as the old format has it, sealed as it is now, put if they are still the same
//   ─▶ last, the house record says the new format, and engines open the store again
//
// A record that is sealed anew is left alone, so this can be broken off and run again. One that
// cannot be opened is left as it is, and told: `parley verify` then names it. Blocking; one thread.
#include "parley_int.h"

#include <unistd.h>

enum { PAGE_ROWS = STORE_BATCH_ITEMS_MAX, PARTITIONS_MAX = 1 << 20 };

struct migration {
    struct store *store;
    struct vault *vault;
    struct loop *loop;
    struct buf sealed;                 // what the batch's bodies point to
    struct buf names;                  // of partitions, NUL between
    struct buf *report;
    struct err *err;
    uint64_t records, left;
};

static void op_done(struct store_op *op)
{
    loop_stop(op->loop);
}

static int run_op(struct migration *m, struct store_op *op)
{
    op->loop = m->loop;
    op->done = op_done;
    store_submit(m->store, op);
    loop_run(m->loop);
    if (op->code)
        *m->err = op->err;
    return op->code;
}

// ---- records

// The next page, sealed anew in one commit.
static int seal_rows(struct migration *m, const struct user_key *key, const struct store_op *page)
{
    struct store_item items[PAGE_ROWS];
    size_t at[PAGE_ROWS], bytes = 0;
    struct store_op op = {.verb = STORE_COMMIT, .partition = page->partition, .items = items};
    int code = E_OK;
    buf_clear(&m->sealed);
    for (uint32_t i = 0; i < page->rows_len; i++) {
        const struct record *r = &page->rows[i];
        struct vault_place place = vault_place_of(r);
        struct sealed sealed;
        struct err err = ERR_INIT;
        if (!vault_is_old(r->body))
            continue;
        at[op.items_len] = m->sealed.len;
        code = vault_reseal(m->vault, key, &place, r->body, &m->sealed, &sealed, &err);
        if (code == E_CORRUPT) {
            m->left++;
            code = E_OK;
            continue;
        }
        if (code) {
            *m->err = err;
            return code;
        }
        items[op.items_len++] = (struct store_item){.verb = STORE_PUT,
                                                    .key = r->key,
                                                    .version = r->version,
                                                    .due_at_ms = r->due_at_ms,
                                                    .meta = r->meta,
                                                    .body.bytes.len = sealed.bytes.len};
        bytes += r->key.len + r->meta.len + sealed.bytes.len;
    }
    BUG_ON(bytes > STORE_BATCH_BYTES_MAX);  // pages are small enough
    for (uint32_t i = 0; i < op.items_len; i++)
        items[i].body.bytes.ptr = m->sealed.ptr + at[i];
    if (op.items_len) {
        code = run_op(m, &op);
        m->records += op.items_len;
        store_op_release(&op);
    }
    return code;
}

// As many rows as fit a commit whatever they hold: bodies are at most 256 KiB.
static uint32_t rows_of(const struct store_op *page)
{
    size_t bytes = 0;
    uint32_t n = 0;
    for (; n < page->rows_len; n++) {
        const struct record *r = &page->rows[n];
        bytes += r->key.len + r->meta.len + r->body.bytes.len + VAULT_ENVELOPE_BYTES;
        if (n && bytes > STORE_BATCH_BYTES_MAX)
            break;
    }
    return n;
}

static int seal_partition(struct migration *m, const char *name, const struct user_key *key)
{
    struct buf after = BUF_INIT(RECORD_KEY_BYTES_MAX);
    bool more = true;
    int code = E_OK;
    while (more && !code) {
        struct store_op page = {.verb = STORE_SCAN,
                                .partition = slice_str(name),
                                .after = buf_slice(&after),
                                .limit = PAGE_ROWS};
        code = run_op(m, &page);
        uint32_t n = rows_of(&page);
        more = !code && (page.more || n < page.rows_len);
        page.rows_len = n;
        if (!code && n)
            code = seal_rows(m, key, &page);
        if (!code && n) {
            buf_clear(&after);
            buf_add_slice(&after, page.rows[n - 1].key);
            code = buf_check(&after, "a record's key", m->err);
        }
        store_op_release(&page);
    }
    buf_release(&after);
    return code;
}

// ---- partitions

static void key_found(struct vault_request *request)
{
    loop_stop(request->loop);
}

static int one_user(struct migration *m, const char *name)
{
    struct vault_request request = {.loop = m->loop, .done = key_found};
    snprintf(request.partition, sizeof(request.partition), "%s", name);
    vault_user_key(m->vault, &request);
    loop_run(m->loop);
    if (request.code == E_NOT_FOUND) {
        buf_addf(m->report, "partition %s: its key is not in the keyring: left as it is\n", name);
        return E_OK;
    }
    if (request.code) {
        *m->err = request.err;
        return request.code;
    }
    return seal_partition(m, name, request.key);
}

static int list_partitions(struct migration *m)
{
    struct buf after = BUF_INIT(STORE_PARTITION_BYTES_MAX);
    bool more = true;
    int code = E_OK;
    while (more && !code) {
        struct store_op page = {
            .verb = STORE_PARTITIONS, .after = buf_slice(&after), .limit = STORE_SCAN_LIMIT_MAX};
        code = run_op(m, &page);
        more = !code && page.more && page.rows_len;
        for (uint32_t i = 0; !code && i < page.rows_len; i++) {
            struct slice name = page.rows[i].partition;
            buf_clear(&after);
            buf_add_slice(&after, name);
            if (name.len == 0 || name.len >= VAULT_DIGEST_BYTES || name.ptr[0] == '~')
                continue;
            buf_add_slice(&m->names, name);
            buf_add_char(&m->names, '\0');
        }
        store_op_release(&page);
        if (!code)
            code = buf_check(&m->names, "the list of users", m->err);
    }
    buf_release(&after);
    return code;
}

static int seal_all(struct migration *m)
{
    int code = list_partitions(m);
    for (size_t at = 0; at < m->names.len && !code; at += strlen(m->names.ptr + at) + 1)
        code = one_user(m, m->names.ptr + at);
    return code;
}

// ---- the house record

// *version is 0 where there is none: the store is new.
static int read_house(struct migration *m, struct seal_record *r, uint64_t *version)
{
    struct store_op op = {.verb = STORE_GET,
                          .partition = SLICE_LIT(HOUSE_PARTITION),
                          .key = SLICE_LIT(HOUSE_KEYRING_KEY)};
    int code = run_op(m, &op);
    *version = 0;
    if (!code && op.rows_len) {
        code = seal_record_read(r, op.rows[0].meta, m->err);
        *version = op.rows[0].version;
    }
    store_op_release(&op);
    return code;
}

static int write_house(struct migration *m, uint64_t version)
{
    char meta[SEAL_META_BYTES];
    struct seal_record now;
    seal_record_new(&now, m->vault, rand_system());
    seal_record_write(&now, meta);
    struct store_item item = {.verb = STORE_PUT,
                              .version = version,
                              .key = SLICE_LIT(HOUSE_KEYRING_KEY),
                              .meta = slice_str(meta)};
    struct store_op op = {.verb = STORE_COMMIT,
                          .partition = SLICE_LIT(HOUSE_PARTITION),
                          .items = &item,
                          .items_len = 1};
    int code = run_op(m, &op);
    store_op_release(&op);
    return code;
}

// Which store it is was not bound: only the house record changes.
static int name_store(struct migration *m, uint64_t version, bool dry_run)
{
    if (dry_run) {
        buf_add_str(m->report, "the store is to get a number of its own, for the audit trail\n");
        return E_OK;
    }
    int code = write_house(m, version);
    if (!code)
        buf_add_str(m->report, "the store has a number of its own, for the audit trail\n");
    return code;
}

static int migrate(struct migration *m, bool dry_run)
{
    struct seal_record r;
    uint64_t version;
    int code = read_house(m, &r, &version);
    if (code || version == 0 || seal_record_is(&r, m->vault, SEAL_NOW))
        return code;
    if (seal_record_is(&r, m->vault, SEAL_META))
        return name_store(m, version, dry_run);
    if (!seal_record_is(&r, m->vault, SEAL_OLD))
        return err_set(m->err, E_STORE, "the store was sealed with another keyring: say where the "
                       "right one is with --set keyring=PATH");
    if (dry_run) {
        buf_add_str(m->report, "records are to be sealed anew, together with their meta\n");
        return E_OK;
    }
    code = seal_all(m);
    if (!code)
        code = write_house(m, version);
    if (!code)
        buf_addf(m->report, "%llu records sealed anew, together with their meta\n",
                 (unsigned long long)m->records);
    if (!code && m->left)
        buf_addf(m->report, "%llu records are damaged and left as they are: run `parley verify`\n",
                 (unsigned long long)m->left);
    return code;
}

int seals_migrate(const struct settings *s, bool dry_run, struct buf *report, struct err *err)
{
    struct migration m = {.report = report, .err = err};
    struct store_env env = {.clock = clock_system(), .rand = rand_system()};
    struct buf path = BUF_INIT(8192);
    settings_keyring(s, &path);
    int code = buf_check(&path, "the keyring's path", err);
    // Keys in memory only, or none yet: nothing can be sealed.
    if (code || path.len == 0 || access(path.ptr, F_OK) != 0) {
        buf_release(&path);
        return code;
    }
    buf_init(&m.sealed, 2 * STORE_BATCH_BYTES_MAX);
    buf_init(&m.names, PARTITIONS_MAX * VAULT_DIGEST_BYTES);
    struct vault_options options = {.path = path.ptr, .rand = env.rand};
    settings_operator(s, &options);
    code = loop_new(&m.loop, env.clock, err);
    if (!code)
        code = vault_open(&m.vault, &options, err);
    if (!code)
        code = store_open(&m.store, conf_str(s->conf, "store"), &env, err);
    if (!code)
        code = migrate(&m, dry_run);
    store_free(m.store);
    vault_free(m.vault);
    loop_free(m.loop);
    buf_release(&m.names);
    buf_release(&m.sealed);
    buf_release(&path);
    return code;
}
