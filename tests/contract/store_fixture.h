// SPDX-License-Identifier: MIT
// store_fixture.h: a store under test with a loop of its own, and short ways to use it. A test
// program defines contract_url and contract_clean.
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>

// Gives the URL of a store that is empty; opening it twice gives the same records.
static void contract_url(char *out, size_t size);
// Removes what contract_url's store left behind.
static void contract_clean(const char *url);

#define USER "00112233445566778899aabbccddeeff"
#define OTHER "ffeeddccbbaa99887766554433221100"

// A store and a loop of the test's own thread.
struct bench {
    char url[256];
    struct clock_sim clock;
    struct log log;
    struct store_env env;
    struct loop *loop;
    struct store *store;
    unsigned pending;
};

static inline void quiet(void *user, enum log_level level, const char *line)
{
    (void)user;
    (void)level;
    (void)line;
}

static inline struct store *open_again(struct bench *b)
{
    struct store *s = NULL;
    struct err err = ERR_INIT;
    if (store_open(&s, b->url, &b->env, &err))
        fail_msg("%s: %s", b->url, err.message);
    return s;
}

static inline int bench_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    contract_url(b->url, sizeof b->url);
    // The wall clock is simulated, so that leases expire when the test says so.
    clock_sim_init(&b->clock, 1700000000000);
    b->log = (struct log){quiet, NULL, LOG_ERROR};
    b->env = (struct store_env){.clock = &b->clock.clock, .rand = rand_system(), .log = &b->log};
    assert_int_equal(loop_new(&b->loop, clock_system(), NULL), E_OK);
    b->store = open_again(b);
    *state = b;
    return 0;
}

static inline int bench_down(void **state)
{
    struct bench *b = *state;
    store_free(b->store);
    loop_free(b->loop);
    contract_clean(b->url);
    free(b);
    return 0;
}

// --- one op at a time -------------------------------------------------------------------------

static inline void stop_loop(struct store_op *op)
{
    loop_stop(op->loop);
}

// Runs the op to its end; returns its code.
static inline int run(struct bench *b, struct store_op *op)
{
    op->loop = b->loop;
    op->done = stop_loop;
    store_submit(b->store, op);
    loop_run(b->loop);
    assert_int_equal(op->code, op->err.code);
    if (op->code)
        assert_true(op->err.message[0]);
    return op->code;
}

static inline struct store_item put(enum store_item_verb verb, const char *key, uint64_t version,
                                    const char *body)
{
    return (struct store_item){.verb = verb, .key = slice_str(key), .version = version,
                               .meta = SLICE_LIT("{\"m\":1}"), .body = {slice_str(body)}};
}

static inline struct store_op commit_op(const char *partition, struct store_item *items,
                                        uint32_t len)
{
    return (struct store_op){.verb = STORE_COMMIT, .partition = slice_str(partition),
                             .items = items, .items_len = len};
}

static inline int commit(struct bench *b, const char *partition, struct store_item *items,
                         uint32_t len)
{
    struct store_op op = commit_op(partition, items, len);
    return run(b, &op);
}

static inline int insert(struct bench *b, const char *partition, const char *key, const char *body)
{
    struct store_item item = put(STORE_INSERT, key, 0, body);
    return commit(b, partition, &item, 1);
}

static inline struct store_op get_op(const char *partition, struct slice key)
{
    return (struct store_op){.verb = STORE_GET, .partition = slice_str(partition), .key = key};
}

// The version stored under the key, 0 when absent; its body must be as given when not NULL.
static inline uint64_t version_of(struct bench *b, const char *partition, const char *key,
                                  const char *body)
{
    struct store_op op = get_op(partition, slice_str(key));
    assert_int_equal(run(b, &op), E_OK);
    assert_true(op.rows_len <= 1);
    assert_false(op.more);
    uint64_t version = op.rows_len ? op.rows[0].version : 0;
    if (op.rows_len) {
        assert_true(slice_is(op.rows[0].partition, partition));
        assert_true(slice_is(op.rows[0].key, key));
        if (body)
            assert_true(slice_is(op.rows[0].body.bytes, body));
    }
    store_op_release(&op);
    return version;
}

// The keys (or, for partitions, partitions) of an op's rows, joined by spaces.
static inline const char *names(const struct store_op *op, char *out, size_t size)
{
    size_t at = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < op->rows_len; i++) {
        struct slice s = op->verb == STORE_PARTITIONS ? op->rows[i].partition : op->rows[i].key;
        at += (size_t)snprintf(out + at, size - at, "%s%.*s", i ? " " : "", SLICE_FMT(s));
        assert_true(at < size);
    }
    return out;
}

// Runs a scan and compares the names of its rows; returns `more`.
static inline bool expect_rows(struct bench *b, struct store_op op, const char *expected)
{
    char text[4096];
    assert_int_equal(run(b, &op), E_OK);
    assert_string_equal(names(&op, text, sizeof text), expected);
    bool more = op.more;
    store_op_release(&op);
    return more;
}

static inline struct store_op scan_op(const char *partition, const char *prefix, const char *after,
                                      uint32_t limit, bool backwards)
{
    return (struct store_op){.verb = STORE_SCAN, .partition = slice_str(partition),
                             .key = slice_str(prefix), .after = slice_str(after), .limit = limit,
                             .backwards = backwards};
}

// --- many ops at once -------------------------------------------------------------------------

// An op that counts down the bench's pending ops and stops the loop with the last.
struct flight {
    struct store_op op;
    struct store_item item;
    struct bench *bench;
    char key[40];
};

static inline void landed(struct store_op *op)
{
    struct flight *f = (struct flight *)(void *)op;
    if (--f->bench->pending == 0)
        loop_stop(op->loop);
}

static inline void launch(struct bench *b, struct flight *f)
{
    f->bench = b;
    f->op.loop = b->loop;
    f->op.done = landed;
    b->pending++;
    store_submit(b->store, &f->op);
}

static inline void land(struct bench *b)
{
    if (b->pending)
        loop_run(b->loop);
    assert_int_equal(b->pending, 0);
}

#endif
