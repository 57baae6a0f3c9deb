// SPDX-License-Identifier: MIT
// vault_kit.h: what the tests of the vault share: a keyring in a folder of its own, requests that
// are waited for, records at one place.
#ifndef UNIT_VAULT_KIT_H
#define UNIT_VAULT_KIT_H

#include "vault/vault.h"

#include "base/mem.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

struct fixture {
    char folder[64];
    char path[80];
    struct loop *loop;
};

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    if (!f)
        return -1;
    strcpy(f->folder, "/tmp/test_vault.XXXXXX");
    if (!mkdtemp(f->folder) || loop_new(&f->loop, clock_system(), NULL))
        return -1;
    snprintf(f->path, sizeof(f->path), "%s/keys", f->folder);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;

    char lock[96];

    snprintf(lock, sizeof(lock), "%s.lock", f->path);
    unlink(lock);
    unlink(f->path);
    rmdir(f->folder);
    loop_free(f->loop);
    free(f);
    return 0;
}

static inline struct vault *opened(const char *path)
{
    struct vault_options options = {.path = path, .rand = rand_system()};
    struct err err = ERR_INIT;
    struct vault *v;

    if (vault_open(&v, &options, &err))
        fail_msg("%s", err.message);
    return v;
}

static inline int open_fails(const char *path, const char *says)
{
    struct vault_options options = {.path = path, .rand = rand_system()};
    struct err err = ERR_INIT;
    struct vault *v;
    int rc = vault_open(&v, &options, &err);

    assert_null(v);
    if (!strstr(err.message, says))
        fail_msg("\"%s\" does not say \"%s\"", err.message, says);
    return rc;
}

struct wait {
    struct vault_request request;
    struct loop *loop;
    bool done;
};

static inline void stop_loop(struct vault_request *request)
{
    struct wait *w = (struct wait *)request;

    w->done = true;
    loop_stop(w->loop);
}

static inline void ask(struct wait *w, struct loop *loop, const char *partition, bool create)
{
    *w = (struct wait){.loop = loop};
    w->request.loop = loop;
    w->request.done = stop_loop;
    w->request.create = create;
    memcpy(w->request.partition, partition, strnlen(partition, VAULT_DIGEST_BYTES - 1));
}

static inline int get_key(struct vault *v, struct loop *loop, const char *partition, bool create,
                   const struct user_key **key)
{
    struct wait w;

    ask(&w, loop, partition, create);
    vault_user_key(v, &w.request);
    assert_false(w.done);
    loop_run(loop);
    assert_true(w.done);
    *key = w.request.key;
    assert_int_equal(w.request.code == 0, w.request.key != NULL);
    return w.request.code;
}

static inline const struct user_key *key_of(struct vault *v, struct loop *loop,
                                            const char *partition)
{
    const struct user_key *k;

    assert_int_equal(get_key(v, loop, partition, true, &k), E_OK);
    return k;
}

#define PARTITION SLICE_LIT("user1")
#define KEY SLICE_LIT("turn/s/0000000001/0000000000")
#define META SLICE_LIT("{\"role\":\"user\"}")
#define PLACE (&(struct vault_place){PARTITION, KEY, META})

static inline struct sealed seal(struct vault *v, const struct user_key *k, struct safe_text body,
                          struct buf *out)
{
    struct sealed s;

    buf_clear(out);
    assert_int_equal(vault_seal(v, k, PLACE, body, out, &s, NULL), E_OK);
    return s;
}

static inline int unseal(struct vault *v, const struct user_key *k, struct slice partition,
                  struct slice key, struct slice bytes, struct safe_buf *out)
{
    safe_buf_clear(out);
    return vault_unseal(v, k, &(struct vault_place){partition, key, META}, (struct sealed){bytes},
                        out, NULL);
}

static inline void assert_opens(struct vault *v, const struct user_key *k, struct sealed s,
                         struct safe_text body)
{
    struct safe_buf out;

    safe_buf_init(&out, 8 << 20);
    assert_int_equal(unseal(v, k, PARTITION, KEY, s.bytes, &out), E_OK);
    assert_true(slice_eq(safe_slice(safe_buf_text(&out)), safe_slice(body)));
    safe_buf_release(&out);
}

static inline char *file_text(const char *path, size_t *len)
{
    FILE *f = fopen(path, "r");
    char *text = calloc(1, 1 << 16);

    assert_true(f && text);
    *len = fread(text, 1, (1 << 16) - 1, f);
    fclose(f);
    return text;
}

static inline void write_file(const char *path, const char *text, size_t len)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

#endif
