// SPDX-License-Identifier: MIT
// rotate.c: new keys in the place of old ones. All of it holds the exclusive lock, on the keyring
// thread.
//
// The operator key: the keyring is written anew, all keys wrapped by the new one, read back, and
// takes the old one's name. A key that is kept in a file is there twice meanwhile:
//
//   file: new, old ─▶ keyring under new (rename) ─▶ file: new
//
// The users' keys: all of them get another one, some at a time, between two lines that mark the
// rotation's beginning and end. What the older ones sealed is then sealed anew (jobs/reseal), and
// an older key is destroyed once nothing can be under it.
//
// Each step is durable before the next, and each can be repeated: a process that dies leaves a
// keyring that opens everything.
#include "base/mem.h"
#include "base/newfile.h"
#include "vault/vault_int.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STEP_KEYS = 500, FLUSH_BYTES = 1 << 20, BLOT_BYTES = 4096 };

// ---- the operator key

static bool is_current(const struct vault *v, const unsigned char *key)
{
    return sodium_memcmp(v->house->operator_key, key, KEY_BYTES) == 0;
}

// A source that is not ours to write holds the new key beside the old one. So does a file that the
// key moves to from the keyring, if there is such a file.
static int take_offered(struct vault *v, struct operator_keys *keys, struct err *err)
{
    int rc = operator_read(&v->ring.source, keys, err);

    for (unsigned i = 0; i < keys->len && !rc; i++) {
        if (!is_current(v, keys->keys[i])) {
            memmove(keys->keys[0], keys->keys[i], KEY_BYTES);
            keys->len = 1;
            return E_OK;
        }
    }
    return rc ? rc
              : err_set(err, E_USAGE, "operator key %s: add the new key as a line of its own, keep "
                        "the old one until this is done, then run it again", v->ring.source.spec);
}

// *keys is then the new key alone.
static int choose_operator(struct vault *v, struct operator_keys *keys, struct err *err)
{
    const char *path = operator_file(v->ring.source.spec);

    if (v->ring.source.spec && (!path || (!v->house->apart && access(path, F_OK) == 0)))
        return take_offered(v, keys, err);
    rand_fill(v->rand, keys->keys[0], KEY_BYTES);
    keys->len = 1;
    if (!path)
        return E_OK;
    if (v->house->apart) {
        memcpy(keys->keys[1], v->house->operator_key, KEY_BYTES);
        keys->len = 2;
    }
    vault_step(v, "operator file");
    int rc = operator_write(path, keys, v->house->apart, err);
    keys->len = 1;
    return rc;
}

struct rewriting {
    struct vault *v;
    struct newfile file;
    struct err *err;
};

static int flush(struct rewriting *w, size_t at_least)
{
    struct buf *out = &w->v->ring.append;
    size_t done = 0;

    if (!buf_ok(out))
        return buf_check(out, "the new keyring", w->err);
    if (out->len < at_least)
        return E_OK;
    while (done < out->len) {
        ssize_t n = write(w->file.fd, out->ptr + done, out->len - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_set(w->err, E_STORE, "keyring %s: cannot write the new one: %m",
                           w->v->ring.path);
        done += (size_t)n;
    }
    buf_clear(out);
    return E_OK;
}

// The oldest first.
static void add_keys(struct vault *v, const struct user_key *user, struct user_key *k, bool newest)
{
    if (k->older)
        add_keys(v, user, k->older, newest);
    if ((k->data.generation == v->ring.rotation) == newest)
        keyring_add_data(v, user, &k->data, false);
}

// The keys of before the rotation under way, or those that are newer.
static int write_users(struct rewriting *w, bool newest)
{
    struct vault *v = w->v;
    size_t cursor = 0;
    struct slice name;
    void *value;
    int rc = E_OK;

    while (!rc && map_next(v->keys.by_partition, &cursor, &name, &value)) {
        struct user_key *k = value;
        if (!k->erasure)
            add_keys(v, k, k, newest);
        rc = flush(w, FLUSH_BYTES);
    }
    return rc;
}

static int write_erasures(struct rewriting *w)
{
    struct vault *v = w->v;
    int rc = E_OK;

    for (size_t i = 0; i < v->keys.erasures.len && !rc; i++) {
        const struct vault_erasure *e = VEC_AT(&v->keys.erasures, struct vault_erasure, i);
        const struct user_key *k = key_table_find(&v->keys, e->partition, true);

        keyring_add_erased(v, k, e->at_ms);
        if (e->done)
            keyring_add_done(v, k);
        rc = flush(w, FLUSH_BYTES);
    }
    return rc;
}

static int write_keyring(struct rewriting *w, const unsigned char *operator_key)
{
    struct vault *v = w->v;
    struct house_keys *house = v->house;

    keyring_begin_file(&v->ring);
    if (v->ring.source.spec)
        keyring_add_apart(v, operator_key);
    else
        keyring_add_house(v, "operator", operator_key, false);
    int rc = flush(w, 1);
    keyring_forget_append(&v->ring);  // what follows is wrapped, and may move
    if (rc)
        return rc;
    v->ring.wrap_key = operator_key;
    keyring_add_house(v, "index", house->index_key, true);
    keyring_add_house(v, "sign", house->sign_seed, true);
    for (size_t i = 0; i < v->ring.stores.len; i++)
        keyring_add_store(v, vec_at(&v->ring.stores, i));
    rc = v->ring.rotation ? write_users(w, false) : E_OK;
    if (v->ring.rotation)
        keyring_add_rotation(v, "rotate", v->ring.rotation);
    if (!rc)
        rc = write_users(w, true);
    if (v->ring.rotated)
        keyring_add_rotation(v, "rotated", v->ring.rotated);
    if (!rc)
        rc = write_erasures(w);
    if (!rc)
        rc = flush(w, 1);
    v->ring.wrap_key = NULL;
    return rc;
}

static size_t count_keys(const struct vault *v)
{
    size_t cursor = 0, n = 0;
    struct slice name;
    void *value;

    while (map_next(v->keys.by_partition, &cursor, &name, &value)) {
        const struct user_key *k = value;
        for (; k && !k->erasure; k = k->older)
            n++;
    }
    return n;
}

// Reads the new keyring as a stranger would: one that does not open must not get the name.
static int check_keyring(struct vault *v, const char *path, struct err *err)
{
    struct vault_options options = {.path = path,
                                    .rand = v->rand,
                                    .existing = true,
                                    .operator_key = v->ring.source.spec,
                                    .credentials = v->ring.source.credentials};
    struct vault *copy;
    int rc = vault_open_copy(&copy, &options, err);

    if (rc) {
        err_prefix(err, "the new keyring: ");
        return rc;
    }
    if (sodium_memcmp(copy->house->index_key, v->house->index_key, KEY_BYTES) ||
        sodium_memcmp(copy->house->sign_seed, v->house->sign_seed, KEY_BYTES) ||
        count_keys(copy) != count_keys(v) || copy->ring.stores.len != v->ring.stores.len ||
        copy->keys.erasures.len != v->keys.erasures.len)
        rc = err_set(err, E_STORE, "keyring %s: the new one does not hold what this one does; it "
                     "was left as it is", v->ring.path);
    vault_free(copy);
    return rc;
}

// What had the name holds the old operator key, or what it wrapped. Nobody reads it any more: who
// takes its lock sees that it lost its name. One that has another name is somebody's copy. Closes
// fd.
static void blot_old(struct vault *v, int fd)
{
    char blot[BLOT_BYTES];
    struct stat st;
    bool done = fstat(fd, &st) == 0;

    memset(blot, '#', sizeof(blot));
    for (off_t at = 0; done && st.st_nlink == 0 && at < st.st_size; at += BLOT_BYTES)
        done = pwrite(fd, blot, sizeof(blot), at) == BLOT_BYTES;
    if (!done || fsync(fd))
        log_line(v->log, LOG_WARN, "keyring: event=old_file_not_overwritten path=%s",
                 v->ring.path);
    close(fd);
}

static int replace_keyring(struct vault *v, const unsigned char *operator_key, struct err *err)
{
    struct rewriting w = {.v = v, .err = err};

    vault_step(v, "new keyring");
    int rc = newfile_make(&w.file, v->ring.path, true, err);
    if (rc)
        return rc;
    rc = write_keyring(&w, operator_key);
    keyring_forget_append(&v->ring);
    if (!rc)
        rc = check_keyring(v, w.file.part, err);
    int old = fcntl(v->ring.fd, F_DUPFD_CLOEXEC, 0);
    vault_step(v, "rename");
    if (!rc)
        rc = newfile_publish(&w.file, err);
    newfile_drop(&w.file);
    vault_step(v, "renamed");
    if (!rc)
        rc = keyring_reopen(v, err);
    if (old >= 0 && !rc)
        blot_old(v, old);
    else if (old >= 0)
        close(old);
    return rc;
}

int rotate_operator(struct vault *v, struct err *err)
{
    const char *path = operator_file(v->ring.source.spec);

    if (v->ring.fd < 0) {
        rand_fill(v->rand, v->house->operator_key, KEY_BYTES);
        return E_OK;
    }
    struct operator_keys *keys = sodium_malloc(sizeof(*keys));
    if (!keys)
        return err_set(err, E_NOMEM, "out of memory for an operator key");
    int rc = choose_operator(v, keys, err);
    if (!rc)
        rc = replace_keyring(v, keys->keys[0], err);
    if (!rc && path) {
        vault_step(v, "operator file alone");
        rc = operator_write(path, keys, true, err);
    }
    sodium_free(keys);
    return rc;
}

// ---- the users' keys

static bool wants_key(const struct vault *v, const struct user_key *k)
{
    return !k->erasure && k->data.generation < v->ring.rotation;
}

static bool has_retired(const struct vault *v)
{
    size_t cursor = 0;
    struct slice name;
    void *value;

    while (map_next(v->keys.by_partition, &cursor, &name, &value)) {
        if (((const struct user_key *)value)->older)
            return true;
    }
    return false;
}

static int begin_rotation(struct vault *v, struct err *err)
{
    struct keyring *r = &v->ring;

    if (has_retired(v))
        return err_set(err, E_REFUSED, "records are still sealed under keys that an earlier "
                       "rotation retired: that one is to be carried to its end first");
    keyring_add_rotation(v, "rotate", r->rotation + 1);
    int rc = keyring_append(v, err);
    r->rotation += rc == E_OK;
    return rc;
}

static int end_rotation(struct vault *v, struct err *err)
{
    struct keyring *r = &v->ring;

    keyring_add_rotation(v, "rotated", r->rotation);
    int rc = keyring_append(v, err);
    if (!rc)
        r->rotated = r->rotation;
    return rc;
}

// A group of new keys; they are used once their lines are durable.
static int make_keys(struct vault *v, struct user_key **users, uint32_t n, struct err *err)
{
    struct data_key *data = n ? sodium_allocarray(n, sizeof(*data)) : NULL;

    if (n && !data)
        return err_set(err, E_NOMEM, "out of memory for new keys");
    for (uint32_t i = 0; i < n; i++) {
        data[i] = (struct data_key){.generation = v->ring.rotation, .epoch = v->ring.epoch};
        do
            rand_fill(v->rand, &data[i].id, sizeof(data[i].id));
        while (key_table_data(users[i], data[i].id));
        rand_fill(v->rand, data[i].secret, KEY_BYTES);
        if (v->ring.fd >= 0)
            keyring_add_data(v, users[i], &data[i], true);
    }
    int rc = n ? keyring_append(v, err) : E_OK;
    for (uint32_t i = 0; i < n && !rc; i++) {
        // The line is there. Without memory for it, the file is read again by the next process.
        if (key_table_renew(&v->keys, users[i], &data[i]))
            rc = err_set(err, E_NOMEM, "out of memory for new keys: start again");
    }
    sodium_free(data);
    return rc;
}

int rotate_step(struct vault *v, bool begin, uint32_t *left, struct err *err)
{
    struct keyring *r = &v->ring;
    struct user_key *users[STEP_KEYS];
    struct slice name;
    size_t cursor = 0;
    uint32_t n = 0;
    void *value;
    int rc = E_OK;

    *left = 0;
    if (r->rotation == r->rotated)
        rc = begin ? begin_rotation(v, err) : E_OK;
    if (rc || r->rotation == r->rotated)
        return rc;
    while (map_next(v->keys.by_partition, &cursor, &name, &value)) {
        if (!wants_key(v, value))
            continue;
        if (n < STEP_KEYS)
            users[n++] = value;
        else
            ++*left;
    }
    rc = make_keys(v, users, n, err);
    return rc || *left ? rc : end_rotation(v, err);
}

static bool any(const struct data_key *data, uint32_t which)
{
    (void)data;
    (void)which;
    return true;
}

int rotate_retire(struct vault *v, struct user_key *k, struct err *err)
{
    if (!k->older || k->erasure)
        return E_OK;
    for (const struct user_key *older = k->older; older; older = older->older)
        keyring_add_retired(v, k, &older->data);
    if (keyring_doom(v, k->older))
        return err_set(err, E_NOMEM, "out of memory for retired keys");
    size_t doomed = v->ring.doomed.len;
    int rc = keyring_append(v, err);
    if (rc) {
        for (const struct user_key *older = k->older; older; older = older->older)
            doomed -= older->data.line.bytes != 0;
        v->ring.doomed.len = doomed;
        return rc;
    }
    key_table_drop(&v->keys, k, any, 0);
    return keyring_destroy(v, err);
}
