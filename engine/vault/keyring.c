// SPDX-License-Identifier: MIT
// keyring.c: the keys on disk: the lines of the keyring file.
//
//   parley-keyring 2
//   operator ID - KEY CHECKSUM
//   index ID - WRAPPED CHECKSUM
//   sign ID - WRAPPED CHECKSUM                 the seed of the signing key
//   user ID PARTITION WRAPPED CHECKSUM         one for each data key; a user's newest comes last
//   erased ID PARTITION AT,LINES CHECKSUM      the tombstone: when, and which lines go with it
//   done ID PARTITION - CHECKSUM               an erasure that is completed everywhere
//
// One record a line, fields apart by one space, binary in lower-case hex. ID is four random bytes,
// as in the envelope's key id. KEY is 32 bytes. WRAPPED is nonce 24, ciphertext 32, tag 16: the key
// sealed with XChaCha20-Poly1305 under the operator key, bound to "KIND ID NAME" as the line has
// it. A user's second and later lines wrap 64 bytes: the data key, and the key of the user's
// digests, which the first line's is derived from. AT is in milliseconds of the epoch; LINES are
// stretches of the file, "OFFSET+BYTES" with commas between. CHECKSUM is the first 8 bytes of the
// BLAKE2b hash of the line before it, so that damage is told from a wrong key. Empty lines and
// lines that begin with "#" are skipped: a key is destroyed by writing "#" over its whole line. A
// line of which a crash left only a part so is known by a "#" in it, and by a tombstone that names
// it. Format 1 had no "sign", "erased" and "done".
#include "base/id.h"
#include "base/mem.h"
#include "vault/vault_int.h"

#include <inttypes.h>

const char keyring_header[KEYRING_HEADER_BYTES + 1] = "parley-keyring 2\n";

enum { KIND, ID, NAME, SECRET, CHECKSUM, FIELDS };
enum {
    ID_BYTES = 4,
    USER_SECRET_BYTES = 2 * KEY_BYTES,
    WRAPPING_BYTES = NONCE_BYTES + TAG_BYTES,
    WRAPPED_BYTES_MAX = WRAPPING_BYTES + USER_SECRET_BYTES,
    HASH_BYTES = crypto_generichash_BYTES_MIN,
    CHECKSUM_BYTES = 8,
    CHECKSUM_CHARS = 2 * CHECKSUM_BYTES,
};

int keyring_damaged(struct vault *v, uint32_t line, struct err *err, const char *why)
{
    return err_set(err, E_STORE, "keyring %s, line %u: %s; restore the file from a backup",
                   v->ring.path, line, why);
}

static int damaged(struct vault *v, struct err *err, const char *why)
{
    return keyring_damaged(v, v->ring.lines + 1, err, why);
}

// ---- lines

static void checksum(struct slice text, char out[CHECKSUM_CHARS + 1])
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
        out, v->house->operator_key);
}

// `len` is the secret's.
static bool unwrap(struct vault *v, struct slice bound, const unsigned char *wrapped, size_t len,
                   unsigned char *secret)
{
    return crypto_aead_xchacha20poly1305_ietf_decrypt(
               secret, NULL, NULL, wrapped + NONCE_BYTES, len + TAG_BYTES,
               (const unsigned char *)bound.ptr, bound.len, wrapped, v->house->operator_key) == 0;
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
    checksum(slice_of(out->ptr + start, out->len - start), sum);
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

void keyring_add_user(struct vault *v, struct user_key *k)
{
    struct keyring *r = &v->ring;
    size_t start = r->append.len;

    add_secret_line(v, "user", k->data.id, k->partition, k->data.secret, KEY_BYTES, true);
    if (buf_ok(&r->append))
        k->data.line = (struct stretch){r->offset + r->line_is_open + (off_t)start,
                                        (uint32_t)(r->append.len - start - 1)};
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

static unsigned split(struct slice line, struct slice fields[FIELDS])
{
    unsigned n = 0;

    while (n < FIELDS) {
        const char *space = n + 1 < FIELDS && line.len ? memchr(line.ptr, ' ', line.len) : NULL;
        size_t len = space ? (size_t)(space - line.ptr) : line.len;

        fields[n++] = slice_of(line.ptr, len);
        if (!space)
            break;
        line = slice_of(space + 1, line.len - len - 1);
    }
    return n;
}

static int out_of_memory(struct err *err)
{
    return err_set(err, E_NOMEM, "out of memory for the keys");
}

// A line's partition, and what is known of it: NULL if nothing.
static int find_user(struct vault *v, struct slice name, struct user_key **k, struct err *err)
{
    char partition[VAULT_DIGEST_BYTES] = "";

    *k = NULL;
    if (name.len == 0 || name.len >= sizeof(partition))
        return damaged(v, err, "no such user");
    memcpy(partition, name.ptr, name.len);
    *k = key_table_find(&v->keys, partition, true);
    return E_OK;
}

// `secret` is a data key and, of the second line on, the key of the user's digests.
static int take_user(struct vault *v, struct slice name, const struct data_key *data,
                     const unsigned char *digest_key, struct err *err)
{
    struct user_key *k;
    int rc = find_user(v, name, &k, err);

    if (rc)
        return rc;
    if (k && k->erasure)
        return damaged(v, err, "a key of a user who was erased");
    if (k && !digest_key)
        return damaged(v, err, "a second key for one user");
    if (k) {
        rc = key_table_renew(&v->keys, k, data);
        return rc == E_REFUSED ? damaged(v, err, "too many keys for one user")
               : rc            ? out_of_memory(err)
                               : E_OK;
    }
    k = key_table_add(&v->keys, name);
    if (!k)
        return out_of_memory(err);
    k->data = *data;
    if (digest_key)
        memcpy(k->digest_key, digest_key, KEY_BYTES);
    else
        digest_key_derive(k);
    key_table_publish(&v->keys, k);
    return E_OK;
}

static int take_key(struct vault *v, const struct slice fields[FIELDS], uint32_t id,
                    struct stretch line, struct err *err)
{
    const char *start = fields[KIND].ptr;
    struct slice bound = slice_of(start, (size_t)(fields[NAME].ptr + fields[NAME].len - start));
    unsigned char wrapped[WRAPPED_BYTES_MAX];
    struct data_key data = {.id = id, .line = line};
    unsigned char secret[USER_SECRET_BYTES];
    size_t len = fields[SECRET].len == 2 * WRAPPED_BYTES_MAX ? USER_SECRET_BYTES : KEY_BYTES;
    int rc = E_OK;

    if (!v->house->has_operator)
        return damaged(v, err, "a key before the operator's");
    if (!hex_decode(fields[SECRET], wrapped, WRAPPING_BYTES + len) ||
        !unwrap(v, bound, wrapped, len, secret))
        return damaged(v, err, "not wrapped by this keyring's operator key");
    if (slice_is(fields[KIND], "index")) {
        memcpy(v->house->index_key, secret, KEY_BYTES);
        v->house->has_index = true;
    } else if (slice_is(fields[KIND], "sign")) {
        memcpy(v->house->sign_seed, secret, KEY_BYTES);
        sign_keys_derive(v->house);
    } else {
        memcpy(data.secret, secret, KEY_BYTES);
        rc = take_user(v, fields[NAME], &data, len > KEY_BYTES ? secret + KEY_BYTES : NULL, err);
    }
    sodium_memzero(secret, sizeof(secret));
    sodium_memzero(&data, sizeof(data));
    return rc;
}

static int take_operator(struct vault *v, struct slice secret, struct err *err)
{
    if (!hex_decode(secret, v->house->operator_key, KEY_BYTES))
        return damaged(v, err, "not a key");
    v->house->has_operator = true;
    return E_OK;
}

// ---- erasures

static bool take_number(struct slice *text, long long *out)
{
    size_t n = 0;

    *out = 0;
    while (n < text->len && n < 18 && text->ptr[n] >= '0' && text->ptr[n] <= '9')
        *out = *out * 10 + (text->ptr[n++] - '0');
    *text = slice_of(text->ptr + n, text->len - n);
    return n > 0;
}

static bool take_char(struct slice *text, char c)
{
    if (text->len == 0 || text->ptr[0] != c)
        return false;
    *text = slice_of(text->ptr + 1, text->len - 1);
    return true;
}

// Half lines that a tombstone names are to be overwritten once more.
static int doom_half(struct vault *v, struct stretch line, struct err *err)
{
    struct keyring *r = &v->ring;

    for (size_t i = r->half.len; i-- > 0;) {
        const struct half_line *half = VEC_AT(&r->half, struct half_line, i);
        if (half->where.at != line.at || half->where.bytes != line.bytes)
            continue;
        struct stretch *doomed = vec_push(&r->doomed);
        if (!doomed)
            return out_of_memory(err);
        *doomed = line;
        vec_remove(&r->half, i);
    }
    return E_OK;
}

static int take_erased(struct vault *v, const struct slice fields[FIELDS], struct err *err)
{
    struct slice text = fields[SECRET];
    long long at_ms, at, bytes;
    struct user_key *k;
    int rc = find_user(v, fields[NAME], &k, err);

    if (!rc && !take_number(&text, &at_ms))
        rc = damaged(v, err, "not a tombstone");
    while (!rc && text.len) {
        if (!take_char(&text, ',') || !take_number(&text, &at) || !take_char(&text, '+') ||
            !take_number(&text, &bytes) || bytes > UINT32_MAX)
            rc = damaged(v, err, "not a tombstone");
        else
            rc = doom_half(v, (struct stretch){(off_t)at, (uint32_t)bytes}, err);
    }
    if (rc || (k && k->erasure))
        return rc;
    // What is still there of the user's lines goes too.
    if (k && keyring_doom(v, k))
        return out_of_memory(err);
    if (key_table_reserve_erasure(&v->keys) || (!k && !(k = key_table_add(&v->keys, fields[NAME]))))
        return out_of_memory(err);
    key_table_erase(&v->keys, k, at_ms);
    return E_OK;
}

static int take_done(struct vault *v, struct slice name, struct err *err)
{
    struct user_key *k;
    int rc = find_user(v, name, &k, err);

    if (rc)
        return rc;
    if (!k || !k->erasure)
        return damaged(v, err, "the end of an erasure that never began");
    key_table_erased_done(&v->keys, k);
    return E_OK;
}

int keyring_check_half(struct vault *v, struct err *err)
{
    for (size_t i = 0; i < v->ring.half.len; i++) {
        const struct half_line *half = VEC_AT(&v->ring.half, struct half_line, i);
        if (!half->note)
            return keyring_damaged(v, half->line, err, "damaged");
    }
    vec_clear(&v->ring.half);
    return E_OK;
}

// ---- reading

static uint32_t id_of(const unsigned char bytes[ID_BYTES])
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool has_checksum(struct slice line, const struct slice fields[FIELDS])
{
    char expected[CHECKSUM_CHARS + 1];

    checksum(slice_of(line.ptr, line.len - fields[CHECKSUM].len - 1), expected);
    return slice_is(fields[CHECKSUM], expected);
}

static int take_header(struct vault *v, struct slice line, struct err *err)
{
    static const struct slice stem = SLICE_LIT("parley-keyring ");

    if (!slice_starts(line, stem))
        return err_set(err, E_STORE, "%s is not a keyring: name another file", v->ring.path);
    if (line.len != stem.len + 1 || line.ptr[stem.len] < '1' ||
        line.ptr[stem.len] > '0' + KEYRING_FORMAT)
        return err_set(err, E_STORE, "keyring %s was made by a newer parley: use that one",
                       v->ring.path);
    v->ring.format = (uint32_t)(line.ptr[stem.len] - '0');
    return E_OK;
}

// A line that is no record: destroyed, or a part of it is, or it is somebody's note.
static int take_odd_line(struct vault *v, struct slice line, struct stretch where, struct err *err)
{
    bool note = line.ptr[0] == '#';
    size_t n = 0;

    while (n < line.len && line.ptr[n] == '#')
        n++;
    if (n == line.len)
        return E_OK;
    if (!memchr(line.ptr, '#', line.len))
        return damaged(v, err, "damaged");
    struct half_line *half = vec_push(&v->ring.half);
    if (!half)
        return err_set(err, E_STORE, "keyring %s, line %u: too many notes, or out of memory",
                       v->ring.path, v->ring.lines + 1);
    *half = (struct half_line){where, v->ring.lines + 1, note};
    return E_OK;
}

static int take_line(struct vault *v, struct slice line, off_t at, struct err *err)
{
    struct slice fields[FIELDS];
    struct stretch where = {at, (uint32_t)line.len};
    unsigned char id[ID_BYTES];

    if (v->ring.lines == 0)
        return take_header(v, line, err);
    if (line.len == 0)
        return E_OK;
    if (split(line, fields) < FIELDS || !has_checksum(line, fields) ||
        !hex_decode(fields[ID], id, ID_BYTES))
        return take_odd_line(v, line, where, err);
    if (slice_is(fields[KIND], "operator"))
        return take_operator(v, fields[SECRET], err);
    if (slice_is(fields[KIND], "erased"))
        return take_erased(v, fields, err);
    if (slice_is(fields[KIND], "done"))
        return take_done(v, fields[NAME], err);
    if (slice_is(fields[KIND], "index") || slice_is(fields[KIND], "sign") ||
        slice_is(fields[KIND], "user"))
        return take_key(v, fields, id_of(id), where, err);
    return damaged(v, err, "an unknown kind of line");
}

// Whether the end of the file, which has no newline, is what a crash leaves of a line.
static bool is_torn(struct vault *v, struct slice tail)
{
    struct slice fields[FIELDS];

    if (v->ring.lines == 0)  // anything else is somebody's file
        return slice_starts(slice_str(keyring_header), tail);
    if (memchr(tail.ptr, '\0', tail.len))  // the size was written, the bytes were not
        return true;
    return tail.ptr[0] != '#' &&
           (split(tail, fields) < FIELDS || fields[CHECKSUM].len < CHECKSUM_CHARS);
}

int keyring_take(struct vault *v, struct slice text, bool at_end, size_t *used, struct err *err)
{
    int rc = E_OK;

    *used = 0;
    while (!rc && *used < text.len) {
        const char *start = text.ptr + *used;
        size_t left = text.len - *used;
        const char *newline = memchr(start, '\n', left);
        size_t len = newline ? (size_t)(newline - start) : left;

        if (!newline && (!at_end || is_torn(v, slice_of(start, len))))
            break;
        // The newline of a line that was taken without it.
        if (!v->ring.line_is_open || len)
            rc = take_line(v, slice_of(start, len), v->ring.offset + (off_t)*used, err);
        if (rc)
            break;
        v->ring.lines += !v->ring.line_is_open;
        v->ring.line_is_open = !newline;
        *used += len + (newline != NULL);
    }
    return rc;
}
