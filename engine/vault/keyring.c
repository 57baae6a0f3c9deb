// SPDX-License-Identifier: MIT
// keyring.c: the keys on disk, an append-only text file.
//
//   parley-keyring 1
//   operator ID - KEY CHECKSUM
//   index ID - WRAPPED CHECKSUM
//   user ID PARTITION WRAPPED CHECKSUM          one for each user
//
// One record a line, fields apart by one space, binary in lower-case hex. ID is four random bytes,
// as in the envelope's key id. KEY is 32 bytes. WRAPPED is nonce 24, ciphertext 32, tag 16: the key
// sealed with XChaCha20-Poly1305 under the operator key, bound to "KIND ID NAME" as the line has
// it. CHECKSUM is the first 8 bytes of the BLAKE2b hash of the line before it, so that damage is
// told from a wrong key. Empty lines and lines that begin with "#" are skipped: a key is destroyed
// by writing "#" over its whole line.
//
// Invariants:
//   1. Writers hold the exclusive lock (flock) from reading the last line to the fsync of their
//      own; readers hold the shared one. So nobody sees a line that is being written.
//   2. A process may die between its write and its fsync: whoever reads new lines syncs them before
//      using them.
//   3. A crash leaves at most a last line without a newline that has too few fields or bytes; it is
//      cut off at the next append. Anything else that does not read is damage, and nothing is
//      appended after damage.
// The fields of struct keyring belong to the thread that opens the vault, then to the keyring
// thread.
#include "base/id.h"
#include "base/mem.h"
#include "vault/vault_int.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char header[] = "parley-keyring 1";

enum { KIND, ID, NAME, SECRET, CHECKSUM, FIELDS };
enum {
    ID_BYTES = 4,
    WRAPPED_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES,
    HASH_BYTES = crypto_generichash_BYTES_MIN,
    CHECKSUM_BYTES = 8,
    CHECKSUM_CHARS = 2 * CHECKSUM_BYTES,
    READ_BYTES = 64 << 10,
    APPEND_BYTES_MAX = 64 << 20,
};

static int damaged(struct vault *v, struct err *err, const char *why)
{
    return err_set(err, E_STORE, "keyring %s, line %u: %s; restore the file from a backup",
                   v->ring.path, v->ring.lines + 1, why);
}

static int failed(struct vault *v, struct err *err, const char *what)
{
    return err_set(err, E_STORE, "keyring %s: cannot %s: %m", v->ring.path, what);
}

// ---- lines

static void checksum(struct slice text, char out[CHECKSUM_CHARS + 1])
{
    unsigned char hash[HASH_BYTES];

    crypto_generichash(hash, sizeof(hash), (const unsigned char *)text.ptr, text.len, NULL, 0);
    hex_encode(hash, CHECKSUM_BYTES, out);
}

static void wrap(struct vault *v, struct slice bound, const unsigned char *key,
                 unsigned char out[WRAPPED_BYTES])
{
    rand_fill(v->rand, out, NONCE_BYTES);
    crypto_aead_xchacha20poly1305_ietf_encrypt(
        out + NONCE_BYTES, NULL, key, KEY_BYTES, (const unsigned char *)bound.ptr, bound.len, NULL,
        out, v->house->operator_key);
}

static bool unwrap(struct vault *v, struct slice bound, const unsigned char wrapped[WRAPPED_BYTES],
                   unsigned char *key)
{
    return crypto_aead_xchacha20poly1305_ietf_decrypt(
               key, NULL, NULL, wrapped + NONCE_BYTES, WRAPPED_BYTES - NONCE_BYTES,
               (const unsigned char *)bound.ptr, bound.len, wrapped, v->house->operator_key) == 0;
}

// Appends a line. The operator key stands as it is, the others are wrapped by it.
static void add_line(struct vault *v, const char *kind, uint32_t id, const char *name,
                     const unsigned char *key, bool wrapped)
{
    struct buf *out = &v->ring.append;
    unsigned char id_bytes[ID_BYTES] = {id >> 24, id >> 16 & 255, id >> 8 & 255, id & 255};
    unsigned char secret[WRAPPED_BYTES];
    char hex[2 * WRAPPED_BYTES + 1];
    size_t start = out->len;

    hex_encode(id_bytes, ID_BYTES, hex);
    buf_add_str(out, kind);
    buf_add_char(out, ' ');
    buf_add_str(out, hex);
    buf_add_char(out, ' ');
    buf_add_str(out, name);
    if (!buf_ok(out))
        return;
    if (wrapped) {
        wrap(v, slice_of(out->ptr + start, out->len - start), key, secret);
        hex_encode(secret, WRAPPED_BYTES, hex);
    } else {
        hex_encode(key, KEY_BYTES, hex);
    }
    buf_add_char(out, ' ');
    buf_add_str(out, hex);
    sodium_memzero(hex, sizeof(hex));
    if (!buf_ok(out))
        return;
    checksum(slice_of(out->ptr + start, out->len - start), hex);
    buf_add_char(out, ' ');
    buf_add_str(out, hex);
    buf_add_char(out, '\n');
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

static uint32_t id_of(const unsigned char bytes[ID_BYTES])
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static int take_user(struct vault *v, struct slice name, uint32_t id, const unsigned char *secret,
                     struct err *err)
{
    char partition[VAULT_DIGEST_BYTES] = "";

    if (name.len == 0 || name.len >= sizeof(partition))
        return damaged(v, err, "no such user");
    memcpy(partition, name.ptr, name.len);
    if (key_table_find(&v->keys, partition, true))
        return damaged(v, err, "a second key for one user");
    struct user_key *k = key_table_add(&v->keys, name);
    if (!k)
        return err_set(err, E_NOMEM, "out of memory for the keys");
    k->id = id;
    memcpy(k->secret, secret, KEY_BYTES);
    key_table_publish(&v->keys, k);
    return E_OK;
}

static int take_key(struct vault *v, const struct slice fields[FIELDS], const unsigned char *id,
                    struct err *err)
{
    const char *start = fields[KIND].ptr;
    struct slice bound = slice_of(start, (size_t)(fields[NAME].ptr + fields[NAME].len - start));
    unsigned char wrapped[WRAPPED_BYTES];
    unsigned char secret[KEY_BYTES];
    int rc = E_OK;

    if (slice_is(fields[KIND], "operator")) {
        if (!hex_decode(fields[SECRET], v->house->operator_key, KEY_BYTES))
            return damaged(v, err, "not a key");
        v->house->has_operator = true;
        return E_OK;
    }
    if (!v->house->has_operator)
        return damaged(v, err, "a key before the operator's");
    if (!hex_decode(fields[SECRET], wrapped, WRAPPED_BYTES) || !unwrap(v, bound, wrapped, secret))
        return damaged(v, err, "not wrapped by this keyring's operator key");
    if (slice_is(fields[KIND], "index")) {
        memcpy(v->house->index_key, secret, KEY_BYTES);
        v->house->has_index = true;
    } else if (slice_is(fields[KIND], "user")) {
        rc = take_user(v, fields[NAME], id_of(id), secret, err);
    } else {
        rc = damaged(v, err, "an unknown kind of line");
    }
    sodium_memzero(secret, sizeof(secret));
    return rc;
}

static bool has_checksum(struct slice line, const struct slice fields[FIELDS])
{
    char expected[CHECKSUM_CHARS + 1];

    checksum(slice_of(line.ptr, line.len - fields[CHECKSUM].len - 1), expected);
    return slice_is(fields[CHECKSUM], expected);
}

static int take_line(struct vault *v, struct slice line, struct err *err)
{
    struct slice fields[FIELDS];
    unsigned char id[ID_BYTES];

    if (v->ring.lines == 0) {
        if (slice_is(line, header))
            return E_OK;
        return slice_starts(line, SLICE_LIT("parley-keyring "))
                   ? err_set(err, E_STORE, "keyring %s was made by a newer parley: use that one",
                             v->ring.path)
                   : err_set(err, E_STORE, "%s is not a keyring: name another file", v->ring.path);
    }
    if (line.len == 0 || line.ptr[0] == '#')
        return E_OK;
    if (split(line, fields) < FIELDS || !has_checksum(line, fields) ||
        !hex_decode(fields[ID], id, ID_BYTES))
        return damaged(v, err, "damaged");
    return take_key(v, fields, id, err);
}

// Whether the end of the file, which has no newline, is what a crash leaves of a line.
static bool is_torn(struct vault *v, struct slice tail)
{
    struct slice fields[FIELDS];

    if (v->ring.lines == 0)  // anything else is somebody's file
        return slice_starts(SLICE_LIT(header), tail);
    if (memchr(tail.ptr, '\0', tail.len))  // the size was written, the bytes were not
        return true;
    return tail.ptr[0] != '#' &&
           (split(tail, fields) < FIELDS || fields[CHECKSUM].len < CHECKSUM_CHARS);
}

// Takes in the lines of a stretch of the file; *used is how far. at_end: the file ends with it.
static int take_lines(struct vault *v, struct slice text, bool at_end, size_t *used,
                      struct err *err)
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
            rc = take_line(v, slice_of(start, len), err);
        if (rc)
            break;
        v->ring.lines += !v->ring.line_is_open;
        v->ring.line_is_open = !newline;
        *used += len + (newline != NULL);
    }
    return rc;
}

// ---- the file

int keyring_lock(struct vault *v, bool exclusive, struct err *err)
{
    while (flock(v->ring.fd, exclusive ? LOCK_EX : LOCK_SH)) {
        if (errno != EINTR)
            return failed(v, err, "lock");
    }
    return E_OK;
}

void keyring_unlock(struct vault *v)
{
    flock(v->ring.fd, LOCK_UN);
}

static int file_size(struct vault *v, off_t *size, struct err *err)
{
    struct stat st;

    if (fstat(v->ring.fd, &st))
        return failed(v, err, "look at");
    *size = st.st_size;
    return E_OK;
}

static int read_lines(struct vault *v, off_t size, char *chunk, struct err *err)
{
    struct keyring *r = &v->ring;

    while (r->offset < size) {
        off_t left = size - r->offset;
        ssize_t n = pread(r->fd, chunk, left < READ_BYTES ? (size_t)left : READ_BYTES, r->offset);
        size_t used;

        if (n <= 0)
            return failed(v, err, "read");
        int rc = take_lines(v, slice_of(chunk, (size_t)n), n == left, &used, err);
        r->offset += (off_t)used;
        if (rc)
            return rc;
        if (used == 0 && n < left)
            return damaged(v, err, "too long");
        if (used == 0) {
            log_line(v->log, LOG_WARN, "keyring: event=torn_line path=%s line=%u bytes=%lld",
                     r->path, r->lines + 1, (long long)left);
            return E_OK;
        }
    }
    return E_OK;
}

int keyring_refresh(struct vault *v, struct err *err)
{
    off_t before = v->ring.offset;
    off_t size;
    int rc = file_size(v, &size, err);

    if (rc || size == before)
        return rc;
    if (size < before)
        return err_set(err, E_STORE, "keyring %s was cut off by somebody else: restore it from a "
                       "backup and start again", v->ring.path);
    if (fsync(v->ring.fd))
        return failed(v, err, "sync");
    char *chunk = mem_alloc(READ_BYTES);
    if (!chunk)
        return err_set(err, E_NOMEM, "out of memory for the keyring");
    rc = read_lines(v, size, chunk, err);
    sodium_memzero(chunk, READ_BYTES);
    mem_free(chunk);
    return rc;
}

static int write_all(int fd, struct slice bytes)
{
    while (bytes.len) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        bytes = slice_of(bytes.ptr + n, bytes.len - (size_t)n);
    }
    return 0;
}

int keyring_append(struct vault *v, struct err *err)
{
    struct keyring *r = &v->ring;
    off_t size;
    int rc = buf_check(&r->append, "the keyring's new lines", err);

    if (rc || (rc = file_size(v, &size, err)))
        return rc;
    if (size > r->offset && ftruncate(r->fd, r->offset))  // a torn line
        return failed(v, err, "cut a torn line off");
    if ((r->line_is_open && write_all(r->fd, SLICE_LIT("\n"))) ||
        write_all(r->fd, buf_slice(&r->append)) || fsync(r->fd)) {
        rc = failed(v, err, "write");
        // Should this fail too, the next refresh reads, and syncs, what is there.
        if (ftruncate(r->fd, r->offset))
            log_line(v->log, LOG_ERROR, "keyring: event=not_cut_back path=%s", r->path);
        return rc;
    }
    r->offset += (off_t)r->append.len + r->line_is_open;
    r->line_is_open = false;
    for (size_t i = 0; i < r->append.len; i++)
        r->lines += r->append.ptr[i] == '\n';
    return E_OK;
}

void keyring_add_line(struct vault *v, const struct user_key *k)
{
    add_line(v, "user", k->id, k->partition, k->secret, true);
}

// ---- opening

static int sync_folder(struct vault *v, struct err *err)
{
    char *folder = mem_strdup(v->ring.path);
    char *slash = folder ? strrchr(folder, '/') : NULL;

    if (!folder)
        return err_set(err, E_NOMEM, "out of memory for the keyring");
    if (slash)
        slash[slash == folder] = '\0';
    int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 || fsync(fd) ? failed(v, err, "sync the folder of") : E_OK;
    if (fd >= 0)
        close(fd);
    mem_free(folder);
    return rc;
}

static uint32_t new_id(struct vault *v)
{
    uint32_t id;

    rand_fill(v->rand, &id, sizeof(id));
    return id;
}

// Nothing can have been sealed yet: the house keys become durable with the file, before any use.
static int make_file(struct vault *v, struct err *err)
{
    struct keyring *r = &v->ring;

    if (ftruncate(r->fd, 0))
        return failed(v, err, "empty");
    r->offset = 0;
    r->lines = 0;
    r->line_is_open = false;
    rand_fill(v->rand, v->house, 2 * KEY_BYTES);
    v->house->has_operator = v->house->has_index = true;
    buf_clear(&r->append);
    buf_add_str(&r->append, header);
    buf_add_char(&r->append, '\n');
    add_line(v, "operator", new_id(v), "-", v->house->operator_key, false);
    add_line(v, "index", new_id(v), "-", v->house->index_key, true);
    int rc = keyring_append(v, err);
    if (r->append.ptr)
        sodium_memzero(r->append.ptr, r->append.cap);
    if (!rc)
        log_line(v->log, LOG_INFO, "keyring: event=made path=%s", r->path);
    return rc;
}

static int load_or_make(struct vault *v, bool existing, struct err *err)
{
    int rc = keyring_refresh(v, err);

    if (rc)
        return rc;
    if (!v->house->has_operator || !v->house->has_index) {
        if (key_table_len(&v->keys))
            return err_set(err, E_STORE, "keyring %s has lost its operator or index line: restore "
                           "the file from a backup", v->ring.path);
        if (existing)
            return err_set(err, E_STORE, "keyring %s holds no keys, but the store was sealed with "
                           "some: put the right file back, or say where it is with --set "
                           "keyring=PATH", v->ring.path);
        rc = make_file(v, err);
    }
    // Whoever made the file may have died before its name was durable.
    if (!rc && key_table_len(&v->keys) == 0)
        rc = sync_folder(v, err);
    return rc;
}

static int check_file(struct vault *v, struct err *err)
{
    struct stat st;

    if (fstat(v->ring.fd, &st))
        return failed(v, err, "look at");
    if (!S_ISREG(st.st_mode))
        return err_set(err, E_STORE, "keyring %s is not a file: name another", v->ring.path);
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return err_set(err, E_STORE, "keyring %s can be read by others (mode %03o): run `chmod 600 "
                       "%s`", v->ring.path, (unsigned)(st.st_mode & 0777), v->ring.path);
    return E_OK;
}

int keyring_open(struct vault *v, const char *path, bool existing, struct err *err)
{
    struct keyring *r = &v->ring;

    buf_init(&r->append, APPEND_BYTES_MAX);
    r->path = mem_strdup(path);
    if (!r->path)
        return err_set(err, E_NOMEM, "out of memory for the keyring");
    r->fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NONBLOCK | (existing ? 0 : O_CREAT), 0600);
    if (r->fd < 0)
        return err_set(err, E_STORE, "keyring %s: cannot open: %m; its folder must exist and be "
                       "ours to write", path);
    int rc = check_file(v, err);
    if (rc || (rc = keyring_lock(v, true, err)))
        return rc;
    rc = load_or_make(v, existing, err);
    keyring_unlock(v);
    return rc;
}

void keyring_release(struct keyring *r)
{
    if (r->fd >= 0)
        close(r->fd);
    buf_release(&r->append);
    mem_free(r->path);
    *r = (struct keyring){.fd = -1};
}
