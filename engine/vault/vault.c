// SPDX-License-Identifier: MIT
// vault.c: the vault's life, its digests, and the thread that fetches and makes keys.
//
// Requests that memory cannot answer go to the keyring thread, which takes all that are waiting as
// one group: one lock, one look at the file, one append, one fsync. Without a file there is nothing
// to wait for and no thread.
#include "base/id.h"
#include "base/mem.h"
#include "base/thread.h"
#include "vault/vault_int.h"

// ---- digests

void vault_digest(const struct vault *v, const char *domain, const struct slice *parts, unsigned n,
                  char out[VAULT_DIGEST_BYTES])
{
    crypto_generichash_state state;
    unsigned char hash[crypto_generichash_BYTES_MIN];

    // Each part with its length, so that no two lists of parts are the same bytes.
    crypto_generichash_init(&state, v->house->index_key, KEY_BYTES, sizeof(hash));
    crypto_generichash_update(&state, (const unsigned char *)domain, strlen(domain) + 1);
    for (unsigned i = 0; i < n; i++) {
        unsigned char length[8];

        for (unsigned b = 0; b < sizeof(length); b++)
            length[b] = (unsigned char)((uint64_t)parts[i].len >> 8 * b);
        crypto_generichash_update(&state, length, sizeof(length));
        crypto_generichash_update(&state, (const unsigned char *)parts[i].ptr, parts[i].len);
    }
    crypto_generichash_final(&state, hash, sizeof(hash));
    hex_encode(hash, sizeof(hash), out);
}

void vault_partition(const struct vault *v, struct slice user, char out[VAULT_DIGEST_BYTES])
{
    vault_digest(v, "user", &user, 1, out);
}

// ---- requests

const struct user_key *vault_find_key(struct vault *v, const char *partition)
{
    return key_table_find(&v->keys, partition, false);
}

static void run_done(struct loop_task *task)
{
    struct vault_request *request = CONTAINER_OF(task, struct vault_request, task);

    request->done(request);
}

static void complete(struct vault_request *request, const struct user_key *key)
{
    request->key = key;
    if (!key && !request->code)
        request->code = err_set(&request->err, E_NOT_FOUND, "there is no key for this user: it was "
                                "never made here, or it was destroyed");
    request->task = (struct loop_task){.fn = run_done};
    loop_post(request->loop, &request->task);
}

// A new key, not durable yet.
static struct user_key *make_key(struct vault *v, struct vault_request *request)
{
    struct user_key *k = key_table_add(&v->keys, slice_str(request->partition));

    if (!k) {
        request->code = err_set(&request->err, E_NOMEM, "out of memory for a key");
        return NULL;
    }
    rand_fill(v->rand, &k->id, sizeof(k->id));
    rand_fill(v->rand, k->secret, KEY_BYTES);
    return k;
}

// Finds or makes the keys of a group; the exclusive lock is held if any is to be made.
static int serve_locked(struct vault *v, struct vault_request *group, struct err *err)
{
    int rc = keyring_refresh(v, err);

    if (rc)
        return rc;
    buf_clear(&v->ring.append);
    for (struct vault_request *r = group; r; r = r->next) {
        struct user_key *k = key_table_find(&v->keys, r->partition, true);

        if (!k && r->create && (k = make_key(v, r)))
            keyring_add_line(v, k);
    }
    return v->ring.append.len || !buf_ok(&v->ring.append) ? keyring_append(v, err) : E_OK;
}

static void serve(struct vault *v, struct vault_request *group)
{
    struct err err = ERR_INIT;
    bool create = false;

    for (struct vault_request *r = group; r; r = r->next)
        create |= r->create;
    int rc = keyring_lock(v, create, &err);
    if (!rc) {
        rc = serve_locked(v, group, &err);
        keyring_unlock(v);
    }
    while (group) {
        struct vault_request *r = group;
        group = r->next;  // r may be gone once it is complete
        struct user_key *k = key_table_find(&v->keys, r->partition, true);

        if (k && !k->durable) {
            if (rc)
                key_table_retract(&v->keys, k);
            else
                key_table_publish(&v->keys, k);
            k = rc ? NULL : k;
        }
        if (!k && rc) {
            r->code = rc;
            r->err = err;
        }
        complete(r, k);
    }
}

static void *keyring_thread(void *arg)
{
    struct vault *v = arg;

    pthread_mutex_lock(&v->lock);
    for (;;) {
        struct vault_request *group = v->first;

        if (!group && v->stop)
            break;
        if (!group) {
            pthread_cond_wait(&v->wake, &v->lock);
            continue;
        }
        v->first = NULL;
        v->last = &v->first;
        pthread_mutex_unlock(&v->lock);
        serve(v, group);
        pthread_mutex_lock(&v->lock);
    }
    pthread_mutex_unlock(&v->lock);
    return NULL;
}

// Without a file a key is as durable as it will ever be.
static struct user_key *find_or_make(struct vault *v, struct vault_request *request)
{
    pthread_mutex_lock(&v->lock);
    struct user_key *k = key_table_find(&v->keys, request->partition, true);
    if (!k && request->create && (k = make_key(v, request)))
        key_table_publish(&v->keys, k);
    pthread_mutex_unlock(&v->lock);
    return k;
}

void vault_user_key(struct vault *v, struct vault_request *request)
{
    BUG_ON(request->partition[0] == '\0' || strnlen(request->partition, VAULT_DIGEST_BYTES) ==
                                                VAULT_DIGEST_BYTES);
    request->code = E_OK;
    request->err = (struct err)ERR_INIT;
    request->key = NULL;
    request->next = NULL;
    const struct user_key *known = vault_find_key(v, request->partition);
    if (known || v->ring.fd < 0) {
        complete(request, known ? known : find_or_make(v, request));
        return;
    }
    if (!v->has_thread) {
        serve(v, request);
        return;
    }
    pthread_mutex_lock(&v->lock);
    *v->last = request;
    v->last = &request->next;
    pthread_cond_signal(&v->wake);
    pthread_mutex_unlock(&v->lock);
}

// ---- life

static int start_thread(struct vault *v, struct err *err)
{
    int code = thread_start(&v->thread, "parley-keyring", keyring_thread, v, err);
    v->has_thread = code == E_OK;
    return code;
}

static int open_keys(struct vault *v, const struct vault_options *options, struct err *err)
{
    const char *path = options->path;
    int rc = key_table_init(&v->keys, err);

    if (rc)
        return rc;
    v->house = sodium_malloc(sizeof(*v->house));
    if (!v->house)
        return err_set(err, E_NOMEM, "out of memory for the house keys");
    *v->house = (struct house_keys){0};
    if (!path) {
        rand_fill(v->rand, v->house->index_key, KEY_BYTES);
        return E_OK;
    }
    rc = keyring_open(v, path, options->existing, err);
    return rc || options->no_thread ? rc : start_thread(v, err);
}

int vault_open(struct vault **out, const struct vault_options *options, struct err *err)
{
    *out = NULL;
    if (sodium_init() < 0)  // harmless when repeated, from any thread
        return err_set(err, E_STORE, "libsodium cannot start on this machine");
    struct vault *v = mem_zalloc(sizeof(*v));
    if (!v)
        return err_set(err, E_NOMEM, "out of memory for the vault");
    v->rand = options->rand;
    v->log = options->log;
    v->ring.fd = -1;
    v->last = &v->first;
    pthread_mutex_init(&v->lock, NULL);
    pthread_cond_init(&v->wake, NULL);
    context_pools_init(v);
    int rc = open_keys(v, options, err);
    if (rc)
        vault_free(v);
    else
        *out = v;
    return rc;
}

void vault_free(struct vault *v)
{
    if (!v)
        return;
    if (v->has_thread) {
        pthread_mutex_lock(&v->lock);
        v->stop = true;
        pthread_cond_signal(&v->wake);
        pthread_mutex_unlock(&v->lock);
        pthread_join(v->thread, NULL);
    }
    keyring_release(&v->ring);
    key_table_release(&v->keys);
    sodium_free(v->house);
    context_pools_release(v);
    pthread_cond_destroy(&v->wake);
    pthread_mutex_destroy(&v->lock);
    mem_free(v);
}
