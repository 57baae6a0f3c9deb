// SPDX-License-Identifier: MIT
// receipt.c: see receipt.h. A meta is what was written if writing what was read gives the same
// bytes.
#include "ledger/receipt.h"

#include "base/clock.h"
#include "base/id.h"

#include <stdio.h>

enum { META_BYTES = RECORD_META_BYTES_MAX, SIGNED_BYTES_MAX = 64 << 10 };

// ---- the house's records

// Ends the object with the sum over place and what was written so far.
static void write_sum(const struct vault *v, struct slice key, struct json_writer *w)
{
    char sum[VAULT_DIGEST_BYTES];
    const struct slice parts[] = {SLICE_LIT(HOUSE_PARTITION), key, buf_slice(w->out)};

    vault_digest(v, "house", parts, 3, sum);
    jw_kv_str(w, "sum", sum);
    jw_object_end(w);
}

static void write_deleted(const struct erasure_record *e, struct json_writer *w)
{
    jw_key(w, "deleted");
    jw_object(w);
    for (unsigned i = 0; i < RECORD_KINDS; i++)
        if (e->deleted[i])
            jw_kv_i64(w, record_kinds[i].name, e->deleted[i]);
    jw_object_end(w);
}

void erasure_write_meta(const struct vault *v, const struct erasure_record *e, struct buf *out)
{
    struct buf key = BUF_INIT(RECORD_KEY_BYTES_MAX);
    struct json_writer w;

    key_erased(&key, e->partition);
    jw_init(&w, out);
    jw_object(&w);
    jw_kv_i64(&w, "erased_at", e->erased_at_ms);
    jw_kv_i64(&w, "completed_at", e->completed_at_ms);
    write_deleted(e, &w);
    write_sum(v, buf_slice(&key), &w);
    if (!buf_ok(&key))  // for lack of memory: no partition's name is too long
        out->failed = out->no_memory = true;
    buf_release(&key);
}

void erasures_write_meta(const struct vault *v, uint32_t replayed, struct buf *out)
{
    struct json_writer w;

    jw_init(&w, out);
    jw_object(&w);
    jw_kv_i64(&w, "replayed", replayed);
    write_sum(v, SLICE_LIT("erasures"), &w);
}

static int compare(const struct record *r, struct buf *written, struct err *err)
{
    int code = buf_check(written, "a record's meta", err);
    bool same = !code && slice_eq(buf_slice(written), r->meta) &&
                slice_is(r->partition, HOUSE_PARTITION);

    buf_release(written);
    return code || same ? code : err_set(err, E_CORRUPT, "it is not what was written there");
}

int erasure_read_meta(const struct vault *v, const struct record *r, struct erasure_record *e,
                      struct err *err)
{
    struct buf written = BUF_INIT(META_BYTES);
    struct json_doc doc = JSON_DOC_INIT;
    struct slice parts[2] = {SLICE_NONE, SLICE_NONE};
    int code = json_parse(&doc, r->meta, 0, err);
    struct json root = json_root(&doc);

    *e = (struct erasure_record){0};
    key_split(r->key, parts, 2);
    snprintf(e->partition, sizeof(e->partition), "%.*s", SLICE_FMT(parts[1]));
    e->erased_at_ms = json_i64(json_get(root, "erased_at"), 0);
    e->completed_at_ms = json_i64(json_get(root, "completed_at"), 0);
    for (unsigned i = 0; i < RECORD_KINDS; i++) {
        struct json n = json_get(json_get(root, "deleted"), record_kinds[i].name);
        e->deleted[i] = (uint32_t)json_i64(n, 0);
    }
    json_doc_release(&doc);
    if (code)
        return code == E_NOMEM ? code : (err_prefix(err, "its meta: "), E_CORRUPT);
    erasure_write_meta(v, e, &written);
    return compare(r, &written, err);
}

int erasures_read_meta(const struct vault *v, const struct record *r, uint32_t *replayed,
                       struct err *err)
{
    struct buf written = BUF_INIT(META_BYTES);
    struct json_doc doc = JSON_DOC_INIT;
    int code = json_parse(&doc, r->meta, 0, err);

    *replayed = (uint32_t)json_i64(json_get(json_root(&doc), "replayed"), 0);
    json_doc_release(&doc);
    if (code)
        return code == E_NOMEM ? code : (err_prefix(err, "its meta: "), E_CORRUPT);
    erasures_write_meta(v, *replayed, &written);
    return compare(r, &written, err);
}

// ---- receipts

static void write_time(struct json_writer *w, const char *key, int64_t at_ms)
{
    char time[CLOCK_TEXT_BYTES];

    clock_format(at_ms, time);
    jw_kv_str(w, key, time);
}

void receipt_write(const struct vault *v, const struct erasure_record *e, struct buf *out)
{
    unsigned char public_key[VAULT_PUBLIC_KEY_BYTES], signature[VAULT_SIGNATURE_BYTES];
    char hex[2 * VAULT_SIGNATURE_BYTES + 1];
    struct json_writer w;
    size_t from = out->len;

    vault_public_key(v, public_key);
    jw_init(&w, out);
    jw_object(&w);
    jw_kv_str(&w, "partition", e->partition);
    write_time(&w, "erased_at", e->erased_at_ms);
    write_time(&w, "completed_at", e->completed_at_ms);
    write_deleted(e, &w);
    hex_encode(public_key, sizeof(public_key), hex);
    jw_kv_str(&w, "public_key", hex);
    jw_object_end(&w);
    if (!buf_ok(out))
        return;
    vault_sign(v, slice_of(out->ptr + from, out->len - from), signature);
    hex_encode(signature, sizeof(signature), hex);
    buf_truncate(out, out->len - 1);  // the brace; what follows is not signed
    buf_addf(out, ",\"signature\":\"%s\"}", hex);
}

static bool read_hex(struct json v, unsigned char *out, size_t bytes)
{
    struct buf scratch = BUF_INIT(1024);
    struct slice text = json_text(v, &scratch);
    bool good = text.ptr && hex_decode(text, out, bytes);

    buf_release(&scratch);
    return good;
}

// What cannot be read for lack of memory is no other key: the buffer written to has failed.
static void write_key(struct json_writer *w, struct json key)
{
    struct buf name = BUF_INIT(SIGNED_BYTES_MAX);

    json_string(key, &name);
    buf_add(&name, "", 1);
    w->out->failed |= name.failed;
    w->out->no_memory |= name.no_memory;
    jw_key(w, buf_ok(&name) ? name.ptr : "");
    buf_release(&name);
}

// A value without white space; objects of numbers are as deep as it goes.
static void write_compact(struct json_writer *w, struct json v)
{
    struct json_iter it = {0};
    struct json key, value;

    if (json_type(v) != JSON_OBJECT) {
        jw_raw(w, json_raw(v));
        return;
    }
    jw_object(w);
    while (json_next(v, &it, &key, &value)) {
        write_key(w, key);
        jw_raw(w, json_raw(value));
    }
    jw_object_end(w);
}

// What was signed, out of a receipt that may have been laid out anew since.
static void write_signed(struct json receipt, struct buf *out)
{
    struct json_iter it = {0};
    struct json key, value;
    struct json_writer w;

    jw_init(&w, out);
    jw_object(&w);
    while (json_next(receipt, &it, &key, &value)) {
        if (json_is_string(key, "signature"))
            continue;
        write_key(&w, key);
        write_compact(&w, value);
    }
    jw_object_end(&w);
}

int receipt_check(struct slice json, unsigned char public_key[VAULT_PUBLIC_KEY_BYTES],
                  struct err *err)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct buf written = BUF_INIT(SIGNED_BYTES_MAX);
    unsigned char signature[VAULT_SIGNATURE_BYTES];
    int code = json_parse(&doc, json, 0, err);
    if (code)
        err_prefix(err, "this is no receipt of an erasure: ");
    struct json root = json_root(&doc);

    if (!code && (!read_hex(json_get(root, "public_key"), public_key, VAULT_PUBLIC_KEY_BYTES) ||
                  !read_hex(json_get(root, "signature"), signature, sizeof(signature))))
        code = err_set(err, E_USAGE, "this is no receipt of an erasure: it has no public_key and "
                       "signature");
    if (!code) {
        write_signed(root, &written);
        code = buf_check(&written, "a receipt", err);
    }
    if (!code && !vault_verify_signature(public_key, buf_slice(&written), signature))
        code = err_set(err, E_CORRUPT, "the signature does not hold: the receipt is not what was "
                       "signed");
    json_doc_release(&doc);
    buf_release(&written);
    return code;
}
