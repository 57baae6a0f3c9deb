// SPDX-License-Identifier: MIT
// keyring_file.c: the keys on disk: lines are added at the end of a file, and destroyed in place.
//
// A rotated keyring takes the old one's name. Whoever takes the lock looks whether it is that of
// the file that has the name, and reads the new one if not.
//
// Invariants:
//   1. Writers hold the exclusive lock (flock) from reading the last line to the fsync of their
//      own; readers hold the shared one. So nobody sees a line that is being written.
//   2. A process may die between its write and its fsync: whoever reads new lines syncs them before
//      using them.
//   3. A crash leaves at most a last line without a newline that has too few fields or bytes; it is
//      cut off at the next append. Anything else that does not read is damage, and nothing is
//      appended after damage.
//   4. Lines are overwritten only once a line that names them is durable. A crash between leaves
//      lines that are whole, half or gone; whoever takes that line in next overwrites them again.
// The fields of struct keyring belong to the thread that opens the vault, then to the keyring
// thread; `seen` and `fd` are for all to look at.
#include "base/mem.h"
#include "vault/vault_int.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    READ_BYTES = 64 << 10,
    APPEND_BYTES_MAX = 64 << 20,
    HALF_LINES_MAX = 4096,
    DOOMED_MAX = 1 << 20,
    STORES_MAX = 4096,
    BLOT_BYTES = 512,
    PASS_LOOKS = 10,  // a second apart: a commit is over in a fraction of that, or refused
};

static int failed(struct vault *v, struct err *err, const char *what)
{
    return err_set(err, E_STORE, "keyring %s: cannot %s: %m", v->ring.path, what);
}

// ---- reading

static int check_file(struct vault *v, int fd, struct err *err)
{
    struct stat st;

    if (fstat(fd, &st))
        return failed(v, err, "look at");
    if (!S_ISREG(st.st_mode))
        return err_set(err, E_STORE, "keyring %s is not a file: name another", v->ring.path);
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return err_set(err, E_STORE, "keyring %s can be read by others (mode %03o): run `chmod 600 "
                       "%s`", v->ring.path, (unsigned)(st.st_mode & 0777), v->ring.path);
    return E_OK;
}

// The descriptor keeps its number, so that other threads may look at it all the while.
static int take_new_file(struct vault *v, struct err *err)
{
    struct keyring *r = &v->ring;
    int fd = open(r->path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    int rc = fd < 0 ? failed(v, err, "open the new file of") : check_file(v, fd, err);

    if (!rc)
        r->seen = -1;  // until all of it is read, memory answers nothing
    if (!rc && dup3(fd, r->fd, O_CLOEXEC) < 0)
        rc = failed(v, err, "open the new file of");
    if (fd >= 0)
        close(fd);
    if (rc)
        return rc;
    r->offset = 0;
    r->lines = 0;
    r->rotation = 0;  // `rotated` only grows, and others look at it meanwhile
    r->line_is_open = false;
    r->reloading = true;
    r->epoch++;
    vec_clear(&r->half);
    vec_clear(&r->doomed);
    return E_OK;
}

static int has_name(struct vault *v, bool *named, struct err *err)
{
    struct stat by_name, by_fd;

    if (fstat(v->ring.fd, &by_fd))
        return failed(v, err, "look at");
    if (stat(v->ring.path, &by_name))
        return err_set(err, E_STORE, "keyring %s is gone (%m): put it back", v->ring.path);
    *named = by_name.st_ino == by_fd.st_ino && by_name.st_dev == by_fd.st_dev;
    return E_OK;
}

static int lock(struct vault *v, bool exclusive, struct err *err)
{
    bool named = v->ring.checking;
    int rc = E_OK;

    while (!named && !rc) {
        if (flock(v->ring.fd, exclusive ? LOCK_EX : LOCK_SH)) {
            rc = errno == EINTR ? E_OK : failed(v, err, "lock");
            continue;
        }
        rc = has_name(v, &named, err);
        if (!rc && !named)
            rc = take_new_file(v, err);
    }
    return rc;
}

void keyring_end(struct vault *v)
{
    if (v->ring.fd >= 0)
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

bool keyring_changed(struct vault *v)
{
    struct stat st;

    return v->ring.fd >= 0 &&
           (fstat(v->ring.fd, &st) || st.st_size != v->ring.seen || st.st_nlink == 0);
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
        int rc = keyring_take(v, slice_of(chunk, (size_t)n), n == left, &used, err);
        r->offset += (off_t)used;
        if (rc)
            return rc;
        if (used == 0 && n < left)
            return keyring_damaged(v, r->lines + 1, err, "too long");
        if (used == 0) {
            log_line(v->log, LOG_WARN, "keyring: event=torn_line path=%s line=%u bytes=%lld",
                     r->path, r->lines + 1, (long long)left);
            return E_OK;
        }
    }
    return E_OK;
}

static bool is_stale(const struct data_key *data, uint32_t epoch)
{
    return data->epoch != epoch;
}

// Drops what a new file does not have: keys that were retired in the old one.
static int end_reload(struct vault *v, struct err *err)
{
    struct slice name;
    size_t cursor = 0;
    void *value;

    while (map_next(v->keys.by_partition, &cursor, &name, &value)) {
        struct user_key *k = value;
        if (k->erasure)
            continue;
        if (k->data.epoch != v->ring.epoch)
            return err_set(err, E_STORE, "keyring %s lacks keys that the one before it had: put "
                           "that one back", v->ring.path);
        key_table_drop(&v->keys, k, is_stale, v->ring.epoch);
    }
    v->ring.reloading = false;
    log_line(v->log, LOG_INFO, "keyring: event=read_anew path=%s", v->ring.path);
    return E_OK;
}

// With the lock held: takes in lines that others appended; they are durable then.
static int refresh(struct vault *v, struct err *err)
{
    off_t before = v->ring.offset;
    off_t size;
    int rc = file_size(v, &size, err);

    // What did not hold together when it was read is not believed the next time either.
    if (rc || (size == before && !v->ring.reloading && v->ring.half.len == 0))
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
    if (!rc)
        rc = keyring_check_half(v, err);
    if (!rc && v->ring.reloading)
        rc = end_reload(v, err);
    if (!rc)
        v->ring.seen = size;
    sodium_memzero(chunk, READ_BYTES);
    mem_free(chunk);
    return rc;
}

int keyring_reopen(struct vault *v, struct err *err)
{
    int rc = lock(v, true, err);

    return rc ? rc : refresh(v, err);
}

static int begin(struct vault *v, bool exclusive, struct err *err)
{
    int rc = lock(v, exclusive, err);

    if (rc)
        return rc;
    rc = refresh(v, err);
    if (!rc && exclusive)
        rc = keyring_destroy(v, err);
    if (rc)
        keyring_end(v);
    return rc;
}

int keyring_begin(struct vault *v, bool exclusive, struct err *err)
{
    buf_clear(&v->ring.append);
    if (v->ring.fd < 0)
        return E_OK;
    int rc = begin(v, exclusive, err);
    if (rc || exclusive || v->ring.doomed.len == 0)
        return rc;
    keyring_end(v);
    return begin(v, true, err);
}

// ---- writing

static int write_at(int fd, struct slice bytes, off_t at)
{
    while (bytes.len) {
        ssize_t n = pwrite(fd, bytes.ptr, bytes.len, at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        at += n;
        bytes = slice_of(bytes.ptr + n, bytes.len - (size_t)n);
    }
    return 0;
}

static int sync_file(struct vault *v)
{
    vault_step(v, "sync");
    return fsync(v->ring.fd);
}

int keyring_append(struct vault *v, struct err *err)
{
    struct keyring *r = &v->ring;
    off_t size;
    int rc = buf_check(&r->append, "the keyring's new lines", err);

    if (rc || r->fd < 0 || (rc = file_size(v, &size, err)))
        return rc;
    vault_step(v, "append");
    if (size > r->offset && ftruncate(r->fd, r->offset))  // a torn line
        return failed(v, err, "cut a torn line off");
    off_t at = r->offset + r->line_is_open;
    if ((r->line_is_open && write_at(r->fd, SLICE_LIT("\n"), r->offset)) ||
        write_at(r->fd, buf_slice(&r->append), at) || sync_file(v)) {
        rc = failed(v, err, "write");
        // Should this fail too, the next refresh reads, and syncs, what is there.
        if (ftruncate(r->fd, r->offset))
            log_line(v->log, LOG_ERROR, "keyring: event=not_cut_back path=%s", r->path);
        return rc;
    }
    r->offset = at + (off_t)r->append.len;
    r->seen = r->offset;
    r->line_is_open = false;
    for (size_t i = 0; i < r->append.len; i++)
        r->lines += r->append.ptr[i] == '\n';
    buf_clear(&r->append);
    return E_OK;
}

static int overwrite(struct vault *v, struct stretch line)
{
    char blot[BLOT_BYTES];

    memset(blot, '#', sizeof(blot));
    vault_step(v, "overwrite");
    while (line.bytes) {
        uint32_t n = line.bytes < BLOT_BYTES ? line.bytes : BLOT_BYTES;

        if (write_at(v->ring.fd, slice_of(blot, n), line.at))
            return -1;
        line.at += n;
        line.bytes -= n;
    }
    return 0;
}

int keyring_destroy(struct vault *v, struct err *err)
{
    struct keyring *r = &v->ring;

    if (r->doomed.len == 0)
        return E_OK;
    for (size_t i = 0; i < r->doomed.len; i++) {
        if (overwrite(v, *VEC_AT(&r->doomed, struct stretch, i)))
            return failed(v, err, "overwrite a destroyed key in");
    }
    if (sync_file(v))
        return failed(v, err, "sync");
    vec_clear(&r->doomed);
    return E_OK;
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

void keyring_begin_file(struct keyring *r)
{
    buf_clear(&r->append);
    buf_reserve(&r->append, KEYRING_HEAD_BYTES);
    buf_add_str(&r->append, keyring_header);
}

void keyring_forget_append(struct keyring *r)
{
    if (r->append.ptr)
        sodium_memzero(r->append.ptr, r->append.cap);
    buf_clear(&r->append);
}

// The operator key of a new keyring, where it is kept apart: the first that is there.
static int first_operator(struct vault *v, struct err *err)
{
    struct operator_keys *keys = sodium_malloc(sizeof(*keys));
    int rc = keys ? operator_read(&v->ring.source, keys, err)
                  : err_set(err, E_NOMEM, "out of memory for the operator key");

    if (!rc) {
        memcpy(v->house->operator_key, keys->keys[0], KEY_BYTES);
        v->house->apart = true;
    }
    sodium_free(keys);
    return rc;
}

// Nothing can have been sealed yet: the house keys become durable with the file, before any use.
static int make_file(struct vault *v, struct err *err)
{
    struct keyring *r = &v->ring;
    struct house_keys *house = v->house;

    vault_step(v, "make");
    if (ftruncate(r->fd, 0))
        return failed(v, err, "empty");
    r->offset = 0;
    r->lines = 0;
    r->line_is_open = false;
    r->format = KEYRING_FORMAT;
    int rc = r->source.spec ? first_operator(v, err) : E_OK;
    if (rc)
        return rc;
    if (!r->source.spec)
        rand_fill(v->rand, house->operator_key, KEY_BYTES);
    rand_fill(v->rand, house->index_key, KEY_BYTES);
    rand_fill(v->rand, house->sign_seed, KEY_BYTES);
    sign_keys_derive(house);
    house->has_operator = house->has_index = true;
    keyring_begin_file(r);
    if (house->apart)
        keyring_add_apart(v, house->operator_key);
    else
        keyring_add_house(v, "operator", house->operator_key, false);
    keyring_add_house(v, "index", house->index_key, true);
    keyring_add_house(v, "sign", house->sign_seed, true);
    rc = keyring_append(v, err);
    keyring_forget_append(r);
    if (!rc)
        log_line(v->log, LOG_INFO, "keyring: event=made path=%s", r->path);
    return rc;
}

// A keyring of an older format gets the newer one's first line, then what it lacks: an older parley
// then says that it is too old, in place of calling lines damaged that it does not know.
static int bring_up_to_date(struct vault *v, struct err *err)
{
    struct keyring *r = &v->ring;

    if (r->format < KEYRING_FORMAT) {
        vault_step(v, "format");
        if (write_at(r->fd, slice_of(keyring_header + KEYRING_HEADER_BYTES - 2, 1),
                     KEYRING_HEADER_BYTES - 2) || sync_file(v))
            return failed(v, err, "write");
        r->format = KEYRING_FORMAT;
    }
    if (v->house->has_sign)
        return E_OK;
    rand_fill(v->rand, v->house->sign_seed, KEY_BYTES);
    sign_keys_derive(v->house);
    buf_clear(&r->append);
    keyring_add_house(v, "sign", v->house->sign_seed, true);
    return keyring_append(v, err);
}

static int load_or_make(struct vault *v, bool existing, struct err *err)
{
    int rc = refresh(v, err);

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
    if (!rc && !v->ring.checking)
        rc = bring_up_to_date(v, err);
    if (!rc && !v->ring.checking)
        rc = keyring_destroy(v, err);
    // Whoever made the file may have died before its name was durable.
    if (!rc && key_table_len(&v->keys) == 0)
        rc = sync_folder(v, err);
    return rc;
}

// ---- which rotations are known (struct keyring says how)

static int use_lock(int fd, int type, uint32_t from, uint32_t len, struct flock *out)
{
    *out = (struct flock){
        .l_type = (short)type, .l_whence = SEEK_SET, .l_start = from, .l_len = len};
    return fcntl(fd, type == F_WRLCK ? F_OFD_GETLK : F_OFD_SETLK, out);
}

static int open_use(struct vault *v, int *fd, struct err *err)
{
    size_t len = strlen(v->ring.path);
    char *path = mem_alloc(len + sizeof(".lock"));

    *fd = -1;
    if (!path)
        return err_set(err, E_NOMEM, "out of memory for the keyring");
    memcpy(path, v->ring.path, len);
    memcpy(path + len, ".lock", sizeof(".lock"));
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc = *fd < 0 ? err_set(err, E_STORE, "keyring: cannot open %s: %m", path) : E_OK;
    mem_free(path);
    return rc;
}

static int take_use(struct vault *v, struct err *err)
{
    struct keyring *r = &v->ring;
    struct flock lock;

    int rc = open_use(v, &r->use_fd, err);

    r->held = r->rotated;
    if (!rc && use_lock(r->use_fd, F_RDLCK, r->held, 1, &lock))
        rc = failed(v, err, "lock the file beside");
    return rc;
}

void keyring_pass(struct vault *v, bool now)
{
    struct keyring *r = &v->ring;
    struct flock lock;

    if (r->use_fd < 0 || r->held == r->rotated || r->reloading)
        return;
    if (!now && ++r->looks < PASS_LOOKS)
        return;
    r->looks = 0;
    if (use_lock(r->use_fd, F_RDLCK, r->rotated, 1, &lock) ||
        use_lock(r->use_fd, F_UNLCK, r->held, 1, &lock))
        log_line(v->log, LOG_WARN, "keyring: event=not_passed why=\"%m\"");
    else
        r->held = r->rotated;
}

int keyring_others_passed(struct vault *v, bool *passed, struct err *err)
{
    struct keyring *r = &v->ring;
    struct flock lock;

    *passed = r->use_fd < 0 || r->rotated == 0;
    if (*passed)
        return E_OK;
    int fd;  // another: locks of one open file do not meet themselves
    int rc = open_use(v, &fd, err);
    if (!rc && use_lock(fd, F_WRLCK, 0, r->rotated, &lock))
        rc = failed(v, err, "look at the locks beside");
    *passed = !rc && lock.l_type == F_UNLCK;
    if (fd >= 0)
        close(fd);
    return rc;
}

// ---- life

int keyring_open(struct vault *v, const char *path, bool existing, struct err *err)
{
    struct keyring *r = &v->ring;

    r->path = mem_strdup(path);
    if (!r->path)
        return err_set(err, E_NOMEM, "out of memory for the keyring");
    r->fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | (existing ? 0 : O_CREAT), 0600);
    if (r->fd < 0)
        return err_set(err, E_STORE, "keyring %s: cannot open: %m; its folder must exist and be "
                       "ours to write", path);
    int rc = check_file(v, r->fd, err);
    if (rc || (rc = lock(v, true, err)))
        return rc;
    rc = load_or_make(v, existing, err);
    if (!rc && !r->checking)
        rc = take_use(v, err);
    keyring_end(v);
    return rc;
}

void keyring_init(struct keyring *r)
{
    *r = (struct keyring){.fd = -1, .use_fd = -1};
    buf_init(&r->append, APPEND_BYTES_MAX);
    vec_init(&r->half, sizeof(struct half_line), HALF_LINES_MAX);
    vec_init(&r->doomed, sizeof(struct stretch), DOOMED_MAX);
    vec_init(&r->stores, VAULT_DIGEST_BYTES, STORES_MAX);
}

void keyring_release(struct keyring *r)
{
    if (r->fd >= 0)
        close(r->fd);
    if (r->use_fd >= 0)
        close(r->use_fd);
    keyring_forget_append(r);
    buf_release(&r->append);
    vec_release(&r->half);
    vec_release(&r->doomed);
    vec_release(&r->stores);
    mem_free(r->path);
    mem_free(r->source.spec);
    mem_free(r->source.credentials);
    keyring_init(r);
}
