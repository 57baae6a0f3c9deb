// SPDX-License-Identifier: MIT
// ledger_kit.h: what the tests of the ledger stand on: a simulated loop, a memory store, one user,
// and ops that wait for their answer.
#ifndef TESTS_LEDGER_KIT_H
#define TESTS_LEDGER_KIT_H

#include <setjmp.h>
#include <stdio.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/id.h"
#include "base/mem.h"
#include "ledger/ledger.h"
#include "ledger/rules.h"
#include "session/session.h"

enum { KIT_WALL_MS = 1700000000 };

struct kit {
    struct clock_sim own_clock;
    struct rand_sim own_rand;
    struct clock_sim *clock;  // its own, or the first process's
    struct rand_sim *rand;
    struct loop *loop;
    struct vault *vault;
    struct store *store;
    struct ledger *ledger;
    const struct user_key *key;
    char partition[PARTITION_BYTES];
    char context_hash[VAULT_DIGEST_BYTES];
    bool done;
};

struct kit_key {
    struct vault_request request;
    bool done;
};

static void kit_key_done(struct vault_request *r)
{
    ((struct kit_key *)(void *)r)->done = true;
}

// The vault answers from a thread of its own.
static void kit_make_key(struct kit *k)
{
    struct kit_key wait = {.request = {.loop = k->loop, .create = true, .done = kit_key_done}};

    memcpy(wait.request.partition, k->partition, sizeof(wait.request.partition));
    vault_user_key(k->vault, &wait.request);
    for (int i = 0; i < 100000000 && !wait.done; i++)
        loop_run_for(k->loop, 0);
    assert_true(wait.done);
    assert_int_equal(wait.request.code, E_OK);
    k->key = wait.request.key;
}

// Erases the kit's user.
static inline void kit_forget(struct kit *k)
{
    struct kit_key gone = {.request = {.loop = k->loop, .at_ms = KIT_WALL_MS,
                                       .done = kit_key_done}};

    memcpy(gone.request.partition, k->partition, sizeof(gone.request.partition));
    vault_forget(k->vault, &gone.request);
    for (int i = 0; i < 100000000 && !gone.done; i++)
        loop_run_for(k->loop, 0);
    assert_true(gone.done);
    assert_int_equal(gone.request.code, E_OK);
}

static void kit_open_store(struct kit *k, const char *url)
{
    struct err err = ERR_INIT;
    struct store_env env = {.clock = &k->clock->clock, .rand = &k->rand->rand};

    assert_int_equal(store_open(&k->store, url, &env, &err), E_OK);
    struct ledger_env lenv = {.store = k->store, .vault = k->vault, .loop = k->loop,
                              .clock = &k->clock->clock, .rand = &k->rand->rand};
    assert_int_equal(ledger_new(&k->ledger, &lenv, &err), E_OK);
}

static inline void kit_close_store(struct kit *k)
{
    ledger_free(k->ledger);
    store_free(k->store);
    k->ledger = NULL;
    k->store = NULL;
}

// keyring: the vault's file; NULL: it has none.
static inline void kit_open_keyring(struct kit *k, const char *url, const char *keyring)
{
    struct err err = ERR_INIT;

    memset(k, 0, sizeof(*k));
    clock_sim_init(&k->own_clock, KIT_WALL_MS);
    rand_sim_init(&k->own_rand, 42);
    k->clock = &k->own_clock;
    k->rand = &k->own_rand;
    assert_int_equal(loop_new_sim(&k->loop, k->clock, &err), E_OK);
    struct vault_options vo = {.rand = &k->rand->rand, .path = keyring};
    assert_int_equal(vault_open(&k->vault, &vo, &err), E_OK);
    vault_partition(k->vault, SLICE_LIT("ann"), k->partition);
    struct slice parts[] = {SLICE_LIT("hello"), SLICE_LIT("kitchen")};
    vault_digest(k->vault, "context", parts, 2, k->context_hash);
    kit_make_key(k);
    kit_open_store(k, url);
}

static inline void kit_open(struct kit *k, const char *url)
{
    kit_open_keyring(k, url, NULL);
}

static inline void kit_close(struct kit *k)
{
    kit_close_store(k);
    vault_free(k->vault);
    loop_free(k->loop);
}

// As another process on the same store: everything shared but the store's claim and the ledger.
static inline void kit_open_beside(struct kit *other, const struct kit *k, const char *url)
{
    *other = *k;
    other->store = NULL;
    other->ledger = NULL;
    kit_open_store(other, url);
}

static void kit_done(struct ledger_op *op)
{
    *(bool *)op->user = true;
}

static inline void kit_ready(struct kit *k, struct ledger_op *op)
{
    memset(op, 0, sizeof(*op));
    op->done = kit_done;
    op->user = &k->done;
    k->done = false;
}

static inline int kit_wait(struct kit *k, struct ledger_op *op)
{
    assert_false(k->done);  // never inside the call
    loop_run(k->loop);
    assert_true(k->done);
    if (op->code)
        assert_string_not_equal(op->err.message, "");
    return op->code;
}

static inline struct chat *kit_chat(struct kit *k, const char *context)
{
    struct session_env env = {.store = k->store, .vault = k->vault, .loop = k->loop,
                              .clock = &k->clock->clock, .rand = &k->rand->rand};
    struct session_head head;
    struct err err = ERR_INIT;
    struct chat *c = NULL;

    assert_int_equal(session_head_new(&head, &env, k->partition, "hello", context, &err), E_OK);
    assert_int_equal(chat_new(&c, k->ledger, &head, k->key, &err), E_OK);
    return c;
}

// A chat of a stored session, as another process or a later start would see it.
static inline struct chat *kit_again(struct kit *k, const char *id, int *code)
{
    struct session_head head = {.version = UINT64_MAX};
    struct err err = ERR_INIT;
    struct ledger_op op;
    struct chat *c = NULL;

    memcpy(head.id, id, ID_TEXT_BYTES);
    memcpy(head.partition, k->partition, PARTITION_BYTES);
    assert_int_equal(chat_new(&c, k->ledger, &head, k->key, &err), E_OK);
    kit_ready(k, &op);
    ledger_reload(c, &op);
    *code = kit_wait(k, &op);
    if (!*code) {
        kit_ready(k, &op);
        ledger_load(c, 1, &op);
        *code = kit_wait(k, &op);
    }
    return c;
}

// Text of tests is nobody's.
static struct safe_text kit_text(const char *s)
{
    return (struct safe_text){s, strlen(s)};
}

static struct content kit_content(const char *text)
{
    struct content c = CONTENT_NONE;
    struct err err = ERR_INIT;

    assert_int_equal(content_make_text(&c, kit_text(text), &err), E_OK);
    return c;
}

struct kit_accept {
    const char *system, *key_hash, *digest;
    uint64_t system_hash;
    uint32_t edit_from;
};

static inline void kit_fill(struct kit *k, struct ledger_accept *a, const struct content *content,
                     const struct kit_accept *more)
{
    *a = (struct ledger_accept){.user = SLICE_LIT("ann"), .content = content, .tokens = 10,
                                .system = kit_text("be kind"), .system_hash = 7};
    memcpy(a->context_hash, k->context_hash, sizeof(a->context_hash));
    if (more) {
        if (more->system) {
            a->system = kit_text(more->system);
            a->system_hash = more->system_hash;
        }
        a->key_hash = more->key_hash;
        a->text_digest = more->digest;
        a->edit_from = more->edit_from;
    }
}

static inline int kit_accept_op(struct kit *k, struct chat *c, const char *text,
                                const struct kit_accept *more, struct ledger_op *op)
{
    struct content content = kit_content(text);
    struct ledger_accept a;

    kit_fill(k, &a, &content, more);
    kit_ready(k, op);
    ledger_accept(c, &a, op);
    content_release(&content);
    memset(&a, 0xee, sizeof(a));  // nothing of it may be used after the call
    return kit_wait(k, op);
}

static inline int kit_accept(struct kit *k, struct chat *c, const char *text)
{
    struct ledger_op op;

    return kit_accept_op(k, c, text, NULL, &op);
}

static inline int kit_settle_op(struct kit *k, struct chat *c, enum turn_status status,
                                const char *text, struct ledger_op *op)
{
    struct content content = text ? kit_content(text) : CONTENT_NONE;
    struct attempt attempt = {.status = status == TURN_FAILED ? ATTEMPT_FAILED : ATTEMPT_DONE,
                              .http_status = 200, .provider = "scripted", .model = "echo",
                              .usage = {.input_tokens = 20, .output_tokens = 5, .cost_nusd = 1000}};
    struct ledger_settle s = {.status = status, .stop = status == TURN_DONE ? STOP_END : STOP_LOST,
                              .reply = &content, .tokens = text ? 5 : 0, .policy = "hello@1",
                              .provider = "scripted", .model = "echo", .attempt = &attempt};

    kit_ready(k, op);
    ledger_settle(c, &s, op);
    content_release(&content);
    return kit_wait(k, op);
}

static inline int kit_settle(struct kit *k, struct chat *c, const char *text)
{
    struct ledger_op op;

    return kit_settle_op(k, c, TURN_DONE, text, &op);
}

// A whole turn.
static inline void kit_turn(struct kit *k, struct chat *c, const char *text, const char *reply)
{
    assert_int_equal(kit_accept(k, c, text), E_OK);
    assert_int_equal(kit_settle(k, c, reply), E_OK);
}

static inline void assert_says(const struct step *s, const char *text)
{
    struct safe_buf b;

    assert_non_null(s);
    safe_buf_init(&b, 1 << 22);
    content_text(&s->content, &b);
    assert_int_equal(safe_buf_text(&b).len, strlen(text));
    assert_memory_equal(safe_buf_text(&b).ptr ? safe_buf_text(&b).ptr : "", text, strlen(text));
    safe_buf_release(&b);
}

// ---- records, past the ledger

struct kit_store_op {
    struct store_op op;
    bool done;
};

static inline void kit_store_done(struct store_op *op)
{
    ((struct kit_store_op *)(void *)op)->done = true;
}

static inline void kit_submit(struct kit *k, struct kit_store_op *w)
{
    w->op.loop = k->loop;
    w->op.done = kit_store_done;
    w->op.partition = slice_str(k->partition);
    store_submit(k->store, &w->op);
    loop_run(k->loop);
    assert_true(w->done);
    assert_int_equal(w->op.code, E_OK);
}

// The number of records under a prefix.
static inline uint32_t kit_count(struct kit *k, const char *prefix)
{
    struct kit_store_op w = {.op = {.verb = STORE_SCAN, .key = slice_str(prefix), .limit = 1000}};

    kit_submit(k, &w);
    uint32_t rows = w.op.rows_len;
    store_op_release(&w.op);
    return rows;
}

// Writes over a record, or inserts one; body is given sealed, or is none: then the record has a
// seal that holds, as if a writer of ours had made a mistake.
static inline void kit_put(struct kit *k, const char *key, const char *meta, struct slice body,
                           int64_t due_at_ms)
{
    struct vault_place place = {slice_str(k->partition), slice_str(key), slice_str(meta)};
    struct buf sealing = BUF_INIT(VAULT_ENVELOPE_BYTES + 1);
    struct sealed sealed = {body};

    if (!body.len)
        assert_int_equal(vault_seal(k->vault, k->key, &place, SAFE_NONE, &sealing, &sealed, NULL),
                         E_OK);
    struct store_item item = {.verb = STORE_PUT, .key = slice_str(key), .meta = slice_str(meta),
                              .body = sealed, .due_at_ms = due_at_ms};
    struct kit_store_op w = {.op = {.verb = STORE_COMMIT, .items = &item, .items_len = 1}};

    kit_submit(k, &w);
    store_op_release(&w.op);
    buf_release(&sealing);
}

// Changes a record's meta and leaves its seal as it is, as damage does.
static inline void kit_spoil(struct kit *k, const char *key, const char *meta)
{
    struct kit_store_op w = {.op = {.verb = STORE_GET, .key = slice_str(key)}};

    kit_submit(k, &w);
    assert_int_equal(w.op.rows_len, 1);
    kit_put(k, key, meta, w.op.rows[0].body.bytes, w.op.rows[0].due_at_ms);
    store_op_release(&w.op);
}

static inline void kit_delete(struct kit *k, const char *key)
{
    struct store_item item = {.verb = STORE_DELETE, .key = slice_str(key)};
    struct kit_store_op w = {.op = {.verb = STORE_COMMIT, .items = &item, .items_len = 1}};

    kit_submit(k, &w);
    store_op_release(&w.op);
}

// The body of the last event.
static inline void assert_event_says(struct kit *k, const char *text)
{
    struct kit_store_op w = {.op = {.verb = STORE_SCAN, .key = SLICE_LIT("event/"), .limit = 1,
                                    .backwards = true}};
    struct safe_buf body;

    kit_submit(k, &w);
    assert_int_equal(w.op.rows_len, 1);
    struct vault_place place = vault_place_of(&w.op.rows[0]);
    safe_buf_init(&body, 1 << 20);
    assert_int_equal(vault_unseal(k->vault, k->key, &place, w.op.rows[0].body, &body, NULL), E_OK);
    assert_true(slice_is(safe_slice(safe_buf_text(&body)), text));
    safe_buf_release(&body);
    store_op_release(&w.op);
}

// The problems that verify tells; the caller's to release.
static inline struct buf kit_verify(struct kit *k)
{
    struct buf report = BUF_INIT(1 << 20);
    struct ledger_op op;

    kit_ready(k, &op);
    ledger_verify(k->ledger, k->partition, k->key, &report, &op);
    assert_int_equal(kit_wait(k, &op), E_OK);
    return report;
}

static inline void assert_verified(struct kit *k)
{
    struct buf report = kit_verify(k);

    if (report.len)
        print_error("%s", report.ptr);
    assert_int_equal(report.len, 0);
    buf_release(&report);
}

#endif
