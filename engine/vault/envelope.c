// SPDX-License-Identifier: MIT
// envelope.c: sealing and opening bodies (the envelope is drawn in vault.h). Any thread.
//
// Invariants:
//   1. What is sealed is a record: its body, and with it its place and its meta, which stands in
//      the clear beside it. A record without a body has an envelope of no text: its tag holds them.
//   2. Every seal has a fresh random nonce of 192 bits, so one key serves any number of bodies. It
//      is drawn when it is needed (0.3 µs): a stock of them would be the same stock in a child
//      after fork and in a copy of a running virtual machine, and two bodies under one nonce give
//      both away.
//   3. Nothing is unpacked before its tag was checked, and never to more than UNPACKED_BYTES_MAX.
#include "base/mem.h"
#include "model/safe_text_int.h"
#include "vault/vault_int.h"

#include <zstd.h>

enum { FORMAT_OLD = 1, FORMAT = 2, CODEC_PLAIN = 0, CODEC_ZSTD = 1 };
enum { FORMAT_AT = 0, CODEC_AT = 1, ID_AT = 2, NONCE_AT = 6, TEXT_AT = NONCE_AT + NONCE_BYTES };
enum {
    PARTITION_BYTES_MAX = 64,
    BOUND_BYTES_MAX = NONCE_AT + PARTITION_BYTES_MAX + 1 + RECORD_KEY_BYTES_MAX + 1 +
                      RECORD_META_BYTES_MAX,
    PACK_BYTES_MIN = 1024,  // smaller bodies gain little
    PACK_LEVEL = 1,
    UNPACKED_BYTES_MAX = 4 << 20,
};
_Static_assert(TEXT_AT + TAG_BYTES == VAULT_ENVELOPE_BYTES, "the envelope as vault.h draws it");

// ---- contexts

void context_pools_init(struct vault *v)
{
    pthread_mutex_init(&v->packers.lock, NULL);
    pthread_mutex_init(&v->unpackers.lock, NULL);
}

void context_pools_release(struct vault *v)
{
    for (unsigned i = 0; i < v->packers.len; i++)
        ZSTD_freeCCtx(v->packers.idle[i]);
    for (unsigned i = 0; i < v->unpackers.len; i++)
        ZSTD_freeDCtx(v->unpackers.idle[i]);
    pthread_mutex_destroy(&v->packers.lock);
    pthread_mutex_destroy(&v->unpackers.lock);
}

// An idle context, or NULL.
static void *pool_take(struct context_pool *p)
{
    pthread_mutex_lock(&p->lock);
    void *context = p->len ? p->idle[--p->len] : NULL;
    pthread_mutex_unlock(&p->lock);
    return context;
}

// False when there are enough already: then it is the caller's to free.
static bool pool_give(struct context_pool *p, void *context)
{
    pthread_mutex_lock(&p->lock);
    bool kept = p->len < IDLE_CONTEXTS_MAX;
    if (kept)
        p->idle[p->len++] = context;
    pthread_mutex_unlock(&p->lock);
    return kept;
}

// Packs text into at most room bytes; 0 when it does not fit. Failing to pack is no failure.
static size_t pack(struct vault *v, struct safe_text text, char *out, size_t room)
{
    ZSTD_CCtx *c = pool_take(&v->packers);

    if (!c && !(c = ZSTD_createCCtx()))
        return 0;
    size_t n = ZSTD_compressCCtx(c, out, room, text.ptr, text.len, PACK_LEVEL);
    if (!pool_give(&v->packers, c))
        ZSTD_freeCCtx(c);
    return ZSTD_isError(n) ? 0 : n;
}

static int unpack(struct vault *v, struct slice packed, struct buf *out, struct err *err)
{
    unsigned long long len = ZSTD_getFrameContentSize(packed.ptr, packed.len);

    if (len == ZSTD_CONTENTSIZE_UNKNOWN || len == ZSTD_CONTENTSIZE_ERROR ||
        len > UNPACKED_BYTES_MAX)
        return err_set(err, E_CORRUPT, "stored body: packed in a way that parley does not use");
    char *to = buf_reserve(out, (size_t)len);
    if (!to)
        return buf_check(out, "a stored body", err);
    ZSTD_DCtx *d = pool_take(&v->unpackers);
    if (!d && !(d = ZSTD_createDCtx()))
        return err_set(err, E_NOMEM, "out of memory for unpacking a stored body");
    size_t n = ZSTD_decompressDCtx(d, to, (size_t)len, packed.ptr, packed.len);
    if (!pool_give(&v->unpackers, d))
        ZSTD_freeDCtx(d);
    if (n != len) {
        *to = '\0';  // the end of the buf, as it was
        return err_set(err, E_CORRUPT, "stored body: does not unpack; run `parley verify`");
    }
    buf_grew(out, n);
    return E_OK;
}

// ---- envelopes

// The associated data: what a body is bound to.
struct bound {
    unsigned char bytes[BOUND_BYTES_MAX];
    size_t len;
};

static void bound_add(struct bound *b, struct slice s)
{
    if (s.len)
        memcpy(b->bytes + b->len, s.ptr, s.len);
    b->len += s.len;
}

static int bound_init(struct bound *b, const char *envelope, const struct vault_place *at,
                      struct err *err)
{
    if (at->partition.len > PARTITION_BYTES_MAX || at->key.len > RECORD_KEY_BYTES_MAX ||
        at->meta.len > RECORD_META_BYTES_MAX)
        return err_set(err, E_USAGE, "a record's name or meta is too long: %zu, %zu and %zu bytes",
                       at->partition.len, at->key.len, at->meta.len);
    b->len = 0;
    bound_add(b, slice_of(envelope, NONCE_AT));
    bound_add(b, at->partition);
    b->bytes[b->len++] = 0;
    bound_add(b, at->key);
    if (envelope[FORMAT_AT] == FORMAT_OLD)
        return E_OK;
    b->bytes[b->len++] = 0;
    bound_add(b, at->meta);
    return E_OK;
}

static void put_id(char *to, uint32_t id)
{
    for (int i = 3; i >= 0; i--, id >>= 8)
        to[i] = (char)id;
}

static uint32_t get_id(const char *from)
{
    const unsigned char *b = (const unsigned char *)from;

    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

// With the table's lock held; NULL: none of the user's keys.
static const struct data_key *find_data_key(const struct user_key *k, uint32_t id)
{
    while (k && k->data.id != id)
        k = k->older;
    return k ? &k->data : NULL;
}

static int user_is_erased(const struct vault_place *at, struct err *err)
{
    return err_set(err, E_ERASED, "record %.*s: its user was erased", SLICE_FMT(at->key));
}

void seal_text(const unsigned char *key, const unsigned char *nonce, struct slice bound,
               struct slice text, unsigned char *out)
{
    crypto_aead_xchacha20poly1305_ietf_encrypt(
        out, NULL, (const unsigned char *)text.ptr, text.len, (const unsigned char *)bound.ptr,
        bound.len, NULL, nonce, key);
}

bool open_text(const unsigned char *key, const unsigned char *nonce, struct slice bound,
               struct slice sealed, unsigned char *out)
{
    return sealed.len >= TAG_BYTES &&
           crypto_aead_xchacha20poly1305_ietf_decrypt(
               out, NULL, NULL, (const unsigned char *)sealed.ptr, sealed.len,
               (const unsigned char *)bound.ptr, bound.len, nonce, key) == 0;
}

static struct slice bound_slice(const struct bound *b)
{
    return slice_of((const char *)b->bytes, b->len);
}

// Seals the text at text, with the envelope's first bytes in front of it. In place when packed:
// libsodium allows text and ciphertext to be the same memory. The key cannot be wiped meanwhile.
static int encrypt(struct vault *v, const struct user_key *k, const struct vault_place *at,
                   char *envelope, const char *text, size_t len, struct err *err)
{
    unsigned char *to = (unsigned char *)envelope;
    struct bound bound;
    int rc;

    pthread_rwlock_rdlock(&v->keys.lock);
    put_id(envelope + ID_AT, k->data.id);
    rc = k->erasure ? user_is_erased(at, err) : bound_init(&bound, envelope, at, err);
    if (!rc)
        seal_text(k->data.secret, to + NONCE_AT, bound_slice(&bound), slice_of(text, len),
                  to + TEXT_AT);
    pthread_rwlock_unlock(&v->keys.lock);
    return rc;
}

int vault_seal(struct vault *v, const struct user_key *k, const struct vault_place *at,
               struct safe_text body, struct buf *out, struct sealed *sealed, struct err *err)
{
    size_t packed = 0;

    *sealed = (struct sealed){SLICE_NONE};
    if (body.len > UNPACKED_BYTES_MAX)
        return err_set(err, E_REFUSED, "a body of %zu bytes: at most %d are allowed; split it",
                       body.len, UNPACKED_BYTES_MAX);
    char *to = buf_reserve(out, VAULT_ENVELOPE_BYTES + body.len);
    if (!to)
        return buf_check(out, "a sealed body", err);
    if (body.len >= PACK_BYTES_MIN)  // worth it if it saves a tenth
        packed = pack(v, body, to + TEXT_AT, body.len - body.len / 10);
    to[FORMAT_AT] = FORMAT;
    to[CODEC_AT] = packed ? CODEC_ZSTD : CODEC_PLAIN;
    rand_fill(v->rand, to + NONCE_AT, NONCE_BYTES);
    size_t len = packed ? packed : body.len;
    int rc = encrypt(v, k, at, to, packed ? to + TEXT_AT : body.ptr, len, err);
    if (rc) {
        *to = '\0';  // the end of the buf, as it was
        return rc;
    }
    buf_grew(out, VAULT_ENVELOPE_BYTES + len);
    sealed->bytes = slice_of(to, VAULT_ENVELOPE_BYTES + len);
    return E_OK;
}

int vault_seal_bytes(struct vault *v, const struct user_key *k, const struct vault_place *at,
                     struct slice bytes, struct buf *out, struct sealed *sealed, struct err *err)
{
    return vault_seal(v, k, at, safe_text_vouch(bytes), out, sealed, err);
}

// Checks the tag and writes the text, still packed if it was, to `to`.
static int decrypt(struct vault *v, const struct user_key *k, const struct vault_place *at,
                   struct slice envelope, char *to, struct err *err)
{
    const unsigned char *bytes = (const unsigned char *)envelope.ptr;
    struct bound bound;
    int rc = bound_init(&bound, envelope.ptr, at, err);

    if (rc)
        return rc;
    pthread_rwlock_rdlock(&v->keys.lock);
    const struct data_key *data = find_data_key(k, get_id(envelope.ptr + ID_AT));
    if (k->erasure)
        rc = user_is_erased(at, err);
    else if (!data)
        rc = err_set(err, E_CORRUPT, "record %.*s: damaged, or sealed under another key than its "
                     "user's; run `parley verify`", SLICE_FMT(at->key));
    else if (!open_text(data->secret, bytes + NONCE_AT, bound_slice(&bound),
                        slice_of(envelope.ptr + TEXT_AT, envelope.len - TEXT_AT),
                        (unsigned char *)to))
        rc = err_set(err, E_CORRUPT, "record %.*s: damaged, or moved from its place; run "
                     "`parley verify`", SLICE_FMT(at->key));
    pthread_rwlock_unlock(&v->keys.lock);
    return rc;
}

static int open_envelope(struct vault *v, const struct user_key *k, const struct vault_place *at,
                         int format, struct slice s, struct buf *text, struct err *err)
{
    if (s.len < VAULT_ENVELOPE_BYTES || s.ptr[FORMAT_AT] != format ||
        (s.ptr[CODEC_AT] != CODEC_PLAIN && s.ptr[CODEC_AT] != CODEC_ZSTD))
        return err_set(err, E_CORRUPT, "record %.*s: its seal is not there; run `parley verify`",
                       SLICE_FMT(at->key));
    if (!k)
        return err_set(err, E_NOT_FOUND, "record %.*s: its key is gone; is this the keyring that "
                       "belongs to the store?", SLICE_FMT(at->key));
    size_t len = s.len - VAULT_ENVELOPE_BYTES;
    if (s.ptr[CODEC_AT] == CODEC_PLAIN) {
        char *to = buf_reserve(text, len);
        if (!to)
            return buf_check(text, "a stored body", err);
        int rc = decrypt(v, k, at, s, to, err);
        if (rc)
            *to = '\0';  // the end of the buf, as it was
        else
            buf_grew(text, len);
        return rc;
    }
    char *packed = mem_alloc(len ? len : 1);
    if (!packed)
        return err_set(err, E_NOMEM, "out of memory for a stored body of %zu bytes", len);
    int rc = decrypt(v, k, at, s, packed, err);
    if (!rc)
        rc = unpack(v, slice_of(packed, len), text, err);
    mem_free(packed);
    return rc;
}

int vault_unseal(struct vault *v, const struct user_key *k, const struct vault_place *at,
                 struct sealed sealed, struct safe_buf *out, struct err *err)
{
    return open_envelope(v, k, at, FORMAT, sealed.bytes, safe_buf_bytes(out), err);
}

int vault_reseal(struct vault *v, const struct user_key *k, const struct vault_place *at,
                 struct sealed old, struct buf *out, struct sealed *sealed, struct err *err)
{
    struct buf text = BUF_INIT(UNPACKED_BYTES_MAX);
    int format = vault_is_old(old) ? FORMAT_OLD : FORMAT;
    // In the old format a record without a body had no envelope.
    int rc = old.bytes.len ? open_envelope(v, k, at, format, old.bytes, &text, err) : E_OK;

    if (!rc)
        rc = vault_seal(v, k, at, safe_text_vouch(buf_slice(&text)), out, sealed, err);
    if (text.ptr)
        sodium_memzero(text.ptr, text.cap);
    buf_release(&text);
    return rc;
}

bool vault_is_retired(struct vault *v, const struct user_key *k, struct sealed sealed)
{
    if (sealed.bytes.len < VAULT_ENVELOPE_BYTES)
        return false;
    pthread_rwlock_rdlock(&v->keys.lock);
    const struct data_key *data = find_data_key(k->older, get_id(sealed.bytes.ptr + ID_AT));
    pthread_rwlock_unlock(&v->keys.lock);
    return data != NULL;
}

bool vault_is_old(struct sealed sealed)
{
    return sealed.bytes.len == 0 || sealed.bytes.ptr[FORMAT_AT] == FORMAT_OLD;
}
