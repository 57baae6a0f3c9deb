// SPDX-License-Identifier: MIT
// commit.c: a batch in the making.
//
// Keys, metas and sealed bodies go into one arena, which moves while it grows; so items are known
// by their places until commit_close. An arena is as large as a batch may be: what does not fit is
// refused here with the same words for every store. One thread, see ledger_int.h.
#include "ledger/ledger_int.h"

#include "base/utf8.h"

void commit_init(struct commit *b)
{
    buf_init(&b->name, RECORD_KEY_BYTES_MAX);
    buf_init(&b->meta, RECORD_META_BYTES_MAX);
    safe_buf_init(&b->body, BODY_BYTES_MAX);
    buf_init(&b->arena, STORE_BATCH_BYTES_MAX);
    b->len = 0;
    b->code = E_OK;
}

void commit_release(struct commit *b)
{
    buf_release(&b->name);
    buf_release(&b->meta);
    safe_buf_release(&b->body);
    buf_release(&b->arena);
}

static void clear_next(struct commit *b)
{
    buf_clear(&b->name);
    buf_clear(&b->meta);
    safe_buf_clear(&b->body);
}

void commit_trim(struct commit *b)
{
    if (b->arena.cap > KEPT_BYTES)
        buf_release(&b->arena);
    if (b->body.inner.cap > KEPT_BYTES)
        safe_buf_release(&b->body);
}

void commit_begin(struct commit *b, struct vault *vault, const struct user_key *key,
                  const char *partition)
{
    b->vault = vault;
    b->key = key;
    b->partition = slice_str(partition);
    b->len = 0;
    b->code = E_OK;
    clear_next(b);
    buf_clear(&b->arena);
}

static int check_arena(struct commit *b)
{
    return buf_check(&b->arena, "this message with its records", &b->err);
}

// The item's key and meta; its body follows in the arena.
static struct store_item *add_item(struct commit *b, enum store_item_verb verb, uint64_t version,
                                   struct slice name)
{
    if (b->len == STORE_BATCH_ITEMS_MAX) {
        b->code = err_set(&b->err, E_REFUSED, "too much for one commit: at most %d records",
                          STORE_BATCH_ITEMS_MAX);
        return NULL;
    }
    struct store_item *item = &b->items[b->len];
    struct commit_place *place = &b->places[b->len];
    *item = (struct store_item){.verb = verb, .version = version};
    place->key = b->arena.len;
    buf_add_slice(&b->arena, name);
    item->key.len = name.len;
    place->meta = b->arena.len;
    buf_add_slice(&b->arena, buf_slice(&b->meta));
    item->meta.len = b->meta.len;
    place->body = b->arena.len;
    b->len++;
    return item;
}

// The name and the meta are the batch's own: the arena may move while it is sealed into.
static void seal_text(struct commit *b, struct store_item *item, struct safe_text text)
{
    struct vault_place place = {b->partition, buf_slice(&b->name), buf_slice(&b->meta)};
    struct sealed sealed;

    b->code = check_arena(b);
    if (!b->code)
        b->code = vault_seal(b->vault, b->key, &place, text, &b->arena, &sealed, &b->err);
    if (!b->code)
        item->body.bytes.len = sealed.bytes.len;
}

uint32_t commit_add(struct commit *b, enum store_item_verb verb, uint64_t version)
{
    uint32_t at = b->len;
    struct safe_text text = safe_buf_text(&b->body);
    size_t stem = b->name.len;

    if (!b->code)
        b->code = buf_check(&b->name, "a record's key", &b->err);
    if (!b->code)
        b->code = buf_check(&b->meta, "a record's meta", &b->err);
    if (!b->code)
        b->code = safe_buf_check(&b->body, "a message", &b->err);
    for (uint32_t part = 0; !b->code && (part == 0 || text.len > 0); part++) {
        size_t len = text.len <= BODY_SPLIT_BYTES ? text.len
                                                  : utf8_cut(safe_slice(text), BODY_SPLIT_BYTES);

        if (part > 0) {
            buf_truncate(&b->name, stem);
            buf_addf(&b->name, "/%010u", part);
            buf_clear(&b->meta);
            buf_add_str(&b->meta, "{}");
        }
        struct store_item *item = add_item(b, verb, version, buf_slice(&b->name));
        if (item)
            seal_text(b, item, safe_text_part(text, 0, len));
        text = safe_text_part(text, len, text.len - len);
    }
    clear_next(b);
    return at;
}

uint32_t commit_add_bytes(struct commit *b, enum store_item_verb verb, uint64_t version,
                          struct slice bytes)
{
    uint32_t at = b->len;

    if (!b->code)
        b->code = buf_check(&b->name, "a record's key", &b->err);
    if (!b->code)
        b->code = buf_check(&b->meta, "a record's meta", &b->err);
    struct store_item *item =
        b->code ? NULL : add_item(b, verb, version, buf_slice(&b->name));
    if (item)
        b->code = check_arena(b);
    if (item && !b->code) {
        struct vault_place place = {b->partition, buf_slice(&b->name), buf_slice(&b->meta)};
        struct sealed sealed;

        b->code = vault_seal_bytes(b->vault, b->key, &place, bytes, &b->arena, &sealed, &b->err);
        item->body.bytes.len = b->code ? 0 : sealed.bytes.len;
    }
    clear_next(b);
    return at;
}

void commit_add_bare(struct commit *b, enum store_item_verb verb, uint64_t version)
{
    BUG_ON(safe_buf_text(&b->body).len > 0);
    if (!b->code)
        b->code = buf_check(&b->name, "a record's key", &b->err);
    if (!b->code)
        b->code = buf_check(&b->meta, "a record's meta", &b->err);
    if (!b->code)
        add_item(b, verb, version, buf_slice(&b->name));
    if (!b->code)
        b->code = check_arena(b);
    clear_next(b);
}

void commit_delete(struct commit *b)
{
    commit_delete_version(b, 0);
}

void commit_delete_version(struct commit *b, uint64_t version)
{
    if (!b->code)
        b->code = buf_check(&b->name, "a record's key", &b->err);
    if (!b->code)
        add_item(b, STORE_DELETE, version, buf_slice(&b->name));
    if (!b->code)
        b->code = check_arena(b);
    clear_next(b);
}

void commit_cut(struct commit *b, uint32_t len)
{
    BUG_ON(len > b->len || len == 0);
    if (len < b->len)
        buf_truncate(&b->arena, b->places[len].key);
    b->arena.failed = b->arena.no_memory = false;
    b->len = len;
    b->code = E_OK;
    clear_next(b);
}

int commit_close(struct commit *b, struct err *err)
{
    if (b->code) {
        *err = b->err;
        return b->code;
    }
    for (uint32_t i = 0; i < b->len; i++) {
        struct store_item *item = &b->items[i];

        item->key.ptr = b->arena.ptr + b->places[i].key;
        item->meta.ptr = b->arena.ptr + b->places[i].meta;
        item->body.bytes.ptr = b->arena.ptr + b->places[i].body;
    }
    return E_OK;
}
