// SPDX-License-Identifier: MIT
// keyring_add.c: the keys on disk: lines in the making (keyring.c says what they look like).
//
// They gather in ring.append until keyring_append writes them. The fields of struct keyring belong
// to the thread that opens the vault, then to the keyring thread.
#include "base/id.h"
#include "vault/vault_int.h"

#include <inttypes.h>

const char keyring_header[KEYRING_HEADER_BYTES + 1] = "parley-keyring 2\n";

void keyring_checksum(struct slice text, char out[CHECKSUM_CHARS + 1])
{
    unsigned char hash[HASH_BYTES];

    crypto_generichash(hash, sizeof(hash), (const unsigned char *)text.ptr, text.len, NULL, 0);
    hex_encode(hash, CHECKSUM_BYTES, out);
}

static void wrap(struct vault *v, struct slice bound, const unsigned char *secret, size_t len,
                 unsigned char *out)
{
    rand_fill(v->rand, out, NONCE_BYTES);
    crypto_aead_xchacha20poly1305_ietf_encrypt(
        out + NONCE_BYTES, NULL, secret, len, (const unsigned char *)bound.ptr, bound.len, NULL,
        out, v->ring.wrap_key ? v->ring.wrap_key : v->house->operator_key);
}

static size_t begin_line(struct vault *v, const char *kind, uint32_t id, const char *name)
{
    struct buf *out = &v->ring.append;
    unsigned char id_bytes[ID_BYTES] = {id >> 24, id >> 16 & 255, id >> 8 & 255, id & 255};
    char hex[2 * ID_BYTES + 1];
    size_t start = out->len;

    hex_encode(id_bytes, ID_BYTES, hex);
    buf_addf(out, "%s %s %s", kind, hex, name);
    return start;
}

static void end_line(struct vault *v, size_t start)
{
    struct buf *out = &v->ring.append;
    char sum[CHECKSUM_CHARS + 1];

    if (!buf_ok(out))
        return;
    keyring_checksum(slice_of(out->ptr + start, out->len - start), sum);
    buf_addf(out, " %s\n", sum);
}

// The operator key stands as it is, the others are wrapped by it.
static void add_secret_line(struct vault *v, const char *kind, uint32_t id, const char *name,
                            const unsigned char *secret, size_t len, bool wrapped)
{
    struct buf *out = &v->ring.append;
    unsigned char sealed[WRAPPED_BYTES_MAX];
    char hex[2 * WRAPPED_BYTES_MAX + 1];
    size_t start = begin_line(v, kind, id, name);

    if (!buf_ok(out))
        return;
    if (wrapped) {
        wrap(v, slice_of(out->ptr + start, out->len - start), secret, len, sealed);
        hex_encode(sealed, WRAPPING_BYTES + len, hex);
    } else {
        hex_encode(secret, len, hex);
    }
    buf_add_char(out, ' ');
    buf_add_str(out, hex);
    sodium_memzero(hex, sizeof(hex));
    end_line(v, start);
}

static uint32_t new_id(struct vault *v)
{
    uint32_t id;

    rand_fill(v->rand, &id, sizeof(id));
    return id;
}

void keyring_add_house(struct vault *v, const char *kind, const unsigned char *key, bool wrapped)
{
    add_secret_line(v, kind, new_id(v), "-", key, KEY_BYTES, wrapped);
}

void keyring_add_apart(struct vault *v, const unsigned char *operator_key)
{
    char fingerprint[OPERATOR_FINGERPRINT_BYTES];
    size_t start = begin_line(v, "operator", new_id(v), "-");

    operator_fingerprint(operator_key, fingerprint);
    buf_addf(&v->ring.append, " @%s", fingerprint);
    end_line(v, start);
}

static void add_user_line(struct vault *v, const char *partition, struct data_key *data,
                          const unsigned char *secret, size_t len, bool place)
{
    struct keyring *r = &v->ring;
    size_t start = r->append.len;

    add_secret_line(v, "user", data->id, partition, secret, len, true);
    if (place && buf_ok(&r->append))
        data->line = (struct stretch){r->offset + r->line_is_open + (off_t)start,
                                      (uint32_t)(r->append.len - start - 1)};
}

void keyring_add_user(struct vault *v, struct user_key *k)
{
    k->data.epoch = v->ring.epoch;
    add_user_line(v, k->partition, &k->data, k->data.secret, KEY_BYTES, true);
}

void keyring_add_data(struct vault *v, const struct user_key *k, struct data_key *data, bool place)
{
    unsigned char *both = v->house->scratch;

    memcpy(both, data->secret, KEY_BYTES);
    memcpy(both + KEY_BYTES, k->digest_key, KEY_BYTES);
    add_user_line(v, k->partition, data, both, USER_SECRET_BYTES, place);
    sodium_memzero(both, USER_SECRET_BYTES);
}

void keyring_add_rotation(struct vault *v, const char *kind, uint32_t number)
{
    size_t start = begin_line(v, kind, new_id(v), "-");

    buf_addf(&v->ring.append, " %u", number);
    end_line(v, start);
}

void keyring_add_store(struct vault *v, const char *id)
{
    size_t start = begin_line(v, "store", new_id(v), id);

    buf_add_str(&v->ring.append, " -");
    end_line(v, start);
}

bool keyring_knows_store(const struct vault *v, struct slice id)
{
    for (size_t i = 0; i < v->ring.stores.len; i++) {
        if (slice_is(id, vec_at(&v->ring.stores, i)))
            return true;
    }
    return false;
}

int keyring_note_store(struct vault *v, struct slice id)
{
    char *known = keyring_knows_store(v, id) ? NULL : vec_push(&v->ring.stores);

    if (!known)
        return keyring_knows_store(v, id) ? E_OK : E_NOMEM;
    memcpy(known, id.ptr, id.len);
    v->ring.stores_known = (uint32_t)v->ring.stores.len;
    return E_OK;
}

void keyring_add_retired(struct vault *v, const struct user_key *k, const struct data_key *data)
{
    size_t start = begin_line(v, "retired", data->id, k->partition);

    buf_addf(&v->ring.append, " %lld+%u", (long long)data->line.at, data->line.bytes);
    end_line(v, start);
}

void keyring_add_erased(struct vault *v, const struct user_key *k, int64_t at_ms)
{
    struct buf *out = &v->ring.append;
    size_t start = begin_line(v, "erased", new_id(v), k->partition);

    buf_addf(out, " %" PRId64, at_ms);
    for (; k; k = k->older) {
        if (k->data.line.bytes)
            buf_addf(out, ",%lld+%u", (long long)k->data.line.at, k->data.line.bytes);
    }
    end_line(v, start);
}

void keyring_add_done(struct vault *v, const struct user_key *k)
{
    size_t start = begin_line(v, "done", new_id(v), k->partition);

    buf_add_str(&v->ring.append, " -");
    end_line(v, start);
}

int keyring_doom(struct vault *v, const struct user_key *k)
{
    size_t before = v->ring.doomed.len;

    for (; k; k = k->older) {
        struct stretch *line = k->data.line.bytes ? vec_push(&v->ring.doomed) : NULL;

        if (line) {
            *line = k->data.line;
        } else if (k->data.line.bytes) {
            v->ring.doomed.len = before;
            return E_NOMEM;
        }
    }
    return E_OK;
}
