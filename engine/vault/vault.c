// SPDX-License-Identifier: MIT
// vault.c: the vault's life, and the thread that fetches, makes and destroys keys.
//
// Requests that memory cannot answer go to the keyring thread, which takes all that are waiting as
// one group. Those for keys that stand in a row are served by one lock, one look at the file, one
// append, one fsync; erasures one by one. With nothing to do it looks once a second whether another
// process changed the file. Without a file there is nothing to wait for and no thread.
#include "base/mem.h"
#include "base/thread.h"
#include "vault/vault_int.h"

// ---- requests

enum { VERB_KEY, VERB_FORGET, VERB_DONE, VERB_REWRAP, VERB_ROTATE, VERB_RETIRE,
       VERB_STORE };
enum { LOOK_MS = 1000 };

const struct user_key *vault_find_key(struct vault *v, const char *partition)
{
    return keyring_changed(v) ? NULL : key_table_find(&v->keys, partition, false);
}

static void run_done(struct loop_task *task)
{
    struct vault_request *request = CONTAINER_OF(task, struct vault_request, task);

    request->done(request);
}

static void complete(struct vault_request *request)
{
    request->task = (struct loop_task){.fn = run_done};
    loop_post(request->loop, &request->task);
}

// ---- keys

// A new key, not durable yet.
static struct user_key *make_key(struct vault *v, struct vault_request *request)
{
    struct user_key *k = key_table_add(&v->keys, slice_str(request->partition));

    if (!k) {
        request->code = err_set(&request->err, E_NOMEM, "out of memory for a key");
        return NULL;
    }
    k->data.generation = v->ring.rotation;
    rand_fill(v->rand, &k->data.id, sizeof(k->data.id));
    rand_fill(v->rand, k->data.secret, KEY_BYTES);
    digest_key_derive(k);
    return k;
}

// Finds or makes the keys of a group; the exclusive lock is held if any is to be made.
static int find_or_make(struct vault *v, struct vault_request *group, struct err *err)
{
    for (struct vault_request *r = group; r; r = r->next) {
        struct user_key *k = key_table_find(&v->keys, r->partition, true);

        if (!k && r->create && (k = make_key(v, r)) && v->ring.fd >= 0)
            keyring_add_user(v, k);
    }
    return v->ring.append.len || !buf_ok(&v->ring.append) ? keyring_append(v, err) : E_OK;
}

static void answer_key(struct vault *v, struct vault_request *r, int rc, const struct err *err)
{
    struct user_key *k = key_table_find(&v->keys, r->partition, true);

    if (k && !k->durable) {
        if (rc)
            key_table_retract(&v->keys, k);
        else
            key_table_publish(&v->keys, k);
        k = rc ? NULL : k;
    }
    if (k && k->erasure)
        r->code = err_set(&r->err, E_ERASED, "the user was erased");
    else if (k)
        r->key = k;
    else if (rc) {
        r->code = rc;
        r->err = *err;
    } else if (!r->code)
        r->code = err_set(&r->err, E_NOT_FOUND, "there is no key for this user: it was never made "
                          "here, or it was destroyed");
    complete(r);
}

// Keys that another process made or destroyed cannot be told while the file does not read: then
// nothing is answered from memory.
static void serve_keys(struct vault *v, struct vault_request *group)
{
    struct err err = ERR_INIT;
    bool create = false;

    for (struct vault_request *r = group; r; r = r->next)
        create |= r->create;
    int rc = keyring_begin(v, create, &err);
    bool read = rc == E_OK;
    if (read) {
        rc = find_or_make(v, group, &err);
        keyring_end(v);
    }
    while (group) {
        struct vault_request *r = group;
        group = r->next;  // r may be gone once it is complete
        if (read) {
            answer_key(v, r, rc, &err);
        } else {
            r->code = rc;
            r->err = err;
            complete(r);
        }
    }
}

// ---- erasures

// With the exclusive lock held.
static int erase(struct vault *v, struct vault_request *r)
{
    struct user_key *k = key_table_find(&v->keys, r->partition, true);
    size_t doomed = v->ring.doomed.len;
    int rc = E_OK;

    if (k && k->erasure)
        return E_OK;
    if (key_table_reserve_erasure(&v->keys) ||
        (!k && !(k = key_table_add(&v->keys, slice_str(r->partition)))) || keyring_doom(v, k))
        rc = err_set(&r->err, E_NOMEM, "out of memory for an erasure");
    if (!rc) {
        keyring_add_erased(v, k, r->at_ms);
        rc = keyring_append(v, &r->err);
    }
    if (!rc) {
        key_table_erase(&v->keys, k, r->at_ms);
        return keyring_destroy(v, &r->err);
    }
    v->ring.doomed.len = doomed;
    if (k && !k->durable)
        key_table_retract(&v->keys, k);
    return rc;
}

static int note_done(struct vault *v, struct vault_request *r)
{
    struct user_key *k = key_table_find(&v->keys, r->partition, true);

    if (!k || !k->erasure)
        return err_set(&r->err, E_NOT_FOUND, "this user was never erased");
    if (VEC_AT(&v->keys.erasures, struct vault_erasure, k->erasure - 1)->done)
        return E_OK;
    keyring_add_done(v, k);
    int rc = keyring_append(v, &r->err);
    if (!rc)
        key_table_erased_done(&v->keys, k);
    return rc;
}

static int rotate(struct vault *v, struct vault_request *r)
{
    int rc = rotate_step(v, r->create, &r->left, &r->err);

    r->rotation = v->ring.rotation;
    return rc;
}

static int retire(struct vault *v, struct vault_request *r)
{
    struct user_key *k = key_table_find(&v->keys, r->partition, true);

    if (r->rotation != v->ring.rotation)
        return err_set(&r->err, E_BUSY, "another rotation of keys began meanwhile: the older ones "
                       "are kept until that is over");
    return k ? rotate_retire(v, k, &r->err) : E_OK;
}

static int add_store(struct vault *v, struct vault_request *r)
{
    struct slice id = slice_str(r->partition);

    if (keyring_knows_store(v, id))
        return E_OK;
    keyring_add_store(v, r->partition);
    int rc = keyring_append(v, &r->err);
    if (!rc && keyring_note_store(v, id))
        rc = err_set(&r->err, E_NOMEM, "out of memory for a store's id");
    return rc;
}

static int serve_verb(struct vault *v, struct vault_request *r)
{
    switch (r->verb) {
    case VERB_FORGET:
        return erase(v, r);
    case VERB_DONE:
        return note_done(v, r);
    case VERB_REWRAP:
        return rotate_operator(v, &r->err);
    case VERB_ROTATE:
        return rotate(v, r);
    case VERB_RETIRE:
        return retire(v, r);
    case VERB_STORE:
        return add_store(v, r);
    default:
        BUG("no such verb: %d", r->verb);
    }
}

static void serve_one(struct vault *v, struct vault_request *r)
{
    r->code = keyring_begin(v, true, &r->err);
    if (!r->code) {
        r->code = serve_verb(v, r);
        keyring_end(v);
    }
    keyring_pass(v, v->ring.rotating);
    complete(r);
}

// ---- the queue

static void serve(struct vault *v, struct vault_request *group)
{
    while (group) {
        struct vault_request *first = group, **end = &group;

        if (first->verb != VERB_KEY) {
            group = first->next;
            serve_one(v, first);
            continue;
        }
        while (*end && (*end)->verb == VERB_KEY)
            end = &(*end)->next;
        group = *end;
        *end = NULL;
        serve_keys(v, first);
    }
}

static void look(struct vault *v)
{
    struct err err = ERR_INIT;

    if (keyring_changed(v)) {
        if (keyring_begin(v, false, &err))
            log_line(v->log, LOG_ERROR, "keyring: event=not_read why=\"%s\"", err.message);
        else
            keyring_end(v);
    }
    keyring_pass(v, v->ring.rotating);
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// With the lock held, until something comes or it is time to look.
static void wait_for_work(struct vault *v)
{
    struct timespec until = {.tv_sec = (time_t)(v->look_at_ms / 1000),
                             .tv_nsec = (long)(v->look_at_ms % 1000) * 1000000};

    pthread_cond_timedwait(&v->wake, &v->lock, &until);
}

static void *keyring_thread(void *arg)
{
    struct vault *v = arg;

    v->look_at_ms = now_ms() + LOOK_MS;
    pthread_mutex_lock(&v->lock);
    for (;;) {
        struct vault_request *group = v->first;
        bool look_now = now_ms() >= v->look_at_ms;

        if (!group && v->stop)
            break;
        if (!group && !look_now) {
            wait_for_work(v);
            continue;
        }
        v->first = NULL;
        v->last = &v->first;
        pthread_mutex_unlock(&v->lock);
        serve(v, group);
        if (look_now) {
            look(v);
            v->look_at_ms = now_ms() + LOOK_MS;
        }
        pthread_mutex_lock(&v->lock);
    }
    pthread_mutex_unlock(&v->lock);
    return NULL;
}

static void submit(struct vault *v, struct vault_request *request, int verb)
{
    bool named = verb != VERB_REWRAP && verb != VERB_ROTATE;

    BUG_ON(named && (request->partition[0] == '\0' ||
                     strnlen(request->partition, VAULT_DIGEST_BYTES) == VAULT_DIGEST_BYTES));
    request->verb = verb;
    request->code = E_OK;
    request->err = (struct err)ERR_INIT;
    request->key = NULL;
    request->left = 0;
    request->next = NULL;
    if (verb == VERB_KEY && (request->key = vault_find_key(v, request->partition))) {
        complete(request);
        return;
    }
    pthread_mutex_lock(&v->lock);
    if (!v->has_thread) {
        serve(v, request);
    } else {
        *v->last = request;
        v->last = &request->next;
        pthread_cond_signal(&v->wake);
    }
    pthread_mutex_unlock(&v->lock);
}

void vault_user_key(struct vault *v, struct vault_request *request)
{
    submit(v, request, VERB_KEY);
}

void vault_forget(struct vault *v, struct vault_request *request)
{
    submit(v, request, VERB_FORGET);
}

void vault_erased_done(struct vault *v, struct vault_request *request)
{
    submit(v, request, VERB_DONE);
}

void vault_rewrap(struct vault *v, struct vault_request *request)
{
    submit(v, request, VERB_REWRAP);
}

void vault_rotate(struct vault *v, struct vault_request *request)
{
    submit(v, request, VERB_ROTATE);
}

void vault_retire(struct vault *v, struct vault_request *request)
{
    submit(v, request, VERB_RETIRE);
}

void vault_add_store(struct vault *v, struct vault_request *request)
{
    submit(v, request, VERB_STORE);
}

int vault_others_passed(struct vault *v, bool *passed, struct err *err)
{
    return keyring_others_passed(v, passed, err);
}

uint32_t vault_stores(const struct vault *v)
{
    return v->ring.stores_known;
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
    v->ring.rotating = options->rotating;
    if (options->operator_key && !(v->ring.source.spec = mem_strdup(options->operator_key)))
        return err_set(err, E_NOMEM, "out of memory for the vault");
    if (options->credentials && !(v->ring.source.credentials = mem_strdup(options->credentials)))
        return err_set(err, E_NOMEM, "out of memory for the vault");
    if (!path) {
        rand_fill(v->rand, v->house->index_key, KEY_BYTES);
        crypto_generichash(v->house->sign_seed, KEY_BYTES, (const unsigned char *)"sign", 4,
                           v->house->index_key, KEY_BYTES);
        sign_keys_derive(v->house);
        return E_OK;
    }
    rc = keyring_open(v, path, options->existing, err);
    return rc || options->no_thread || v->ring.checking ? rc : start_thread(v, err);
}

// Waits by the clock that nobody sets.
static void init_wake(struct vault *v)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&v->wake, &attr);
    pthread_condattr_destroy(&attr);
}

static int open_vault(struct vault **out, const struct vault_options *options, bool checking,
                      struct err *err)
{
    *out = NULL;
    if (sodium_init() < 0)  // harmless when repeated, from any thread
        return err_set(err, E_STORE, "libsodium cannot start on this machine");
    struct vault *v = mem_zalloc(sizeof(*v));
    if (!v)
        return err_set(err, E_NOMEM, "out of memory for the vault");
    v->rand = options->rand;
    v->log = options->log;
    v->on_step = options->on_step;
    v->user = options->user;
    keyring_init(&v->ring);
    v->ring.checking = checking;
    v->last = &v->first;
    pthread_mutex_init(&v->lock, NULL);
    init_wake(v);
    context_pools_init(v);
    int rc = open_keys(v, options, err);
    if (rc)
        vault_free(v);
    else
        *out = v;
    return rc;
}

int vault_open(struct vault **out, const struct vault_options *options, struct err *err)
{
    return open_vault(out, options, false, err);
}

int vault_open_copy(struct vault **out, const struct vault_options *options, struct err *err)
{
    return open_vault(out, options, true, err);
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
