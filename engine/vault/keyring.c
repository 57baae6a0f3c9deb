// SPDX-License-Identifier: MIT
// keyring.c: the keys on disk: the lines of the keyring file, and how they are read.
//
//   parley-keyring 2
//   operator ID - KEY CHECKSUM                 or "@FINGERPRINT" for KEY, if it is kept apart
//   index ID - WRAPPED CHECKSUM
//   sign ID - WRAPPED CHECKSUM                 the seed of the signing key
//   user ID PARTITION WRAPPED CHECKSUM         one for each data key; a user's newest comes last
//   erased ID PARTITION AT,LINES CHECKSUM      the tombstone: when, and which lines go with it
//   done ID PARTITION - CHECKSUM               an erasure that is completed everywhere
//   rotate ID - N CHECKSUM                     users whose keys are all above need a new one
//   rotated ID - N CHECKSUM                    … and have it
//   store ID STORE - CHECKSUM                  a store of that id is sealed with this keyring
//   retired ID PARTITION LINES CHECKSUM        a user's older key, of that id, is destroyed
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
// it. Format 1 had "operator", "index" and "user" only.
#include "base/id.h"
#include "base/mem.h"
#include "vault/vault_int.h"

enum { KIND, ID, NAME, SECRET, CHECKSUM, FIELDS };

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

// `len` is the secret's.
static bool unwrap(struct vault *v, struct slice bound, const unsigned char *wrapped, size_t len,
                   unsigned char *secret)
{
    return crypto_aead_xchacha20poly1305_ietf_decrypt(
               secret, NULL, NULL, wrapped + NONCE_BYTES, len + TAG_BYTES,
               (const unsigned char *)bound.ptr, bound.len, wrapped, v->house->operator_key) == 0;
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

// One that is known stands elsewhere now: the file is a new one.
static int take_again(struct vault *v, struct data_key *known, const struct data_key *data,
                      struct err *err)
{
    if (known->epoch == v->ring.epoch || sodium_memcmp(known->secret, data->secret, KEY_BYTES))
        return damaged(v, err, "the same key twice");
    known->line = data->line;
    known->epoch = v->ring.epoch;
    return E_OK;
}

// digest_key: of the second line on.
static int take_user(struct vault *v, struct slice name, const struct data_key *data,
                     const unsigned char *digest_key, struct err *err)
{
    struct data_key *known;
    struct user_key *k;
    int rc = find_user(v, name, &k, err);

    if (rc)
        return rc;
    if (k && k->erasure)
        return damaged(v, err, "a key of a user who was erased");
    if (k && (known = key_table_data(k, data->id)))
        return take_again(v, known, data, err);
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

// The house's keys never change: another keyring in this one's place would be a disaster.
static int take_house(struct vault *v, bool known, unsigned char *to, const unsigned char *key,
                      struct err *err)
{
    if (known && sodium_memcmp(to, key, KEY_BYTES))
        return err_set(err, E_STORE, "another keyring took the place of %s: put the right one "
                       "back", v->ring.path);
    memcpy(to, key, KEY_BYTES);
    return E_OK;
}

static int take_key(struct vault *v, const struct slice fields[FIELDS], uint32_t id,
                    struct stretch line, struct err *err)
{
    const char *start = fields[KIND].ptr;
    struct slice bound = slice_of(start, (size_t)(fields[NAME].ptr + fields[NAME].len - start));
    unsigned char wrapped[WRAPPED_BYTES_MAX];
    struct data_key data = {
        .id = id, .line = line, .generation = v->ring.rotation, .epoch = v->ring.epoch};
    struct house_keys *house = v->house;
    unsigned char *secret = house->scratch;
    size_t len = fields[SECRET].len == 2 * WRAPPED_BYTES_MAX ? USER_SECRET_BYTES : KEY_BYTES;
    int rc = E_OK;

    if (!v->house->has_operator)
        return damaged(v, err, "a key before the operator's");
    if (!hex_decode(fields[SECRET], wrapped, WRAPPING_BYTES + len) ||
        !unwrap(v, bound, wrapped, len, secret))
        return damaged(v, err, "not wrapped by this keyring's operator key");
    if (slice_is(fields[KIND], "index")) {
        rc = take_house(v, house->has_index, house->index_key, secret, err);
        house->has_index = true;
    } else if (slice_is(fields[KIND], "sign")) {
        rc = take_house(v, house->has_sign, house->sign_seed, secret, err);
        sign_keys_derive(house);
    } else {
        memcpy(data.secret, secret, KEY_BYTES);
        rc = take_user(v, fields[NAME], &data, len > KEY_BYTES ? secret + KEY_BYTES : NULL, err);
    }
    sodium_memzero(secret, USER_SECRET_BYTES);
    sodium_memzero(&data, sizeof(data));
    return rc;
}

// The one of the source's keys that wraps this keyring.
static int find_operator(struct vault *v, struct slice fingerprint, struct err *err)
{
    const struct operator_source *source = &v->ring.source;
    char ours[OPERATOR_FINGERPRINT_BYTES] = "";
    bool found = false;

    if (!source->spec)
        return err_set(err, E_STORE, "keyring %s: its operator key %.*s is kept apart: say where "
                       "with operator_key, as in --set operator_key=file:PATH", v->ring.path,
                       SLICE_FMT(fingerprint));
    struct operator_keys *keys = sodium_malloc(sizeof(*keys));
    if (!keys)
        return out_of_memory(err);
    int rc = operator_read(source, keys, err);
    for (unsigned i = 0; i < keys->len && !rc && !found; i++) {
        operator_fingerprint(keys->keys[i], ours);
        found = slice_is(fingerprint, ours);
        if (found)
            memcpy(v->house->operator_key, keys->keys[i], KEY_BYTES);
    }
    sodium_free(keys);
    if (rc || found)
        return rc;
    return err_set(err, E_STORE, "keyring %s is wrapped by operator key %.*s, but %s holds %s: put "
                   "the right one there", v->ring.path, SLICE_FMT(fingerprint), source->spec, ours);
}

static int take_operator(struct vault *v, struct slice secret, struct err *err)
{
    struct house_keys *house = v->house;
    int rc = E_OK;

    house->apart = secret.len && secret.ptr[0] == '@';
    if (house->apart)
        rc = find_operator(v, slice_of(secret.ptr + 1, secret.len - 1), err);
    else if (!hex_decode(secret, house->operator_key, KEY_BYTES))
        return damaged(v, err, "not a key");
    else if (v->ring.source.spec && !v->ring.rotating)
        return err_set(err, E_STORE, "keyring %s holds its operator key itself, but operator_key "
                       "says %s: run `parley keys rotate --operator-only` to have it kept there",
                       v->ring.path, v->ring.source.spec);
    house->has_operator |= rc == E_OK;
    return rc;
}

// ---- stretches of the file

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

static int take_stretch(struct vault *v, struct slice *text, struct stretch *out, struct err *err)
{
    long long at, bytes;

    if (!take_number(text, &at) || !take_char(text, '+') || !take_number(text, &bytes) ||
        bytes > UINT32_MAX)
        return damaged(v, err, "not a stretch of the file");
    *out = (struct stretch){(off_t)at, (uint32_t)bytes};
    return E_OK;
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

// ---- rotations

static int take_rotation(struct vault *v, struct slice number, bool complete, struct err *err)
{
    long long n;

    if (!take_number(&number, &n) || number.len || n > UINT32_MAX)
        return damaged(v, err, "not the number of a rotation");
    if (complete)
        v->ring.rotated = (uint32_t)n;
    else
        v->ring.rotation = (uint32_t)n;
    return E_OK;
}

static int take_store(struct vault *v, struct slice id, struct err *err)
{
    if (id.len == 0 || id.len >= VAULT_DIGEST_BYTES)
        return damaged(v, err, "not a store's id");
    return keyring_note_store(v, id) ? out_of_memory(err) : E_OK;
}

static bool has_id(const struct data_key *data, uint32_t id)
{
    return data->id == id;
}

static int take_retired(struct vault *v, const struct slice fields[FIELDS], uint32_t id,
                        struct err *err)
{
    struct slice text = fields[SECRET];
    struct stretch line;
    struct user_key *k;
    int rc = find_user(v, fields[NAME], &k, err);

    if (!rc)
        rc = take_stretch(v, &text, &line, err);
    if (!rc)
        rc = doom_half(v, line, err);
    if (rc || !k || k->erasure)
        return rc;
    if (k->data.id == id)
        return damaged(v, err, "a user's newest key is retired");
    if (!key_table_data(k, id))
        return E_OK;
    struct stretch *doomed = vec_push(&v->ring.doomed);
    if (!doomed)
        return out_of_memory(err);
    *doomed = line;
    key_table_drop(&v->keys, k, has_id, id);
    return E_OK;
}

// ---- erasures

static int take_erased(struct vault *v, const struct slice fields[FIELDS], struct err *err)
{
    struct slice text = fields[SECRET];
    struct stretch line;
    long long at_ms;
    struct user_key *k;
    int rc = find_user(v, fields[NAME], &k, err);

    if (!rc && !take_number(&text, &at_ms))
        rc = damaged(v, err, "not a tombstone");
    while (!rc && text.len) {
        rc = take_char(&text, ',') ? take_stretch(v, &text, &line, err)
                                   : damaged(v, err, "not a tombstone");
        if (!rc)
            rc = doom_half(v, line, err);
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

    keyring_checksum(slice_of(line.ptr, line.len - fields[CHECKSUM].len - 1), expected);
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
    if (slice_is(fields[KIND], "rotate") || slice_is(fields[KIND], "rotated"))
        return take_rotation(v, fields[SECRET], fields[KIND].len > 6, err);
    if (slice_is(fields[KIND], "store"))
        return take_store(v, fields[NAME], err);
    if (slice_is(fields[KIND], "retired"))
        return take_retired(v, fields, id_of(id), err);
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
