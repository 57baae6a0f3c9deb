// SPDX-License-Identifier: MIT
// trail_kit.h: what the tests of the audit trail stand on: the ledger's kit with a keyring in a
// file, so that heads are kept; several users; and what is stored in the trail.
#ifndef TESTS_TRAIL_KIT_H
#define TESTS_TRAIL_KIT_H

#include "unit/ledger_kit.h"

#include "ledger/trail.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRAIL_USERS = 4, TRAIL_PATH_BYTES = 128 };

struct trail_user {
    char partition[PARTITION_BYTES];
    const struct user_key *key;
};

struct trail_kit {
    struct kit k;
    char dir[TRAIL_PATH_BYTES];          // "": keys in memory only
    char keyring[TRAIL_PATH_BYTES + 16], head[TRAIL_PATH_BYTES + 32];
    struct trail_user users[TRAIL_USERS];
    struct buf report;
    struct trail_check check;
};

static inline void trail_open_vault(struct trail_kit *t)
{
    struct vault_options vo = {.rand = &t->k.rand->rand, .path = t->dir[0] ? t->keyring : NULL,
                               .no_thread = true};
    struct err err = ERR_INIT;

    if (vault_open(&t->k.vault, &vo, &err) != E_OK)
        fail_msg("%s", err.message);
    for (int i = 0; i < TRAIL_USERS; i++) {
        char name[] = {'u', 's', 'e', 'r', (char)('0' + i)};

        vault_partition(t->k.vault, slice_of(name, sizeof(name)), t->k.partition);
        kit_make_key(&t->k);
        memcpy(t->users[i].partition, t->k.partition, sizeof(t->k.partition));
        t->users[i].key = t->k.key;
    }
}

// In a folder that there is; "": keys in memory only. `seed`: of ids and new keys.
static inline void trail_open_in(struct trail_kit *t, const char *dir, const char *url,
                                 uint64_t seed)
{
    memset(t, 0, sizeof(*t));
    kit_open(&t->k, "memory:");
    kit_close_store(&t->k);
    vault_free(t->k.vault);
    rand_sim_init(t->k.rand, seed);
    snprintf(t->dir, sizeof(t->dir), "%s", dir);
    if (t->dir[0]) {
        snprintf(t->keyring, sizeof(t->keyring), "%s/keys", t->dir);
        snprintf(t->head, sizeof(t->head), "%s.audit", t->keyring);
    }
    trail_open_vault(t);
    kit_open_store(&t->k, url);
    buf_init(&t->report, 1 << 20);
}

static inline void trail_open(struct trail_kit *t, const char *url, bool kept)
{
    const char *base = getenv("TMPDIR");
    char dir[TRAIL_PATH_BYTES] = "";

    if (kept) {
        snprintf(dir, sizeof(dir), "%s/parley-trail-XXXXXX",
                 base && base[0] && strlen(base) < 64 ? base : "/tmp");
        assert_non_null(mkdtemp(dir));
    }
    trail_open_in(t, dir, url, 42);
}

// Leaves the folder.
static inline void trail_leave(struct trail_kit *t)
{
    kit_close(&t->k);
    buf_release(&t->report);
}

static inline void trail_close(struct trail_kit *t)
{
    trail_leave(t);
    if (!t->dir[0])
        return;
    unlink(t->keyring);
    unlink(t->head);
    rmdir(t->dir);
}

// A store in a file answers from threads of its own.
static inline int trail_wait(struct trail_kit *t, struct ledger_op *op)
{
    while (!t->k.done) {
        loop_run_for(t->k.loop, 0);
        if (!t->k.done)
            sched_yield();
    }
    return op->code;
}

// ---- what the trail is asked

static inline int trail_note(struct trail_kit *t, unsigned user, uint32_t count)
{
    struct audit_note note = {.action = AUDIT_OPERATOR_READ, .detail = AUDIT_SHOW, .count = count};
    struct ledger_op op;

    kit_ready(&t->k, &op);
    audit_record(t->k.ledger, t->users[user].partition, t->users[user].key, &note, &op);
    return trail_wait(t, &op);
}

static inline int trail_append_one(struct trail_kit *t, uint32_t count)
{
    struct audit_note note = {.action = AUDIT_KEYS_ROTATED, .count = count};
    struct ledger_op op;

    kit_ready(&t->k, &op);
    trail_append(t->k.ledger, &note, 1, &op);
    return trail_wait(t, &op);
}

static inline int trail_feed_all(struct trail_kit *t, struct trail_feed *f)
{
    struct trail_feed own = {0};
    struct ledger_op op;

    f = f ? f : &own;
    kit_ready(&t->k, &op);
    trail_feed(t->k.ledger, f, &op);
    return trail_wait(t, &op);
}

// How many problems there are; t->report says which.
static inline uint32_t trail_problems(struct trail_kit *t, const struct audit_head *other)
{
    struct ledger_op op;

    buf_clear(&t->report);
    t->check = (struct trail_check){.report = &t->report};
    if (other)
        t->check.other = *other;
    kit_ready(&t->k, &op);
    trail_check(t->k.ledger, &t->check, &op);
    assert_int_equal(trail_wait(t, &op), E_OK);
    return t->check.problems;
}

static inline void trail_sound(struct trail_kit *t, uint32_t entries)
{
    if (trail_problems(t, NULL))
        fail_msg("%s", t->report.ptr);
    assert_int_equal(t->check.entries, entries);
    if (t->dir[0])
        assert_int_equal(t->check.head.n, entries);
}

static inline uint32_t trail_count(struct trail_kit *t, const char *partition, const char *prefix)
{
    memcpy(t->k.partition, partition, strlen(partition) + 1);
    return kit_count(&t->k, prefix);
}

static inline void trail_nothing_left(struct trail_kit *t)
{
    assert_int_equal(trail_count(t, AUDIT_PARTITION, "taken/"), 0);
    for (int i = 0; i < TRAIL_USERS; i++)
        assert_int_equal(trail_count(t, t->users[i].partition, AUDIT_OUTBOX), 0);
}

// How often each count (of less than n) is in the trail.
struct trail_counts {
    uint32_t n, *times;
    uint32_t others;
};
static inline int trail_take_count(void *user, const struct audit_entry *e, struct slice json,
                                   struct err *err)
{
    struct trail_counts *c = user;

    (void)json;
    (void)err;
    if (e->note.count < c->n)
        c->times[e->note.count]++;
    else
        c->others++;
    return E_OK;
}

static inline void trail_counted(struct trail_kit *t, struct trail_counts *c)
{
    struct trail_read r = {.take = trail_take_count, .user = c};
    struct ledger_op op;

    memset(c->times, 0, c->n * sizeof(c->times[0]));
    c->others = 0;
    kit_ready(&t->k, &op);
    trail_read(t->k.ledger, &r, &op);
    assert_int_equal(trail_wait(t, &op), E_OK);
}

#endif
